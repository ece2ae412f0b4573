"""Explanations: the influence of each word is what leaving it out does, by brute force."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.explanation import without_each
from inference.fields import BYTES_OF_EXPLAINED_WORD
from inference.gateway import Handler
from inference.item_format import encode_vector
from inference.service import Service
from inference.settings import Settings
from inference.word_vectors import WordVectors, by_length
from sm_cnn.overlap import FEATURES
from tests.fakes.dynamodb import FakeDynamoDB
from tests.faults.conftest import examples
from tests.serving import KIM, PREDICT, SM, answering, committed, handler, post
from toolkit.training.model_writer import write_model

CONFIGS: dict[str, dict[str, Any]] = {
    "kim_cnn": {"dim": 6, "channels": 1, "filters": 5, "dropout": 0.5, "labels": ["bad", "so so", "good"]},
    "sm_cnn": {"dim": 6, "channels": 1, "filters": 5, "width": 5, "features": FEATURES, "dropout": 0.5},
}
OVERLAP = {
    "documents": 9,
    "document_frequency": "ice 2\ncave 3",
    "stop_words": "a the",
    "mean": [0.1] * FEATURES,
    "scale": [0.5] * FEATURES,
    "year_words": "when",
    "amount_words": "many",
    "numerals": "two",
}
SILENT = Settings(log_level="CRITICAL")
NOTHING = "?"  # no word of a vocabulary, and nothing that can overlap
MOST = 6  # words of a text that the models take

pytestmark = pytest.mark.usefixtures("one_thread")

vocabulary = st.sampled_from("ice cave caves the a glacier formed good bad , . unknown zorblax".split())
sentences = st.lists(vocabulary, min_size=1, max_size=MOST + 2).map(" ".join)
lists = st.lists(sentences, min_size=1, max_size=4)


def vector(word: str) -> dict[str, Any] | None:
    if word in ("unknown", "zorblax", NOTHING):
        return None
    return encode_vector(np.random.default_rng(zlib.crc32(word.encode())).normal(size=6).astype(np.float32) * 2)


@dataclass
class Asked:
    """A model behind a handler, and the words that were read for it."""

    handler: Handler
    table: FakeDynamoDB = field(default_factory=lambda: FakeDynamoDB(vector))

    def __call__(self, **fields: Any) -> dict[str, Any]:
        status, answer = post(self.handler, **fields)
        assert status == 200, answer
        return answer


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Asked]:
    """Both models, small and with random weights."""
    folder, asked = tmp_path_factory.mktemp("models"), {}
    torch.manual_seed(3)
    for name, config in CONFIGS.items():
        path = folder / f"{name}.model"
        weights = PREDICT[name].build(config).state_dict()
        write_model(path, name, {**config, "max_words": MOST}, weights, OVERLAP if name == "sm_cnn" else None)
        asked[name] = serve(name, path)
    return asked


def serve(name: str, path: Path) -> Asked:
    model, table = PREDICT[name].load(path), FakeDynamoDB(vector)
    words = WordVectors(lambda: table, "words", model.vector_length, cache_size=0)
    return Asked(answering(Service(PREDICT[name], model, words, SILENT)), table)


def left(words: list[str]) -> list[str]:
    """Return the texts without each word; without the only one, nothing is left."""
    return [" ".join(words[:place] + words[place + 1 :]) or NOTHING for place in range(len(words))]


@examples(25, 1000)
@given(texts=lists)
def test_kim_tells_how_much_each_word_raised_the_probability_of_the_class(
    models: dict[str, Asked], texts: list[str]
) -> None:
    ask = models["kim_cnn"]
    answer = ask(input=texts, explain=True)
    assert answer["words"] == [text.split()[:MOST] for text in texts]  # a text that is cut: what the model read
    for label, probabilities, words, influence in zip(
        answer["label"], answer["probabilities"], answer["words"], answer["influence"], strict=True
    ):
        rests = ask(input=left(words))["probabilities"]
        expected = [probabilities[label] - rest[label] for rest in rests]
        np.testing.assert_allclose(influence, expected, atol=1e-5)


@examples(25, 1000)
@given(question=sentences, candidates=lists)
def test_sm_tells_how_much_each_word_raised_the_probability_of_each_pair(
    models: dict[str, Asked], question: str, candidates: list[str]
) -> None:
    ask = models["sm_cnn"]
    answer = ask(sent1=question, sent2=candidates, explain=True)
    asked, answers = answer["words"]["sent1"], answer["words"]["sent2"]
    assert (asked, answers) == (question.split()[:MOST], [each.split()[:MOST] for each in candidates])
    probability, influence = np.array(answer["probability"]), answer["influence"]
    rests = [ask(sent1=rest, sent2=candidates)["probability"] for rest in left(asked)]
    np.testing.assert_allclose(np.transpose(influence["sent1"]), probability - rests, atol=1e-5)
    for whole, words, each in zip(probability, answers, influence["sent2"], strict=True):
        rest = ask(sent1=question, sent2=left(words))["probability"]
        np.testing.assert_allclose(each, whole - rest, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("kim_cnn", {"input": "the good caves formed"}),
        ("sm_cnn", {"sent1": "ice caves", "sent2": "the cave formed"}),
    ],
)
def test_a_single_text_gets_what_a_list_of_it_gets_without_the_list(
    models: dict[str, Asked], name: str, fields: dict[str, str]
) -> None:
    ask, (*others, last) = models[name], fields
    alone = ask(**fields, explain=True)
    together = ask(**{**fields, last: [fields[last]]}, explain=True)
    if name == "kim_cnn":
        assert ([alone["words"]], [alone["influence"]]) == (together["words"], together["influence"])
        return
    assert (*others, last) == ("sent1", "sent2")
    assert alone["words"]["sent1"] == together["words"]["sent1"]  # the one question
    assert [alone["words"]["sent2"]] == together["words"]["sent2"]
    assert {name: [row] for name, row in alone["influence"].items()} == together["influence"]


def test_it_reads_no_word_more_and_changes_no_other_field(models: dict[str, Asked]) -> None:
    ask = models["sm_cnn"]
    fields = {"sent1": "how are caves formed", "sent2": ["ice formed the caves", "unknown"]}
    ask.table.reads.clear()
    plain, explained = ask(**fields, explain=False), ask(**fields, explain=True)
    first, second = ask.table.reads
    assert first == second
    assert set(explained) - set(plain) == {"words", "influence"}
    assert {name: explained[name] for name in plain if name[:2] != "t_"} == {
        name: value for name, value in plain.items() if name[:2] != "t_"
    }
    assert explained["t_overall"] >= explained["t_sent_embedding"] + explained["t_inference"]


@pytest.mark.parametrize(("value", "kind"), [(None, "null"), (1, "a number"), ("true", "a string"), ([True], "a list")])
@pytest.mark.parametrize("predict", [KIM, SM])
def test_explain_is_a_boolean(predict: Any, value: Any, kind: str) -> None:
    answer = post(handler(predict, FakeDynamoDB()), **predict.EXAMPLE, explain=value)
    assert answer == (400, {"error": f"explain is {kind}; send true or false"})


@pytest.mark.parametrize(
    ("predict", "fields", "words"),
    [
        (KIM, {"input": ["a b c d", "a b c"]}, 7),
        (SM, {"sent1": "a b", "sent2": ["c", "a b"]}, 7),  # the words of each pair, so the question's twice
        (SM, {"sent1": "a b", "sent2": "c d e f g"}, 7),
    ],
)
def test_more_words_to_explain_than_the_bound_are_refused_before_any_is_read(
    predict: Any, fields: dict[str, Any], words: int
) -> None:
    table = FakeDynamoDB()
    strict, enough = (handler(predict, table, settings=Settings(max_explained_words=most)) for most in (6, words))
    complaint = {"error": f"the request has {words} words to explain; send at most 6, or no explain"}
    assert post(strict, **fields, explain=True) == (400, complaint)
    assert not table.reads
    assert post(strict, **fields)[0] == 200
    assert post(enough, **fields, explain=True)[0] == 200


@pytest.mark.parametrize("predict", [KIM, SM])
def test_words_to_explain_that_are_longer_than_words_are_are_refused(predict: Any) -> None:
    """They come back once more than without explain."""
    ask = handler(predict, FakeDynamoDB(), settings=Settings(max_explained_words=4))
    shown, long = "a" * 4 * BYTES_OF_EXPLAINED_WORD, "a" * (4 * BYTES_OF_EXPLAINED_WORD - 1)
    fields = {"input": f"{shown}a"} if predict is KIM else {"sent1": "a", "sent2": shown}
    complaint = {"error": "the words to explain have 257 bytes; send at most 256, or no explain"}
    assert post(ask, **fields, explain=True) == (400, complaint)
    assert post(ask, **fields)[0] == 200
    fields = {"input": shown} if predict is KIM else {"sent1": "a", "sent2": long}
    assert post(ask, **fields, explain=True)[0] == 200


def test_one_forward_pass_at_a_time_is_in_memory() -> None:
    """The arrays of 200 texts of 200 words would take 200 times as much as those of one."""
    texts = list(without_each([["a"] * 200]))
    made = KIM.batches(committed(KIM), texts, {})
    _, inputs = next(made)
    assert inputs["words"].shape[0] == len(by_length(texts)[0]) < len(texts) == 200
