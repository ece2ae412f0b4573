"""Zip a folder the same way every time: names sorted, times and permissions fixed, whole or not at all."""

import sys
import tempfile
import zipfile
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


def write_zip(folder: Path, output: Path) -> None:
    """Write the files under `folder` to the zip `output`, which appears under its name only when complete."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as temporary:
        try:
            with zipfile.ZipFile(temporary, "w", compresslevel=9) as archive:
                for path in files:
                    entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o100644 << 16
                    archive.writestr(entry, path.read_bytes(), compresslevel=9)
            temporary.close()
            Path(temporary.name).chmod(0o644)
            Path(temporary.name).replace(output)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise


if __name__ == "__main__":
    write_zip(Path(sys.argv[1]), Path(sys.argv[2]))
