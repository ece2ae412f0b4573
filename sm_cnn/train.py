"""Train an SM-CNN on TrecQA or WikiQA and write its model file.

    python -m sm_cnn.train --data trecqa --vectors glove.6B.50d.txt.gz --output sm_cnn.model
    python -m sm_cnn.train --data wikiqa --dataset wikiqa --mode non-static \\
        --vectors glove.6B.50d.txt.gz --export-vectors wikiqa.vectors.txt --output wikiqa.model

--data is the folder that holds the splits (`train-all`, `raw-dev`, … with a.toks, b.toks, id.txt and sim.txt
in each). The state with the best MAP on the dev split is kept. The last line on stdout is what
`sm_cnn.evaluate` prints for the written model on the dev split.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference import model_file
from sm_cnn import overlap
from sm_cnn.dataset import read_questions
from sm_cnn.evaluate import cut, map_mrr, scores, words_of
from utils import training
from utils.script import run


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = training.arguments(__doc__ or "", RECIPES, "sm_cnn.model")
    parser.add_argument("--no-features", action="store_true", help="leave the overlap features out")
    options = training.parse(parser, argv)
    recipe = RECIPES[options.dataset]
    if options.no_features:
        # The words are all there is then, and are soon learnt by heart: hide some of them, train for longer, average.
        recipe = recipe._replace(word_dropout=0.2, epochs=2 * recipe.epochs, averaged=True, checks=4)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    train, dev = read_questions(options.data / recipe.train), cut(read_questions(options.data / recipe.dev))
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
    network = model_file.build("sm_cnn", config)
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

    model = model_file.serve(network, config, carried)

    def dev_scores() -> tuple[float, float]:
        return map_mrr(dev, scores(model, dev, words.table()))

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
