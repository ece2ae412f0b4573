"""MAP and MRR as trec_eval has them, ties against us; requests that hold all candidates within the limits."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.gateway import MAX_BODY_BYTES, MAX_SENTENCES, MAX_WORDS
from inference.tokenizer import tokenize
from sm_cnn.dataset import Question
from sm_cnn.evaluate import cut, main, map_mrr, requests
from tests.conftest import ROOT
from toolkit.cli import CommandError


def question(labels: list[int]) -> Question:
    return Question("1", ["who", "?"], [["an", "answer"]] * len(labels), labels)


def test_average_precision_and_reciprocal_rank_by_hand() -> None:
    ranked = question([0, 1, 1, 0])
    scores = np.array([0.1, 0.9, 0.3, 0.5], np.float32)  # relevant at ranks 1 and 3
    assert map_mrr([ranked], [scores]) == (pytest.approx((1 + 2 / 3) / 2), 1.0)
    scores = np.array([0.9, 0.1, 0.3, 0.5], np.float32)  # at 3 and 4
    assert map_mrr([ranked], [scores]) == (pytest.approx((1 / 3 + 2 / 4) / 2), pytest.approx(1 / 3))


def test_questions_without_a_relevant_answer_do_not_count() -> None:
    scores = np.array([0.9, 0.1])
    assert map_mrr([question([1, 0]), question([0, 0])], [scores, scores]) == (1.0, 1.0)
    with pytest.raises(CommandError, match="no question has a relevant answer"):
        map_mrr([question([0, 0])], [scores])


@pytest.mark.parametrize("labels", [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
@pytest.mark.parametrize("noise", [0, 1e-7])
def test_equal_scores_rank_the_relevant_answer_last_wherever_it_stands(labels: list[int], noise: float) -> None:
    scores = np.full(4, 0.5) + noise * np.array(labels)
    assert map_mrr([question(labels)], [scores]) == (0.25, 0.25)


words = st.lists(st.sampled_from(["glacier", "é" * 400, "ice", '"', "a" * 900]), min_size=1, max_size=MAX_WORDS)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=40), st.integers(1, 8))
def test_requests_hold_every_answer_once_in_order_within_the_limits(answers: list[list[str]], times: int) -> None:
    asked = Question("1", ["who", "?"], answers * times, [0] * len(answers) * times)
    sent = list(requests(asked))
    assert [text for fields in sent for text in fields["sent2"]] == [" ".join(answer) for answer in asked.answers]
    for fields in sent:
        assert fields["sent1"] == "who ?"
        assert 1 <= len(fields["sent2"]) <= MAX_SENTENCES
        assert len(json.dumps(fields, ensure_ascii=False).encode()) <= MAX_BODY_BYTES or len(fields["sent2"]) == 1


def test_one_request_is_enough_for_candidates_within_the_limits() -> None:
    assert len(list(requests(question([0] * MAX_SENTENCES)))) == 1
    assert len(list(requests(question([0] * (MAX_SENTENCES + 1))))) == 2


def test_a_sentence_too_long_to_be_served_is_cut_to_words_that_the_service_reads_as_they_are() -> None:
    answer = tokenize("He didn't say \"no\" (not in the u.s., at 3:30 p.m.) to Dr. Smith's friends' plan... " * 40)
    whole = Question("1", ["who", "?"], [answer, ["short"]], [0, 1])
    (kept,) = cut([whole])
    assert len(kept.answers[0]) == MAX_WORDS
    assert kept.answers[1] == ["short"]
    assert tokenize(" ".join(kept.answers[0])) == kept.answers[0]


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
