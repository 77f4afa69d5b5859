//! What analysts write, and what becomes of it: questions at the gate, the remainder above it, rules that refuse.

use super::{check, refused};
use crate::canonical::to_sql;
use crate::fixture::{bundled, catalogue, lowered, on_large_stack, planned, world};
use crate::lower::{Settings, lower};
use crate::refusal::Code;

#[test]
fn comparisons_become_sets_and_ranges() {
    let count = "SELECT count(*) FROM world.patient AS t0 WHERE";
    for (condition, expected) in [
        ("birth_year <> 1950", "t0.birth_year NOT IN (1950)"),
        ("birth_year NOT BETWEEN 1950 AND 1960", "(t0.birth_year < 1950) OR (t0.birth_year >= 1961)"),
        ("birth_year = '1950' OR 1951 = birth_year", "t0.birth_year IN (1950, 1951)"),
        ("CAST(birth_year AS VARCHAR) = '1950'", "t0.birth_year IN (1950)"),
        ("CAST(birth_year AS DOUBLE) < 1950", "(t0.birth_year < 1950)"),
        ("birth_year < 1999 + 1", "(t0.birth_year < 2000)"),
        ("sex IN ('f', NULL)", "t0.sex IN ('f')"),
        ("sex IS DISTINCT FROM 'f'", "t0.sex NOT IN ('f') OR t0.sex IS NULL"),
        ("sex IS NOT DISTINCT FROM NULL", "t0.sex IS NULL"),
        ("(sex = 'f') IS TRUE", "t0.sex IN ('f')"),
        ("smoker", "t0.smoker IN (TRUE)"),
        ("NOT smoker", "t0.smoker IN (FALSE)"),
        ("smoker IS NOT TRUE", "t0.smoker IN (FALSE) OR t0.smoker IS NULL"),
        ("smoker IS UNKNOWN", "t0.smoker IS NULL"),
        ("weight_kg < 70 AND weight_kg >= 60", "(t0.weight_kg >= 60.0 AND t0.weight_kg < 70.0)"),
        ("weight_kg IN (70)", "(t0.weight_kg >= 70.0 AND t0.weight_kg <= 70.0)"),
        ("weight_kg >= 0 AND weight_kg <= 300", "t0.weight_kg IS NOT NULL"),
        ("tumour_mm BETWEEN 10 AND 19", "(t0.tumour_mm >= 10 AND t0.tumour_mm < 20)"),
        (
            "NOT (sex = 'f' AND (zip3 = '1' OR NOT smoker))",
            "(t0.zip3 NOT IN ('1') AND t0.smoker IN (TRUE)) OR t0.sex NOT IN ('f')",
        ),
        ("patient_id IS NOT NULL", "t0.patient_id IS NOT NULL"),
    ] {
        check(&[(
            &format!("SELECT count(*) FROM patient WHERE {condition}"),
            &[&format!("{count} {expected}")],
        )]);
    }
}

#[test]
fn dates_become_half_open_ranges_on_the_grid() {
    let count = "SELECT count(*) FROM world.imaging_study AS t0 WHERE";
    let year = "(t0.study_time >= DATE '2020-01-01' AND t0.study_time < DATE '2021-01-01')";
    for condition in [
        "study_time >= '2020-01-01' AND study_time < '2021-01-01'",
        "study_time BETWEEN DATE '2020-01-01' AND DATE '2020-12-31'",
        "study_time > DATE '2019-12-31' AND '2020-12-31'::date >= study_time",
        "EXTRACT(YEAR FROM study_time) = 2020",
        "date_part('year', study_time) IN (2020)",
        "EXTRACT(YEAR FROM study_time) > 2019 AND EXTRACT(YEAR FROM study_time) <= 2020",
        "study_time >= DATE '2021-01-01' - INTERVAL '1 year' AND study_time < TIMESTAMP '2021-01-01 00:00:00'",
        "CAST(study_time AS TIMESTAMP) >= TIMESTAMP '2020-01-01' AND study_time < make_date(2021, 1, 1)",
    ] {
        let sql = format!("SELECT count(*) FROM imaging_study WHERE {condition}");
        check(&[(&sql, &[&format!("{count} {year}")])]);
    }
}

#[test]
fn values_off_the_grid_name_the_nearest_points_on_it() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        for (condition, points) in [
            ("study_time > '2020-01-15'", ["2020-01-01", "2020-02-01"]),
            ("study_time = DATE '2020-05-01'", ["2020-05-01", "2020-06-01"]),
            ("archive_date < DATE '2020-05-01'", ["2020-01-01", "2021-01-01"]),
            ("dose_mgy < 0.35", [">= 0.3 ", "< 0.4"]),
            ("weight_kg < 71", [">= 70 ", "< 75"]),
        ] {
            let sql = format!("SELECT count(*) FROM imaging_study WHERE {condition}");
            let refusal = lowered(&sql, &catalogue).unwrap_err();
            assert_eq!(refusal.code, Code::Grid, "{sql}");
            assert!(points.iter().all(|p| refusal.rewrite.contains(p)), "{sql}: {}", refusal.rewrite);
        }
    });
}

#[test]
fn aggregates_become_measures_and_equal_ones_are_shared() {
    let from = "FROM world.patient AS t0";
    check(&[
        (
            "SELECT count(*), count(1), sum(1), count(sex), count(patient_id), count(DISTINCT patient_id) FROM patient",
            &[&format!(
                "SELECT count(DISTINCT t0.patient_id), count(*), count(*) FILTER (WHERE t0.patient_id IS NOT NULL), \
                 count(*) FILTER (WHERE t0.sex IS NOT NULL) {from}"
            )],
        ),
        (
            "SELECT avg(birth_year), avg(CAST(weight_kg AS DOUBLE)), sum(CAST(tumour_mm AS DOUBLE)) / 10 FROM patient",
            &[&format!("SELECT sum(t0.tumour_mm), avg(t0.birth_year), avg(t0.weight_kg) {from}")],
        ),
        (
            "SELECT count(CASE WHEN sex = 'f' THEN 1 END), sum(CASE WHEN sex = 'f' THEN 1 ELSE 0 END), \
             count(*) FILTER (WHERE sex = 'f'), sum(CASE sex WHEN 'f' THEN tumour_mm ELSE 0 END), \
             count(DISTINCT CASE WHEN sex = 'f' THEN patient_id END) FROM patient",
            &[&format!(
                "SELECT count(DISTINCT t0.patient_id) FILTER (WHERE t0.sex IN ('f')), \
                 count(*) FILTER (WHERE t0.sex IN ('f')), sum(t0.tumour_mm) FILTER (WHERE t0.sex IN ('f')) {from}"
            )],
        ),
        (
            "SELECT count(DISTINCT study_uid) FROM imaging_series",
            &["SELECT count(DISTINCT t0.study_uid) FROM world.imaging_series AS t0"],
        ),
    ]);
}

#[test]
fn a_filter_of_an_aggregate_looks_at_its_own_row() {
    let exists = |table: &str| format!("EXISTS (SELECT 1 FROM {table} e WHERE e.patient_id = p.patient_id)");
    for filter in [exists("condition"), format!("NOT {}", exists("imaging_study"))] {
        refused(&[
            (&format!("SELECT count(*) FILTER (WHERE {filter}) FROM patient p"), "unsupported"),
            (&format!("SELECT sum(CASE WHEN {filter} THEN 1 ELSE 0 END) FROM patient p"), "unsupported"),
        ]);
    }
}

#[test]
fn different_codes_are_counted_over_released_cells() {
    check(&[
        ("SELECT count(DISTINCT sex) FROM patient", &["SELECT DISTINCT t0.sex FROM world.patient AS t0"]),
        (
            "SELECT sex, count(DISTINCT zip3) FROM patient GROUP BY sex",
            &["SELECT DISTINCT t0.sex, t0.zip3 FROM world.patient AS t0"],
        ),
        (
            "SELECT sex, count(*), count(DISTINCT zip3) FILTER (WHERE smoker) FROM patient GROUP BY sex",
            &[
                "SELECT t0.sex, count(*) FROM world.patient AS t0 GROUP BY t0.sex",
                "SELECT DISTINCT t0.sex, t0.zip3 FROM world.patient AS t0 WHERE t0.smoker IN (TRUE)",
            ],
        ),
        (
            "SELECT count(DISTINCT EXTRACT(YEAR FROM study_time)) FROM imaging_study",
            &["SELECT DISTINCT EXTRACT(YEAR FROM t0.study_time) FROM world.imaging_study AS t0"],
        ),
    ]);
}

#[test]
fn the_hub_computes_on_released_values_whatever_stands_above() {
    let by_modality = "SELECT t0.modality, count(*) FROM world.imaging_study AS t0 GROUP BY t0.modality";
    let all = "SELECT count(*) FROM world.imaging_study AS t0";
    for (sql, expected) in [
        (
            "SELECT modality FROM imaging_study GROUP BY modality HAVING count(*) > 10 ORDER BY count(*) LIMIT 3",
            vec![by_modality],
        ),
        (
            "SELECT modality, round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS pct FROM imaging_study GROUP BY 1",
            vec![by_modality],
        ),
        (
            "SELECT modality, count(*) * 100.0 / (SELECT count(*) FROM imaging_study) FROM imaging_study GROUP BY 1",
            vec![by_modality, all],
        ),
        (
            "SELECT max(n), count(*) FROM (SELECT modality, count(*) AS n FROM imaging_study GROUP BY modality) t",
            vec![by_modality],
        ),
        (
            "WITH m AS (SELECT modality, count(*) AS n FROM imaging_study GROUP BY modality) SELECT a.modality FROM m a JOIN m b ON a.n < b.n",
            vec![by_modality],
        ),
        (
            "SELECT modality, count(*) FROM imaging_study GROUP BY 1 UNION ALL SELECT 'all', count(*) FROM imaging_study",
            vec![by_modality, all],
        ),
        (
            "SELECT CASE WHEN n > 5 THEN 'many' ELSE 'few' END FROM (SELECT modality, count(*) n FROM imaging_study GROUP BY modality)",
            vec![by_modality],
        ),
        ("SELECT node_id, (SELECT count(*) FROM imaging_study) FROM catalog.node", vec![all]),
        (
            "SELECT modality FROM imaging_study GROUP BY modality EXCEPT SELECT modality FROM imaging_study WHERE dose_mgy > 1 GROUP BY modality",
            vec![
                "SELECT DISTINCT t0.modality FROM world.imaging_study AS t0",
                "SELECT DISTINCT t0.modality FROM world.imaging_study AS t0 WHERE (t0.dose_mgy > 1.0)",
            ],
        ),
        (
            "SELECT count(*) FROM (SELECT DISTINCT modality FROM imaging_study)",
            vec!["SELECT DISTINCT t0.modality FROM world.imaging_study AS t0"],
        ),
    ] {
        check(&[(sql, &expected)]);
    }
}

#[test]
fn dates_are_grouped_by_their_parts() {
    let from = "FROM world.imaging_study AS t0";
    let (year, month) = ("EXTRACT(YEAR FROM t0.study_time)", "EXTRACT(MONTH FROM t0.study_time)");
    check(&[
        (
            "SELECT EXTRACT(YEAR FROM study_time) AS y, count(*) FROM imaging_study GROUP BY y",
            &[&format!("SELECT {year}, count(*) {from} GROUP BY {year}")],
        ),
        (
            "SELECT date_trunc('month', study_time), date_trunc('year', study_time), count(*) FROM imaging_study GROUP BY 1, 2",
            &[&format!("SELECT {year}, {month}, count(*) {from} GROUP BY {year}, {month}")],
        ),
    ]);
}

#[test]
fn the_remainder_has_the_columns_of_the_statement() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        for sql in [
            "SELECT p.sex, EXTRACT(YEAR FROM s.study_time) AS y, date_trunc('quarter', s.study_time) q, count(*) n, sum(p.tumour_mm), \
             avg(p.weight_kg), count(DISTINCT s.modality), count(DISTINCT s.study_uid) FROM patient p JOIN imaging_study s USING (patient_id) GROUP BY 1, 2, 3",
            "SELECT DISTINCT sex, 'x' AS k, birth_year + 0.0 AS b FROM (SELECT sex, birth_year FROM patient GROUP BY sex, birth_year)",
            "SELECT count(*), sum(tumour_mm), avg(weight_kg), count(DISTINCT sex) FROM patient WHERE sex = 'f' AND sex = 'm'",
            "SELECT sex, sum(tumour_mm) FROM patient WHERE NULL GROUP BY sex",
        ] {
            let planned = planned(sql, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{e}"));
            let lowered =
                lower(&planned, &catalogue, &Settings::default()).unwrap_or_else(|e| panic!("{sql}\n{e}"));
            let columns = |plan: &datafusion_expr::LogicalPlan| -> Vec<_> {
                let fields = plan.schema().iter();
                fields.map(|(q, f)| (q.cloned(), f.name().clone(), f.data_type().clone())).collect()
            };
            assert_eq!(columns(&lowered.remainder), columns(&planned.plan), "{sql}");
        }
    });
}

#[test]
fn probes_are_answered_without_asking_a_node() {
    for sql in [
        "SELECT 1",
        "SELECT * FROM imaging_study LIMIT 0",
        "SELECT * FROM imaging_study WHERE 1 = 0",
        "SELECT t.patient_id FROM (SELECT * FROM imaging_study) t WHERE FALSE ORDER BY 1",
        "SELECT sex, count(*) FROM patient GROUP BY sex LIMIT 0",
        "SELECT count(*), avg(weight_kg) FROM patient WHERE 1 = 0",
        "SELECT sex, count(*) FROM patient WHERE sex IN ('f') AND sex IN ('m') GROUP BY sex",
        "SELECT count(*) FROM patient WHERE sex = NULL",
        "SELECT count(DISTINCT sex) FILTER (WHERE FALSE) FROM patient",
        "SHOW TABLES",
        "SELECT * FROM node",
        "SELECT count(*) FROM information_schema.tables t JOIN catalog.node n ON t.table_name = n.node_id",
    ] {
        check(&[(sql, &[])]);
    }
}

#[test]
fn subqueries_and_joins_that_leave_the_closed_form_are_refused() {
    refused(&[
        (
            "SELECT count(*) FROM patient p LEFT JOIN condition c ON c.patient_id = p.patient_id WHERE c.icdo3_topography IS NULL",
            "join_not_in_graph",
        ),
        (
            "SELECT count(*) FROM patient p FULL JOIN condition c ON c.patient_id = p.patient_id",
            "join_not_in_graph",
        ),
        (
            "SELECT count(*) FROM condition c JOIN concept k ON c.concept_id = k.concept_id JOIN imaging_study s ON s.concept_id = k.concept_id",
            "join_not_in_graph",
        ),
        (
            "SELECT count(*) FROM condition c JOIN imaging_study s ON s.concept_id = c.concept_id",
            "join_not_in_graph",
        ),
        (
            "SELECT count(*) FROM imaging_study a JOIN imaging_study b ON a.scanner_id = b.scanner_id",
            "join_not_in_graph",
        ),
        (
            "SELECT count(*) FROM patient WHERE EXISTS (SELECT 1 FROM imaging_study WHERE modality = 'MR')",
            "join_not_in_graph",
        ),
        ("SELECT count(*) FROM patient NATURAL JOIN imaging_study", "join_not_in_graph"),
        (
            "SELECT count(*) FROM patient WHERE sex IN (SELECT modality FROM imaging_study)",
            "join_not_in_graph",
        ),
        ("SELECT count(*) FROM patient, catalog.node", "table_not_allowed"),
        ("SELECT count(*) FROM concept", "table_not_allowed"),
        ("SELECT count(*) FROM staff", "table_not_allowed"),
        (
            "SELECT count(*) FROM condition WHERE concept_id IN (SELECT concept_id FROM concept WHERE domain = 'x')",
            "table_not_allowed",
        ),
        ("SELECT sex FROM patient UNION ALL SELECT zip3 FROM patient", "set_operation"),
        ("SELECT count(*) FROM (SELECT sex FROM patient UNION SELECT zip3 FROM patient)", "set_operation"),
        ("SELECT sex FROM patient INTERSECT SELECT sex FROM patient", "set_operation"),
        ("SELECT rank() OVER (ORDER BY birth_year) FROM patient", "window"),
        ("SELECT count(*) FROM (SELECT row_number() OVER () AS r FROM patient) WHERE r = 1", "window"),
        ("SELECT DISTINCT patient_id FROM imaging_study", "identifier_grouped"),
        ("SELECT DISTINCT ON (sex) sex FROM patient ORDER BY sex", "unsupported"),
        ("SELECT 'x', count(*) FROM patient GROUP BY 'x'", "unsupported"),
        ("SELECT count(*) FROM patient WHERE birth_year < tumour_mm", "expression_not_allowed"),
        ("SELECT count(*) FROM patient WHERE sex LIKE 'f%'", "expression_not_allowed"),
        ("SELECT count(*) FROM patient WHERE (smoker AND sex = 'f') IS NOT TRUE", "expression_not_allowed"),
        ("SELECT count(*) FROM patient WHERE upper(sex) = 'F'", "function_not_allowed"),
        ("SELECT count(*) FROM patient WHERE patient_id LIKE 'P%'", "identifier_filter"),
        ("SELECT count(*) FROM patient WHERE patient_id IS DISTINCT FROM 'P1'", "identifier_filter"),
        ("SELECT count(*) FROM imaging_study WHERE study_time = 'abc'", "invalid"),
        ("SELECT count(*) FROM patient WHERE birth_year = 1 / 0", "invalid"),
        ("SELECT count(DISTINCT scanner_id) FROM imaging_study", "aggregate_not_allowed"),
        ("SELECT sum(DISTINCT weight_kg) FROM patient", "aggregate_not_allowed"),
        ("SELECT count(DISTINCT weight_kg) FROM patient", "column_not_allowed"),
        ("SELECT sum(concept_id) FROM condition", "column_not_allowed"),
        ("SELECT sum(CAST(weight_kg AS INT)) FROM patient", "expression_in_aggregate"),
        ("SELECT count(md5(patient_id)) FROM patient", "identifier_in_expression"),
        ("SELECT weight_kg, count(*) FROM patient GROUP BY 1", "column_not_allowed"),
        (
            "SELECT sex, zip3, birth_year, smoker, age_band, count(*) FROM patient GROUP BY 1, 2, 3, 4, 5",
            "too_complex",
        ),
    ]);
}

#[test]
fn nothing_is_substituted_without_bounds() {
    let mut sql = "SELECT birth_year AS a FROM patient".to_owned();
    for _ in 0..40 {
        sql = format!("SELECT a + a AS a FROM ({sql}) t");
    }
    refused(&[(&format!("SELECT sum(a) FROM ({sql}) t"), "too_complex")]);
}

#[test]
fn settings_travel_with_the_question_and_are_checked() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        let planned = planned("SELECT count(*) FROM patient", &catalogue).unwrap();
        let with = |noise, rows| {
            let settings = Settings { noise_sd_milli: noise, max_rows_per_patient: rows };
            lower(&planned, &catalogue, &settings).map_err(|e| e.code)
        };
        let lowered = with(Some(2_500), Some(3)).unwrap();
        assert_eq!(
            (lowered.queries[0].noise_sd_milli, lowered.queries[0].max_rows_per_patient),
            (Some(2_500), Some(3))
        );
        assert_eq!(with(Some(1_000), None).unwrap_err(), Code::NoiseOutOfRange);
        assert_eq!(with(None, Some(0)).unwrap_err(), Code::Setting);
    });
}

#[test]
fn questions_over_the_bundled_models_lower() {
    on_large_stack(|| {
        let models = bundled();
        let catalogue = catalogue(&models);
        for (sql, expected) in [
            (
                "SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY Modality",
                "SELECT t0.modality, count(DISTINCT t0.patient_id) FROM dicom.series AS t0 GROUP BY t0.modality",
            ),
            (
                "SELECT s.Modality, avg(t.PatientAge), sum(s.instanceCount) FROM dicom.series s JOIN dicom.study t \
                 ON s.StudyInstanceUID = t.StudyInstanceUID WHERE t.StudyDate >= DATE '2010-01-01' GROUP BY 1",
                "SELECT t0.modality, sum(t0.instancecount), avg(t1.patientage) FROM dicom.series AS t0 JOIN dicom.study AS t1 \
                 ON t0.studyinstanceuid = t1.studyinstanceuid WHERE (t1.studydate >= DATE '2010-01-01') GROUP BY t0.modality",
            ),
            (
                "SELECT c.concept_name, count(DISTINCT p.person_id) FROM omop.person p JOIN omop.concept c ON p.gender_concept_id = c.concept_id \
                 WHERE p.year_of_birth BETWEEN 1950 AND 1959 GROUP BY c.concept_name",
                "SELECT t0.concept_name, count(DISTINCT t1.patient_id) FROM omop.concept AS t0 JOIN omop.person AS t1 \
                 ON t0.concept_id = t1.gender_concept_id WHERE (t1.year_of_birth >= 1950 AND t1.year_of_birth < 1960) GROUP BY t0.concept_name",
            ),
            (
                "SELECT s.Modality, count(DISTINCT s.PatientID) FROM dicom.series s JOIN omop.person p ON s.patient_id = p.person_id \
                 WHERE EXISTS (SELECT 1 FROM omop.condition_occurrence o WHERE o.person_id = p.person_id AND o.condition_concept_id = 4112853) GROUP BY 1",
                "SELECT t0.modality, count(DISTINCT t0.patient_id) FROM dicom.series AS t0 JOIN omop.person AS t1 ON t0.patient_id = t1.patient_id \
                 WHERE EXISTS (SELECT 1 FROM omop.condition_occurrence AS e1_0 WHERE e1_0.patient_id = t0.patient_id AND \
                 e1_0.condition_concept_id IN (4112853)) GROUP BY t0.modality",
            ),
        ] {
            let lowered = lowered(sql, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{e}"));
            let asked: Vec<String> = lowered.queries.iter().map(|q| to_sql(q, &models)).collect();
            assert_eq!(asked, [expected], "{sql}");
        }
    });
}
