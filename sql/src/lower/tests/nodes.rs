//! Nodes as a group: each node is asked the same as ever, and what they released stays apart.

use super::{check, refused};
use crate::fixture::{catalogue, lowered, on_large_stack, world};

#[test]
fn nodes_are_asked_the_same_whether_they_are_told_apart_or_not() {
    check(&[
        (
            "SELECT node_id, count(*) FROM patient GROUP BY node_id",
            &["SELECT count(*) FROM world.patient AS t0"],
        ),
        (
            "SELECT sex, node_id AS hospital, count(DISTINCT patient_id) FROM patient GROUP BY 1, 2 HAVING node_id <> 'n'",
            &["SELECT t0.sex, count(DISTINCT t0.patient_id) FROM world.patient AS t0 GROUP BY t0.sex"],
        ),
        (
            "SELECT DISTINCT node_id FROM patient",
            &["SELECT count(DISTINCT t0.patient_id) FROM world.patient AS t0"],
        ),
        (
            "SELECT node_id, avg(n) FROM (SELECT patient_id, node_id, count(*) AS n FROM imaging_study GROUP BY patient_id, \
             node_id) AS t GROUP BY node_id",
            &[
                "WITH v0 AS (SELECT t0.patient_id AS patient_id, count(*) AS n0 FROM world.imaging_study AS t0 GROUP BY \
                 t0.patient_id) SELECT avg(t0.n0) FROM v0 AS t0",
            ],
        ),
        // Both tables are read for one question.
        (
            "SELECT node_id, count(*) AS n, (SELECT count(*) FROM patient) AS everybody FROM patient GROUP BY node_id",
            &["SELECT count(*) FROM world.patient AS t0"],
        ),
    ]);
}

#[test]
fn the_remainder_reads_what_each_node_released() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        for sql in [
            "SELECT node_id, count(*) FROM patient GROUP BY node_id",
            "SELECT node_id, sex, count(*) FROM patient GROUP BY ROLLUP(node_id, sex)",
            "SELECT p.node_id, count(*) FROM patient AS p JOIN imaging_study AS s ON s.patient_id = p.patient_id AND \
             s.node_id = p.node_id GROUP BY p.node_id",
        ] {
            let lowered = lowered(sql, &catalogue).unwrap_or_else(|refusal| panic!("{sql}: {refusal}"));
            let remainder = lowered.remainder.display_indent().to_string();
            assert!(remainder.contains("released_0_by_node"), "{sql}: {remainder}");
        }
    });
}

#[test]
fn nodes_are_a_group_and_nothing_else() {
    refused(&[
        ("SELECT count(*) FROM patient WHERE node_id = 'n'", "expression_not_allowed"),
        ("SELECT count(DISTINCT node_id) FROM patient", "expression_not_allowed"),
        ("SELECT upper(node_id), count(*) FROM patient GROUP BY 1", "expression_not_allowed"),
        ("SELECT node_id FROM patient", "no_aggregate"),
    ]);
}
