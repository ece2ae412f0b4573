"""Train a Kim CNN on the Stanford Sentiment Treebank and write its model file.

    python -m kim_cnn.train --data sst --vectors glove.6B.50d.txt.gz --output kim_cnn.model
    python -m kim_cnn.train --data sst --dataset sst-2 --mode multichannel \\
        --vectors GoogleNews-vectors-negative300.bin --export-vectors sst-2.vectors.txt --output sst-2.model

--data is the folder with the files `stsa.fine.*.tsv` (SST-1) and `stsa.binary.*.tsv` (SST-2). The state with
the best accuracy on the dev file is kept. The last line on stdout is what `kim_cnn.evaluate` prints for the
written model on the dev file.
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
from kim_cnn import predict
from kim_cnn.dataset import Sentence, read_sentences
from kim_cnn.evaluate import cut, predictions, words_of
from kim_cnn.model import KimCNN
from toolkit.cli import run
from toolkit.training.batches import pad
from toolkit.training.embedding import TrainableEmbedding
from toolkit.training.loop import fit
from toolkit.training.metrics import accuracy
from toolkit.training.model_writer import make_check
from toolkit.training.options import training_options, training_parser
from toolkit.training.trained import TrainedModel

FILTERS = 100  # of each width, as in the paper


@dataclass(frozen=True)
class Recipe:
    """How to train in one mode. Optimizer, its settings, dropout and the batch are those of Castor's Kim CNN."""

    epochs: int
    dropout: float = 0.4
    batch: int = 50
    learning_rate: float = 0.3213  # of Adadelta
    weight_decay: float = 2e-4
    vector_learning_rate: float = 30.0  # times the variance of the vectors
    vector_dropout: float = 0.0  # share of the components of word vectors that become 0, anew in each batch
    distance: float = 0.0  # adversarial training moves a sentence this far, times the length of a typical vector
    checks: int = 8  # of the dev score in an epoch
    sentence_copies: int = 3  # of each whole sentence, beside the phrases, which hold it once


# Trained vectors soon fit the phrases by heart: part of their components is dropped, the rest is moved against them.
RECIPES = {
    "rand": Recipe(epochs=5, vector_learning_rate=100.0),
    "static": Recipe(epochs=7, dropout=0.1),
    "non-static": Recipe(epochs=4, vector_dropout=0.2, distance=0.05),
    "multichannel": Recipe(epochs=5, vector_dropout=0.2, distance=0.05),
}


class Dataset(NamedTuple):
    """What the files of a data set are called, and its classes."""

    files: str
    labels: tuple[str, ...]


DATASETS = {
    "sst-1": Dataset("fine", ("very negative", "negative", "neutral", "positive", "very positive")),
    "sst-2": Dataset("binary", ("negative", "positive")),
}


class Data(NamedTuple):
    """Sentences to train on and to measure with, and the names of their classes."""

    train: list[Sentence]
    dev: list[Sentence]
    labels: tuple[str, ...]


def read_data(folder: Path, dataset: Dataset, sentence_copies: int, tokenizer: Tokenizer) -> Data:
    """Read a data set; sentences of the dev set are cut to what a model takes. Raises CommandError for a bad line."""
    phrases, sentences, dev = (
        read_sentences(folder / f"stsa.{dataset.files}.{split}.tsv", len(dataset.labels), tokenizer)
        for split in ("phrases.train", "train", "dev")
    )
    return Data(phrases + sentence_copies * sentences, cut(dev, tokenizer), dataset.labels)


def train(recipe: Recipe, data: Data, embedding: TrainableEmbedding, quiet: bool = False) -> TrainedModel:
    """Train a Kim CNN, and the vectors where the embedding's mode does; keep what scored best on the dev set."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = {
        "mode": embedding.mode,
        "channels": embedding.channels,
        "dim": embedding.dim,
        "filters": FILTERS,
        "labels": list(data.labels),
        "dropout": recipe.dropout,
    }
    network = KimCNN.from_config(config)
    modules = nn.ModuleList([network, embedding]).to(device)
    model = TrainedModel(predict.ARCHITECTURE, config, network, embedding)

    sentences = [embedding.indices(sentence.words) for sentence in data.train]  # each (words,)
    labels = torch.tensor([sentence.label for sentence in data.train])  # (sentences,)
    typical_length = (embedding.channels * embedding.dim * embedding.variance) ** 0.5  # the L2 norm of a word's vector
    distance = recipe.distance * typical_length

    def loss(rows: Tensor) -> Tensor:
        words, lengths = (each.to(device) for each in pad(sentences, rows))  # (batch, time), (batch,)
        label = labels[rows].to(device)  # (batch,)
        vectors = F.dropout(embedding(words), recipe.vector_dropout)  # (batch, time, channels × dim)
        if distance:
            unmoved = F.cross_entropy(network(vectors.requires_grad_(), lengths), label)
            vectors = move_against(vectors, unmoved, distance)
        return F.cross_entropy(network(vectors, lengths), label)

    network_optimizer = torch.optim.Adadelta(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    model.interrupted = fit(
        modules,
        loss,
        lambda: dev_accuracy(model, data.dev),
        lengths=torch.tensor([len(sentence) for sentence in sentences]),
        batch=recipe.batch,
        optimizers=[network_optimizer, *embedding.optimizers(recipe.vector_learning_rate)],
        epochs=recipe.epochs,
        checks=recipe.checks,
        averaged=True,
        quiet=quiet,
    )
    return model


def move_against(vectors: Tensor, loss: Tensor, distance: float) -> Tensor:
    """Return `vectors` (batch, time, channels × dim) moved to where their `loss` is worst, to a first approximation.

    For adversarial training (Miyato, Dai and Goodfellow 2017, section 3), here without the loss of the vectors as they
    are: each sentence moves by `distance`, the L2 norm over all of its words, along the gradient.
    """
    (gradient,) = torch.autograd.grad(loss, vectors)
    return vectors + distance * F.normalize(gradient.flatten(1)).view_as(gradient)


def dev_accuracy(model: TrainedModel, dev: Sequence[Sentence]) -> float:
    """Return the accuracy of a model as it is now."""
    return accuracy([sentence.label for sentence in dev], predictions(model.served(), dev, model.embedding.table()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = training_options(training_parser(__doc__, DATASETS, "kim_cnn.model"), argv)
    recipe = RECIPES[options.mode]
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
    torch.manual_seed(options.seed)
    tokenizer = Tokenizer(max_words=Settings.from_environment().max_words)
    data = read_data(options.data, DATASETS[options.dataset], recipe.sentence_copies, tokenizer)
    embedding = TrainableEmbedding.load(
        options.mode, options.vectors, options.dim, words_of(data.train), words_of(data.dev)
    )
    model = train(recipe, data, embedding, options.quiet)
    requests = [predict.EXAMPLE, *({"input": sentence.text} for sentence in data.dev)]
    check = make_check(predict, model.served(), requests, model.embedding.table())
    model.write(options.output, check, options.export_vectors, options.vectors)
    print(f"accuracy {dev_accuracy(model, data.dev):.4f}")
    return 130 if model.interrupted else 0


if __name__ == "__main__":
    run(main)
