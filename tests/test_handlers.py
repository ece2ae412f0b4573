"""Both Lambda functions on the committed models: the contract's answers, the same for the same request."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inference.gateway import Handler
from inference.service import Service
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from inference.word_vectors import WordVectors
from tests.conftest import ROOT
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, SM, TIMINGS, answering, committed, handler, post, without_timings

QUESTION, ANSWER = "how are glacier caves formed", "the ice facade is approximately 60 m high"
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def table(dynamodb: Any, put: Any) -> Any:
    """A table that knows most words of the examples, and its client."""
    random = np.random.default_rng(0)
    for word in f"{QUESTION} {ANSWER} this is a very good bad movie".split():
        if word != "facade":
            put(word, random.normal(size=50))
    return dynamodb


def asking(handler: Handler) -> Ask:
    return lambda **fields: post(handler, **fields)


@pytest.fixture
def kim(table: Any) -> Ask:
    return asking(handler(KIM, table))


@pytest.fixture
def sm(table: Any) -> Ask:
    return asking(handler(SM, table))


def test_kim_answers_a_sentence_with_class_label_and_logits(kim: Ask) -> None:
    status, answer = kim(input="This is a very good movie")
    labels = committed(KIM).config["labels"]
    assert status == 200
    assert set(answer) == {"input", "prediction", "label", "probabilities", "output", "unknown_words"} | TIMINGS
    assert answer["input"] == "This is a very good movie"
    assert len(answer["output"]) == len(labels)
    assert answer["prediction"] == int(np.argmax(answer["output"]))
    assert answer["label"] == labels[answer["prediction"]]
    assert list(answer["probabilities"]) == labels
    powers = np.exp(answer["output"])
    np.testing.assert_allclose([*answer["probabilities"].values()], powers / powers.sum(), rtol=1e-5)
    assert answer["unknown_words"] == []


def test_kim_answers_a_list_with_lists_as_it_would_each_alone(kim: Ask) -> None:
    texts = ["this is a very good movie", "bad", "a bad unheard-of movie"]
    _, together = kim(input=texts)
    assert together["unknown_words"] == ["unheard-of"]
    for index, text in enumerate(texts):
        _, alone = kim(input=text)
        assert alone["prediction"] == together["prediction"][index]
        assert alone["label"] == together["label"][index]
        assert alone["probabilities"] == pytest.approx(together["probabilities"][index], abs=1e-5)
        np.testing.assert_allclose(alone["output"], together["output"][index], atol=1e-5)
    assert kim(input=["bad"])[1]["prediction"] == [kim(input="bad")[1]["prediction"]]


def test_sm_answers_a_pair_with_one_row_of_logits_and_the_probability_of_relevance(sm: Ask) -> None:
    status, answer = sm(sent1=QUESTION, sent2=ANSWER)
    assert status == 200
    assert set(answer) == {"sent1", "sent2", "score", "probability", "unknown_words"} | TIMINGS
    assert (answer["sent1"], answer["sent2"]) == (QUESTION, ANSWER)
    ((not_relevant, relevant),) = answer["score"]
    assert answer["probability"] == pytest.approx(1 / (1 + np.exp(not_relevant - relevant)), rel=1e-5)
    assert answer["unknown_words"] == ["facade"]


def test_sm_ranks_candidates_as_it_would_score_each_alone(sm: Ask) -> None:
    candidates = [ANSWER, "this is a movie", "glacier caves", "caves are formed"]
    _, together = sm(sent1=QUESTION, sent2=candidates)
    assert together["sent2"] == candidates
    assert together["ranking"] == sorted(range(4), key=lambda index: -together["probability"][index])
    for index, candidate in enumerate(candidates):
        _, alone = sm(sent1=QUESTION, sent2=candidate)
        np.testing.assert_allclose(alone["score"], together["score"][index : index + 1], atol=1e-5)
        assert alone["probability"] == pytest.approx(together["probability"][index], abs=1e-5)


def test_sm_ranks_by_the_logits_where_probabilities_round_to_one() -> None:
    request = SM.read({"sent1": "who", "sent2": ["a", "b"]}, Tokenizer(), Settings())
    answer = SM.answer(committed(SM), request, np.array([[-9, 9], [-12, 13]], np.float32))
    assert answer["probability"] == [1.0, 1.0]
    assert answer["ranking"] == [1, 0]


def test_more_than_a_group_of_sentences_come_back_in_the_order_they_were_sent(kim: Ask, sm: Ask) -> None:
    words = f"{QUESTION} {ANSWER} unheard-of".split()
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(words, random.integers(1, 40))) for _ in range(80)]
    sm_together, kim_together = sm(sent1=QUESTION, sent2=texts)[1], kim(input=texts)[1]
    assert kim_together["input"] == sm_together["sent2"] == texts
    for index, text in enumerate(texts):
        (alone,) = sm(sent1=QUESTION, sent2=text)[1]["score"]
        np.testing.assert_allclose(alone, sm_together["score"][index], atol=1e-5)
        np.testing.assert_allclose(kim(input=text)[1]["output"], kim_together["output"][index], atol=1e-5)


def test_the_same_request_gets_the_same_answer_cached_or_not(table: Any) -> None:
    request = {"sent1": QUESTION, "sent2": [ANSWER, "never seen words, qwertz"]}
    cached = handler(SM, table)
    answers = [post(each, **request)[1] for each in (cached, cached, handler(SM, table, cache_size=0))]
    assert without_timings(answers[0]) == without_timings(answers[1]) == without_timings(answers[2])


def test_an_unknown_word_counts_as_a_zero_vector(kim: Ask, put: Any) -> None:
    _, unknown = kim(input="a good zorblax movie")
    assert unknown["unknown_words"] == ["zorblax"]
    put("zero", np.zeros(50))
    _, zero = kim(input="a good zero movie")
    assert zero["unknown_words"] == []
    assert zero["output"] == unknown["output"]


def test_kim_cuts_a_text_that_is_too_long_and_says_so(table: Any) -> None:
    ask = asking(handler(KIM, table, settings=Settings(max_words=3)))
    assert "truncated" not in ask(input="a good movie")[1]
    assert ask(input="a good movie")[1]["output"] == ask(input="a good movie indeed")[1]["output"]
    assert ask(input="a good movie indeed")[1]["truncated"] is True
    assert ask(input=["a good movie", "a bad movie indeed"])[1]["truncated"] == [False, True]


def test_sm_says_of_which_pairs_a_text_was_cut(table: Any) -> None:
    ask = asking(handler(SM, table, settings=Settings(max_words=3)))
    long, short = "this is a good movie", "a good movie"
    assert "truncated" not in ask(sent1=short, sent2=[short, short])[1]
    assert ask(sent1=short, sent2=[short, long])[1]["truncated"] == [False, True]
    assert ask(sent1=long, sent2=[short, long])[1]["truncated"] == [True, True]
    assert ask(sent1=short, sent2=long)[1]["truncated"] is True
    assert ask(sent1=short, sent2=long)[1]["score"] == ask(sent1=short, sent2="this is a")[1]["score"]


def test_a_model_reads_texts_as_its_config_says(table: Any, put: Any) -> None:
    config = {**committed(KIM).config, "tokenizer": {"case_marks": True, "placeholders": True}, "max_words": 4}
    model = replace(committed(KIM), config=config)
    vectors = WordVectors(lambda: table, "words", model.vector_length, cache_size=0)
    ask = asking(answering(Service(KIM, model, vectors, Settings(max_words=2))))
    _, answer = ask(input="Movie ZORBLAX http://example.org")
    assert answer["unknown_words"] == ["<cap>", "<allcaps>", "zorblax"]
    assert answer["truncated"] is True
    assert ask(input="movie zorblax http://example.org")[1]["unknown_words"] == ["zorblax", "<url>"]
    put("<cap>", np.ones(50))
    assert ask(input="Never seen")[1]["output"] == ask(input="<cap> never seen")[1]["output"]
    assert ask(input="Never seen")[1]["output"] != ask(input="never seen")[1]["output"]


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
def test_sm_says_what_is_wrong_with_a_pair(sm: Ask, fields: dict[str, Any], complaint: str) -> None:
    assert sm(**fields) == (400, {"error": complaint})


def test_the_first_answer_counts_the_loading_of_the_model_and_no_other_does(table: Any) -> None:
    ask = asking(handler(KIM, table, load_seconds=100.0))
    _, first = ask(input="a")
    assert first["t_load_model"] == 100.0
    assert first["t_overall"] >= sum(first[name] for name in TIMINGS - {"t_overall"}) > 100.0
    _, second = ask(input="a")
    assert second["t_load_model"] == 0.0
    assert 100 > second["t_overall"] >= second["t_sent_embedding"] + second["t_inference"]
    assert min(second["t_sent_embedding"], second["t_inference"]) > 0


def test_a_service_keeps_to_its_settings(table: Any) -> None:
    ask = asking(handler(KIM, table, settings=Settings(max_words=2, max_sentences=1, max_body_bytes=50)))
    assert ask(input="a b")[0] == 200
    assert ask(input=["a", "b"]) == (400, {"error": "input has 2 strings; send at most 1 a request"})
    assert ask(input="a" * 60)[0] == 413


@pytest.mark.parametrize("predict", [KIM, SM])
def test_a_request_with_too_many_distinct_words_reads_none(predict: Any) -> None:
    table = FakeDynamoDB()
    ask = asking(handler(predict, table, settings=Settings(max_distinct_words=4)))
    fields = {"input": ["a b a b", "c d a"]} if predict is KIM else {"sent1": "a b", "sent2": ["a c", "d a"]}
    assert ask(**fields)[0] == 200
    (more,) = [name for name, value in fields.items() if isinstance(value, list)]
    calls = table.calls.copy()
    status, answer = ask(**{**fields, more: [*fields[more], "good"]})
    assert (status, answer) == (400, {"error": "the request has 5 distinct words; send at most 4 a request"})
    assert table.calls == calls


START = """
import gc, json, logging, sys
import {0}_handler as module
print(json.dumps([gc.isenabled(), gc.get_freeze_count() > 100_000, logging.getLogger("inference").level,
                  module.handler({{}}, None)["statusCode"]]))
"""


@pytest.mark.parametrize("model", ["sm", "kim"])
def test_a_function_starts_from_its_environment(model: str) -> None:
    environment = {"PYTHONPATH": str(ROOT), "AWS_DEFAULT_REGION": "us-east-1", "LOG_LEVEL": "error"}
    command = [sys.executable, "-c", START.format(model)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    collecting, frozen, level, status = json.loads(ran.stdout)
    assert collecting and frozen, "garbage collection works, but leaves out what was imported"
    assert (level, status) == (40, 400)


def test_importing_the_inside_of_a_function_starts_nothing() -> None:
    program = """
import threading, logging, gc, os
os.environ["MAX_WORDS"] = "many"
os.environ["LOG_LEVEL"] = "ERROR"
import inference.service, kim_cnn.predict, sm_cnn.predict, sys
assert threading.active_count() == 1 and not logging.getLogger("inference").level and not gc.get_freeze_count()
assert "torch" not in sys.modules and "onnxruntime" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, check=True)
