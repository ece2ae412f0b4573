"""The models by the name of their architecture, for commands that take any of them."""

from types import ModuleType

import kim_cnn.predict
import sm_cnn.predict

PREDICT: dict[str, ModuleType] = {predict.ARCHITECTURE: predict for predict in (kim_cnn.predict, sm_cnn.predict)}
