"""Cross-validate the recipe of the committed SM-CNN over the questions of TrecQA that people judged.

    python bench/sm_cross_validation.py --data trecqa --vectors glove.6B.50d.txt.gz --seeds 1 2

They are those of `train` and of `raw-dev`, dealt out into five folds. For each fold a model is trained on `train-all`
without the fold's questions; the rest of `raw-dev` chooses its state, and the fold measures it. A row has MAP and MRR
of one seed, over the questions of all folds and over those of each split; the last rows are the mean and the standard
deviation of the seeds.
"""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from inference.tokenizer import Tokenizer
from sm_cnn.dataset import Data, Question, cut, read_questions, unseen
from sm_cnn.evaluate import scores, words_of
from sm_cnn.train import RECIPES, train
from toolkit import cli
from toolkit.cli import run
from toolkit.training.embedding import TrainableEmbedding
from toolkit.training.metrics import map_mrr
from toolkit.vectors.file import load_vectors

FOLDS = 5
RECIPE = RECIPES["trecqa-all"]
DIM = 50


def deal(questions: list[Question], random: np.random.Generator) -> list[list[Question]]:
    """Return the questions in folds, at random."""
    order = random.permutation(len(questions))
    return [[questions[row] for row in order[fold::FOLDS]] for fold in range(FOLDS)]


def main() -> int:
    """Run the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--vectors", type=Path, required=True, metavar="FILE")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    options = parser.parse_args()
    tokenizer = Tokenizer.from_config(RECIPE.text or {})
    everything, judged, dev = (
        read_questions(options.data / split, tokenizer) for split in ("train-all", "train", "raw-dev")
    )
    judged, dev = cut(judged, tokenizer), cut(dev, tokenizer)
    vectors = load_vectors(options.vectors, words_of([*everything, *judged, *dev]), DIM)
    random = np.random.default_rng(0)
    folds = list(zip(deal(judged, random), deal(dev, random), strict=True))

    names = ("both", "train", "raw-dev")
    print(f"{'seed':<6}" + "".join(f"{name + ' MAP':>14}{'MRR':>8}" for name in names), flush=True)
    rows = []
    progress = tqdm(total=len(options.seeds) * FOLDS, unit="model", disable=None)
    for seed in options.seeds:
        held: tuple[list[Question], list[Question]] = [], []
        found: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        for fold in folds:
            torch.manual_seed(seed)
            data = Data(unseen(everything, fold[0]), unseen(dev, fold[1]), [])
            embedding = TrainableEmbedding("static", (), vectors, DIM)
            model = train(RECIPE, data, embedding, quiet=True).served()
            for questions, all_questions, all_scores in zip(fold, held, found, strict=True):
                all_questions += questions
                all_scores += scores(model, questions, vectors)
            progress.update()
        sets = [(held[0] + held[1], found[0] + found[1]), *zip(held, found, strict=True)]
        rows.append([map_mrr([each.labels for each in questions], of) for questions, of in sets])
        show(str(seed), rows[-1])
    show("mean", np.mean(rows, 0))
    show("sd", np.std(rows, 0, ddof=1) if len(rows) > 1 else np.full_like(rows[0], np.nan))
    return 0


def show(name: str, row: np.ndarray | list[tuple[float, float]]) -> None:
    """Print a row of the table."""
    print(f"{name:<6}" + "".join(f"{score_map:>14.4f}{score_mrr:>8.4f}" for score_map, score_mrr in row), flush=True)


if __name__ == "__main__":
    run(main)
