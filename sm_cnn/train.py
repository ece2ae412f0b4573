"""Train an SM-CNN on TrecQA or WikiQA and write its model file.

    python -m sm_cnn.train --data trecqa --vectors glove.6B.50d.txt.gz --output sm_cnn.model
    python -m sm_cnn.train --data wikiqa --dataset wikiqa --mode non-static \\
        --vectors glove.6B.50d.txt.gz --export-vectors wikiqa.vectors.txt --output wikiqa.model

--data is the folder that holds the splits (`train-all`, `raw-dev`, … with a.toks, b.toks, id.txt and sim.txt
in each). The state with the best MAP on the dev split is kept. The last line on stdout is what
`sm_cnn.evaluate` prints for the written model on the dev split.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference.settings import Settings
from inference.tokenizer import Tokenizer
from sm_cnn import overlap, predict
from sm_cnn.dataset import Question, read_questions
from sm_cnn.evaluate import cut, scores, words_of
from sm_cnn.initialisation import begin_with_containment
from sm_cnn.model import SMCNN
from toolkit.cli import run
from toolkit.training.batches import pad
from toolkit.training.embedding import TrainableEmbedding
from toolkit.training.loop import fit
from toolkit.training.metrics import map_mrr
from toolkit.training.model_writer import make_card, make_check
from toolkit.training.options import training_options, training_parser
from toolkit.training.trained import TrainedModel

FILTERS, WIDTH = 100, 5  # as in the paper


@dataclass(frozen=True)
class Recipe:
    """How to train on one data set, in any mode."""

    train: str  # the splits
    dev: str
    epochs: int
    features: bool = True  # the overlap features
    batch: int = 64
    dropout: float = 0.5
    word_dropout: float = 0.0  # share of words that become unknown ones, anew in each batch
    learning_rate: float = 1e-3  # of Adam
    weight_decay: float = 1e-3
    vector_learning_rate: float = 10.0  # times the variance of the vectors
    averaged: bool = False  # whether it is the average of the parameters that is scored and kept
    checks: int = 1  # of the dev score in an epoch


RECIPES = {
    "trecqa-all": Recipe("train-all", "raw-dev", epochs=4),
    "trecqa": Recipe("train", "raw-dev", epochs=20),
    "wikiqa": Recipe("train", "dev", epochs=8),
}


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
        averaged=True,
        checks=4,
    )


class Data(NamedTuple):
    """Questions to train on and to measure with."""

    train: list[Question]
    dev: list[Question]


def read_data(folder: Path, recipe: Recipe, tokenizer: Tokenizer) -> Data:
    """Read the splits; sentences of the dev set are cut to what a model takes. Raises CommandError for a bad line."""
    train, dev = (read_questions(folder / split, tokenizer) for split in (recipe.train, recipe.dev))
    return Data(train, cut(dev, tokenizer))


def train(recipe: Recipe, data: Data, embedding: TrainableEmbedding, quiet: bool = False) -> TrainedModel:
    """Train an SM-CNN, and the vectors where the embedding's mode does; keep what scored best on the dev set."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = {
        "mode": embedding.mode,
        "channels": embedding.channels,
        "dim": embedding.dim,
        "filters": FILTERS,
        "width": WIDTH,
        "features": recipe.features,
        "dropout": recipe.dropout,
    }
    network = SMCNN.from_config(config)
    if not recipe.features:
        begin_with_containment(network, embedding.variance)
    modules = nn.ModuleList([network, embedding]).to(device)
    overlap_data = overlap.fit([(each.words, each.answers) for each in data.train]) if recipe.features else None
    model = TrainedModel(predict.ARCHITECTURE, config, network, embedding, overlap_data)

    # A row for each pair of question and answer.
    questions = [embedding.indices(question.words) for question in data.train for _ in question.answers]
    answers = [embedding.indices(answer) for question in data.train for answer in question.answers]
    labels = torch.tensor([label for question in data.train for label in question.labels])  # (pairs,)
    features = overlap_features(overlap_data, data.train) if overlap_data else None  # (pairs, 4)

    def loss(rows: Tensor) -> Tensor:
        question, question_lengths = pad(questions, rows, recipe.word_dropout)  # (batch, time), (batch,)
        answer, answer_lengths = pad(answers, rows, recipe.word_dropout)
        logits = network(
            embedding(question.to(device)),  # (batch, time, channels × dim)
            question_lengths.to(device),
            embedding(answer.to(device)),
            answer_lengths.to(device),
            None if features is None else features[rows].to(device),
        )
        return F.cross_entropy(logits, labels[rows].to(device))

    network_optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    model.interrupted = fit(
        modules,
        loss,
        lambda: dev_map_mrr(model, data.dev)[0],
        lengths=torch.tensor([len(answer) for answer in answers]),
        batch=recipe.batch,
        optimizers=[network_optimizer, *embedding.optimizers(recipe.vector_learning_rate)],
        epochs=recipe.epochs,
        checks=recipe.checks,
        averaged=recipe.averaged,
        quiet=quiet,
    )
    return model


def overlap_features(overlap_data: dict[str, object], questions: Sequence[Question]) -> Tensor:
    """Return the overlap features of every pair, float32 (pairs, 4)."""
    rows = [torch.from_numpy(overlap.features(overlap_data, each.words, each.answers)) for each in questions]
    return torch.cat(rows)


def dev_map_mrr(model: TrainedModel, dev: Sequence[Question]) -> tuple[float, float]:
    """Return MAP and MRR of a model as it is now."""
    return map_mrr([question.labels for question in dev], scores(model.served(), dev, model.embedding.table()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = training_parser(__doc__, RECIPES, "sm_cnn.model")
    parser.add_argument("--no-features", action="store_true", help="leave the overlap features out")
    options = training_options(parser, argv)
    recipe = RECIPES[options.dataset]
    if options.no_features:
        recipe = without_features(recipe)
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
    torch.manual_seed(options.seed)
    tokenizer = Tokenizer(max_words=Settings.from_environment().max_words)
    data = read_data(options.data, recipe, tokenizer)
    embedding = TrainableEmbedding.load(
        options.mode, options.vectors, options.dim, words_of(data.train), words_of(data.dev)
    )
    model = train(recipe, data, embedding, options.quiet)
    pairs = ({"sent1": each.text, "sent2": each.answer_texts[0]} for each in data.dev)
    check = make_check(predict, model.served(), [predict.EXAMPLE, *pairs], model.embedding.table())
    samples = ({"sent1": each.text, "sent2": each.answer_texts[:5]} for each in data.dev)
    card = make_card(options.output.stem, "An SM-CNN that scores how well a text answers a question.", samples)
    model.write(options.output, check, card, options.export_vectors, options.vectors)
    print("MAP {:.4f} MRR {:.4f}".format(*dev_map_mrr(model, data.dev)))
    return 130 if model.interrupted else 0


if __name__ == "__main__":
    run(main)
