"""Published cubes as a BI tool reads them: a thousand questions, and nobody has paid or been asked."""

import re
import tempfile
import unittest
from pathlib import Path

import federation
import samples

CUBE = "cube.collection_modality_body_part_series"
PROTECTED = {}
QUERIES = [
    f"SELECT * FROM {CUBE} WHERE patients >= {{n}}",
    f"SELECT collection, sum(patients) AS patients, {{n}} AS n FROM {CUBE} GROUP BY collection ORDER BY 2 DESC",
    f"SELECT m.label, c.series, c.series_lower, c.series_upper FROM {CUBE} AS c "
    "LEFT JOIN catalog.concept AS m ON m.concept_code = c.modality WHERE c.series <> {n}",
    f"WITH best AS (SELECT modality, max(series) AS most FROM {CUBE} GROUP BY modality) "
    "SELECT *, {n} AS n FROM best ORDER BY most LIMIT 3",
]


class Cubes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "series.parquet"
            samples.write(source, patients=3_000, seed=7)
            cls.federation = federation.Federation(source, policy=PROTECTED)
        cls.addClassCleanup(cls.federation.close)

    def left(self):
        """What is left of the budget. The question that is asked for it is paid for once."""
        asked = federation.caim(
            "sql", "--hub", self.federation.url, "-c", "SELECT count(DISTINCT PatientID) FROM dicom.series"
        )
        self.assertEqual(asked.returncode, 0, asked.stderr)
        return re.search(r"([0-9.]+) left of the budget", asked.stderr).group(1)

    def records(self):
        """How many decisions the node has written down."""
        return federation.succeed("audit", self.federation.folder / "node", "verify").split()[0]

    def test_a_thousand_questions_leave_the_budget_as_it_was(self):
        left = self.left()
        self.assertLess(float(left), 1.0)
        before, rows = self.records(), 0
        with self.federation.connect() as connection, connection.cursor() as cursor:
            for n in range(1_000):
                cursor.execute(QUERIES[n % len(QUERIES)].format(n=n))
                rows += len(cursor.fetchall())
        self.assertGreater(rows, 1_000)
        self.assertEqual(self.records(), before, "no question has reached the node")
        self.assertEqual(self.left(), left)

    def test_cubes_are_listed_with_their_columns(self):
        with self.federation.connect() as connection:
            found = connection.adbc_get_objects(depth="columns", db_schema_filter="cube").read_all().to_pylist()
        schema = next(s for catalog in found for s in catalog["catalog_db_schemas"] if s["db_schema_name"] == "cube")
        tables = {table["table_name"]: table for table in schema["db_schema_tables"]}
        self.assertEqual(tables[CUBE.removeprefix("cube.")]["table_type"], "TABLE")
        columns = [column["column_name"] for column in tables[CUBE.removeprefix("cube.")]["table_columns"]]
        measured = [f"{name}{end}" for name in ("patients", "series") for end in ("", "_lower", "_upper")]
        self.assertEqual(columns, ["collection", "modality", "body_part", *measured, "nodes"])

    def test_a_question_of_the_same_grain_says_that_a_cube_answered(self):
        sql = (
            "SELECT dataset_id, series_modality, series_body_side_code, count(DISTINCT patient_id) AS patients, "
            "count(*) AS series FROM image_series GROUP BY 1, 2, 3"
        )
        before = self.records()
        asked = federation.caim("sql", "--hub", self.federation.url, "-c", sql)
        self.assertEqual(asked.returncode, 0, asked.stderr)
        self.assertIn(f"answered by {CUBE} (epoch 1)", asked.stderr)
        checked = federation.succeed("check", "--hub", self.federation.url, "-c", sql)
        self.assertIn("costs 0", checked)
        self.assertEqual(self.records(), before)

    def test_a_node_whose_cubes_cost_too_much_does_not_start(self):
        node = self.federation.folder / "dear"
        federation.succeed("init", "node", node, "--name", "dear", "--hub", f"127.0.0.1:{self.federation.nodes}")
        started = federation.caim("node", node, "--set", "privacy.publish_rho=0.1")
        self.assertEqual(started.returncode, 1)
        for part in ("privacy.publish_rho is 0.1", "diagnosis_sex_age (0.0556)", "SET caim.noise_sd"):
            self.assertIn(part, started.stderr)
