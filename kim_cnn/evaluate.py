"""Measure a Kim CNN: the share of sentences that it puts in the right class.

    python -m kim_cnn.evaluate --model kim_cnn.model --data sst/stsa.fine.dev.tsv --vectors glove.6B.50d.txt.gz
    python -m kim_cnn.evaluate --endpoint https://…/kim_cnn --data sst/stsa.fine.dev.tsv

The last line on stdout is `accuracy 0.4712`. With --endpoint the deployed function classifies. Sentences are
tokenized and cut as the model's config says, offline as well.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from inference.model_file import Model
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from kim_cnn import predict
from kim_cnn.dataset import Sentence, read_sentences
from toolkit.cli import log, run
from toolkit.training.metrics import accuracy
from toolkit.training.options import evaluation_options
from toolkit.training.remote import post_all, split
from toolkit.vectors.file import load_vectors

AT_A_TIME = 128  # sentences whose vectors are in memory


def words_of(sentences: Iterable[Sentence]) -> set[str]:
    """Return every word of the sentences."""
    return {word for sentence in sentences for word in sentence.words}


def cut(sentences: Iterable[Sentence], tokenizer: Tokenizer) -> list[Sentence]:
    """Return the sentences, each cut to the words that the model takes."""
    return [sentence._replace(words=tokenizer.cut(sentence.words)) for sentence in sentences]


def predictions(
    model: Model, sentences: Sequence[Sentence], vectors: Mapping[str, np.ndarray | None], quiet: bool = True
) -> np.ndarray:
    """Return the class of each sentence, int64 (sentences,), as the handler computes it."""
    words = [sentence.words for sentence in sentences]
    classes = []
    for start in tqdm(range(0, len(words), AT_A_TIME), unit="batch", disable=True if quiet else None):
        batches = predict.batches(model, words[start : start + AT_A_TIME], vectors)
        classes.append(model.logits(batches).argmax(1))
    return np.concatenate(classes)


def served_predictions(url: str, sentences: Sequence[Sentence], settings: Settings, quiet: bool = True) -> np.ndarray:
    """Return what `predictions` returns, computed by the function deployed at `url`."""
    texts = (sentence.text for sentence in sentences)
    requests = [{"input": group} for group in split(texts, {"input": []}, settings)]
    return np.concatenate([answer["prediction"] for answer in post_all(url, requests, quiet)])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = evaluation_options(__doc__, "a file of lines: label, tab, sentence", argv)
    settings = Settings.from_environment()
    if options.endpoint:
        sentences = read_sentences(options.data)
        classes = served_predictions(options.endpoint, sentences, settings, options.quiet)
    else:
        model = predict.load(options.model)
        tokenizer = Tokenizer.from_config(model.config, settings.max_words)
        whole = read_sentences(options.data, len(model.config["labels"]), tokenizer)
        sentences = cut(whole, tokenizer)
        if sentences != whole:
            log(f"note: sentences cut to {tokenizer.max_words} words, the most that the model takes")
        vectors = load_vectors(options.vectors, words_of(sentences), model.vector_length)
        classes = predictions(model, sentences, vectors, options.quiet)
    print(f"accuracy {accuracy([sentence.label for sentence in sentences], classes):.4f}")
    return 0


if __name__ == "__main__":
    run(main)
