"""What explanations of both models share: a text without each of its words in turn."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

NO_WORD = ""  # which no table has: a text without words counts as one of one unknown word


def without_each(sentences: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Yield each sentence without its first word, without its second, and so on: a sentence a word."""
    for sentence in sentences:
        for place in range(len(sentence)):
            yield [*sentence[:place], *sentence[place + 1 :]] or [NO_WORD]


def by_sentence(values: np.ndarray, sentences: Sequence[Sequence[str]]) -> list[list[float]]:
    """Return `values`, one for each word of all sentences, as a list for each sentence."""
    ends = np.cumsum([len(sentence) for sentence in sentences])
    return [part.tolist() for part in np.split(values, ends[:-1])]
