"""Evaluating an SM-CNN: requests that hold all candidates within the bounds, sentences cut to what is served."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.settings import Settings
from inference.tokenizer import Tokenizer, tokenize
from sm_cnn import predict
from sm_cnn.dataset import Question, cut
from sm_cnn.evaluate import main, requests
from tests.conftest import ROOT

BOUNDS = Settings()

words = st.lists(st.sampled_from(["glacier", "é" * 400, "ice", '"', "a" * 900]), min_size=1, max_size=BOUNDS.max_words)


def question(answers: list[str]) -> Question:
    """Return a question with answers none of which is relevant."""
    words, count = [tokenize(text) for text in answers], len(answers)
    return Question("1", ["who", "?"], words, [0] * count, "who ?", answers, ["b.toks, line 1"] * count)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=40), st.integers(1, 8))
def test_requests_hold_every_answer_once_in_order_within_the_bounds(answers: list[list[str]], times: int) -> None:
    asked = question([" ".join(answer) for answer in answers * times])
    sent = list(requests(asked, BOUNDS))
    assert [text for fields in sent for text in fields["sent2"]] == asked.answer_texts
    for fields in sent:
        assert fields["sent1"] == "who ?"
        assert 1 <= len(fields["sent2"]) <= BOUNDS.max_sentences
        assert (
            len(json.dumps(fields, ensure_ascii=False).encode()) <= BOUNDS.max_body_bytes or len(fields["sent2"]) == 1
        )


@pytest.mark.parametrize(("candidates", "expected"), [(128, 1), (129, 2), (256, 2)])
def test_candidates_within_the_bounds_go_into_as_few_requests_as_possible(candidates: int, expected: int) -> None:
    asked = question(["an answer"] * candidates)
    assert len(list(requests(asked, Settings(max_sentences=128)))) == expected


def test_a_sentence_is_cut_to_the_words_that_the_service_takes_of_its_text() -> None:
    text = "He didn't say \"no\" (not in the u.s., at 3:30 p.m.) to Dr. Smith's friends' plan... " * 40
    tokenizer = Tokenizer(max_words=100)
    (kept,) = cut([question([text, "short"])], tokenizer)
    served = predict.read({"sent1": "who", "sent2": [text, "short"]}, tokenizer, BOUNDS)
    assert kept.answers == served.sentences[1:]
    assert served.truncated == [False, True, False]


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--model", "m"],
        ["--model", "m", "--vectors", "v", "--endpoint", "u"],
        ["--vectors", "v", "--endpoint", "u"],
    ],
)
def test_a_model_with_vectors_or_an_endpoint_is_asked_for(given: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--data", str(tmp_path), *given])
    assert stopped.value.code == 2


def test_an_endpoint_can_be_measured_where_torch_is_not_installed() -> None:
    code = "import sys, sm_cnn.evaluate, kim_cnn.evaluate; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
