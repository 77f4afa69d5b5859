"""What was measured, as a table for people and as JSON for programs."""

import json
import os
import platform
import re
import shutil
import subprocess
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import dicomrs
from environment import REQUIREMENTS
from rounds import OURS, Row, Spread, Work

LONGEST_STAGES = 4
PROGRAMS = {"dcmtk": ("dcmdump", "--version"), "PostgreSQL": ("psql", "--version")}


def show(works: list[Work]) -> str:
    """All tables of a work."""
    families: dict[str, list[Work]] = {}
    for work in works:
        families.setdefault(work.family or work.name, []).append(work)
    return "\n".join(_brief(name, own) if own[0].family else _table(own[0]) for name, own in families.items())


def _brief(name: str, works: list[Work]) -> str:
    """A line a work: seconds of Caim and of its one peer."""
    peer = next((row.side for work in works for row in work.rows if row.side != OURS), "")
    head = f"{OURS + ' s':>9}{peer + ' s':>11}{'Caim is':>10}  from - to"
    lines = [f"{name}; {works[0].rounds} rounds", f"{'':56}{head}"]
    for work in works:
        ours, *theirs = (f"{row.seconds.median:.3f}" for row in work.rows) if work.rows else ("",)
        ahead = next((row.ahead for row in work.rows if row.ahead), None)
        ratio = f"{ahead.median:>9.2f}x  {ahead.least:.2f} - {ahead.greatest:.2f}" if ahead else ""
        lines.append(f"{work.name[:55]:56}{ours:>9}{''.join(theirs):>11}{ratio}")
        lines += [f"    left out: {side}: {reason}" for side, reason in work.left_out.items()]
    return "\n".join(lines) + "\n"


def _table(work: Work) -> str:
    """Rates, how far ahead Caim is of each side (median, least and greatest of the rounds), and CPU seconds."""
    lines = [
        f"{work.name}; {work.rounds} rounds",
        f"{'':34}{work.unit + '/s':>12}{'seconds':>10}{'Caim is':>10}  {'from - to':<15}{'by CPU':>8}{'CPU s':>9}",
    ]
    for row in work.rows:
        # Where nothing is beside it, its own spread is what there is to see.
        lines.append(_line(row, row.ahead or (row.seconds if len(work.rows) == 1 else None)))
        if row.stages:
            longest = sorted(row.stages.items(), key=lambda stage: -stage[1])[:LONGEST_STAGES]
            lines.append("    " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in longest))
    lines += [f"left out: {name}: {reason}" for name, reason in work.left_out.items()]
    return "\n".join(lines) + "\n"


def _line(row: Row, spread: Spread | None) -> str:
    ahead = "" if row.ahead is None else f"{row.ahead.median:.2f}x"
    span = "" if spread is None else f"{spread.least:.2f} - {spread.greatest:.2f}"
    by_cpu = "" if row.ahead_cpu is None else f"{row.ahead_cpu:.2f}x"
    cpu = "" if row.cpu is None else f"{row.cpu:.2f}"
    rate = f"{row.rate:,.0f}" if row.rate >= 100 else f"{row.rate:.3f}"
    return f"{row.side:34}{rate:>12}{row.seconds.median:>10.3f}{ahead:>10}  {span:<15}{by_cpu:>8}{cpu:>9}"


def versions(caim: Path) -> dict[str, str]:
    """The versions of all sides; what is not installed is left out."""
    found = {"Caim": _says(str(caim), "--version"), "Python": platform.python_version(), "dicom-rs": dicomrs.version()}
    for name, program in PROGRAMS.items():
        if shutil.which(program[0]):
            found[name] = _says(*program)
    for line in REQUIREMENTS.read_text(encoding="utf-8").split():
        name = line.partition("==")[0].partition("[")[0]
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _says(*command: str) -> str:
    """The version in what a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+(\.\d+)+", said)
    return number.group() if number else "unknown"


def machine() -> dict[str, object]:
    """What it ran on, and how busy that was."""
    model = next((line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")), "")
    return {
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
    }


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def write(path: Path, works: list[Work], sides: dict[str, str]) -> None:
    """All tables and versions in one file."""
    content = {"machine": machine(), "versions": sides, "works": [asdict(work) for work in works]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


