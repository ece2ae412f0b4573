"""What commands share: the name in their messages, exit codes, files in and out."""

import bz2
import gzip
import lzma
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from toolkit.atomic_write import atomic_write
from toolkit.cli import CommandError, open_output, read_lines, read_wordlist
from toolkit.compression import DamagedFileError

ROOT = Path(__file__).parents[2]

COMMAND = '''"""Do nothing.

Example:
  python utils/nothing.py
"""
import sys
from toolkit import cli
from toolkit.cli import CommandError

def main():
    argument = cli.parser(__doc__).parse_known_args()[1]
    {body}
    return 0

cli.run(main)
'''


def run_command(tmp_path: Path, body: str, *arguments: str, module: bool = False) -> subprocess.CompletedProcess[str]:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/command.py").write_text(COMMAND.format(body=body))
    command = ["-m", "package.command"] if module else ["package/command.py"]
    return subprocess.run(
        [sys.executable, *command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("module", "name"), [(False, "command.py"), (True, "python -m package.command")])
def test_help_shows_the_name_as_typed_and_the_docstring_as_it_is(tmp_path: Path, module: bool, name: str) -> None:
    ran = run_command(tmp_path, "pass", "--help", module=module)
    assert ran.stdout.startswith(f"usage: {name} [-h]\n")
    assert "\nExample:\n  python utils/nothing.py\n" in ran.stdout


@pytest.mark.parametrize(
    ("body", "code", "errors"),
    [
        ("pass", 0, ""),
        ("raise CommandError('say what\\n  to do')", 1, "command.py: say what to do\n"),
        ("open('/none/file')", 1, "command.py: /none/file: No such file or directory\n"),
        ("raise KeyboardInterrupt", 130, "command.py: interrupted\n"),
        (
            "from botocore.exceptions import NoRegionError; raise NoRegionError()",
            1,
            "command.py: You must specify a region: run `aws configure`, or set AWS_PROFILE, or AWS_DEFAULT_REGION\n",
        ),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(tmp_path: Path, body: str, code: int, errors: str) -> None:
    ran = run_command(tmp_path, body)
    assert (ran.returncode, ran.stderr) == (code, errors)


COMMANDS = [path for folder in ("utils", "kim_cnn", "sm_cnn") for path in (ROOT / folder).glob("*.py")
            if "run(main)" in path.read_text()]  # fmt: skip
CTRL_C_WHILE_IMPORTED = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(30)"


@pytest.mark.parametrize("path", COMMANDS, ids=[str(path.relative_to(ROOT)) for path in COMMANDS])
def test_ctrl_c_while_a_command_imports_gives_no_traceback(tmp_path: Path, path: Path) -> None:
    for name in ("botocore", "numpy", "torch", "tqdm"):  # the first of them that is imported ends the command
        (tmp_path / f"{name}.py").write_text(CTRL_C_WHILE_IMPORTED)
    line = [path] if path.parent.name == "utils" else ["-m", f"{path.parent.name}.{path.stem}"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([sys.executable, *line, "--help"], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (-signal.SIGINT, b"")


def test_ctrl_c_stays_ignored_where_it_was(tmp_path: Path) -> None:
    body = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    (tmp_path / "command.py").write_text(
        "from toolkit import ctrl_c\nctrl_c.end_at_once()\n" + COMMAND.format(body=body)
    )
    ran = subprocess.run(
        [sys.executable, "command.py"], cwd=tmp_path, capture_output=True, text=True, check=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert ran.stdout == "True\n"


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_lines_are_read_compressed_or_not(tmp_path: Path, compress: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(compress("é \r\n\u2028b\n".encode()))
    assert list(read_lines(path)) == ["é ", "\u2028b"]
    path.write_bytes(compress(b"fine\n\xff\n"))
    with pytest.raises(CommandError, match="file, line 2: not UTF-8"):
        list(read_lines(path))


def test_a_damaged_compressed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(b"line\n" * 1000)[:-9])
    with pytest.raises(DamagedFileError, match="file: damaged compressed file, is it cut short"):
        list(read_lines(path))


def test_a_word_list_has_no_white_space_and_no_word_twice(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_text("b \n\ta\n\n  \nb\nnew york\n")
    assert read_wordlist(path) == ["b", "a", "new york"]
    path.write_text(" \n")
    with pytest.raises(CommandError, match="words: no words in it"):
        read_wordlist(path)


@pytest.mark.parametrize(
    ("suffix", "decompress"),
    [("", bytes), (".gz", gzip.decompress), (".bz2", bz2.decompress), (".xz", lzma.decompress)],
)
def test_output_is_compressed_by_its_name_and_the_same_bytes_each_time(
    tmp_path: Path, suffix: str, decompress: Any
) -> None:
    written = []
    for name in ("one", "two"):
        with open_output(tmp_path / f"{name}{suffix}") as output:
            output.write("é\n")
        written.append((tmp_path / f"{name}{suffix}").read_bytes())
    assert written[0] == written[1]
    assert decompress(written[0]) == "é\n".encode()


def test_a_write_that_fails_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_has_the_permissions_of_the_umask_and_a_replaced_one_keeps_its_own(
    tmp_path: Path, umask: int
) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch(0o640)
    old.chmod(0o640)
    before = os.umask(umask)
    try:
        for path in (new, old):
            with atomic_write(path) as file:
                file.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(new.stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


def test_an_output_that_cannot_be_written_is_named_as_asked_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none/file", tmp_path / "folder"):
        with pytest.raises(OSError, match="directory") as error, atomic_write(path) as file:
            file.write(b"x")
        assert error.value.filename == str(path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
