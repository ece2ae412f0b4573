"""Train a Kim CNN on the Stanford Sentiment Treebank and write its model file.

    python -m kim_cnn.train --data sst --vectors glove.6B.50d.txt.gz --output kim_cnn.model
    python -m kim_cnn.train --data sst --dataset sst-2 --mode multichannel \\
        --vectors GoogleNews-vectors-negative300.bin --export-vectors sst-2.vectors.txt --output sst-2.model

--data is the folder with the files `stsa.fine.*.tsv` (SST-1) and `stsa.binary.*.tsv` (SST-2). The state with
the best accuracy on the dev file is kept. The last line on stdout is what `kim_cnn.evaluate` prints for the
written model on the dev file.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference import model_file
from inference.settings import Settings
from kim_cnn.dataset import read_sentences
from kim_cnn.evaluate import cut, predictions, words_of
from kim_cnn.model import KimCNN
from toolkit.cli import run
from toolkit.training import training
from toolkit.training.metrics import accuracy
from toolkit.training.options import training_options, training_parser


class Data(NamedTuple):
    """A data set: the part of its file names that tells it, and its classes."""

    files: str
    labels: tuple[str, ...]


DATASETS = {
    "sst-1": Data("fine", ("very negative", "negative", "neutral", "positive", "very positive")),
    "sst-2": Data("binary", ("negative", "positive")),
}


class Recipe(NamedTuple):
    """How to train in one mode. Optimizer, its settings, dropout and the batch are those of Castor's Kim CNN."""

    epochs: int
    dropout: float = 0.4
    batch: int = 50
    learning_rate: float = 0.3213  # of Adadelta
    weight_decay: float = 2e-4
    vector_learning_rate: float = 30.0  # times the variance of the vectors
    vector_dropout: float = 0.0  # share of the numbers of word vectors that become 0, anew in each batch
    distance: float = 0.0  # adversarial training moves a sentence this far, times the length of a typical vector
    checks: int = 8  # of the dev score in an epoch
    sentences: int = 3  # times that whole sentences are added to the phrases, which hold each once


# Trained vectors soon fit the phrases by heart: part of their numbers is dropped, and the rest is moved against them.
RECIPES = {
    "rand": Recipe(epochs=5, vector_learning_rate=100.0),
    "static": Recipe(epochs=7, dropout=0.1),
    "non-static": Recipe(epochs=4, vector_dropout=0.2, distance=0.05),
    "multichannel": Recipe(epochs=5, vector_dropout=0.2, distance=0.05),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = training_options(training_parser(__doc__ or "", DATASETS, "kim_cnn.model"), argv)
    data, recipe = DATASETS[options.dataset], RECIPES[options.mode]
    max_words = Settings.from_environment().max_words
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    phrases, whole, dev = (
        read_sentences(options.data / f"stsa.{data.files}.{split}.tsv", len(data.labels))
        for split in ("phrases.train", "train", "dev")
    )
    train, dev = phrases + recipe.sentences * whole, cut(dev, max_words)
    words = training.word_vectors(options, words_of(train), words_of(dev))
    config = {
        "mode": options.mode,
        "channels": words.channels,
        "dim": words.dim,
        "filters": 100,
        "labels": list(data.labels),
        "dropout": recipe.dropout,
    }
    network = KimCNN.from_config(config)
    modules = nn.ModuleList([network, words]).to(device)

    sentences = [words.indices(sentence.words) for sentence in train]
    labels = torch.tensor([sentence.label for sentence in train])
    lengths = torch.tensor([len(sentence) for sentence in sentences])

    distance = recipe.distance * (words.channels * words.dim * words.variance) ** 0.5

    def loss_of(vectors: Tensor, length: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(network(vectors, length), label)

    def losses() -> Iterator[Tensor]:
        for batch in training.batches(lengths, recipe.batch):
            sentence, length = training.pad(sentences, batch)
            length, label = length.to(device), labels[batch].to(device)
            vectors = F.dropout(words(sentence.to(device)), recipe.vector_dropout)
            yield training.adversarial(partial(loss_of, length=length, label=label), vectors, distance)

    model = model_file.from_module(network, config, None)

    def dev_accuracy() -> float:
        return accuracy([sentence.label for sentence in dev], predictions(model, dev, words.table()))

    optimizer = torch.optim.Adadelta(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    optimizers = training.optimizers(optimizer, words, recipe.vector_learning_rate)
    steps = sum(1 for _ in lengths.split(recipe.batch))
    averaged = training.Averaged(modules.parameters())
    interrupted = training.fit(
        modules,
        optimizers,
        options.epochs or recipe.epochs,
        steps,
        losses,
        dev_accuracy,
        averaged,
        recipe.checks,
        options.quiet,
    )
    training.write(options, "kim_cnn", network, config, words)
    print(f"accuracy {dev_accuracy():.4f}")
    return 130 if interrupted else 0


if __name__ == "__main__":
    run(main)
