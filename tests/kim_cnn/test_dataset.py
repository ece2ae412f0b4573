"""Stanford Sentiment Treebank files: the sentences as they stand, and a bad line named."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.tokenizer import tokenize
from kim_cnn.dataset import Sentence, read_sentences
from toolkit.cli import CommandError


def test_sentences_are_tokenized_as_in_serving_and_quotes_are_only_words(tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_bytes("1\t`` a bit of \"fun -lrb- really -rrb-\n0\tit\u2028isn't good .\r\n".encode())
    assert read_sentences(path, 2) == [
        Sentence(["``", "a", "bit", "of", "``", "fun", "(", "really", ")"], 1, '`` a bit of "fun -lrb- really -rrb-'),
        Sentence(["it", "is", "n't", "good", "."], 0, "it\u2028isn't good ."),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2\tgood", "line 2: label '2' is not 0 to 1"),
        ("-1\tgood", "line 2: label '-1' is not 0 to 1"),
        ("good", "line 2: no tab"),
        ("1\t ", "line 2: no words"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "data.tsv").write_text(f"1\tfine\n{line}\n")
    with pytest.raises(CommandError, match=message):
        read_sentences(tmp_path / "data.tsv", 2)


def test_without_a_model_to_say_how_many_classes_any_number_is_a_label(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("17\tfine\n")
    assert read_sentences(tmp_path / "data.tsv")[0].label == 17


def test_a_file_that_is_missing_empty_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.tsv: no such file"):
        read_sentences(tmp_path / "none.tsv", 2)
    for content, message in ((b"", "no sentences"), (b"1\tfine\n1\t\xff\n", "line 2: not UTF-8")):
        (tmp_path / "data.tsv").write_bytes(content)
        with pytest.raises(CommandError, match=message):
            read_sentences(tmp_path / "data.tsv", 2)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n")).filter(tokenize)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), texts), min_size=1, max_size=5))
def test_every_line_is_a_sentence_whatever_is_in_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("data") / "data.tsv"
    path.write_bytes("".join(f"{label}\t{text}\n" for label, text in rows).encode())
    assert read_sentences(path, 5) == [Sentence(tokenize(text), label, text) for label, text in rows]
