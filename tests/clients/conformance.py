"""Real clients at the hub's doors: what each of them does first, asks, and makes of a refusal.

Over PostgreSQL's protocol: psql, psycopg, SQLAlchemy, pandas, JDBC and ODBC. Over Flight SQL: pyarrow.flight, polars and
DuckDB. What ADBC does is in doors.py.
"""

import subprocess
import threading
import unittest
from datetime import date
from pathlib import Path

import duckdb
import pandas
import polars
import psycopg
import pyarrow.flight as flight
import sqlalchemy

import federation
import tools

HERE = Path(__file__).resolve().parent
GROUPED = (
    "SELECT Modality, count(DISTINCT PatientID) AS patients FROM dicom.series GROUP BY Modality "
    "ORDER BY patients DESC, Modality"
)


def expected():
    """The answer to GROUPED as Flight SQL gives it."""
    with federation.shared().connect() as connection, connection.cursor() as cursor:
        cursor.execute(GROUPED)
        return [tuple(row) for row in cursor.fetchall()]


def place():
    """Where the PostgreSQL door is, and who may come in."""
    hub = federation.shared()
    return {"host": "127.0.0.1", "port": hub.postgres, "user": hub.login["username"], "password": hub.login["password"]}


class Psql(unittest.TestCase):
    def psql(self, *commands, password=None, shape="-At"):
        tools.need("psql", "postgresql-client")
        at = place()
        asked = [word for command in commands for word in ("-c", command)]
        return subprocess.run(
            ["psql", "-X", shape, "-h", at["host"], "-p", str(at["port"]), "-U", at["user"], "caim", *asked],
            env={**federation.environment(), "PGPASSWORD": password or at["password"]},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def says(self, *commands):
        run = self.psql(*commands)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_an_answer_is_the_one_of_flight_sql(self):
        rows = [tuple(line.split("|")) for line in self.says(GROUPED).splitlines()]
        self.assertEqual([(m, int(n)) for m, n in rows], [(m or "", n) for m, n in expected()])

    def test_completeness_is_a_notice(self):
        self.assertIn("1 of 1 nodes answered", self.psql(GROUPED).stderr)

    def test_relations_are_listed(self):
        self.assertEqual(len(self.says("\\dt dicom.*").splitlines()), 4)

    def test_relations_of_the_default_schema_are_visible(self):
        self.assertIn("cancer_condition", self.says("\\d"))

    def test_a_table_is_described_with_types(self):
        self.assertIn("Modality|text", self.says("\\d dicom.series"))

    def test_a_table_is_described_with_comments(self):
        self.assertRegex(self.says("\\d+ dicom.study"), r"StudyDate\|date\|.*\|[A-Z].*\.")

    def test_foreign_keys_are_shown(self):
        self.assertIn("FOREIGN KEY", self.psql("\\d dicom.series", shape="-A").stdout)

    def test_views_are_listed(self):
        self.assertIn("catalog|node|view", self.says("\\dv catalog.*"))

    def test_functions_are_listed(self):
        self.assertIn("roll_up", self.says("\\df"))

    def test_schemas_are_listed(self):
        self.assertIn("omop", self.says("\\dn"))

    def test_databases_are_listed(self):
        self.assertIn("caim", self.says("\\l"))

    def test_roles_are_listed(self):
        self.assertIn("caim", self.says("\\du"))

    def test_a_refusal_has_rule_hint_and_page(self):
        text = self.psql("SELECT * FROM dicom.series").stderr
        for part in ("CAIM-P101", "DETAIL:", "HINT:", "docs/refusals/CAIM-P101.md"):
            self.assertIn(part, text)

    def test_a_refusal_leaves_the_connection_usable(self):
        self.assertIn("1", self.psql("SELECT * FROM dicom.series", "SELECT 1").stdout)

    def test_several_statements_at_once_are_answered_in_order(self):
        self.assertEqual(self.says("BEGIN; SELECT 1; SELECT 2; COMMIT").split(), ["BEGIN", "1", "2", "COMMIT"])

    def test_a_wrong_password_is_refused(self):
        run = self.psql("SELECT 1", password="wrong")
        self.assertEqual(run.returncode, 2)
        self.assertIn("authentication failed", run.stderr)

    def test_settings_hold_for_the_connection(self):
        run = self.psql("SET caim.noise_sd = 8", "SET caim.noise_sd = 1")
        self.assertIn("CAIM-P121", run.stderr)


class Psycopg(unittest.TestCase):
    def setUp(self):
        self.connection = psycopg.connect(**place(), dbname="caim", autocommit=True)
        self.addCleanup(self.connection.close)

    def rows(self, sql, values=None, **options):
        return self.connection.cursor(**options).execute(sql, values).fetchall()

    def refused(self, sql, values=None):
        with self.assertRaises(psycopg.Error) as caught:
            self.rows(sql, values)
        return caught.exception

    def test_an_answer_is_the_one_of_flight_sql(self):
        self.assertEqual(self.rows(GROUPED), expected())

    def test_binary_values_are_the_same(self):
        sql = "SELECT 7 AS n, 1.5 AS x, true AS yes, DATE '2020-01-02' AS day, 'ä' AS letter, TIMESTAMP '2020-01-02 03:04:05.5'"
        self.assertEqual(self.rows(sql, binary=True), self.rows(sql))

    def test_values_have_the_types_of_python(self):
        self.assertEqual(self.rows("SELECT 7, 1.5, DATE '2020-01-02', NULL"), [(7, 1.5, date(2020, 1, 2), None)])

    def test_parameters_are_bound_by_position(self):
        plain = self.rows("SELECT count(*) FROM dicom.series WHERE Modality = 'MR' AND PatientAge < 50")
        bound = self.rows("SELECT count(*) FROM dicom.series WHERE Modality = %s AND PatientAge < %s", ("MR", 50))
        self.assertGreater(plain[0][0], 0)
        self.assertEqual(bound, plain)

    def test_binary_parameters_are_the_same(self):
        sql = "SELECT count(*) FROM dicom.series WHERE PatientAge < {} AND StudyDate >= {}"
        values = (50, date(2010, 1, 1))
        binary = self.rows(sql.format("%b", "%b"), values)
        self.assertEqual(binary, self.rows(sql.format("%t", "%t"), values))

    def test_a_value_that_looks_like_sql_is_a_value(self):
        sql = "SELECT count(*) FROM dicom.series WHERE Modality = %s"
        self.assertEqual(self.rows(sql, ("MR' OR '1' = '1",)), [(0,)])

    def test_a_prepared_statement_is_asked_again(self):
        sql = "SELECT count(*) FROM dicom.series WHERE PatientAge < %s"
        counts = [self.connection.execute(sql, (age,), prepare=True).fetchone() for age in (40, 60, 40)]
        self.assertEqual(counts[0], counts[2])
        self.assertLess(counts[0], counts[1])

    def test_the_shape_is_known_without_rows(self):
        cursor = self.connection.cursor()
        cursor.execute("SELECT Modality, count(*) AS n FROM dicom.series WHERE Modality = 'none' GROUP BY Modality")
        self.assertEqual([(c.name, c.type_display) for c in cursor.description], [("Modality", "text"), ("n", "int8")])

    def test_refusals_are_told_apart(self):
        for sql, kind in (
            ("SELECT * FROM dicom.series", psycopg.errors.InsufficientPrivilege),
            ("SELEC 1", psycopg.errors.SyntaxError),
            ("SELECT count(*) FROM dicom.serie", psycopg.errors.UndefinedTable),
            ("SELECT count(*) FROM dicom.series WHERE Modalty = 'MR'", psycopg.errors.UndefinedColumn),
            ("INSERT INTO dicom.series VALUES (1)", psycopg.errors.FeatureNotSupported),
            ("CREATE TABLE mine AS SELECT 1", psycopg.errors.FeatureNotSupported),
            ("COPY dicom.series TO STDOUT", psycopg.errors.FeatureNotSupported),
        ):
            with self.subTest(sql):
                refusal = self.refused(sql)
                self.assertIsInstance(refusal, kind)
                self.assertTrue(refusal.diag.message_hint and refusal.diag.message_detail)

    def test_no_patient_is_in_a_refusal(self):
        refusal = self.refused("SELECT count(*) FROM dicom.series WHERE PatientID = 'P00001'")
        self.assertNotIn("P00001", str(refusal) + str(refusal.diag.message_detail))

    def test_transactions_of_tools_are_accepted(self):
        with self.connection.transaction():
            self.assertEqual(self.rows("SELECT 1"), [(1,)])

    def test_completeness_is_a_notice(self):
        told = []
        self.connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        self.rows(GROUPED)
        self.assertTrue(any("nodes answered" in text for text in told), told)

    def test_options_hold_for_the_connection_and_no_other(self):
        self.connection.execute("SET caim.noise_sd = 8")
        self.assertIn("CAIM-P121", str(self.refused("SET caim.noise_sd = 1")))

    def test_a_cancel_request_is_taken_between_questions(self):
        self.connection.cancel()
        self.assertEqual(self.rows("SELECT 1"), [(1,)])

    def test_many_connections_get_their_own_answers(self):
        wrong = []

        def ask(number):
            with psycopg.connect(**place(), dbname="caim", autocommit=True) as connection:
                for _ in range(5):
                    if connection.execute(f"SELECT {number}").fetchone() != (number,):
                        wrong.append(number)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_an_unknown_user_is_refused(self):
        with self.assertRaises(psycopg.OperationalError):
            psycopg.connect(**{**place(), "user": "nobody"}, dbname="caim")

    def test_the_catalogue_refuses_what_it_does_not_know(self):
        self.assertIsInstance(
            self.refused("SELECT pg_catalog.pg_read_file('/etc/passwd')"), psycopg.errors.FeatureNotSupported
        )
        self.assertIsInstance(
            self.refused("SELECT zeroblob(1000000000) FROM pg_catalog.pg_class"), psycopg.errors.FeatureNotSupported
        )

    def test_a_long_catalogue_query_ends(self):
        tables = ", ".join(f"pg_attribute AS a{i}" for i in range(5))
        self.refused(f"SELECT count(*) FROM {tables}")
        self.assertEqual(self.rows("SELECT count(*) > 0 FROM pg_class"), [(True,)])


class SqlAlchemy(unittest.TestCase):
    def setUp(self):
        url = sqlalchemy.URL.create("postgresql+psycopg", username=place()["user"], password=place()["password"],
                                    host="127.0.0.1", port=place()["port"], database="caim")
        self.engine = sqlalchemy.create_engine(url)
        self.addCleanup(self.engine.dispose)
        self.inspector = sqlalchemy.inspect(self.engine)

    def test_schemas_and_tables_are_inspected(self):
        self.assertLessEqual({"dicom", "omop", "eucaim"}, set(self.inspector.get_schema_names()))
        self.assertEqual(set(self.inspector.get_table_names("dicom")), {"annotation", "instance", "series", "study"})

    def test_views_are_inspected(self):
        self.assertIn("node", self.inspector.get_view_names("catalog"))

    def test_columns_are_inspected_with_types_and_comments(self):
        columns = {column["name"]: column for column in self.inspector.get_columns("series", "dicom")}
        self.assertIsInstance(columns["Modality"]["type"], sqlalchemy.Text)
        self.assertIsInstance(columns["StudyDate"]["type"], sqlalchemy.Date)
        self.assertTrue(columns["Modality"]["comment"])

    def test_primary_keys_are_inspected(self):
        key = self.inspector.get_pk_constraint("study", "dicom")
        self.assertEqual(key["constrained_columns"], ["StudyInstanceUID"])

    def test_foreign_keys_are_inspected(self):
        keys = self.inspector.get_foreign_keys("series", "dicom")
        self.assertIn(("dicom", "study"), {(key["referred_schema"], key["referred_table"]) for key in keys})

    def test_a_comment_of_a_table_is_inspected(self):
        self.assertTrue(self.inspector.get_table_comment("series", "dicom")["text"])

    def test_a_table_is_reflected_and_asked(self):
        series = sqlalchemy.Table("series", sqlalchemy.MetaData(), schema="dicom", autoload_with=self.engine,
                                  resolve_fks=False)
        question = sqlalchemy.select(series.c.Modality, sqlalchemy.func.count().label("n")).group_by(series.c.Modality)
        with self.engine.connect() as connection:
            self.assertTrue(connection.execute(question).all())

    def test_pandas_reads_over_sqlalchemy(self):
        frame = pandas.read_sql(GROUPED, self.engine)
        self.assertEqual(list(frame.itertuples(index=False, name=None)), expected())


class SqlAlchemyAdbc(unittest.TestCase):
    """SQLAlchemy over ADBC, and so over Flight SQL."""

    def setUp(self):
        login = federation.shared().login
        arguments = {"db_kwargs": {"username": login["username"], "password": login["password"]}}
        address = f"127.0.0.1:{federation.shared().flight}"
        self.engine = sqlalchemy.create_engine(f"adbc+flightsql://{address}?tls=false", connect_args=arguments)
        self.addCleanup(self.engine.dispose)

    def test_an_answer_is_the_one_of_adbc(self):
        with self.engine.connect() as connection:
            self.assertEqual([tuple(row) for row in connection.execute(sqlalchemy.text(GROUPED))], expected())

    def test_schemas_and_columns_are_inspected(self):
        # It lists only tables whose type is written in lower case, which Flight SQL's examples do not.
        inspector = sqlalchemy.inspect(self.engine)
        self.assertLessEqual({"dicom", "omop", "eucaim"}, set(inspector.get_schema_names()))
        columns = {column["name"]: column["type"] for column in inspector.get_columns("series", "dicom")}
        self.assertIsInstance(columns["StudyDate"], sqlalchemy.Date)

    def test_pandas_reads_over_it(self):
        frame = pandas.read_sql(GROUPED, self.engine)
        self.assertEqual(list(frame.itertuples(index=False, name=None)), expected())


class Jdbc(unittest.TestCase):
    def test_a_tool_on_jdbc_looks_around_and_asks(self):
        jar = "/usr/share/java/postgresql.jar"
        tools.need(jar, "libpostgresql-jdbc-java")
        tools.need("javac", "default-jdk-headless")
        at = place()
        url = f"jdbc:postgresql://{at['host']}:{at['port']}/caim"
        run = subprocess.run(["java", "-cp", jar, str(HERE / "Jdbc.java"), url, at["user"], at["password"]],
                             capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        lines = run.stdout.splitlines()
        for line in ("product PostgreSQL", "tables 4", "column text true", "types true", "refused 42501",
                     "values 2020-01-02 1.5 true"):
            self.assertIn(line, lines)
        tops = {line for line in lines if line.startswith("top ")}
        self.assertEqual(len(tops), 1, "text and binary answers differ")


class Odbc(unittest.TestCase):
    def setUp(self):
        driver = "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so"
        tools.need(driver, "odbc-postgresql")
        tools.need("/usr/lib/x86_64-linux-gnu/libodbc.so.2", "libodbc2")
        import pyodbc

        at = place()
        self.connection = pyodbc.connect(
            f"Driver={driver};Server={at['host']};Port={at['port']};Database=caim;Uid={at['user']};Pwd={at['password']}",
            autocommit=True,
        )
        self.addCleanup(self.connection.close)

    def test_an_answer_is_the_one_of_flight_sql(self):
        self.assertEqual([tuple(row) for row in self.connection.execute(GROUPED)], expected())

    def test_tables_are_listed(self):
        found = {row.table_name for row in self.connection.cursor().tables(schema="dicom")}
        self.assertLessEqual({"series", "study"}, found)

    def test_columns_are_listed_with_types(self):
        found = {row.column_name: row.type_name for row in self.connection.cursor().columns("series", schema="dicom")}
        self.assertEqual(found["Modality"], "text")

    def test_parameters_are_bound(self):
        sql = "SELECT count(*) FROM dicom.series WHERE Modality = ? AND PatientAge < ?"
        self.assertGreater(self.connection.execute(sql, "MR", 50).fetchone()[0], 0)

    def test_a_refusal_has_its_state(self):
        import pyodbc

        with self.assertRaises(pyodbc.Error) as caught:
            self.connection.execute("SELECT * FROM dicom.series")
        self.assertIn("CAIM-P101", str(caught.exception))


class FlightSql(unittest.TestCase):
    def test_polars_reads_a_question(self):
        with federation.shared().connect() as connection:
            frame = polars.read_database(GROUPED, connection)
        self.assertEqual(frame.rows(), expected())

    def test_duckdb_queries_the_stream_of_an_answer(self):
        with federation.shared().connect() as connection, connection.cursor() as cursor:
            cursor.execute(GROUPED)
            answer = cursor.fetch_record_batch()
            total = duckdb.sql("SELECT sum(patients)::BIGINT FROM answer").fetchall()[0]
        self.assertEqual(total, (sum(n for _, n in expected()),))

    def test_raw_flight_signs_in_and_lists_actions(self):
        hub = federation.shared()
        with flight.connect(hub.url) as client:
            token = client.authenticate_basic_token(hub.login["username"], hub.login["password"])
            options = flight.FlightCallOptions(headers=[token])
            actions = {action.type for action in client.list_actions(options)}
        self.assertLessEqual({"CreatePreparedStatement", "CancelFlightInfo", "GetSessionOptions"}, actions)
