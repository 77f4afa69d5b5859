"""What the hub answers equals what DuckDB computes from the file itself.

The data is published, so every answer is exact. The DuckDB side reads the file and knows nothing of Caim: each
question is written twice.
"""

import datetime
import math
import unittest

import duckdb

import federation

# How the file's text columns are to be read: DICOM ages such as 056Y in whole years, dates in ISO form.
SERIES = """
CREATE VIEW series AS SELECT * REPLACE (
    CAST(StudyDate AS DATE) AS StudyDate,
    CAST(SeriesDate AS DATE) AS SeriesDate,
    CASE right(PatientAge, 1)
        WHEN 'Y' THEN CAST(left(PatientAge, 3) AS BIGINT)
        WHEN 'M' THEN CAST(left(PatientAge, 3) AS BIGINT) // 12
        WHEN 'D' THEN 0
    END AS PatientAge)
FROM file
"""

# The published mappings of DICOM's values, and how many say that a concept is wider than the value.
MAPPINGS = f"""
SELECT split_part(subject_id, ':', 2) AS value, object_label AS label
FROM read_csv('{federation.ROOT}/ontology/mappings/dicom.sssom.tsv', delim = '\\t', comment = '#', header = true)
WHERE subject_id LIKE 'DICOM.Modality:%'
"""

# Name, question to the hub, question to DuckDB, values of parameters.
QUESTIONS = [
    (
        "subtotals by ROLLUP, told apart by grouping()",
        "SELECT Modality, PatientSex, grouping(PatientSex) AS g, count(*), count(DISTINCT PatientID) FROM dicom.series "
        "GROUP BY ROLLUP(Modality, PatientSex)",
        "SELECT Modality, PatientSex, grouping(PatientSex), count(*), count(DISTINCT PatientID) FROM series "
        "GROUP BY ROLLUP(Modality, PatientSex)",
        None,
    ),
    (
        "all groupings by CUBE with HAVING",
        "SELECT collection_id, Modality, count(*) AS n FROM dicom.series "
        "GROUP BY CUBE(collection_id, Modality) HAVING count(*) > 500",
        "SELECT collection_id, Modality, count(*) FROM series GROUP BY CUBE(collection_id, Modality) HAVING count(*) > 500",
        None,
    ),
    (
        "spread and percentiles of ages",
        "SELECT Modality, avg(PatientAge), stddev(PatientAge), var_pop(PatientAge), median(CAST(PatientAge AS DOUBLE)), "
        "percentile_cont(PatientAge, 0.9) FROM dicom.series GROUP BY Modality",
        "SELECT Modality, avg(PatientAge), stddev(PatientAge), var_pop(PatientAge), median(PatientAge), "
        "quantile_cont(PatientAge, 0.9) FROM series GROUP BY Modality",
        None,
    ),
    (
        "a percentile within a group, from the greatest",
        "SELECT percentile_cont(0.1) WITHIN GROUP (ORDER BY PatientAge DESC) FROM dicom.series",
        "SELECT quantile_cont(PatientAge, 0.9) FROM series",
        None,
    ),
    (
        "patients by their number of studies",
        "SELECT n, count(*) AS patients FROM (SELECT patient_id, count(DISTINCT StudyInstanceUID) AS n "
        "FROM dicom.series GROUP BY patient_id) AS counted GROUP BY n",
        "SELECT n, count(*) FROM (SELECT PatientID, count(DISTINCT StudyInstanceUID) AS n FROM series "
        "WHERE PatientID IS NOT NULL GROUP BY PatientID) GROUP BY n",
        None,
    ),
    (
        "patients with CT and at least three studies",
        "SELECT count(DISTINCT PatientID) FROM dicom.series WHERE Modality = 'CT' AND PatientID IN "
        "(SELECT PatientID FROM dicom.study GROUP BY PatientID HAVING count(*) >= 3)",
        "SELECT count(*) FROM (SELECT PatientID FROM series GROUP BY PatientID "
        "HAVING bool_or(Modality = 'CT') AND count(DISTINCT StudyInstanceUID) >= 3)",
        None,
    ),
    (
        "patients by modality",
        "SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality",
        "SELECT Modality, count(DISTINCT PatientID) FROM series GROUP BY Modality",
        None,
    ),
    (
        "labels of modalities, those without a concept under their own value",
        "SELECT label(series_modality), count(*), count(DISTINCT patient_id) FROM image_series GROUP BY 1",
        f"SELECT coalesce(m.label, s.Modality), count(*), count(DISTINCT s.PatientID) "
        f"FROM series s LEFT JOIN ({MAPPINGS}) m ON m.value = s.Modality GROUP BY 1",
        None,
    ),
    (
        "a text in the label of a concept",
        "SELECT count(*) FROM image_series WHERE label(series_modality) ILIKE '%tomography%'",
        f"SELECT count(*) FROM series s JOIN ({MAPPINGS}) m ON m.value = s.Modality WHERE m.label ILIKE '%tomography%'",
        None,
    ),
    (
        "all rows, studies and patients",
        "SELECT count(*), count(DISTINCT StudyInstanceUID), count(DISTINCT patient_id) FROM dicom.series",
        "SELECT count(*), count(DISTINCT StudyInstanceUID), count(DISTINCT PatientID) FROM series",
        None,
    ),
    (
        "studies joined to their series",
        "SELECT e.Modality, count(DISTINCT s.StudyInstanceUID) AS studies, count(*) AS series "
        "FROM dicom.study s JOIN dicom.series e ON s.StudyInstanceUID = e.StudyInstanceUID "
        "WHERE s.NumberOfStudyRelatedSeries >= 10 GROUP BY e.Modality",
        "WITH large AS (SELECT StudyInstanceUID FROM series GROUP BY ALL HAVING count(*) >= 10) "
        "SELECT Modality, count(DISTINCT StudyInstanceUID), count(*) "
        "FROM series SEMI JOIN large USING (StudyInstanceUID) GROUP BY Modality",
        None,
    ),
    (
        "study totals by collection",
        "SELECT collection_id, count(*) AS studies, sum(NumberOfStudyRelatedInstances) AS instances "
        "FROM dicom.study GROUP BY collection_id",
        "SELECT collection_id, count(DISTINCT StudyInstanceUID), sum(instanceCount)::BIGINT "
        "FROM series GROUP BY collection_id",
        None,
    ),
    (
        "HAVING on another aggregate than the one shown",
        "SELECT collection_id, count(*) AS series FROM dicom.series "
        "GROUP BY collection_id HAVING count(DISTINCT PatientID) >= 300",
        "SELECT collection_id, n FROM (SELECT collection_id, count(*) AS n, count(DISTINCT PatientID) AS p "
        "FROM series GROUP BY 1) WHERE p >= 300",
        None,
    ),
    (
        "IN and NOT IN over columns with NULLs",
        "SELECT count(*), count(DISTINCT StudyInstanceUID) FROM dicom.series "
        "WHERE Modality IN ('CT', 'MR', 'PT') AND BodyPartExamined NOT IN ('CHEST', 'BREAST')",
        "SELECT count(*), count(DISTINCT StudyInstanceUID) FROM series "
        "WHERE (Modality = 'CT' OR Modality = 'MR' OR Modality = 'PT') "
        "AND BodyPartExamined <> 'CHEST' AND BodyPartExamined <> 'BREAST'",
        None,
    ),
    (
        "IS NULL, and NULL as a group",
        "SELECT PatientSex, count(*) FROM dicom.series WHERE BodyPartExamined IS NULL GROUP BY PatientSex",
        "SELECT PatientSex, count(*) - count(BodyPartExamined) AS n FROM series GROUP BY PatientSex HAVING n > 0",
        None,
    ),
    (
        "FILTER beside an unfiltered count",
        "SELECT Manufacturer, count(*) AS n, count(*) FILTER (WHERE Modality = 'MR') AS mr, "
        "count(DISTINCT PatientID) FILTER (WHERE PatientSex = 'F') AS women FROM dicom.series GROUP BY Manufacturer",
        "SELECT Manufacturer, count(*), count(CASE WHEN Modality = 'MR' THEN 1 END), "
        "count(DISTINCT CASE WHEN PatientSex = 'F' THEN PatientID END) FROM series GROUP BY Manufacturer",
        None,
    ),
    (
        "sum and avg of numbers with and without gaps",
        "SELECT Modality, sum(instanceCount), avg(series_size_MB), avg(PatientAge) FROM dicom.series GROUP BY Modality",
        "SELECT Modality, sum(instanceCount)::BIGINT, avg(series_size_MB), avg(PatientAge) FROM series GROUP BY 1",
        None,
    ),
    (
        "EXISTS within the patient",
        "SELECT count(DISTINCT m.PatientID) FROM dicom.series m WHERE m.Modality = 'MR' AND EXISTS "
        "(SELECT 1 FROM dicom.series g WHERE g.PatientID = m.PatientID AND g.Modality = 'SEG')",
        "SELECT count(*) FROM (SELECT PatientID FROM series WHERE Modality = 'MR' "
        "INTERSECT SELECT PatientID FROM series WHERE Modality = 'SEG')",
        None,
    ),
    (
        "NOT EXISTS along a key",
        "SELECT count(*) FROM dicom.study s WHERE NOT EXISTS "
        "(SELECT 1 FROM dicom.series e WHERE e.StudyInstanceUID = s.StudyInstanceUID AND e.Modality = 'MR')",
        "SELECT count(*) FROM (SELECT DISTINCT StudyInstanceUID FROM series "
        "EXCEPT SELECT StudyInstanceUID FROM series WHERE Modality = 'MR')",
        None,
    ),
    (
        "a CTE and arithmetic on its aggregates",
        "WITH m AS (SELECT Modality, count(*) AS n, count(DISTINCT StudyInstanceUID) AS studies "
        "FROM dicom.series GROUP BY Modality) "
        "SELECT Modality, CAST(n AS DOUBLE) / studies AS per_study FROM m WHERE studies > 100 ORDER BY per_study DESC",
        "SELECT Modality, count(*) / count(DISTINCT StudyInstanceUID) AS r FROM series "
        "GROUP BY Modality HAVING count(DISTINCT StudyInstanceUID) > 100 ORDER BY r DESC",
        None,
    ),
    (
        "ORDER BY and LIMIT of groups",
        "SELECT BodyPartExamined, count(*) AS n FROM dicom.series WHERE BodyPartExamined IS NOT NULL "
        "GROUP BY BodyPartExamined ORDER BY n DESC, BodyPartExamined LIMIT 7",
        "SELECT BodyPartExamined, count(*) AS n FROM series WHERE BodyPartExamined IS NOT NULL "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 7",
        None,
    ),
    (
        "years of dates within public limits",
        "SELECT EXTRACT(YEAR FROM StudyDate) AS y, count(DISTINCT PatientID) AS patients FROM dicom.series "
        "WHERE StudyDate >= DATE '2000-01-01' AND StudyDate < DATE '2010-01-01' GROUP BY EXTRACT(YEAR FROM StudyDate)",
        "SELECT year(StudyDate), count(DISTINCT PatientID) FROM series "
        "WHERE StudyDate BETWEEN '2000-01-01' AND '2009-12-31' GROUP BY 1",
        None,
    ),
    (
        "BETWEEN, OR and NOT over a column with NULLs",
        "SELECT count(*) FROM dicom.series WHERE NOT (PatientAge BETWEEN 40 AND 60 OR Modality = 'CT')",
        "SELECT count(*) FROM series WHERE (PatientAge < 40 OR PatientAge > 60) AND Modality <> 'CT'",
        None,
    ),
    (
        "parameters by position",
        "SELECT PatientSex, count(DISTINCT PatientID) FROM dicom.series "
        "WHERE Modality = ? AND PatientAge >= ? GROUP BY PatientSex",
        "SELECT PatientSex, count(DISTINCT PatientID) FROM series "
        "WHERE Modality = ? AND PatientAge >= ? GROUP BY PatientSex",
        ("MR", 60),
    ),
    (
        "parameters by number, one used twice",
        "SELECT count(*) FROM dicom.series WHERE PatientAge >= $2 OR (Modality = $1 AND PatientAge >= $2)",
        "SELECT count(*) FROM series WHERE PatientAge >= $2 OR (Modality = $1 AND PatientAge >= $2)",
        ("CT", 70),
    ),
    (
        "different codes of a column",
        "SELECT collection_id, count(DISTINCT Modality) FROM dicom.series GROUP BY collection_id",
        "SELECT collection_id, count(DISTINCT Modality) FROM series GROUP BY collection_id",
        None,
    ),
    (
        "DISTINCT pairs",
        "SELECT DISTINCT Modality, PatientSex FROM dicom.series",
        "SELECT Modality, PatientSex FROM series GROUP BY ALL",
        None,
    ),
    (
        "a window over groups",
        "SELECT Modality, rank() OVER (ORDER BY n DESC) AS place FROM "
        "(SELECT Modality, count(*) AS n FROM dicom.series GROUP BY Modality) AS t",
        "SELECT Modality, rank() OVER (ORDER BY count(*) DESC) FROM series GROUP BY Modality",
        None,
    ),
    (
        "a union of aggregates",
        "SELECT 'CT' AS kind, count(*) AS n FROM dicom.series WHERE Modality = 'CT' "
        "UNION ALL SELECT 'MR', count(*) FROM dicom.series WHERE Modality = 'MR'",
        "SELECT Modality, count(*) FROM series WHERE Modality IN ('CT', 'MR') GROUP BY Modality",
        None,
    ),
    (
        "nobody at all",
        "SELECT count(*), sum(instanceCount), avg(PatientAge) FROM dicom.series WHERE Modality = 'no such modality'",
        "SELECT count(*), sum(instanceCount)::BIGINT, avg(PatientAge) FROM series WHERE false",
        None,
    ),
]


def truth(sql, parameters):
    """The rows that DuckDB computes from the file."""
    with duckdb.connect() as connection:
        connection.read_parquet(str(federation.INDEX)).create_view("file")
        connection.execute(SERIES)
        return connection.execute(sql, parameters or []).fetchall()


def answer(sql, parameters=None):
    """The rows that the hub gives to a Python user."""
    with federation.shared().connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def sortable(row):
    return [(value is None, str(value)) for value in row]


def same(one, other):
    """Equal values; floats but for the order in which they were added up."""
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-9)
    if isinstance(one, datetime.datetime) or isinstance(other, datetime.datetime):
        return str(one) == str(other)
    return one == other


class Answers(unittest.TestCase):
    def setUp(self):
        if not federation.INDEX.exists():
            self.skipTest("../shared/data/idc/idc_index_dev.parquet is absent")

    def compare(self, name):
        _, sql, plain, parameters = next(q for q in QUESTIONS if q[0] == name)
        given, wanted = answer(sql, parameters), truth(plain, parameters)
        if "ORDER BY" not in sql or "OVER" in sql:
            given, wanted = sorted(given, key=sortable), sorted(wanted, key=sortable)
        self.assertEqual(len(given), len(wanted), f"rows of: {sql}\n{given[:5]}\n{wanted[:5]}")
        for ours, theirs in zip(given, wanted):
            self.assertEqual(len(ours), len(theirs))
            self.assertTrue(all(map(same, ours, theirs)), f"{sql}\nhub: {ours}\nDuckDB: {theirs}")

    def test_a_column_has_one_name_in_four_spellings(self):
        wanted = sorted(truth("SELECT Modality, count(*) FROM series GROUP BY Modality", None))
        for spelling in ("modality", "Modality", "MODALITY", '"Modality"'):
            sql = f"SELECT {spelling}, count(*) FROM dicom.series GROUP BY {spelling}"
            self.assertEqual(sorted(answer(sql)), wanted, spelling)

    def test_columns_are_named_as_the_analyst_wrote_them(self):
        with federation.shared().connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT MODALITY, count(*) AS Anzahl FROM dicom.series GROUP BY modality")
            self.assertEqual([column[0].lower() for column in cursor.description], ["modality", "anzahl"])


def _add(name):
    method = "test_" + name.replace(",", "").replace(" ", "_")
    setattr(Answers, method, lambda self: self.compare(name))


for _name, *_ in QUESTIONS:
    _add(_name)
