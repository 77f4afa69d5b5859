"""Small tables of invented series in the shape of a DICOM index, the same for the same seed."""

import random

import pyarrow as pa
import pyarrow.parquet as parquet

MODALITIES = ["MR"] * 5 + ["CT"] * 3 + ["PT", "SEG"]


def series(patients, seed, prefix="P"):
    """A table with about three series a patient. Another prefix gives other patients, studies and series."""
    chance = random.Random(f"{prefix}{seed}")
    return pa.Table.from_pylist([row for n in range(patients) for row in _of_patient(chance, f"{prefix}{n:05}")])


def _of_patient(chance, patient):
    sex, age = chance.choice("FM"), chance.randrange(20, 90)
    study = f"1.2.3.{chance.getrandbits(60)}"
    day = f"{chance.randrange(2005, 2020)}-{chance.randrange(1, 13):02}-15"
    return [
        {
            "collection_id": chance.choice(["alpha", "beta"]),
            "PatientID": patient,
            "PatientSex": sex,
            "PatientAge": f"{age:03}Y",
            "StudyInstanceUID": study,
            "SeriesInstanceUID": f"{study}.{n}",
            "StudyDate": day,
            "Modality": chance.choice(MODALITIES),
            "BodyPartExamined": chance.choice(["BREAST", "PROSTATE", "CHEST", None]),
            "Manufacturer": chance.choice(["SIEMENS", "GE MEDICAL SYSTEMS"]),
            "instanceCount": chance.randrange(1, 300),
            "series_size_MB": chance.random() * 100,
        }
        for n in range(chance.randrange(1, 6))
    ]


def write(path, patients, seed, prefix="P"):
    """Writes such a table as Parquet and gives its number of rows."""
    table = series(patients, seed, prefix)
    parquet.write_table(table, path)
    return table.num_rows
