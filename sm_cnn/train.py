"""Train an SM-CNN on TrecQA or WikiQA and write its model file.

    python -m sm_cnn.train --data trecqa --vectors glove.6B.50d.txt.gz --output sm_cnn.model
    python -m sm_cnn.train --data wikiqa --dataset wikiqa --mode non-static \\
        --vectors glove.6B.50d.txt.gz --export-vectors wikiqa.vectors.txt --output wikiqa.model

--data is the folder that holds the splits (`train-all`, `raw-dev`, … with a.toks, b.toks, id.txt and sim.txt
in each). The state with the best MAP on the dev split is kept. The last line on stdout is what
`sm_cnn.evaluate` prints for the written model on the dev split.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference import model_file
from inference.settings import Settings
from sm_cnn import overlap
from sm_cnn.dataset import read_questions
from sm_cnn.evaluate import cut, scores, words_of
from sm_cnn.model import SMCNN
from toolkit.cli import run
from toolkit.training import training
from toolkit.training.metrics import map_mrr
from toolkit.training.options import training_options, training_parser


class Recipe(NamedTuple):
    """How to train on one data set, in any mode."""

    train: str  # the splits
    dev: str
    epochs: int
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


@torch.no_grad()
def begin_with_containment(network: SMCNN, variance: float) -> None:
    """Set the parameters so that the score falls with the number of filters that the answer responds to less.

    An answer that has all words of its question responds to no filter less than the question does, as responses are
    maxima. So both convolutions get the same random filters, nearly of one word, and the first half of the hidden
    units compares their responses, one filter a unit, and votes. `variance` is that of the vectors' numbers. From here
    training learns how much of the question is repeated, which it hardly does from random parameters.
    """
    filters, _, width, _ = network.conv_q.weight.shape
    one_word = torch.full((width, 1), 0.13)
    one_word[width // 2] = 2.6  # responses of about 0.7, which tanh tells apart
    network.conv_q.weight *= one_word / variance**0.5
    network.conv_a.load_state_dict(network.conv_q.state_dict())
    compare, vote = network.combined_feature_vector, network.hidden
    same, slope, threshold, weight = torch.eye(filters), 5.0, 2.0, 0.05
    compare.weight[:filters] = torch.cat([slope * same, -slope * same], 1)
    compare.bias[:filters] = -threshold
    vote.weight[:, :filters] = weight * torch.tensor([[1.0], [-1.0]])
    vote.bias[:] = weight * filters * math.tanh(threshold) * torch.tensor([1.0, -1.0])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = training_parser(__doc__ or "", RECIPES, "sm_cnn.model")
    parser.add_argument("--no-features", action="store_true", help="leave the overlap features out")
    options = training_options(parser, argv)
    recipe = RECIPES[options.dataset]
    if options.no_features:
        # The words are all there is then, and are soon learnt by heart: hide some of them, train for longer, average.
        longer = recipe.epochs * 3 // 2
        recipe = recipe._replace(word_dropout=0.2, weight_decay=1e-4, epochs=longer, averaged=True, checks=4)
    max_words = Settings.from_environment().max_words
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    train, dev = read_questions(options.data / recipe.train), cut(read_questions(options.data / recipe.dev), max_words)
    words = training.word_vectors(options, words_of(train), words_of(dev))
    config = {
        "mode": options.mode,
        "channels": words.channels,
        "dim": words.dim,
        "filters": 100,
        "width": 5,
        "features": not options.no_features,
        "dropout": recipe.dropout,
    }
    carried = None if options.no_features else overlap.fit([(q.words, q.answers) for q in train])
    network = SMCNN.from_config(config)
    if options.no_features:
        begin_with_containment(network, words.variance)
    modules = nn.ModuleList([network, words]).to(device)

    # One row per pair of question and answer.
    questions = [words.indices(question.words) for question in train for _ in question.answers]
    answers = [words.indices(answer) for question in train for answer in question.answers]
    labels = torch.tensor([label for question in train for label in question.labels])
    if carried is not None:
        rows = [torch.from_numpy(overlap.features(carried, q.words, q.answers)) for q in train]
        features = torch.cat(rows)
    lengths = torch.tensor([len(answer) for answer in answers])

    def losses() -> Iterator[Tensor]:
        for batch in training.batches(lengths, recipe.batch):
            question, question_lengths = training.pad(questions, batch, recipe.word_dropout)
            answer, answer_lengths = training.pad(answers, batch, recipe.word_dropout)
            inputs = [
                words(question.to(device)),
                question_lengths.to(device),
                words(answer.to(device)),
                answer_lengths.to(device),
            ]
            if carried is not None:
                inputs.append(features[batch].to(device))
            yield F.cross_entropy(network(*inputs), labels[batch].to(device))

    model = model_file.from_module(network, config, carried)

    def dev_scores() -> tuple[float, float]:
        return map_mrr([question.labels for question in dev], scores(model, dev, words.table()))

    optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    optimizers = training.optimizers(optimizer, words, recipe.vector_learning_rate)
    steps = sum(1 for _ in lengths.split(recipe.batch))
    interrupted = training.fit(
        modules,
        optimizers,
        options.epochs or recipe.epochs,
        steps,
        losses,
        lambda: dev_scores()[0],
        training.Averaged(modules.parameters()) if recipe.averaged else None,
        recipe.checks,
        options.quiet,
    )
    training.write(options, "sm_cnn", network, config, words, carried)
    print("MAP {:.4f} MRR {:.4f}".format(*dev_scores()))
    return 130 if interrupted else 0


if __name__ == "__main__":
    run(main)
