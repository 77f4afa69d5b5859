"""Makes OMOP tables for the comparison: persons and their measurements, as an export of CSV files."""

from pathlib import Path

import duckdb

# Measurements of a person.
EACH = 20
# Definitions of the columns in PostgreSQL, in the order of the files.
COLUMNS = {
    "person": {
        "person_id": "bigint", "gender_concept_id": "bigint", "year_of_birth": "integer",
        "race_concept_id": "bigint", "ethnicity_concept_id": "bigint", "person_source_value": "text",
    },
    "measurement": {
        "measurement_id": "bigint", "person_id": "bigint", "measurement_concept_id": "bigint",
        "measurement_date": "date", "measurement_type_concept_id": "bigint", "value_as_number": "double precision",
        "unit_concept_id": "bigint", "visit_occurrence_id": "bigint", "measurement_source_value": "text",
        "unit_source_value": "text",
    },
}
PERSON = """
SELECT i + 1 AS person_id, [8507, 8532][(1 + hash(i, 1) % 2)::BIGINT] AS gender_concept_id,
    1930 + hash(i, 2) % 65 AS year_of_birth, 8527 AS race_concept_id, 38003564 AS ethnicity_concept_id,
    'P' || lpad((i + 1)::VARCHAR, 8, '0') AS person_source_value
FROM range({persons}) AS t(i)
"""
MEASUREMENT = """
SELECT i + 1 AS measurement_id, 1 + i // {each} AS person_id, 3000000 + code AS measurement_concept_id,
    DATE '2008-01-01' + (hash(i, 4) % 5000)::INTEGER AS measurement_date, 32856 AS measurement_type_concept_id,
    CASE WHEN hash(i, 5) % 20 > 0 THEN ((hash(i, 6) % 100000) / 100.0)::DOUBLE END AS value_as_number,
    8840 + code % 5 AS unit_concept_id, 1 + i // 5 AS visit_occurrence_id, 'LAB:' || code AS measurement_source_value,
    ['ng/mL', 'g/dL', 'kg', 'mg/dL', 'cm'][1 + code % 5] AS unit_source_value
FROM (SELECT i, (hash(i, 3) % 40)::BIGINT AS code FROM range({rows}) AS t(i))
"""


def write(folder: Path, rows: int) -> dict[str, Path]:
    """Writes the tables, with so many measurements; the seed is in the hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    persons = (rows + EACH - 1) // EACH
    queries = {
        "person": PERSON.format(persons=persons),
        "measurement": MEASUREMENT.format(rows=rows, each=EACH),
    }
    files = {name: folder / f"{name}.csv" for name in queries}
    with duckdb.connect() as connection:
        for name, sql in queries.items():
            columns = ", ".join(COLUMNS[name])
            connection.execute(f"COPY (SELECT {columns} FROM ({sql})) TO '{files[name]}' (HEADER)")
    return files
