"""Zip a deployment package the same way every time, within Lambda's limits, and print what takes how much.

Names are sorted, times and permissions fixed, and the zip is written atomically.

Example:
  python -m toolkit.deployment.archive build/package build/sm_cnn.zip
"""

import zipfile
from collections import defaultdict
from pathlib import Path

from toolkit.atomic_write import atomic_write
from toolkit.cli import CommandError, parser, run

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
UNZIPPED_LIMIT = 262_144_000
SMALL = UNZIPPED_LIMIT // 10_000  # parts that take less share a row of the table
DIRECT_UPLOAD_LIMIT = 52_428_800  # a larger zip has to go through S3


def write_zip(folder: Path, output: Path) -> list[zipfile.ZipInfo]:
    """Write the files under `folder` to the zip `output`; return its entries.

    Raises CommandError when they are over Lambda's limit unzipped.
    """
    if not folder.is_dir():
        raise CommandError(f"{folder}: no such folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    unzipped = sum(path.stat().st_size for path in files)
    if unzipped > UNZIPPED_LIMIT:
        raise CommandError(f"{unzipped:,} bytes unzipped are over Lambda's limit of {UNZIPPED_LIMIT:,}")
    with atomic_write(output) as file, zipfile.ZipFile(file, "w") as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix == ".zst" else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100755 << 16 if path.stat().st_mode & 0o100 else 0o100644 << 16
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
    return archive.infolist()


def table(entries: list[zipfile.ZipInfo]) -> str:
    """Return a table of the parts of a package, largest first: bytes unzipped, zipped, and share of the limit."""
    parts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for entry in entries:
        part = entry.filename.partition("/")[0]
        if part.endswith(".dist-info"):
            part = "licences"
        elif entry.filename.endswith("/libtorch_cpu.so.zst"):
            part = "libtorch_cpu.so.zst"
        parts[part][0] += entry.file_size
        parts[part][1] += entry.compress_size
    rows = sorted(parts.items(), key=lambda row: -row[1][0])
    small = [sizes for _, sizes in rows if sizes[0] < SMALL]
    rows = [row for row in rows if row[1][0] >= SMALL]
    rows += [("others", [sum(column) for column in zip(*small, strict=True)])] if small else []
    rows += [("total", [sum(column) for column in zip(*parts.values(), strict=True)])]
    lines = [f"{'part':<20}{'unzipped':>14}{'zipped':>14}{'of the limit':>14}"]
    lines += [f"{part:<20}{size:>14,}{packed:>14,}{size / UNZIPPED_LIMIT:>14.1%}" for part, (size, packed) in rows]
    return "\n".join(lines)


def main() -> int:
    """Run the command line; return the exit code."""
    options = parser(__doc__)
    options.add_argument("package", type=Path, help="folder to zip")
    options.add_argument("output", type=Path, help="zip to write")
    arguments = options.parse_args()
    print(table(write_zip(arguments.package, arguments.output)))
    size = arguments.output.stat().st_size
    way = "uploads directly" if size <= DIRECT_UPLOAD_LIMIT else "too large to upload directly, goes through S3"
    print(f"{arguments.output}: {size:,} bytes, {way}")
    return 0


if __name__ == "__main__":
    run(main)
