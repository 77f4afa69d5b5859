"""What may name a person leaves no trace: not in the warehouse, not in logs, answers or the audit record.

A word that occurs nowhere else is planted in names, identifiers, private and nested elements, the preamble and the
names of files of DICOM objects, and in names, identifiers, addresses and notes of FHIR resources.
"""

import json
import shutil
import sqlite3
import tempfile
import unittest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from federation import caim

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


def identifies(column):
    """Columns that keep identifiers of their standard, inside the node: UIDs, and logical ids of resources."""
    return column.endswith(("uid", "_id")) or column in ("id", "identifier")


class Canaries(unittest.TestCase):
    """One node that has taken in the planted sources and was asked."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="caim-canaries-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.node, images, records = cls.folder / "node", cls.folder / "images", cls.folder / "records"
        images.mkdir()
        records.mkdir()
        for number in range(PATIENTS):
            image(number).save_as(images / f"{CANARY}{number}.dcm", enforce_file_format=True)
        lines = [json.dumps(resource) for number in range(PATIENTS) for resource in record(number)]
        (records / "all.ndjson").write_text("\n".join(lines))
        cls.runs = [caim("init", "node", cls.node, "--name", "north", "--hub", "127.0.0.1:9")]
        debug = {"CAIM_LOG": "debug"}
        for source in (images, records):
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


if __name__ == "__main__":
    unittest.main()
