"""Sentences of labelled rows, and Stanford Sentiment Treebank files: as they stand, and a bad line named."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.tokenizer import Tokenizer, tokenize
from kim_cnn.dataset import Sentence, is_sst, read_sst, to_sentences
from toolkit.cli import CommandError
from toolkit.training.labelled import Row


def test_a_treebank_file_is_rows_with_the_names_of_its_classes_and_quotes_are_only_characters(tmp_path: Path) -> None:
    path = tmp_path / "stsa.binary.dev.tsv"
    path.write_bytes("1\t`` a bit of \"fun -lrb- really -rrb-\n0\tit\u2028isn't good .\r\n".encode())
    assert is_sst(path)
    assert read_sst(path) == [
        Row('`` a bit of "fun -lrb- really -rrb-', "positive", f"{path}, line 1"),
        Row("it\u2028isn't good .", "negative", f"{path}, line 2"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2\tgood", "line 2: label '2' is not 0 to 1"),
        ("-1\tgood", "line 2: label '-1' is not 0 to 1"),
        ("good", "line 2: no tab"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "stsa.binary.dev.tsv").write_text(f"1\tfine\n{line}\n")
    with pytest.raises(CommandError, match=message):
        read_sst(tmp_path / "stsa.binary.dev.tsv")


def test_a_file_that_is_missing_empty_or_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stsa.fine.dev.tsv"
    with pytest.raises(CommandError, match=r"dev\.tsv: no such file"):
        read_sst(path)
    for content, message in ((b"", "no sentences"), (b"1\tfine\n1\t\xff\n", "line 2: not UTF-8")):
        path.write_bytes(content)
        with pytest.raises(CommandError, match=message):
            read_sst(path)


@pytest.mark.parametrize("name", ["tickets.tsv", "stsa.tsv", "stsa.other.dev.tsv"])
def test_other_files_are_not_the_treebanks(name: str) -> None:
    assert not is_sst(Path("folder", name))


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n")).filter(tokenize)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), texts), min_size=1, max_size=5))
def test_every_line_is_a_row_whatever_is_in_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("data") / "stsa.fine.dev.tsv"
    path.write_bytes("".join(f"{label}\t{text}\n" for label, text in rows).encode())
    labels = ("very negative", "negative", "neutral", "positive", "very positive")
    expected = [Sentence(tokenize(text), label) for label, text in rows]
    assert to_sentences(read_sst(path), labels, tokenize) == expected


def test_sentences_are_tokenized_and_cut_as_the_model_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("Ask bob@example.com for it", "b", "f, line 2"), Row("no", "a", "f, line 3")]
    tokenizer = Tokenizer(case_marks=True, placeholders=True, max_words=3)
    assert to_sentences(rows, ["a", "b"], tokenizer) == [Sentence(["<cap>", "ask", "<email>"], 1), Sentence(["no"], 0)]
    assert capsys.readouterr().err.startswith("note: 1 of 2 texts cut to 3 words")


def test_a_label_that_the_model_does_not_have_is_named_with_its_line() -> None:
    with pytest.raises(CommandError, match="f, line 2: label 'c' is none of the model's: a, b"):
        to_sentences([Row("text", "c", "f, line 2")], ["a", "b"], tokenize)
