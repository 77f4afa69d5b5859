//! What lowers to what, and what is refused by which rule.

mod aggregates;
mod concepts;
mod nodes;
mod numbers;
mod per_patient;
mod random;
mod shapes;
mod texts;

use crate::canonical::to_sql;
use crate::fixture::{catalogue, lowered, on_large_stack, world};

/// Statements and the questions they lower to, in canonical SQL.
fn check(cases: &[(&str, &[&str])]) {
    on_large_stack(|| {
        let models = world();
        let catalogue = catalogue(&models);
        for (sql, expected) in cases {
            match lowered(sql, &catalogue) {
                Ok(lowered) => {
                    let asked: Vec<String> = lowered.queries.iter().map(|q| to_sql(q, &models)).collect();
                    assert_eq!(asked, *expected, "{sql}\n{}", lowered.remainder.display_indent());
                }
                Err(refusal) => panic!("{sql}\nwas refused: {refusal}"),
            }
        }
    });
}

/// Statements and the names of the codes that refuse them.
fn refused(cases: &[(&str, &str)]) {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        for (sql, code) in cases {
            match lowered(sql, &catalogue) {
                Ok(lowered) => {
                    panic!("{sql}\nshould be refused by {code}:\n{}", lowered.remainder.display_indent())
                }
                Err(refusal) => assert_eq!(refusal.code.name(), *code, "{sql}\n{refusal}"),
            }
        }
    });
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn known_attacks_are_refused_by_the_rule_that_stands_for_them() {
    refused(&[
        ("SELECT * FROM patient", "no_aggregate"),
        ("SELECT patient_id FROM patient LIMIT 1", "identifier_projected"),
        ("SELECT sex, birth_year FROM patient WHERE patient_id = 'P000017'", "identifier_filter"),
        ("SELECT patient_id, count(*) FROM imaging_study GROUP BY patient_id", "identifier_grouped"),
        ("SELECT study_uid, count(*) FROM imaging_series GROUP BY study_uid", "identifier_grouped"),
        (
            "SELECT count(*) FROM (SELECT patient_id FROM patient ORDER BY birth_year LIMIT 1) t",
            "limit_below_aggregate",
        ),
        (
            "SELECT count(*) FROM patient WHERE patient_id IN ('P1','P2','P3','P4','P5','P6','P7','P8','P9','P10','P11')",
            "identifier_filter",
        ),
        ("SELECT count(*) FROM patient WHERE patient_id < 'P000100'", "identifier_filter"),
        (
            "SELECT count(*) FROM patient p JOIN (VALUES ('P1'),('P2')) v(id) ON p.patient_id = v.id",
            "values_relation",
        ),
        (
            "SELECT count(*) FROM imaging_study WHERE substr(study_uid,1,20) = '1.2.840.113619.2.55'",
            "identifier_in_expression",
        ),
        ("SELECT count(*) FROM patient WHERE md5(patient_id) LIKE '00%'", "identifier_in_expression"),
        ("SELECT count(*) FROM imaging_study s WHERE file_row_index() = 5", "function_not_allowed"),
        ("SELECT input_file_name(), count(*) FROM imaging_study GROUP BY 1", "function_not_allowed"),
        (
            "SELECT coalesce(sum(1),0), coalesce(min(1),-1) FROM condition WHERE icdo3_topography='C38.0'",
            "aggregate_not_allowed",
        ),
        ("SELECT sex FROM patient GROUP BY sex HAVING max(birth_year)=2019", "aggregate_not_allowed"),
        (
            "SELECT count(*) FROM patient WHERE 1/(CASE WHEN patient_id='P17' THEN 0 ELSE 1 END)=1",
            "identifier_in_expression",
        ),
        ("SELECT count(*) FROM patient WHERE 1/(birth_year-1931)>=0", "expression_not_allowed"),
        ("SELECT count(*) FROM patient WHERE CAST(note AS INT) > 0", "column_not_allowed"),
        ("SELECT sum(power(10.0, birth_year-1700)) FROM patient", "expression_in_aggregate"),
        (
            "SELECT count(*) FROM patient WHERE (SELECT birth_year FROM patient WHERE zip3='461') = 1931",
            "scalar_subquery",
        ),
        (
            "SELECT count(*) FROM patient WHERE CASE WHEN birth_year=1931 THEN length(repeat('x',100000000))>0 ELSE true END",
            "function_not_allowed",
        ),
        ("EXPLAIN ANALYZE SELECT count(*) FROM condition WHERE icdo3_topography='C38.0'", "statement"),
        ("SELECT * FROM information_schema.df_settings", "statement"),
        ("SHOW ALL", "statement"),
        ("SET datafusion.explain.show_statistics = true", "statement"),
        (
            "SELECT count(*) FROM imaging_series WHERE manufacturer_free_text IS NOT NULL GROUP BY manufacturer_free_text",
            "column_not_allowed",
        ),
        ("SELECT min(birth_year), max(birth_year) FROM patient", "aggregate_not_allowed"),
        (
            "SELECT array_agg(birth_year), string_agg(zip3,','), first_value(birth_year) FROM patient",
            "aggregate_not_allowed",
        ),
        (
            "SELECT any_value(zip3), nth_value(birth_year,17), bit_xor(birth_year) FROM patient GROUP BY sex",
            "aggregate_not_allowed",
        ),
        ("SELECT sum(weight_kg*weight_kg), sum(weight_kg), count(*) FROM patient", "expression_in_aggregate"),
        (
            "SELECT sum(CASE WHEN birth_year=1931 THEN 1e12 ELSE 0 END + weight_kg) FROM patient",
            "expression_in_aggregate",
        ),
        (
            "SELECT corr(weight_kg, tumour_mm), regr_slope(weight_kg,tumour_mm) FROM patient",
            "aggregate_not_allowed",
        ),
        ("SELECT count(*) OVER (PARTITION BY patient_id) FROM imaging_study", "window"),
        (
            "SELECT count(*) FROM (SELECT patient_id FROM patient EXCEPT SELECT patient_id FROM condition WHERE icdo3_topography='C38.0') t",
            "set_operation",
        ),
        ("SELECT count(*) FROM patient a CROSS JOIN patient b WHERE a.birth_year=1931", "join_not_in_graph"),
        (
            "SELECT count(*) FROM patient a JOIN patient b ON a.zip3=b.zip3 AND a.birth_year=b.birth_year",
            "join_not_in_graph",
        ),
        (
            "SELECT count(*) FROM patient LEFT JOIN condition ON condition.icdo3_topography='C38.0'",
            "join_not_in_graph",
        ),
        ("SELECT count(*) FROM patient WHERE weight_kg < 70.01", "grid"),
        ("SELECT count(*) FROM imaging_study WHERE study_time = TIMESTAMP '2021-03-04 10:22:31'", "grid"),
        ("SELECT date_bin(INTERVAL '1 second', study_time), count(*) FROM imaging_study GROUP BY 1", "grid"),
        ("SELECT count(*) FROM patient WHERE ingest_ts > now() - INTERVAL '1 hour'", "volatile_function"),
        ("SELECT count(*) FROM patient WHERE random() < 0.5", "volatile_function"),
        ("SELECT count(*) FROM patient TABLESAMPLE BERNOULLI (5)", "volatile_function"),
        ("SELECT count(*) FROM patient WHERE uuid() < '5'", "volatile_function"),
        ("COPY (SELECT * FROM patient) TO 'x.csv'", "statement"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "statement"),
        ("INSERT INTO patient VALUES ('x')", "statement"),
        ("CREATE VIEW v AS SELECT 1", "statement"),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1", "statement"),
        ("PREPARE p AS SELECT 1", "statement"),
        ("EXECUTE p", "statement"),
        ("SELECT * INTO t FROM patient", "statement"),
        (
            "SELECT count(*) FROM imaging_study s WHERE EXISTS (SELECT 1 FROM imaging_study o WHERE o.collection = s.collection AND o.modality = 'MR')",
            "join_not_in_graph",
        ),
    ]);
}

#[test]
fn questions_that_attackers_may_ask_lower_and_are_charged() {
    check(&[
        (
            "SELECT DISTINCT birth_year, sex, zip3 FROM patient",
            &["SELECT DISTINCT t0.birth_year, t0.sex, t0.zip3 FROM world.patient AS t0"],
        ),
        (
            "SELECT count(DISTINCT patient_id) FROM condition WHERE icdo3_topography = 'C38.0'",
            &[
                "SELECT count(DISTINCT t0.patient_id) FROM world.\"condition\" AS t0 WHERE t0.icdo3_topography IN ('C38.0')",
            ],
        ),
        (
            "SELECT sex, birth_year, zip3, modality, count(*) FROM patient JOIN imaging_study USING(patient_id) GROUP BY 1,2,3,4",
            &["SELECT t0.modality, t1.birth_year, t1.sex, t1.zip3, count(*) FROM world.imaging_study AS t0 \
               JOIN world.patient AS t1 ON t0.patient_id = t1.patient_id \
               GROUP BY t0.modality, t1.birth_year, t1.sex, t1.zip3"],
        ),
        (
            "SELECT CASE WHEN count(*)=0 THEN 1 ELSE 0 END FROM condition WHERE icdo3_topography='C38.0'",
            &["SELECT count(*) FROM world.\"condition\" AS t0 WHERE t0.icdo3_topography IN ('C38.0')"],
        ),
        (
            "SELECT count(*) FROM patient WHERE EXISTS (SELECT 1 FROM condition c WHERE c.patient_id=patient.patient_id AND c.icdo3_topography='C38.0')",
            &[
                "SELECT count(*) FROM world.patient AS t0 WHERE EXISTS (SELECT 1 FROM world.\"condition\" AS e1_0 \
               WHERE e1_0.patient_id = t0.patient_id AND e1_0.icdo3_topography IN ('C38.0'))",
            ],
        ),
        (
            "SELECT count(DISTINCT patient_id), count(DISTINCT patient_id) FILTER (WHERE NOT (birth_year=1931 AND sex='female')) FROM patient WHERE modality_any='MR'",
            &["SELECT count(DISTINCT t0.patient_id), count(DISTINCT t0.patient_id) FILTER (WHERE \
               t0.birth_year NOT IN (1931) OR t0.sex NOT IN ('female')) FROM world.patient AS t0 \
               WHERE t0.modality_any IN ('MR')"],
        ),
        (
            "SELECT sum(CASE WHEN birth_year=1931 AND sex='female' THEN 1 ELSE 0 END), count(*) FROM patient",
            &["SELECT count(*), count(*) FILTER (WHERE t0.birth_year IN (1931) AND t0.sex IN ('female')) \
               FROM world.patient AS t0"],
        ),
        (
            "SELECT modality FROM imaging_study GROUP BY modality HAVING count(DISTINCT patient_id) BETWEEN 1 AND 9",
            &[
                "SELECT t0.modality, count(DISTINCT t0.patient_id) FROM world.imaging_study AS t0 GROUP BY t0.modality",
            ],
        ),
        (
            "SELECT icdo3_morphology FROM condition GROUP BY 1 ORDER BY count(DISTINCT patient_id) ASC LIMIT 5",
            &[
                "SELECT t0.icdo3_morphology, count(DISTINCT t0.patient_id) FROM world.\"condition\" AS t0 GROUP BY t0.icdo3_morphology",
            ],
        ),
        (
            "SELECT modality, count(*) c FROM imaging_study GROUP BY 1 ORDER BY avg(weight_kg) DESC",
            &[
                "SELECT t0.modality, count(*), avg(t0.weight_kg) FROM world.imaging_study AS t0 GROUP BY t0.modality",
            ],
        ),
        (
            "SELECT modality, lag(count(*)) OVER (ORDER BY modality) FROM imaging_study GROUP BY modality",
            &["SELECT t0.modality, count(*) FROM world.imaging_study AS t0 GROUP BY t0.modality"],
        ),
        (
            "SELECT sum(dose_mgy) FROM imaging_study WHERE modality='CT'",
            &["SELECT sum(t0.dose_mgy) FROM world.imaging_study AS t0 WHERE t0.modality IN ('CT')"],
        ),
        ("SELECT * FROM information_schema.tables", &[]),
    ]);
}
