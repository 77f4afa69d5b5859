"""What analysts ask of an OMOP database is answered: named questions in the manner of observational research.

Exactly over published data, where every answer equals DuckDB's over the same files, and through the gate, where none is
refused. The bounds of gated answers are held against the truth by the tests of the gate.
"""

import csv
import io
import math
import shutil
import tempfile
import unittest
import zipfile
from pathlib import Path

import duckdb

from federation import PUBLIC, SHARED, succeed

SOURCE = SHARED / "omop" / "Synthea27NjParquet_5.4.zip"

# The default noise, and budgets that carry all questions.
GATED = {
    "CAIM__PRIVACY__BUDGET_RHO": "100",
    "CAIM__PRIVACY__BUDGET_DELTA": "1",
    "CAIM__PRIVACY__PROJECT_LIFETIME_RHO": "100",
    "CAIM__PRIVACY__NODE_BUDGET_RHO": "100",
}

# Name, question, and the same for DuckDB where it speaks another dialect.
QUESTIONS = [
    (
        "persons by gender",
        "SELECT gender_concept_id, count(*) FROM omop.person GROUP BY 1",
        None,
    ),
    (
        "persons by year of birth and gender",
        "SELECT year_of_birth, gender_concept_id, count(DISTINCT person_id) FROM omop.person GROUP BY 1, 2",
        None,
    ),
    (
        "persons by race and ethnicity",
        "SELECT race_concept_id, ethnicity_concept_id, count(*) FROM omop.person GROUP BY CUBE(race_concept_id, "
        "ethnicity_concept_id)",
        None,
    ),
    (
        "length of observation",
        "SELECT avg(d), stddev(d), percentile_cont(d, 0.25), median(d), percentile_cont(d, 0.75) FROM (SELECT "
        "person_id, sum(date_diff('day', observation_period_start_date, observation_period_end_date)) AS d FROM "
        "omop.observation_period GROUP BY person_id) AS t",
        "SELECT avg(d), stddev(d), quantile_cont(d, 0.25), median(d), quantile_cont(d, 0.75) FROM (SELECT "
        "person_id, sum(date_diff('day', observation_period_start_date, observation_period_end_date)) AS d FROM "
        "omop.observation_period GROUP BY person_id) AS t",
    ),
    (
        "persons by number of observation periods",
        "SELECT n, count(*) FROM (SELECT person_id, count(*) AS n FROM omop.observation_period GROUP BY "
        "person_id) AS t GROUP BY n",
        None,
    ),
    (
        "persons observed in a year",
        "SELECT count(DISTINCT person_id) FROM omop.observation_period WHERE observation_period_start_date < DATE "
        "'2015-01-01' AND observation_period_end_date >= DATE '2014-01-01'",
        None,
    ),
    (
        "conditions",
        "SELECT condition_concept_id, count(DISTINCT person_id) AS persons, count(*) AS n FROM "
        "omop.condition_occurrence GROUP BY 1 HAVING count(DISTINCT person_id) >= 5",
        None,
    ),
    (
        "conditions by year and quarter",
        "SELECT extract(year FROM condition_start_date), extract(quarter FROM condition_start_date), count(*) "
        "FROM omop.condition_occurrence GROUP BY 1, 2",
        None,
    ),
    (
        "first condition by year",
        "SELECT extract(year FROM first), count(*) FROM (SELECT person_id, min(condition_start_date) AS first "
        "FROM omop.condition_occurrence WHERE condition_concept_id = 40481087 GROUP BY person_id) AS t GROUP BY 1",
        None,
    ),
    (
        "persons by number of different conditions",
        "SELECT n, count(*) FROM (SELECT person_id, count(DISTINCT condition_concept_id) AS n FROM "
        "omop.condition_occurrence GROUP BY person_id) AS t GROUP BY n",
        None,
    ),
    (
        "seasonality",
        "SELECT extract(month FROM condition_start_date) AS m, count(*) FROM omop.condition_occurrence WHERE "
        "condition_concept_id IN (40481087, 4112343) GROUP BY m",
        None,
    ),
    (
        "duration of conditions",
        "SELECT condition_concept_id, avg(date_diff('day', condition_start_date, condition_end_date)) FROM "
        "omop.condition_occurrence WHERE date_diff('day', condition_start_date, condition_end_date) BETWEEN 0 AND "
        "365 GROUP BY 1",
        None,
    ),
    (
        "drug within 30 days of condition",
        "SELECT count(DISTINCT c.person_id) FROM omop.condition_occurrence c JOIN omop.drug_exposure d ON "
        "d.person_id = c.person_id WHERE c.condition_concept_id = 40481087 AND d.drug_exposure_start_date BETWEEN "
        "c.condition_start_date AND c.condition_start_date + INTERVAL '30' DAY",
        None,
    ),
    (
        "drugs",
        "SELECT drug_concept_id, count(DISTINCT person_id), count(*) FROM omop.drug_exposure GROUP BY 1",
        None,
    ),
    (
        "days supply",
        "SELECT drug_concept_id, avg(days_supply), median(days_supply) FROM omop.drug_exposure GROUP BY 1",
        None,
    ),
    (
        "persons with two drugs",
        "SELECT count(DISTINCT person_id) FROM omop.person p WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d "
        "WHERE d.person_id = p.person_id AND d.drug_concept_id = 40213160) AND EXISTS (SELECT 1 FROM "
        "omop.drug_exposure d WHERE d.person_id = p.person_id AND d.drug_concept_id = 40213227)",
        None,
    ),
    (
        "measurements",
        "SELECT measurement_concept_id, count(*), count(DISTINCT person_id), median(value_as_number) FROM "
        "omop.measurement WHERE value_as_number IS NOT NULL GROUP BY 1",
        None,
    ),
    (
        "last measurement",
        "SELECT avg(v) FROM (SELECT person_id, value_as_number AS v, row_number() OVER (PARTITION BY person_id "
        "ORDER BY measurement_date DESC, measurement_id) AS rn FROM omop.measurement WHERE measurement_concept_id "
        "= 3036277) AS t WHERE rn = 1",
        None,
    ),
    (
        "visits by type",
        "SELECT visit_concept_id, count(*), count(DISTINCT person_id) FROM omop.visit_occurrence GROUP BY "
        "ROLLUP(visit_concept_id)",
        None,
    ),
    (
        "length of stay",
        "SELECT visit_concept_id, avg(date_diff('day', visit_start_date, visit_end_date)), "
        "percentile_cont(date_diff('day', visit_start_date, visit_end_date), 0.9) FROM omop.visit_occurrence "
        "GROUP BY 1",
        "SELECT visit_concept_id, avg(date_diff('day', visit_start_date, visit_end_date)), "
        "quantile_cont(date_diff('day', visit_start_date, visit_end_date), 0.9) FROM omop.visit_occurrence GROUP "
        "BY 1",
    ),
    (
        "persons with at least five visits",
        "SELECT count(*) FROM (SELECT person_id FROM omop.visit_occurrence GROUP BY person_id HAVING count(*) >= "
        "5) AS t",
        None,
    ),
    (
        "visits a person and year",
        "SELECT y, avg(n) FROM (SELECT person_id, extract(year FROM visit_start_date) AS y, count(*) AS n FROM "
        "omop.visit_occurrence GROUP BY 1, 2) AS t GROUP BY y",
        None,
    ),
    (
        "deaths by year",
        "SELECT extract(year FROM death_date), count(*) FROM omop.death GROUP BY 1",
        None,
    ),
    (
        "death within a year of diagnosis",
        "SELECT count(DISTINCT d.person_id) FROM omop.death d JOIN (SELECT person_id, min(condition_start_date) "
        "AS first FROM omop.condition_occurrence GROUP BY person_id) f ON f.person_id = d.person_id WHERE "
        "d.death_date BETWEEN f.first AND f.first + INTERVAL '365' DAY",
        None,
    ),
    (
        "procedures with names",
        "SELECT n.concept_name, count(DISTINCT p.person_id) AS persons FROM omop.procedure_occurrence p JOIN "
        "omop.concept n ON n.concept_id = p.procedure_concept_id GROUP BY 1",
        None,
    ),
    (
        "without a condition",
        "SELECT count(*) FROM omop.person p WHERE NOT EXISTS (SELECT 1 FROM omop.condition_occurrence c WHERE "
        "c.person_id = p.person_id AND c.condition_concept_id = 40481087)",
        None,
    ),
    (
        "condition then procedure",
        "SELECT count(DISTINCT c.person_id) FROM omop.condition_occurrence c WHERE EXISTS (SELECT 1 FROM "
        "omop.procedure_occurrence p WHERE p.person_id = c.person_id AND p.procedure_date >= "
        "c.condition_start_date)",
        None,
    ),
    (
        "observation by year with bounds",
        "SELECT extract(year FROM observation_date) AS y, count(*) AS n, lower(count(*)), upper(count(*)), "
        "status(count(*)) FROM omop.observation GROUP BY 1",
        "SELECT extract(year FROM observation_date) AS y, count(*) AS n, count(*)::DOUBLE, count(*)::DOUBLE, "
        "'exact' FROM omop.observation GROUP BY 1",
    ),
    (
        "last visit type",
        "SELECT visit_concept_id, count(*) FROM (SELECT *, row_number() OVER (PARTITION BY person_id ORDER BY "
        "visit_start_date DESC, visit_occurrence_id) AS rn FROM omop.visit_occurrence) AS t WHERE rn = 1 GROUP BY "
        "1",
        None,
    ),
    (
        "cohort: another event within 90 days of the first diagnosis",
        "WITH dx AS (SELECT person_id, min(condition_start_date) AS d FROM omop.condition_occurrence WHERE "
        "condition_concept_id IN (40481087, 4112343) GROUP BY person_id) SELECT extract(year FROM dx.d) AS "
        "dx_year, count(DISTINCT dx.person_id) FROM dx JOIN omop.visit_occurrence s ON s.person_id = dx.person_id "
        "WHERE s.visit_start_date >= dx.d AND s.visit_start_date <= dx.d + INTERVAL '90' DAY GROUP BY 1",
        None,
    ),
    (
        "cohort: the last measurement before each diagnosis",
        "WITH r AS (SELECT c.person_id, m.value_as_number AS v, row_number() OVER (PARTITION BY "
        "c.condition_occurrence_id ORDER BY m.measurement_date DESC, m.measurement_id) AS rn FROM "
        "omop.condition_occurrence c JOIN omop.measurement m ON m.person_id = c.person_id WHERE "
        "c.condition_concept_id = 40481087 AND m.measurement_date <= c.condition_start_date) SELECT "
        "p.gender_concept_id, count(*), avg(r.v) FROM r JOIN omop.person p ON p.person_id = r.person_id WHERE "
        "r.rn = 1 GROUP BY 1",
        None,
    ),
    (
        "cohort: two kinds of events in one quarter",
        "WITH q AS (SELECT person_id, extract(year FROM visit_start_date) AS y, extract(quarter FROM "
        "visit_start_date) AS qtr, max(CASE WHEN visit_concept_id = 9202 THEN 1 ELSE 0 END) AS a, max(CASE WHEN "
        "visit_concept_id = 9203 THEN 1 ELSE 0 END) AS b FROM omop.visit_occurrence WHERE visit_concept_id IN "
        "(9202, 9203) GROUP BY 1, 2, 3) SELECT y, qtr, count(*) FROM q WHERE a = 1 AND b = 1 GROUP BY y, qtr",
        None,
    ),
    (
        "cohort: inclusion and exclusion",
        "SELECT p.gender_concept_id, count(*) FROM omop.person p WHERE EXISTS (SELECT 1 FROM "
        "omop.condition_occurrence c WHERE c.person_id = p.person_id AND c.condition_concept_id = 40481087) AND "
        "EXISTS (SELECT 1 FROM omop.visit_occurrence v WHERE v.person_id = p.person_id AND v.visit_concept_id = "
        "9203) AND NOT EXISTS (SELECT 1 FROM omop.death d WHERE d.person_id = p.person_id) GROUP BY 1",
        None,
    ),
    (
        "cohort: subtotals of visits by type and year",
        "SELECT visit_concept_id, extract(year FROM visit_start_date) AS y, count(*), count(DISTINCT person_id) "
        "FROM omop.visit_occurrence GROUP BY ROLLUP(visit_concept_id, extract(year FROM visit_start_date))",
        None,
    ),
    (
        "cohort: median of a measurement by condition",
        "SELECT c.condition_concept_id, median(m.value_as_number), count(*) FROM omop.condition_occurrence c JOIN "
        "omop.measurement m ON m.person_id = c.person_id WHERE c.condition_concept_id IN (40481087, 4112343) AND "
        "m.measurement_concept_id = 3036277 AND m.value_as_number IS NOT NULL GROUP BY 1",
        None,
    ),
    (
        "cohort: totals of a start page",
        "SELECT count(DISTINCT person_id), count(*), sum(days_supply) FROM omop.drug_exposure",
        None,
    ),
    (
        "cohort: a selective slice",
        "SELECT gender_concept_id, count(DISTINCT p.person_id), count(*) FROM omop.person p JOIN "
        "omop.drug_exposure d ON d.person_id = p.person_id WHERE d.days_supply >= 30 AND "
        "d.drug_exposure_start_date >= DATE '2000-01-01' GROUP BY 1",
        None,
    ),
    (
        "cohort: a concept by the names of a domain",
        "SELECT n.domain_id, count(DISTINCT c.person_id), count(*) FROM omop.condition_occurrence c JOIN "
        "omop.concept n ON n.concept_id = c.condition_concept_id GROUP BY 1",
        None,
    ),
    (
        "cohort: sex and decade of birth of those with a condition",
        "SELECT p.gender_concept_id, floor(p.year_of_birth / 10) * 10 AS decade, count(DISTINCT p.person_id) FROM "
        "omop.person p JOIN omop.condition_occurrence c ON c.person_id = p.person_id WHERE c.condition_concept_id "
        "= 40481087 GROUP BY 1, 2",
        None,
    ),
    (
        "decade of the first condition",
        "SELECT extract(year FROM first), count(*) FROM (SELECT person_id, min(condition_start_date) AS first "
        "FROM omop.condition_occurrence GROUP BY person_id) AS f GROUP BY 1",
        None,
    ),
]


def comparable(row):
    """Values as both sides write them: numbers as numbers, what is missing as nothing."""

    def value(cell):
        if cell is None or cell == "":
            return (2, 0.0, "")
        try:
            return (0, float(f"{float(cell):.9g}"), "")
        except ValueError:
            return (1, 0.0, str(cell))

    return tuple(value(cell) for cell in row)


def same(one, other):
    return one[0] == other[0] and one[2] == other[2] and math.isclose(one[1], other[1], rel_tol=1e-7, abs_tol=1e-9)


class Utility(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not SOURCE.exists():
            raise unittest.SkipTest("../shared/data/omop/Synthea27NjParquet_5.4.zip is absent")
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-utility-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.node = cls.folder / "node"
        succeed("init", "node", cls.node, "--name", "north")
        succeed("ingest", cls.node, SOURCE, env=PUBLIC)
        with zipfile.ZipFile(SOURCE) as files:
            files.extractall(cls.folder / "files")
        cls.truth = duckdb.connect()
        cls.addClassCleanup(cls.truth.close)
        cls.truth.execute("CREATE SCHEMA omop")
        for file in sorted((cls.folder / "files").glob("Synthea*/*.parquet")):
            cls.truth.execute(f"CREATE VIEW omop.{file.stem} AS SELECT * FROM '{file}'")

    def answer(self, sql, policy):
        text = succeed("sql", "--node", self.node, "--format", "csv", "-c", sql, env=policy)
        return list(csv.reader(io.StringIO(text)))[1:]

    def test_published_answers_equal_duckdb(self):
        for name, sql, other in QUESTIONS:
            with self.subTest(name):
                given = sorted(map(comparable, self.answer(sql, PUBLIC)))
                wanted = sorted(map(comparable, self.truth.execute(other or sql).fetchall()))
                self.assertEqual(len(given), len(wanted), f"{sql}\n{given[:3]}\n{wanted[:3]}")
                for ours, theirs in zip(given, wanted):
                    equal = len(ours) == len(theirs) and all(map(same, ours, theirs))
                    self.assertTrue(equal, f"{sql}\ncaim: {ours}\nDuckDB: {theirs}")

    def test_the_gate_answers_all_of_them(self):
        for name, sql, _ in QUESTIONS:
            with self.subTest(name):
                self.answer(sql, GATED)
