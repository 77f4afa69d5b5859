"""DICOM objects as pydicom writes them: images, and segmentations that refer to them."""

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

STUDY = "2.25.4711"


def new(uid, sop_class, modality, patient, series):
    """An object without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = uid
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{STUDY}.{patient}", series
    dataset.PatientID, dataset.Modality, dataset.StudyDate = f"P{patient}", modality, "20200102"
    return dataset


def coded(value, scheme, meaning):
    """A sequence of one coded entry."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return Sequence([code])


def segmentation(uid, patient, series, labels):
    """A segmentation of a series, with a segment a label."""
    dataset = new(uid, SegmentationStorage, "SEG", patient, f"{series}.9")
    reference = Dataset()
    reference.SeriesInstanceUID = series
    dataset.ReferencedSeriesSequence = Sequence([reference])
    segments = []
    for number, label in enumerate(labels, 1):
        segment = Dataset()
        segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = number, label, "MANUAL"
        segment.SegmentedPropertyCategoryCodeSequence = coded("49755003", "SCT", "Morphologic abnormality")
        segment.SegmentedPropertyTypeCodeSequence = coded("4147007", "SCT", "Mass")
        segments.append(segment)
    dataset.SegmentSequence = Sequence(segments)
    return dataset


def write(folder, images, annotations, first=0):
    """Writes images, and annotations of two segments each, and gives how many objects these are."""
    folder.mkdir(exist_ok=True)
    for number in range(first, first + images + annotations):
        patient, uid = number % 12, f"2.25.1{number}"
        series = f"{STUDY}.{patient}.1"
        if number < first + images:
            dataset = new(uid, CTImageStorage, "CT", patient, series)
        else:
            dataset = segmentation(uid, patient, series, ["one", "two"])
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return images + annotations
