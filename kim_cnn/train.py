"""Train a Kim CNN on labelled text and write its model file.

    python -m kim_cnn.train --data tickets.csv --vectors glove.6B.50d.txt --output tickets.model
    python -m kim_cnn.train --data mails.jsonl --text-column subject --text-column body --label-column folder \\
        --vectors glove.6B.50d.txt --metric macro-f1 --class-weights balanced --output mails.model
    python -m kim_cnn.train --data sst --dataset sst-2 --mode multichannel \\
        --vectors GoogleNews-vectors-negative300.bin --output sst-2.model

--data is a file of CSV, TSV or JSON lines, compressed or not, or `-` for stdin; or the folder of the Stanford Sentiment
Treebank, with the files `stsa.fine.*.tsv` (SST-1) and `stsa.binary.*.tsv` (SST-2). The state with the best score on the
dev set is kept; of a file that is a tenth of its rows unless --dev names another. Ctrl-C ends the training and keeps
the best so far. The last line on stdout is what `kim_cnn.evaluate` prints for the written model and these rows.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference.settings import Settings
from inference.tokenizer import MOST_WORDS, Tokenizer
from kim_cnn import predict
from kim_cnn.dataset import SST_LABELS, Sentence, read_sst, to_sentences
from kim_cnn.evaluate import measure, scores, show, words_of
from kim_cnn.model import KimCNN
from toolkit.cli import positive, run
from toolkit.training import labelled, metrics
from toolkit.training.batches import hide, pad
from toolkit.training.embedding import TrainableEmbedding
from toolkit.training.loop import fit
from toolkit.training.model_writer import make_card, make_check
from toolkit.training.options import add_columns, training_options, training_parser
from toolkit.training.page import write_report
from toolkit.training.trained import TrainedModel

FILTERS = 100  # of each width, as in the paper
MAX_WORDS = 400  # of a text, the rest is cut off: most mails and reviews are shorter
STEPS = 100  # that count as an epoch where an epoch of the data has fewer
SENTENCE_COPIES = 3  # of each whole sentence of the Treebank, beside the phrases, which hold it once
DATASETS = {"sst-1": "fine", "sst-2": "binary"}  # and the names of their files
# How much more a row of a rare class counts: the power of its class's weight. The square root, the default for data of
# one's own, raises macro-F1 and costs no accuracy.
CLASS_WEIGHTS = {"none": 0.0, "root": 0.5, "balanced": 1.0}
METRICS = {"accuracy": metrics.accuracy, "macro-f1": metrics.macro_f1}


@dataclass(frozen=True)
class Recipe:
    """How to train in one mode. By default as Castor trained its Kim CNN on the Treebank."""

    epochs: int
    dropout: float = 0.4
    batch: int = 50
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adadelta  # of the network
    learning_rate: float = 0.3213
    weight_decay: float = 2e-4
    vector_learning_rate: float = 30.0  # times the variance of the vectors
    vector_dropout: float = 0.0  # share of the components of word vectors that become 0, anew in each batch
    whole: int | None = None  # texts of up to so many words are seen whole, longer ones with words hidden
    distance: float = 0.0  # adversarial training moves a sentence this far, times the length of a typical vector
    averaging: int = 3  # η of the ParameterAverage that is scored and kept
    checks: int = 8  # of the dev score in an epoch
    patience: int | None = None  # epochs without a better dev score, after which training ends
    metric: str = "accuracy"  # the dev score
    dev_loss: bool = False  # whether the loss on dev counts as well
    class_weights: str = "none"  # one of CLASS_WEIGHTS
    text: dict[str, Any] | None = None  # the config's `tokenizer` and `max_words`; None: as without


# Trained vectors soon fit the phrases by heart: part of their components is dropped, the rest is moved against them.
SST_RECIPES = {
    "rand": Recipe(epochs=5, vector_learning_rate=100.0),
    "static": Recipe(epochs=7, dropout=0.1),
    "non-static": Recipe(epochs=4, vector_dropout=0.2, distance=0.05, averaging=30),
    "multichannel": Recipe(epochs=5, vector_dropout=0.2, distance=0.05, averaging=30),
}


def own_recipe(mode: str, rows: int, max_words: int) -> Recipe:
    """Return the recipe for data of one's own, `rows` to train on, which was tuned to none.

    Case marks and placeholders are words with trained vectors: without training they would all be unknown words. Few
    rows are gone through more often, as a network takes several hundred steps to learn, however few they are. Of a
    long text words are hidden, so that the network looks for all that speaks for a class, not for the one best sign.
    Accuracy on a hundred rows of dev tells states badly apart: the loss there counts as well.
    """
    trained = mode != "static"
    batch = 50
    steps = math.ceil(rows / batch)  # of an epoch
    again = math.ceil(STEPS / steps)
    return Recipe(
        epochs=6 * again,
        patience=3 * again,
        batch=batch,
        dropout=0.5,
        optimizer=torch.optim.AdamW,
        learning_rate=1e-3,
        weight_decay=1e-2,
        vector_dropout=0.1,
        whole=50,
        distance=0.05,
        dev_loss=True,
        checks=math.ceil(steps / (10 * STEPS)),
        class_weights="root",
        text={"tokenizer": {"case_marks": trained, "placeholders": trained}, "max_words": max_words},
    )


class Data(NamedTuple):
    """Sentences to train on and to measure with, and the names of their classes."""

    train: list[Sentence]
    dev: list[Sentence]
    test: list[Sentence]
    labels: list[str]


def read_treebank(folder: Path, dataset: str) -> labelled.Data:
    """Read a data set of the Treebank, its whole sentences several times. Raises CommandError for a bad line."""
    phrases, sentences, dev = (
        read_sst(folder / f"stsa.{DATASETS[dataset]}.{split}.tsv") for split in ("phrases.train", "train", "dev")
    )
    return labelled.Data(phrases + SENTENCE_COPIES * sentences, dev, [], list(SST_LABELS[DATASETS[dataset]]))


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
        **(recipe.text or {}),
    }
    network = KimCNN.from_config(config)
    modules = nn.ModuleList([network, embedding]).to(device)
    model = TrainedModel(predict.ARCHITECTURE, config, network, embedding)

    sentences = [embedding.indices(sentence.words) for sentence in data.train]  # each (words,)
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    labels = torch.tensor([sentence.label for sentence in data.train])  # (sentences,)
    power = CLASS_WEIGHTS[recipe.class_weights]
    weights = balanced(labels).pow(power).to(device) if power else None  # (classes,)
    typical_length = (embedding.channels * embedding.dim * embedding.variance) ** 0.5  # the L2 norm of a word's vector
    distance = recipe.distance * typical_length

    def loss(rows: Tensor) -> Tensor:
        words, length = pad(sentences, rows)  # (batch, time), (batch,)
        if recipe.whole:
            words = hide(words, shown(length, recipe.whole)[:, None])
        words, length, label = words.to(device), length.to(device), labels[rows].to(device)
        vectors = F.dropout(embedding(words), recipe.vector_dropout)  # (batch, time, channels × dim)
        if distance:
            unmoved = F.cross_entropy(network(vectors.requires_grad_(), length), label, weights)
            vectors = move_against(vectors, unmoved, distance)
        return F.cross_entropy(network(vectors, length), label, weights)

    optimizer = recipe.optimizer(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    model.interrupted = fit(
        modules,
        loss,
        lambda: dev_score(model, data.dev, recipe.metric, recipe.dev_loss),
        lengths=lengths,
        batch=recipe.batch,
        optimizers=[optimizer, *embedding.optimizers(vector_rate(recipe, lengths))],
        epochs=recipe.epochs,
        checks=recipe.checks,
        averaging=recipe.averaging,
        quiet=quiet,
        patience=recipe.patience,
    )
    return model


def shown(lengths: Tensor, whole: int) -> Tensor:
    """Return the share of its words that a text of each of these `lengths` shows in training, (texts,).

    One of up to `whole` words shows all; one of n words √(whole × n) of them, on average.
    """
    return (whole / lengths).clamp(max=1).sqrt()


def vector_rate(recipe: Recipe, lengths: Tensor) -> float:
    """Return the vectors' learning rate for texts of these `lengths` (texts,).

    It grows with the mean length where words are hidden: a word of a long text gets little of the gradient, as it is
    often hidden, and few of the filters choose it.
    """
    longer = lengths.float().mean().item() / recipe.whole if recipe.whole else 1.0
    return recipe.vector_learning_rate * max(1.0, longer)


def balanced(labels: Tensor) -> Tensor:
    """Return the weight of each class, (classes,): all rows / (classes × rows of the class), as scikit-learn has it."""
    counts = labels.bincount()
    return len(labels) / (len(counts) * counts)


def move_against(vectors: Tensor, loss: Tensor, distance: float) -> Tensor:
    """Return `vectors` (batch, time, channels × dim) moved to where their `loss` is worst, to a first approximation.

    For adversarial training (Miyato, Dai and Goodfellow 2017, section 3), here without the loss of the vectors as they
    are: each sentence moves by `distance`, the L2 norm over all of its words, along the gradient.
    """
    (gradient,) = torch.autograd.grad(loss, vectors)
    return vectors + distance * F.normalize(gradient.flatten(1)).view_as(gradient)


def dev_score(model: TrainedModel, dev: Sequence[Sentence], metric: str, with_loss: bool) -> float:
    """Return the score of a model as it is now: its `metric`.

    With the loss: the mean of that and of the probability of the right class, a geometric mean over the rows.
    """
    labels = [sentence.label for sentence in dev]
    logits = scores(model.served(), dev, model.embedding.table())
    score = METRICS[metric](labels, logits.argmax(1))
    if with_loss:
        loss = F.cross_entropy(torch.from_numpy(logits), torch.tensor(labels)).item()
        score = (score + math.exp(-loss)) / 2
    return score


def one_a_class(rows: Iterable[labelled.Row]) -> list[labelled.Row]:
    """Return the first row of each label, then the others."""
    rows = list(rows)
    first = list({row.label: row for row in reversed(rows)}.values())
    return first[::-1] + [row for row in rows if row not in first]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; exits with code 2 when they don't fit together."""
    parser = training_parser(__doc__, DATASETS, "kim_cnn.model", own_mode="non-static")
    own = parser.add_argument_group("data of one's own")
    add_columns(own)
    own.add_argument("--dev", type=Path, metavar="FILE", help="rows to choose the best state by (default: a tenth)")
    own.add_argument("--test", type=Path, metavar="FILE", help="rows to measure with at the end")
    own.add_argument(
        "--max-words", type=positive, default=MAX_WORDS, help=f"longer texts are cut to them (default: {MAX_WORDS})"
    )
    parser.add_argument("--metric", choices=METRICS, default="accuracy", help="the score on dev (default: accuracy)")
    parser.add_argument(
        "--class-weights",
        choices=CLASS_WEIGHTS,
        help="balanced: a rare class counts as much as a frequent one; root: something between; none: each row counts "
        "alike (default: root, of the Treebank none)",
    )
    parser.add_argument("--no-samples", action="store_true", help="keep no texts of dev in the model file")
    options = training_options(parser, argv)
    if options.data.is_dir() and (options.dev or options.test):
        parser.error("--dev and --test go with a file as --data")
    if options.max_words > MOST_WORDS:
        parser.error(f"--max-words can be {MOST_WORDS} at most")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = parse(argv)
    torch.manual_seed(options.seed)
    if options.data.is_dir():
        recipe, rows = SST_RECIPES[options.mode], read_treebank(options.data, options.dataset)
    else:
        torch.set_num_threads(1)  # batches are small: with two, on a busy machine, they took ten times as long
        columns = options.text_column or ["text"], options.label_column
        rows = labelled.read_data(options.data, options.dev, options.test, *columns, options.seed)
        recipe = own_recipe(options.mode, len(rows.train), options.max_words)
    recipe = replace(
        recipe,
        epochs=options.epochs or recipe.epochs,
        metric=options.metric,
        class_weights=options.class_weights or recipe.class_weights,
    )
    tokenizer = Tokenizer.from_config(recipe.text or {}, Settings.from_environment().max_words)
    train_set, dev, test = (to_sentences(each, rows.labels, tokenizer) for each in (rows.train, rows.dev, rows.test))
    data = Data(train_set, dev, test, rows.labels)
    words = map(words_of, (data.train, data.dev, data.test))
    embedding = TrainableEmbedding.load(options.mode, options.vectors, options.dim, *words)
    model = train(recipe, data, embedding, options.quiet)
    served, vectors = model.served(), embedding.table()
    texts = () if options.no_samples else (row.text for row in rows.dev)
    requests = [predict.EXAMPLE, *({"input": text} for text in texts)]
    card = make_card(
        options.output.stem,
        f"A Kim CNN that tells {len(data.labels)} classes apart: {', '.join(data.labels)}.",
        () if options.no_samples else ({"input": row.text} for row in one_a_class(rows.dev)),
    )
    check = make_check(predict, served, requests, vectors)
    model.write(options.output, check, card, options.export_vectors, options.vectors)
    for name, measured, sentences in (("dev", rows.dev, data.dev), ("test", rows.test, data.test)):
        if measured:
            report = measure(served, measured, sentences, vectors, rows.train)
            print(f"\n{name}, {report.rows:,} rows\n")
            show(report)
    if options.report:
        write_report(options.report, report, str(options.output), name)
    return 130 if model.interrupted else 0


if __name__ == "__main__":
    run(main)
