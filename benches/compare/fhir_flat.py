"""What all sides make of FHIR resources: four flat tables, described once, from which each peer's own form is made.

A column is a path and a kind. `code.coding[0].code` is the code of the first coding; a path that begins with `each.` is
below the list of which every item is a row.
"""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Flat:
    """A table: the resource, Caim's name of the table, the list whose items are rows, and columns by name."""

    resource: str
    table: str
    each: str | None
    columns: dict[str, tuple[str, str]]


@dataclass
class Shape:
    """The part of a resource that paths reach: a struct, a list of them, or a leaf of a kind."""

    many: bool = False
    kind: str = "text"
    below: dict[str, "Shape"] = field(default_factory=dict)


def steps(path: str) -> list[tuple[str, bool]]:
    """The names along a path, and whether the first of a list is meant."""
    return [(name, bool(first)) for name, first in re.findall(r"(\w+)(\[0\])?", path)]


def shape(flat: Flat) -> dict[str, Shape]:
    """The members of the resource that the columns need."""
    root = Shape()
    for path, kind in flat.columns.values():
        at = root
        for name, many in steps(path):
            at = at.below.setdefault(name, Shape())
            at.many |= many
        at.kind = kind
    if flat.each is not None:
        root.below[flat.each] = root.below.pop("each")
        root.below[flat.each].many = True
    return root.below


def _coded(name: str, path: str) -> dict[str, tuple[str, str]]:
    return {f"{name}_system": (f"{path}.coding[0].system", "text"), name: (f"{path}.coding[0].code", "text")}


def _texts(**paths: str) -> dict[str, tuple[str, str]]:
    return {name: (path, "text") for name, path in paths.items()}


def _dates(**paths: str) -> dict[str, tuple[str, str]]:
    return {name: (path, "date") for name, path in paths.items()}


PATIENT = {"patient": ("subject.reference", "reference")}
FLATS = [
    Flat("Patient", "fhir.patient", None, {
        **_texts(id="id", gender="gender"), **_dates(birth_date="birthDate", deceased_date="deceasedDateTime"),
    }),
    Flat("Condition", "fhir.condition", None, {
        **_texts(id="id", clinical_status="clinicalStatus.coding[0].code", category="category[0].coding[0].code",
                 verification_status="verificationStatus.coding[0].code"),
        **_coded("code", "code"), **_coded("body_site", "bodySite[0]"),
        **_coded("morphology", "extension[0].valueCodeableConcept"), **_coded("stage", "stage[0].summary"),
        **_coded("stage_type", "stage[0].type"),
        **_dates(onset_date="onsetDateTime", abatement_date="abatementDateTime", recorded_date="recordedDate"),
        **PATIENT,
    }),
    Flat("Observation", "fhir.observation", None, {
        **_texts(id="id", status="status", category="category[0].coding[0].code", value_unit="valueQuantity.code"),
        **_coded("code", "code"), **_dates(effective_date="effectiveDateTime"),
        "value_number": ("valueQuantity.value", "float"), **PATIENT,
    }),
    Flat("ImagingStudy", "fhir.imaging_series", "series", {
        **_texts(imaging_study_id="id", series_uid="each.uid", modality="each.modality.code",
                 body_site_system="each.bodySite.system", body_site="each.bodySite.code"),
        "study_uid": ("identifier[0].value", "oid"), "number": ("each.number", "integer"),
        "number_of_instances": ("each.numberOfInstances", "integer"), **_dates(started_date="each.started"), **PATIENT,
    }),
]
# What stands before the part that is kept.
PREFIX: dict[str, str] = {"reference": "Patient/", "oid": "urn:oid:"}
DATE_LENGTH = 10


