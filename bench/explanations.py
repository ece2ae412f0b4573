"""How often leaving out the three most influential words of a text changes its class, against three random ones.

    python bench/explanations.py

SERVERLESS_INFERENCE_DATA names the folder of the data sets; the texts are their dev sets with at least four words, the
models the project's own, with their vectors. For SM-CNN the class of a pair is whether its probability is over a half,
and the words are those of both. The most influential words are those that raised the probability of the class most.
Random words are drawn ten times.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import workload

import kim_cnn.predict
import sm_cnn.predict
from inference.fields import Request
from inference.model_file import Model
from inference.tokenizer import Tokenizer
from kim_cnn.dataset import read_sst, to_sentences
from kim_cnn.evaluate import words_of as words_of_sentences
from sm_cnn.dataset import cut, read_questions
from sm_cnn.evaluate import words_of
from toolkit import cli
from toolkit.cli import CommandError, run
from toolkit.vectors.file import load_vectors

REMOVED = 3  # words
DRAWS = 10
MAX_WORDS = 256
KIM_VECTORS = workload.ROOT / "data/kim_cnn.vectors.txt.gz"
SM_VECTORS = "vectors/glove.6B.50d.subset.bin.gz"

Vectors = Mapping[str, np.ndarray | None]


class Case(NamedTuple):
    """A text, or the two of a pair, with the influence of each word, and the class it got."""

    sentences: list[list[str]]
    influence: np.ndarray  # on the probability of the class; of all sentences, one after the other
    label: int


def kim_cases(model: Model, sentences: Sequence[list[str]], vectors: Vectors) -> Iterator[Case]:
    """Yield the texts of a Kim CNN."""
    for words in sentences:
        logits = model.logits(kim_cnn.predict.batches(model, [words], vectors))
        request = Request([""], [words], [False], False, True)
        influence = kim_cnn.predict.explain(model, request, vectors, logits)["influence"]
        yield Case([words], np.array(influence), int(logits.argmax()))


def sm_cases(model: Model, pairs: Sequence[tuple[list[str], list[str]]], vectors: Vectors) -> Iterator[Case]:
    """Yield the pairs of an SM-CNN; what lowers the probability of relevant raises that of not relevant."""
    for question, answer in pairs:
        logits = model.logits(sm_cnn.predict.batches(model, [question, answer], vectors))
        label = int(logits.argmax())
        request = Request(["", ""], [question, answer], [False, False], False, True)
        influence = sm_cnn.predict.explain(model, request, vectors, logits)["influence"]
        yield Case([question, answer], (1 if label else -1) * np.array(influence["sent1"] + influence["sent2"]), label)


def without(sentences: Sequence[Sequence[str]], places: Sequence[int]) -> list[list[str]]:
    """Return the sentences without the words at some places, which count through all of them."""
    left, first = [], 0
    for words in sentences:
        left.append([word for place, word in enumerate(words, first) if place not in places] or [""])
        first += len(words)
    return left


def measure(predict: workload.Predict, model: Model, cases: Sequence[Case], vectors: Vectors) -> tuple[float, float]:
    """Return the share of cases whose class changes without the most influential words, and without random ones."""
    random = np.random.default_rng(0)

    def changes(case: Case, places: np.ndarray) -> bool:
        logits = model.logits(predict.batches(model, without(case.sentences, places.tolist()), vectors))
        return int(logits.argmax()) != case.label

    informed = [changes(case, np.argsort(-case.influence, kind="stable")[:REMOVED]) for case in cases]
    drawn = [
        changes(case, random.choice(len(case.influence), REMOVED, replace=False))
        for case in cases
        for _ in range(DRAWS)
    ]
    return float(np.mean(informed)), float(np.mean(drawn))


def main() -> int:
    """Run the command line."""
    cli.parser(__doc__).parse_args()
    if not workload.DATA:
        raise CommandError("set SERVERLESS_INFERENCE_DATA to the folder of the data sets (docs/training.md)")
    folder = workload.Path(workload.DATA)
    rows = []

    model = workload.committed(kim_cnn.predict)
    tokenizer = Tokenizer.from_config(model.config, MAX_WORDS)
    texts = to_sentences(read_sst(folder / "sst/stsa.fine.dev.tsv"), model.config["labels"], tokenizer)
    vectors = load_vectors(KIM_VECTORS, words_of_sentences(texts), model.vector_length)
    sentences = [each.words for each in texts if len(each.words) > REMOVED]
    cases = list(kim_cases(model, sentences, vectors))
    rows.append(("Kim CNN, SST-1", len(cases), *measure(kim_cnn.predict, model, cases, vectors)))

    model = workload.committed(sm_cnn.predict)
    tokenizer = Tokenizer.from_config(model.config, MAX_WORDS)
    for name, split in (("TrecQA", "trecqa/raw-dev"), ("WikiQA", "wikiqa/dev")):
        questions = cut(read_questions(folder / split, tokenizer), tokenizer)
        vectors = load_vectors(folder / SM_VECTORS, words_of(questions), model.vector_length)
        pairs = [(each.words, answer) for each in questions for answer in each.answers]
        cases = list(sm_cases(model, [pair for pair in pairs if len(pair[0]) + len(pair[1]) > REMOVED], vectors))
        for label, kind in ((1, "relevant"), (0, "not relevant")):
            some = [case for case in cases if case.label == label]
            rows.append((f"SM-CNN, {name}, {kind}", len(some), *measure(sm_cnn.predict, model, some, vectors)))

    head = ["dev set", "texts or pairs", "three most influential", "three random"]
    print(workload.table(head, [(name, f"{count:,}", f"{a:.1%}", f"{b:.1%}") for name, count, a, b in rows]))
    return 0


if __name__ == "__main__":
    run(main)
