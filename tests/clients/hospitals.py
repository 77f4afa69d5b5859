"""The demo's three hospitals as real processes: a hub and its nodes over folders that are generated once a run."""

import atexit
import shutil
import tempfile
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql

from federation import Service, free_port, listens, succeed, until

HOSPITALS = ["alder", "birch", "cedar"]
PATIENTS = 400


class Hospitals:
    """The demo's folders, made once, and a hub with its nodes over them."""

    folder = None

    @classmethod
    def generated(cls):
        if cls.folder is None:
            Hospitals.folder = Path(tempfile.mkdtemp(prefix="caim-cookbook-"))
            atexit.register(shutil.rmtree, cls.folder, ignore_errors=True)
            succeed("demo", "--once", "--dir", cls.folder, "--patients", PATIENTS)
        return cls.folder

    def __init__(self, policy):
        folder = self.generated()
        door, links, http = free_port(), free_port(), free_port()
        hub = {
            "CAIM__HUB__FLIGHT": f"127.0.0.1:{door}",
            "CAIM__HUB__NODES": f"127.0.0.1:{links}",
            "CAIM__HUB__HTTP": f"127.0.0.1:{http}",
        }
        self.url, self.services = f"grpc://127.0.0.1:{door}", []
        self.services.append(Service("hub", ["hub", folder / "hub"], folder / "hub.log", hub))
        until("the hub listens", lambda: listens(door))
        env = {**policy, "CAIM__NODE__HUB": f"127.0.0.1:{links}"}
        for name in HOSPITALS:
            self.services.append(Service(name, ["node", folder / name], folder / f"{name}.log", env))
        until("all nodes are linked", lambda: len(self.linked()) == len(HOSPITALS))

    def linked(self):
        with flightsql.connect(self.url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT node_id FROM catalog.node WHERE linked")
            return cursor.fetchall()

    def close(self):
        for service in reversed(self.services):
            service.kill()
