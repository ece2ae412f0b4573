"""Measure a Kim CNN: accuracy, the figures of each class, and how far its probabilities can be trusted.

    python -m kim_cnn.evaluate --model tickets.model --data test.csv --vectors tickets.vectors.txt
    python -m kim_cnn.evaluate --model kim_cnn.model --data sst/stsa.fine.dev.tsv --vectors glove.6B.50d.txt.gz
    python -m kim_cnn.evaluate --endpoint https://…/kim_cnn --data test.csv --trained-on tickets.csv --report report

The last line on stdout is `accuracy 0.4712`. --data is a file of CSV, TSV or JSON lines, compressed or not, or `-` for
stdin; or one of the Stanford Sentiment Treebank, whose name begins with `stsa.`. Labels are matched by name. With
--endpoint the deployed function classifies. Texts are cut to the words that the model takes.

Baselines learn from the rows that --trained-on names, those that the model was trained on. --report names a folder for
a page that shows all figures, and the most confident mistakes.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inference.model_file import Model
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from kim_cnn import predict
from kim_cnn.dataset import Sentence, is_sst, read_sst, to_sentences
from toolkit.cli import run
from toolkit.training.baselines import class_baselines
from toolkit.training.labelled import Row, check_labels, read_rows
from toolkit.training.metrics import without_vector
from toolkit.training.options import add_columns, evaluation_options, evaluation_parser
from toolkit.training.page import write_report
from toolkit.training.remote import post_all, split
from toolkit.training.report import ClassReport, class_report
from toolkit.vectors.file import load_vectors

AT_A_TIME = 128  # sentences whose vectors are in memory


def words_of(sentences: Iterable[Sentence]) -> set[str]:
    """Return every word of the sentences."""
    return {word for sentence in sentences for word in sentence.words}


def scores(
    model: Model, sentences: Sequence[Sentence], vectors: Mapping[str, np.ndarray | None], quiet: bool = True
) -> np.ndarray:
    """Return the logits of each sentence, float32 (sentences, classes), as the handler computes them."""
    words = [sentence.words for sentence in sentences]
    logits = []
    for start in tqdm(range(0, len(words), AT_A_TIME), unit="batch", disable=True if quiet else None):
        logits.append(model.logits(predict.batches(model, words[start : start + AT_A_TIME], vectors)))
    return np.concatenate(logits)


def served_probabilities(
    url: str, rows: Sequence[Row], settings: Settings, quiet: bool = True
) -> tuple[list[str], np.ndarray]:
    """Return the classes of the function deployed at `url`, and their probabilities of each row (rows, classes)."""
    requests = [{"input": group} for group in split((row.text for row in rows), {"input": []}, settings)]
    answers = [each for answer in post_all(url, requests, quiet) for each in answer["probabilities"]]
    return list(answers[0]), np.array([list(each.values()) for each in answers])


def measure(
    model: Model,
    rows: Sequence[Row],
    sentences: Sequence[Sentence],
    vectors: Mapping[str, np.ndarray | None],
    trained_on: Sequence[Row] = (),
    quiet: bool = True,
) -> ClassReport:
    """Measure a model by `rows`, whose words are the `sentences`, beside baselines that learn from `trained_on`."""
    names = model.config["labels"]
    probabilities = predict.softmax(scores(model, sentences, vectors, quiet))
    unknown = without_vector((sentence.words for sentence in sentences), vectors)
    baselines = class_baselines(names, trained_on, rows) if trained_on else {}
    return class_report(names, rows, probabilities, unknown, baselines)


def show(report: ClassReport) -> None:
    """Print a report; the last line is its accuracy."""
    print(report.as_text(), f"accuracy {report.scores['accuracy']:.4f}", sep="\n\n")


def read(path: Path, text_columns: Sequence[str] | None, label_column: str) -> list[Row]:
    """Read the rows of a file of the Treebank or of one's own."""
    return read_sst(path) if is_sst(path) else read_rows(path, text_columns or ["text"], label_column)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = evaluation_parser(__doc__, "a file of texts with their labels")
    parser.add_argument("--trained-on", type=Path, metavar="FILE", help="rows for baselines to learn from")
    add_columns(parser)
    options = evaluation_options(parser, argv)
    columns = options.text_column, options.label_column
    rows = read(options.data, *columns)
    trained_on = read(options.trained_on, *columns) if options.trained_on else []
    settings = Settings.from_environment()
    if options.endpoint:
        names, probabilities = served_probabilities(options.endpoint, rows, settings, options.quiet)
        check_labels(rows, names)
        baselines = class_baselines(names, trained_on, rows) if trained_on else {}
        report = class_report(names, rows, probabilities, None, baselines)
    else:
        model = predict.load(options.model)
        tokenizer = Tokenizer.from_config(model.config, settings.max_words)
        sentences = to_sentences(rows, model.config["labels"], tokenizer)
        vectors = load_vectors(options.vectors, words_of(sentences), model.vector_length)
        report = measure(model, rows, sentences, vectors, trained_on, options.quiet)
    if options.report:
        write_report(options.report, report, options.endpoint or str(options.model), str(options.data))
    show(report)
    return 0


if __name__ == "__main__":
    run(main)
