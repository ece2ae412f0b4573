"""Train an SM-CNN on questions and answers of one's own, or on TrecQA or WikiQA, and write its model file.

    python -m sm_cnn.train --data qa.csv --vectors glove.6B.50d.txt.gz --output qa.model
    python -m sm_cnn.train --data train.jsonl --dev dev.jsonl --test test.jsonl --question-column title \\
        --answer-column body --vectors glove.6B.50d.txt.gz
    python -m sm_cnn.train --data trecqa --vectors glove.6B.50d.txt.gz --output sm_cnn.model
    python -m sm_cnn.train --data wikiqa --dataset wikiqa --mode non-static \\
        --vectors glove.6B.50d.txt.gz --export-vectors wikiqa.vectors.txt --output wikiqa.model

--data is a file of CSV, TSV or JSON lines, compressed or not, or `-` for stdin, with the columns `question`, `answer`
and `label` unless named: 1 for a relevant answer, 0 for another. A tenth of the questions are the dev set, drawn by the
seed, unless --dev names one; no question is in both. Or --data is the folder that holds the splits of a data set
(`train-all`, `raw-dev`, … with a.toks, b.toks, id.txt and sim.txt in each). The state with the best mean of MAP
and MRR on dev is kept. Training ends with what `sm_cnn.evaluate` prints for the written model on dev, and on --test
FILE.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference.settings import Settings
from inference.tokenizer import Tokenizer
from sm_cnn import overlap, predict
from sm_cnn.dataset import Data, Question, cut, read_own, read_questions
from sm_cnn.evaluate import measure, scores, show, words_of
from sm_cnn.initialisation import begin_with_containment
from sm_cnn.model import SMCNN
from toolkit.cli import run
from toolkit.training.batches import hide, pad
from toolkit.training.embedding import TrainableEmbedding
from toolkit.training.loop import fit
from toolkit.training.metrics import map_mrr
from toolkit.training.model_writer import make_card, make_check
from toolkit.training.options import add_pair_columns, pair_columns, training_options, training_parser
from toolkit.training.page import write_report
from toolkit.training.trained import TrainedModel

FILTERS, WIDTH = 100, 5  # as in the paper


MAX_WORDS = 256  # of a sentence of one's own data, the rest is cut off


@dataclass(frozen=True)
class Recipe:
    """How to train on one data set, in any mode."""

    epochs: int
    patience: int | None = None  # epochs without a better dev score, after which training ends
    features: bool = True  # beside the words
    batch: int = 64
    dropout: float = 0.5
    word_dropout: float = 0.0  # share of words that become unknown ones, anew in each batch
    learning_rate: float = 1e-3  # of Adam
    weight_decay: float = 1e-3
    vector_learning_rate: float = 10.0  # times the variance of the vectors
    averaging: int | None = None  # η of the ParameterAverage that is scored and kept; None: the parameters are
    checks: int = 1  # of the dev score in an epoch
    text: dict[str, Any] | None = None  # the config's `max_words`; None: as without


RECIPES = {
    "trecqa-all": Recipe(epochs=4, averaging=3, checks=2),
    "trecqa": Recipe(epochs=20),
    "wikiqa": Recipe(epochs=8),
}
SPLITS = {"trecqa-all": ("train-all", "raw-dev"), "trecqa": ("train", "raw-dev"), "wikiqa": ("train", "dev")}
# For data of one's own, tuned to none. Words have no marks of case, which an answer would repeat as if they were words.
OWN_RECIPE = Recipe(epochs=20, patience=4, text={"max_words": MAX_WORDS})


def without_features(recipe: Recipe) -> Recipe:
    """Return the recipe for the same data without overlap features.

    The words are all there is then, and are soon learnt by heart: hide some of them, train for half as long again,
    average.
    """
    return replace(
        recipe,
        features=False,
        epochs=recipe.epochs * 3 // 2,
        word_dropout=0.2,
        weight_decay=1e-4,
        averaging=3,
        checks=4,
    )


def read_data(folder: Path, dataset: str, tokenizer: Tokenizer) -> Data:
    """Read the splits of a data set; sentences of dev are cut to what a model takes. Raises CommandError as needed."""
    train, dev = (read_questions(folder / split, tokenizer) for split in SPLITS[dataset])
    return Data(train, cut(dev, tokenizer), [])


def train(recipe: Recipe, data: Data, embedding: TrainableEmbedding, quiet: bool = False) -> TrainedModel:
    """Train an SM-CNN, and the vectors where the embedding's mode does; keep what scored best on the dev set."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Those of meaning would not stay what they were fitted to where the vectors are trained.
    features = (overlap.FEATURES if embedding.mode == "static" else overlap.OF_WORDS) if recipe.features else False
    config = {
        "mode": embedding.mode,
        "channels": embedding.channels,
        "dim": embedding.dim,
        "filters": FILTERS,
        "width": WIDTH,
        "features": features,
        "dropout": recipe.dropout,
        **(recipe.text or {}),
    }
    network = SMCNN.from_config(config)
    if not recipe.features:
        begin_with_containment(network, embedding.variance)
    modules = nn.ModuleList([network, embedding]).to(device)
    overlap_data, of_pairs = None, None  # the features of all pairs (pairs, features)
    if features:
        pairs = [(each.words, each.answers) for each in data.train]
        overlap_data, fitted = overlap.fit(pairs, features, embedding.table(), embedding.channels * embedding.dim)
        of_pairs = torch.from_numpy(fitted)
    model = TrainedModel(predict.ARCHITECTURE, config, network, embedding, overlap_data)

    # A row for each pair of question and answer.
    questions = [embedding.indices(question.words) for question in data.train for _ in question.answers]
    answers = [embedding.indices(answer) for question in data.train for answer in question.answers]
    labels = torch.tensor([label for question in data.train for label in question.labels])  # (pairs,)

    def loss(rows: Tensor) -> Tensor:
        question, question_lengths = pad(questions, rows)  # (batch, time), (batch,)
        answer, answer_lengths = pad(answers, rows)
        if recipe.word_dropout:
            question, answer = hide(question, 1 - recipe.word_dropout), hide(answer, 1 - recipe.word_dropout)
        logits = network(
            embedding(question.to(device)),  # (batch, time, channels × dim)
            question_lengths.to(device),
            embedding(answer.to(device)),
            answer_lengths.to(device),
            None if of_pairs is None else of_pairs[rows].to(device),
        )
        return F.cross_entropy(logits, labels[rows].to(device))

    network_optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    model.interrupted = fit(
        modules,
        loss,
        lambda: dev_score(model, data.dev),
        lengths=torch.tensor([len(answer) for answer in answers]),
        batch=recipe.batch,
        optimizers=[network_optimizer, *embedding.optimizers(recipe.vector_learning_rate)],
        epochs=recipe.epochs,
        checks=recipe.checks,
        averaging=recipe.averaging,
        quiet=quiet,
        patience=recipe.patience,
    )
    return model


def dev_score(model: TrainedModel, dev: Sequence[Question]) -> float:
    """Return the mean of MAP and MRR of a model as it is now."""
    return fmean(map_mrr([question.labels for question in dev], scores(model.served(), dev, model.embedding.table())))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; exits with code 2 when they don't fit together."""
    parser = training_parser(__doc__, RECIPES, "sm_cnn.model")
    parser.add_argument("--no-features", action="store_true", help="leave the overlap features out")
    own = parser.add_argument_group("data of one's own")
    add_pair_columns(own)
    own.add_argument("--dev", type=Path, metavar="FILE", help="questions to choose the best by (default: a tenth)")
    own.add_argument("--test", type=Path, metavar="FILE", help="questions to measure with at the end")
    options = training_options(parser, argv)
    if options.data.is_dir() and (options.dev or options.test):
        parser.error("--dev and --test go with a file as --data")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = parse(argv)
    torch.manual_seed(options.seed)
    recipe = RECIPES[options.dataset] if options.data.is_dir() else OWN_RECIPE
    if options.no_features:
        recipe = without_features(recipe)
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
    tokenizer = Tokenizer.from_config(recipe.text or {}, Settings.from_environment().max_words)
    if options.data.is_dir():
        data = read_data(options.data, options.dataset, tokenizer)
    else:
        columns = pair_columns(options)
        data = read_own(options.data, options.dev, options.test, tokenizer, options.seed, columns)
    embedding = TrainableEmbedding.load(options.mode, options.vectors, options.dim, *map(words_of, data))
    model = train(recipe, data, embedding, options.quiet)
    served, vectors = model.served(), embedding.table()
    pairs = ({"sent1": each.text, "sent2": each.answer_texts[0]} for each in data.dev)
    check = make_check(predict, served, [predict.EXAMPLE, *pairs], vectors)
    samples = ({"sent1": each.text, "sent2": each.answer_texts[:5]} for each in data.dev)
    card = make_card(options.output.stem, "An SM-CNN that scores how well a text answers a question.", samples)
    model.write(options.output, check, card, options.export_vectors, options.vectors)
    for name, questions in (("dev", data.dev), ("test", data.test)):
        if questions:
            report = measure(questions, scores(served, questions, vectors), vectors)
            print(f"\n{name}, {report.rows:,} questions\n")
            show(report)
    if options.report:
        write_report(options.report, report, str(options.output), name)
    return 130 if model.interrupted else 0


if __name__ == "__main__":
    run(main)
