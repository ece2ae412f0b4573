"""Vocabularies, word lists and text from binary vectors: what the scripts write, and what they refuse."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gensim
import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.models.fasttext import load_facebook_vectors
from gensim.test.utils import datapath

import kim_cnn.predict
import sm_cnn.predict
from inference.model_file import ModelFileError
from inference.tokenizer import tokenize
from toolkit.cli import CommandError, read_wordlist
from toolkit.training.model_writer import write_model
from toolkit.vectors.file import VectorFileError, read_vectors
from utils import generate_vocab, get_most_frequent_words, word2vec_bin_to_txt

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data/glove.6B.50d.sample.txt.gz"

Write = Callable[..., Path]


def test_a_vocabulary_is_split_as_serving_splits(vector_file: Write, tmp_path: Path) -> None:
    one = vector_file("How ARE glacier caves formed?", "", "  ", name="a.toks")
    other = tmp_path / "b.toks.gz"
    other.write_bytes(gzip.compress("isn't -lrb- it -rrb-\r\nglacier\u00a0Überraschung".encode()))
    assert generate_vocab.main([str(one), str(other), str(tmp_path / "vocab.txt")]) == 0
    text = (tmp_path / "vocab.txt").read_text(encoding="utf-8")
    expected = {*tokenize(one.read_text()), *tokenize("isn't ( it )"), *tokenize("glacier\u00a0Überraschung")}
    assert text == "".join(f"{word}\n" for word in sorted(expected))


def test_a_vocabulary_is_read_from_stdin_and_written_to_stdout() -> None:
    command: list[str | Path] = [sys.executable, ROOT / "utils/generate_vocab.py", "-", "-"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    ran = subprocess.run(command, env=environment, input="Zürich b a\n".encode(), capture_output=True, check=True)
    assert ran.stdout.decode() == "a\nb\nzürich\n"


def test_a_file_without_words_gives_no_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    with pytest.raises(CommandError, match=r"no words in .*empty"):
        generate_vocab.main([str(tmp_path / "empty"), str(tmp_path / "vocabulary")])
    assert not (tmp_path / "vocabulary").exists()


def test_a_vocabulary_is_whole_or_not_there(vector_file: Write, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toks"
    bad.write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(CommandError, match=r"bad\.toks, line 2: not UTF-8"):
        generate_vocab.main([str(vector_file("a b")), str(bad), str(tmp_path / "vocab.txt")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toks", "vectors.txt"]


@pytest.mark.parametrize(
    ("name", "lines", "options", "words"),
    [
        ("a.csv", ["label,text", 'x,"one\ntwo, ""three"""', "x,four"], [], "'' , `` four one three two"),
        ("a.TSV", ["text\tlabel", "one, two\tx"], [], ", one two"),
        ("a.jsonl", ['{"text": "one", "label": 1}', '{"text": "two"}'], [], "one two"),
        ("a.csv", ["question,answer", "who?,me"], ["--text-column", "question", "--text-column", "answer"], "? me who"),
        ("a.txt", ["question,answer", "who?,me"], ["--text-column", "answer"], "me"),
        ("a.txt", ["text,label", "one,x"], [], ", label one text x"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_vocabulary_of_columns(
    tmp_path: Path, name: str, lines: list[str], options: list[str], words: str, compress: Any
) -> None:
    path = tmp_path / (name + (".gz" if compress is gzip.compress else ""))
    path.write_bytes(compress("".join(f"{line}\n" for line in lines).encode()))
    generate_vocab.main([str(path), *options, str(tmp_path / "vocab.txt")])
    assert (tmp_path / "vocab.txt").read_text().split() == words.split()


def test_a_table_without_the_column_is_refused(vector_file: Write, tmp_path: Path) -> None:
    path = vector_file("question,answer", "who,me", name="qa.csv")
    with pytest.raises(CommandError, match=r"qa\.csv, line 1: no column 'text' \(there are: 'question', 'answer'\)"):
        generate_vocab.main([str(path), str(tmp_path / "vocab.txt")])


def test_a_column_of_stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"body": "b a"}\n')))
    generate_vocab.main(["-", "--text-column", "body", str(tmp_path / "vocab.txt")])
    assert (tmp_path / "vocab.txt").read_text() == "a\nb\n"


@pytest.mark.parametrize("architecture", ["kim_cnn", "sm_cnn"])
def test_a_vocabulary_is_split_as_a_model_splits(vector_file: Write, tmp_path: Path, architecture: str) -> None:
    config = {
        "dim": 2,
        "channels": 1,
        "filters": 1,
        "width": 5,
        "features": False,
        "dropout": 0.5,
        "labels": ["a", "b"],
    }
    config["tokenizer"] = {"case_marks": True, "placeholders": True}
    predict = {"kim_cnn": kim_cnn.predict, "sm_cnn": sm_cnn.predict}[architecture]
    write_model(tmp_path / "a.model", architecture, config, predict.build(config).state_dict())
    text = vector_file("See http://x.org", name="a.txt")
    generate_vocab.main([str(text), "--model", str(tmp_path / "a.model"), str(tmp_path / "vocab.txt")])
    assert (tmp_path / "vocab.txt").read_text() == "<cap>\n<url>\nsee\n"
    with pytest.raises(ModelFileError, match=r"a\.txt: not a model file"):
        generate_vocab.main([str(text), "--model", str(text), str(tmp_path / "vocab.txt")])


@pytest.mark.parametrize(("model", "word"), [("kim_cnn", "movie"), ("sm_cnn", "60")])
def test_the_words_of_a_models_check_are_in_its_vocabulary(
    vector_file: Write, tmp_path: Path, model: str, word: str
) -> None:
    """A deployment to a table without them is refused."""
    text, vocabulary = str(vector_file("own text", name="a.txt")), tmp_path / "vocab.txt"
    generate_vocab.main([text, "--model", str(ROOT / f"{model}.model"), str(vocabulary)])
    assert {"own", "text", word} <= set(vocabulary.read_text().split())


def test_an_output_that_is_no_vocabulary_is_not_overwritten(vector_file: Write, tmp_path: Path) -> None:
    """Someone forgot to name the output: the last text stands in its place."""
    text, questions = vector_file("some text", name="a.toks"), vector_file("how?", "what is it", name="questions.txt")
    packed = tmp_path / "questions.txt.gz"
    packed.write_bytes(gzip.compress(b"what is it\n"))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\0")
    for output in (questions, packed, binary):
        before = output.read_bytes()
        with pytest.raises(CommandError, match=r"exists and is no vocabulary .*; name the file to write last"):
            generate_vocab.main([str(text), str(output)])
        assert output.read_bytes() == before


def test_a_vocabulary_is_written_again_also_after_words_were_added(vector_file: Write, tmp_path: Path) -> None:
    text, output = vector_file("some text", name="a.toks"), tmp_path / "vocabulary.txt"
    for _ in range(2):
        generate_vocab.main([str(text), str(output)])
        with output.open("a") as more:
            more.write("added\n")
    generate_vocab.main([str(text), str(output)])
    assert output.read_text() == "some\ntext\n"


def most_frequent(path: Path, number: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert get_most_frequent_words.main(["--frequency_data_file", str(path), "--num_of_words", str(number)]) == 0
    return capsys.readouterr().out.split("\n")


@pytest.mark.parametrize("header", [["word,count"], []])
def test_most_frequent_words_come_first_and_ties_in_file_order(
    vector_file: Write, capsys: pytest.CaptureFixture[str], header: list[str]
) -> None:
    path = vector_file(*header, "b,5", "z,7", "a,5", '"c",70', "y,7", name="freq.csv")
    assert most_frequent(path, 4, capsys) == ["c", "z", "y", "b", ""]
    assert most_frequent(path, 99, capsys) == ["c", "z", "y", "b", "a", ""]


def test_bad_rows_are_named_skipped_and_counted(vector_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = vector_file("the,5", "of,many", "and", ",3", "a,-1", "to,4,5", "in,3", name="freq.csv")
    assert get_most_frequent_words.main(["--frequency_data_file", str(path), "--num_of_words", "9"]) == 0
    output = capsys.readouterr()
    assert output.out == "the\nin\n"
    assert all(f"freq.csv, line {number}: " in output.err for number in (2, 3, 4, 5, 6))
    assert "5 bad rows skipped" in output.err


def test_a_word_list_is_what_the_uploader_reads(vector_file: Write, tmp_path: Path) -> None:
    path = vector_file("word,count", "naïve,2", "the,9", "don't,5", name="freq.csv")
    words = tmp_path / "words.txt"
    get_most_frequent_words.main(["--frequency_data_file", str(path), "--num_of_words", "3", "--output", str(words)])
    assert list(read_wordlist(words)) == ["the", "don't", "naïve"]


@pytest.mark.skipif("SERVERLESS_INFERENCE_DATA" not in os.environ, reason="needs the data sets")
def test_the_real_frequency_list(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(os.environ["SERVERLESS_INFERENCE_DATA"]) / "freq" / "unigram_freq.csv"
    words = most_frequent(path, 100_000, capsys)
    assert words[:5] == ["the", "of", "and", "to", "a"]
    assert len(words) == 100_001


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_frequency_list(tmp_path: Path, capsys: pytest.CaptureFixture[str], compress: Any) -> None:
    path = tmp_path / "freq"
    path.write_bytes(compress("\ufeffword,count\nof,3\nthe,5\n".encode()))
    assert most_frequent(path, 9, capsys) == ["the", "of", ""]


@pytest.mark.parametrize(
    ("content", "message"), [(b"the,5\n\xff\xfe\n", "line 2: not UTF-8"), (b"a" * (1 << 25), "line 1: not CSV")]
)
def test_a_frequency_list_that_is_no_text_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "freq.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=message):
        get_most_frequent_words.main(["--frequency_data_file", str(path), "--num_of_words", "1"])


@pytest.mark.parametrize("content", ["", "word,count\n", "not a list\n"])
def test_a_frequency_list_without_words_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "freq.csv"
    path.write_text(content)
    with pytest.raises(CommandError, match="no row of the form word,count"):
        get_most_frequent_words.main(["--frequency_data_file", str(path), "--num_of_words", "1"])


def test_number_of_words_must_be_positive() -> None:
    with pytest.raises(SystemExit) as exit:
        get_most_frequent_words.main(["--frequency_data_file", "f", "--num_of_words", "0"])
    assert exit.value.code == 2


@pytest.mark.parametrize("name", ["out.txt", "out.txt.gz", "out.txt.bz2", "out.txt.xz"])
def test_binary_to_text_and_back_keeps_every_bit(tmp_path: Path, name: str) -> None:
    vectors = KeyedVectors.load_word2vec_format(SAMPLE, binary=False, limit=2000)
    vectors.vectors = np.random.default_rng(0).normal(size=vectors.vectors.shape).astype(np.float32)
    binary, text = tmp_path / "in.bin", tmp_path / name
    vectors.save_word2vec_format(binary, binary=True)
    assert word2vec_bin_to_txt.main([str(binary), str(text)]) == 0
    found = KeyedVectors.load_word2vec_format(text, binary=False)
    assert found.index_to_key == vectors.index_to_key
    assert found.vectors.tobytes() == vectors.vectors.tobytes()


def test_a_fasttext_model_is_read_as_gensim_reads_it(tmp_path: Path) -> None:
    path, text = datapath("lee_fasttext_new.bin"), tmp_path / "out.txt"
    word2vec_bin_to_txt.main([path, str(text), "--limit", "500"])
    expected, found = load_facebook_vectors(path), dict(read_vectors(text))
    assert list(found) == expected.index_to_key[:500]
    assert all(np.array_equal(vector, expected[word]) for word, vector in found.items())


@pytest.mark.parametrize("whole_model", [False, True])
@pytest.mark.parametrize("name", ["saved", "saved.gz"])
def test_what_gensim_saved_is_read_with_its_side_files_when_allowed(
    tmp_path: Path, whole_model: bool, name: str
) -> None:
    model = gensim.models.Word2Vec([["the", "movie"], ["the", "ice"]], vector_size=7, min_count=1, seed=1, workers=1)
    path, text = tmp_path / name, tmp_path / "out.txt"
    (model if whole_model else model.wv).save(str(path), sep_limit=0)
    assert len(list(tmp_path.glob("saved*.np*"))) >= 1
    with pytest.raises(VectorFileError, match=r"a Python pickle, as gensim's save\(\) writes; if you trust its source"):
        word2vec_bin_to_txt.main([str(path), str(text)])
    words = tmp_path / "words.txt"
    words.write_text("ice\nthe\nnone\n")
    for options, kept in (([], model.wv.index_to_key), (["--wordlist", str(words)], ["the", "ice"])):
        word2vec_bin_to_txt.main([str(path), str(text), "--unpickle", *options])
        found = dict(read_vectors(text))
        assert sorted(found) == sorted(kept)
        assert all(np.array_equal(vector, model.wv[word]) for word, vector in found.items())


def test_a_pickle_is_not_executed_unless_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evil").write_bytes(pickle.dumps(RunsCode()))
    with pytest.raises(VectorFileError, match="a Python pickle"):
        word2vec_bin_to_txt.main(["evil", "out.txt"])
    assert [path.name for path in tmp_path.iterdir()] == ["evil"]


class RunsCode:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


@pytest.mark.parametrize(("content", "options"), [(b"\x80\x04K\x01.", ["--unpickle"]), (b"\xba\x16\x4f\x2f\x0c", [])])
def test_what_gensim_cannot_read_is_one_line(tmp_path: Path, content: bytes, options: list[str]) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match="gensim can't read it"):
        word2vec_bin_to_txt.main([str(path), str(tmp_path / "out.txt"), *options])
    assert not (tmp_path / "out.txt").exists()


def test_a_word_that_no_text_file_can_hold_stops_the_conversion(tmp_path: Path) -> None:
    vectors = KeyedVectors(2)
    vectors.add_vectors(["a", "two\nlines"], np.ones((2, 2), np.float32))
    vectors.save(str(tmp_path / "saved"))
    with pytest.raises(VectorFileError, match=r"the word 'two\\nlines' or its vector"):
        word2vec_bin_to_txt.main([str(tmp_path / "saved"), str(tmp_path / "out.txt"), "--unpickle"])


def test_compressed_input_and_limit(tmp_path: Path) -> None:
    text = tmp_path / "out.txt"
    word2vec_bin_to_txt.main([str(SAMPLE), str(text), "--limit", "7"])
    assert text.read_text(encoding="utf-8").startswith("7 50\nthe 0.418 ")
    assert [word for word, _ in read_vectors(text)] == [word for word, _ in read_vectors(SAMPLE)][:7]


def test_only_the_words_of_a_list(vector_file: Write, tmp_path: Path) -> None:
    words = vector_file("movie", "no-such-word", "the", name="words.txt")
    text = tmp_path / "out.txt"
    word2vec_bin_to_txt.main([str(SAMPLE), str(text), "--wordlist", str(words)])
    assert [word for word, _ in read_vectors(text)] == ["the", "movie"]


def test_a_cut_file_leaves_no_output(tmp_path: Path) -> None:
    cut = tmp_path / "cut.bin"
    cut.write_bytes(b"2 2\na " + bytes(8) + b"b \x00")
    command: list[str | Path] = [sys.executable, ROOT / "utils/word2vec_bin_to_txt.py", cut, tmp_path / "out.txt"]
    ran = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert re.fullmatch(r"word2vec_bin_to_txt\.py: .*cut\.bin: ends within word 2 .*\n", ran.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.bin"]


def test_the_committed_sample_has_the_words_of_the_demo() -> None:
    words = {word for word, _ in read_vectors(SAMPLE)}
    demo = generate_vocab.vocabulary((ROOT / "data/demo_sentences.txt").read_text(encoding="utf-8").splitlines())
    assert set(demo) <= words


def test_stdin_that_is_not_utf8_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\xff\n")))
    with pytest.raises(CommandError, match="stdin, line 2: not UTF-8"):
        generate_vocab.main(["-", str(tmp_path / "vocab.txt")])
