//! The common data model from several sources about the same people, against a truth made by hand.

use caim_connectors::{Quiet, Report, build};

use crate::fixture::Node;

const CONCEPT: &str = "\
concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code,valid_start_date,valid_end_date,invalid_reason
8507,MALE,Gender,Gender,Gender,S,M,19700101,20991231,
8532,FEMALE,Gender,Gender,Gender,S,F,19700101,20991231,
4163261,Malignant tumor of prostate,Condition,SNOMED,Clinical Finding,S,399068003,19700101,20991231,
320128,Essential hypertension,Condition,SNOMED,Clinical Finding,S,59621000,19700101,20991231,
";

const PERSON: &str = "\
person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,person_source_value
1,8507,1950,5,10,P1
2,8532,1960,,,P2
3,0,1970,2,29,P3
";

/// A cancer by its concept, one by its ICD-10 code, one that no concept covers, and no cancer at all.
const CONDITION: &str = "\
condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_source_value
10,1,4163261,2020-05-09,C61
20,2,0,2021-03-01,C50.9
30,3,0,2019-01-01,C80.9
31,3,320128,2018-01-01,I10
";

const DEATH: &str = "person_id,death_date,cause_source_value\n3,2019-06-01,C80.9\n";

const SERIES: &str = "\
PatientID,PatientSex,StudyInstanceUID,SeriesInstanceUID,StudyDate,Modality,BodyPartExamined,Manufacturer
P1,M,1.1,1.1.1,2020-06-08,MR,PROSTATE,SIEMENS
P1,M,1.1,1.1.2,2020-06-08,SEG,,SIEMENS
P2,F,1.2,1.2.1,2021-02-01,MG,BREAST,Unheard-of Imaging
P4,F,1.4,1.4.1,2022-01-01,CT,CHEST,SIEMENS
";

fn hospital() -> (Node, Report) {
    let node = Node::new();
    let files =
        [("CONCEPT", CONCEPT), ("PERSON", PERSON), ("CONDITION_OCCURRENCE", CONDITION), ("DEATH", DEATH)];
    for (name, text) in files {
        node.write(&format!("omop/{name}.csv"), text);
    }
    node.ingest(&node.source("omop"));
    let report = node.ingest(&node.write("series.csv", SERIES));
    (node, report)
}

/// What the program that reads a concept's code calls it.
pub(crate) fn labelled(cells: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let ontology = caim_ontology::Ontology::bundled();
    let named = |cell: String| match ontology.resolve(&cell, &[]) {
        Ok(concept) if cell.starts_with("EUCAIM:") => ontology.label(concept).to_owned(),
        _ => cell,
    };
    let mut cells: Vec<Vec<String>> =
        cells.into_iter().map(|row| row.into_iter().map(named).collect()).collect();
    cells.sort();
    cells
}

#[test]
fn patients_of_all_sources_meet_in_one_row_each() {
    let (node, _) = hospital();
    let columns =
        ["patient_birth_sex_original", "patient_birth_sex", "patient_birth_date", "patient_deceased"];
    assert_eq!(
        labelled(node.cells("eucaim.patient", &columns)),
        [
            ["-", "-", "-", "true"],
            ["F", "Female", "-", "-"],
            ["Gender:F", "Female", "1960-07-01", "-"],
            ["Gender:M", "Male", "1950-05-10", "-"],
        ]
    );
}

#[test]
fn cancers_have_their_concept_and_what_has_none_keeps_its_source_value() {
    let (node, report) = hospital();
    let columns = [
        "cancer_condition_code_original",
        "cancer_condition_code",
        "cancer_condition_age_at_diagnosis",
        "cancer_condition_asserted_date",
    ];
    assert_eq!(
        labelled(node.cells("eucaim.cancer_condition", &columns)),
        [
            ["C50.9", "Malignant neoplasm of breast", "60.0", "2021-03-01"],
            ["C80.9", "-", "-", "2019-01-01"],
            ["SNOMEDCT:399068003", "Malignant neoplasm of prostate", "69.0", "2020-05-09"],
        ]
    );
    let gap = |table: &str, column: &str| {
        let mut all = report.derived.coverage.iter();
        all.find(|c| c.table == table && c.column == column).map(|c| (c.mapped, c.unmapped)).unwrap()
    };
    assert_eq!(gap("eucaim.cancer_condition", "cancer_condition_code"), (2, 1));
    assert_eq!(gap("eucaim.image_series", "series_manufacturer"), (3, 1));
    assert_eq!(gap("eucaim.image_series", "series_modality"), (3, 1));
}

#[test]
fn images_are_coded_and_counted_from_the_first_diagnosis() {
    let (node, _) = hospital();
    let columns = ["series_uid", "series_modality", "series_body_side_code", "series_modality_original"];
    assert_eq!(
        labelled(node.cells("eucaim.image_series", &columns)),
        [
            ["1.1.1", "Magnetic resonance imaging", "Prostate", "MR"],
            ["1.1.2", "-", "-", "SEG"],
            ["1.2.1", "Mammography", "Breast structure", "MG"],
            ["1.4.1", "Computed tomography", "Chest", "CT"],
        ]
    );
    let columns = ["study_uid", "study_offset_from_diagnosis", "study_offset_unit"];
    assert_eq!(
        node.cells("eucaim.image_study", &columns),
        [["1.1", "30.0", "d"], ["1.2", "-28.0", "d"], ["1.4", "-", "-"]]
    );
}

#[test]
fn a_build_makes_the_same_rows_again_without_a_source() {
    let (node, _) = hospital();
    let tables =
        ["dicom.series", "dicom.study", "eucaim.patient", "eucaim.cancer_condition", "eucaim.image_series"];
    let keys = |node: &Node| tables.map(|table| node.keys(table));
    let (before, epoch) = (keys(&node), node.epoch());
    std::fs::remove_dir_all(node.source("omop")).unwrap();
    let report = build(&node.warehouse, &node.models, &node.secret, &Quiet).unwrap();
    assert_eq!((report.epoch, keys(&node)), (epoch, before), "one truth has one epoch");
    assert!(report.tables.iter().any(|table| table.name == "eucaim.patient" && table.kept == 4));
}

#[test]
fn what_a_source_loses_leaves_the_common_model_in_the_same_epoch() {
    let (node, _) = hospital();
    node.write("omop/CONDITION_OCCURRENCE.csv", CONDITION.lines().take(2).collect::<Vec<_>>().join("\n"));
    let report = node.ingest(&node.source("omop"));
    assert_eq!(node.count("eucaim.cancer_condition"), 1);
    assert_eq!(node.epoch(), report.epoch);
}

#[test]
fn other_patients_do_not_move_the_keys_of_derived_rows() {
    let (many, _) = hospital();
    let few = Node::new();
    let first = |text: &str| text.lines().take(2).collect::<Vec<_>>().join("\n");
    for (name, text) in
        [("PERSON", first(PERSON)), ("CONDITION_OCCURRENCE", first(CONDITION)), ("CONCEPT", CONCEPT.into())]
    {
        few.write(&format!("omop/{name}.csv"), text);
    }
    few.ingest(&few.source("omop"));
    few.ingest(&few.write("series.csv", SERIES.lines().take(3).collect::<Vec<_>>().join("\n")));
    for table in ["eucaim.patient", "eucaim.cancer_condition", "eucaim.image_series", "eucaim.image_study"] {
        let (few, many) = (few.keys(table), many.keys(table));
        assert!(!few.is_empty() && few.iter().all(|key| many.contains(key)), "{table}");
    }
}
