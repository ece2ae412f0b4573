"""torch in a deployment package: its largest library travels compressed and is unpacked to memory at start.

libtorch_cpu.so alone is over Lambda's limit on a package. The package has it as libtorch_cpu.so.zst, and in
libtorch_cpu.so.needs the libraries of torch/lib that must be loaded before it. Importing this module starts to
unpack, so that it happens while the rest is imported; `load` then loads the library, and `import torch` finds it
loaded already. It is unpacked to an anonymous file in memory: nothing is left in /tmp, and a start that was cut off
leaves nothing behind. Where torch is whole, as in a checkout, neither does anything.
"""

import ctypes
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

LIBRARIES = Path(__file__).parents[1] / "torch/lib"
COMPRESSED = LIBRARIES / "libtorch_cpu.so.zst"
READ_BYTES, WRITE_BYTES = 64 * 1024, 256 * 1024  # small enough to stay in the processor's cache


def _unpack() -> int:
    """Unpack COMPRESSED to an anonymous file; return its descriptor."""
    try:
        from compression import zstd  # Python 3.14 and newer
    except ImportError:
        from backports import zstd

    descriptor = os.memfd_create("libtorch_cpu.so")
    decompressor = zstd.ZstdDecompressor()
    with COMPRESSED.open("rb") as compressed:
        while not decompressor.eof:
            data = compressed.read(READ_BYTES) if decompressor.needs_input else b""
            if decompressor.needs_input and not data:
                raise EOFError(f"{COMPRESSED}: cut short; build the package again")
            unpacked = memoryview(decompressor.decompress(data, max_length=WRITE_BYTES))
            while unpacked:
                unpacked = unpacked[os.write(descriptor, unpacked) :]
    return descriptor


_unpacking: "Future[int] | None" = None


def start_unpacking() -> None:
    """Begin to unpack libtorch_cpu.so in the background, if it came compressed."""
    global _unpacking
    if COMPRESSED.exists():
        pool = ThreadPoolExecutor(1, thread_name_prefix="unpack-libtorch")
        _unpacking = pool.submit(_unpack)  # zstd and write work without the interpreter's lock
        pool.shutdown(wait=False)


def load() -> None:
    """Load libtorch_cpu.so if it came compressed; call it before `import torch`. A second call does nothing."""
    global _unpacking
    if _unpacking is None:
        return
    descriptor = _unpacking.result()
    for library in COMPRESSED.with_suffix(".needs").read_text().split():
        ctypes.CDLL(str(LIBRARIES / library), ctypes.RTLD_GLOBAL)
    ctypes.CDLL(f"/proc/self/fd/{descriptor}", ctypes.RTLD_GLOBAL)
    os.close(descriptor)
    _unpacking = None
