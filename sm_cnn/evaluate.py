"""Measure an SM-CNN: mean average precision and mean reciprocal rank of its rankings.

    python -m sm_cnn.evaluate --model sm_cnn.model --data trecqa/raw-dev --vectors glove.6B.50d.txt.gz
    python -m sm_cnn.evaluate --endpoint https://…/sm_cnn --data trecqa/raw-dev

The last line on stdout is `MAP 0.7524 MRR 0.8012`, as trec_eval defines them, over the questions that have a relevant
answer. Where scores are equal the relevant answer is ranked last. With --endpoint the deployed function scores.
Sentences are tokenized and cut as the model's config says, offline as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from inference.model_file import Model
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from sm_cnn import predict
from sm_cnn.dataset import Question, read_questions
from toolkit.cli import log, run
from toolkit.training.metrics import map_mrr
from toolkit.training.options import evaluation_options, evaluation_parser
from toolkit.training.remote import post_all, split
from toolkit.vectors.file import load_vectors


def words_of(questions: Iterable[Question]) -> set[str]:
    """Return every word of questions and answers."""
    return {word for question in questions for words in (question.words, *question.answers) for word in words}


def cut(questions: Iterable[Question], tokenizer: Tokenizer) -> list[Question]:
    """Return the questions, each sentence cut to the words that the model takes."""
    return [
        question._replace(words=tokenizer.cut(question.words), answers=[*map(tokenizer.cut, question.answers)])
        for question in questions
    ]


def scores(
    model: Model, questions: Sequence[Question], vectors: Mapping[str, np.ndarray | None], quiet: bool = True
) -> list[np.ndarray]:
    """Return each question's scores (answers,), higher for more relevant, as the handler computes them.

    Shows progress unless `quiet`.
    """
    found = []
    for question in tqdm(questions, unit="question", disable=True if quiet else None):
        logits = model.logits(predict.batches(model, [question.words, *question.answers], vectors))
        found.append(logits[:, 1] - logits[:, 0])
    return found


def requests(question: Question, settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the requests for a question: as few as the bounds on a request allow."""
    fields = {"sent1": question.text, "sent2": []}
    for sent2 in split(question.answer_texts, fields, settings):
        yield {**fields, "sent2": sent2}


def served_scores(url: str, questions: Sequence[Question], settings: Settings, quiet: bool = True) -> list[np.ndarray]:
    """Return what `scores` returns, computed by the function deployed at `url`."""
    posts = [(number, fields) for number, question in enumerate(questions) for fields in requests(question, settings)]
    answers = post_all(url, [fields for _, fields in posts], quiet)
    found: list[list[float]] = [[] for _ in questions]
    for (number, _), answer in zip(posts, answers, strict=True):
        found[number] += [relevant - irrelevant for irrelevant, relevant in answer["score"]]
    return [np.array(row) for row in found]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = evaluation_options(evaluation_parser(__doc__, "the folder of one split: trecqa/raw-dev"), argv)
    settings = Settings.from_environment()
    if options.endpoint:
        questions = read_questions(options.data)
        found = served_scores(options.endpoint, questions, settings, options.quiet)
    else:
        model = predict.load(options.model)
        tokenizer = Tokenizer.from_config(model.config, settings.max_words)
        whole = read_questions(options.data, tokenizer)
        questions = cut(whole, tokenizer)
        if questions != whole:
            log(f"note: sentences cut to {tokenizer.max_words} words, the most that the model takes")
        vectors = load_vectors(options.vectors, words_of(questions), model.vector_length)
        found = scores(model, questions, vectors, options.quiet)
    print("MAP {:.4f} MRR {:.4f}".format(*map_mrr([question.labels for question in questions], found)))
    return 0


if __name__ == "__main__":
    run(main)
