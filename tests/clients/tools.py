"""Programs of Debian that some tests need: found, installed where that is allowed, or a reason to skip."""

import functools
import os
import shutil
import subprocess
import unittest
from pathlib import Path


@functools.cache
def _install(package):
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, env=quiet, capture_output=True, timeout=300, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def need(what, package):
    """Skips the test unless a program (by name) or a file (by path) is there, or its package can be installed."""
    def there():
        return Path(what).exists() if what.startswith("/") else shutil.which(what) is not None

    if not there() and not (_install(package) and there()):
        raise unittest.SkipTest(f"{what} is not here, and {package} cannot be installed")
