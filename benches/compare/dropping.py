"""How soon nodes stop to work on a question whose asker is gone.

The asker is killed while three nodes compute. What tells that a node has stopped is the CPU time of its process, which
the system counts in steps of ten milliseconds.
"""

import shutil
import subprocess
import time
from pathlib import Path

import cohort_files
from caim import Node, run as command
from rounds import OURS, Plan, Work, compare
from services import Federation, federation
from sides import LeftOut, Side, Spent

NODES = 3
PERSONS = 60_000
LEAST = 5_000
# Sixteen groupings of all series: seconds of work.
LONG = (
    "SELECT collection_id, Modality, BodyPartExamined, Manufacturer, count(DISTINCT PatientID), "
    "count(DISTINCT StudyInstanceUID) FROM dicom.series "
    "GROUP BY CUBE (collection_id, Modality, BodyPartExamined, Manufacturer)"
)
STEP_S = 0.005
STILL_S = 0.4
PATIENCE_S = 120.0


def run(plan: Plan) -> Work:
    """Seconds from the end of the asker to the last work of a node; 0.2 are promised."""
    persons = max(int(PERSONS * plan.scale), LEAST)
    table = plan.folder / "many.parquet"
    cohort_files.table(table, "series", persons)
    first, *others = (plan.folder / f"many-{number}" for number in range(NODES))
    Node(plan.caim, first).fresh()
    command(plan.caim, "ingest", first, table, "--collection-column", "collection_id")
    for folder in others:
        shutil.copytree(first, folder)
    title = f"asker killed until {NODES} nodes stop, {persons * cohort_files.SERIES:,} series each"
    with federation(plan.caim, plan.folder, [first, *others]) as running:
        return compare(Work(title, 1, "drops", plan.rounds), [Side(OURS, lambda: _drop(plan.caim, running))])


def _drop(caim: Path, running: Federation) -> Spent:
    """One question that is dropped while all nodes work on it."""
    _still(running)
    before = _cpu(running)
    asking = [caim, "sql", "--hub", f"grpc://127.0.0.1:{running.port}", "-c", LONG]
    asker = subprocess.Popen(list(map(str, asking)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while not all(now > then + 5 for now, then in zip(_cpu(running), before)):
            if asker.poll() is not None or time.monotonic() > until:
                raise LeftOut("the question ended before it could be dropped")
            time.sleep(STEP_S)
    finally:
        asker.kill()
        asker.wait()
    killed = time.monotonic()
    return Spent(max(_still(running) - killed, 0.0))


def _still(running: Federation) -> float:
    """When the nodes last worked, once none has for a while."""
    last, seen, until = time.monotonic(), _cpu(running), time.monotonic() + PATIENCE_S
    while time.monotonic() - last < STILL_S:
        if time.monotonic() > until:
            raise LeftOut(f"the nodes still work after {PATIENCE_S} s")
        time.sleep(STEP_S)
        if (now := _cpu(running)) != seen:
            last, seen = time.monotonic(), now
    return last


def _cpu(running: Federation) -> list[int]:
    """The steps of CPU time that each node has used."""
    used = []
    for node in running.nodes:
        fields = Path(f"/proc/{node.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        used.append(int(fields[11]) + int(fields[12]))
    return used
