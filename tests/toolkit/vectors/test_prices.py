"""What DynamoDB counts and bills."""

import pytest

from toolkit.vectors.prices import read_units


@pytest.mark.parametrize(("size", "units"), [(1, 0.5), (4096, 0.5), (4097, 1.0), (8193, 1.5)])
def test_a_read_is_billed_in_steps_of_4_kb_and_half_a_unit_each(size: int, units: float) -> None:
    assert read_units(size) == units
