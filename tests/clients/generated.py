"""The demo's generated hospitals, read by others: DICOM by pydicom and DCMTK, FHIR by fhir.resources.

`CAIM_GENERATED=DIR` checks the folder of an earlier `caim demo --dir DIR` instead of a small one made here.
"""

import atexit
import functools
import gzip
import json
import os
import shutil
import subprocess
import tempfile
import unittest
import warnings
from pathlib import Path

import pydicom
from fhir.resources.R4B import get_fhir_model_class

import federation

PATIENTS = 100
LONGEST_UID = 64
# What each hospital has, by folder below its sources.
DICOM = {"alder": "IM*", "birch": "*.dcm"}
FHIR = ["birch", "cedar"]


@functools.cache
def folder():
    """The folder of the demo; made with the first test that needs it, and gone with the last."""
    if given := os.environ.get("CAIM_GENERATED"):
        return Path(given)
    made = Path(tempfile.mkdtemp(prefix="caim-generated-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    federation.succeed("demo", "--once", "--dir", made, "--patients", PATIENTS)
    return made


def sources(hospital, kind):
    return folder() / hospital / "sources" / kind


def dicom_files(hospital):
    """The files of a hospital, all of which have the names that its archive gives."""
    root = sources(hospital, "dicom")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    assert files == sorted(root.rglob(DICOM[hospital])), f"a file of {hospital} has another name"
    return files


def resources(hospital):
    """Each resource or bundle of a hospital."""
    for path in sorted(sources(hospital, "fhir").iterdir()):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in text.decode("utf-8").splitlines():
            yield json.loads(line)


def entries(hospital):
    """Resources with their names, out of bundles where there are bundles."""
    for resource in resources(hospital):
        inner = resource.get("entry", [{"resource": resource}])
        for entry in inner:
            found = entry["resource"]
            yield found, {f"{found['resourceType']}/{found['id']}", entry.get("fullUrl")}


def references(value):
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "reference":
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def tool(name):
    """Where a program is; the test is skipped where it is not installed."""
    path = shutil.which(name)
    if path is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return path


def complaints(command, files, marks):
    """Lines of a program's output, over all files, that begin with one of the marks."""
    found = []
    for start in range(0, len(files), 500):
        run = subprocess.run(
            [*command, *map(str, files[start : start + 500])], capture_output=True, check=False, timeout=600
        )
        text = (run.stdout + run.stderr).decode("utf-8", "replace")
        found += [line for line in text.splitlines() if line.startswith(marks)]
        if run.returncode != 0 and not found:
            found.append(f"exit code {run.returncode}")
    return found


class Dicom(unittest.TestCase):
    def datasets(self, hospital):
        files = dicom_files(hospital)
        self.assertGreater(len(files), PATIENTS)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for path in files:
                yield pydicom.dcmread(path)

    def test_pydicom_reads_every_file_without_a_warning(self):
        pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
        syntaxes, letters = set(), set()
        for hospital in DICOM:
            for dataset in self.datasets(hospital):
                for element in dataset.iterall():
                    self.assertIsNotNone(element.VR)
                    if element.VR == "UI":
                        self.assertLessEqual(len(element.value), LONGEST_UID)
                self.assertEqual(dataset.file_meta.MediaStorageSOPInstanceUID, dataset.SOPInstanceUID)
                self.assertEqual(dataset.file_meta.MediaStorageSOPClassUID, dataset.SOPClassUID)
                self.assertEqual(dataset.pixel_array.shape, (dataset.Rows, dataset.Columns))
                self.assertLess(dataset.pixel_array.max(), 2**dataset.BitsStored)
                syntaxes.add(dataset.file_meta.TransferSyntaxUID.name)
                letters.update(str(dataset.PatientName))
        self.assertEqual(len(syntaxes), 2, syntaxes)
        self.assertTrue({"ü", "Ł", "α"} <= letters, "names with letters beyond ASCII are read as they are")

    def test_identifiers_repeat_where_they_must_and_nowhere_else(self):
        for hospital in DICOM:
            instances, series, studies = set(), {}, {}
            for dataset in self.datasets(hospital):
                self.assertNotIn(dataset.SOPInstanceUID, instances)
                instances.add(dataset.SOPInstanceUID)
                study = dataset.StudyInstanceUID
                self.assertEqual(series.setdefault(dataset.SeriesInstanceUID, study), study)
                if dataset.PatientID:
                    patient = (dataset.PatientID, dataset.PatientBirthDate, str(dataset.PatientName))
                    self.assertEqual(studies.setdefault(study, patient), patient)
                    self.assertLess(dataset.PatientBirthDate, dataset.StudyDate)

    def test_dcmtk_reads_every_file_without_a_complaint(self):
        dcmdump = tool("dcmdump")
        for hospital in DICOM:
            found = complaints([dcmdump, "-q"], dicom_files(hospital), ("E:", "W:", "F:", "error", "warning"))
            self.assertEqual(found[:5], [])

    def test_dicom3tools_finds_every_required_attribute(self):
        dciodvfy = tool("dciodvfy")
        one_of_each = {}
        for hospital in DICOM:
            for path, dataset in zip(dicom_files(hospital), self.datasets(hospital)):
                kind = (dataset.Modality, dataset.get("Laterality"), "BodyPartExamined" in dataset)
                one_of_each.setdefault(kind, path)
        self.assertGreater(len(one_of_each), 6)
        for kind, path in one_of_each.items():
            with self.subTest(kind=kind):
                self.assertEqual(complaints([dciodvfy], [path], ("Error",)), [])


class Fhir(unittest.TestCase):
    def test_fhir_resources_accepts_every_resource_as_r4(self):
        kinds = {}
        for hospital in FHIR:
            for resource in resources(hospital):
                kind = resource["resourceType"]
                get_fhir_model_class(kind).model_validate(resource)
                kinds[kind] = kinds.get(kind, 0) + 1
        self.assertTrue({"Bundle", "Patient", "Condition", "Observation", "Procedure", "ImagingStudy"} <= set(kinds))

    def test_every_reference_leads_to_a_resource_of_the_same_source(self):
        for hospital in FHIR:
            names, wanted = set(), set()
            for resource, known in entries(hospital):
                names |= known
                wanted |= set(references(resource))
            self.assertGreater(len(wanted), PATIENTS)
            self.assertEqual(wanted - names, set())

    def test_imaging_studies_are_those_of_the_files(self):
        files = {}
        for path in dicom_files("birch"):
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            series = files.setdefault(dataset.StudyInstanceUID, {})
            series.setdefault(dataset.SeriesInstanceUID, []).append(dataset.Modality)
        seen = 0
        for resource, _ in entries("birch"):
            if resource["resourceType"] == "ImagingStudy":
                study = files[resource["identifier"][0]["value"].removeprefix("urn:oid:")]
                listed = {of["uid"]: [of["modality"]["code"]] * of["numberOfInstances"] for of in resource["series"]}
                self.assertEqual(listed, study)
                seen += 1
        self.assertGreater(seen, PATIENTS)
