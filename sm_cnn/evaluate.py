"""Measure an SM-CNN: mean average precision and mean reciprocal rank of its rankings.

    python -m sm_cnn.evaluate --model sm_cnn.model --data trecqa/raw-dev --vectors glove.6B.50d.txt.gz

The last line on stdout is `MAP 0.7524 MRR 0.8012`, as trec_eval defines them, over the questions that have
a relevant answer. Where scores are equal the relevant answer is ranked last.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import ir_measures
import numpy as np
from ir_measures import AP, RR

from inference import model_file
from inference.model_file import Model
from inference.word_vectors import embed
from sm_cnn import overlap
from sm_cnn.dataset import DataError, Question, read_questions
from utils.training import load_vectors, run


def words_of(questions: Iterable[Question]) -> set[str]:
    """Return every word of questions and answers."""
    return {word for question in questions for words in (question.words, *question.answers) for word in words}


def scores(
    model: Model, questions: Iterable[Question], vectors: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Return each question's scores (answers,), higher for more relevant, by the steps the handler takes."""
    found = []
    for question in questions:
        arrays = [
            *embed([question.words], vectors, model.vector_length),
            *embed(question.answers, vectors, model.vector_length),
        ]
        if model.overlap is not None:
            arrays.append(overlap.features(model.overlap, question.words, question.answers))
        logits = model.forward(*arrays)
        found.append(logits[:, 1] - logits[:, 0])
    return found


def map_mrr(questions: Sequence[Question], scores: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return (MAP, MRR) of rankings by `scores` over the questions with a relevant answer.

    trec_eval ranks equal scores by document id, highest first: the ids here put relevant answers last. Scores
    count as equal to 1e-5, so that the same sentence twice is a tie however it was batched.
    """
    qrels, run = {}, {}
    for number, (question, row) in enumerate(zip(questions, scores, strict=True)):
        if any(question.labels):
            ids = [f"{1 - label}-{place}" for place, label in enumerate(question.labels)]
            qrels[str(number)] = dict(zip(ids, question.labels, strict=True))
            run[str(number)] = dict(zip(ids, np.round(row.astype(float), 5).tolist(), strict=True))
    measured = ir_measures.calc_aggregate([AP, RR], qrels, run)
    return float(measured[AP]), float(measured[RR])


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="one split: trecqa/raw-dev")
    parser.add_argument("--vectors", type=Path, required=True, metavar="FILE", help="text, .gz or .bin")
    options = parser.parse_args(argv)
    questions = read_questions(options.data)
    model = model_file.load(options.model, "sm_cnn")
    vectors = load_vectors(options.vectors, words_of(questions))
    print("MAP {:.4f} MRR {:.4f}".format(*map_mrr(questions, scores(model, questions, vectors))))


if __name__ == "__main__":
    run(main, OSError, DataError, model_file.ModelFileError)
