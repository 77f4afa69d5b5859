"""Makes DICOM objects for the comparison: CT, MR and PET series with full headers, in the encodings that archives hold.

Objects of a series differ in identifier, number and position only. So one is written by pydicom, and the others are its
bytes with those three values, which have a fixed length, put in their place.
"""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.sequence import Sequence

# Encodings and how often they are used; the pixels of compressed ones are not an image, and nobody here decodes them.
SYNTAXES = {
    uid.ExplicitVRLittleEndian: 60,
    uid.ImplicitVRLittleEndian: 25,
    uid.ExplicitVRBigEndian: 2,
    uid.JPEGLosslessSV1: 5,
    uid.JPEG2000Lossless: 5,
    uid.RLELossless: 3,
}
CLASSES = {"CT": uid.CTImageStorage, "MR": uid.MRImageStorage, "PT": uid.PositronEmissionTomographyImageStorage}
EQUIPMENT = [
    ("SIEMENS", "Skyra", ["syngo MR E11"]),
    ("GE MEDICAL SYSTEMS", "Discovery MI", ["pet_coreload.48", "27"]),
    ("Philips Medical Systems", "Ingenia", ["5.3.0", "5.3.0.3"]),
    ("Canon Medical Systems", "Aquilion ONE", ["V8.4"]),
    ("Fabricación Médica", "Núcleo 3", ["3.1 versión"]),
]
BODY = ["PROSTATE", "PELVIS", "CHEST", "BREAST", "ABDOMEN", "LIVER", "COLON", "BRAIN"]
SLICES = (20, 60)
# Stands for an identifier and a position until an object's own takes its place.
IDENTIFIER = "1.2.826.0.1.3680043.10.1511.9." + "8" * 16
POSITION = "-98765.5"
NUMBER = "987654"


@dataclass
class Archive:
    """Where objects are written, and the draws that make them."""

    folder: Path
    edge: int
    draw: random.Random
    written: int = 0


def write(folder: Path, files: int, edge: int, seed: int = 11) -> int:
    """Writes `files` objects with images of `edge` x `edge` pixels of 16 bits; gives their bytes."""
    archive = Archive(folder, edge, random.Random(seed))
    size = patient = 0
    while archive.written < files:
        patient += 1
        size += _patient(archive, patient, files)
    return size


def _patient(archive: Archive, number: int, files: int) -> int:
    draw = archive.draw
    birth = date(1930, 1, 1) + timedelta(days=draw.randrange(24_000))
    taken = date(2012, 1, 1) + timedelta(days=draw.randrange(4_000))
    shared = {
        "PatientID": f"P{number:07d}", "PatientName": f"Doe^{number}", "PatientBirthDate": f"{birth:%Y%m%d}",
        "PatientSex": draw.choice("MFO"), "PatientAge": f"{(taken - birth).days // 366:03d}Y",
        "PatientSize": f"{draw.uniform(1.5, 1.95):.2f}", "PatientWeight": f"{draw.uniform(45, 120):.1f}",
        "BodyPartExamined": draw.choice(BODY), "StudyInstanceUID": _identifier(draw),
        "FrameOfReferenceUID": _identifier(draw),
    }
    shared |= {f"{what}Date": f"{taken:%Y%m%d}" for what in ("Study", "Series", "Acquisition", "Content")}
    size = 0
    for series in range(1, draw.randrange(2, 6)):
        count = min(draw.randrange(*SLICES), files - archive.written)
        if count > 0:
            size += _series(archive, shared, series, count)
    return size


def _series(archive: Archive, shared: dict[str, Any], number: int, count: int) -> int:
    draw = archive.draw
    modality = draw.choices(["MR", "CT", "PT"], [5, 4, 1])[0]
    syntax = draw.choices(list(SYNTAXES), list(SYNTAXES.values()))[0]
    first = _bytes(_dataset(draw, shared, number, modality), syntax, archive.edge)
    folder = archive.folder / f"{archive.written % 97:02d}" / shared["PatientID"] / f"{number}-{modality}"
    folder.mkdir(parents=True, exist_ok=True)
    for slice_ in range(1, count + 1):
        own = first.replace(IDENTIFIER.encode(), IDENTIFIER[:-16].encode() + f"{10**15 + archive.written}".encode())
        own = own.replace(NUMBER.encode(), f"{slice_:06d}".encode())
        own = own.replace(POSITION.encode(), f"{slice_ * 2.5 - 9_000:08.1f}".encode())
        (folder / f"IM{slice_:05d}.dcm").write_bytes(own)
        archive.written += 1
    return len(first) * count


def _identifier(draw: random.Random) -> str:
    return f"1.2.826.0.1.3680043.10.1511.{draw.randrange(10**9, 10**10)}.{draw.randrange(10**12, 10**13)}"


def _dataset(draw: random.Random, shared: dict[str, Any], number: int, modality: str) -> Dataset:
    """All elements that a series has, most of which nobody asks for."""
    own = Dataset()
    own.SpecificCharacterSet = draw.choice(["ISO_IR 100", "ISO_IR 192"])
    own.Manufacturer, own.ManufacturerModelName, own.SoftwareVersions = draw.choice(EQUIPMENT)
    time = f"{draw.randrange(7, 19):02d}{draw.randrange(60):02d}{draw.randrange(60):02d}.{draw.randrange(10**6):06d}"
    spacing = f"{draw.uniform(0.4, 1.4):.6f}"
    values = shared | _administrative(draw, modality) | {
        "SOPClassUID": CLASSES[modality], "SOPInstanceUID": IDENTIFIER, "SeriesInstanceUID": _identifier(draw),
        "Modality": modality, "SeriesNumber": number, "InstanceNumber": NUMBER, "AcquisitionNumber": 1,
        "StudyTime": time, "SeriesTime": time, "AcquisitionTime": time, "ContentTime": time,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "PatientPosition": "HFS", "PatientIdentityRemoved": "YES",
        "SliceThickness": draw.choice(["1", "1.25", "2.5", "3", "5"]), "SpacingBetweenSlices": "2.5",
        "PixelSpacing": [spacing, spacing], "ImagePositionPatient": ["-100.25", "-120.5", POSITION],
        "ImageOrientationPatient": ["1", "0", "0", "0", "0.984807", "-0.173648"], "BurnedInAnnotation": "NO",
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 12,
        "HighBit": 11, "PixelRepresentation": 0, "WindowCenter": "40", "WindowWidth": "400",
        "RescaleIntercept": "-1024", "RescaleSlope": "1", "LossyImageCompression": "00",
    } | {"MR": _mr, "CT": _ct, "PT": _pt}[modality](draw)
    for keyword, value in values.items():
        setattr(own, keyword, value)
    _private(own, draw)
    return own


def _administrative(draw: random.Random, modality: str) -> dict[str, Any]:
    """What a scanner and its archive write beside the image."""
    step = Dataset()
    step.RequestedProcedureDescription, step.ScheduledProcedureStepID = f"{modality} with contrast", "1"
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", _identifier(draw)
    method = [_code("113100", "DCM", "Basic Application Confidentiality Profile"),
              _code("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option")]
    return {
        "AccessionNumber": f"A{draw.randrange(10**8):08d}", "StudyID": "1", "ReferringPhysicianName": "Doe^Referrer",
        "InstitutionName": "Hospital Clínico", "InstitutionAddress": "Calle Mayor 1, Valencia", "StationName": "S1",
        "StudyDescription": f"{modality} with contrast", "SeriesDescription": f"{modality} axial",
        "ProtocolName": f"{modality} standard", "DeviceSerialNumber": str(draw.randrange(10**5)),
        "DeidentificationMethod": "profile 1.0", "DeidentificationMethodCodeSequence": Sequence(method),
        "ProcedureCodeSequence": Sequence([_code("P5-09051", "SRT", "Imaging guidance")]),
        "ReferencedStudySequence": Sequence([study]), "RequestAttributesSequence": Sequence([step]),
        "PerformedProcedureStepID": "1", "PositionReferenceIndicator": "", "SliceLocation": "0",
    }


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _mr(draw: random.Random) -> dict[str, Any]:
    return {
        "ScanningSequence": "SE", "SequenceVariant": ["SK", "SP"], "ScanOptions": "PFP", "MRAcquisitionType": "2D",
        "SequenceName": "*tse2d1_15", "MagneticFieldStrength": draw.choice(["1.5", "3"]), "FlipAngle": "160",
        "RepetitionTime": f"{draw.uniform(2000, 6000):.1f}", "EchoTime": f"{draw.uniform(60, 120):.1f}",
        "NumberOfAverages": "2", "EchoTrainLength": "15", "DiffusionBValue": float(draw.choice([0, 50, 800])),
        "ImagingFrequency": "123.2", "ImagedNucleus": "1H", "PixelBandwidth": "200", "SAR": "0.8", "dBdt": "0",
        "PercentSampling": "80", "PercentPhaseFieldOfView": "100", "AcquisitionMatrix": [0, 320, 256, 0],
        "InPlanePhaseEncodingDirection": "ROW", "ReceiveCoilName": "Body_18",
    }


def _ct(draw: random.Random) -> dict[str, Any]:
    return {
        "KVP": draw.choice(["100", "120", "140"]), "XRayTubeCurrent": draw.randrange(80, 500), "Exposure": 120,
        "ExposureTime": 500, "ConvolutionKernel": draw.choice([["B31f"], ["Br40d", "3"]]), "FilterType": "FLAT",
        "GeneratorPower": 40, "ReconstructionDiameter": "380", "DataCollectionDiameter": "500", "TableHeight": "160",
        "GantryDetectorTilt": "0", "RotationDirection": "CW", "FocalSpots": "1.2", "ScanOptions": "HELICAL MODE",
        "DistanceSourceToDetector": "1040", "DistanceSourceToPatient": "570", "SpiralPitchFactor": 0.9,
        "ContrastBolusAgent": "IOMERON 350", "ContrastBolusRoute": "IV",
    }


def _pt(draw: random.Random) -> dict[str, Any]:
    dose = Dataset()
    dose.Radiopharmaceutical, dose.RadionuclideTotalDose = "Fluorodeoxyglucose", str(draw.randrange(2, 5) * 10**8)
    dose.RadionuclideCodeSequence = Sequence([_code("C-111A1", "SRT", "^18^Fluorine")])
    return {
        "RadiopharmaceuticalInformationSequence": Sequence([dose]), "Units": "BQML", "CountsSource": "EMISSION",
        "CorrectedImage": ["NORM", "ATTN", "DECY"], "DecayCorrection": "START", "NumberOfSlices": 300,
        "ReconstructionMethod": "PSF+TOF 2i21s", "SeriesType": ["WHOLE BODY", "IMAGE"], "ActualFrameDuration": "120000",
    }


def _private(own: Dataset, draw: random.Random) -> None:
    block = own.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x10, "OB", draw.randbytes(draw.choice([200, 1_000, 3_000])))
    block = own.private_block(0x0051, "SIEMENS MR HEADER", create=True)
    for element, value in ((0x0A, "TA 01:12"), (0x0B, "320*256s"), (0x0C, "FoV 200*200"), (0x0E, "Tra")):
        block.add_new(element, "LO", value)


def _bytes(own: Dataset, syntax: uid.UID, edge: int) -> bytes:
    """The object as a file."""
    own.Rows = own.Columns = edge
    pixels = bytes(edge * edge * 2)
    own.PixelData = encapsulate([pixels[: len(pixels) // 3 * 2]]) if syntax.is_encapsulated else pixels
    own["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
    own.file_meta = FileMetaDataset()
    own.file_meta.TransferSyntaxUID = syntax
    file = DicomBytesIO()
    own.save_as(file, enforce_file_format=True)
    return file.getvalue()
