"""Both Lambda functions on the committed models: the contract's answers, the same for the same request."""

import json
from typing import Any

import numpy as np
import pytest

import kim_handler
import sm_handler
from inference.word_vectors import WordVectors

QUESTION, ANSWER = "how are glacier caves formed", "the ice facade is approximately 60 m high"
TIMINGS = {"t_overall", "t_sent_embedding", "t_load_model", "t_inference"}


@pytest.fixture(autouse=True)
def table(dynamodb: Any, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have both handlers read the in-process table, which knows most words of the examples."""
    random = np.random.default_rng(0)
    for word in f"{QUESTION} {ANSWER} this is a very good bad movie".split():
        if word != "facade":
            put(word, random.normal(size=50))
    for handler in (kim_handler, sm_handler):
        monkeypatch.setattr(handler, "VECTORS", WordVectors(dynamodb, "words", 50, cache_size=100))


def kim(**fields: Any) -> tuple[int, dict[str, Any]]:
    answer = kim_handler.handler({"body": json.dumps(fields)}, None)
    return answer["statusCode"], json.loads(answer["body"])


def sm(**fields: Any) -> tuple[int, dict[str, Any]]:
    answer = sm_handler.handler({"body": json.dumps(fields)}, None)
    return answer["statusCode"], json.loads(answer["body"])


def without_timings(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in TIMINGS}


def test_kim_answers_a_sentence_with_class_label_and_logits() -> None:
    status, answer = kim(input="This is a very good movie")
    assert status == 200
    assert set(answer) == {"input", "prediction", "label", "output", "unknown_words"} | TIMINGS
    assert answer["input"] == "This is a very good movie"
    assert len(answer["output"]) == len(kim_handler.MODEL.config["labels"])
    assert answer["prediction"] == int(np.argmax(answer["output"]))
    assert answer["label"] == kim_handler.MODEL.config["labels"][answer["prediction"]]
    assert answer["unknown_words"] == []
    assert 0 <= answer["t_inference"] <= answer["t_overall"]


def test_kim_answers_a_list_with_lists_as_it_would_each_alone() -> None:
    texts = ["this is a very good movie", "bad", "a bad unheard-of movie"]
    _, together = kim(input=texts)
    assert together["unknown_words"] == ["unheard-of"]
    for index, text in enumerate(texts):
        _, alone = kim(input=text)
        assert alone["prediction"] == together["prediction"][index]
        assert alone["label"] == together["label"][index]
        np.testing.assert_allclose(alone["output"], together["output"][index], atol=1e-5)


def test_sm_answers_a_pair_with_logits_and_the_probability_of_relevance() -> None:
    status, answer = sm(sent1=QUESTION, sent2=ANSWER)
    assert status == 200
    assert set(answer) == {"sent1", "sent2", "score", "probability", "unknown_words"} | TIMINGS
    assert (answer["sent1"], answer["sent2"]) == (QUESTION, ANSWER)
    not_relevant, relevant = answer["score"]
    assert answer["probability"] == pytest.approx(1 / (1 + np.exp(not_relevant - relevant)), rel=1e-5)
    assert answer["unknown_words"] == ["facade"]


def test_sm_ranks_candidates_as_it_would_score_each_alone() -> None:
    candidates = [ANSWER, "this is a movie", "glacier caves", "caves are formed"]
    _, together = sm(sent1=QUESTION, sent2=candidates)
    assert together["ranking"] == sorted(range(4), key=lambda index: -together["probability"][index])
    for index, candidate in enumerate(candidates):
        np.testing.assert_allclose(sm(sent1=QUESTION, sent2=candidate)[1]["score"], together["score"][index], atol=1e-5)


def test_more_than_a_group_of_sentences_come_back_in_the_order_they_were_sent() -> None:
    words = f"{QUESTION} {ANSWER} unheard-of".split()
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(words, random.integers(1, 40))) for _ in range(80)]
    sm_together, kim_together = sm(sent1=QUESTION, sent2=texts)[1], kim(input=texts)[1]
    assert kim_together["input"] == sm_together["sent2"] == texts
    for index, text in enumerate(texts):
        alone = sm(sent1=QUESTION, sent2=text)[1]["score"]
        np.testing.assert_allclose(alone, sm_together["score"][index], atol=1e-5)
        np.testing.assert_allclose(kim(input=text)[1]["output"], kim_together["output"][index], atol=1e-5)


def test_the_same_request_gets_the_same_answer_cached_or_not(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    request = {"sent1": QUESTION, "sent2": [ANSWER, "never seen words, qwertz"]}
    first, cached = sm(**request)[1], sm(**request)[1]
    monkeypatch.setattr(sm_handler, "VECTORS", WordVectors(dynamodb, "words", 50, cache_size=0))
    uncached = sm(**request)[1]
    assert without_timings(first) == without_timings(cached) == without_timings(uncached)


def test_an_unknown_word_counts_as_a_zero_vector(put: Any) -> None:
    _, unknown = kim(input="a good zorblax movie")
    assert unknown["unknown_words"] == ["zorblax"]
    put("zero", np.zeros(50))
    _, zero = kim(input="a good zero movie")
    assert zero["unknown_words"] == []
    assert zero["output"] == unknown["output"]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"sent2": "a"}, "no field 'sent1' in the request; send it as JSON"),
        ({"sent1": "a"}, "no field 'sent2' in the request; send it as JSON"),
        ({"sent1": ["a"], "sent2": "a"}, "sent1 is a list; send a string"),
        ({"sent1": "a", "sent2": ["a", " "]}, "sent2[1] is empty; send a sentence"),
        ({"sent1": "", "sent2": "a"}, "sent1 is empty; send a sentence"),
    ],
)
def test_sm_says_what_is_wrong_with_a_pair(fields: dict[str, Any], complaint: str) -> None:
    assert sm(**fields) == (400, {"error": complaint})


def test_only_the_first_request_reports_the_loading_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kim_handler, "load_seconds", iter([1.5]))
    assert kim(input="a")[1]["t_load_model"] == 1.5
    assert kim(input="a")[1]["t_load_model"] == 0.0
