"""How much the question half of an SM-CNN adds: its scores with every question replaced by a placeholder.

    python bench/question_half.py --model sm_cnn.model --data trecqa/raw-dev --vectors glove.6B.50d.txt.gz

The placeholder is one unknown word; answers and overlap features stay those of the real question. Last, the
answers are replaced by the placeholder as well: what is left are the features.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.model_file import Inputs, Model
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from sm_cnn import predict
from sm_cnn.dataset import cut, read_questions
from sm_cnn.evaluate import scores, words_of
from toolkit import cli
from toolkit.cli import run
from toolkit.training.metrics import map_mrr
from toolkit.vectors.file import load_vectors


def without(model: Model, *halves: str) -> Model:
    """Return `model` seeing a placeholder in place of the words of some halves, `question` or `answer`."""

    def forward(inputs: Inputs) -> np.ndarray:
        replaced = dict(inputs)
        for half in halves:
            replaced[half] = np.zeros_like(inputs[half][:, :1])  # one unknown word
            replaced[f"{half}_lengths"] = np.ones_like(inputs[f"{half}_lengths"])
        return model.forward(replaced)

    return replace(model, forward=forward)


def main() -> int:
    """Run the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--vectors", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    model = predict.load(options.model)
    tokenizer = Tokenizer.from_config(model.config, Settings.from_environment().max_words)
    questions = cut(read_questions(options.data, tokenizer), tokenizer)
    labels = [question.labels for question in questions]
    vectors = load_vectors(options.vectors, words_of(questions), model.vector_length)
    for name, seen in (
        ("as it is", model),
        ("question replaced", without(model, "question")),
        ("question and answer replaced", without(model, "question", "answer")),
    ):
        print("{:<28} MAP {:.4f} MRR {:.4f}".format(name, *map_mrr(labels, scores(seen, questions, vectors))))
    return 0


if __name__ == "__main__":
    run(main)
