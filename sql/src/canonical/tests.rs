//! The laws of the canonical form, and examples of it.

use caim_ontology::Models;
use proptest::prelude::*;

use super::{canonical, to_sql};
use crate::canonical::is_never;
use crate::fixture::entropy::Entropy;
use crate::fixture::questions::Draw;
use crate::fixture::{bundled, catalogue, config, lowered, on_large_stack, world};
use crate::validate::validate;

/// `lower(plan(to_sql(q))) == q`, and the canonical form of a canonical form is itself.
fn laws_hold(bytes: &[u8], models: &std::sync::Arc<Models>) {
    let question = Draw { models, entropy: Entropy::new(bytes) }.question();
    assert_eq!(canonical(question.clone()), question, "idempotent");
    let encoded = serde_json::to_string(&question).unwrap();
    assert_eq!(serde_json::from_str::<crate::PrivateQuery>(&encoded).unwrap(), question, "travels as JSON");
    if validate(&question, models).is_err() {
        return; // More tables or conditions than one question may have.
    }
    let sql = to_sql(&question, models);
    let again = lowered(&sql, &catalogue(models)).unwrap_or_else(|e| panic!("{sql}\n{e}"));
    if is_never(&question.cohort) {
        assert!(again.queries.is_empty(), "nobody is asked what is never so: {sql}");
    } else {
        assert_eq!(again.queries, [question], "{sql}\n{}", to_sql(&again.queries[0], models));
    }
}

proptest! {
    #![proptest_config(config(2))]

    #[test]
    fn canonical_text_lowers_to_the_question_it_stands_for(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        on_large_stack(|| laws_hold(&bytes, &bundled()));
        on_large_stack(|| laws_hold(&bytes, &world()));
    }
}

/// Statements that are one question.
#[test]
fn rephrasings_are_one_question() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        let series = "SELECT p.sex, count(*) AS n FROM";
        let groups: &[&[&str]] = &[
            &[
                "SELECT count(*) FROM patient WHERE birth_year >= 1950",
                "SELECT count(*) FROM patient WHERE NOT birth_year < 1950",
                "SELECT count(1) FROM patient WHERE birth_year > 1949",
                "SELECT count(*) FROM patient WHERE 1 = 1 AND 1950 <= birth_year",
                "SELECT sum(1) FROM (SELECT birth_year AS b FROM patient) WHERE b BETWEEN 1950 AND 9999",
                "WITH c AS (SELECT * FROM patient WHERE birth_year IS NOT NULL) SELECT count(*) FROM c WHERE birth_year >= '1950'",
            ],
            &[
                &format!(
                    "{series} patient p JOIN imaging_study s ON p.patient_id = s.patient_id JOIN imaging_series e ON e.study_uid = s.study_uid GROUP BY p.sex"
                ),
                &format!(
                    "{series} imaging_series e JOIN imaging_study s USING (study_uid) JOIN patient p ON p.patient_id = e.patient_id GROUP BY p.sex"
                ),
                &format!(
                    "{series} imaging_study s JOIN patient p ON s.patient_id = p.patient_id JOIN imaging_series e ON s.study_uid = e.study_uid AND e.patient_id = p.patient_id GROUP BY p.sex"
                ),
                &format!(
                    "{series} imaging_series e, patient p, imaging_study s WHERE e.study_uid = s.study_uid AND s.patient_id = p.patient_id GROUP BY p.sex"
                ),
                &format!(
                    "{series} (SELECT study_uid AS u, patient_id AS i FROM imaging_series) e JOIN imaging_study s ON s.study_uid = e.u JOIN patient p ON p.patient_id = e.i GROUP BY 1"
                ),
            ],
            &[
                "SELECT count(DISTINCT patient_id) FROM patient p WHERE EXISTS (SELECT 1 FROM condition c WHERE c.patient_id = p.patient_id)",
                "SELECT count(DISTINCT patient_id) FROM patient WHERE patient_id IN (SELECT patient_id FROM condition)",
                "SELECT count(DISTINCT patient_id) FROM patient p LEFT SEMI JOIN condition c ON c.patient_id = p.patient_id",
                "SELECT count(DISTINCT p.patient_id) FROM patient p JOIN (SELECT DISTINCT patient_id FROM condition) c ON c.patient_id = p.patient_id",
            ],
            &[
                "SELECT count(*) FROM patient p WHERE NOT EXISTS (SELECT 1 FROM condition c WHERE c.patient_id = p.patient_id)",
                "SELECT count(*) FROM patient p LEFT ANTI JOIN condition c ON c.patient_id = p.patient_id",
                "SELECT count(*) FROM patient p LEFT JOIN condition c ON c.patient_id = p.patient_id WHERE c.patient_id IS NULL",
            ],
            &[
                "SELECT sex, zip3, count(*), sum(tumour_mm) FROM patient GROUP BY sex, zip3",
                "SELECT zip3, sum(tumour_mm), sex, count(*), count(1) FROM patient GROUP BY zip3, sex, zip3",
            ],
            &[
                "SELECT count(*) FROM patient WHERE sex IN ('f', 'm') AND NOT (smoker OR zip3 = '1')",
                "SELECT count(*) FROM patient WHERE (sex = 'm' OR sex = 'f' OR sex = 'm') AND zip3 <> '1' AND smoker = FALSE",
            ],
        ];
        for group in groups {
            let mut asked: Vec<_> = group
                .iter()
                .map(|sql| (lowered(sql, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{e}")).queries, sql))
                .collect();
            let first = asked.remove(0);
            for (queries, sql) in asked {
                assert_eq!(queries, first.0, "{sql}\nis not\n{}", first.1);
            }
        }
    });
}

/// Statements that are close to each other, but not one question.
#[test]
fn different_questions_stay_different() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        let one = |sql: &str| lowered(sql, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{e}")).queries;
        for (a, b) in [
            ("SELECT count(*) FROM patient", "SELECT count(sex) FROM patient"),
            (
                "SELECT count(*) FROM patient WHERE sex <> 'f'",
                "SELECT count(*) FROM patient WHERE sex IS DISTINCT FROM 'f'",
            ),
            (
                "SELECT count(*) FROM patient WHERE weight_kg < 70",
                "SELECT count(*) FROM patient WHERE weight_kg <= 70",
            ),
            (
                "SELECT count(*) FROM patient WHERE smoker IS NOT TRUE",
                "SELECT count(*) FROM patient WHERE NOT smoker",
            ),
            (
                "SELECT count(*) FROM patient p WHERE NOT EXISTS (SELECT 1 FROM condition c WHERE c.patient_id = p.patient_id AND c.concept_id = 1)",
                "SELECT count(*) FROM patient p WHERE EXISTS (SELECT 1 FROM condition c WHERE c.patient_id = p.patient_id AND c.concept_id <> 1)",
            ),
            (
                "SELECT count(*) FROM imaging_study s JOIN imaging_series e USING (study_uid)",
                "SELECT count(*) FROM imaging_study s JOIN imaging_series e USING (patient_id)",
            ),
        ] {
            assert_ne!(one(a), one(b), "{a}\n{b}");
        }
    });
}
