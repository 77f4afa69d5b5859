"""The demo's three hospitals as real processes: a hub and its nodes over folders that are generated once a run."""

import atexit
import shutil
import tempfile
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql

from federation import HubPlace, Service, listens, succeed, until

HOSPITALS = ["alder", "birch", "cedar"]
PATIENTS = 400


def announced_as_streamed(cursor, sql):
    """Runs a statement whose announced schema must be the one of each batch, and gives it with the batches."""
    announced = cursor.adbc_execute_schema(sql)
    cursor.execute(sql)
    reader = cursor.fetch_record_batch()
    batches = list(reader)
    for streamed in [reader.schema, *(batch.schema for batch in batches)]:
        assert announced.equals(streamed, check_metadata=True), f"{sql}\n{announced}\n{streamed}"
    assert all(field.nullable for field in announced), sql
    return announced, batches


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
        hub = HubPlace()
        self.url, self.services = hub.url, []
        self.services.append(Service("hub", ["hub", folder / "hub"], folder / "hub.log", hub.environment))
        until("the hub listens", lambda: listens(hub.flight))
        env = {**policy, "CAIM__NODE__HUB": f"127.0.0.1:{hub.nodes}"}
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
