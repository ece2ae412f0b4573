"""Word vectors of one's own text: reproducible, readable by the upload, never in another file's place."""

import contextlib
import gzip
import io
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inference.item_format import KEY_BYTES
from toolkit.cli import CommandError
from toolkit.vectors.file import VectorFile, read_vectors
from utils import train_word_vectors

ROOT = Path(__file__).parents[2]

Write = Callable[..., Path]

ICE, FILM = "glacier ice snow cold frozen".split(), "movie actor scene film plot".split()


@pytest.fixture
def text(vector_file: Write) -> Path:
    """Lines that are about ice, or about films."""
    random = np.random.default_rng(0)
    lines = [" ".join([*random.choice(about, 6), "."]) for about in (ICE, FILM) * 200]
    return vector_file(*lines, "Once only", name="text.txt")


def train(text: Path, output: Path, *options: str) -> dict[str, np.ndarray]:
    arguments = [str(text), str(output), "--dimensions", "8", "--epochs", "3", "--quiet", *options]
    assert train_word_vectors.main(arguments) == 0
    return dict(read_vectors(output))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("method", train_word_vectors.METHODS)
def test_words_of_one_company_are_near_each_other(text: Path, tmp_path: Path, method: str) -> None:
    vectors = train(text, tmp_path / "out.txt", "--method", method, "--epochs", "30")
    assert set(vectors) == {*ICE, *FILM, "."}
    assert next(iter(vectors)) == "."  # the most frequent comes first
    near = cosine(vectors["glacier"], vectors["snow"])
    assert near > cosine(vectors["glacier"], vectors["actor"]) + 0.2


@pytest.mark.parametrize("method", train_word_vectors.METHODS)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(text: Path, tmp_path: Path, method: str) -> None:
    outputs = [tmp_path / name for name in ("first.txt", "other.txt", "again.txt")]
    for output, seed in zip(outputs, "12", strict=False):
        train(text, output, "--method", method, "--seed", seed)
    command: list[str | Path] = [sys.executable, ROOT / "utils/train_word_vectors.py", text, outputs[-1]]
    command += ["--dimensions", "8", "--epochs", "3", "--method", method, "--seed", "1"]
    subprocess.run(command, check=True, capture_output=True)  # another process hashes strings in another way
    first, other, again = (output.read_bytes() for output in outputs)
    assert first == again != other


def test_rare_words_are_left_out(text: Path, tmp_path: Path) -> None:
    assert "once" not in train(text, tmp_path / "out.txt")
    assert {"once", "only"} <= set(train(text, tmp_path / "out.txt", "--min-count", "1"))


def test_several_texts_compressed_or_from_stdin_are_split_as_serving_splits(
    vector_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "b.txt.gz"
    packed.write_bytes(gzip.compress("It isn’t GOOD\n".encode()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from stdin\n")))
    texts = [str(vector_file("one line", name="a.txt")), str(packed), "-"]
    output = tmp_path / "out.txt.gz"
    train_word_vectors.main([*texts, str(output), "--min-count", "1", "--dimensions", "3", "--quiet"])
    assert set(dict(read_vectors(output))) == set("one line it is n't good from stdin".split())
    assert output.read_bytes().startswith(b"\x1f\x8b")


def test_a_column_of_csv_or_json_lines_is_read_with_placeholders(vector_file: Write, tmp_path: Path) -> None:
    table = vector_file("label,text,more", 'spam,"see http://x.org',
                        'now, friend",or later', name="mails.csv")  # fmt: skip
    options = ["--min-count", "1"]
    assert set(train(table, tmp_path / "out.txt", *options)) == set("see <url> now , friend".split())
    both = train(table, tmp_path / "out.txt", *options, "--text-column", "label", "--text-column", "more")
    assert set(both) == set("spam or later".split())
    rows = vector_file('{"text": "one line\\nof json"}', name="mails.jsonl")
    assert set(train(rows, tmp_path / "out.txt", *options)) == set("one line of json".split())


def test_every_word_is_one_that_the_upload_takes(vector_file: Write, tmp_path: Path) -> None:
    path = vector_file("x" * (KEY_BYTES + 1), "x" * KEY_BYTES, "1 2 3 0.5", "a\u00a0b", name="text.txt")
    vectors = train(path, tmp_path / "out.txt", "--min-count", "1")
    assert set(vectors) == {"x" * KEY_BYTES, "1", "2", "3", "0.5", "a", "b"}
    assert VectorFile(tmp_path / "out.txt").count == len(vectors)


@pytest.mark.parametrize("content", [[], ["", " "], ["each word once"]])
def test_text_without_enough_words_is_refused(vector_file: Write, tmp_path: Path, content: list[str]) -> None:
    with pytest.raises(CommandError, match="no word occurs 2 times; give more text, or a lower --min-count"):
        train(vector_file(*content, name="text.txt"), tmp_path / "out.txt")
    assert not (tmp_path / "out.txt").exists()


def test_only_word_vectors_are_overwritten(text: Path, vector_file: Write, tmp_path: Path) -> None:
    first = train(text, tmp_path / "out.txt")
    assert set(train(text, tmp_path / "out.txt", "--seed", "2")) == set(first)
    other = vector_file("a second text, whose name came last", name="other.txt")
    before = other.read_bytes()
    with pytest.raises(CommandError, match=r"other\.txt exists and holds no word vectors; name the file to write last"):
        train(text, other)
    assert other.read_bytes() == before
    with pytest.raises(SystemExit) as stopped:
        train(text, text)
    assert stopped.value.code == 2


@pytest.mark.parametrize("options", [["--dimensions", "0"], ["--epochs", "x"], ["--method", "glove"]])
def test_options_that_make_no_sense_are_bad_usage(text: Path, tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        train_word_vectors.main([str(text), str(tmp_path / "out.txt"), *options])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("terminal", "options", "shown"), [(True, [], True), (True, ["--quiet"], False), (False, [], False)]
)
def test_progress_is_shown_on_a_terminal_only(
    text: Path, tmp_path: Path, terminal: bool, options: list[str], shown: bool, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    arguments = [str(text), str(tmp_path / "out.txt"), "--dimensions", "4", "--epochs", "2"]
    train_word_vectors.main([*arguments, *options])
    errors = capsys.readouterr().err
    assert ("reading: 401 lines" in errors) == shown
    assert ("training: 100%" in errors and "802/802" in errors) == shown
    assert errors.endswith("11 words, 4-dimensional\n")


def test_ctrl_c_is_one_line_and_leaves_nothing(text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    command: list[str | Path] = [sys.executable, ROOT / "utils/train_word_vectors.py", text, tmp_path / "out.txt"]
    command += ["--epochs", "1000000"]
    ours, theirs = pty.openpty()  # on a terminal it shows what it does
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(folder)}, stderr=theirs) as process:
        os.close(theirs)
        try:
            shown = b""
            while not re.search(rb"[1-9]\d*/401000000 ", shown):  # it trains
                shown += os.read(ours, 1000)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):  # the end
                while more := os.read(ours, 1000):
                    shown += more
            assert process.wait(60) == 130
        finally:
            process.kill()
            os.close(ours)
    assert shown.decode().splitlines()[-1] == "train_word_vectors.py: interrupted"
    assert b"Traceback" not in shown
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "out.txt").exists()
