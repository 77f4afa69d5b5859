//! The clinical tables from OMOP.

use std::collections::BTreeSet;

use caim_connectors::Report;

use super::shown;
use crate::fixture::{Node, real};

const CONCEPT: &str = "\
concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code,valid_start_date,valid_end_date,invalid_reason
4163261,Malignant tumor of prostate,Condition,SNOMED,Clinical Finding,S,399068003,19700101,20991231,
320128,Essential hypertension,Condition,SNOMED,Clinical Finding,S,59621000,19700101,20991231,
4278515,Biopsy of prostate,Procedure,SNOMED,Procedure,S,65575008,19700101,20991231,
4096783,Radical prostatectomy,Procedure,SNOMED,Procedure,S,26294005,19700101,20991231,
4141448,Teleradiotherapy procedure,Procedure,SNOMED,Procedure,S,33195004,19700101,20991231,
4273629,Chemotherapy,Procedure,SNOMED,Procedure,S,367336001,19700101,20991231,
1378382,paclitaxel,Drug,RxNorm,Ingredient,S,56946,19700101,20991231,
43012345,some injection of paclitaxel,Drug,RxNorm,Clinical Drug,S,7654321,19700101,20991231,
21601386,ANTINEOPLASTIC AND IMMUNOMODULATING AGENTS,Drug,ATC,ATC 1st,C,L,19700101,20991231,
1125315,acetaminophen,Drug,RxNorm,Ingredient,S,161,19700101,20991231,
3000963,Hemoglobin [Mass/volume] in Blood,Measurement,LOINC,Lab Test,S,718-7,19700101,20991231,
3013603,Prostate specific Ag [Mass/volume] in Serum or Plasma,Measurement,LOINC,Lab Test,S,2857-1,19700101,20991231,
3036277,Body height,Measurement,LOINC,Clinical Observation,S,8302-2,19700101,20991231,
36305384,ECOG Performance Status score,Measurement,LOINC,Clinical Observation,S,89247-1,19700101,20991231,
1635000,Some modifier,Measurement,Cancer Modifier,Dimension,S,XYZ,19700101,20991231,
8713,gram per deciliter,Unit,UCUM,Unit,S,g/dL,19700101,20991231,
32531,Treatment Regimen,Episode,Episode,Episode of Care,S,OMOP4822061,19700101,20991231,
";

const ANCESTOR: &str = "\
ancestor_concept_id,descendant_concept_id,min_levels_of_separation,max_levels_of_separation
43012345,43012345,0,0
1378382,43012345,2,2
21601386,43012345,5,5
1125315,1125315,0,0
";

const PERSON: &str = "\
person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,person_source_value
1,8507,1950,5,10,P1
2,8532,1960,,,P2
";

const CONDITION: &str = "\
condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_source_value
10,1,4163261,2020-05-09,C61
11,1,320128,2018-01-01,I10
12,2,0,2019-03-01,Z99.9
";

const PROCEDURE: &str = "\
procedure_occurrence_id,person_id,procedure_concept_id,procedure_date,procedure_end_date,procedure_source_value
100,1,4278515,2020-05-01,,
101,1,4096783,2020-06-08,,
102,1,4141448,2020-09-01,2020-10-10,
103,2,0,2021-01-01,,unheard-of
104,1,4273629,2020-11-01,,
";

const DRUG: &str = "\
drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_end_date,drug_source_value
101,1,1378382,2020-07-01,2020-07-31,
201,2,43012345,2021-02-01,,
202,1,1125315,2020-07-02,2020-07-09,
203,2,0,2021-02-02,,local code
";

const MEASUREMENT: &str = "\
measurement_id,person_id,measurement_concept_id,measurement_date,value_as_number,unit_concept_id,measurement_source_value
300,1,3000963,2020-05-19,13.5,8713,
301,1,3013603,2020-05-01,8.1,0,
302,1,3036277,2020-05-01,180,0,
303,1,36305384,2020-05-02,1,0,
304,2,0,2021-01-02,7,0,local test
305,1,1635000,2020-05-03,12,0,
";

const EPISODE: &str = "\
episode_id,person_id,episode_concept_id,episode_start_date,episode_end_date,episode_parent_id,episode_number,episode_source_value
400,1,32531,2020-06-08,2020-10-10,,1,
401,1,0,2020-07-01,,400,2,cycle
";

/// Events of a procedure, a drug, a diagnosis and a marker; and of a drug that is no treatment, of another patient's
/// procedure, of an episode that is not there.
const EVENT: &str = "\
episode_id,event_id,episode_event_field_concept_id
400,101,1147082
401,101,1147094
400,10,1147127
400,301,1147138
400,202,1147094
400,103,1147082
999,100,1147082
";

const FILES: [(&str, &str); 9] = [
    ("CONCEPT", CONCEPT),
    ("CONCEPT_ANCESTOR", ANCESTOR),
    ("PERSON", PERSON),
    ("CONDITION_OCCURRENCE", CONDITION),
    ("PROCEDURE_OCCURRENCE", PROCEDURE),
    ("DRUG_EXPOSURE", DRUG),
    ("MEASUREMENT", MEASUREMENT),
    ("EPISODE", EPISODE),
    ("EPISODE_EVENT", EVENT),
];

fn hospital() -> (Node, Report) {
    let node = Node::new();
    for (name, text) in FILES {
        node.write(&format!("omop/{name}.csv"), text);
    }
    let report = node.ingest(&node.source("omop"));
    (node, report)
}

/// Whether every value of one column is a value of another.
fn refers(node: &Node, from: (&str, &str), to: (&str, &str)) -> bool {
    let values = |(table, column): (&str, &str)| -> BTreeSet<String> {
        let cells = node.cells(&format!("eucaim.{table}"), &[column]);
        cells.into_iter().flatten().filter(|cell| cell != "-").collect()
    };
    let from = values(from);
    !from.is_empty() && from.is_subset(&values(to))
}

#[test]
fn every_procedure_is_there_with_its_concept_or_its_source_value() {
    let (node, _) = hospital();
    let columns =
        ["procedure_code", "procedure_code_original", "procedure_offset_from_diagnosis", "procedure_date"];
    assert_eq!(
        shown(&node, "procedure", &columns),
        [
            ["-", "unheard-of", "-", "2021-01-01"],
            ["Biopsy of prostate", "SNOMEDCT:65575008", "-8.0", "2020-05-01"],
            ["Chemotherapy", "SNOMEDCT:367336001", "176.0", "2020-11-01"],
            ["External beam radiation therapy procedure", "SNOMEDCT:33195004", "115.0", "2020-09-01"],
            ["Radical prostatectomy", "SNOMEDCT:26294005", "30.0", "2020-06-08"],
        ]
    );
}

#[test]
fn treatments_are_operations_radiotherapy_drugs_of_cancer_and_no_biopsy_or_painkiller() {
    let (node, _) = hospital();
    let columns = ["treatment_type", "treatment_type_original", "treatment_date"];
    assert_eq!(
        shown(&node, "treatment", &columns),
        [
            ["Administration of medication", "RXNORM:56946", "2020-07-01"],
            ["Administration of medication", "RXNORM:7654321", "2021-02-01"],
            ["Chemotherapy", "SNOMEDCT:367336001", "2020-11-01"],
            ["Radiotherapy", "SNOMEDCT:33195004", "2020-09-01"],
            ["Surgical procedure", "SNOMEDCT:26294005", "2020-06-08"],
        ]
    );
    let columns =
        ["surgical_procedure_code", "surgical_procedure_date", "surgical_procedure_offset_from_diagnosis"];
    let operations = shown(&node, "surgical_procedure", &columns);
    assert_eq!(operations, [["Radical prostatectomy", "2020-06-08", "30"]]);
    let columns = [
        "radiotherapy_modality",
        "radiotherapy_technique",
        "radiotherapy_start_date",
        "radiotherapy_end_date",
        "radiotherapy_offset_from_diagnosis",
    ];
    let external = "External beam radiation therapy procedure";
    assert_eq!(
        shown(&node, "radiotherapy", &columns),
        [[external, external, "2020-09-01", "2020-10-10", "115"]]
    );
    for table in ["surgical_procedure", "radiotherapy", "medication_administration"] {
        assert!(refers(&node, (table, "treatment_id"), ("treatment", "treatment_id")), "{table}");
    }
    let keys = node.cells("eucaim.treatment", &["treatment_id"]);
    let distinct: BTreeSet<_> = keys.iter().collect();
    assert_eq!(
        (keys.len(), distinct.len()),
        (5, 5),
        "a drug and a procedure of one number are two treatments"
    );
}

#[test]
fn a_drug_has_the_concept_of_its_nearest_ingredient_or_class() {
    let (node, _) = hospital();
    let columns = [
        "medication_code",
        "medication_code_original",
        "medication_start_date",
        "medication_end_date",
        "medication_effective_period",
        "medication_offset_from_diagnosis",
    ];
    assert_eq!(
        shown(&node, "medication_administration", &columns),
        [
            ["Paclitaxel", "RXNORM:56946", "2020-07-01", "2020-07-31", "30.0", "53"],
            ["Paclitaxel", "RXNORM:7654321", "2021-02-01", "-", "-", "-"],
        ]
    );
}

#[test]
fn laboratory_tests_are_the_measurements_that_no_other_table_takes() {
    let (node, _) = hospital();
    let columns = [
        "lab_test_code",
        "lab_test_code_original",
        "lab_test_value_as_number",
        "lab_test_value_unit",
        "lab_test_offset_from_diagnosis",
    ];
    assert_eq!(
        shown(&node, "lab_test_result", &columns),
        [
            ["-", "local test", "7.0", "-", "-"],
            ["Hemoglobin [Mass/volume] in Blood", "LOINC:718-7", "13.5", "g/dL", "10"],
        ]
    );
    assert_eq!(node.cells("eucaim.tumor_marker_test", &["tumor_marker_test_as_number"]), [["8.1"]]);
    let columns = ["assessment_code", "assesment_value_as_number", "assessment_date"];
    let assessed = shown(&node, "health_status_assessment", &columns);
    assert_eq!(assessed, [["ECOG Performance Status score", "1.0", "2020-05-02"]]);
}

#[test]
fn conditions_that_are_no_cancers_are_the_history_of_their_patient() {
    let (node, _) = hospital();
    let columns = ["medical_history_code_original", "medical_history_onset_age", "medical_history_date"];
    assert_eq!(
        shown(&node, "medical_history", &columns),
        [["SNOMEDCT:59621000", "67.0", "2018-01-01"], ["Z99.9", "58.0", "2019-03-01"]]
    );
    assert_eq!(node.count("eucaim.cancer_condition"), 1);
}

#[test]
fn an_episode_has_the_records_that_are_its_patients_and_in_a_table() {
    let (node, _) = hospital();
    let columns = [
        "episode_type_code",
        "episode_type_code_original",
        "episode_number",
        "episode_offset_from_diagnosis",
    ];
    assert_eq!(
        shown(&node, "episode", &columns),
        [["-", "cycle", "2", "53.0"], ["Treatment", "Episode:OMOP4822061", "1", "30.0"]]
    );
    assert_eq!(
        node.cells("eucaim.episode_event", &["event_table_name", "event_date"]),
        [
            ["cancer_condition", "2020-05-09"],
            ["procedure", "2020-06-08"],
            ["treatment", "2020-07-01"],
            ["tumor_marker_test", "2020-05-01"],
        ]
    );
    assert!(refers(&node, ("episode_event", "episode_id"), ("episode", "episode_id")));
    assert!(refers(&node, ("episode", "episode_parent_id"), ("episode", "episode_id")));
}

#[test]
fn race_and_cause_of_death_come_from_the_source_that_knows_them() {
    let node = Node::new();
    let person = "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_source_value\n1,8507,1950,8527,x\n";
    node.write("omop/PERSON.csv", person);
    node.write("omop/DEATH.csv", "person_id,death_date,cause_source_value\n1,2019-06-01,C61\n");
    node.ingest(&node.source("omop"));
    let columns =
        ["patient_race", "patient_race_original", "patient_ethnicity_original", "patient_cause_of_death"];
    assert_eq!(
        shown(&node, "patient", &columns),
        [["White", "OMOP:8527", "x", "Malignant neoplasm of prostate"]]
    );
}

#[test]
fn what_has_no_concept_is_counted_column_by_column() {
    let (_, report) = hospital();
    let gap = |table: &str, column: &str| {
        let mut all = report.derived.coverage.iter();
        all.find(|c| c.table == table && c.column == column).map(|c| (c.mapped, c.unmapped)).unwrap()
    };
    assert_eq!(gap("eucaim.procedure", "procedure_code"), (4, 1));
    assert_eq!(gap("eucaim.lab_test_result", "lab_test_code"), (1, 1));
    assert_eq!(gap("eucaim.medical_history", "medical_history_code"), (0, 2));
    assert_eq!(gap("eucaim.treatment", "treatment_type"), (5, 0));
}

#[test]
fn other_patients_do_not_move_the_keys_of_clinical_rows() {
    let (many, _) = hospital();
    let few = Node::new();
    for (name, text) in FILES {
        let alone = |line: &&str| !["2", "103", "203"].contains(&line.split(',').next().unwrap());
        let of_first = |line: &&str| line.split(',').nth(1).is_none_or(|person| person != "2");
        let kept: Vec<&str> = text.lines().filter(|line| alone(line) && of_first(line)).collect();
        few.write(&format!("omop/{name}.csv"), kept.join("\n"));
    }
    few.ingest(&few.source("omop"));
    for table in [
        "procedure",
        "treatment",
        "surgical_procedure",
        "radiotherapy",
        "medication_administration",
        "lab_test_result",
        "medical_history",
        "health_status_assessment",
        "episode",
        "episode_event",
    ] {
        let keys = |node: &Node| node.keys(&format!("eucaim.{table}"));
        let (few, many) = (keys(&few), keys(&many));
        assert!(!few.is_empty() && few.iter().all(|key| many.contains(key)), "{table}");
    }
}

#[test]
fn of_a_synthetic_hospital_every_condition_procedure_and_laboratory_test_is_somewhere() {
    let Some(source) = real("omop/Synthea27Nj_5.4.zip") else { return };
    let node = Node::new();
    let report = node.ingest(&source);
    let count = |table: &str| node.count(table);
    assert_eq!(
        count("eucaim.cancer_condition") + count("eucaim.medical_history"),
        count("omop.condition_occurrence")
    );
    assert_eq!(count("eucaim.procedure"), count("omop.procedure_occurrence"));
    assert_eq!(count("eucaim.treatment"), 0, "none of its procedures and drugs treats a cancer");
    let lab = report.derived.coverage.iter().find(|c| c.column == "lab_test_code").unwrap();
    assert!(lab.mapped > 500, "{} of {}", lab.mapped, lab.unmapped);
    assert!(
        count("eucaim.lab_test_result") < count("omop.measurement"),
        "vital signs are no laboratory tests"
    );
}
