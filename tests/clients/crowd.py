"""64 clients at once: everybody gets the answer that one alone gets, to cubes and to questions that were paid for before.

Prints how long the answers took; nothing depends on it.
"""

import random
import statistics
import threading
import time
import unittest

import adbc_driver_flightsql.dbapi as flightsql

from hospitals import Hospitals

CLIENTS, QUERIES, SEED = 64, 1_000, 11
MODALITIES = ["CT", "MR", "PT", "MG", "US", "DX"]


def statements(cubes):
    """Different statements whose answers differ, so that a mixed-up one is seen."""
    asked = [f"SELECT * FROM cube.{name}" for name in cubes]
    for modality in MODALITIES:
        asked.append(f"SELECT count(DISTINCT PatientID) AS n FROM dicom.series WHERE Modality = '{modality}'")
        asked.append(
            f"SELECT EXTRACT(YEAR FROM StudyDate) AS year, count(DISTINCT PatientID) AS n FROM dicom.series "
            f"WHERE Modality = '{modality}' GROUP BY 1"
        )
    return asked + [f"SELECT {number} AS one, {number} * 2 AS two" for number in range(8)]


class Crowd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hospitals = Hospitals({})
        cls.addClassCleanup(cls.hospitals.close)
        with flightsql.connect(cls.hospitals.url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'cube' ORDER BY 1")
            cubes = [name for (name,) in cursor.fetchall()]
            cls.statements = statements(cubes)
            cls.alone = {sql: cls.ask(cursor, sql) for sql in cls.statements}

    @staticmethod
    def ask(cursor, sql):
        cursor.execute(sql)
        return sorted(cursor.fetchall(), key=repr)

    def test_nobody_gets_another_answer_and_nothing_fails(self):
        self.assertGreater(len({repr(rows) for rows in self.alone.values()}), 15, "the answers differ")
        print(f"crowd: seed {SEED}, {CLIENTS} clients, {QUERIES} queries, {len(self.statements)} statements")
        draw, took, wrong = random.Random(SEED), [], []
        shares = [[draw.choice(self.statements) for _ in range(QUERIES // CLIENTS + 1)] for _ in range(CLIENTS)]
        together = threading.Barrier(CLIENTS)

        def client(share):
            try:
                with flightsql.connect(self.hospitals.url, autocommit=True) as connection:
                    with connection.cursor() as cursor:
                        together.wait(timeout=120)
                        for sql in share:
                            began = time.monotonic()
                            if self.ask(cursor, sql) != self.alone[sql]:
                                wrong.append(f"another answer to {sql}")
                            took.append(time.monotonic() - began)
            except Exception as error:  # noqa: BLE001 - whatever goes wrong in a thread fails the test
                wrong.append(repr(error))

        clients = [threading.Thread(target=client, args=(share,)) for share in shares]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(len(took), QUERIES)
        percentiles = statistics.quantiles(took, n=100)
        print(f"crowd: p50 {percentiles[49] * 1000:.0f} ms, p99 {percentiles[98] * 1000:.0f} ms")


if __name__ == "__main__":
    unittest.main()
