"""Every recipe of docs/cookbook over the generated hospitals: announced as it is streamed, answered through the gate, and
shown in docs/cookbook/README.md with what it answers over published data. `CAIM_UPDATE=1` writes that page anew.
"""

import json
import os
import re
import unittest

import adbc_driver_flightsql.dbapi as flightsql
import duckdb

from federation import PUBLIC, ROOT, caim
from hospitals import HOSPITALS, PATIENTS, Hospitals, announced_as_streamed
from utility import comparable, same

FOLDER = ROOT / "docs" / "cookbook"
PAGE = FOLDER / "README.md"
ROWS = 10
# What DuckDB does not know: concepts, bounds, published tables, tables that are derived from several worlds.
OUR_WORDS = [
    "is_a(", "label(", "roll_up", "status(", "catalog.", "node_id", "image_series", "cancer_", "FROM patient", "radiotherapy",
    "dataset_id",
]  # fmt: skip
HEAD = f"""# Cookbook

Questions that cohorts of cancer imaging are made of, each a file beside this page. The answers are those of the demo's
hospitals with {PATIENTS} patients each, as if their data were published: exact. Through the gate the same questions are answered
with noise, and small groups are missing ([privacy.md](../privacy.md)).

```console
$ caim sql -f docs/cookbook/01-feasibility.sql
```
"""


def recipes():
    """The files in their order, each with its name, words and statement."""
    for path in sorted(FOLDER.glob("*.sql")):
        lines = path.read_text().splitlines()
        words = " ".join(line.removeprefix("--").strip() for line in lines if line.startswith("--"))
        yield path, words, "\n".join(line for line in lines if not line.startswith("--"))


def shown(answer):
    """The first rows of an answer, and how many more there are."""
    lines = [line.rstrip() for line in answer.splitlines()]
    title, rows = lines[:2], lines[2:]
    more = [f"... {len(rows) - ROWS} more rows"] if len(rows) > ROWS else []
    return "\n".join([*title, *rows[:ROWS], *more])


class Published(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hospitals = Hospitals(PUBLIC)
        cls.addClassCleanup(cls.hospitals.close)

    def test_every_recipe_is_answered_as_the_page_shows(self):
        page, count = [HEAD], 0
        for path, words, sql in recipes():
            run = caim("sql", "--hub", self.hospitals.url, "-f", path)
            self.assertEqual(run.returncode, 0, f"{path.name}: {run.stderr}")
            answer = shown(run.stdout)
            self.assertGreater(len(answer.splitlines()), 2, f"{path.name} has no row")
            page.append(f"\n## {path.stem}\n\n{words}\n\n```sql\n{sql}\n```\n\n```text\n{answer}\n```\n")
            count += 1
        self.assertGreaterEqual(count, 40)
        if os.environ.get("CAIM_UPDATE"):
            PAGE.write_text("".join(page))
        self.assertEqual("".join(page), PAGE.read_text(), "docs/cookbook/README.md is old: set CAIM_UPDATE=1")

    def test_the_announced_schema_is_the_streamed_one(self):
        with flightsql.connect(self.hospitals.url, autocommit=True) as connection, connection.cursor() as cursor:
            for path, _, sql in recipes():
                with self.subTest(path.name):
                    announced_as_streamed(cursor, sql)

    def test_recipes_without_concepts_are_those_of_duckdb_over_the_nodes_files(self):
        truth, compared = DuckDb(self.hospitals.folder), []
        with flightsql.connect(self.hospitals.url, autocommit=True) as connection, connection.cursor() as cursor:
            for path, _, sql in recipes():
                if any(word in sql for word in OUR_WORDS):
                    continue
                with self.subTest(path.name):
                    cursor.execute(sql)
                    ours, theirs = cursor.fetchall(), truth.ask(sql)
                    self.assertEqual(len(ours), len(theirs))
                    # A limit cuts among equals as it likes; here none is at the edge.
                    for one, other in zip(sorted(map(comparable, ours)), sorted(map(comparable, theirs))):
                        self.assertTrue(all(map(same, one, other)), f"{one} {other}")
                    compared.append(path.name)
        self.assertGreaterEqual(len(compared), 16, compared)


class DuckDb:
    """DuckDB over the Parquet files of all nodes, patients told apart by node."""

    def __init__(self, folder):
        self.database = duckdb.connect()
        for schema in ("dicom", "omop"):
            self.database.execute(f"CREATE SCHEMA {schema}")
        files = {}
        for node in HOSPITALS:
            newest = max((folder / node / "warehouse" / "manifests").iterdir(), key=lambda path: int(path.stem))
            for table, parts in json.loads(newest.read_text())["tables"].items():
                data = [folder / node / "warehouse" / "data" / f"{part['sha256']}.parquet" for part in parts]
                files.setdefault(table, []).extend((node, path) for path in data)
        for table, parts in files.items():
            schema, name = table.split(".")
            if schema in ("dicom", "omop"):
                self._view(schema, name, parts)

    def _view(self, schema, name, parts):
        """A table as statements name it: each name that a patient has is the node with the patient's number there.

        Where a statement groups by patient, rows of nobody count for nobody.
        """
        selects = []
        for node, path in parts:
            columns = self.database.execute(f"SELECT name FROM parquet_schema('{path}')").fetchall()
            person = f"'{node}' || _patient" if ("_patient",) in columns else "NULL"
            names = ", ".join(f"{person} AS {name}" for name in ("patient_id", "PatientID", "person_id"))
            selects.append(f"SELECT *, {names} FROM '{path}'")
        known = "NOT getvariable('by_patient') OR patient_id IS NOT NULL"
        self.database.execute(
            f"CREATE VIEW {schema}.{name} AS SELECT * FROM ({' UNION ALL BY NAME '.join(selects)}) WHERE {known}"
        )

    def ask(self, sql):
        self.database.execute("SET VARIABLE by_patient = ?", ["GROUP BY patient_id" in sql])
        return self.database.execute(sql).fetchall()


class Gated(unittest.TestCase):
    """The nodes' own policy: the default one, with budgets that carry the demo."""

    @classmethod
    def setUpClass(cls):
        cls.hospitals = Hospitals({})
        cls.addClassCleanup(cls.hospitals.close)

    def test_every_recipe_is_answered_through_the_gate(self):
        released = 0
        for path, _, _ in recipes():
            with self.subTest(path.name):
                run = caim("sql", "--hub", self.hospitals.url, "-f", path, "--format", "csv")
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertNotIn("refused", run.stderr)
                released += bool(re.search(r"\d", "".join(run.stdout.splitlines()[1:])))
        self.assertGreaterEqual(released, 30, "most recipes release something from 1,200 patients")


if __name__ == "__main__":
    unittest.main()
