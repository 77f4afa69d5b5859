"""OMOP tables into Parquet, from CSV files and from PostgreSQL: measurements a second.

The peers convert persons and measurements as they are. Caim also gives each row its patient and derives the common
model, within its time. Answers are compared column by column, persons by their measurements.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import answers
import omop_files
import postgres
from caim import Node
from rounds import OURS, Plan, Work, compare
from sides import LeftOut, Side, process

PEERS = Path(__file__).with_name("omop_peers.py")
ROWS = 20_000_000
THREADS = 2
TABLE = "measurement"


def run(plan: Plan) -> list[Work]:
    """The same tables from files and from a database, by two threads."""
    rows = max(int(ROWS * plan.scale), 1_000)
    files = omop_files.write(plan.folder / "export", rows)
    return [_csv(plan, rows), _database(plan, files, rows)]


def _csv(plan: Plan, rows: int) -> Work:
    source = plan.folder / "export"
    names = {"DuckDB": "duckdb", "Polars": "polars"}
    peers = [_peer(name, peer, str(source), plan.folder) for name, peer in names.items()]
    limit = Side("limit: count lines", process(["wc", "-l", source / f"{TABLE}.csv"], THREADS))
    return _compare("CSV", plan, source, [*peers, limit], rows)


def _database(plan: Plan, files: dict[str, Path], rows: int) -> Work:
    columns = {name: ", ".join(map(" ".join, kinds.items())) for name, kinds in omop_files.COLUMNS.items()}
    try:
        with postgres.server() as address:
            postgres.load(address, files, {name: f"{name}_id" for name in files}, columns)
            names = {"ADBC": "adbc", "connectorx": "connectorx"}
            peers = [_peer(name, peer, address, plan.folder) for name, peer in names.items()]
            copy = [word for name in files for word in ("-c", f"\\copy {name} TO '/dev/null' (FORMAT binary)")]
            limit = Side("limit: COPY, binary", process(["psql", "-X", "-q", address, *copy], THREADS))
            return _compare("PostgreSQL", plan, f"{address}?schema=public", [*peers, limit], rows)
    except LeftOut as reason:
        return Work("OMOP from PostgreSQL", rows, "rows", plan.rounds, left_out={"all": str(reason)})


def _compare(what: str, plan: Plan, source: str | Path, others: list[Side], rows: int) -> Work:
    title = f"OMOP, {rows:,} measurements from {what} to Parquet, {THREADS} threads, warm"
    node = Node(plan.caim, plan.folder / "node")
    ours = replace(node.ingest(OURS, THREADS, source), answer=lambda: _answer(node.files(f"omop.{TABLE}"), "_patient"))
    return compare(Work(title, rows, "rows", plan.rounds), [ours, *others])


def _peer(name: str, peer: str, source: str, folder: Path) -> Side:
    out = folder / peer
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = [sys.executable, str(PEERS), peer, source, str(out), str(THREADS), *omop_files.COLUMNS]
    return Side(name, process(command, THREADS), answer=lambda: _answer([str(out / f"{TABLE}.parquet")], "person_id"))


def _answer(files: list[str], person: str) -> dict[str, Any]:
    """The digests of the columns, and of the persons by their first and last measurement."""
    table = answers.parquet(files)
    types = omop_files.COLUMNS[TABLE]
    casts = {"bigint": "BIGINT", "date": "DATE", "double precision": "DOUBLE", "text": "VARCHAR"}
    columns = ", ".join(f"{name}::{casts[kind]} AS {name}" for name, kind in types.items() if name != "person_id")
    spans = f"SELECT min({TABLE}_id), max({TABLE}_id), count(*) FROM {table} GROUP BY {person}"
    return answers.digests(f"SELECT {columns} FROM {table}") | {"persons": answers.digests(spans)["all together"]}
