"""Text to words: the one tokenizer of training, vocabularies and serving.

Penn Treebank conventions in lower case, as GloVe and the TrecQA, WikiQA and SST data sets have them:
`This isn't a GOOD movie!` becomes `this is n't a good movie !`. Text that is already tokenized comes out
as it went in, but for what has no vector otherwise: escapes (`-lrb-`, `\\/`), typographic quotes, and
punctuation that stuck to a word.
"""

import re
from functools import lru_cache

# Abbreviations that keep their period; single letters and words with a period inside keep it anyway.
ABBREVIATIONS = frozenset(
    "adm al assn assoc attys ave blvd bros ca capt cf cmdr co col cos corp ct dr ed est etc ft gen gov hon inc jr lbs "
    "lt ltd maj messrs mr mrs ms mt no nos ph pp pres prof pvt rep reps rev sec sen sens sgt sr st supt v vol vs "
    "jan feb mar apr jun jul aug sep sept oct nov dec tues thurs "
    "ala ariz ark calif colo conn del fla ga ill ind kan ky la mass md me mich minn miss mo mont neb nev okla "
    "ore pa penn tenn tex va vt wash wis wyo".split()
)

# Typed or typeset characters and Treebank escapes, each as the vectors spell it.
_SPELLINGS = {
    "“": " `` ", "”": " '' ", "„": " `` ", "«": " `` ", "»": " '' ", "‘": "'", "’": "'", "…": " ... ",
    "-lrb-": " ( ", "-rrb-": " ) ", "-lsb-": " [ ", "-rsb-": " ] ", "-lcb-": " { ", "-rcb-": " } ",
    "\\/": "/", "\\*": "*",
}  # fmt: skip
_SPELLING = re.compile("|".join(map(re.escape, _SPELLINGS)))

_OPENING_QUOTE = re.compile(r"(?<![^\s(\[{<])\"")
# Separate wherever they stand; a comma or colon between digits belongs to the number.
_PUNCTUATION = re.compile(r"(``|''|--+|\.{2,}|[;?!()\[\]{}<>—$£€¥%#@]|[,:](?!\d)|(?<!\d)[,:]|(?<!\w)&|&(?!\w))")
_NOT = re.compile(r"(?<=\w)(n't)(?!\w)")
_CLITIC = re.compile(r"(?<=\w)('(?:s|m|d|ll|re|ve))(?!\w)")
# A quote before a word, unless the word is a clitic, an elision or a decade ('em, 'til, '70s).
_LEADING_QUOTE = re.compile(r"(?<!\S)('|`)(?=[^\W\d])(?!(?:s|m|d|ll|re|ve|em|n|til|tis|twas|cause|bout)(?!\w))")
_TRAILING_QUOTE = re.compile(r"(?<=[\w.])'(?=\.?(?!\S))")
_CANNOT = re.compile(r"(?<!\S)cannot(?!\S)")
_LAST_PERIOD = re.compile(r"(?<!\S)([^\s.]{2,})\.(?!\S)")


def _split_last_period(match: re.Match[str]) -> str:
    word = match[1]
    return match[0] if word in ABBREVIATIONS else f"{word} ."


def tokenize(text: str) -> list[str]:
    """Return the words of `text` in lower case, in order; an empty list when it has none.

    Idempotent: tokenizing the words joined by spaces gives the same words.
    """
    words: list[str] = []
    for chunk in text.lower().split():  # no rule looks beyond white space
        if chunk.isalnum() and chunk != "cannot":
            words.append(chunk)
        else:
            words += _split_short(chunk) if len(chunk) <= LONGEST else _split(chunk)
    return words


def _split(chunk: str) -> list[str]:
    """Return the words of text without white space."""
    text = _SPELLING.sub(lambda match: _SPELLINGS[match[0]], chunk)
    text = _OPENING_QUOTE.sub(" `` ", text).replace('"', " '' ")
    text = _PUNCTUATION.sub(r" \1 ", text)
    text = _NOT.sub(r" \1", text)
    text = _CLITIC.sub(r" \1", text)
    text = _LEADING_QUOTE.sub(r"\1 ", text)
    text = _TRAILING_QUOTE.sub(" ' ", text)
    text = _CANNOT.sub("can not", text)
    return _LAST_PERIOD.sub(_split_last_period, text).split()


LONGEST = 32  # characters; what is longer will hardly come twice, and must not fill the memory
_split_short = lru_cache(maxsize=10_000)(_split)
