"""Measure a Kim CNN: the share of sentences it puts in the right class.

    python -m kim_cnn.evaluate --model kim_cnn.model --data sst/stsa.fine.dev.tsv --vectors glove.6B.50d.txt.gz
    python -m kim_cnn.evaluate --endpoint https://…/kim_cnn --data sst/stsa.fine.dev.tsv

The last line on stdout is `accuracy 0.4712`. With --endpoint the deployed function does the classifying.
Sentences are cut to the words that a request may hold, offline as well.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from inference import model_file
from inference.gateway import MAX_WORDS
from inference.model_file import Model
from inference.word_vectors import embed
from kim_cnn.dataset import Sentence, read_sentences
from toolkit.training import evaluation
from toolkit.training.remote import body, post_all, split
from toolkit.cli import run
from toolkit.vectors.file import load_vectors

BATCH = 64  # sentences a forward pass


def words_of(sentences: Iterable[Sentence]) -> set[str]:
    """Return every word of the sentences."""
    return {word for sentence in sentences for word in sentence.words}


def cut(sentences: Iterable[Sentence]) -> list[Sentence]:
    """Return the sentences cut to the words that a request may hold."""
    return [sentence._replace(words=sentence.words[:MAX_WORDS]) for sentence in sentences]


def predictions(model: Model, sentences: Sequence[Sentence], vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the class of each sentence, int64 (sentences,), by the steps the handler takes."""
    found = []
    for start in range(0, len(sentences), BATCH):
        batch = [sentence.words for sentence in sentences[start : start + BATCH]]
        found.append(model.forward(*embed(batch, vectors, model.vector_length)).argmax(1))
    return np.concatenate(found)


def served_predictions(url: str, sentences: Sequence[Sentence], quiet: bool = False) -> np.ndarray:
    """Return what `predictions` returns, computed by the function deployed at `url`."""
    texts = (" ".join(sentence.words) for sentence in sentences)
    answers = post_all(url, [{"input": group} for group in split(texts, len(body({"input": []})))], quiet)
    return np.concatenate([answer["prediction"] for answer in answers])


def accuracy(sentences: Sequence[Sentence], classes: np.ndarray) -> float:
    """Return the share of sentences whose class is right."""
    return float(np.mean(classes == [sentence.label for sentence in sentences]))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = evaluation.parse(__doc__ or "", "a file of lines: label, tab, sentence", argv)
    model = model_file.load(options.model, "kim_cnn") if options.model else None
    whole = read_sentences(options.data, len(model.config["labels"]) if model else None)
    sentences = cut(whole)
    evaluation.tell_of_cut_sentences(whole, sentences)
    if model:
        vectors = load_vectors(options.vectors, words_of(sentences), model.vector_length)
        classes = predictions(model, sentences, vectors)
    else:
        classes = served_predictions(options.endpoint, sentences, options.quiet)
    print(f"accuracy {accuracy(sentences, classes):.4f}")
    return 0


if __name__ == "__main__":
    run(main)
