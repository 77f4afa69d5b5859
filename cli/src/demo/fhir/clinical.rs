//! Patient, Condition, Observation and Procedure.

use anyhow::Result;
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::Chart;
use super::coding::{AJCC, ICD_10, ICD_O_3, SNOMED, concept, hl7, mcode};
use crate::demo::person::{Graded, Person, Sex};
use crate::demo::population::Stage;
use crate::demo::records::{Coding, Finding, Records, Treatment, Value as Found};

/// SNOMED CT: clinical stage group.
const STAGE_GROUP: (&str, &str) = ("399537006", "TNM Clin Stage Group");
/// SNOMED CT: Gleason score.
const SCORE: &str = "Gleason score";

/// References that most resources have.
struct About<'a> {
    patient: &'a Value,
    condition: Value,
    date: NaiveDate,
}

impl Chart<'_> {
    /// The Patient: PatientID as medical record number, and a number of another kind.
    pub(super) fn patient(&mut self, person: &Person<'_>, records: &Records<'_>) -> Value {
        let gender = match records.sex {
            None => "unknown",
            Some(Sex::Female) => "female",
            Some(Sex::Male) => "male",
        };
        let identifier = |purpose: &str, kind: &str, system: &str, value: String| {
            json!({
                "type": hl7("v2-0203", kind), "use": purpose,
                "system": self.author.uri(system), "value": value,
            })
        };
        let insured = format!("{:010}", u64::from(person.number) * 7_919 + 1_000_003);
        let mut body = json!({
            "active": true,
            "identifier": [
                identifier("secondary", "SN", "insurance", insured),
                identifier("usual", "MR", "mrn", person.id()),
            ],
            "name": [{ "use": "official", "family": person.name.family, "given": [person.name.given] }],
            "gender": gender,
            "birthDate": person.birth.to_string(),
        });
        if let Some(death) = person.death {
            body["deceasedDateTime"] = json!(death.to_string());
        }
        self.add("Patient", body)
    }

    /// The Condition, and the Observations of its stage and grade.
    pub(super) fn condition(
        &mut self,
        patient: &Value,
        person: &Person<'_>,
        records: &Records<'_>,
    ) -> Result<Value> {
        let id = self.ids.uuid();
        let about =
            About { patient, condition: self.references.to("Condition", &id), date: person.diagnosis };
        let mut body = json!({
            "meta": mcode("primary-cancer-condition"),
            "extension": [{
                "url": "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-histology-morphology-behavior",
                "valueCodeableConcept": { "coding": [{ "system": ICD_O_3, "code": person.cancer.morphology }] },
            }],
            "clinicalStatus": hl7("condition-clinical", "active"),
            "verificationStatus": hl7("condition-ver-status", "confirmed"),
            "category": [hl7("condition-category", "problem-list-item")],
            "code": self.diagnosis(person, records.coding)?,
            "bodySite": [self.author.body_site(&person.cancer.site)],
            "subject": patient,
            "onsetDateTime": person.diagnosis.to_string(),
            "recordedDate": records.registered.to_string(),
        });
        if let Some(stage) = records.stage {
            let observed = self.stage(&about, stage);
            body["stage"] = json!([{
                "summary": summary(stage),
                "assessment": [observed],
                "type": concept(SNOMED, STAGE_GROUP.0, STAGE_GROUP.1),
            }]);
        }
        if let Some(grade) = records.grade {
            self.grade(&about, grade)?;
        }
        Ok(self.add_as("Condition", id, body))
    }

    fn diagnosis(&self, person: &Person<'_>, coding: Coding) -> Result<Value> {
        let cancer = person.cancer;
        let of = self.author.concepts.get(cancer.concept)?;
        let (snomed, icd10) =
            (super::coding::coding(of.system()?, &of.code), super::coding::coding(ICD_10, &cancer.icd10));
        Ok(match coding {
            Coding::Full => json!({ "coding": [snomed, icd10], "text": of.name }),
            Coding::Icd10Alone => json!({ "coding": [icd10], "text": of.name }),
            Coding::TextAlone => json!({ "text": format!("{} cancer", cancer.name) }),
        })
    }

    fn stage(&mut self, about: &About<'_>, stage: &Stage) -> Value {
        let body = json!({
            "meta": mcode("tnm-stage-group"),
            "status": "final",
            "code": concept(SNOMED, STAGE_GROUP.0, STAGE_GROUP.1),
            "subject": about.patient,
            "focus": [about.condition],
            "effectiveDateTime": about.date.to_string(),
            "valueCodeableConcept": summary(stage),
        });
        self.add("Observation", body)
    }

    fn grade(&mut self, about: &About<'_>, of: Graded<'_>) -> Result<Value> {
        let mut body = json!({
            "meta": mcode("histologic-grade"),
            "status": "final",
            "category": [hl7("observation-category", "laboratory")],
            "code": concept(SNOMED, &of.grading.snomed, &of.grading.label),
            "subject": about.patient,
            "focus": [about.condition],
            "effectiveDateTime": about.date.to_string(),
            "valueCodeableConcept": self.author.concept(of.grade.concept)?,
        });
        if let (Some(code), Some(score)) = (&of.grading.score, of.grade.score) {
            body["component"] = json!([{ "code": concept(SNOMED, code, SCORE), "valueInteger": score }]);
        }
        Ok(self.add("Observation", body))
    }

    /// The Observation of a marker, by its code or by the laboratory's own name alone.
    pub(super) fn finding(
        &mut self,
        patient: &Value,
        condition: &Value,
        finding: &Finding<'_>,
    ) -> Result<()> {
        let of = finding.of;
        let code = if finding.coded {
            self.author.concept(of.concept)?
        } else {
            concept(&self.author.uri("laboratory"), &of.source, &of.source)
        };
        let mut body = json!({
            "meta": mcode("tumor-marker-test"),
            "status": "final",
            "category": [hl7("observation-category", "laboratory")],
            "code": code,
            "subject": patient,
            "focus": [condition],
            "effectiveDateTime": finding.date.to_string(),
        });
        match finding.value {
            Found::Number(number) => body["valueQuantity"] = self.author.quantity(number, of.unit)?,
            Found::Concept(id) => body["valueCodeableConcept"] = self.author.concept(id)?,
        }
        self.add("Observation", body);
        Ok(())
    }

    /// A treatment as a Procedure.
    pub(super) fn procedure(
        &mut self,
        patient: &Value,
        condition: &Value,
        treatment: &Treatment<'_>,
    ) -> Result<()> {
        let body = json!({
            "status": "completed",
            "code": self.author.concept(treatment.of.concept)?,
            "subject": patient,
            "performedDateTime": treatment.date.to_string(),
            "reasonReference": [condition],
        });
        self.add("Procedure", body);
        Ok(())
    }
}

fn summary(stage: &Stage) -> Value {
    json!({
        "coding": [
            super::coding::coding(SNOMED, &stage.snomed),
            super::coding::coding(AJCC, &stage.roman),
        ],
        "text": format!("Stage {}", stage.roman),
    })
}
