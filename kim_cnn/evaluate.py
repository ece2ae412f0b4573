"""Measure a Kim CNN: the share of sentences it puts in the right class.

    python -m kim_cnn.evaluate --model kim_cnn.model --data stsa.fine.dev.tsv --vectors glove.6B.50d.txt.gz

The last line on stdout is `accuracy 0.4712`.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from inference import model_file
from inference.model_file import Model
from inference.word_vectors import embed
from kim_cnn.dataset import DataError, Sentence, read_sentences
from utils.training import load_vectors, run

BATCH = 64  # sentences a forward pass


def words_of(sentences: Iterable[Sentence]) -> set[str]:
    """Return every word of the sentences."""
    return {word for sentence in sentences for word in sentence.words}


def predictions(model: Model, sentences: Sequence[Sentence], vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the class of each sentence, int64 (sentences,), by the same steps as the handler takes."""
    found = []
    for start in range(0, len(sentences), BATCH):
        batch = [sentence.words for sentence in sentences[start : start + BATCH]]
        found.append(model.forward(*embed(batch, vectors, model.vector_length)).argmax(1))
    return np.concatenate(found)


def accuracy(sentences: Sequence[Sentence], classes: np.ndarray) -> float:
    """Return the share of sentences whose class is right."""
    return float(np.mean(classes == [sentence.label for sentence in sentences]))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="label, tab, sentence")
    parser.add_argument("--vectors", type=Path, required=True, metavar="FILE", help="text, .gz or .bin")
    options = parser.parse_args(argv)
    model = model_file.load(options.model, "kim_cnn")
    sentences = read_sentences(options.data, len(model.config["labels"]))
    vectors = load_vectors(options.vectors, words_of(sentences))
    print(f"accuracy {accuracy(sentences, predictions(model, sentences, vectors)):.4f}")


if __name__ == "__main__":
    run(main, OSError, DataError, model_file.ModelFileError)
