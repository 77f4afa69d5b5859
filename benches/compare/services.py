"""A hub and its nodes as an operator starts them, on loopback and on free ports; their data counts as published."""

import os
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caim import PUBLIC, run

PATIENCE_S = 120


@dataclass
class Federation:
    """A running hub, the processes of its nodes, and who may ask."""

    port: int
    login: dict[str, str]
    nodes: list[subprocess.Popen[bytes]]

    def connect(self) -> Any:
        """A connection as a Python user opens it."""
        from adbc_driver_flightsql import dbapi

        return dbapi.connect(f"grpc://127.0.0.1:{self.port}", db_kwargs=self.login, autocommit=True)


@contextmanager
def federation(caim: Path, folder: Path, nodes: Sequence[Path]) -> Iterator[Federation]:
    """Runs a hub over nodes, which are named as their folders, until the block ends."""
    hub = folder / "hub"
    if not hub.exists():
        run(caim, "init", "hub", hub)
    flight, links, http = (free_port() for _ in range(3))
    ports = {"CAIM__HUB__FLIGHT": flight, "CAIM__HUB__NODES": links, "CAIM__HUB__HTTP": http}
    addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(_start([caim, "hub", hub], folder / "hub.log", addresses))
        for node in nodes:
            command = [caim, "node", node, "--set", f"node.hub=127.0.0.1:{links}", "--set", f"node.name={node.name}"]
            started.append(_start(command, folder / f"{node.name}.log", PUBLIC))
        running = Federation(flight, _login(hub), started[1:])
        _wait(lambda: _linked(running) == len(nodes), f"{len(nodes)} nodes are linked")
        yield running
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=PATIENCE_S)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(command: list[Any], log: Path, extra: dict[str, str]) -> "subprocess.Popen[bytes]":
    with open(log, "ab") as out:
        return subprocess.Popen(list(map(str, command)), env=os.environ | extra, stdout=out, stderr=out)


def _login(hub: Path) -> dict[str, str]:
    users = tomllib.loads((hub / "hub.toml").read_text(encoding="utf-8"))["dev_identity"]["users"]
    name, user = next(iter(users.items()))
    return {"username": name, "password": user["password"]}


def _linked(running: Federation) -> int:
    try:
        with running.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM catalog.node WHERE linked")
            return cursor.fetchone()[0]
    except Exception:  # The hub does not listen yet.
        return -1


def _wait(condition: Any, what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.05)
