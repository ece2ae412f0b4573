"""Time ways to unpack libtorch_cpu.so at start: compression levels, where to, and threads.

Takes the library out of a package and, for each level, compresses it in as many pieces as there are threads. A
thread unpacks each piece straight to its place. Where: `memory`, an anonymous file (memfd), or a file in a folder.
Medians in seconds.

Example:
  python bench/unpack.py build/torch/kim_cnn.zip --levels 3 9 --where memory /tmp
"""

import argparse
import os
import statistics
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

try:
    from compression import zstd  # Python 3.14 and newer
except ImportError:
    from backports import zstd

from inference.libtorch import READ_BYTES, WRITE_BYTES


def unpack(piece: bytes, descriptor: int, offset: int) -> None:
    """Unpack a compressed piece to its place in a file, in steps as inference/libtorch.py does."""
    decompressor = zstd.ZstdDecompressor()
    read = 0
    while not decompressor.eof:
        data = b""
        if decompressor.needs_input:
            data, read = piece[read : read + READ_BYTES], read + READ_BYTES
        offset += os.pwrite(descriptor, decompressor.decompress(data, max_length=WRITE_BYTES), offset)


def seconds(pieces: list[bytes], step: int, where: str) -> float:
    """Return the time it takes to unpack `pieces`, `step` bytes apart, each in a thread."""
    began = time.perf_counter()
    path = Path(where) / f"bench-unpack-{os.getpid()}"
    descriptor = os.memfd_create("bench") if where == "memory" else os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        with ThreadPoolExecutor(len(pieces)) as pool:
            list(pool.map(lambda number: unpack(pieces[number], descriptor, number * step), range(len(pieces))))
        return time.perf_counter() - began
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="a package with PyTorch")
    parser.add_argument("--levels", type=int, nargs="+", default=[3, 9], help="zstd levels (default: 3 9)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    parser.add_argument(
        "--where", nargs="+", default=["memory", "/tmp"], help="memory or a folder (default: memory /tmp)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="(default: 7)")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.package) as archive:
        library = zstd.decompress(archive.read("torch/lib/libtorch_cpu.so.zst"))
    packed = {}
    for level in tqdm(arguments.levels, disable=None, unit="level"):
        for threads in arguments.threads:
            step = -(-len(library) // threads)
            pieces = [zstd.compress(library[start : start + step], level) for start in range(0, len(library), step)]
            packed[level, threads] = pieces, step
    runs: dict[tuple[int, int, str], list[float]] = {}
    for _ in tqdm(range(arguments.rounds), disable=None, unit="round"):
        for (level, threads), (pieces, step) in packed.items():
            for where in arguments.where:
                runs.setdefault((level, threads, where), []).append(seconds(pieces, step, where))
    print(f"{'level':>5}{'threads':>9}  {'where':<12}{'bytes':>12}{'seconds':>9}")
    for (level, threads, where), times in runs.items():
        size = sum(map(len, packed[level, threads][0]))
        print(f"{level:>5}{threads:>9}  {where:<12}{size:>12,}{statistics.median(times):>9.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
