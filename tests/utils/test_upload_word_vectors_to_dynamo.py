"""The upload command: what ends up in the table, whatever is in the file, and however the run ends."""

import gzip
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from gensim.test.utils import datapath
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from inference.item_format import FORMATS, decode_vector, encode_vector
from inference.word_vectors import WordVectors
from tests.fakes.dynamodb import FakeDynamoDB
from toolkit.cli import CommandError
from toolkit.compression import DamagedFileError
from toolkit.vectors.file import BadLineError, VectorFileError, read_vectors
from toolkit.vectors.table import BATCH_ITEMS, PARALLEL_CALLS
from utils.upload_word_vectors_to_dynamo import main

ROOT = Path(__file__).parents[2]
UPLOAD = ROOT / "utils/upload_word_vectors_to_dynamo.py"
SAMPLE = ROOT / "data/glove.6B.50d.sample.txt.gz"

Write = Callable[..., Path]


def table_content(client: Any, table: str = "words") -> dict[str, dict[str, Any]]:
    pages = client.get_paginator("scan").paginate(TableName=table)
    return {item["word"]["S"]: item["vector"] for page in pages for item in page["Items"]}


def assert_holds(fake: FakeDynamoDB, path: Path) -> None:
    assert {word: vector["B"] for word, vector in fake.items.items()} == {
        word: vector.tobytes() for word, vector in read_vectors(path)
    }


def test_creates_the_table_and_fills_it_for_the_handlers(dynamodb: Any, vector_file: Write, item_format: str) -> None:
    path = vector_file("a 1 2.5", "b -0.125 4", "Été . -3 0")
    assert main([str(path), "new-table", "--create-table", "--format", item_format, "--verify"]) == 0
    found = WordVectors(lambda: dynamodb, "new-table", 2, 0).lookup(["a", "b", "Été .", "c"])
    assert {word: None if vector is None else vector.tolist() for word, vector in found.items()} == {
        "a": [1, 2.5],
        "b": [-0.125, 4],
        "Été .": [-3, 0],
        "c": None,
    }
    description = dynamodb.describe_table(TableName="new-table")["Table"]
    assert description["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_twice_is_harmless(dynamodb: Any, vector_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = vector_file(*(f"word{number} {number} 1" for number in range(100)))
    main([str(path), "words"])
    before = table_content(dynamodb)
    main([str(path), "words", "--create-table"])
    assert table_content(dynamodb) == before
    assert "100 words written" in capsys.readouterr().out.splitlines()[1]


def test_a_list_without_words_is_refused(dynamodb: Any, vector_file: Write, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n\n")
    with pytest.raises(CommandError, match=r"words\.txt: no words in it"):
        main([str(vector_file("a 1 2")), "words", "--wordlist", str(tmp_path / "words.txt")])


def test_keeps_the_words_of_a_list_and_names_the_missing(
    dynamodb: Any, vector_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = vector_file("a 1 2", "b 3 4", "c d 5 6", "e 7 8")
    wordlist = vector_file("zebra", "c d", "", "a ", "\tapple", "a", name="words.txt")
    main([str(path), "words", "--word_list", str(wordlist), "--missing", str(tmp_path / "missing.txt")])
    assert set(table_content(dynamodb)) == {"a", "c d"}
    assert (tmp_path / "missing.txt").read_text() == "zebra\napple\n"
    assert "2 of 4 words" in capsys.readouterr().out


def test_the_first_of_duplicates_wins(dynamodb: Any, vector_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"word{number} {number} 1" for number in range(200)]
    path = vector_file(*lines, *(f"word{number} -1 -1" for number in range(0, 200, 2)), "word0 -2 -2")
    main([str(path), "words"])
    assert {word: decode_vector(vector, 2)[0] for word, vector in table_content(dynamodb).items()} == {
        f"word{number}": number for number in range(200)
    }
    assert "101 duplicates" in capsys.readouterr().out


def test_stops_at_a_bad_line_and_goes_on_once_it_is_corrected(fake_dynamodb: FakeDynamoDB, vector_file: Write) -> None:
    lines = [f"word{number} {number} 1" for number in range(1000)]
    lines[777] = "word777 777"
    path = vector_file(*lines)
    with pytest.raises(BadLineError, match=r"line 778: 1 values, not 2"):
        main([str(path), "words"])
    assert len(fake_dynamodb.items) == 777
    vector_file(*lines[:777], "word777 777 1", *lines[778:])
    main([str(path), "words"])
    assert_holds(fake_dynamodb, path)
    assert fake_dynamodb.written == 1000  # none of them twice


def test_a_bad_line_is_skipped_and_counted_on_request(
    dynamodb: Any, vector_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [f"word{number} 1 2" for number in range(20)]
    path = vector_file(*good, "twice nan 1", "short 1", "x" * 3000 + " 1 2", "twice 5 6", "twice 7 8")
    assert main([str(path), "words", "--skip-bad-lines"]) == 0
    output = capsys.readouterr()
    assert "3 bad lines skipped" in output.out
    assert all(f"line {number}: " in output.err for number in (21, 22, 23))
    content = table_content(dynamodb)
    assert len(content) == 21
    assert decode_vector(content["twice"], 2).tolist() == [5, 6]  # the first that is good


def test_text_that_is_not_all_utf8_never_becomes_other_words(dynamodb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(datapath("pang_lee_polarity_fasttext.vec"))
    with pytest.raises(BadLineError, match=r"line 150: the word b'\\x97' is not UTF-8"):
        main([str(path), "words", "--dry-run"])
    assert main([str(path), "words", "--skip-bad-lines", "--verify"]) == 0
    assert "5 bad lines skipped" in capsys.readouterr().out
    lines = path.read_text("utf-8", errors="replace").splitlines()[1:]
    assert table_content(dynamodb).keys() == {line.split(" ")[0] for line in lines if "\ufffd" not in line}


def test_a_value_that_float16_cannot_hold_is_a_bad_line(dynamodb: Any, vector_file: Write) -> None:
    path = vector_file("a 1 2", "b 70000 1")
    with pytest.raises(BadLineError, match=r"line 2: .*float16"):
        main([str(path), "words", "--format", "float16"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" * 50,
        b"word,count\nthe,5\n",
        SAMPLE.read_bytes()[:-3000],
        b"3 1\na " + bytes(4) + b"b " + bytes(4),
        b"1 1\na " + bytes(4) + b"b " + bytes(4),
    ],
    ids=["empty", "zip", "CSV", "cut gzip", "cut binary", "more binary than its header says"],
)
def test_refuses_another_file_before_anything_is_written(dynamodb: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises((VectorFileError, DamagedFileError), match=str(path)):
        main([str(path), "words"])
    assert not table_content(dynamodb)


def test_refuses_vectors_that_do_not_fit_into_an_item(vector_file: Write) -> None:
    path = vector_file("a" + " 0.25" * 60_000)
    with pytest.raises(CommandError, match=r"60000-dimensional vectors do not fit .* 400 KB"):
        main([str(path), "words", "--format", "list", "--dry-run"])


def test_refuses_a_table_that_is_not_there_or_has_another_key(dynamodb: Any, vector_file: Write) -> None:
    path = vector_file("a 1 2")
    with pytest.raises(CommandError, match=r"no table nowhere .* --create-table"):
        main([str(path), "nowhere"])
    dynamodb.create_table(
        TableName="other",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for arguments in ([], ["--create-table"]):
        with pytest.raises(CommandError, match="table other has another key"):
            main([str(path), "other", *arguments])


def test_verify_names_what_differs(dynamodb: Any, vector_file: Write, item_format: str, capsys: Any) -> None:
    path = vector_file("a 1 2", "b 3 4", "c 5 6")
    main([str(path), "words", "--format", item_format])
    assert main([str(path), "words", "--format", item_format, "--verify"]) == 0
    changed = {"word": {"S": "a"}, "vector": encode_vector(np.array([1, 2.5], np.float32), item_format)}
    dynamodb.put_item(TableName="words", Item=changed)
    dynamodb.delete_item(TableName="words", Key={"word": {"S": "c"}})
    with pytest.raises(CommandError, match="2 of 3 words in table words are not as in"):
        main([str(path), "words", "--format", item_format, "--verify"])
    errors = capsys.readouterr().err
    assert "'a' differs" in errors
    assert "'c' is not there" in errors
    main([str(path), "words", "--format", item_format])  # writes them again
    assert main([str(path), "words", "--format", item_format, "--verify"]) == 0


@pytest.mark.parametrize(("format", "size", "units"), [("float32", 1211, 2), ("float16", 612, 1)])
def test_dry_run_prints_size_units_and_dollars_without_aws(
    vector_file: Write, capsys: pytest.CaptureFixture[str], format: str, size: int, units: int
) -> None:
    path = vector_file(*(f"{number} {'0.5 ' * 300}" for number in range(10)))
    assert main([str(path), "no-such-table", "--dry-run", "--format", format]) == 0
    output = capsys.readouterr().out
    assert f"{size} bytes on average" in output.replace(",", "")
    assert f"write units   {10 * units}, {units}.00 a word, ${10 * units * 0.625e-6:.4f}" in output


def words_before(state_folder: Path, path: Path) -> int:
    """Return how many lines of `path` the kept progress covers, 0 without progress."""
    for kept in state_folder.glob("*.json"):
        offset = json.loads(kept.read_text())["offset"]
        return path.read_bytes()[:offset].count(b"\n")
    return 0


def start_upload(path: Path) -> subprocess.Popen[str]:
    command: list[str | Path] = [sys.executable, UPLOAD, path, "words"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_resumes(fake: FakeDynamoDB, state_folder: Path, path: Path) -> None:
    """Finish the upload; exactly the words behind the kept progress are written, beside those in flight before."""
    in_flight = PARALLEL_CALLS * BATCH_ITEMS
    before, written = words_before(state_folder, path), fake.written
    fake.latency = 0
    output, errors = start_upload(path).communicate()
    assert f"{before:,} words are there already; going on" in errors
    assert output == f"{5000 - before:,} words written to words\n"
    assert fake.written - written <= 5000 - before + in_flight
    assert_holds(fake, path)


def test_resumes_where_it_was_killed(fake_dynamodb: FakeDynamoDB, state_folder: Path, many_words: Path) -> None:
    fake_dynamodb.latency = 0.2  # so that its progress is kept several times
    before = 0
    for _ in range(2):
        process = start_upload(many_words)
        while (now := words_before(state_folder, many_words)) <= before:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.communicate()
        before = now
    assert 0 < before < 5000
    assert_resumes(fake_dynamodb, state_folder, many_words)


def test_ctrl_c_keeps_what_was_written(fake_dynamodb: FakeDynamoDB, state_folder: Path, many_words: Path) -> None:
    fake_dynamodb.latency = 0.2
    process = start_upload(many_words)
    while fake_dynamodb.written < 2000:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert "the same command goes on from here" in errors
    assert "Traceback" not in errors
    assert process.returncode == 130
    assert 0 < words_before(state_folder, many_words) <= fake_dynamodb.written < 5000
    assert_resumes(fake_dynamodb, state_folder, many_words)


def test_ctrl_c_ends_a_run_that_the_table_throttles(fake_dynamodb: FakeDynamoDB, many_words: Path) -> None:
    fake_dynamodb.throttle_every = 1
    process = start_upload(many_words)
    while fake_dynamodb.calls["BatchWriteItem"] < 20:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == 130


def upload_half(fake_dynamodb: FakeDynamoDB, path: Path, *arguments: str) -> None:
    """Upload about half of a file of 5,000 words, then break off at a bad line."""
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2500], "broken", *lines[2501:]]) + "\n")
    with pytest.raises(BadLineError):
        main([str(path), "words", *arguments])
    path.write_text("\n".join(lines) + "\n")
    assert len(fake_dynamodb.items) == 2500


@pytest.mark.parametrize("change", ["table made anew", "format", "file", "wordlist", "another upload between"])
def test_starts_over_when_what_was_written_no_longer_counts(
    fake_dynamodb: FakeDynamoDB, many_words: Path, vector_file: Write, change: str
) -> None:
    upload_half(fake_dynamodb, many_words)
    arguments: list[str] = []
    if change == "table made anew":
        fake_dynamodb.items.clear()
        fake_dynamodb.table_id = "second"
    elif change == "format":
        arguments = ["--format", "float16"]
    elif change == "file":
        lines = many_words.read_text().splitlines()
        lines[3] = "word3" + " 0.5" * 20
        many_words.write_text("\n".join(lines) + "\n")
    elif change == "wordlist":
        fake_dynamodb.items.clear()
        arguments = ["--wordlist", str(vector_file(*(f"word{number}" for number in range(0, 5000, 7)), name="w"))]
    else:
        main([str(vector_file("word1" + " 7" * 20, "word4" + " 8" * 20)), "words"])
    main([str(many_words), "words", *arguments])
    wanted = range(0, 5000, 7) if change == "wordlist" else range(5000)
    expected = {word: vector for word, vector in read_vectors(many_words) if int(word[4:]) in wanted}
    format = "float16" if change == "format" else "float32"
    assert fake_dynamodb.items == {word: encode_vector(vector, format) for word, vector in expected.items()}


def test_progress_that_cannot_be_read_is_no_progress(
    fake_dynamodb: FakeDynamoDB, many_words: Path, state_folder: Path
) -> None:
    upload_half(fake_dynamodb, many_words)
    (kept,) = state_folder.iterdir()
    kept.write_text('{"offset": 12')
    main([str(many_words), "words"])
    assert_holds(fake_dynamodb, many_words)


def test_goes_on_without_a_place_for_progress(
    fake_dynamodb: FakeDynamoDB, many_words: Path, state_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state_folder.parent.write_text("a file, where a folder should be")
    assert main([str(many_words), "words"]) == 0
    assert_holds(fake_dynamodb, many_words)
    assert "progress can't be kept" in capsys.readouterr().err


def test_a_table_that_throttles_and_leaves_items_gets_them_all(fake_dynamodb: FakeDynamoDB, vector_file: Write) -> None:
    path = vector_file(*(f"word{number} {number} 1" for number in range(600)))
    fake_dynamodb.unprocessed, fake_dynamodb.throttle_every = 0.3, 5
    main([str(path), "words", "--verify"])
    assert_holds(fake_dynamodb, path)
    assert fake_dynamodb.most_items == 25


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" "), min_size=1).filter(str.strip),
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(FORMATS),
)
def test_any_words_and_values_reach_the_table(tmp_path: Path, vectors: dict[str, list[float]], format: str) -> None:
    path = tmp_path / "any.txt"
    if format == "float16":
        vectors = {word: [float(np.float16(np.clip(v, -60000, 60000))) for v in row] for word, row in vectors.items()}
    lines = [f"{word} {' '.join(map(repr, values))}\n" for word, values in vectors.items()]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    with mock_aws():
        assert main([str(path), "words", "--create-table", "--format", format, "--verify"]) == 0
        content = table_content(boto3.client("dynamodb"))
    assert content.keys() == vectors.keys()
    for word, values in vectors.items():
        assert np.array_equal(decode_vector(content[word], 2), np.array(values, np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["v", "t", "--missing", "m"], "--missing goes with --wordlist"),
        (["v", "t", "--wordlist", "w", "--missing", "/nowhere/m"], "there is no folder /nowhere"),
        (["v", "t", "--dry-run", "--via-s3", "b"], "not allowed with"),
        (["v", "t", "--format", "float64"], "invalid choice"),
    ],
)
def test_bad_usage_exits_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


def test_a_failure_is_one_line_and_exits_1(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, UPLOAD, "no-such-file", "words"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert re.fullmatch(r"upload_word_vectors_to_dynamo\.py: .*no-such-file.*\n", ran.stderr)


def test_compressed_missing_words(dynamodb: Any, vector_file: Write, tmp_path: Path) -> None:
    wordlist, missing = vector_file("a", "nowhere", name="words.txt"), tmp_path / "missing.txt.gz"
    main([str(vector_file("a 1 2")), "words", "--wordlist", str(wordlist), "--missing", str(missing)])
    assert gzip.decompress(missing.read_bytes()) == b"nowhere\n"
