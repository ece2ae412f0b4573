"""The worst hour's bill: bounded by the parameters, and no less than any mix of requests within them costs."""

import pytest

from toolkit import prices
from toolkit.deployment import template, worst_bill
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT

BOUNDED = {"word-vectors": 5000}


def hourly(given: dict[str, str], **options: dict[str, int | None]) -> float:
    values = template.parameter_values(template.read(), {}, given)
    units = options.get("table_units", BOUNDED)
    return sum(worst_bill.hourly(values, True, 1000, units).values())


def test_the_defaults_and_small_parameters_keep_to_what_the_readme_says() -> None:
    assert hourly({}) <= 10
    small = {"Throttle": "2", "Concurrency": "2", "MaxDistinctWords": "200"}
    assert hourly(small, table_units={"word-vectors": None}) <= 1


def test_reads_are_bounded_by_the_request_or_by_the_table() -> None:
    values = template.parameter_values(template.read(), {}, {"Throttle": "10", "MaxDistinctWords": "100"})
    asked = 2 * 10 * 100 / 2  # both models, half a unit a word
    for bound, units in ((None, asked), (10_000, asked), (50, 50)):
        reads = worst_bill.hourly(values, True, 1000, {"word-vectors": bound})["reads"]
        assert reads == pytest.approx(3600 * units * DOLLARS_PER_READ_UNIT)


def test_without_a_reservation_the_account_is_the_bound() -> None:
    values = template.parameter_values(template.read(), {}, {"Throttle": "1000", "Memory": "1024"})
    parts = worst_bill.hourly(values, False, 10, BOUNDED)
    requests = 3600 * 2000 * prices.DOLLARS_PER_LAMBDA_REQUEST
    assert parts["Lambda"] == pytest.approx(requests + 3600 * 10 * prices.DOLLARS_PER_GB_SECOND)


@pytest.mark.parametrize("name", ["Throttle", "Concurrency", "MaxDistinctWords", "MaxBodyBytes", "Memory"])
def test_a_larger_bound_never_costs_less(name: str) -> None:
    costs = [hourly({name: str(1 << power)}, table_units={"word-vectors": None}) for power in range(10, 24)]
    assert costs == sorted(costs)


def test_one_line_says_it() -> None:
    line = worst_bill.warning({"reads": 1.5, "logs": 0.25})
    assert line == "anyone may call (Auth=none), and make it cost $1.75 an hour at most (reads 1.50, logs 0.25)"
