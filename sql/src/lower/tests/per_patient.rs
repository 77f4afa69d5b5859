//! Values per patient: inner aggregates, HAVING, and the first row of each patient.

use super::{check, refused};
use crate::canonical::{canonical, to_sql};
use crate::fixture::{catalogue, lowered, on_large_stack, world};
use crate::private_query::TableRef;
use crate::refusal::Code;
use crate::validate::validate;

const MANY: &str = "WITH v0 AS (SELECT t0.patient_id AS patient_id, count(*) AS n0 FROM world.imaging_study AS t0 \
                    WHERE t0.modality IN ('MR') GROUP BY t0.patient_id)";

#[test]
fn patients_with_two_studies_are_found_in_every_spelling() {
    let inner =
        "SELECT patient_id FROM imaging_study WHERE modality = 'MR' GROUP BY patient_id HAVING count(*) >= 2";
    let joined = format!(
        "{MANY} SELECT count(*) FROM v0 AS t0 JOIN world.patient AS t1 ON t0.patient_id = t1.patient_id WHERE (t0.n0 >= 2)"
    );
    let exists = format!(
        "{MANY} SELECT count(*) FROM world.patient AS t0 WHERE EXISTS (SELECT 1 FROM v0 AS e1_0 WHERE \
         e1_0.patient_id = t0.patient_id AND (e1_0.n0 >= 2))"
    );
    check(&[
        (
            &format!("SELECT count(*) FROM ({inner}) AS many"),
            &[&format!("{MANY} SELECT count(*) FROM v0 AS t0 WHERE (t0.n0 >= 2)")],
        ),
        (&format!("SELECT count(*) FROM patient JOIN ({inner}) AS many USING (patient_id)"), &[&joined]),
        (
            &format!(
                "WITH many AS ({inner}) SELECT count(*) FROM patient p, many WHERE p.patient_id = many.patient_id"
            ),
            &[&joined],
        ),
        (&format!("SELECT count(*) FROM patient WHERE patient_id IN ({inner})"), &[&exists]),
        (
            "SELECT count(*) FROM patient WHERE patient_id IN (SELECT patient_id FROM (SELECT patient_id, sum(CASE WHEN modality = 'MR' THEN 1 ELSE 0 END) AS n, max(dose_mgy) AS most FROM imaging_study WHERE modality IN ('MR') GROUP BY patient_id) t WHERE n > 1)",
            &[&exists.replace("count(*) AS n0", "count(*) FILTER (WHERE t0.modality IN ('MR')) AS n0")],
        ),
    ]);
}

#[test]
fn values_are_grouped_binned_averaged_and_compared_as_columns_are() {
    let v = "WITH v0 AS (SELECT t0.patient_id AS patient_id";
    let by = "GROUP BY t0.patient_id)";
    check(&[
        (
            "SELECT n, count(*) FROM (SELECT patient_id, count(*) AS n FROM imaging_study GROUP BY patient_id) t GROUP BY n",
            &[&format!(
                "{v}, count(*) AS n0 FROM world.imaging_study AS t0 {by} SELECT t0.n0, count(*) FROM v0 AS t0 GROUP BY t0.n0"
            )],
        ),
        (
            "SELECT avg(n), median(dose) FROM (SELECT patient_id, count(DISTINCT study_uid) AS n, sum(dose_mgy) AS dose FROM imaging_study GROUP BY patient_id) t",
            &[&format!(
                "{v}, count(DISTINCT t0.study_uid) AS n0, sum(t0.dose_mgy) AS n1 FROM world.imaging_study AS t0 {by} SELECT avg(t0.n0), percentile_cont(t0.n1, 0.5) FROM v0 AS t0"
            )],
        ),
        (
            "WITH first AS (SELECT patient_id, min(diagnosis_date) AS since FROM condition GROUP BY patient_id) SELECT count(DISTINCT s.patient_id) FROM first f JOIN imaging_study s ON s.patient_id = f.patient_id WHERE s.read_date - f.since BETWEEN 0 AND 30",
            &[&format!(
                "{v}, min(t0.diagnosis_date) AS n0 FROM world.\"condition\" AS t0 {by} SELECT count(DISTINCT t0.patient_id) FROM v0 AS t0 JOIN world.imaging_study AS t1 ON t0.patient_id = t1.patient_id WHERE (date_diff('day', t0.n0, t1.read_date) >= 0 AND date_diff('day', t0.n0, t1.read_date) < 31)"
            )],
        ),
        (
            "SELECT avg(n) FROM (SELECT study_uid, count(*) AS n FROM imaging_series GROUP BY study_uid) t JOIN imaging_study USING (study_uid) WHERE modality = 'CT'",
            &[
                "WITH v0 AS (SELECT t0.patient_id AS patient_id, t0.study_uid AS k0, count(*) AS n0 FROM world.imaging_series AS t0 GROUP BY t0.patient_id, t0.study_uid) SELECT avg(t0.n0) FROM v0 AS t0 JOIN world.imaging_study AS t1 ON t0.k0 = t1.study_uid WHERE t1.modality IN ('CT')",
            ],
        ),
    ]);
}

#[test]
fn a_patient_may_have_a_row_for_each_part_of_a_date_or_dimension() {
    check(&[(
        "WITH q AS (SELECT patient_id, extract(year FROM study_time) AS y, extract(quarter FROM study_time) AS qtr, \
         max(CASE WHEN modality = 'MR' THEN 1 ELSE 0 END) AS mr, bool_or(modality = 'PT') AS pt FROM imaging_study GROUP BY 1, 2, 3) \
         SELECT y, qtr, count(*) FROM q WHERE mr = 1 AND pt GROUP BY y, qtr",
        &[
            "WITH v0 AS (SELECT t0.patient_id AS patient_id, EXTRACT(YEAR FROM t0.study_time) AS k0, EXTRACT(QUARTER FROM t0.study_time) AS k1, \
           max(CASE WHEN t0.modality IN ('MR') THEN 1 ELSE 0 END) AS n0, max(CASE WHEN t0.modality IN ('PT') THEN 1 ELSE 0 END) AS n1 \
           FROM world.imaging_study AS t0 GROUP BY t0.patient_id, EXTRACT(YEAR FROM t0.study_time), EXTRACT(QUARTER FROM t0.study_time)) \
           SELECT t0.k0, t0.k1, count(*) FROM v0 AS t0 WHERE t0.n0 IN (1) AND t0.n1 IN (1) GROUP BY t0.k0, t0.k1",
        ],
    )]);
}

#[test]
fn the_first_row_of_a_patient_is_one_question_by_number_and_by_first_value() {
    let first = "WITH v0 AS (SELECT t0.patient_id AS patient_id, first_value(t0.icdo3_morphology ORDER BY \
                 t0.diagnosis_date ASC NULLS LAST) AS n0 FROM world.\"condition\" AS t0 GROUP BY t0.patient_id) \
                 SELECT t0.n0, count(*) FROM v0 AS t0 GROUP BY t0.n0";
    for sql in [
        "SELECT m, count(*) FROM (SELECT patient_id, icdo3_morphology AS m, row_number() OVER (PARTITION BY patient_id ORDER BY diagnosis_date) AS rn FROM condition) t WHERE rn = 1 GROUP BY m",
        "SELECT icdo3_morphology, count(*) FROM (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY diagnosis_date) AS rn FROM condition) t WHERE rn <= 1 GROUP BY 1",
        "WITH n AS (SELECT c.*, ROW_NUMBER() OVER (PARTITION BY c.patient_id ORDER BY c.diagnosis_date ASC) AS rn FROM condition c), first AS (SELECT * FROM n WHERE 1 = n.rn) SELECT icdo3_morphology, count(*) FROM first GROUP BY 1",
        "SELECT m, count(*) FROM (SELECT patient_id, first_value(icdo3_morphology ORDER BY diagnosis_date) AS m FROM condition GROUP BY patient_id) t GROUP BY m",
        "SELECT m, count(*) FROM (SELECT patient_id, last_value(icdo3_morphology ORDER BY diagnosis_date DESC NULLS FIRST) AS m, count(*) AS n FROM condition GROUP BY patient_id) t GROUP BY m",
    ] {
        check(&[(sql, &[first])]);
    }
}

#[test]
fn the_first_row_of_a_record_may_be_kept_above_a_join_and_told_apart_by_an_identifier() {
    check(&[(
        "WITH r AS (SELECT s.patient_id, e.body_part AS part, row_number() OVER (PARTITION BY s.study_uid ORDER BY \
         s.read_date DESC, e.series_uid) AS rn FROM imaging_study s JOIN imaging_series e ON e.study_uid = s.study_uid) \
         SELECT p.sex, r.part, count(*) FROM r JOIN patient p ON p.patient_id = r.patient_id WHERE r.rn = 1 GROUP BY 1, 2",
        &[
            "WITH v0 AS (SELECT t0.patient_id AS patient_id, t1.study_uid AS k0, first_value(t0.body_part ORDER BY \
           t1.read_date DESC NULLS LAST, t0.series_uid ASC NULLS LAST) AS n0 FROM world.imaging_series AS t0 JOIN \
           world.imaging_study AS t1 ON t0.study_uid = t1.study_uid GROUP BY t0.patient_id, t1.study_uid) \
           SELECT t0.n0, t1.sex, count(*) FROM v0 AS t0 JOIN world.patient AS t1 ON t0.patient_id = t1.patient_id \
           GROUP BY t0.n0, t1.sex",
        ],
    )]);
}

#[test]
fn values_per_patient_stand_on_others() {
    let sql = "WITH first AS (SELECT patient_id, min(diagnosis_date) AS since FROM condition GROUP BY patient_id), \
               after AS (SELECT s.patient_id, count(*) AS n FROM imaging_study s JOIN first f ON f.patient_id = s.patient_id \
               WHERE s.read_date >= f.since GROUP BY s.patient_id) \
               SELECT count(*) FROM after WHERE n >= 3";
    let expected = "WITH v0 AS (SELECT t0.patient_id AS patient_id, min(t0.diagnosis_date) AS n0 FROM \
                    world.\"condition\" AS t0 GROUP BY t0.patient_id), \
                    v1 AS (SELECT t0.patient_id AS patient_id, count(*) AS n0 FROM v0 AS t0 JOIN \
                    world.imaging_study AS t1 ON t0.patient_id = t1.patient_id WHERE (date_diff('day', t0.n0, t1.read_date) >= 0) \
                    GROUP BY t0.patient_id) SELECT count(*) FROM v1 AS t0 WHERE (t0.n0 >= 3)";
    check(&[(sql, &[expected])]);
}

#[test]
fn canonical_text_of_values_per_patient_lowers_to_itself() {
    on_large_stack(|| {
        let models = world();
        let catalogue = catalogue(&models);
        for sql in [
            "SELECT sex, avg(n) FROM patient JOIN (SELECT patient_id, count(*) AS n, min(read_date) AS d FROM imaging_study GROUP BY patient_id) t USING (patient_id) WHERE d >= DATE '2020-01-01' GROUP BY sex",
            "SELECT count(*) FROM (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY read_date DESC) AS rn FROM imaging_study) t WHERE rn = 1",
            "SELECT avg(a - 0) FROM (SELECT patient_id, max(tumour_mm) AS a FROM patient GROUP BY patient_id) t",
        ] {
            let Ok(first) = lowered(sql, &catalogue) else { continue };
            let text = to_sql(&first.queries[0], &models);
            let again = lowered(&text, &catalogue).unwrap_or_else(|r| panic!("{text}\n{r}"));
            assert_eq!(first.queries, again.queries, "{text}");
        }
    });
}

#[test]
fn what_would_show_or_mix_patients_is_refused() {
    refused(&[
        ("SELECT patient_id, count(*) FROM imaging_study GROUP BY patient_id", "identifier_grouped"),
        (
            "SELECT n FROM (SELECT patient_id, count(*) AS n FROM imaging_study GROUP BY patient_id) t",
            "identifier_grouped",
        ),
        (
            "SELECT count(*) FROM (SELECT patient_id, weight_kg, count(*) AS n FROM imaging_study GROUP BY patient_id, weight_kg) t",
            "identifier_grouped",
        ),
        (
            "SELECT count(*) FROM (SELECT scanner_id, count(*) AS n FROM imaging_study GROUP BY scanner_id) t",
            "identifier_grouped",
        ),
        (
            "SELECT max(n) FROM (SELECT patient_id, count(*) AS n FROM imaging_study GROUP BY patient_id) t",
            "aggregate_not_allowed",
        ),
        (
            "SELECT count(*) FROM (SELECT patient_id, array_agg(modality) AS n FROM imaging_study GROUP BY patient_id) t",
            "aggregate_not_allowed",
        ),
        (
            "SELECT count(*) FROM (SELECT *, row_number() OVER (ORDER BY read_date) AS rn FROM imaging_study) t WHERE rn = 1",
            "window",
        ),
        (
            "SELECT count(*) FROM (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY read_date) AS rn FROM imaging_study) t WHERE rn = 2",
            "window",
        ),
        (
            "SELECT count(*) FROM (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY birth_year) AS rn FROM patient) t WHERE rn = 1 AND note = 'x'",
            "column_not_allowed",
        ),
    ]);
}

#[test]
fn tables_that_stand_on_themselves_or_on_nothing_are_refused() {
    let sql =
        "SELECT count(*) FROM (SELECT patient_id, count(*) AS n FROM imaging_study GROUP BY patient_id) t";
    on_large_stack(|| {
        let models = world();
        let question = lowered(sql, &catalogue(&models)).unwrap().queries.remove(0);
        assert!(validate(&canonical(question.clone()), &models).is_ok());
        for position in [0, 1, 9] {
            let mut turned = question.clone();
            turned.per_patient[0].from.tables[0] = TableRef::per_patient(position);
            let refusal = validate(&canonical(turned), &models).unwrap_err();
            assert_eq!(refusal.code, Code::Malformed, "{position}: {refusal}");
        }
    });
}

#[test]
fn a_value_that_only_an_impossible_condition_names_is_not_asked_for() {
    let of = |values: &str, filter: &str| {
        format!(
            "SELECT count(*) FILTER (WHERE {filter}), count(*) FROM (SELECT patient_id, min(study_time) AS first{values} \
             FROM imaging_study GROUP BY patient_id) AS v WHERE first >= DATE '2020-01-01'"
        )
    };
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        let asked = |sql: &str| lowered(sql, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{e}")).queries;
        assert_eq!(
            asked(&of(", sum(dose_mgy) AS dose", "dose BETWEEN 5 AND 0.3")),
            asked(&of("", "1 = 0")),
            "one question has one form"
        );
    });
}

#[test]
fn joins_on_the_patient_have_one_form_whatever_order_their_tables_end_in() {
    let of = |first: &str, second: &str| {
        format!(
            "SELECT count(*) FROM ({first}) AS a JOIN ({second}) AS b ON a.patient_id = b.patient_id \
             JOIN patient AS p ON {{}}.patient_id = p.patient_id"
        )
    };
    let later =
        "SELECT patient_id, sum(dose_mgy) AS n FROM imaging_study WHERE modality = 'MR' GROUP BY patient_id";
    let sooner =
        "SELECT patient_id, count(*) AS n FROM imaging_study WHERE modality = 'CT' GROUP BY patient_id";
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        let mut asked = Vec::new();
        for (statement, side) in
            [(of(later, sooner), "a"), (of(later, sooner), "b"), (of(sooner, later), "a")]
        {
            let sql = statement.replace("{}", side);
            let question =
                lowered(&sql, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{e}")).queries.remove(0);
            let again = to_sql(&question, &world());
            assert_eq!(
                lowered(&again, &catalogue).unwrap().queries,
                std::slice::from_ref(&question),
                "{sql}\n{again}"
            );
            asked.push(question);
        }
        asked.dedup();
        assert_eq!(asked.len(), 1, "one question");
    });
}
