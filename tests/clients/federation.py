"""Real processes on loopback: a hub and its nodes, started as an operator would start them.

Nothing here looks inside Caim: it runs the binary, and talks to it as its users do.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql

import samples

BINARY = Path(os.environ["CAIM_BIN"])
ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / ".." / "shared" / "data"
INDEX = SHARED / "idc" / "idc_index_dev.parquet"
PUBLIC = {"CAIM__PRIVACY__PUBLIC_DATA": "true"}
PATIENCE_S = 60


def environment(extra=None):
    """The environment of a Caim process: ours without configuration that happens to be set, and `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIM")}
    return {**kept, **(extra or {})}


def caim(*arguments, env=None, timeout=600, **options):
    """Runs one command to its end; the caller looks at its exit code and output."""
    command = [str(BINARY), *map(str, arguments)]
    return subprocess.run(
        command, env=environment(env), capture_output=True, text=True, timeout=timeout, check=False, **options
    )


def succeed(*arguments, **options):
    """Runs one command that must succeed, and gives its output."""
    run = caim(*arguments, **options)
    if run.returncode != 0:
        raise AssertionError(f"caim {arguments[0]} ended with {run.returncode}: {run.stderr[-2000:]}")
    return run.stdout


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, seconds=PATIENCE_S):
    """Asks again until the condition gives something, and gives that and the time it took."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        found = condition()
        if found:
            return found, time.monotonic() - start
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {seconds} s")


def listens(port):
    """Whether somebody accepts connections on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Service:
    """A process that runs until it is stopped."""

    def __init__(self, name, arguments, log, env=None):
        self.name, self.log = name, log
        command = [str(BINARY), *map(str, arguments)]
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                command, env=environment(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    @property
    def pid(self):
        return self.process.pid

    def check(self):
        """Fails with the end of its log when the process has ended."""
        code = self.process.poll()
        if code is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise AssertionError(f"{self.name} ended with {code}: {tail}")

    def kill(self):
        """Ends the process at once, as a power cut would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=PATIENCE_S)


class HubPlace:
    """Where a hub listens: free ports, and the environment that tells it."""

    def __init__(self):
        self.flight, self.nodes, self.postgres, http = (free_port() for _ in range(4))
        ports = {"FLIGHT": self.flight, "NODES": self.nodes, "POSTGRES": self.postgres, "HTTP": http}
        self.environment = {f"CAIM__HUB__{name}": f"127.0.0.1:{port}" for name, port in ports.items()}
        self.url = f"grpc://127.0.0.1:{self.flight}"


class Federation:
    """One hub and one node over a table of series. Unless told otherwise the data is published: answers are exact."""

    def __init__(self, source=None, policy=None):
        self.policy = PUBLIC if policy is None else policy
        self.folder = Path(tempfile.mkdtemp(prefix="caim-clients-"))
        self.services = {}
        place = HubPlace()
        self.flight, self.nodes, self.postgres = place.flight, place.nodes, place.postgres
        self.hub_env = place.environment
        try:
            self._start(source or self._invented())
        except BaseException:
            self.close()
            raise

    def _invented(self):
        path = self.folder / "series.parquet"
        samples.write(path, patients=500, seed=7)
        return path

    def _start(self, source):
        succeed("init", "hub", self.folder / "hub")
        self.login = self._login()
        node = self.folder / "node"
        succeed("init", "node", node, "--name", "idc", "--hub", f"127.0.0.1:{self.nodes}")
        self.ingested = caim("ingest", node, source, "--collection-column", "collection_id", env=self.policy)
        if self.ingested.returncode not in (0, 3):
            raise AssertionError(f"ingest ended with {self.ingested.returncode}: {self.ingested.stderr[-2000:]}")
        self.start_hub()
        self.services["node"] = Service("node", ["node", node], self.folder / "node.log", self.policy)
        until("the node is linked", self.linked)

    def _login(self):
        """The user and password that `caim init hub` wrote into the hub's configuration."""
        with open(self.folder / "hub" / "hub.toml", "rb") as file:
            users = tomllib.load(file)["dev_identity"]["users"]
        name, user = next(iter(users.items()))
        return {"username": name, "password": user["password"]}

    def start_hub(self):
        hub = Service("hub", ["hub", self.folder / "hub"], self.folder / "hub.log", self.hub_env)
        self.services["hub"] = hub
        until("the hub listens", lambda: hub.check() or listens(self.flight))

    def connect(self, **options):
        """A connection as a Python user opens it."""
        return flightsql.connect(self.url, db_kwargs={**self.login, **options}, autocommit=True)

    @property
    def url(self):
        return f"grpc://127.0.0.1:{self.flight}"

    def linked(self):
        """The names of the nodes that are linked now."""
        for service in self.services.values():
            service.check()
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT node_id FROM catalog.node WHERE linked")
            return [name for (name,) in cursor.fetchall()]

    def close(self):
        for service in self.services.values():
            service.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


_shared = None


def shared():
    """The one federation that the tests read from; started with the first test that needs it."""
    global _shared
    if _shared is None:
        _shared = Federation(INDEX if INDEX.exists() else None)
    return _shared


def close():
    """Ends what `shared` started."""
    global _shared
    if _shared is not None:
        _shared.close()
        _shared = None
