"""The Flight SQL door as Python users meet it: catalogue, schemas, parameters, frames, and a clear no."""

import contextlib
import io
import unittest
from pathlib import Path

import adbc_driver_manager
import pandas
import pyarrow as pa

import federation

GROUPED = "SELECT Modality, count(DISTINCT PatientID) AS patients FROM dicom.series GROUP BY Modality"

# Text of the question, and the code that the refusal must name.
REFUSED = [
    ("SELECT * FROM dicom.series", "CAIM-P101"),
    ("SELECT PatientID, count(*) FROM dicom.series GROUP BY PatientID", "CAIM-P104"),
    ("SELECT count(*) FROM dicom.series WHERE PatientID = 'P00001'", "CAIM-P103"),
    ("SELECT max(PatientAge) FROM dicom.series", "CAIM-P109"),
    ("CREATE TABLE mine AS SELECT 1 AS one", "CAIM-S002"),
    ("DROP TABLE dicom.series", "CAIM-S002"),
    ("INSERT INTO dicom.series SELECT * FROM dicom.series", "CAIM-S002"),
    ("SELEC 1", "CAIM-S001"),
    ("SELECT count(*) FROM dicom.serie", "CAIM-S003"),
    ("SELECT count(*) FROM dicom.series WHERE Modalty = 'MR'", "CAIM-S003"),
]


class Doors(unittest.TestCase):
    def setUp(self):
        self.connection = federation.shared().connect()
        self.addCleanup(self.connection.close)
        self.cursor = self.connection.cursor()
        self.addCleanup(self.cursor.close)

    def ask(self, sql, parameters=None):
        self.cursor.execute(sql, parameters)
        return self.cursor.fetch_arrow_table()

    def objects(self, **filters):
        """Schema, table and columns of everything that the catalogue shows."""
        found = self.connection.adbc_get_objects(**filters).read_all().to_pylist()
        return {
            (schema["db_schema_name"], table["table_name"]): [c["column_name"] for c in table["table_columns"] or []]
            for catalogue in found
            for schema in catalogue["catalog_db_schemas"] or []
            for table in schema["db_schema_tables"] or []
        }

    def test_a_browser_sees_schemas_tables_and_columns(self):
        everything = self.objects(depth="all")
        self.assertIn("Modality", everything[("dicom", "series")])
        self.assertIn("StudyInstanceUID", everything[("dicom", "study")])
        self.assertIn("condition_concept_id", everything[("omop", "condition_occurrence")])
        self.assertIn(("catalog", "node"), everything)

    def test_a_browser_may_narrow_by_patterns(self):
        tables = self.objects(depth="tables", db_schema_filter="dicom", table_name_filter="s%")
        self.assertEqual(sorted(tables), [("dicom", "series"), ("dicom", "study")])

    def test_the_schema_of_a_table_is_told_with_types(self):
        schema = self.connection.adbc_get_table_schema("series", db_schema_filter="dicom")
        types = {name: schema.field(name).type for name in ("Modality", "instanceCount", "StudyDate", "KVP")}
        wanted = {"Modality": pa.string(), "instanceCount": pa.int64(), "StudyDate": pa.date32(), "KVP": pa.float64()}
        self.assertEqual(types, wanted)

    def test_an_unknown_table_has_no_schema(self):
        with self.assertRaises(adbc_driver_manager.Error) as caught:
            self.connection.adbc_get_table_schema("no_such_table", db_schema_filter="dicom")
        self.assertEqual(caught.exception.status_code, adbc_driver_manager.AdbcStatusCode.NOT_FOUND)

    def test_the_server_says_who_it_is(self):
        told = self.connection.adbc_get_info()
        self.assertIn("caim", told["vendor_name"].lower())
        self.assertTrue(told["vendor_version"])

    def test_table_types_are_listed(self):
        self.assertIn("TABLE", self.connection.adbc_get_table_types())

    def test_the_information_schema_lists_tables_and_columns(self):
        rows = self.ask(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = 'dicom'"
        ).to_pylist()
        self.assertEqual({row["table_name"] for row in rows}, {"annotation", "instance", "series", "study"})
        columns = self.ask("SELECT column_name FROM information_schema.columns WHERE table_name = 'study'")
        self.assertIn("StudyInstanceUID", columns.column(0).to_pylist())

    def test_tools_may_probe_without_asking_about_patients(self):
        self.assertEqual(self.ask("SELECT 1").column(0).to_pylist(), [1])

    def test_the_announced_schema_is_the_one_that_is_streamed(self):
        for sql in (
            GROUPED,
            "SELECT count(*) AS n, sum(instanceCount) AS s, avg(PatientAge) AS a FROM dicom.series",
            "SELECT DISTINCT PatientSex FROM dicom.series",
            "SELECT EXTRACT(YEAR FROM StudyDate) AS y, count(*) AS n FROM dicom.series "
            "GROUP BY EXTRACT(YEAR FROM StudyDate)",
            "SELECT Modality, count(*) AS n FROM dicom.series WHERE Modality = 'no such' GROUP BY Modality",
            "SELECT * FROM catalog.node",
            "SELECT * FROM information_schema.columns",
            "SELECT 1 AS one, 'a' AS letter, DATE '2020-01-01' AS day, 1.5 AS number, true AS yes",
        ):
            with self.subTest(sql):
                announced = self.cursor.adbc_execute_schema(sql)
                self.assertEqual(announced, self.ask(sql).schema)

    def test_every_column_of_an_answer_tells_its_type_name(self):
        for field in self.cursor.adbc_execute_schema(GROUPED):
            self.assertIn(b"ARROW:FLIGHT:SQL:TYPE_NAME", field.metadata or {}, field.name)

    def test_a_prepared_question_takes_its_values_by_position(self):
        by_mark = self.ask("SELECT count(*) AS n FROM dicom.series WHERE Modality = ? AND PatientAge < ?", ("MR", 50))
        by_number = self.ask(
            "SELECT count(*) AS n FROM dicom.series WHERE PatientAge < $2 AND Modality = $1", ("MR", 50)
        )
        plain = self.ask("SELECT count(*) AS n FROM dicom.series WHERE Modality = 'MR' AND PatientAge < 50")
        self.assertGreater(plain.column(0)[0].as_py(), 0)
        self.assertEqual((by_mark.column(0), by_number.column(0)), (plain.column(0), plain.column(0)))

    def test_a_value_that_looks_like_sql_is_a_value(self):
        rows = self.ask("SELECT count(*) FROM dicom.series WHERE Modality = ?", ("MR' OR '1' = '1",))
        self.assertEqual(rows.column(0).to_pylist(), [0])

    def test_a_missing_value_is_an_error(self):
        with self.assertRaises(adbc_driver_manager.Error):
            self.ask("SELECT count(*) FROM dicom.series WHERE Modality = ?")

    def test_every_refusal_names_its_code_and_a_way_out(self):
        for sql, code in REFUSED:
            with self.subTest(sql):
                with self.assertRaises(adbc_driver_manager.Error) as caught:
                    self.ask(sql)
                text = str(caught.exception)
                self.assertIn(code, text)
                self.assertIn("instead:", text)
                self.assertNotIn("P00001", text)

    def test_a_refusal_leaves_the_connection_usable(self):
        with self.assertRaises(adbc_driver_manager.Error):
            self.ask("SELECT * FROM dicom.series")
        self.assertGreater(self.ask(GROUPED).num_rows, 0)

    def test_a_refusal_for_privacy_is_told_apart_from_bad_sql(self):
        outcomes = {}
        for sql in ("SELECT * FROM dicom.series", "SELEC 1"):
            with self.assertRaises(adbc_driver_manager.Error) as caught:
                self.ask(sql)
            outcomes[sql] = caught.exception.status_code
        self.assertEqual(
            list(outcomes.values()),
            [
                adbc_driver_manager.AdbcStatusCode.UNAUTHORIZED,
                adbc_driver_manager.AdbcStatusCode.INVALID_ARGUMENT,
            ],
        )

    def test_a_write_by_the_driver_is_refused_at_once(self):
        with self.assertRaises(adbc_driver_manager.Error):
            self.cursor.adbc_ingest("mine", pa.table({"a": [1]}), mode="create")

    def test_a_frame_has_the_columns_of_the_question(self):
        self.cursor.execute(GROUPED)
        frame = self.cursor.fetch_df()
        self.assertIsInstance(frame, pandas.DataFrame)
        self.assertEqual(list(frame.columns), ["Modality", "patients"])
        self.assertEqual(str(frame["patients"].dtype), "int64")

    def test_pandas_reads_a_question_from_the_connection(self):
        frame = pandas.read_sql(GROUPED, self.connection)
        self.assertEqual(len(frame), self.ask(GROUPED).num_rows)

    def test_an_option_is_set_for_the_session(self):
        self.cursor.execute("SET caim.noise_sd = 8")
        with self.assertRaises(adbc_driver_manager.Error) as caught:
            self.cursor.execute("SET caim.noise_sd = 1")
        self.assertIn("CAIM-P121", str(caught.exception))

    def test_the_example_of_the_documents_runs_as_printed(self):
        page = (Path(__file__).resolve().parents[2] / "docs" / "bi-tools.md").read_text()
        example = page.partition("```python\n")[2].partition("```")[0]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(self.for_this_hub(example), {})
        self.assertIn("patients", printed.getvalue())

    @staticmethod
    def for_this_hub(example):
        """The example with the address and password of the hub under test in the place of the demo's."""
        hub = federation.shared()
        demo = '"username": "analyst", "password": "analyst"'
        assert demo in example and "grpc://127.0.0.1:50051" in example
        ours = f'"username": {hub.login["username"]!r}, "password": {hub.login["password"]!r}'
        return example.replace(demo, ours).replace("grpc://127.0.0.1:50051", hub.url)

    def test_a_wrong_password_is_refused(self):
        with self.assertRaises(adbc_driver_manager.Error) as caught:
            with federation.shared().connect(password="wrong") as connection, connection.cursor() as cursor:
                cursor.execute(GROUPED)
        self.assertIn("CAIM-A001", str(caught.exception))
