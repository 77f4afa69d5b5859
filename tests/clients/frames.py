"""What travels between a node and its hub, byte by byte: neither names, nor identifiers, nor pseudonyms of anybody.

The node dials a relay that keeps everything it passes on. The words that may be found, the name of the node and released
codes, are found: so the bytes are readable, and the absence of the others means something.
"""

import shutil
import socket
import tempfile
import threading
import unittest
from pathlib import Path

import adbc_driver_manager
import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa
import pyarrow.parquet as parquet

from canaries import CANARY, QUESTIONS, plant
from federation import HubPlace, Service, succeed, until

PATIENTS = 120
ASKED = [
    *QUESTIONS,
    "SELECT min(StudyDate), max(StudyDate), count(*) FROM dicom.series",
    f"SELECT count(*) FROM dicom.series WHERE StudyInstanceUID LIKE '{CANARY}%'",
    "SELECT n, count(*) FROM (SELECT patient_id, count(*) AS n FROM image_series GROUP BY patient_id) GROUP BY n",
    "SELECT PatientID, count(*) FROM dicom.series GROUP BY PatientID",
]


class Relay:
    """Passes bytes on between whoever connects and a port, and keeps them."""

    def __init__(self, port):
        self.port, self.kept, self.lock = port, bytearray(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                return
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source, target):
        try:
            while chunk := source.recv(1 << 16):
                with self.lock:
                    self.kept += chunk
                target.sendall(chunk)
        except OSError:
            pass
        finally:
            source.close()
            target.close()

    def seen(self):
        with self.lock:
            return bytes(self.kept)


def stored_identifiers(node):
    """Every text that the node's files hold in a column of identifiers."""
    found = set()
    for file in (node / "warehouse" / "data").glob("*.parquet"):
        table = parquet.read_table(file)
        for name, column in zip(table.column_names, table.columns):
            if pa.types.is_string(column.type) and (name.endswith("uid") or name in ("id", "identifier")):
                found.update(text for text in column.to_pylist() if text)
    return found


class Frames(unittest.TestCase):
    """A hub and a node on planted sources, with a relay between them."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-frames-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.node, hub = cls.folder / "node", HubPlace()
        cls.relay = Relay(hub.nodes)
        succeed("init", "hub", cls.folder / "hub")
        succeed("init", "node", cls.node, "--name", "north", "--hub", cls.relay.address)
        for source in plant(cls.folder, PATIENTS):
            succeed("ingest", cls.node, source)
        debug = {"CAIM_LOG": "debug"}
        for name, arguments, extra in (
            ("hub", ["hub", cls.folder / "hub"], {**hub.environment, **debug}),
            ("node", ["node", cls.node], debug),
        ):
            service = Service(name, arguments, cls.folder / f"{name}.log", extra)
            cls.addClassCleanup(service.kill)
        cls.url = hub.url
        until("the node is linked", cls.linked)
        cls.outcomes = [cls.ask(sql) for sql in ASKED]

    @classmethod
    def linked(cls):
        try:
            return cls.ask("SELECT node_id FROM catalog.node WHERE linked")
        except adbc_driver_manager.Error:
            return None

    @classmethod
    def ask(cls, sql):
        """The rows of an answer, or the text of a refusal."""
        with flightsql.connect(cls.url, autocommit=True) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(sql)
                return cursor.fetchall()
            except adbc_driver_manager.Error as error:
                if "CAIM-" in str(error):
                    return str(error)
                raise

    def test_questions_went_over_the_relay_and_some_were_answered(self):
        answered = [rows for rows in self.outcomes if isinstance(rows, list)]
        self.assertGreaterEqual(sum(bool(rows) for rows in answered), 3, self.outcomes)
        seen = self.relay.seen()
        for word in (b"north", b"image_series", b"COM1000178"):
            self.assertIn(word, seen, f"{word} should have travelled, readable")

    def test_no_planted_word_travels_but_those_the_analyst_wrote(self):
        seen = self.relay.seen()
        for sql in ASKED:
            for word in sql.split("'"):
                if CANARY in word:
                    seen = seen.replace(word.encode(), b"")
        self.assertNotIn(CANARY.encode(), seen)

    def test_no_identifier_of_the_node_s_files_travels(self):
        identifiers = stored_identifiers(self.node)
        self.assertGreater(len(identifiers), PATIENTS)
        seen = self.relay.seen()
        self.assertEqual([text for text in identifiers if len(text) > 6 and text.encode() in seen], [])

    def test_nothing_is_in_the_logs_of_hub_and_node(self):
        for name in ("hub", "node"):
            log = (self.folder / f"{name}.log").read_text(errors="replace").replace(str(self.folder), "")
            for sql in ASKED:
                log = log.replace(sql, "")
            self.assertNotIn(CANARY, log, name)


if __name__ == "__main__":
    unittest.main()
