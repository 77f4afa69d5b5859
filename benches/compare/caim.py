"""Caim as its users run it: the binary, a node's folder, and the Parquet files that an ingest leaves there."""

import json
import shutil
import subprocess
from pathlib import Path

from sides import Side, process

PUBLIC = {"CAIM__PRIVACY__PUBLIC_DATA": "true"}


class Node:
    """The folder of a node, which is made anew before each ingest."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary, self.folder = binary, folder

    def fresh(self, *options: str) -> None:
        """An empty node."""
        shutil.rmtree(self.folder, ignore_errors=True)
        run(self.binary, "init", "node", self.folder, "--name", self.folder.name, *options)

    def ingest(self, name: str, threads: int, *source: str | Path) -> Side:
        """The whole command, from the source to the committed epoch, as a side; the answer is to be added."""
        command = [self.binary, "ingest", self.folder, *source, "--json"]
        return Side(name, process(command, threads, stages=_stages), before=self.fresh)

    def files(self, table: str) -> list[str]:
        """The Parquet files of a table in the newest epoch."""
        manifests = sorted((self.folder / "warehouse" / "manifests").glob("*.json"), key=lambda path: int(path.stem))
        tables = json.loads(manifests[-1].read_text(encoding="utf-8"))["tables"]
        folder = self.folder / "warehouse" / "data"
        return [str(folder / f"{file['sha256']}.parquet") for file in tables.get(table, [])]


def run(binary: Path, *arguments: str | Path) -> str:
    """One command that must succeed, and its output."""
    command = [str(binary), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr[-1000:]}")
    return ended.stdout


def _stages(log: str) -> dict[str, float]:
    """Seconds of each stage, from the events of progress that `--json` writes."""
    stages: dict[str, float] = {}
    for line in log.splitlines():
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        if event.get("event") == "finished":
            name = event["what"].partition(" from ")[0]
            stages[name] = stages.get(name, 0.0) + event["seconds"]
    return stages
