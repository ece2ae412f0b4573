"""Measure an SM-CNN: how well it ranks, beside word overlap and TF-IDF, and how far its probabilities can be trusted.

    python -m sm_cnn.evaluate --model qa.model --data test.csv --vectors glove.6B.50d.txt.gz
    python -m sm_cnn.evaluate --model sm_cnn.model --data trecqa/raw-dev --vectors glove.6B.50d.txt.gz
    python -m sm_cnn.evaluate --endpoint https://…/sm_cnn --data trecqa/raw-dev --report report

--data is a file of CSV, TSV or JSON lines with the columns `question`, `answer` and `label` (0 or 1), compressed or
not, or `-` for stdin; or the folder of a split of TrecQA or WikiQA. The last line on stdout is `MAP 0.7524 MRR 0.8012
P@1 0.7216`: mean average precision, mean reciprocal rank and precision at 1, as trec_eval defines them, over the
questions that have a relevant answer. Where scores are equal the relevant answer is ranked last. With --endpoint the
deployed function scores. Sentences are tokenized and cut as the model's config says, offline as well. --report names a
folder for a page that shows all figures, and the questions that were ranked worst.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from inference.model_file import Model
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from sm_cnn import overlap, predict
from sm_cnn.dataset import Question, cut, read_questions
from toolkit.cli import run
from toolkit.training.baselines import tfidf_cosine
from toolkit.training.labelled import Row
from toolkit.training.metrics import without_vector
from toolkit.training.options import add_pair_columns, evaluation_options, evaluation_parser, pair_columns
from toolkit.training.page import write_report
from toolkit.training.remote import post_all, split
from toolkit.training.report import RankingReport, ranking_report
from toolkit.vectors.file import load_vectors


def words_of(questions: Iterable[Question]) -> set[str]:
    """Return every word of questions and answers."""
    return {word for question in questions for words in (question.words, *question.answers) for word in words}


def scores(
    model: Model, questions: Sequence[Question], vectors: Mapping[str, np.ndarray | None], quiet: bool = True
) -> list[np.ndarray]:
    """Return each question's scores (answers,), higher for more relevant, as the handler computes them.

    Shows progress unless `quiet`.
    """
    found = []
    for question in tqdm(questions, unit="question", disable=True if quiet else None):
        logits = model.logits(predict.batches(model, [question.words, *question.answers], vectors))
        found.append(predict.relevance(logits))
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


def baselines(questions: Sequence[Question]) -> dict[str, list[np.ndarray]]:
    """Return the scores of answers by how they repeat the question: word overlap, weighted too, and TF-IDF.

    Overlap is that of stems without stop words, as Yang, Yih and Meek have it ("WikiQA", EMNLP 2015). How frequent
    words are is counted in these questions and answers.
    """
    pairs = [(question.words, question.answers) for question in questions]
    counted, _ = overlap.fit(pairs)
    features = [overlap.features(counted, *pair) for pair in pairs]
    return {
        "word overlap": [rows[:, 2] for rows in features],
        "word overlap, idf-weighted": [rows[:, 3] for rows in features],
        "TF-IDF cosine": tfidf_cosine(
            [question.text for question in questions], [question.answer_texts for question in questions]
        ),
    }


def measure(
    questions: Sequence[Question], found: Sequence[np.ndarray], vectors: Mapping[str, np.ndarray | None] | None
) -> RankingReport:
    """Measure the scores that were `found` for the answers; `vectors` None: it is not known which words have one."""
    answers = [
        [Row(*row) for row in zip(each.answer_texts, map(str, each.labels), each.places, strict=True)]
        for each in questions
    ]
    sentences = (words for each in questions for words in (each.words, *each.answers))
    unknown = None if vectors is None else without_vector(sentences, vectors)
    return ranking_report([each.text for each in questions], answers, found, unknown, baselines(questions))


def show(report: RankingReport) -> None:
    """Print a report; the last line is its MAP, MRR and precision at 1."""
    names = {"MAP": "mean average precision", "MRR": "mean reciprocal rank", "P@1": "precision at 1"}
    figures = " ".join(f"{short} {report.scores[name]:.4f}" for short, name in names.items())
    print(report.as_text(), figures, sep="\n\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = evaluation_parser(__doc__, "a file of questions, answers and labels")
    add_pair_columns(parser)
    options = evaluation_options(parser, argv)
    columns = pair_columns(options)
    settings = Settings.from_environment()
    vectors = None
    if options.endpoint:
        questions = read_questions(options.data, columns=columns)
        found = served_scores(options.endpoint, questions, settings, options.quiet)
    else:
        model = predict.load(options.model)
        tokenizer = Tokenizer.from_config(model.config, settings.max_words)
        questions = cut(read_questions(options.data, tokenizer, columns), tokenizer)
        vectors = load_vectors(options.vectors, words_of(questions), model.vector_length)
        found = scores(model, questions, vectors, options.quiet)
    report = measure(questions, found, vectors)
    if options.report:
        write_report(options.report, report, options.endpoint or str(options.model), str(options.data))
    show(report)
    return 0


if __name__ == "__main__":
    run(main)
