"""What a node stores of DICOM objects equals what pydicom reads of the same files, attribute by attribute.

The list of attributes is the data model's: every column with a tag is compared in every row. pydicom's own test
files are the objects: every encoding, and much that is broken. Where the two differ, the reason stands here.
"""

import datetime
import json
import logging
import os
import shutil
import tempfile
import tomllib
import unittest
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pydicom
from pydicom.multival import MultiValue

from federation import SHARED, caim, succeed

REJECTS = 3
ROWS = 135
OBJECTS = SHARED / "dicom"
MODEL = Path(__file__).resolve().parents[2] / "ontology" / "models" / "dicom.toml"
PATIENT, ISSUER = 0x00100020, 0x00100021

# File and column of every cell that pydicom reads otherwise, with the reason.
DIFFERENT = {
    ("examples_overlay.dcm", "PatientBirthDate"): "the year 1111 is a placeholder; no patient was born before 1800",
}


def files(folder):
    """All files below a folder, in the order in which a node reads them."""
    for name in sorted(os.listdir(folder), key=os.fsencode):
        path = folder / name
        yield from files(path) if path.is_dir() else [path]


def read(path):
    """A file as pydicom reads it, also without its preamble; None if it is no object with an identifier."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        return dataset if dataset.get("SOPInstanceUID") else None
    except Exception:  # pylint: disable=broad-except
        return None


def values(dataset, tag):
    """The values of an attribute, as text without padding or as numbers; nothing where there is none."""
    place = dataset.file_meta if tag >> 16 == 2 else dataset
    if tag not in place:
        return []
    value = place[tag].value
    several = list(value) if isinstance(value, (MultiValue, list)) else [value]
    return [v.strip(" \0") if isinstance(v, str) else v for v in several if v is not None]


def text(found):
    joined = "\\".join(map(str, found)).strip()
    return joined if joined.strip("\\ ") else None


def first(found, convert):
    """The first value as a number or date; None where it is none."""
    try:
        return convert(found[0]) if found and str(found[0]) != "" else None
    except (ValueError, OverflowError):
        return None


def age(value):
    """Whole years of an age string."""
    number, unit = int(value[:-1]), value[-1]
    return int(number / {"Y": 1, "M": 12, "W": 365.25 / 7, "D": 365.25}[unit])


def day(value):
    return datetime.datetime.strptime(str(value).replace(".", ""), "%Y%m%d").date()


def expected(dataset, column):
    """The cell that a column must have."""
    found = values(dataset, int(column["tag"].replace(",", ""), 16))
    match column["type"], column["vr"]:
        case "integer", "AS":
            return first(found, age)
        case "integer", _:
            return first(found, int)
        case "float", _:
            return first(found, float)
        case "date", _:
            return first(found, day)
        case "boolean", _:
            return text(found) is not None
        case "text", _:
            return text(found)
    raise AssertionError(f"no rule for {column}")


def columns():
    """The tagged columns of dicom.instance that are stored."""
    with open(MODEL, "rb") as file:
        tables = {table["name"]: table for table in tomllib.load(file)["table"]}
    return [c for c in tables["instance"]["column"] if "tag" in c and c.get("role") != "unit_id"]


def stored(node, table):
    """The rows of a table in the newest epoch, read off the warehouse's own files."""
    warehouse = node / "warehouse"
    newest = max((warehouse / "manifests").iterdir(), key=lambda path: int(path.stem))
    manifest = json.loads(newest.read_text())
    parts = [parquet.read_table(warehouse / "data" / f"{file['sha256']}.parquet") for file in manifest["tables"][table]]
    return pa.concat_tables(parts).to_pylist()


@unittest.skipUnless(OBJECTS.is_dir(), f"{OBJECTS} is absent")
class DicomOracle(unittest.TestCase):
    """One node, which ingests all objects once."""

    @classmethod
    def setUpClass(cls):
        warnings.simplefilter("ignore")
        logging.getLogger("pydicom").setLevel(logging.CRITICAL)
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-dicom-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        node = cls.folder / "node"
        succeed("init", "node", node, "--name", "north")
        cls.run_of_ingest = caim("ingest", node, OBJECTS, "--format", "dicom", "--collection", "pydicom", "--json")
        cls.rows = {row["sopinstanceuid"]: row for row in stored(node, "dicom.instance")}
        cls.objects = {}
        for path in files(OBJECTS):
            dataset = read(path)
            if dataset is not None:
                cls.objects.setdefault(str(dataset.SOPInstanceUID), (path, dataset))

    def test_the_same_objects_are_found_and_the_rest_is_rejected(self):
        self.assertEqual(self.run_of_ingest.returncode, REJECTS, self.run_of_ingest.stderr)
        self.assertEqual(set(self.rows), set(self.objects))
        self.assertEqual(len(self.rows), ROWS)

    def test_every_attribute_of_every_object_is_what_pydicom_reads(self):
        compared, different = 0, {}
        for uid, (path, dataset) in self.objects.items():
            for column in columns():
                wanted, found = expected(dataset, column), self.rows[uid][column["name"].lower()]
                compared += 1
                if wanted != found:
                    different[path.name, column["name"]] = f"pydicom {wanted!r}, stored {found!r}"
        unknown = {cell: both for cell, both in different.items() if cell not in DIFFERENT}
        self.assertEqual(unknown, {})
        self.assertEqual(set(DIFFERENT), set(different), "a reason without a difference")
        self.assertEqual(compared, ROWS * len(columns()))

    def test_the_same_patients_are_told_apart(self):
        """One ordinal for each PatientID and issuer, and none where there is no PatientID."""
        ordinals = {}
        for uid, (_, dataset) in self.objects.items():
            patient, issuer = text(values(dataset, PATIENT)), text(values(dataset, ISSUER))
            ordinal = self.rows[uid]["_patient"]
            self.assertEqual(ordinal is None, patient is None, uid)
            if patient is not None:
                self.assertEqual(ordinals.setdefault((patient, issuer), ordinal), ordinal, uid)
        self.assertEqual(len(set(ordinals.values())), len(ordinals))


if __name__ == "__main__":
    unittest.main()
