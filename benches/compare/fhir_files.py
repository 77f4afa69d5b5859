"""Makes a FHIR bulk export for the comparison: NDJSON files of patients, conditions, observations and imaging studies.

Each kind of resource is one template, a resource as servers export it, in which drawn values take their places.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TERMS = "http://terminology.hl7.org/CodeSystem/"
US_CORE, MCODE = "http://hl7.org/fhir/us/core/StructureDefinition/", "http://hl7.org/fhir/us/mcode/StructureDefinition/"
ICDO, SNOMED, LOINC = TERMS + "icd-o-3", "http://snomed.info/sct", "http://loinc.org"
DCM, UCUM = "http://dicom.nema.org/resources/ontology/DCM", "http://unitsofmeasure.org"
CANCERS = [
    ("254900004", "C61.9", "8140/3"), ("254837009", "C50.4", "8500/3"), ("254637007", "C34.1", "8070/3"),
    ("363406005", "C18.7", "8140/3"), ("93870000", "C22.0", "8170/3"),
]
TESTS = [("2857-1", "ng/mL"), ("718-7", "g/dL"), ("29463-7", "kg"), ("2160-0", "mg/dL"), ("6690-2", "10*3/uL")]
MODALITIES = ["MR", "CT", "PT", "MG"]
# Drawn values that are numbers in JSON.
NUMBERS = ("value", "number", "instances", "count", "dose")


def write(folder: Path, patients: int, seed: int = 5) -> int:
    """Writes one file a kind of resource; gives their bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    names = dict.fromkeys(name.partition("/")[0] for name in TEMPLATES)
    files = {name: open(folder / f"{name}.ndjson", "w", encoding="utf-8", buffering=1 << 20) for name in names}
    for number in range(patients):
        for kind, values in _patient(draw, number):
            files[kind.partition("/")[0]].write(TEMPLATES[kind] % values)
    for file in files.values():
        file.close()
    return sum(path.stat().st_size for path in folder.iterdir())


def _patient(draw: random.Random, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """All resources of a patient: the template of each, and its values."""
    patient = f"{draw.getrandbits(128):032x}"
    sex = draw.choice(["male", "female"])
    yield ("Patient/dead" if draw.random() < 0.15 else "Patient"), {
        "id": patient, "mrn": f"MRN{number:09d}", "family": f"Núñez{draw.randrange(9999)}", "gender": sex,
        "letter": sex[0].upper(), "born": _day(draw, 1930, 2000), "moment": _moment(draw, 2018, 2024),
        "city": draw.choice(["Valencia", "Madrid", "Berlin"]), "postcode": f"{number % 99999:05d}",
    }
    for _ in range(draw.randrange(1, 6)):
        code, site, morphology = draw.choice(CANCERS)
        yield ("Condition/over" if draw.random() < 0.4 else "Condition"), _event(draw, patient) | {
            "code": code, "site": site, "morphology": morphology, "stage": draw.choice(["I", "II", "III", "IV"]),
            "status": draw.choice(["active", "resolved"]), "end": _moment(draw, 2022, 2024),
        }
    for _ in range(draw.randrange(4, 21)):
        test, unit = draw.choice(TESTS)
        yield ("Observation/panel" if draw.random() < 0.12 else "Observation"), _event(draw, patient) | {
            "code": test, "unit": unit, "value": round(draw.lognormvariate(2, 1), 3), "number": draw.randrange(50, 160),
        }
    if draw.random() < 0.8:
        count = draw.randrange(1, 5)
        root = f"1.2.826.0.1.3680043.10.1511.8.{draw.randrange(10**12, 10**13)}"
        values = {"root": root, "modality": draw.choice(MODALITIES), "site": "41216001", "count": count}
        yield f"ImagingStudy/{count}", _event(draw, patient) | values | {"instances": draw.randrange(1, 400)}


def _event(draw: random.Random, patient: str) -> dict[str, Any]:
    ids = {name: f"{draw.getrandbits(128):032x}" for name in ("id", "encounter", "performer")}
    return ids | {"patient": patient, "moment": _moment(draw, 2010, 2022)}


def _day(draw: random.Random, first: int, last: int) -> str:
    return f"{draw.randrange(first, last)}-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}"


def _moment(draw: random.Random, first: int, last: int) -> str:
    return f"{_day(draw, first, last)}T{draw.randrange(24):02d}:{draw.randrange(60):02d}:07.123+01:00"


def _concept(system: str, code: str, display: str = "A term, as a person reads it") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _resource(kind: str, profile: str, **more: Any) -> dict[str, Any]:
    meta = {"versionId": "1", "lastUpdated": "2024-03-01T10:00:00.000+01:00", "profile": [profile]}
    return {"resourceType": kind, "id": "%(id)s", "meta": meta, **more}


def _of(patient: str = "Patient/%(patient)s", encounter: str = "Encounter/%(encounter)s") -> dict[str, Any]:
    return {"subject": {"reference": patient}, "encounter": {"reference": encounter}}


def _person(**more: Any) -> dict[str, Any]:
    number = _concept(TERMS + "v2-0203", "MR", "Medical record number")
    race = {"url": "text", "valueString": "White"}
    home = {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": {"city": "%(city)s"}}
    return _resource(
        "Patient", US_CORE + "us-core-patient",
        text={"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">A generated patient</div>"},
        extension=[{"url": US_CORE + "us-core-race", "extension": [race]}, home,
                   {"url": US_CORE + "us-core-birthsex", "valueCode": "%(letter)s"}],
        identifier=[{"system": "https://hospital.example/id", "value": "%(id)s"},
                    {"type": number, "system": "https://hospital.example/mrn", "value": "%(mrn)s"}],
        name=[{"use": "official", "family": "%(family)s", "given": ["Ana"], "prefix": ["Sra."]}],
        telecom=[{"system": "phone", "value": "555-012-3456", "use": "home"}], gender="%(gender)s",
        birthDate="%(born)s", maritalStatus=_concept(TERMS + "v3-MaritalStatus", "M", "Married"),
        address=[{"line": ["Calle Mayor 1"], "city": "%(city)s", "postalCode": "%(postcode)s", "country": "ES"}],
        multipleBirthBoolean=False, **more,
    )


def _condition(**more: Any) -> dict[str, Any]:
    code = _concept(SNOMED, "%(code)s")
    code["coding"].append({"system": "http://hl7.org/fhir/sid/icd-10", "code": "%(site)s", "display": "A cancer"})
    morphology = _concept(ICDO, "%(morphology)s")
    form = {"url": MCODE + "mcode-histology-morphology-behavior", "valueCodeableConcept": morphology}
    return _resource(
        "Condition", MCODE + "mcode-primary-cancer-condition", extension=[form],
        clinicalStatus=_concept(TERMS + "condition-clinical", "%(status)s"),
        verificationStatus=_concept(TERMS + "condition-ver-status", "confirmed"),
        category=[_concept(TERMS + "condition-category", "encounter-diagnosis")], code=code,
        bodySite=[_concept(ICDO, "%(site)s")], **_of(), onsetDateTime="%(moment)s", recordedDate="%(moment)s",
        stage=[{"summary": _concept("http://cancerstaging.org", "%(stage)s"), "type": _concept(SNOMED, "260998006")}],
        **more,
    )


def _quantity(value: str, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def _observation(**more: Any) -> dict[str, Any]:
    return _resource(
        "Observation", US_CORE + "us-core-observation-lab", status="final",
        category=[_concept(TERMS + "observation-category", "laboratory")], code=_concept(LOINC, "%(code)s"), **_of(),
        effectiveDateTime="%(moment)s", issued="%(moment)s",
        performer=[{"reference": "Practitioner/%(performer)s", "display": "Dr. Example"}], **more,
    )


def _study(count: int) -> dict[str, Any]:
    def series(number: int) -> dict[str, Any]:
        kind = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.4"}
        uid = f"%(root)s.{number}"
        images = [{"uid": f"{uid}.{n}", "sopClass": kind, "number": n, "title": "Image"} for n in range(1, 6)]
        return {
            "uid": uid, "number": number, "modality": {"system": DCM, "code": "%(modality)s"},
            "numberOfInstances": "%(instances)s", "bodySite": {"system": SNOMED, "code": "%(site)s"},
            "started": "%(moment)s", "instance": images,
        }

    return _resource(
        "ImagingStudy", "http://hl7.org/fhir/StructureDefinition/ImagingStudy",
        identifier=[{"use": "official", "system": "urn:dicom:uid", "value": "urn:oid:%(root)s"}], status="available",
        **_of(), started="%(moment)s", modality=[{"system": DCM, "code": "%(modality)s"}],
        procedureCode=[_concept(SNOMED, "719178004")], numberOfSeries="%(count)s", numberOfInstances="%(instances)s",
        series=[series(number) for number in range(1, count + 1)],
    )


def _line(resource: dict[str, Any]) -> str:
    line = json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
    for name in NUMBERS:
        line = line.replace(f'"%({name})s"', f"%({name})s")
    return line + "\n"


PANEL = [
    {"code": _concept(LOINC, code), "valueQuantity": _quantity("%(number)s", "mm[Hg]")} for code in ("8462-4", "8480-6")
]
TEMPLATES = {
    "Patient": _line(_person()),
    "Patient/dead": _line(_person(deceasedDateTime="%(moment)s")),
    "Condition": _line(_condition()),
    "Condition/over": _line(_condition(abatementDateTime="%(end)s")),
    "Observation": _line(_observation(valueQuantity=_quantity("%(value)s", "%(unit)s"))),
    "Observation/panel": _line(_observation(component=PANEL)),
    **{f"ImagingStudy/{count}": _line(_study(count)) for count in range(1, 5)},
}
