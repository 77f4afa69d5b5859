//! One fault for each check, planted at the second patient; the first stays sound.

use caim_ontology::{Column, ColumnType, Models, Table};
use caim_warehouse::layout;
use serde_json::{Value, json};

use super::super::Checked;
use super::super::rules::Rules;
use super::super::tables::{CONCEPT, end_of};
use super::world::{ANY, NOT_STANDARD, Row, World};

/// A patient whom no table of persons has.
const STRANGER: u64 = 7;

/// The checks that are written out: table, and what its last row says then.
#[rustfmt::skip]
fn written() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("patient_birth_date_known", "eucaim.patient", json!({"patient_birth_date": null})),
        ("patient_birth_sex_known", "eucaim.patient", json!({"patient_birth_sex_original": null})),
        ("birth_date_plausible", "eucaim.patient", json!({"patient_birth_date": "1800-01-01"})),
        ("age_plausible", "eucaim.patient", json!({"patient_birth_date": "1860-01-01"})),
        ("birth_year_plausible", "omop.person", json!({"year_of_birth": 1799})),
        ("treatment_after_diagnosis", "eucaim.treatment", json!({"treatment_date": "2000-01-01"})),
        ("measurement_has_value", "omop.measurement", json!({"value_as_number": null, "value_as_concept_id": null})),
        ("measurement_has_unit", "omop.measurement", json!({"unit_concept_id": 0, "unit_source_value": null})),
        ("observation_has_unit", "fhir.observation", json!({"value_unit": null})),
        ("lab_test_has_unit", "eucaim.lab_test_result", json!({"lab_test_value_unit": null})),
        ("tumor_marker_has_unit", "eucaim.tumor_marker_test", json!({"tumor_marker_test_as_unit": null})),
        ("birth_years_agree", "dicom.study", json!({"patientbirthdate": "1970-01-01"})),
        ("sexes_agree", "dicom.study", json!({"patientsex": "F"})),
        ("imaged_patient_has_record", "dicom.study", json!({"_patient": STRANGER})),
        ("slice_thickness_plausible", "dicom.series", json!({"slicethickness": 30.0})),
        ("study_has_one_patient", "dicom.series", json!({"seriesinstanceuid": "2.25.9", "_patient": 0})),
        ("series_are_complete", "dicom.series", json!({"instancecount": 1})),
        ("slices_are_placed", "dicom.instance", json!({"imagepositionpatient": null})),
        ("no_names_in_pixels", "dicom.instance", json!({"burnedinannotation": "YES"})),
        ("series_has_one_modality", "dicom.instance", json!({"modality": "MR"})),
        ("instances_are_all_there", "dicom.instance", json!({"instancenumber": 9})),
        ("positions_are_not_repeated", "dicom.instance", json!({"imagepositionpatient": "-100\\-100\\0"})),
        ("spacing_is_one", "dicom.instance", json!({"pixelspacing": 0.5})),
        ("orientation_is_one", "dicom.instance", json!({"imageorientationpatient": "1\\0\\0\\0\\0\\-1"})),
        ("size_is_one", "dicom.instance", json!({"rows": 7})),
        ("frame_of_reference_is_one", "dicom.instance", json!({"frameofreferenceuid": "2.25.9"})),
        ("slices_have_no_gaps", "dicom.instance", json!({"imagepositionpatient": "-100\\-100\\50"})),
    ]
}

/// Plants the fault of a check.
pub(super) fn plant(world: &mut World, models: &Models, check: &Checked) {
    let Some(place) = check.name.strip_prefix(&check.class).and_then(|rest| rest.strip_prefix(':')) else {
        return plant_written(world, &check.name);
    };
    if check.class == "value_plausible" {
        return plant_result(world, place);
    }
    let mut names = place.splitn(3, '.');
    let (schema, table) = (names.next().unwrap(), names.next().unwrap());
    let table = models.table(schema, table).unwrap();
    let column = names.next().map(|name| table.column(name).unwrap());
    let rows = world.rows(&format!("{schema}.{}", table.name));
    if check.class == "key_unique" {
        let again = rows.last().unwrap().clone();
        rows.push(again);
        return;
    }
    let row = rows.last_mut().unwrap();
    match column {
        Some(column) => plant_value(row, table, column, &check.class),
        None => plant_row(row, table, &check.class),
    }
}

fn plant_written(world: &mut World, name: &str) {
    let written = written();
    let found = written.iter().find(|(known, ..)| *known == name);
    let Some((_, table, values)) = found else { panic!("no fault is planted for {name}") };
    let rows = world.rows(table);
    if name == "study_has_one_patient" {
        // Another series of the study, of the other patient.
        let again = rows.last().unwrap().clone();
        rows.push(again);
    }
    let row = rows.last_mut().unwrap();
    for (column, value) in values.as_object().unwrap() {
        assert!(row.insert(column.clone(), value.clone()).is_some(), "{table} has no column {column}");
    }
}

/// A result of the range beyond its end, of the second patient.
fn plant_result(world: &mut World, place: &str) {
    let (table, codes) = place.rsplit_once(':').unwrap();
    let code = codes.split('+').next().unwrap();
    let (key, number) = if table == "omop.measurement" {
        ("measurement_concept_id", "value_as_number")
    } else {
        ("code", "value_number")
    };
    let concepts = world.rows("omop.concept").clone();
    let concept = concepts.iter().find(|concept| concept["concept_code"] == code).unwrap();
    let wanted = if table == "omop.measurement" { concept["concept_id"].clone() } else { code.into() };
    let rows = world.rows(table);
    let row = rows.iter_mut().rfind(|row| row[key] == wanted).unwrap();
    row.insert(number.into(), 999.0.into());
}

fn plant_value(row: &mut Row, table: &Table, column: &Column, class: &str) {
    let (name, fault) = match class {
        "reference_resolves" if column.ty == ColumnType::Text => (&column.stored, "nowhere".into()),
        "reference_resolves" => (&column.stored, (-1).into()),
        "required_filled" => (&column.stored, Value::Null),
        "concept_known" => (&column.stored, 0.into()),
        "mapped" if column.stored.ends_with(CONCEPT) => (&column.stored, 0.into()),
        "mapped" => (&column.stored, Value::Null),
        "value_in_set" => (&column.stored, "ZZZ".into()),
        "value_within_bounds" if column.ty == ColumnType::Integer => {
            (&column.stored, (column.bounds().unwrap().hi as i64 + 1).into())
        }
        "value_within_bounds" => (&column.stored, (column.bounds().unwrap().hi + 1.0).into()),
        "concept_in_vocabulary" => (&column.stored, 999_999.into()),
        "concept_in_domain" => (&column.stored, ANY.into()),
        "concept_is_standard" => (&column.stored, NOT_STANDARD.into()),
        "concept_below_roots" => (&column.stored, "EUCAIM:NONE".into()),
        "ends_after_start" => {
            (&end_of(table, column, &Rules::bundled().unwrap()).unwrap().stored, "1900-01-01".into())
        }
        class => panic!("no fault is planted for columns of class {class}"),
    };
    row.insert(name.clone(), fault);
}

fn plant_row(row: &mut Row, table: &Table, class: &str) {
    let day = match class {
        "patient_known" => {
            row.insert(layout::PATIENT.into(), STRANGER.into());
            return;
        }
        "dated" => Value::Null,
        "not_in_future" => "2999-01-01".into(),
        "not_before_birth" => "1950-01-01".into(),
        "not_after_death" | "in_observation_period" => "2016-06-01".into(),
        class => panic!("no fault is planted for tables of class {class}"),
    };
    let days = table.stored_columns().filter(|c| c.ty == ColumnType::Date && !c.stored.contains("birth"));
    for column in days {
        row.insert(column.stored.clone(), day.clone());
    }
}
