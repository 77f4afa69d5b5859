"""FHIR NDJSON into Parquet: megabytes of JSON a second, four kinds of resources.

The peers make four flat tables. Caim makes the same, all codings and components beside them, and the common model,
within its time. Answers are compared column by column; patients, who are pseudonyms in Caim, by which rows belong together.
"""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import answers
from caim import Node
from fhir_flat import FLATS, Flat
from rounds import OURS, Plan, Work, compare
from sides import LeftOut, Side, process

PEERS = Path(__file__).with_name("fhir_peers.py")
PATIENTS = 60_000
NAMES = {"duckdb": "DuckDB, typed", "orjson": "orjson, pyarrow", "polars": "Polars"}
THREADS = 2


def run(plan: Plan) -> list[Work]:
    """One export, by two threads."""
    import fhir_files

    source = plan.folder / "export"
    size = fhir_files.write(source, max(int(PATIENTS * plan.scale), 20))
    title = f"FHIR NDJSON, {size / 1e6:,.0f} MB, {len(FLATS)} types, to Parquet, {THREADS} threads, warm"
    node = Node(plan.caim, plan.folder / "node")
    ours = replace(node.ingest(OURS, THREADS, source), answer=lambda: _answer(lambda flat: _kept(node, flat)))
    peers = [_peer(name, source, plan.folder) for name in NAMES]
    return [compare(Work(title, size / 1e6, "MB", plan.rounds), [ours, *peers])]


def _peer(name: str, source: Path, folder: Path) -> Side:
    out = folder / name
    out.mkdir()
    measured = process([sys.executable, PEERS, name, source, out, str(THREADS)], THREADS)

    def run_() -> Any:
        if importlib.util.find_spec(name) is None:
            raise LeftOut("not installed")
        return measured()

    return Side(NAMES[name], run_, answer=lambda: _answer(lambda flat: _read(out, flat)))


def _answer(table: Callable[[Flat], str]) -> dict[str, Any]:
    """The digests of all tables, by table and column."""
    found = {flat.resource: answers.digests(table(flat)) for flat in FLATS}
    return {f"{name}.{column}": value for name, columns in found.items() for column, value in columns.items()}


def _least(flat: Flat) -> str:
    """The column that names a patient by the least of their rows."""
    return "series_uid" if flat.each else "id"


def _kept(node: Node, flat: Flat) -> str:
    columns = ", ".join(name for name in flat.columns if name != "patient")
    table = answers.parquet(node.files(flat.table))
    return f"SELECT {columns}, min({_least(flat)}) OVER (PARTITION BY _patient) AS patient FROM {table}"


def _read(out: Path, flat: Flat) -> str:
    columns = ", ".join(name for name in flat.columns if name != "patient")
    patient = "patient" if "patient" in flat.columns else "id"
    table = answers.parquet([str(out / f"{flat.resource}.parquet")])
    return f"SELECT {columns}, min({_least(flat)}) OVER (PARTITION BY {patient}) AS patient FROM {table}"
