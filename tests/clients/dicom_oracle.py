"""What a node stores of DICOM objects equals what pydicom reads of the same files, attribute by attribute.

The list of attributes is the data model's: every column with a tag, or with places below sequences, is compared in every
row. The objects are pydicom's own test files (every encoding, and much that is broken) and the DICOM set of the package
deid-data, which is fetched when the test runs. Where the two differ, the reason stands here.
"""

import datetime
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import unittest
import warnings
import zipfile
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
DEID = "deid-data==0.0.20"
FRAMES = ["5200,9229", "5200,9230"]
DATE_DIGITS = 8

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


def number(tag):
    return int(tag.replace(",", ""), 16)


def places(column):
    """Where the values of a column may stand: the attribute itself, then others, with their value representations."""
    own = [([column["tag"]], column["vr"])] if "tag" in column else []
    for place in column.get("also_at", []):
        path, _, vr = place.partition(" ")
        steps = path.split("/")
        tops = [[top] for top in FRAMES] if steps[0] == "frames" else [[]]
        own += [([*top, *(step for step in steps if step != "frames")], vr or column["vr"]) for top in tops]
    return own


def occurrences(dataset, path):
    """The values of an attribute in every item that has it."""
    tag = number(path[0])
    if len(path) == 1:
        found = values(dataset, tag)
        return [found] if found else []
    items = dataset[tag].value if tag in dataset and dataset[tag].VR == "SQ" else []
    return [found for item in items for found in occurrences(item, path[1:])]


def said(dataset, column):
    """The values of the first place that says something. Where frames differ the largest stands, or nothing does."""
    for path, vr in places(column):
        found = occurrences(dataset, path)
        if not any(text(one) is not None for one in found):
            continue
        if vr == "DT":
            part = slice(0, DATE_DIGITS) if column["vr"] == "DA" else slice(DATE_DIGITS, None)
            found = [[re.split("[+-]", str(one)[part])[0] for one in several] for several in found]
        if all(one == found[0] for one in found):
            return found[0]
        return [max(one[0] for one in found)] if column.get("largest") else []
    return []


def expected(dataset, column):
    """The cell that a column must have."""
    found = said(dataset, column)
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
    """The columns of dicom.instance that attributes fill and that are stored."""
    with open(MODEL, "rb") as file:
        tables = {table["name"]: table for table in tomllib.load(file)["table"]}
    filled = (c for c in tables["instance"]["column"] if "tag" in c or "also_at" in c)
    return [c for c in filled if c.get("role") != "unit_id"]


def stored(node, table):
    """The rows of a table in the newest epoch, read off the warehouse's own files."""
    warehouse = node / "warehouse"
    newest = max((warehouse / "manifests").iterdir(), key=lambda path: int(path.stem))
    manifest = json.loads(newest.read_text())
    parts = [parquet.read_table(warehouse / "data" / f"{file['sha256']}.parquet") for file in manifest["tables"][table]]
    return pa.concat_tables(parts).to_pylist()


class Oracle:
    """One node, which ingests all objects of a folder, and of the zips in it, once."""

    different, rows_wanted = {}, None

    @classmethod
    def source(cls):
        """The folder of objects."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        warnings.simplefilter("ignore")
        logging.getLogger("pydicom").setLevel(logging.CRITICAL)
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-dicom-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        source, node = cls.source(), cls.folder / "node"
        succeed("init", "node", node, "--name", "north")
        archives = sorted(source.rglob("*.zip"))
        common = ["--format", "dicom", "--collection", "objects", "--json"]
        cls.run_of_ingest = caim("ingest", node, source, *archives, *common)
        cls.node = node
        cls.rows = {row["sopinstanceuid"]: row for row in stored(node, "dicom.instance")}
        cls.objects = {}
        for path in files(source):
            dataset = read(path)
            if dataset is not None:
                cls.objects.setdefault(str(dataset.SOPInstanceUID), (path, dataset))
        for archive in archives:
            with zipfile.ZipFile(archive) as members:
                for name in members.namelist():
                    with members.open(name) as member:
                        dataset = pydicom.dcmread(member, stop_before_pixels=True)
                    cls.objects.setdefault(str(dataset.SOPInstanceUID), (Path(name), dataset))

    def test_the_same_objects_are_found_and_the_rest_is_rejected(self):
        self.assertIn(self.run_of_ingest.returncode, (0, REJECTS), self.run_of_ingest.stderr)
        self.assertEqual(set(self.rows), set(self.objects))
        self.assertEqual(len(self.rows), self.rows_wanted)

    def test_every_attribute_of_every_object_is_what_pydicom_reads(self):
        compared, different = 0, {}
        for uid, (path, dataset) in self.objects.items():
            for column in columns():
                wanted, found = expected(dataset, column), self.rows[uid][column["name"].lower()]
                compared += 1
                if wanted != found:
                    different[path.name, column["name"]] = f"pydicom {wanted!r}, stored {found!r}"
        print(f"{compared} cells of {len(self.objects)} objects, {len(different)} differ with a reason", flush=True)
        unknown = {cell: both for cell, both in different.items() if cell not in self.different}
        self.assertEqual(unknown, {})
        self.assertEqual(set(self.different), set(different), "a reason without a difference")
        self.assertEqual(compared, self.rows_wanted * len(columns()))

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


@unittest.skipUnless(OBJECTS.is_dir(), f"{OBJECTS} is absent")
class DicomOracle(Oracle, unittest.TestCase):
    """pydicom's own test files."""

    different, rows_wanted = DIFFERENT, ROWS

    @classmethod
    def source(cls):
        return OBJECTS

    def test_annotations_are_the_segments_regions_and_findings_that_pydicom_reads(self):
        wanted = set()
        for uid, (_, dataset) in self.objects.items():
            for segment in dataset.get("SegmentSequence") or []:
                wanted.add((uid, segment.SegmentNumber, segment.SegmentedPropertyTypeCodeSequence[0].CodeValue))
            for region in dataset.get("StructureSetROISequence") or []:
                wanted.add((uid, int(region.ROINumber), None))
        found = {(row["sopinstanceuid"], row["number"], row["type_code"]) for row in stored(self.node, "dicom.annotation")}
        self.assertGreater(len(wanted), 3)
        self.assertEqual(wanted, {row for row in found if row[0] in {uid for uid, *_ in wanted}})


class DeidData(Oracle, unittest.TestCase):
    """The DICOM set of the package deid-data, which is not part of this repository."""

    different, rows_wanted = {}, 14

    @classmethod
    def source(cls):
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", cls.folder, DEID]
        if subprocess.run(list(map(str, fetch)), capture_output=True, timeout=600, check=False).returncode != 0:
            raise unittest.SkipTest(f"{DEID} cannot be fetched (no network to PyPI)")
        with tarfile.open(next(cls.folder.glob("deid*.tar.gz"))) as package:
            package.extractall(cls.folder / "package", filter="data")
        return next((cls.folder / "package").glob("*/deid_data/data"))


if __name__ == "__main__":
    unittest.main()
