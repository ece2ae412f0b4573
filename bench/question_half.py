"""How much the question half of an SM-CNN adds: its scores with every question replaced by a placeholder.

    python bench/question_half.py --model sm_cnn.model --data trecqa/raw-dev --vectors glove.6B.50d.txt.gz

The placeholder is one unknown word; answers and overlap features stay those of the real question. Last, the
answers are replaced by the placeholder as well: what is left are the features.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference import model_file
from inference.model_file import Model
from sm_cnn.dataset import read_questions
from sm_cnn.evaluate import cut, map_mrr, scores, words_of
from toolkit.cli import run
from toolkit.vectors.file import load_vectors


def without(model: Model, *halves: str) -> Model:
    """Return `model` seeing a placeholder in place of the words of some halves, `question` or `answer`."""

    def forward(*arrays: np.ndarray) -> np.ndarray:
        inputs = list(arrays)
        for half in halves:
            place = 2 * ("question", "answer").index(half)
            inputs[place] = np.zeros_like(inputs[place][:, :1])
            inputs[place + 1] = np.ones_like(inputs[place + 1])
        return model.forward(*inputs)

    return replace(model, forward=forward)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--vectors", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    model = model_file.load(options.model, "sm_cnn")
    questions = cut(read_questions(options.data))
    vectors = load_vectors(options.vectors, words_of(questions), model.vector_length)
    for name, seen in (
        ("as it is", model),
        ("question replaced", without(model, "question")),
        ("question and answer replaced", without(model, "question", "answer")),
    ):
        print("{:<28} MAP {:.4f} MRR {:.4f}".format(name, *map_mrr(questions, scores(seen, questions, vectors))))
    return 0


if __name__ == "__main__":
    run(main)
