"""Write the software bill of materials of a deployment package, beside its zip: CycloneDX 1.6, as JSON.

It names every library in the package with its version and licence, and the zip with its SHA-256. A package that is
built again to the same bytes gets the same bill.

Example:
  python -m toolkit.deployment.sbom build/package build/sm_cnn.zip     # writes build/sm_cnn.cdx.json
"""

import hashlib
import uuid
from datetime import UTC, datetime
from email.message import Message
from importlib.metadata import distributions
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from toolkit.atomic_write import atomic_write
from toolkit.cli import parser, run
from toolkit.deployment.archive import EPOCH


def bill(package: Path, archive: Path) -> str:
    """Return the bill of the libraries in the folder `package`, which was zipped to `archive`."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    zipped = Component(
        type=ComponentType.APPLICATION,
        name=archive.name,
        bom_ref=archive.name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )
    libraries = [
        library(each.name, each.version, licence(each.metadata))  # type: ignore[arg-type]  # of an email.Message's kind
        for each in distributions(path=[str(package)])
    ]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_OID, digest),
        metadata=BomMetaData(component=zipped, timestamp=datetime(*EPOCH, tzinfo=UTC)),
        components=libraries,
    )
    bom.register_dependency(zipped, libraries)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def library(name: str, version: str, licence: str | None) -> Component:
    """Return the entry of a library from PyPI."""
    url = PackageURL("pypi", None, name.lower().replace("_", "-"), version)
    licences = [LicenseFactory().make_from_string(licence)] if licence else []
    return Component(
        type=ComponentType.LIBRARY, name=name, version=version, purl=url, bom_ref=str(url), licenses=licences
    )


def licence(metadata: Message) -> str | None:
    """Return the licence that a distribution's metadata name."""
    return metadata["License-Expression"] or metadata["License"]


def main() -> int:
    """Run the command line; return the exit code."""
    options = parser(__doc__)
    options.add_argument("package", type=Path, help="the folder that was zipped")
    options.add_argument("archive", type=Path, help="the zip")
    arguments = options.parse_args()
    with atomic_write(arguments.archive.with_suffix(".cdx.json")) as file:
        file.write(bill(arguments.package, arguments.archive).encode())
    return 0


if __name__ == "__main__":
    run(main)
