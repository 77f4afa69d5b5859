"""A hub over its nodes: how long a small question takes, how many clients it serves, how soon dropped work stops.

The peer is a DuckDB behind Arrow Flight at each hospital, and a client in Python that asks all at once.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any

import pyarrow.flight as flight

import answers
import cohort_files
import dropping
from caim import Node, run as command
from flight_peer import READY, FanOut, servers
from rounds import OURS, Plan, Work, compare
from services import Federation, federation
from sides import Side, Spent, call

NODES = (1, 3, 10)
PERSONS = 300
CALLS = 20
CLIENTS = 64
SECONDS = 5.0
SMALL = "SELECT Modality, count(DISTINCT PatientID) AS patients, count(*) AS series FROM {0} GROUP BY Modality"
CUBE = "SELECT modality, sum(patients) AS patients FROM cube.collection_modality_body_part GROUP BY modality"
TABLE = "SELECT Modality, count(*) AS series FROM series GROUP BY Modality"


def run(plan: Plan) -> list[Work]:
    """Small questions over one, three and ten nodes (in short over three), many clients, and dropped questions."""
    counts = NODES[1:2] if plan.short else NODES
    tables = [_table(plan.folder, number) for number in range(max(counts))]
    nodes = [_node(plan, table) for table in tables]
    works = []
    for count in counts:
        with federation(plan.caim, plan.folder, nodes[:count]) as running, servers(tables[:count]) as ports:
            works.append(_small(running, ports, plan.rounds, 2 if plan.short else CALLS))
            if count == counts[0]:
                works.append(_clients(running, ports[0], plan.rounds, 1.0 if plan.short else SECONDS))
    return [*works, dropping.run(plan)]


def _table(folder: Path, number: int) -> Path:
    path = folder / f"series-{number}.parquet"
    cohort_files.table(path, "series", PERSONS + 10 * number)
    return path


def _node(plan: Plan, table: Path) -> Path:
    node = Node(plan.caim, plan.folder / f"node-{table.stem}")
    node.fresh()
    command(plan.caim, "ingest", node.folder, table, "--collection-column", "collection_id")
    return node.folder


def _small(running: Federation, ports: list[int], rounds: int, calls: int) -> Work:
    """One question after the other; a round is so many of them."""
    fan_out = FanOut(ports)
    found: dict[str, Any] = {}
    with running.connect() as connection, connection.cursor() as cursor:

        def ask() -> Any:
            cursor.execute(SMALL.format("dicom.series"))
            return cursor.fetchall()

        def side(name: str, one: Callable[[], Any], limit: bool = False) -> Side:
            timed = call(lambda: [one() for _ in range(calls)][-1], lambda rows: found.update({name: rows}))
            return Side(name, timed, answer=None if limit else lambda: answers.rows(found[name]))

        work = Work(f"a small question, hub over {len(ports)} node(s)", calls, "questions", rounds)
        return compare(work, [
            side(OURS, ask),
            side("DuckDB behind Flight, fan-out", lambda: fan_out.ask(SMALL.format("series"))),
            side("limit: fan-out, answers ready", lambda: fan_out.ask(READY), limit=True),
        ])


def _clients(running: Federation, port: int, rounds: int, seconds: float) -> Work:
    """Questions a second of many clients that ask at once, with the median and the 99th percentile of their waits."""
    connections = [running.connect() for _ in range(CLIENTS)]
    others = [flight.connect(f"grpc://127.0.0.1:{port}") for _ in range(CLIENTS)]
    ticket = flight.Ticket(TABLE.encode())

    def ours(number: int) -> None:
        with connections[number].cursor() as cursor:
            cursor.execute(CUBE)
            cursor.fetchall()

    def side(name: str, one: Callable[[int], Any]) -> Side:
        return Side(name, lambda: _together(one, seconds))

    work = Work(f"{CLIENTS} clients at once, a cube (a table for the peer), seconds a question", 1, "questions", rounds)
    try:
        return compare(work, [
            side(OURS, ours), side("DuckDB behind Flight", lambda number: others[number].do_get(ticket).read_all()),
        ])
    finally:
        for connection in connections:
            connection.close()


def _together(one: Callable[[int], Any], seconds: float) -> Spent:
    """Seconds a question over all clients, and the waits."""
    until = time.monotonic() + seconds

    def client(number: int) -> list[float]:
        waits = []
        while time.monotonic() < until:
            began = time.perf_counter()
            one(number)
            waits.append(time.perf_counter() - began)
        return waits

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        waits = [wait for own in pool.map(client, range(CLIENTS)) for wait in own]
    cuts = quantiles(waits, n=100)
    return Spent((time.perf_counter() - began) / len(waits), stages={"p50": cuts[49], "p99": cuts[98]})
