"""Caim beside what people use now: the same work, in one run, in turn, and no figure without the same answer.

`python benches/compare/run.py [dicom|fhir|omop|cohort|federation ...] --caim BIN [--scale S] [--rounds N]`
"""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import environment

WORKS = ["dicom", "fhir", "omop", "cohort", "federation"]
SHORT_SCALE = 0.0005


def options() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}; all of them by default")
    parser.add_argument("--caim", type=Path, default=Path(), help="the binary of Caim, optimised")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the generated data (1.0)")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (5)")
    parser.add_argument("--short", action="store_true", help="little data and one round: shows that all answers agree")
    parser.add_argument("--prepare", action="store_true", help="only make the Python environment")
    parser.add_argument("--dir", type=Path, help="where files are generated and stay; otherwise they are removed")
    parser.add_argument("--json", type=Path, help="write all figures to this file, too")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.works if name not in WORKS]:
        parser.error(f"no work {unknown[0]}; works are {', '.join(WORKS)}")
    if not chosen.prepare and not (chosen.caim.is_file() and os.access(chosen.caim, os.X_OK)):
        parser.error("--caim is no program; build one: cargo build --release --package caim")
    if chosen.short:
        chosen.scale, chosen.rounds = SHORT_SCALE, 1
    return chosen


def main() -> int:
    """Runs the works, prints their tables; fails if one has no figure of Caim, or an answer that is not Caim's."""
    chosen = options()
    environment.enter()
    if chosen.prepare:
        return 0
    for name in [name for name in os.environ if name.startswith("CAIM__")]:
        del os.environ[name]
    folder = chosen.dir or Path(tempfile.mkdtemp(prefix="caim-compare-"))
    try:
        return measure(chosen, folder)
    finally:
        if chosen.dir is None:
            shutil.rmtree(folder, ignore_errors=True)


def measure(chosen: argparse.Namespace, folder: Path) -> int:
    """All works in a folder, one after the other."""
    import tables
    from rounds import Plan

    found = tables.versions(chosen.caim)
    print(", ".join(f"{name} {version}" for name, version in found.items()))
    print(", ".join(f"{name}: {value}" for name, value in tables.machine().items()) + "\n", flush=True)
    works = []
    for name in chosen.works or WORKS:
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        plan = Plan(chosen.caim.resolve(), place, chosen.scale, chosen.rounds, chosen.short)
        done = importlib.import_module(name).run(plan)
        works += done
        print(tables.show(done), flush=True)
    if chosen.json:
        tables.write(chosen.json, works, found)
    return 0 if all(work.sound for work in works) else 1


if __name__ == "__main__":
    sys.exit(main())
