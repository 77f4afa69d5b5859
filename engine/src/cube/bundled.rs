//! The cubes that come with the program, and those of an operator over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use caim_ontology::Models;
use caim_sql::catalogue::Catalogue;

use super::{Cube, CubeError, MAX_CUBES};

/// A file of a cube.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CubeFile {
    /// Name of the file without `.sql`: that of the cube.
    pub name: String,
    /// One grouped SELECT, with comments and `SET caim.noise_sd` before it; empty to publish no cube of this name.
    pub text: String,
}

const BUNDLED: [(&str, &str); 7] = [
    ("collection_modality_body_part", include_str!("../../cubes/collection_modality_body_part.sql")),
    (
        "collection_modality_body_part_series",
        include_str!("../../cubes/collection_modality_body_part_series.sql"),
    ),
    ("collection_sex_age", include_str!("../../cubes/collection_sex_age.sql")),
    ("diagnosis_sex_age", include_str!("../../cubes/diagnosis_sex_age.sql")),
    ("dicom_equipment", include_str!("../../cubes/dicom_equipment.sql")),
    ("modality_manufacturer_year", include_str!("../../cubes/modality_manufacturer_year.sql")),
    ("modality_manufacturer_year_series", include_str!("../../cubes/modality_manufacturer_year_series.sql")),
];

/// The cubes of a node, by name: those of the program, each replaced by the operator's of the same name.
///
/// # Errors
/// The first cube that cannot be published, with the reason.
pub fn all(own: &[CubeFile], models: &Arc<Models>) -> Result<Vec<Cube>, CubeError> {
    let mut texts: BTreeMap<&str, &str> = BUNDLED.into_iter().collect();
    texts.extend(own.iter().map(|file| (file.name.as_str(), file.text.as_str())));
    let catalogue = Catalogue::new(Arc::clone(models), Vec::new());
    let mut cubes = Vec::new();
    for (name, text) in texts {
        cubes.extend(Cube::read(name, text, &catalogue)?);
    }
    match cubes.get(MAX_CUBES) {
        None => Ok(cubes),
        Some(first) => {
            let reason = format!("it is one of more than {MAX_CUBES}; a node publishes no more");
            Err(CubeError { cube: first.name.clone(), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use caim_ontology::Models;

    use super::{BUNDLED, CubeFile, all};
    use crate::accounting::Accounting;
    use crate::policy::Policy;

    fn file(name: &str, text: &str) -> CubeFile {
        CubeFile { name: name.into(), text: text.into() }
    }

    #[test]
    fn the_bundled_cubes_cost_less_than_a_third_of_what_may_be_published() {
        let models = Arc::new(Models::bundled().unwrap());
        let cubes = all(&[], &models).unwrap();
        assert_eq!(cubes.len(), BUNDLED.len());
        let policy = Policy::default();
        let rho = |cube: &super::Cube| Accounting::new(&cube.query, &models, &policy).unwrap().rho;
        // Four patient counts at noise 3, two pairs of patients and rows at noise 6, one patient count at noise 4.
        let expected = 4.0 / 18.0 + 4.0 / 72.0 + 1.0 / 32.0;
        let total: f64 = cubes.iter().map(rho).sum();
        assert!((total - expected).abs() < 1e-9 && total < policy.publish_rho / 3.0, "{total}");
        assert!(cubes.iter().all(|cube| !cube.description.is_empty()));
    }

    #[test]
    fn an_operator_replaces_a_cube_and_switches_one_off() {
        let models = Arc::new(Models::bundled().unwrap());
        let own = [
            file("diagnosis_sex_age", "-- nothing here\n"),
            file(
                "modality_manufacturer_year",
                "SELECT modality, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY 1",
            ),
            file(
                "mine",
                "SELECT PatientSex AS sex, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY 1",
            ),
        ];
        let cubes = all(&own, &models).unwrap();
        let names: Vec<&str> = cubes.iter().map(|cube| cube.name.as_str()).collect();
        assert!(!names.contains(&"diagnosis_sex_age") && names.contains(&"mine"), "{names:?}");
        let replaced = cubes.iter().find(|cube| cube.name == "modality_manufacturer_year").unwrap();
        assert_eq!(replaced.query.dims.len(), 1);
    }
}
