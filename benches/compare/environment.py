"""The Python environment of the comparison: a package that is missing leaves out a peer, and stops no other."""

import os
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NEEDED = ("duckdb", "pyarrow")


def cache() -> Path:
    """Where the environment, built peers and generated files are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "caim" / "compare"


def enter() -> None:
    """Goes on in the environment, which is made first where it is missing or its requirements have changed."""
    home = cache() / "venv"
    if Path(sys.prefix).resolve() == home.resolve():
        return
    mark, wanted = home / "requirements.txt", REQUIREMENTS.read_text(encoding="utf-8")
    if not mark.exists() or mark.read_text(encoding="utf-8") != wanted:
        _make(home)
        mark.write_text(wanted, encoding="utf-8")
    os.execv(home / "bin" / "python", [str(home / "bin" / "python"), *sys.argv])


def _make(home: Path) -> None:
    print(f"making {home}", file=sys.stderr, flush=True)
    venv.create(home, with_pip=True, clear=True)
    for line in REQUIREMENTS.read_text(encoding="utf-8").split():
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", line]
        if subprocess.run(install, check=False).returncode == 0:
            continue
        if line.startswith(NEEDED):
            raise SystemExit(f"{line} cannot be installed, and nothing can be compared without it")
        print(f"left out: {line} cannot be installed", file=sys.stderr)
