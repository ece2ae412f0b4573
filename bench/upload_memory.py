"""Peak memory of uploads of files of different length: it should not grow with them.

    python bench/upload_memory.py                # 100,000 and 1,000,000 lines of 300-d, about 5 minutes, 3 GB of disk

Each file is uploaded whole by the command in a process of its own, to a server that answers at once. Linux only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stub_server import stub_server
from vector_files import write_glove

SCRIPT = Path(__file__).parents[1] / "utils/upload_word_vectors_to_dynamo.py"


def peak_memory(path: Path) -> float:
    """Return the most memory, in MB, that uploading `path` took."""
    # Not getrusage: its peak counts the memory of the process that started this one, too.
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(SCRIPT), str(path), "words", "--quiet"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(ran.stdout.split()[-1]) * 1024 / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stub_server():
        for words in arguments.words:
            os.environ["XDG_STATE_HOME"] = f"{folder}/{words}"  # each upload from the start
            path = Path(folder) / "vectors.txt"
            write_glove(path, words, arguments.dim)
            start = time.perf_counter()
            memory = peak_memory(path)
            seconds = time.perf_counter() - start
            size = path.stat().st_size / 1e6
            print(f"{words:>9,} x {arguments.dim}-d, {size:,.0f} MB: peak {memory:.0f} MB, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
