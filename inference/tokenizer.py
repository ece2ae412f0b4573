"""Text to words: the one tokenizer of training, vocabularies and serving.

Penn Treebank conventions in lower case, as GloVe and the TrecQA, WikiQA and SST data sets have them:
`This isn't a GOOD movie!` becomes `this is n't a good movie !`. Text that is already tokenized comes out
as it went in, but for what has no vector otherwise: escapes (`-lrb-`, `\\/`), typographic quotes, and
punctuation that stuck to a word.

A model's config may ask for more, under "tokenizer". With `case_marks` a word that begins with a capital follows the
word `<cap>`, or `<allcaps>` when it has several letters and all are capitals: `<cap> this is n't a <allcaps> good
movie !`. A clitic (`n't`, `'s`) has no mark, nor has a word like `iPhone`. With `placeholders` each URL, mail address,
mention (@name) and number of five digits or more is one word: `<url>`, `<email>`, `<user>`, `<number>`. Text that
literally has such a word keeps it.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

CASE_MARKS = CAP, ALL_CAPS = ("<cap>", "<allcaps>")
PLACEHOLDERS = URL, EMAIL, USER, NUMBER = ("<url>", "<email>", "<user>", "<number>")

OPTIONS = ("case_marks", "placeholders")
MOST_WORDS = 4096  # that a model file may ask for: a request with one long text pads others to its length

# Abbreviations that keep their period; single letters and words with a period inside keep it anyway.
ABBREVIATIONS = frozenset(
    "adm al assn assoc attys ave blvd bros ca capt cf cmdr co col cos corp ct dr ed est etc ft gen gov hon inc jr lbs "
    "lt ltd maj messrs mr mrs ms mt no nos ph pp pres prof pvt rep reps rev sec sen sens sgt sr st supt v vol vs "
    "jan feb mar apr jun jul aug sep sept oct nov dec tues thurs "
    "ala ariz ark calif colo conn del fla ga ill ind kan ky la mass md me mich minn miss mo mont neb nev okla "
    "ore pa penn tenn tex va vt wash wis wyo".split()
)

# Typed or typeset characters and Treebank escapes, each as the vectors spell it. `(?ai:…)` matches either case of
# ASCII letters and, unlike re.IGNORECASE, no letter beyond them: what is in lower case is split as without it.
_SPELLINGS = {
    "“": " `` ", "”": " '' ", "„": " `` ", "«": " `` ", "»": " '' ", "‘": "'", "’": "'", "…": " ... ",
    "-lrb-": " ( ", "-rrb-": " ) ", "-lsb-": " [ ", "-rsb-": " ] ", "-lcb-": " { ", "-rcb-": " } ",
}  # fmt: skip
# Or the backslashes of the Treebank's `\/` and `\*`: all of them, or tokenizing twice would take more.
_SPELLING = re.compile(rf"(?ai:{'|'.join(map(re.escape, _SPELLINGS))})|(?<!\\)\\+(?=[/*])")

_OPENING_QUOTE = re.compile(r"(?<![^\s(\[{<])\"")
# Separate wherever they stand; a comma or colon between digits belongs to the number.
_PUNCTUATION = re.compile(r"(``|''|--+|\.{2,}|[;?!()\[\]{}<>—$£€¥%#@]|[,:](?!\d)|(?<!\d)[,:]|(?<!\w)&|&(?!\w))")
_NOT = re.compile(r"(?<=\w)((?ai:n't))(?!\w)")
_CLITIC = re.compile(r"(?<=\w)('(?ai:s|m|d|ll|re|ve))(?!\w)")
# A quote before a word, unless the word is a clitic, an elision or a decade ('em, 'til, '70s).
_LEADING_QUOTE = re.compile(r"(?<!\S)('|`)(?=[^\W\d])(?!(?ai:s|m|d|ll|re|ve|em|n|til|tis|twas|cause|bout)(?!\w))")
_ENDING = re.compile(r"(?:(?<!\S)|[^\s'.])['.]++(?!\S)")  # of quotes and periods, with the character before
_TRAILING_QUOTE = re.compile(r"(?<=[\w.])'")
_CANNOT = re.compile(r"(?<!\S)((?ai:can))((?ai:not))(?=\.?(?!\S))")
_LAST_PERIOD = re.compile(r"(?<!\S)([^\s.]{2,})\.(?!\S)")

# Each alternative can begin in few places, so that time is linear. A URL ends before punctuation.
_PLACEHOLDER = re.compile(
    r"(?P<url>(?<!\w)(?ai:https?://|ftp://|www\.)[^\s<>]*[^\s<>'`.,;:!?()\[\]{}])"
    r"|(?P<email>(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<user>(?<!\w)@[^\W\d]\w*)"
    r"|(?P<itself><(?ai:url|email|user|number)>)"
)
_LONG_NUMBER = re.compile(r"\+?\d(?:[-.,/:]?\d){4,}")

LONGEST_CACHED = 32  # characters; what is longer will hardly come twice, and must not fill the memory


class Tokenizer:
    """Text to words, in the way of one model. Safe to share between threads."""

    def __init__(self, case_marks: bool = False, placeholders: bool = False, max_words: int | None = None):
        """Tokenize with the options of a config; `max_words` is the most that the model takes of a text."""
        self.case_marks, self.placeholders, self.max_words = case_marks, placeholders, max_words
        self._split_cached = lru_cache(maxsize=10_000)(self._split)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], max_words: int | None = None) -> "Tokenizer":
        """Make the tokenizer of a model; `max_words` is for a config without. Raises ValueError for a bad config."""
        options = config.get("tokenizer", {})
        if not isinstance(options, dict) or not options.keys() <= set(OPTIONS) or not _are_booleans(options):
            raise ValueError(f"config has the tokenizer {options!r}, not true or false for {' and '.join(OPTIONS)}")
        words = config.get("max_words", max_words)
        if "max_words" in config and (type(words) is not int or not 0 < words <= MOST_WORDS):
            raise ValueError(f"config has max_words {words!r}, not a whole number from 1 to {MOST_WORDS}")
        return cls(**options, max_words=words)

    def __call__(self, text: str) -> list[str]:
        """Return the words of `text` in lower case, in order; an empty list when it has none.

        Idempotent: tokenizing the words joined by spaces gives the same words.
        """
        # The one letter that is two in lower case, of which the second is no letter: as it is in lower case.
        text = text.replace("İ", "I\u0307") if self.case_marks else text.lower()
        plain = not (self.case_marks or self.placeholders)
        words: list[str] = []
        for chunk in text.split():  # no rule looks beyond white space
            if chunk.isalnum() and chunk != "cannot" and (plain or (chunk.isalpha() and chunk.islower())):
                words.append(chunk)
            else:
                words += self._split_cached(chunk) if len(chunk) <= LONGEST_CACHED else self._split(chunk)
        return words

    def cut(self, words: list[str]) -> list[str]:
        """Return the words that the model takes: the first `max_words`."""
        return words[: self.max_words]

    def _split(self, chunk: str) -> list[str]:
        """Return the words of text without white space."""
        if self.case_marks and chunk in CASE_MARKS:
            return [chunk]
        text = _spell(chunk)
        words = _words_and_placeholders(text) if self.placeholders else _words(text)
        return [each for word in words for each in _marked(word)] if self.case_marks else words


tokenize = Tokenizer()  # as the vectors have words, and models without options


def _are_booleans(options: dict[str, Any]) -> bool:
    return all(isinstance(value, bool) for value in options.values())


def _spell(chunk: str) -> str:
    """Return text without white space with its characters and quotes as the vectors spell them."""
    text = _SPELLING.sub(lambda match: _SPELLINGS.get(match[0].lower(), ""), chunk)
    return _OPENING_QUOTE.sub(" `` ", text).replace('"', " '' ")


def _words(text: str) -> list[str]:
    """Return the words of spelled text, in its case."""
    text = _PUNCTUATION.sub(r" \1 ", text)
    text = _NOT.sub(r" \1", text)
    text = _CLITIC.sub(r" \1", text)
    text = _LEADING_QUOTE.sub(r"\1 ", text)
    text = _ENDING.sub(lambda ending: _TRAILING_QUOTE.sub(" ' ", ending[0]), text)
    text = _CANNOT.sub(r"\1 \2", text)
    return _LAST_PERIOD.sub(_split_last_period, text).split()


def _split_last_period(match: re.Match[str]) -> str:
    word = match[1]
    return match[0] if word.lower() in ABBREVIATIONS else f"{word} ."


def _words_and_placeholders(text: str) -> list[str]:
    """Return the words of spelled text, in its case, with placeholders in their places."""
    words, end = [], 0
    for match in _PLACEHOLDER.finditer(text):
        words += _words(text[end : match.start()])
        words.append(match[0].lower() if match.lastgroup == "itself" else f"<{match.lastgroup}>")
        end = match.end()
    words += _words(text[end:])
    return [NUMBER if _LONG_NUMBER.fullmatch(word) else word for word in words]


def _marked(word: str) -> tuple[str, ...]:
    """Return a word in lower case, after the mark of its case if it begins with a capital."""
    lower = word.lower()
    if word[0] == lower[0] or lower == "n't":
        return (lower,)
    all_caps = word.isupper() and sum(map(str.isalpha, word)) > 1
    return (ALL_CAPS if all_caps else CAP, lower)
