"""The tokenizer gives the words the vectors know, and leaves tokenized text alone."""

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.tokenizer import CASE_MARKS, PLACEHOLDERS, Tokenizer, tokenize

ALL = Tokenizer(case_marks=True, placeholders=True)
every = pytest.mark.parametrize(
    "tokenizer",
    [tokenize, Tokenizer(case_marks=True), Tokenizer(placeholders=True), ALL],
    ids=["plain", "case_marks", "placeholders", "all"],
)
PIECES = [
    *CASE_MARKS,
    *PLACEHOLDERS,
    "<URL>",
    "http://",
    "www.",
    "@us",
    "me@x.org",
    "12345",
    "cannot",
    "-LRB-",
    "İ",
    "Σ",
    "\u0307",
    "𝐇",
]


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
    ("text", "words"),
    [
        ("film.", "film ."),
        ("Mr.", "mr."),
        ("MR.", "mr."),
        ("mr", "mr"),
        ("Jan.,", "jan. ,"),
        ("amr.", "amr ."),  # ends as an abbreviation
        ("J.", "j."),  # one letter
        ("U.S.", "u.s."),  # a period inside
        ("10.", "10 ."),
        ("no.)", "no. )"),
        ("film.')", "film . ' )"),
        ("cannot.", "can not ."),
        ("isn't.", "is n't ."),
        ("Smith's.", "smith 's ."),
    ],
)
@pytest.mark.parametrize("options", [{}, {"placeholders": True}], ids=str)
def test_a_last_period_is_a_word_unless_it_belongs_to_one(text: str, words: str, options: dict[str, bool]) -> None:
    assert " ".join(Tokenizer(**options)(text)) == words  # a tokenizer of its own, which has cached nothing


def test_a_mark_stands_before_an_abbreviation_and_its_period() -> None:
    assert Tokenizer(case_marks=True)("Mr. MR. Film.") == ["<cap>", "mr.", "<allcaps>", "mr.", "<cap>", "film", "."]


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


characters = st.one_of(st.characters(), st.sampled_from([*"aAbs'`\".,!?()-nt $%:;&\\/ ", *PIECES]))


@every
@example(text="a\\\\/b\\\\\\*")
@example(text="a'.'.'")
@given(text=st.lists(characters, max_size=60).map("".join))
def test_tokenizing_twice_changes_nothing(tokenizer: Tokenizer, text: str) -> None:
    words = tokenizer(text)
    assert tokenizer(" ".join(words)) == words


@every
@given(text=st.text(max_size=200))
def test_words_have_no_whitespace_and_no_capitals(tokenizer: Tokenizer, text: str) -> None:
    words = tokenizer(text)
    assert all(word and word.split() == [word] for word in words)
    assert words == [word.lower() for word in words]


@given(st.lists(st.text("aAbs'`\".,!?()-nt $%:;&\\/’…Σ\u00a0\t", max_size=12), max_size=5))
def test_no_rule_looks_beyond_white_space_and_the_cache_is_not_seen(texts: list[str]) -> None:
    apart = [word for text in texts for word in tokenize(text)]
    assert tokenize(" ".join(texts)) == tokenize("\n".join(texts)) == apart


def test_long_chunks_are_not_kept_in_memory() -> None:
    before = tokenize._split_cached.cache_info().currsize
    assert tokenize("," * 10_000) == [","] * 10_000
    assert tokenize._split_cached.cache_info().currsize == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("This isn't a GOOD movie!", "<cap> this is n't a <allcaps> good movie !"),
        ("I CAN'T. CANNOT, I'm", "<cap> i <allcaps> ca n't . <allcaps> can <allcaps> not , <cap> i 'm"),
        ("iPhone McDonald O'Brien 3D 2nd", "iphone <cap> mcdonald <cap> o'brien 3d 2nd"),
        ("J. Smith of the U.S.", "<cap> j. <cap> smith of the <allcaps> u.s."),
        ('"Said" (Dr. No), “Ok”', "`` <cap> said '' ( <cap> dr. <cap> no ) , `` <cap> ok ''"),
        ("-LRB- A\\/B Ünü İstanbul", "( <allcaps> a/b <cap> ünü <cap> i\u0307stanbul"),
        ("<cap> <allcaps> (<cap>) <CAP>", "<cap> <allcaps> ( < cap > ) < <allcaps> cap >"),
        ("see http://x.org", "see http : //x.org"),
    ],
)
def test_case_marks_stand_before_words_that_begin_with_a_capital(text: str, words: str) -> None:
    assert " ".join(Tokenizer(case_marks=True)(text)) == words


@example("İ's")  # two characters in lower case
@given(st.text("aAbBsSİ'`\".,!?()nNtT $%:;&/", max_size=40))
def test_without_its_marks_text_has_the_same_words(text: str) -> None:
    assert [word for word in Tokenizer(case_marks=True)(text) if word not in CASE_MARKS] == tokenize(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("See https://t.co/Abc?d=e#f.", "see <url> ."),
        ('(http://x.org), "www.x.org"!', "( <url> ) , `` <url> '' !"),
        ("Mail me.too+x@mail.example.org, or a@b", "mail <email> , or a @ b"),
        ("@user: @User's .@user @ 5", "<user> : <user> 's . <user> @ 5"),
        ("(@user,@other)", "( <user> , <user> )"),
        ("12345 +49-170-1234567, $12,345.50; 2024-01-05", "<number> <number> , $ <number> ; <number>"),
        ("in 1999, 1,000 or 9:30 a1b2c3d4e5", "in 1999 , 1,000 or 9:30 a1b2c3d4e5"),
        ("<url> <URL>. (<user>) <cap>", "<url> <url> . ( <user> ) < cap >"),
        ("http:// www. @ user", "http : // www . @ user"),
    ],
)
def test_placeholders_stand_for_what_has_no_vector(text: str, words: str) -> None:
    assert " ".join(Tokenizer(placeholders=True)(text)) == words


def test_a_placeholder_has_no_case() -> None:
    assert ALL("WWW.X.ORG Me@x.org @Me Me") == ["<url>", "<email>", "<user>", "<cap>", "me"]


@pytest.mark.parametrize(
    "part",
    [
        "http://",
        "http://.",
        "www.",
        "www.,",
        "a@",
        "a.b@",
        "a@b.",
        "@",
        "1-",
        "1",
        "A'",
        "a’B,",
        "<url>",
        "İ",
        "n't",
        "%",
    ],
)
@every
def test_time_and_words_grow_with_the_length_of_the_text(tokenizer: Tokenizer, part: str) -> None:
    text = part * (100_000 // len(part))
    started = time.process_time()
    words = tokenizer(text)
    assert time.process_time() - started < 10  # about 1; with the square of the length it would be hours
    assert len(words) <= 2 * len(text)


def test_a_config_without_options_means_plain_words_and_the_given_length() -> None:
    text = "A http://x.org"
    assert Tokenizer.from_config({}, 7)(text) == tokenize(text)
    assert Tokenizer.from_config({}, 7).max_words == 7
    for most in (1, 5, 4096):
        assert Tokenizer.from_config({"max_words": most}, 7).max_words == most
    assert Tokenizer.from_config({"tokenizer": {"placeholders": True}})(text) == ["a", "<url>"]


@pytest.mark.parametrize(
    "config",
    [
        {"tokenizer": {"stem": True}},
        {"tokenizer": {"case_marks": 1}},
        {"tokenizer": ["case_marks"]},
        {"tokenizer": None},
        {"max_words": 0},
        {"max_words": 4097},
        {"max_words": "256"},
        {"max_words": True},
        {"max_words": None},
    ],
)
def test_a_config_that_cannot_be_used_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^config has "):
        Tokenizer.from_config(config)
