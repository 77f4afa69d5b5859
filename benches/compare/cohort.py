"""Cohort queries over the same Parquet files: Caim, gate included and answers exact, beside DuckDB.

Caim is asked as analysts ask: over Flight SQL, through a hub, of a node whose data is published.
"""

import functools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

import answers
import cohort_files
from caim import Node, run as command
from cohort_queries import QUERIES
from rounds import OURS, Plan, Row, Spread, Work, compare
from services import federation
from sides import LeftOut, Side, call

TABLES = [
    "dicom.series", "omop.person", "omop.death", "omop.condition_occurrence", "omop.measurement", "eucaim.patient",
    "eucaim.cancer_condition", "eucaim.tumor_marker_test",
]
MEAN = "geometric mean of all"
THREADS = 2


def run(plan: Plan) -> list[Work]:
    """All queries, and last their geometric mean."""
    sources = plan.folder / "sources"
    persons = cohort_files.write(sources, plan.scale)
    node = Node(plan.caim, plan.folder / "node")
    node.fresh()
    command(plan.caim, "ingest", node.folder, sources / "omop")
    command(plan.caim, "ingest", node.folder, sources / "series.parquet", "--collection-column", "collection_id")
    peer = _duckdb(node)
    with federation(plan.caim, plan.folder, [node.folder]) as running, running.connect() as connection:
        works = [
            _compare(name, sql, connection, peer, _expand(plan.caim, sql), plan.rounds) for name, sql in QUERIES.items()
        ]
    works.append(_mean(works, plan.rounds))
    series = persons * cohort_files.SERIES
    for work in works:
        work.family = f"Cohort queries over {persons:,} persons, {series:,} series, exact, {THREADS} threads"
    return works


def _compare(title: str, sql: str, connection: Any, peer: Any, theirs: str, rounds: int) -> Work:
    found: dict[str, list[Any]] = {}

    def ask() -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall()
        if not rows:
            raise LeftOut("no row is answered, and nothing compared")
        return rows

    def side(name: str, function: Callable[[], list[Any]]) -> Side:
        timed = call(function, lambda rows: found.update({name: rows}))
        return Side(name, timed, answer=lambda: answers.rows(found[name]))

    return compare(Work(title, 1, "queries", rounds), [
        side(OURS, ask), side("DuckDB", lambda: peer.execute(theirs).fetchall()),
    ])


def _duckdb(node: Node) -> "duckdb.DuckDBPyConnection":
    """DuckDB over the files of the node, with the names of its columns and patients by their number."""
    connection = duckdb.connect(config={"threads": THREADS})
    for name in TABLES:
        schema, _, table = name.partition(".")
        person = ", _patient AS person_id" if schema == "omop" else ""
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(
            f"CREATE VIEW {name} AS SELECT *, _patient AS patient_id{person} FROM {answers.parquet(node.files(name))}"
        )
    return connection


def _expand(caim: Path, sql: str) -> str:
    """The question with lists of codes in the place of `is_a`."""

    def codes(found: re.Match[str]) -> str:
        beneath = ", ".join(f"'{code}'" for code in sorted(_beneath(caim, found[2])))
        return f"{found[1]} IN ({beneath})"

    return re.sub(r"is_a\(([\w.]+), '([^']+)'\)", codes, sql)


@functools.cache
def _beneath(caim: Path, code: str) -> frozenset[str]:
    """A concept and all beneath it."""
    concept = json.loads(command(caim, "ontology", "show", code, "--format", "json"))
    return frozenset({concept["code"]}).union(*(_beneath(caim, child["code"]) for child in concept["children"]))


def _mean(works: list[Work], rounds: int) -> Work:
    """The geometric mean of seconds and of ratios, round-wise ones of the medians."""
    whole = Work(f"{MEAN} {len(works)} queries", 1, "queries", rounds, sound=all(work.sound for work in works))
    rows = [(row, work.rows[0]) for work in works for row in work.rows if row.side == "DuckDB"]
    if rows:
        ahead = [row.ahead for row, _ in rows if row.ahead]
        parts = ("median", "least", "greatest")
        spread = Spread(*(_geometric([getattr(one, part) for one in ahead]) for part in parts))
        for name, of, ratio in ((OURS, [own for _, own in rows], None), ("DuckDB", [row for row, _ in rows], spread)):
            seconds = _geometric([row.seconds.median for row in of])
            whole.rows.append(Row(name, Spread(seconds, seconds, seconds), 1 / seconds, None, ratio, None, {}))
    return whole


def _geometric(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))
