"""What is measured is what is served: the committed models score the same offline and on the local cloud."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import kim_cnn.dataset
import kim_cnn.evaluate
import kim_cnn.predict
import sm_cnn.dataset
import sm_cnn.evaluate
import sm_cnn.predict
from inference.settings import Settings
from inference.tokenizer import Tokenizer, tokenize
from tests.conftest import KIM_VECTORS, ROOT, SAMPLE, Cloud
from tests.sm_cnn.test_dataset import write
from toolkit.training.metrics import map_mrr
from toolkit.vectors.file import load_vectors

SETTINGS = Settings()
QUESTIONS = {
    "how are glacier caves formed ?": 1,
    "who wrote the first book about the history of the river ?": 0,
    "when did the war end , in 1945 or in 1946 ?": 3,
}
ANSWERS = [
    "the book , written in 1901 , is a history of the river -lrb- and its people -rrb- .",
    "a glacier cave is formed by water running through or under the glacier .",
    "i do n't know .",
    "the war ended in 1945 ; it hadn't ended in 1944 .",
    "an unheard-of-word stands here .",
]


@pytest.fixture(scope="module")
def urls(cloud: Cloud) -> Iterator[dict[str, str]]:
    """Both committed models deployed."""
    names: list[str | Path] = ["--stack", "evaluation"]
    packages: list[str | Path] = ["--sm-cnn", cloud.packages["sm_cnn"], "--kim-cnn", cloud.packages["kim_cnn"]]
    ran = cloud.run(ROOT / "utils/deploy.py", "up", *names, *packages)
    yield dict(line.split(" ") for line in ran.stdout.splitlines())
    cloud.run(ROOT / "utils/deploy.py", "down", "--yes", *names)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Questions with more candidates than one request takes, many of them twice, some longer than is served."""
    rows = []
    for number, (question, relevant) in enumerate(QUESTIONS.items()):
        for place in range(SETTINGS.max_sentences + 7):
            answer = ANSWERS[place % len(ANSWERS)] + f" {place} times" * (place % 3) * (
                200 if (number, place) == (0, 130) else 1
            )
            rows.append((str(number), question, answer, str(int(place % len(ANSWERS) == relevant))))
    return write(tmp_path / "pairs", rows)


def test_sm_cnn_scores_and_metrics_agree(urls: dict[str, str], pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = sm_cnn.dataset.cut(sm_cnn.dataset.read_questions(pairs), Tokenizer(max_words=SETTINGS.max_words))
    model = sm_cnn.predict.load(ROOT / "sm_cnn.model")
    vectors = load_vectors(SAMPLE, sm_cnn.evaluate.words_of(questions), model.vector_length)
    offline = sm_cnn.evaluate.scores(model, questions, vectors)
    served = sm_cnn.evaluate.served_scores(urls["SmCnnUrl"], questions, SETTINGS)
    for ours, theirs in zip(offline, served, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-6)
    data = ["--data", str(pairs)]
    assert sm_cnn.evaluate.main([*data, "--model", str(ROOT / "sm_cnn.model"), "--vectors", str(SAMPLE)]) == 0
    assert sm_cnn.evaluate.main([*data, "--endpoint", urls["SmCnnUrl"]]) == 0
    captured = capsys.readouterr()
    first, second = (line for line in captured.out.splitlines() if line.startswith("MAP "))
    assert first == second
    assert "cut to" in captured.err


def test_kim_cnn_predictions_and_accuracy_agree(
    urls: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "stsa.fine.dev.tsv"
    texts = ["a very good movie", "this isn't good at all", "an awful , awful plot .", "it is about a river ."]
    path.write_text("".join(f"{number % 5}\t{' '.join(texts[: number % 4 + 1])}\n" for number in range(200)))
    rows = kim_cnn.dataset.read_sst(path)
    model = kim_cnn.predict.load(ROOT / "kim_cnn.model")
    sentences = kim_cnn.dataset.to_sentences(rows, model.config["labels"], tokenize)
    vectors = load_vectors(KIM_VECTORS, kim_cnn.evaluate.words_of(sentences), model.vector_length)
    logits = torch.from_numpy(kim_cnn.evaluate.scores(model, sentences, vectors))
    labels, served = kim_cnn.evaluate.served_probabilities(urls["KimCnnUrl"], rows, SETTINGS)
    assert labels == model.config["labels"]
    np.testing.assert_allclose(served, logits.softmax(1), atol=1e-6)
    assert kim_cnn.evaluate.main(["--data", str(path), "--endpoint", urls["KimCnnUrl"]]) == 0
    assert kim_cnn.evaluate.main(
        ["--data", str(path), "--model", str(ROOT / "kim_cnn.model"), "--vectors", str(KIM_VECTORS)]
    ) == 0  # fmt: skip
    served_accuracy, accuracy = (line for line in capsys.readouterr().out.splitlines() if line.startswith("accuracy "))
    assert served_accuracy == accuracy


@pytest.mark.skipif("SERVERLESS_INFERENCE_DATA" not in os.environ, reason="SERVERLESS_INFERENCE_DATA is not set")
def test_sm_cnn_agrees_on_a_real_dev_set_whose_rare_words_the_sample_lacks(urls: dict[str, str]) -> None:
    questions = sm_cnn.dataset.read_questions(Path(os.environ["SERVERLESS_INFERENCE_DATA"], "trecqa/raw-dev"))
    model = sm_cnn.predict.load(ROOT / "sm_cnn.model")
    vectors = load_vectors(SAMPLE, sm_cnn.evaluate.words_of(questions), model.vector_length)
    offline = sm_cnn.evaluate.scores(model, questions, vectors)
    served = sm_cnn.evaluate.served_scores(urls["SmCnnUrl"], questions, SETTINGS)
    for ours, theirs in zip(offline, served, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-6)
    labels = [question.labels for question in questions]
    assert map_mrr(labels, served) == map_mrr(labels, offline)
