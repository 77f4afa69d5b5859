"""Clients with environments of their own: flightsql-dbapi with its SQLAlchemy 1.4, Node.js, and R."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import federation
import tools
from conformance import GROUPED, HERE, expected, place

FOREIGN = HERE / "foreign"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "caim"
DBAPI = ["flightsql-dbapi==0.2.2", "sqlalchemy==1.4.54", "pandas==2.3.3"]
NODE = ["@lakehouse-rs/flight-sql-client@0.0.10", "apache-arrow@18"]


def run(command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False, **options)


def door():
    """Arguments of every client: where Flight SQL is, who asks, and what."""
    hub = federation.shared()
    return ["127.0.0.1", hub.flight, hub.login["username"], hub.login["password"], GROUPED]


class Dbapi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        home = CACHE / "dbapi-venv"
        python = home / "bin" / "python"
        if run([python, "-c", "import flightsql, pandas, sqlalchemy"]).returncode if python.exists() else True:
            made = run([sys.executable, "-m", "venv", "--clear", home])
            if made.returncode or run([home / "bin" / "pip", "install", "--quiet", *DBAPI]).returncode:
                raise unittest.SkipTest(f"{' '.join(DBAPI)} cannot be installed")
        ended = run([python, FOREIGN / "dbapi.py", *door()])
        assert ended.returncode == 0, ended.stderr[-3000:]
        cls.found = json.loads(ended.stdout)

    def test_an_answer_is_that_of_adbc_and_named_as_written(self):
        self.assertEqual([tuple(row) for row in self.found["grouped"]], expected())
        self.assertEqual(self.found["columns"], ["Modality", "patients"])

    def test_a_value_is_bound_by_position(self):
        self.assertEqual(self.found["bound"], dict(expected())["CT"])

    def test_a_refusal_names_the_code(self):
        self.assertIn("CAIM-P101", self.found["refused"])

    def test_sqlalchemy_inspects_schemas_tables_and_types(self):
        self.assertLessEqual({"dicom", "omop", "eucaim"}, set(self.found["schemas"]))
        self.assertLessEqual({"series", "study"}, set(self.found["tables"]))
        self.assertEqual(self.found["types"]["StudyDate"], "DATE")

    def test_sqlalchemy_asks(self):
        self.assertEqual([tuple(row) for row in self.found["over_sqlalchemy"]], expected())


class Node(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (shutil.which("node") and shutil.which("npm")):
            raise unittest.SkipTest("node and npm are not here")
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-node-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        (cls.folder / "package.json").write_text('{"private": true, "type": "module"}')
        if run(["npm", "install", "--no-fund", "--no-audit", *NODE], cwd=cls.folder).returncode:
            raise unittest.SkipTest(f"{' '.join(NODE)} cannot be installed")
        shutil.copy(FOREIGN / "client.mjs", cls.folder)
        ended = run(["node", "client.mjs", *door()], cwd=cls.folder)
        assert ended.returncode == 0, ended.stderr[-3000:]
        cls.found = json.loads(ended.stdout)

    def test_an_answer_is_that_of_adbc(self):
        self.assertEqual([tuple(row) for row in self.found["grouped"]], expected())

    def test_tables_are_listed(self):
        self.assertLessEqual({"series", "study"}, set(self.found["tables"]))

    def test_a_refusal_is_an_error(self):
        # The client keeps what the server says to itself.
        self.assertIn("Error", self.found["refused"])


class R(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        tools.need("/usr/lib/R/site-library/RPostgreSQL", "r-cran-rpostgresql")
        at = place()
        ended = run(["Rscript", "--vanilla", FOREIGN / "client.R", at["host"], at["port"], at["user"], at["password"], GROUPED])
        assert ended.returncode == 0, ended.stderr[-3000:]
        cls.lines = [line.strip() for line in ended.stdout.splitlines()]

    def test_an_answer_is_that_of_flight_sql_with_types(self):
        rows = [tuple(line.split()[1:]) for line in self.lines if line.startswith("row ")]
        self.assertEqual([(name, int(count)) for name, count in rows], expected())
        self.assertIn("types character numeric", self.lines)

    def test_a_table_is_known(self):
        self.assertIn("exists TRUE", self.lines)

    def test_a_refusal_names_the_code_and_the_connection_goes_on(self):
        self.assertTrue(any(line.startswith("refused") and "CAIM-P101" in line for line in self.lines), self.lines)
        self.assertIn("after 1", self.lines)


if __name__ == "__main__":
    unittest.main()
