//! Days between dates, and bins of numbers: every spelling is one question, and what comes near is refused with a rewrite.

use super::{check, refused};
use crate::fixture::{catalogue, lowered, on_large_stack, world};
use crate::refusal::Code;

const DAYS: &str = "date_diff('day', t0.diagnosis_date, t0.resolved_date)";
const FROM: &str = "FROM world.\"condition\" AS t0";

#[test]
fn days_between_two_dates_of_a_row_are_one_question_in_every_spelling() {
    for condition in [
        "date_diff('day', diagnosis_date, resolved_date) BETWEEN 0 AND 90",
        "datediff(day, diagnosis_date, resolved_date) BETWEEN 0 AND 90",
        "DATEDIFF('DAY', Diagnosis_Date, Resolved_Date) >= 0 AND datediff(dd, diagnosis_date, resolved_date) < 91",
        "timestampdiff(DAY, diagnosis_date, resolved_date) BETWEEN 0 AND 90",
        "date_diff(resolved_date, diagnosis_date, DAY) BETWEEN 0 AND 90",
        "datediff(resolved_date, diagnosis_date) BETWEEN 0 AND 90",
        "date_diff('day', resolved_date, diagnosis_date) BETWEEN -90 AND 0",
        "resolved_date - diagnosis_date BETWEEN 0 AND 90",
        "resolved_date - diagnosis_date >= 0 AND NOT resolved_date - diagnosis_date > 90",
        "90 >= resolved_date - diagnosis_date AND diagnosis_date <= resolved_date",
        "CAST(resolved_date - diagnosis_date AS DOUBLE) <= 90.0 AND resolved_date >= diagnosis_date",
        "resolved_date BETWEEN diagnosis_date AND diagnosis_date + INTERVAL '90' DAY",
        "resolved_date BETWEEN diagnosis_date AND diagnosis_date + INTERVAL '90 days'",
        "resolved_date BETWEEN diagnosis_date AND INTERVAL '12 weeks 6 days' + diagnosis_date",
        "resolved_date BETWEEN diagnosis_date AND diagnosis_date + 90",
        "diagnosis_date BETWEEN resolved_date - INTERVAL '90' DAY AND resolved_date",
        "resolved_date >= diagnosis_date AND resolved_date < diagnosis_date + INTERVAL '91' DAY",
        "CAST(resolved_date AS TIMESTAMP) >= diagnosis_date AND resolved_date - INTERVAL '90' DAY <= diagnosis_date",
        "resolved_date - (diagnosis_date + INTERVAL '30' DAY) BETWEEN -30 AND 60",
        "-(diagnosis_date - resolved_date) BETWEEN 0 AND 90",
    ] {
        let sql = format!("SELECT count(*) FROM condition WHERE {condition}");
        check(&[(&sql, &[&format!("SELECT count(*) {FROM} WHERE ({DAYS} >= 0 AND {DAYS} < 91)")])]);
    }
}

#[test]
fn two_dates_of_a_row_are_compared_as_days() {
    for (condition, expected) in [
        ("resolved_date >= diagnosis_date", format!("({DAYS} >= 0)")),
        ("resolved_date < diagnosis_date", format!("({DAYS} < 0)")),
        ("resolved_date - diagnosis_date <= 36525", format!("({DAYS} < 36526)")),
        ("diagnosis_date - resolved_date <= 36525", format!("({DAYS} >= -36525)")),
        ("resolved_date = diagnosis_date", format!("({DAYS} >= 0 AND {DAYS} < 1)")),
        ("resolved_date <> diagnosis_date", format!("({DAYS} < 0) OR ({DAYS} >= 1)")),
        ("date_diff('day', diagnosis_date, resolved_date) IN (7, 14)", {
            format!("({DAYS} >= 7 AND {DAYS} < 8) OR ({DAYS} >= 14 AND {DAYS} < 15)")
        }),
        (
            "resolved_date - diagnosis_date IS NULL",
            "t0.diagnosis_date IS NULL OR t0.resolved_date IS NULL".to_owned(),
        ),
        ("diagnosis_date IS NOT NULL AND resolved_date > diagnosis_date", format!("({DAYS} >= 1)")),
        ("diagnosis_date >= diagnosis_date", "t0.diagnosis_date IS NOT NULL".to_owned()),
        (
            "date_diff('day', DATE '2020-01-01', diagnosis_date) >= 31",
            "(t0.diagnosis_date >= DATE '2020-02-01')".to_owned(),
        ),
        (
            "diagnosis_date + INTERVAL '1' DAY < DATE '2020-01-02'",
            "(t0.diagnosis_date < DATE '2020-01-01')".to_owned(),
        ),
    ] {
        let sql = format!("SELECT count(*) FROM condition WHERE {condition}");
        check(&[(&sql, &[&format!("SELECT count(*) {FROM} WHERE {expected}")])]);
    }
    let nothing = "SELECT count(*) FROM condition WHERE diagnosis_date - resolved_date > 5 AND resolved_date > diagnosis_date";
    check(&[
        (nothing, &[]),
        ("SELECT count(*) FROM condition WHERE diagnosis_date > diagnosis_date", &[]),
        ("SELECT count(*) FROM condition WHERE diagnosis_date - resolved_date > NULL", &[]),
    ]);
}

#[test]
fn days_are_counted_across_tables_and_from_the_row_outside() {
    let joined = "SELECT count(*) FROM world.\"condition\" AS t0 JOIN world.imaging_study AS t1 ON t0.patient_id = t1.patient_id \
                  WHERE (date_diff('day', t0.diagnosis_date, t1.read_date) >= 0 AND date_diff('day', t0.diagnosis_date, t1.read_date) < 91)";
    let exists = "SELECT count(DISTINCT t0.patient_id) FROM world.\"condition\" AS t0 WHERE EXISTS (SELECT 1 FROM \
                  world.imaging_study AS e1_0 WHERE e1_0.patient_id = t0.patient_id AND e1_0.modality IN ('MR') AND \
                  (date_diff('day', e1_0.read_date, t0.diagnosis_date) >= -90 AND \
                  date_diff('day', e1_0.read_date, t0.diagnosis_date) < 1))";
    check(&[
        (
            "SELECT count(*) FROM imaging_study s JOIN condition c USING (patient_id) WHERE s.read_date - c.diagnosis_date BETWEEN 0 AND 90",
            &[joined],
        ),
        (
            "SELECT count(*) FROM condition c JOIN imaging_study s ON s.patient_id = c.patient_id AND s.read_date >= c.diagnosis_date \
             AND s.read_date <= c.diagnosis_date + INTERVAL '90' DAY",
            &[joined],
        ),
        (
            "SELECT count(*) FROM condition c JOIN imaging_study s ON s.patient_id = c.patient_id AND s.read_date = c.diagnosis_date",
            &[
                "SELECT count(*) FROM world.\"condition\" AS t0 JOIN world.imaging_study AS t1 ON t0.patient_id = t1.patient_id \
               WHERE (date_diff('day', t0.diagnosis_date, t1.read_date) >= 0 AND date_diff('day', t0.diagnosis_date, t1.read_date) < 1)",
            ],
        ),
        (
            "SELECT count(DISTINCT c.patient_id) FROM condition c WHERE EXISTS (SELECT 1 FROM imaging_study s WHERE \
             s.patient_id = c.patient_id AND s.modality = 'MR' AND s.read_date BETWEEN c.diagnosis_date AND c.diagnosis_date + INTERVAL '90' DAY)",
            &[exists],
        ),
        (
            "SELECT count(DISTINCT c.patient_id) FROM condition c WHERE EXISTS (SELECT 1 FROM imaging_study s WHERE \
             s.patient_id = c.patient_id AND s.modality = 'MR' AND date_diff('day', c.diagnosis_date, s.read_date) BETWEEN 0 AND 90)",
            &[exists],
        ),
        (
            "SELECT count(DISTINCT c.patient_id) FROM condition c LEFT SEMI JOIN imaging_study s ON s.patient_id = c.patient_id \
             AND s.modality = 'MR' AND datediff(day, c.diagnosis_date, s.read_date) BETWEEN 0 AND 90",
            &[exists],
        ),
    ]);
}

#[test]
fn days_that_are_summed_averaged_and_counted_are_numbers_of_the_row() {
    check(&[
        (
            "SELECT avg(date_diff('day', diagnosis_date, resolved_date)), sum(resolved_date - diagnosis_date) FROM condition",
            &[&format!("SELECT sum({DAYS}), avg({DAYS}) {FROM}")],
        ),
        (
            "SELECT avg(CASE WHEN icdo3_topography = 'C50' THEN resolved_date - diagnosis_date END) FROM condition",
            &[&format!("SELECT avg({DAYS}) FILTER (WHERE t0.icdo3_topography IN ('C50')) {FROM}")],
        ),
        (
            "SELECT count(resolved_date - diagnosis_date) FROM condition",
            &[&format!(
                "SELECT count(*) FILTER (WHERE t0.diagnosis_date IS NOT NULL AND t0.resolved_date IS NOT NULL) {FROM}"
            )],
        ),
    ]);
}

#[test]
fn bins_of_one_width_are_one_question_in_every_spelling() {
    let bins = "floor(t0.tumour_mm / 20) * 20";
    let expected = format!("SELECT {bins}, count(*) FROM world.patient AS t0 GROUP BY {bins}");
    for group in [
        "floor(tumour_mm / 20) * 20",
        "20 * floor(tumour_mm / 20)",
        "(tumour_mm / 20) * 20",
        "tumour_mm - tumour_mm % 20",
        "floor(tumour_mm / 20.0) * 20",
        "floor(CAST(tumour_mm AS DOUBLE) / 20) * 20",
        "CAST(floor(tumour_mm / 20) AS BIGINT) * 20",
        "CAST(floor(tumour_mm / 20) * 20 AS INT)",
    ] {
        check(&[(&format!("SELECT {group} AS g, count(*) FROM patient GROUP BY {group}"), &[&expected])]);
    }
    let of_days = format!("floor({DAYS} / 30) * 30");
    check(&[
        (
            "SELECT floor(date_diff('day', diagnosis_date, resolved_date) / 30) * 30 AS d, count(*) FROM condition GROUP BY 1",
            &[&format!("SELECT {of_days}, count(*) {FROM} GROUP BY {of_days}")],
        ),
        (
            "SELECT (resolved_date - diagnosis_date) / 30 * 30 AS d, count(*) FROM condition \
             WHERE resolved_date >= diagnosis_date GROUP BY 1",
            &[&format!("SELECT {of_days}, count(*) {FROM} WHERE ({DAYS} >= 0) GROUP BY {of_days}")],
        ),
        (
            "SELECT floor(weight_kg / 5) * 5, count(*) FROM patient GROUP BY 1",
            &[
                "SELECT floor(t0.weight_kg / 5.0) * 5.0, count(*) FROM world.patient AS t0 GROUP BY floor(t0.weight_kg / 5.0) * 5.0",
            ],
        ),
        (
            "SELECT count(DISTINCT birth_year / 10 * 10) FROM patient",
            &["SELECT DISTINCT floor(t0.birth_year / 10) * 10 FROM world.patient AS t0"],
        ),
    ]);
}

#[test]
fn a_case_over_ranges_of_a_number_is_bins_with_labels() {
    let three = "CASE WHEN t0.birth_year < 1950 THEN 'old' WHEN t0.birth_year < 1970 THEN 'middle' \
                 WHEN t0.birth_year >= 1970 THEN 'young' ELSE 'young' END";
    let grouped = |case: &str| format!("SELECT {case}, count(*) FROM world.patient AS t0 GROUP BY {case}");
    for (case, expected) in [
        (
            "CASE WHEN birth_year < 1950 THEN 'old' WHEN birth_year < 1970 THEN 'middle' ELSE 'young' END",
            three,
        ),
        (
            "CASE WHEN birth_year BETWEEN 1950 AND 1969 THEN 'middle' WHEN NOT birth_year >= 1970 THEN 'old' ELSE 'young' END",
            three,
        ),
        (
            "CASE WHEN birth_year >= 1970 OR birth_year IS NULL THEN 'young' WHEN birth_year >= 1950 THEN 'middle' ELSE 'old' END",
            three,
        ),
        (
            "CASE WHEN birth_year = 1950 THEN 1 WHEN birth_year > 1950 THEN 2 END",
            "CASE WHEN t0.birth_year < 1950 THEN NULL WHEN t0.birth_year < 1951 THEN 1 WHEN t0.birth_year >= 1951 THEN 2 END",
        ),
        (
            "CASE WHEN weight_kg <= 70 THEN TRUE ELSE FALSE END",
            "CASE WHEN t0.weight_kg <= 70.0 THEN TRUE WHEN t0.weight_kg > 70.0 THEN FALSE ELSE FALSE END",
        ),
        // Years before 1900 are beyond the public bounds.
        (
            "CASE WHEN birth_year < 1800 THEN 'none' WHEN birth_year < 1950 THEN 'it''s old' END",
            "CASE WHEN t0.birth_year < 1950 THEN 'it''s old' WHEN t0.birth_year >= 1950 THEN NULL END",
        ),
    ] {
        let sql = format!("SELECT {case} AS g, count(*) FROM patient GROUP BY 1");
        check(&[(&sql, &[&grouped(expected)])]);
    }
    let days = format!(
        "CASE WHEN {DAYS} < 0 THEN 'before' WHEN {DAYS} < 91 THEN 'soon' WHEN {DAYS} >= 91 THEN 'late' ELSE '?' END"
    );
    let sql = "SELECT CASE WHEN resolved_date - diagnosis_date IS NULL THEN '?' WHEN resolved_date < diagnosis_date THEN 'before' \
               WHEN date_diff('day', diagnosis_date, resolved_date) <= 90 THEN 'soon' ELSE 'late' END AS g, count(*) FROM condition GROUP BY g";
    check(&[(sql, &[&format!("SELECT {days}, count(*) {FROM} GROUP BY {days}")])]);
}

#[test]
fn what_comes_near_to_days_and_bins_is_refused_with_a_rewrite() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        for (sql, code, rewrite) in [
            (
                "FROM condition WHERE resolved_date <= diagnosis_date + INTERVAL '3 months'",
                Code::Grid,
                "INTERVAL '91' DAY",
            ),
            (
                "FROM condition WHERE resolved_date <= diagnosis_date + INTERVAL '36 hours'",
                Code::Grid,
                "INTERVAL '1' DAY",
            ),
            (
                "FROM condition WHERE date_diff('month', diagnosis_date, resolved_date) < 3",
                Code::Unsupported,
                "date_diff('day'",
            ),
            (
                "FROM condition WHERE datediff(year, diagnosis_date, resolved_date) < 3",
                Code::Unsupported,
                "date_diff('day'",
            ),
            ("FROM condition WHERE date_diff('day', diagnosis_date) < 3", Code::Invalid, ""),
            (
                "FROM condition WHERE timestampdiff(diagnosis_date, resolved_date) < 3",
                Code::Invalid,
                "date_diff('day'",
            ),
            ("FROM condition WHERE resolved_date - diagnosis_date < 40000", Code::Grid, "36525"),
            (
                "FROM condition WHERE resolved_date - diagnosis_date <= INTERVAL '90' DAY",
                Code::Invalid,
                "b - a <= 90",
            ),
            ("FROM imaging_study WHERE archive_date <= read_date", Code::Grid, "first days"),
            (
                "FROM imaging_study WHERE date_diff('day', archive_date, read_date) > 9",
                Code::Grid,
                "first days",
            ),
            (
                "FROM condition c WHERE EXISTS (SELECT 1 FROM imaging_study s WHERE s.patient_id = c.patient_id AND c.resolved_date > c.diagnosis_date)",
                Code::ExpressionNotAllowed,
                "beside EXISTS",
            ),
        ] {
            let sql = format!("SELECT count(*) {sql}");
            let refusal = lowered(&sql, &catalogue).unwrap_err();
            assert_eq!(refusal.code, code, "{sql}\n{refusal}");
            assert!(refusal.rewrite.contains(rewrite), "{sql}\n{refusal}");
        }
        for (group, code, rewrite) in [
            ("floor(birth_year / 10)", Code::ExpressionNotAllowed, "floor(x / 10) * 10"),
            ("(resolved_date - diagnosis_date) / 30 * 30", Code::ExpressionNotAllowed, "floor(x / 30) * 30"),
            ("floor(weight_kg / 7) * 7", Code::Grid, "10"),
            ("floor(tumour_mm / 2.5) * 2.5", Code::Grid, "whole width"),
            ("floor(birth_year / 1) * 1", Code::TooComplex, "wider bins"),
            ("CASE WHEN weight_kg < 71 THEN 'a' ELSE 'b' END", Code::Grid, "70"),
            ("CASE WHEN birth_year < 1950 THEN 'a' ELSE 'a' END", Code::ExpressionNotAllowed, "two ranges"),
        ] {
            let sql = format!(
                "SELECT {group} AS g, count(*) FROM patient JOIN condition USING (patient_id) GROUP BY 1"
            );
            let refusal = lowered(&sql, &catalogue).unwrap_err();
            assert_eq!(refusal.code, code, "{sql}\n{refusal}");
            assert!(refusal.rewrite.contains(rewrite), "{sql}\n{refusal}");
        }
    });
}

#[test]
fn expressions_that_are_no_bins_stay_refused() {
    for group in [
        "floor(birth_year / 10) * 20",
        "birth_year / 10.0 * 10",
        "birth_year - tumour_mm % 10",
        "ceil(birth_year / 10) * 10",
        "CASE WHEN birth_year < 1950 THEN sex ELSE 'x' END",
        "CASE WHEN birth_year < 1950 AND tumour_mm < 10 THEN 'a' ELSE 'x' END",
        "CASE WHEN sex = 'f' THEN 'a' ELSE 'x' END",
    ] {
        let sql = format!("SELECT {group} AS g, count(*) FROM patient GROUP BY 1");
        on_large_stack(|| {
            let refusal = lowered(&sql, &catalogue(&world())).unwrap_err();
            let known = [Code::ExpressionNotAllowed, Code::FunctionNotAllowed, Code::ColumnNotAllowed];
            assert!(known.contains(&refusal.code), "{sql}\n{refusal}");
        });
    }
    refused(&[
        (
            "SELECT floor(length(patient_id) / 2) * 2 AS g, count(*) FROM patient GROUP BY 1",
            "identifier_in_expression",
        ),
        ("SELECT avg(read_date - archive_date) FROM imaging_study", "grid"),
        ("SELECT avg(diagnosis_date) FROM condition", "invalid"),
        ("SELECT count(DISTINCT resolved_date - diagnosis_date) FROM condition", "expression_in_aggregate"),
    ]);
}
