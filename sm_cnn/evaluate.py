"""Measure an SM-CNN: mean average precision and mean reciprocal rank of its rankings.

    python -m sm_cnn.evaluate --model sm_cnn.model --data trecqa/raw-dev --vectors glove.6B.50d.txt.gz
    python -m sm_cnn.evaluate --endpoint https://…/sm_cnn --data trecqa/raw-dev

The last line on stdout is `MAP 0.7524 MRR 0.8012`, as trec_eval defines them, over the questions that have
a relevant answer. Where scores are equal the relevant answer is ranked last. With --endpoint the deployed
function does the scoring. Sentences are cut to the words that a request may hold, offline as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import ir_measures
import numpy as np
from ir_measures import AP, RR

from inference import model_file
from inference.gateway import MAX_WORDS
from inference.model_file import Model
from inference.word_vectors import embed
from sm_cnn import overlap
from sm_cnn.dataset import Question, read_questions
from toolkit.training import evaluation
from toolkit.training.remote import body, post_all, split
from toolkit.cli import CommandError, run
from toolkit.vectors.file import load_vectors


def words_of(questions: Iterable[Question]) -> set[str]:
    """Return every word of questions and answers."""
    return {word for question in questions for words in (question.words, *question.answers) for word in words}


def cut(questions: Iterable[Question]) -> list[Question]:
    """Return the questions with every sentence cut to the words that a request may hold."""
    return [
        question._replace(words=question.words[:MAX_WORDS], answers=[words[:MAX_WORDS] for words in question.answers])
        for question in questions
    ]


def scores(model: Model, questions: Iterable[Question], vectors: Mapping[str, np.ndarray]) -> list[np.ndarray]:
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


def requests(question: Question) -> Iterator[dict[str, Any]]:
    """Yield the requests for a question: as few as the limits on sentences and bytes allow."""
    sent1 = " ".join(question.words)
    for sent2 in split(map(" ".join, question.answers), len(body({"sent1": sent1, "sent2": []}))):
        yield {"sent1": sent1, "sent2": sent2}


def served_scores(url: str, questions: Sequence[Question], quiet: bool = False) -> list[np.ndarray]:
    """Return what `scores` returns, computed by the function deployed at `url`."""
    posts = [(number, fields) for number, question in enumerate(questions) for fields in requests(question)]
    answers = post_all(url, [fields for _, fields in posts], quiet)
    found: list[list[float]] = [[] for _ in questions]
    for (number, _), answer in zip(posts, answers, strict=True):
        found[number] += [relevant - irrelevant for irrelevant, relevant in answer["score"]]
    return [np.array(row) for row in found]


def map_mrr(questions: Sequence[Question], scores: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return (MAP, MRR) of rankings by `scores` over the questions with a relevant answer.

    trec_eval ranks equal scores by document id, highest first: the ids here put relevant answers last. Scores
    count as equal to 5 decimals, so that the same sentence twice is a tie however it was batched.
    """
    qrels, rankings = {}, {}
    for number, (question, row) in enumerate(zip(questions, scores, strict=True)):
        if any(question.labels):
            ids = [f"{1 - label}-{place}" for place, label in enumerate(question.labels)]
            qrels[str(number)] = dict(zip(ids, question.labels, strict=True))
            rankings[str(number)] = dict(zip(ids, np.round(row.astype(float), 5).tolist(), strict=True))
    if not qrels:
        raise CommandError("no question has a relevant answer: there is nothing to measure")
    measured = ir_measures.calc_aggregate([AP, RR], qrels, rankings)
    return float(measured[AP]), float(measured[RR])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = evaluation.parse(__doc__ or "", "the folder of one split: trecqa/raw-dev", argv)
    whole = read_questions(options.data)
    questions = cut(whole)
    evaluation.tell_of_cut_sentences(whole, questions)
    if options.endpoint:
        scored = served_scores(options.endpoint, questions, options.quiet)
    else:
        model = model_file.load(options.model, "sm_cnn")
        scored = scores(model, questions, load_vectors(options.vectors, words_of(questions), model.vector_length))
    print("MAP {:.4f} MRR {:.4f}".format(*map_mrr(questions, scored)))
    return 0


if __name__ == "__main__":
    run(main)
