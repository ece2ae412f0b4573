"""The worst hour's bill: bounded by the parameters, and no less than any mix of requests within them costs."""

import json

import pytest

from inference.settings import Settings
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, SM, handler
from toolkit import prices
from toolkit.deployment import template, worst_bill
from toolkit.vectors.guards import READ_UNITS
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT

BOUNDED = {"word-vectors": READ_UNITS, "kim-vectors": READ_UNITS}


def hourly(given: dict[str, str], **options: dict[str, int | None]) -> float:
    values = template.parameter_values(template.read(), {}, given)
    units = options.get("table_units", BOUNDED)
    return sum(worst_bill.hourly(values, True, 1000, units).values())


def test_the_defaults_and_small_parameters_keep_to_what_the_readme_says() -> None:
    assert hourly({}) <= 10
    small = {"Throttle": "2", "Concurrency": "2", "MaxDistinctWords": "200"}
    assert hourly(small, table_units={"word-vectors": None}) <= 1


def test_reads_are_bounded_by_the_request_or_by_the_table() -> None:
    given = {"Throttle": "10", "MaxDistinctWords": "100", "KimCnnTable": "word-vectors"}
    values = template.parameter_values(template.read(), {}, given)
    asked = 2 * 10 * 100 / 2  # both models, half a unit a word
    for bound, units in ((None, asked), (10_000, asked), (50, 50)):
        reads = worst_bill.hourly(values, True, 1000, {"word-vectors": bound})["reads"]
        assert reads == pytest.approx(3600 * units * DOLLARS_PER_READ_UNIT)


def test_no_answer_is_longer_than_what_is_counted() -> None:
    """Long words and many texts, in letters that grow in lower case; explained as many and as long words as may be."""
    bound = worst_bill.largest_request(template.parameter_values(template.read(), {}, {})).answer_bytes
    limits = Settings()
    one = ["İ" * (limits.max_body_bytes // 2 - 50)]
    many = [chr(0x100 + row) + "İ" * (limits.max_body_bytes // limits.max_sentences // 2 - 4) for row in range(128)]
    each = limits.max_explained_words // 128 - 1  # for SM-CNN, whose question counts with each text
    explained = [" ".join(["ⱥ" * 42 + f"{row}"] * each) for row in range(10, 128)]
    for texts, explain in ((one, False), (many, False), (explained, True)):
        for predict, fields in ((KIM, {"input": texts}), (SM, {"sent1": "a", "sent2": texts})):
            body = json.dumps({**fields, "explain": explain}, ensure_ascii=False)
            answer = handler(predict, FakeDynamoDB(lambda word: None))({"body": body}, None)
            assert answer["statusCode"] == 200, answer["body"]
            assert len(answer["body"].encode()) <= bound


def test_without_a_reservation_the_account_is_the_bound() -> None:
    values = template.parameter_values(template.read(), {}, {"Throttle": "1000", "Memory": "1024"})
    parts = worst_bill.hourly(values, False, 10, BOUNDED)
    requests = 3600 * 2000 * prices.DOLLARS_PER_LAMBDA_REQUEST
    assert parts["Lambda"] == pytest.approx(requests + 3600 * 10 * prices.DOLLARS_PER_GB_SECOND)


def test_behind_function_urls_concurrency_alone_is_the_bound() -> None:
    given = {"Front": "function-url", "Concurrency": "2", "MaxBodyBytes": "1000"}
    values = template.parameter_values(template.read(), {}, given)
    parts = worst_bill.hourly(values, True, 1000, BOUNDED)
    requests = 3600 * 2 * 10 * 2  # ten a second for each execution, both models
    sent = requests * worst_bill.largest_request(values).answer_bytes / 1e9 * prices.DOLLARS_PER_GB_SENT
    assert parts["gateway and answers"] == pytest.approx(sent), "no gateway"
    time = 3600 * 2 * 2 * 1769 / 1024 * prices.DOLLARS_PER_GB_SECOND
    assert parts["Lambda"] == pytest.approx(requests * prices.DOLLARS_PER_LAMBDA_REQUEST + time)
    assert hourly({**given, "Throttle": "1"}) == hourly(given)
    assert hourly({**given, "Concurrency": "4"}) > hourly(given)
    shared = worst_bill.hourly(values, False, 10, BOUNDED)  # by both functions, five each
    assert shared["gateway and answers"] == pytest.approx(sent / 2 * 5)
    assert shared["Lambda"] == pytest.approx(parts["Lambda"] / 2 * 5)


@pytest.mark.parametrize("name", ["Throttle", "Concurrency", "MaxDistinctWords", "MaxBodyBytes", "Memory"])
def test_a_larger_bound_never_costs_less(name: str) -> None:
    costs = [hourly({name: str(1 << power)}, table_units={"word-vectors": None}) for power in range(10, 24)]
    assert costs == sorted(costs)


def test_one_line_says_it() -> None:
    line = worst_bill.warning({"reads": 1.5, "logs": 0.25})
    assert line == "anyone may call (Auth=none), and make it cost $1.75 an hour at most (reads 1.50, logs 0.25)"
