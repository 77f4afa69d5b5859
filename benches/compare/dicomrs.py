"""The program in `dicomrs/`: dicom-rs as a peer, and the plain read of the first bytes of each file as a limit."""

import functools
import json
import shutil
import subprocess
from pathlib import Path

from environment import cache
from sides import LeftOut

SOURCE = Path(__file__).with_name("dicomrs")


@functools.cache
def binary(build: bool) -> Path:
    """The program, built in release mode into a target folder of its own; without `build` it must be there."""
    target = cache() / "dicomrs"
    program = target / "release" / "compare-dicomrs"
    if not build:
        if not program.exists():
            raise LeftOut("not built yet: a run without --short does")
        return program
    cargo = shutil.which("cargo")
    if cargo is None:
        raise LeftOut("cargo is not installed")
    command = [cargo, "build", "--release", "--locked", "--quiet", "--target-dir", str(target)]
    built = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise LeftOut(f"cargo build failed: {built.stderr.strip()[-300:]}")
    return program


def version() -> str:
    """The version of dicom-rs that is locked."""
    lock = (SOURCE / "Cargo.lock").read_text(encoding="utf-8")
    return json.loads(lock.partition('name = "dicom-object"\nversion = ')[2].partition("\n")[0])
