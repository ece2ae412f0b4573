"""torch in a deployment package: its largest library travels compressed and is unpacked when the function starts.

libtorch_cpu.so alone is over Lambda's limit on a package. The package has it as libtorch_cpu.so.zst, and in
libtorch_cpu.so.needs the libraries of torch/lib that must be loaded before it. `start_unpacking` begins while the rest
is imported; `load` then loads the library, and `import torch` finds it loaded already.

It is unpacked to an anonymous file in memory: /tmp stays free, and a start that was cut off leaves nothing behind.
Where such a file can't be made or loaded, as under a stricter seccomp filter, it is unpacked to /tmp, and removed once
it is loaded. Where torch is whole, as in a checkout, neither function does anything.
"""

import ctypes
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

LIBRARIES = Path(__file__).parents[1] / "torch/lib"
COMPRESSED = LIBRARIES / "libtorch_cpu.so.zst"
READ_BYTES, WRITE_BYTES = 64 * 1024, 256 * 1024  # small enough to stay in the processor's cache


class Unpacked(NamedTuple):
    """The library in an open file, at a path that it can be loaded from."""

    descriptor: int
    path: Path


_unpacking: "Future[Unpacked] | None" = None
_loaded = False


def start_unpacking() -> None:
    """Begin to unpack libtorch_cpu.so in the background, if it came compressed."""
    global _unpacking
    if _unpacking is None and COMPRESSED.exists():
        pool = ThreadPoolExecutor(1, thread_name_prefix="unpack-libtorch")
        _unpacking = pool.submit(_unpack_to_memory)  # zstd and write work without the interpreter's lock
        pool.shutdown(wait=False)


def load() -> None:
    """Load libtorch_cpu.so, if it came compressed; call this before `import torch`. A second call does nothing.

    Raises EOFError when it is cut short, OSError when it can be neither unpacked nor loaded.
    """
    global _unpacking, _loaded
    if _loaded or not COMPRESSED.exists():
        return
    for library in COMPRESSED.with_suffix(".needs").read_text().split():
        ctypes.CDLL(str(LIBRARIES / library), ctypes.RTLD_GLOBAL)
    try:
        _load(_unpacking.result() if _unpacking else _unpack_to_memory())
    except OSError:  # no memory file, or none that may be run
        _load(_unpack_to_disk())
    _unpacking, _loaded = None, True


def _load(unpacked: Unpacked) -> None:
    try:
        ctypes.CDLL(str(unpacked.path), ctypes.RTLD_GLOBAL)
    finally:
        os.close(unpacked.descriptor)
        if unpacked.path.is_relative_to(tempfile.gettempdir()):
            unpacked.path.unlink()


def _unpack_to_memory() -> Unpacked:
    descriptor = os.memfd_create("libtorch_cpu.so")
    _unpack(descriptor)
    return Unpacked(descriptor, Path(f"/proc/self/fd/{descriptor}"))


def _unpack_to_disk() -> Unpacked:
    path = Path(tempfile.gettempdir(), "libtorch_cpu.so")
    path.unlink(missing_ok=True)  # of a start that was cut off: there is no room for two
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
    _unpack(descriptor)
    return Unpacked(descriptor, path)


def _unpack(descriptor: int) -> None:
    """Write COMPRESSED, unpacked, to an open file."""
    try:
        from compression import zstd  # Python 3.14 and newer
    except ImportError:
        from backports import zstd

    decompressor = zstd.ZstdDecompressor()
    with COMPRESSED.open("rb") as compressed:
        while not decompressor.eof:
            data = compressed.read(READ_BYTES) if decompressor.needs_input else b""
            if decompressor.needs_input and not data:
                raise EOFError(f"{COMPRESSED}: cut short; build the package again")
            unpacked = memoryview(decompressor.decompress(data, max_length=WRITE_BYTES))
            while unpacked:
                unpacked = unpacked[os.write(descriptor, unpacked) :]
