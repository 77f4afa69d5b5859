"""What may name a person leaves no trace: not in the warehouse, not in logs, answers or the audit record.

A word that occurs nowhere else is planted in names, identifiers, private and nested elements, the preamble and the
names of files of DICOM objects, and in names, identifiers, addresses and notes of FHIR resources.
"""

import json
import shutil
import sqlite3
import struct
import tempfile
import tomllib
import unittest
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

import objects
from federation import ROOT, SHARED, caim

PROFILE = SHARED / "ontology" / "confidentiality_profile_attributes.json"
MODEL = ROOT / "ontology" / "models" / "dicom.toml"

CANARY = "Zaunkoenig"
PATIENTS = 24
QUESTIONS = [
    "SELECT series_modality, count(DISTINCT patient_id) FROM image_series GROUP BY series_modality",
    "SELECT patient_gender, patient_gender_original, count(DISTINCT patient_id) FROM patient GROUP BY 1, 2",
    f"SELECT count(DISTINCT patient_id) FROM dicom.series WHERE PatientID = '{CANARY}0'",
    "SELECT * FROM fhir.patient",
]


def image(number):
    """An object of one patient, with the word wherever a person may be named."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = f"2.25.{number + 1}"
    preamble = CANARY.encode().ljust(128, b"\0")
    dataset = FileDataset(None, {}, file_meta=meta, preamble=preamble)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"2.25.{number + 1}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"2.25.{number + 1}.1", f"2.25.{number + 1}.2"
    dataset.PatientID, dataset.PatientName = f"{CANARY}{number}", f"{CANARY}^{number}"
    dataset.AccessionNumber, dataset.StudyID = f"{CANARY}"[:16], CANARY
    dataset.ReferringPhysicianName = dataset.InstitutionName = dataset.StationName = CANARY
    dataset.OtherPatientIDs = dataset.PatientAddress = dataset.StudyDescription = CANARY
    dataset.SeriesDescription = dataset.ImageComments = dataset.ProtocolName = CANARY
    dataset.Modality, dataset.StudyDate = "CT", "20200102"
    nested = Dataset()
    nested.PatientID, nested.PatientName = CANARY, CANARY
    dataset.OtherPatientIDsSequence = Sequence([nested])
    block = dataset.private_block(0x0009, CANARY, create=True)
    block.add_new(0x01, "LO", CANARY)
    return dataset


def record(number):
    """A patient and a condition in FHIR, with the word in every text."""
    patient = {
        "resourceType": "Patient",
        "id": f"{CANARY}-{number}",
        "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": f"{CANARY}{number}"}],
        "name": [{"family": CANARY, "given": [CANARY]}],
        "address": [{"line": [CANARY], "city": CANARY}],
        "gender": "female",
        "birthDate": "1960-01-02",
    }
    condition = {
        "resourceType": "Condition",
        "id": f"c{number}",
        "subject": {"reference": f"Patient/{CANARY}-{number}", "display": CANARY},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "254837009", "display": CANARY}], "text": CANARY},
        "note": [{"text": CANARY}],
        "onsetDateTime": "2020-01-01",
    }
    return [patient, condition]


def plant(folder, patients):
    """Writes the objects and records of so many patients; the folders of both."""
    images, records = folder / "images", folder / "records"
    images.mkdir()
    records.mkdir()
    for number in range(patients):
        image(number).save_as(images / f"{CANARY}{number}.dcm", enforce_file_format=True)
    lines = [json.dumps(resource) for number in range(patients) for resource in record(number)]
    (records / "all.ndjson").write_text("\n".join(lines))
    return images, records


def identifies(column):
    """Columns that keep identifiers of their standard, inside the node: UIDs, and logical ids of resources."""
    return column.endswith(("uid", "_id")) or column in ("id", "identifier")


class Canaries(unittest.TestCase):
    """One node that has taken in the planted sources and was asked."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-canaries-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.node = cls.folder / "node"
        cls.runs = [caim("init", "node", cls.node, "--name", "north", "--hub", "127.0.0.1:9")]
        debug = {"CAIM_LOG": "debug"}
        for source in plant(cls.folder, PATIENTS):
            cls.runs.append(caim("ingest", cls.node, source, env=debug))
        for sql in QUESTIONS:
            cls.runs.append(caim("sql", "--node", cls.node, "--format", "csv", "-c", sql, env=debug))

    def test_the_sources_came_in(self):
        self.assertEqual([run.returncode for run in self.runs[:5]], [0] * 5, [run.stderr[-300:] for run in self.runs])
        self.assertTrue(all(run.returncode == 4 for run in self.runs[5:]), "the others are refused")

    def test_nothing_is_in_logs_and_answers(self):
        for run in self.runs[1:]:
            self.assertNotIn(CANARY, run.stderr.replace(str(self.folder), "").replace(QUESTIONS[2], ""))
            self.assertNotIn(CANARY, run.stdout)

    def test_nothing_is_in_the_warehouse_but_identifiers(self):
        cells = 0
        for file in (self.node / "warehouse" / "data").glob("*.parquet"):
            table = parquet.read_table(file)
            for name, column in zip(table.column_names, table.columns):
                texts = column.to_pylist() if pa.types.is_string(column.type) else []
                cells += len(texts)
                found = [text for text in texts if text is not None and CANARY in text]
                self.assertTrue(not found or identifies(name), f"{name} keeps {len(found)} planted words")
        self.assertGreater(cells, PATIENTS)

    def test_nothing_is_in_the_audit_record_and_the_ledger(self):
        with sqlite3.connect(self.node / "warehouse" / "state.sqlite") as state:
            dump = "\n".join(state.iterdump())
        self.assertNotIn(CANARY, dump)
        self.assertIn("audit", dump)


# What is planted in an attribute that cannot hold a word, by its value representation.
NUMBER, DAY, TIME = 60607, "19111213", "101112.777"
UID = "2.25.77007700770077"
PLANTED = {
    "AS": "060Y", "DA": DAY, "DT": f"{DAY}101112.777", "TM": TIME, "UI": UID,
    "DS": str(NUMBER), "IS": str(NUMBER), "FL": float(NUMBER), "FD": float(NUMBER),
    "US": NUMBER, "SS": 30303, "UL": NUMBER, "SL": NUMBER, "UV": NUMBER, "SV": NUMBER,
    "OB": CANARY.encode(), "OW": CANARY.encode(), "UN": CANARY.encode(),
}  # fmt: skip
META_AT, META_LENGTH_BYTES, DIRECTORY = 132, 12, 4
TRACES = [CANARY, UID, "1911-12-13", DAY, TIME]
NUMBERS = {str(NUMBER), str(float(NUMBER))}


def planted(attributes, depth=1):
    """A data set with something in each of the attributes; sequences hold all of them once more.

    Attributes of directories stand in sequences alone: an object that has them outside is a DICOMDIR.
    """
    dataset = Dataset()
    for tag in attributes:
        if depth and tag >> 16 == DIRECTORY:
            continue
        if dictionary_has_tag(tag):
            vr = dictionary_VR(tag).split(" or ")[0]
        else:
            vr = "LO"
        if vr == "SQ":
            dataset.add_new(tag, "SQ", [planted(attributes, depth - 1)] if depth else [])
        else:
            dataset.add_new(tag, vr, PLANTED.get(vr, CANARY if vr == "PN" else CANARY[:16]))
    return dataset


def with_commands(path, tags):
    """Puts elements of group 0000 in front of the data set of a file."""
    content = path.read_bytes()
    start = META_AT + META_LENGTH_BYTES + struct.unpack_from("<L", content, META_AT + META_LENGTH_BYTES - 4)[0]
    value = UID.encode() + b"\0" * (len(UID) % 2)
    elements = [struct.pack("<HH2sH", 0, tag & 0xFFFF, b"UI", len(value)) + value for tag in tags]
    path.write_bytes(content[:start] + b"".join(elements) + content[start:])


@unittest.skipUnless(PROFILE.is_file(), f"{PROFILE} is absent")
class Profile(unittest.TestCase):
    """Every attribute of PS3.15 table E.1-1 is filled, and a sequence of each kind nests all of them.

    One node keeps unique identifiers, the other keys them. Private attributes, the preamble, the name of the file, and
    the names of segments are filled, too.
    """

    @classmethod
    def setUpClass(cls):
        warnings.simplefilter("ignore")
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-profile-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        profile = [entry["tag"].strip("()").upper() for entry in json.loads(PROFILE.read_text())]
        cls.profile = profile
        repeating = {"50XX,XXXX": "5000,0022", "60XX,4000": "6000,4000", "60XX,3000": "6000,3000"}
        plain = [repeating.get(tag, tag) for tag in profile if not tag.startswith("GGGG")]
        attributes = [int(tag.replace(",", ""), 16) for tag in plain]
        # Commands are no part of files and meta elements stand apart: pydicom does not write them with the rest.
        apart = {group: [tag for tag in attributes if tag >> 16 == group] for group in (0, 2)}
        attributes = [tag for tag in attributes if tag >> 16 > 2]
        images = cls.folder / "images"
        images.mkdir()
        for number in range(3):
            kept = objects.segmentation(f"{UID}{number}", 1, f"{UID}.5", [CANARY]) if number else image(0)
            dataset = planted(attributes, depth=1)
            dataset.update({element.tag: element for element in kept})
            made = FileDataset(None, dataset, file_meta=kept.file_meta, preamble=CANARY.encode().ljust(128, b"\0"))
            for group in (0x0009, 0x0029, 0x7FD1):
                made.private_block(group, CANARY, create=True).add_new(0x01, "LO", CANARY)
            for tag in apart[2]:
                if tag not in made.file_meta:
                    made.file_meta.add_new(tag, dictionary_VR(tag), PLANTED.get(dictionary_VR(tag), CANARY))
            path = images / f"{CANARY}{number}.dcm"
            made.save_as(path, enforce_file_format=True)
            with_commands(path, apart[0])
        cls.planted = len(apart[0]) + len(apart[2]) + len(attributes)
        cls.nodes, cls.runs = {}, {}
        for uids in ("kept", "keyed"):
            node = cls.folder / uids
            rules = {"CAIM__IDENTITY__UIDS": uids, "CAIM_LOG": "trace"}
            caim("init", "node", node, "--name", uids)
            cls.nodes[uids] = node
            cls.runs[uids] = [
                caim("ingest", node, images, "--json", env=rules),
                caim("batches", node, env=rules),
                caim("batches", node, "--removed", "1", env=rules),
                caim("verify", node, env=rules),
                caim("sql", "--node", node, "-c", "SELECT kind, count(*) FROM dicom.annotation GROUP BY kind", env=rules),
                caim("batches", node, "--rejects", "1", env=rules),
            ]

    def cells(self, uids):
        """Name and text of every column of every stored table."""
        for file in (self.nodes[uids] / "warehouse" / "data").glob("*.parquet"):
            table = parquet.read_table(file)
            for name, column in zip(table.column_names, table.columns):
                yield name, [str(value) for value in column.to_pylist() if value is not None]

    def test_all_attributes_of_the_standard_are_planted_and_came_in(self):
        self.assertEqual((len(self.profile), self.planted), (621, 620), "private attributes are one of the list")
        for runs in self.runs.values():
            self.assertEqual(runs[0].returncode, 0, runs[0].stdout + runs[0].stderr)
            self.assertEqual(json.loads(runs[0].stdout)["tables"][0]["kept"], 3)

    def test_nothing_is_in_what_the_node_reports_logs_and_remembers(self):
        for uids, runs in self.runs.items():
            # The operator named the folder; the file names are in no list, since all files came in.
            told = "".join(run.stdout + run.stderr for run in runs).replace(str(self.folder), "")
            state = sqlite3.connect(self.nodes[uids] / "warehouse" / "state.sqlite")
            told += "\n".join(state.iterdump())
            state.close()
            manifests = (self.nodes[uids] / "warehouse" / "manifests").iterdir()
            told += "".join(path.read_text().replace(str(self.folder), "") for path in manifests)
            for trace in (CANARY, UID, "1911-12-13", DAY):
                self.assertNotIn(trace, told)

    def test_what_was_planted_is_only_in_cells_of_attributes_that_the_model_keeps_by_name(self):
        with open(MODEL, "rb") as file:
            tables = tomllib.load(file)["table"]
        listed = {c["name"].lower() for t in tables for c in t["column"] if c.get("action") in ("kept", "coarsened")}
        # Tables of the common model are made of these: identifiers of studies and series, dates, and parameters.
        derived = {"study_uid", "series_uid", "study_date", "series_acquisition_date", "patient_birth_date"}
        derived |= {"acquisition_date", "patient_date_of_last_contact"}
        derived |= {"referencedseriesinstanceuid"}
        # A code string of the list: what an archive has for the sex of a patient is kept as it is recorded.
        words = {"patientsex", "patient_birth_sex_original"}
        seen = set()
        for name, texts in self.cells("kept"):
            for trace in TRACES:
                if any(trace in text for text in texts):
                    self.assertIn(name, words if trace == CANARY else listed | derived, f"{name} keeps {trace}")
                    seen.add(name)
            if NUMBERS & set(texts):
                self.assertIn(name, listed | derived, f"{name} keeps {NUMBER}")
        self.assertIn("sopinstanceuid", seen, "the search finds what is kept")

    def test_keyed_identifiers_leave_no_identifier_in_any_cell(self):
        cells = 0
        for name, texts in self.cells("keyed"):
            cells += len(texts)
            for text in texts:
                self.assertNotIn("770077007700", text, name)
        self.assertGreater(cells, 100)

    def test_what_was_removed_is_counted_by_name_in_the_report_and_with_the_batch(self):
        removed = {entry["attribute"]: entry["count"] for entry in json.loads(self.runs["kept"][0].stdout)["removed"]}
        for attribute in ("PatientName", "AccessionNumber", "InstitutionName", "StudyDescription", "OtherPatientIDsSequence"):
            self.assertGreaterEqual(removed[attribute], 3, attribute)
        self.assertEqual(removed["preamble"], 3)
        self.assertEqual(removed["SegmentLabel"], 2)
        self.assertGreaterEqual(removed["private"], 12)
        shown = self.runs["kept"][2].stdout
        self.assertEqual(sum(1 for name in removed if name in shown), len(removed))


if __name__ == "__main__":
    unittest.main()
