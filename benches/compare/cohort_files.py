"""Makes the records of one hospital for the comparison of queries: OMOP tables, and a table of DICOM series.

At scale 1: a million persons, 5 million conditions, 20 million measurements, 10 million series, all by patient.
"""

from pathlib import Path

import duckdb

PERSONS = 1_000_000
# With fewer, some questions have no answer.
LEAST = 2_000
# Rows of a person.
CONDITIONS, MEASUREMENTS, SERIES = 5, 20, 10
# Conditions with the codes that hospitals record, the first ones more often.
CODES = ["C61", "C50", "C34", "C18", "C20", "C22", "C64", "C71", "C67", "I10", "E11", "J45"]
TESTS = [("LOINC", "2857-1"), ("LOINC", "718-7"), ("LOINC", "2160-0"), ("LOINC", "6690-2"), ("LOINC", "29463-7")]
BODY = ["PROSTATE", "BREAST", "CHEST", "ABDOMEN", "PELVIS", "LIVER", "BRAIN", "KIDNEY"]
MAKERS = ["SIEMENS", "GE MEDICAL SYSTEMS", "Philips", "Canon", "TOSHIBA"]
MODALITIES = ["CT", "CT", "CT", "CT", "MR", "MR", "MR", "PT", "MG", "US"]

TABLES = {
    "omop/person": """
        SELECT i + 1 AS person_id, [8507, 8532][(1 + hash(i, 1) % 2)::BIGINT] AS gender_concept_id,
            1925 + hash(i, 2) % 75 AS year_of_birth, 8527 AS race_concept_id, 38003564 AS ethnicity_concept_id,
            'P' || (i + 1) AS person_source_value
        FROM range({persons}) AS t(i)""",
    "omop/death": """
        SELECT i + 1 AS person_id, DATE '2016-01-01' + (hash(i, 3) % 3000)::INTEGER AS death_date,
            32817 AS death_type_concept_id
        FROM range({persons}) AS t(i) WHERE hash(i, 4) % 100 < 18""",
    "omop/condition_occurrence": """
        SELECT i + 1 AS condition_occurrence_id, person + 1 AS person_id, 0 AS condition_concept_id,
            DATE '2008-01-01' + (hash(person, 5) % 3600 + hash(i, 6) % 1400)::INTEGER AS condition_start_date,
            32817 AS condition_type_concept_id,
            {codes}[(1 + least(hash(i, 7) % 12, hash(i, 8) % 12))::BIGINT] AS condition_source_value
        FROM (SELECT i, i // {conditions} AS person FROM range({persons} * {conditions}) AS t(i))""",
    "omop/measurement": """
        SELECT i + 1 AS measurement_id, person + 1 AS person_id,
            3000001 + hash(i, 9) % {tests} AS measurement_concept_id,
            DATE '2008-01-01' + (hash(person, 5) % 3600 + hash(i, 10) % 1500)::INTEGER AS measurement_date,
            32856 AS measurement_type_concept_id,
            CASE WHEN hash(i, 11) % 20 > 0 THEN (hash(i, 12) % 20000) / 200.0 END AS value_as_number
        FROM (SELECT i, i // {measurements} AS person FROM range({persons} * {measurements}) AS t(i))""",
    "series": """
        SELECT 'c' || lpad((1 + hash(study, 13) % 60)::VARCHAR, 2, '0') AS collection_id,
            'P' || (person + 1) AS PatientID,
            '1.2.826.0.1.3680043.10.1511.7.' || study AS StudyInstanceUID,
            '1.2.826.0.1.3680043.10.1511.7.' || study || '.' || i AS SeriesInstanceUID,
            DATE '2008-01-01' + (hash(person, 5) % 3600 + hash(study, 14) % 1200)::INTEGER AS StudyDate,
            {modalities}[(1 + hash(i, 15) % 10)::BIGINT] AS Modality,
            {body}[(1 + hash(i, 16) % 8)::BIGINT] AS BodyPartExamined,
            {makers}[(1 + hash(study, 17) % 5)::BIGINT] AS Manufacturer,
            [1.0, 1.25, 2.5, 3.0, 5.0][(1 + hash(i, 18) % 5)::BIGINT] AS SliceThickness,
            (1 + hash(i, 19) % 600)::BIGINT AS instanceCount, (hash(i, 20) % 30000) / 100.0 AS series_size_MB
        FROM (SELECT i, i // {series} AS person, i // 3 + (i // {series}) AS study
              FROM range({persons} * {series}) AS t(i))""",
}


def write(folder: Path, scale: float) -> int:
    """Writes the tables as Parquet files; gives the number of persons."""
    persons = max(int(PERSONS * scale), LEAST)
    (folder / "omop").mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        table(folder / f"{name}.parquet", name, persons)
    _copy(folder / "omop" / "concept.parquet", _concepts())
    return persons


def table(path: Path, name: str, persons: int) -> None:
    """Writes one of the tables of so many persons."""
    words = {
        "persons": persons, "conditions": CONDITIONS, "measurements": MEASUREMENTS, "series": SERIES, "codes": CODES,
        "tests": len(TESTS), "body": BODY, "makers": MAKERS, "modalities": MODALITIES,
    }
    _copy(path, TABLES[name].format(**words))


def _copy(path: Path, sql: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def _concepts() -> str:
    """The vocabulary of the tests, as a hospital has it beside its records."""
    rows = ", ".join(f"({3000001 + n}, '{system}', '{code}')" for n, (system, code) in enumerate(TESTS))
    return (
        "SELECT concept_id, concept_code AS concept_name, 'Measurement' AS domain_id, vocabulary_id, "
        "'Lab Test' AS concept_class_id, 'S' AS standard_concept, concept_code, DATE '1970-01-01' AS valid_start_date, "
        f"DATE '2099-12-31' AS valid_end_date FROM (VALUES {rows}) AS t(concept_id, vocabulary_id, concept_code)"
    )
