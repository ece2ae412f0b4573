"""Check the shared libraries of a deployment package against Amazon Linux 2023, and make them smaller.

Every one must be of the target's processor, need no newer glibc or libstdc++ than Lambda has, and no library that
neither Lambda nor the package has. Then what no loader reads is cut away, and libtorch_cpu.so compressed for
inference/libtorch.py to unpack.

Example:
  python utils/package_libraries.py build/package x86_64
"""

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from toolkit.cli import CommandError, run

MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
# Amazon Linux 2023: glibc 2.34 and the libstdc++ of GCC 11.
NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13)}
LAMBDA_HAS = frozenset(
    "ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 libc.so.6 libdl.so.2 libgcc_s.so.1 libm.so.6 libpthread.so.0 "
    "librt.so.1 libstdc++.so.6 libutil.so.1 libz.so.1".split()
)
ZSTD_LEVEL = 9  # 19 made it an eighth smaller, 30 times slower to pack and a third slower to unpack


def libraries(folder: Path) -> list[Path]:
    """Return the ELF files under `folder`, sorted."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _magic(path) == b"\x7fELF"]


def problems(paths: list[Path], machine: str) -> Iterator[str]:
    """Yield a line for everything in ELF files `paths` that would keep Lambda from loading them on `machine`."""
    present = {path.name for path in paths}
    for path in paths:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != MACHINES[machine]:
                yield f"{path}: built for {elf['e_machine'][3:].lower()}, not {machine}"
                continue
            for name in _needed(elf):
                if name not in present | LAMBDA_HAS:
                    yield f"{path}: needs {name}, which neither Lambda nor the package has"
            for version in _versions(elf):
                kind, _, number = version.partition("_")
                if kind in NEWEST and tuple(map(int, re.findall(r"\d+", number))) > NEWEST[kind]:
                    newest = ".".join(map(str, NEWEST[kind]))
                    yield f"{path}: needs {version}; Amazon Linux 2023 has {kind} {newest}"


def strip(path: Path) -> None:
    """Cut off what follows an ELF file's last loaded byte, and blank what lies between: symbol tables, debug data.

    Unlike `strip` it moves nothing, works for any processor, and leaves libraries that a wheel builder has patched
    as loadable as they were (strip broke numpy's OpenBLAS). Section headers, for debuggers and linkers, go too.
    """
    data = path.read_bytes()
    with path.open("rb") as file:
        elf = ELFFile(file)
        header, segments = elf.header, list(elf.iter_segments())
    kept = [(0, header["e_ehsize"]), (header["e_phoff"], header["e_phoff"] + header["e_phnum"] * header["e_phentsize"])]
    kept += [(segment["p_offset"], segment["p_offset"] + segment["p_filesz"]) for segment in segments]
    stripped = bytearray(max(end for _, end in kept))
    for start, end in kept:
        stripped[start:end] = data[start:end]
    stripped[0x28:0x30] = bytes(8)  # e_shoff
    stripped[0x3C:0x40] = bytes(4)  # e_shnum, e_shstrndx
    path.write_bytes(stripped)


def compress(path: Path) -> None:
    """Replace a library by its zstd and a list of the libraries beside it that it needs, one a line."""
    try:
        from compression import zstd  # Python 3.14 and newer
    except ImportError:
        from backports import zstd

    with path.open("rb") as file:
        beside = [name for name in _needed(ELFFile(file)) if path.with_name(name).exists()]
    path.with_name(f"{path.name}.zst").write_bytes(zstd.compress(path.read_bytes(), ZSTD_LEVEL))
    path.with_name(f"{path.name}.needs").write_text("".join(f"{name}\n" for name in beside))
    path.unlink()


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _versions(elf: ELFFile) -> Iterator[str]:
    """Yield the symbol versions a library needs, such as GLIBC_2.17."""
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                yield from (version.name for version in versions)


def _needed(elf: ELFFile) -> list[str]:
    return [
        tag.needed  # type: ignore[attr-defined]
        for segment in elf.iter_segments()
        if isinstance(segment, DynamicSegment)
        for tag in segment.iter_tags("DT_NEEDED")
    ]


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="folder that is to be the package")
    parser.add_argument("machine", choices=MACHINES)
    arguments = parser.parse_args()
    os.chdir(arguments.package)
    paths = libraries(Path())
    if found := list(problems(paths, arguments.machine)):
        raise CommandError(found[0] + (f" (and {len(found) - 1} more like it)" if found[1:] else ""))
    for path in paths:
        strip(path)
    if (libtorch := Path("torch/lib/libtorch_cpu.so")).exists():
        compress(libtorch)
    return 0


if __name__ == "__main__":
    run(main)
