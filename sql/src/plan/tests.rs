//! Names, parameters and refusals of the planner.

use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_common::arrow::datatypes::{DataType, Field, Schema};

use crate::canonical::to_sql;
use crate::catalogue::{Catalogue, PublicTable};
use crate::fixture::{bundled, catalogue, lowered, on_large_stack, planned, world};
use crate::lower::{Settings, lower};
use crate::refusal::Code;

#[test]
fn a_column_is_found_in_any_spelling() {
    on_large_stack(|| {
        let models = bundled();
        let catalogue = catalogue(&models);
        let mut asked = Vec::new();
        for name in ["modality", "Modality", "MODALITY", "\"Modality\"", "\"modality\"", "S.\"MODALITY\""] {
            let sql = format!("SELECT {name}, count(DISTINCT PatientID) FROM DICOM.Series s GROUP BY {name}");
            let lowered = lowered(&sql, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{e}"));
            asked.push(lowered.queries);
        }
        asked.dedup();
        assert_eq!(asked.len(), 1);
        let sql = "SELECT * FROM caim.dicom.study LIMIT 0";
        assert_eq!(planned(sql, &catalogue).unwrap().output.get(1).map(String::as_str), Some("PatientID"));
    });
}

#[test]
fn a_cube_changes_the_meaning_of_no_other_name_and_its_columns_are_spelled_as_published() {
    on_large_stack(|| {
        let cube = |name: &str| PublicTable {
            schema: "cube".into(),
            name: name.into(),
            comment: String::new(),
            arrow: Arc::new(Schema::new(vec![
                Field::new("Kind", DataType::Utf8, true),
                Field::new("N_lower", DataType::Float64, true),
            ])),
        };
        let catalogue = Catalogue::new(bundled(), vec![cube("series"), cube("patient"), cube("own")]);
        assert!(lowered("SELECT count(DISTINCT PatientID) FROM series", &catalogue).is_ok());
        assert!(lowered("SELECT count(DISTINCT patient_id) FROM patient", &catalogue).is_ok());
        for sql in [
            "SELECT * FROM own",
            "SELECT * FROM cube.series",
            "SELECT s.* FROM (SELECT * FROM cube.own) AS s",
        ] {
            let lowered = lowered(sql, &catalogue).unwrap();
            assert!(lowered.queries.is_empty(), "{sql} asks no node");
            assert_eq!(lowered.output, ["Kind", "N_lower"], "{sql}");
        }
        assert!(lowered("SELECT kind FROM cube.own WHERE n_LOWER > 1", &catalogue).is_ok());
    });
}

#[test]
fn a_table_without_schema_is_the_only_one_of_its_name() {
    on_large_stack(|| {
        let catalogue = catalogue(&bundled());
        assert!(lowered("SELECT count(*) FROM series", &catalogue).is_ok());
        assert!(lowered("SELECT * FROM node", &catalogue).is_ok());
        for (sql, named) in [
            ("SELECT 1 FROM serie", "dicom.series"),
            ("SELECT 1 FROM dicom.serie", "dicom.series"),
            ("SELECT 1 FROM dicm.series", "dicom.series"),
            ("SELECT 1 FROM other.dicom.series", "dicom.series"),
            ("SELECT Modalit FROM series", "modality"),
            ("SELECT cout(1)", "count"),
        ] {
            let refusal = planned(sql, &catalogue).unwrap_err();
            assert_eq!(refusal.code, Code::UnknownName, "{sql}");
            assert!(refusal.rewrite.contains(named), "{sql}: {refusal}");
        }
    });
}

#[test]
fn an_unknown_name_never_fills_a_status_message() {
    on_large_stack(|| {
        let catalogue = catalogue(&bundled());
        let long = "x".repeat(60_000);
        for sql in [
            format!("SELECT {long} FROM omop.person"),
            format!("SELECT 1 FROM {long}"),
            format!("SELECT {long}(1)"),
            format!("SELECT 1 FROM omop.person p JOIN omop.measurement m USING (person_id) WHERE {long} = 1"),
        ] {
            let text = planned(&sql, &catalogue).unwrap_err().to_string();
            assert!(text.len() <= 2048, "{} bytes", text.len());
        }
    });
}

#[test]
fn what_makes_no_sense_is_invalid_and_what_is_not_offered_is_unsupported() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        for (sql, code) in [
            ("SELECT sum(sex) FROM patient", Code::Invalid),
            ("SELECT sex, count(*) FROM patient", Code::Invalid),
            ("SELECT patient_id FROM patient p, condition c", Code::Invalid),
            ("SELECT count(*) FROM patient WHERE sum(1) > 2", Code::Invalid),
            ("SELECT a.x FROM (SELECT 1 AS x, 2 AS x) a", Code::Invalid),
            ("SELECT 1 UNION ALL SELECT 1, 2", Code::Invalid),
            ("SELECT * FROM patient PIVOT (count(*) FOR sex IN ('f'))", Code::Unsupported),
            ("SELECT count(*) FROM range(5)", Code::Unsupported),
            ("SELECT current_timestamp", Code::VolatileFunction),
            ("SELECT arrow_typeof(1)", Code::FunctionNotAllowed),
        ] {
            let refusal = planned(sql, &catalogue).expect_err(sql);
            assert_eq!(refusal.code, code, "{sql}: {refusal}");
        }
    });
}

#[test]
fn parameters_have_the_types_of_what_they_are_compared_with_and_take_values_by_position() {
    on_large_stack(|| {
        let models = world();
        let catalogue = catalogue(&models);
        let sql =
            "SELECT count(*) FROM patient WHERE sex = ? AND birth_year BETWEEN ? AND ? AND weight_kg < ?";
        let planned = planned(sql, &catalogue).unwrap();
        let parameters = planned.parameters();
        let types: Vec<_> =
            parameters.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
        assert_eq!(
            types,
            [
                ("$1", DataType::Utf8),
                ("$2", DataType::Int64),
                ("$3", DataType::Int64),
                ("$4", DataType::Float64)
            ]
        );
        let unbound = lower(&planned, &catalogue, &Settings::default()).unwrap_err();
        assert_eq!(unbound.code, Code::Invalid);
        let values = vec![
            ScalarValue::from("f"),
            ScalarValue::Int32(Some(1950)),
            ScalarValue::Int64(Some(1960)),
            ScalarValue::Int64(Some(70)),
        ];
        let bound = planned.bind(values).unwrap();
        assert!(bound.parameters().fields().is_empty());
        let lowered = lower(&bound, &catalogue, &Settings::default()).unwrap();
        assert_eq!(
            to_sql(&lowered.queries[0], &models),
            "SELECT count(*) FROM world.patient AS t0 WHERE t0.sex IN ('f') AND (t0.birth_year >= 1950 AND \
             t0.birth_year < 1961) AND (t0.weight_kg < 70.0)"
        );
    });
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        let two =
            planned("SELECT count(*) FROM patient WHERE sex = $1 OR birth_year = $2", &catalogue).unwrap();
        let text = || ScalarValue::from("x");
        for values in [vec![], vec![text()], vec![text(), text()], vec![text(), text(), text()]] {
            assert_eq!(two.bind(values).unwrap_err().code, Code::Invalid);
        }
        for sql in ["SELECT ?", "SELECT count(*) FROM patient WHERE sex = $2", "SELECT $60000"] {
            assert_eq!(planned(sql, &catalogue).unwrap_err().code, Code::Invalid, "{sql}");
        }
        assert!(planned("SELECT CAST(? AS BIGINT) + 1", &catalogue).is_ok());
    });
}

#[test]
fn functions_of_other_systems_ask_what_their_known_names_ask() {
    on_large_stack(|| {
        let catalogue = catalogue(&bundled());
        let questions = |sql: &str| lowered(sql, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{e}")).queries;
        for (theirs, ours) in [
            (
                "SELECT YEAR(StudyDate) AS y, COUNT_BIG(*) AS n FROM dicom.study GROUP BY YEAR(StudyDate)",
                "SELECT date_part('year', StudyDate) AS y, count(*) AS n FROM dicom.study GROUP BY 1",
            ),
            (
                "SELECT count_if(Modality = 'MR'), countif(Modality = 'CT') FROM dicom.series",
                "SELECT count(*) FILTER (WHERE Modality = 'MR'), count(*) FILTER (WHERE Modality = 'CT') \
                 FROM dicom.series",
            ),
            (
                "SELECT IIF(Modality = 'MR', 'magnet', 'other') AS kind, count(*) FROM dicom.series GROUP BY 1",
                "SELECT CASE WHEN Modality = 'MR' THEN 'magnet' ELSE 'other' END AS kind, count(*) \
                 FROM dicom.series GROUP BY 1",
            ),
            (
                "SELECT LEN(Modality) AS n, count(*) FROM dicom.series GROUP BY 1",
                "SELECT character_length(Modality) AS n, count(*) FROM dicom.series GROUP BY 1",
            ),
            (
                "SELECT count(*) FROM dicom.series WHERE ISNULL(Modality, 'OT') = 'OT'",
                "SELECT count(*) FROM dicom.series WHERE coalesce(Modality, 'OT') = 'OT'",
            ),
            (
                "SELECT count(*) FROM dicom.study WHERE StudyDate >= DATEFROMPARTS(2020, 2, 1)",
                "SELECT count(*) FROM dicom.study WHERE StudyDate >= DATE '2020-02-01'",
            ),
        ] {
            assert_eq!(questions(theirs), questions(ours), "{theirs}");
        }
        let sql = "SELECT YEAR(StudyDate), COUNT_BIG(*) FROM dicom.study GROUP BY YEAR(StudyDate)";
        assert_eq!(planned(sql, &catalogue).unwrap().output, ["YEAR(StudyDate)", "COUNT_BIG(*)"]);
    });
}
