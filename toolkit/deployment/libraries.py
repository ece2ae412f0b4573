"""Make the shared libraries of a deployment package smaller.

What no loader reads is cut away, and libtorch_cpu.so is compressed, for inference/libtorch.py to unpack.

Example:
  python -m toolkit.deployment.libraries build/package
"""

from pathlib import Path

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from toolkit.cli import parser, run

ZSTD_LEVEL = 9  # 19 made it an eighth smaller, 30 times slower to pack and a third slower to unpack


def libraries(folder: Path) -> list[Path]:
    """Return the ELF files under `folder`, sorted."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _magic(path) == b"\x7fELF"]


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


def _needed(elf: ELFFile) -> list[str]:
    return [
        tag.needed  # type: ignore[attr-defined]
        for segment in elf.iter_segments()
        if isinstance(segment, DynamicSegment)
        for tag in segment.iter_tags("DT_NEEDED")
    ]


def main() -> int:
    """Run the command line; return the exit code."""
    options = parser(__doc__)
    options.add_argument("package", type=Path, help="folder that is to be the package")
    package = options.parse_args().package
    for path in libraries(package):
        strip(path)
    if (libtorch := package / "torch/lib/libtorch_cpu.so").exists():
        compress(libtorch)
    return 0


if __name__ == "__main__":
    run(main)
