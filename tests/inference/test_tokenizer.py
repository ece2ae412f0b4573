"""The tokenizer gives the words the vectors know, and leaves tokenized text alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import tokenizer
from inference.tokenizer import tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("This isn't a GOOD movie!", "this is n't a good movie !"),
        ("It's Mr. Smith's, they'll say.", "it 's mr. smith 's , they 'll say ."),
        ("I can't, won't and cannot", "i ca n't , wo n't and can not"),
        ('He said "hello" (twice).', "he said `` hello '' ( twice ) ."),
        ("“Curly” quotes aren’t odd…", "`` curly '' quotes are n't odd ..."),
        ("costs $1,000.50 or 60%: at 5:30, not later", "costs $ 1,000.50 or 60 % : at 5:30 , not later"),
        ("the U.S. and e.g. Washington D.C.", "the u.s. and e.g. washington d.c."),
        ("Good film. I liked it", "good film . i liked it"),
        ("-LRB- a \\/ b -RRB-", "( a / b )"),
        ("the dogs' food and 'quoted' words in the '70s, rock 'n roll", None),
        ("R&D at AT&T & co.", "r&d at at&t & co."),
        ("state-of-the-art -- really", "state-of-the-art -- really"),
        ("2\u00a01/2 hours", "2 1/2 hours"),
        ("", ""),
        (" \t\n ", ""),
    ],
)
def test_words_are_those_of_the_vectors(text: str, words: str | None) -> None:
    expected = words if words is not None else "the dogs ' food and ' quoted ' words in the '70s , rock 'n roll"
    assert " ".join(tokenize(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "if you 've ever entertained the notion of doing what the title implies , do n't .",
        "`` there was a time when mr. jones ' dog , in the u.s. , cost $ 5.50 , '' he said : 60 % .",
        "it 's 5:30 a.m. -- or not ... is n't it ? rock 'n roll in the '70s ( st. louis , mo. ) ;",
    ],
)
def test_tokenized_text_stays_as_it_is(text: str) -> None:
    assert tokenize(text) == text.split(" ")


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("aAbs'`\".,!?()-nt $%:;&\\/ ")), max_size=60))
def test_tokenizing_twice_changes_nothing(text: str) -> None:
    words = tokenize(text)
    assert tokenize(" ".join(words)) == words


@given(st.text(max_size=200))
def test_words_have_no_whitespace_and_no_capitals(text: str) -> None:
    words = tokenize(text)
    assert all(word and word.split() == [word] for word in words)
    assert words == [word.lower() for word in words]


@given(st.lists(st.text("aAbs'`\".,!?()-nt $%:;&\\/’…Σ\u00a0\t", max_size=12), max_size=5))
def test_no_rule_looks_beyond_white_space_and_the_cache_is_not_seen(texts: list[str]) -> None:
    apart = [word for text in texts for word in tokenize(text)]
    assert tokenize(" ".join(texts)) == tokenize("\n".join(texts)) == apart


def test_long_chunks_are_not_kept_in_memory() -> None:
    before = tokenizer._split_short.cache_info().currsize
    assert tokenize("," * 10_000) == [","] * 10_000
    assert tokenizer._split_short.cache_info().currsize == before
