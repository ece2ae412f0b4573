"""Find the Pythons that packages are proven on: this one, and the default of Lambda if it can be had."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
LAMBDA = "3.13"  # what create_deployment_package.sh builds for by default
DEBIAN = "trixie"  # whose Python is LAMBDA


class NoPythonError(Exception):
    """A Python that can't be had on this machine; the message says what would bring it."""


@dataclass(frozen=True)
class Python:
    """A Python to run packages on."""

    version: str
    prefix: Path  # where it is installed
    system: Path  # the root of the system that its libraries come from
    path: str  # a PATH on which `pythonVERSION` is it


def find(version: str) -> Python:
    """Return the Python of this `version`: this one, one on the PATH, or Debian's; raise NoPythonError."""
    path = os.environ["PATH"]
    if version == HERE:
        return Python(version, Path(sys.base_prefix), Path("/"), path)
    try:
        code = "import sys; print(sys.base_prefix)"
        output = subprocess.run([f"python{version}", "-c", code], check=True, capture_output=True, text=True).stdout
        return Python(version, Path(output.strip()), Path("/"), path)
    except (OSError, subprocess.CalledProcessError):
        system = debian()
    # Runs from here with that system's own libraries, to compile bytecode for it.
    libraries = system / f"usr/lib/{platform.machine()}-linux-gnu"
    loader = next(system.glob("lib*/ld-linux-*"))
    wrapper = system.parent / "bin" / f"python{version}"
    wrapper.parent.mkdir(exist_ok=True)
    command = [loader, "--library-path", libraries, system / f"usr/bin/python{version}"]
    wrapper.write_text(f'#!/bin/sh\nPYTHONHOME={system}/usr exec {shlex.join(map(str, command))} "$@"\n')
    wrapper.chmod(0o755)
    return Python(version, system / "usr", system, f"{wrapper.parent}:{path}")


def debian() -> Path:
    """Return a folder with a small Debian and its Python, installed once; raise NoPythonError where it can't be."""
    folder = ROOT / "build/debian" / DEBIAN
    if folder.exists():
        return folder
    if not shutil.which("debootstrap") or os.geteuid():
        raise NoPythonError(
            f"no Python {LAMBDA} here: put python{LAMBDA} on the PATH; as root on Debian: apt-get install debootstrap"
        )
    unfinished = folder.with_suffix(f".{os.getpid()}")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv", DEBIAN, str(unfinished)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise NoPythonError(f"{shlex.join(command)}: {done.stdout.splitlines()[-1:]}")
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder
