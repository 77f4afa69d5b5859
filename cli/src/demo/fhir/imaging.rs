//! ImagingStudy: the studies that the DICOM files or the DICOM table of the hospital have.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Chart;
use super::coding::{DICOM, SNOMED, coding};
use crate::demo::imaging::{Series, Study};

impl Chart<'_> {
    /// A study as an ImagingStudy.
    pub(super) fn imaging_study(&mut self, patient: &Value, condition: &Value, study: &Study<'_>) {
        let modalities: BTreeSet<&str> = study.series.iter().map(|series| series.modality).collect();
        let instances: i64 = study.series.iter().map(|series| series.instances).sum();
        let body = json!({
            "identifier": [{ "system": "urn:dicom:uid", "value": format!("urn:oid:{}", study.uid) }],
            "status": "available",
            "modality": modalities.iter().map(|code| coding(DICOM, code)).collect::<Vec<_>>(),
            "subject": patient,
            "started": study.date.to_string(),
            "numberOfSeries": study.series.len(),
            "numberOfInstances": instances,
            "reasonReference": [condition],
            "series": study.series.iter().map(|series| self.series(study, series)).collect::<Vec<_>>(),
        });
        self.add("ImagingStudy", body);
    }

    fn series(&self, study: &Study<'_>, of: &Series<'_>) -> Value {
        let mut series = json!({
            "uid": of.uid,
            "number": of.number,
            "modality": coding(DICOM, of.modality),
            "description": of.protocol.name,
            "numberOfInstances": of.instances,
            "started": study.date.to_string(),
        });
        // A body site here is a coding, which words alone are not.
        let site = of.body_part.and_then(|term| self.author.population.body_part(term));
        if let Some(part) = site {
            series["bodySite"] = coding(SNOMED, &part.snomed);
        }
        if let Some(side) = of.laterality {
            series["laterality"] = coding(SNOMED, if side == "L" { "7771000" } else { "24028007" });
        }
        series
    }
}
