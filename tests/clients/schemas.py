"""500 generated statements: the schema that is announced is the schema that is streamed, in names, types and nullability,
batch by batch.
"""

import random
import unittest

import adbc_driver_flightsql.dbapi as flightsql

from federation import PUBLIC
from hospitals import Hospitals, announced_as_streamed

SEED, STATEMENTS = 20261127, 500
TABLES = {
    "dicom.series": (["Modality", "PatientSex", "BodyPartExamined", "Manufacturer"], ["PatientAge"], "StudyDate"),
    "dicom.study": (["PatientSex", "collection_id"], ["PatientAge", "NumberOfStudyRelatedSeries"], "StudyDate"),
    "cancer_condition": (["cancer_condition_code", "dataset_id"], ["cancer_condition_age_at_diagnosis"],
                         "cancer_condition_asserted_date"),
    "omop.person": (["gender_concept_id", "race_concept_id"], ["year_of_birth"], None),
}  # fmt: skip
OVER = [
    "{n}", "CAST({n} AS DOUBLE)", "{n} / 2", "{n} * 1.5", "{n} > 10", "CASE WHEN {n} > 10 THEN 'many' END", "round({n} / 3.0, 2)",
    "CAST({n} AS VARCHAR)", "coalesce({n}, 0)", "NULL", "DATE '2020-01-31'", "CAST({n} AS DECIMAL(12, 2))", "'ä' || {n}",
    "TIMESTAMP '2020-01-31 10:11:12'", "TRUE", "rank() OVER (ORDER BY {n})", "sum({n}) OVER ()", "-{n}",
]  # fmt: skip


class Draw:
    """Draws statements: groups, measures, conditions, and what the hub computes over them."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def statement(self):
        pick, table = self.random.choice, self.random.choice(list(TABLES))
        dimensions, numbers, date = TABLES[table]
        groups = self.random.sample(dimensions, self.random.randint(0, 2))
        if date and self.random.random() < 0.3:
            groups.append(f"EXTRACT({pick(['YEAR', 'QUARTER', 'MONTH'])} FROM {date})")
        measures = [self.measure(numbers, dimensions) for _ in range(self.random.randint(1, 3))]
        columns = [f"{group} AS g{i}" for i, group in enumerate(groups)]
        columns += [f"{measure} AS m{i}" for i, measure in enumerate(measures)]
        grouping = ", ".join(str(i + 1) for i in range(len(groups)))
        grouping = f"ROLLUP({', '.join(groups)})" if groups and self.random.random() < 0.1 else grouping
        inner = f"SELECT {', '.join(columns)} FROM {table}" + (f" GROUP BY {grouping}" if groups else "")
        if self.random.random() < 0.3:
            return inner
        shown = [f"g{i}" for i in range(len(groups))]
        shown += [f"{pick(OVER).format(n='m0')} AS \"Shown {i}\"" for i in range(self.random.randint(1, 4))]
        outer = f"SELECT {', '.join(shown)} FROM ({inner}) AS inside"
        if self.random.random() < 0.2:
            return f"{outer} UNION ALL {outer}"
        return outer + pick(["", " LIMIT 2", " ORDER BY 1", " WHERE m0 > 1"])

    def measure(self, numbers, dimensions):
        number = self.random.choice(numbers)
        of = self.random.choice([
            "count(*)", "count(DISTINCT patient_id)", f"avg({number})", f"sum({number})", f"median({number})",
            f"stddev({number})", f"count({number})", f"var_pop({number})",
        ])  # fmt: skip
        if self.random.random() < 0.2:
            return f"{of} FILTER (WHERE {self.random.choice(dimensions)} IS NOT NULL)"
        return of


class Schemas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hospitals = Hospitals(PUBLIC)
        cls.addClassCleanup(cls.hospitals.close)

    def test_what_is_announced_is_what_is_streamed(self):
        draw, held, refused, types = Draw(SEED), 0, [], set()
        with flightsql.connect(self.hospitals.url, autocommit=True) as connection, connection.cursor() as cursor:
            while held < STATEMENTS:
                sql = draw.statement()
                try:
                    announced, batches = announced_as_streamed(cursor, sql)
                except flightsql.Error as error:
                    self.assertIn("CAIM-", str(error), sql)
                    refused.append(f"{sql}: {error}")
                    self.assertLess(len(refused), STATEMENTS // 4, refused[-3:])
                    continue
                for batch in batches:
                    batch.validate(full=True)
                types.update(str(field.type) for field in announced)
                held += 1
        print(f"schemas: seed {SEED}, {held} statements, {len(refused)} refused, types {sorted(types)}")
        self.assertGreaterEqual(len(types), 7, types)


if __name__ == "__main__":
    unittest.main()
