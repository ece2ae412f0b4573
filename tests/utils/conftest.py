"""The fixtures of the vector scripts' inside, for the scripts themselves."""

from tests.toolkit.conftest import *  # noqa: F403
