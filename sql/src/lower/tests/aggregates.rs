//! Variances and percentiles, grouping sets, and what stands beside a released measure.

use super::{check, refused};
use crate::fixture::{catalogue, lowered, on_large_stack, world};

const PATIENT: &str = "FROM world.patient AS t0";

#[test]
fn variances_and_deviations_of_one_number_are_one_question() {
    for (sql, of) in [
        ("SELECT var_samp(weight_kg) FROM patient", "var_samp"),
        ("SELECT var(weight_kg) FROM patient", "var_samp"),
        ("SELECT stddev(weight_kg) FROM patient", "var_samp"),
        ("SELECT stddev(weight_kg), var(weight_kg) AS variance FROM patient", "var_samp"),
        ("SELECT stddev_samp(weight_kg) FROM patient HAVING var_samp(weight_kg) > 1", "var_samp"),
        ("SELECT var_pop(weight_kg) FROM patient", "var_pop"),
        ("SELECT stddev_pop(weight_kg) FROM patient", "var_pop"),
    ] {
        check(&[(sql, &[&format!("SELECT {of}(t0.weight_kg) {PATIENT}")])]);
    }
}

#[test]
fn percentiles_are_one_question_in_every_spelling() {
    for sql in [
        "SELECT median(weight_kg) FROM patient",
        "SELECT approx_median(weight_kg) FROM patient",
        "SELECT percentile_cont(weight_kg, 0.5) FROM patient",
        "SELECT quantile_cont(weight_kg, 0.5) FROM patient",
        "SELECT approx_percentile_cont(weight_kg, 0.5) FROM patient",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY weight_kg) FROM patient",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY weight_kg DESC) FROM patient",
    ] {
        check(&[(sql, &[&format!("SELECT percentile_cont(t0.weight_kg, 0.5) {PATIENT}")])]);
    }
    let whole = "SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY tumour_mm) FROM patient";
    check(&[(whole, &[&format!("SELECT percentile_cont(t0.tumour_mm, 0.9) {PATIENT}")])]);
    refused(&[
        (
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY weight_kg * 2) FROM patient",
            "expression_in_aggregate",
        ),
        ("SELECT percentile_cont(weight_kg, 1.5) FROM patient", "invalid"),
        ("SELECT percentile_cont(weight_kg * 2, 0.5) FROM patient", "expression_in_aggregate"),
        ("SELECT median(DISTINCT weight_kg) FROM patient", "aggregate_not_allowed"),
        ("SELECT median(patient_id) FROM patient", "invalid"),
        ("SELECT max(weight_kg) FROM patient", "aggregate_not_allowed"),
    ]);
}

#[test]
fn each_grouping_set_is_a_question_of_its_own() {
    let by = |dims: &str| format!("SELECT {dims}, count(*) {PATIENT} GROUP BY {dims}");
    let none = format!("SELECT count(*) {PATIENT}");
    let (sex, age, both) = (by("t0.sex"), by("t0.age_band"), by("t0.age_band, t0.sex"));
    check(&[
        ("SELECT sex, count(*) FROM patient GROUP BY ROLLUP(sex)", &[&sex, &none]),
        (
            "SELECT sex, age_band, count(*) FROM patient GROUP BY CUBE(sex, age_band)",
            &[&none, &sex, &age, &both],
        ),
        ("SELECT sex, age_band, count(*) FROM patient GROUP BY sex, ROLLUP(age_band)", &[&sex, &both]),
        (
            "SELECT sex, age_band, grouping(sex), count(*) FROM patient GROUP BY GROUPING SETS ((sex), (age_band))",
            &[&sex, &age],
        ),
    ]);
    let wide = "SELECT count(*) FROM patient GROUP BY CUBE(sex, age_band, zip3, smoker, topography)";
    refused(&[(wide, "too_complex")]);
}

#[test]
fn the_columns_of_grouping_sets_and_of_bounds_are_those_of_the_statement() {
    for (sql, names) in [
        (
            "SELECT sex, count(*) AS n, lower(count(*)) AS low FROM patient GROUP BY ROLLUP(sex) HAVING upper(count(*)) > 9",
            vec!["sex", "n", "low"],
        ),
        (
            "SELECT n, status(n) AS s FROM (SELECT sex, count(*) AS n FROM patient GROUP BY sex) t",
            vec!["n", "s"],
        ),
        ("SELECT avg(weight_kg) AS w FROM patient ORDER BY error(avg(weight_kg))", vec!["w"]),
        ("SELECT lower(sex) AS s, count(*) AS n FROM patient GROUP BY sex ORDER BY lower(n)", vec!["s", "n"]),
        ("SELECT upper(count(*)) AS u FROM patient WHERE sex = 'a' AND sex = 'b'", vec!["u"]),
        (
            "SELECT sex, lower(stddev(weight_kg)) AS l FROM patient WHERE FALSE GROUP BY ROLLUP(sex)",
            vec!["sex", "l"],
        ),
    ] {
        let lowered = on_large_stack(move || {
            let models = world();
            lowered(sql, &catalogue(&models)).unwrap_or_else(|refusal| panic!("{sql}: {refusal}"))
        });
        let found: Vec<_> = lowered.remainder.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(found, names, "{sql}");
    }
}

#[test]
fn bounds_are_of_measures_by_themselves() {
    let born =
        "SELECT error(birth_year) FROM (SELECT birth_year, count(*) FROM patient GROUP BY birth_year) t";
    refused(&[
        ("SELECT lower(count(*) * 2) FROM patient", "invalid"),
        (born, "invalid"),
        ("SELECT status(1)", "invalid"),
    ]);
}
