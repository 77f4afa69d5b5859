//! Statements drawn at random never panic: they lower to valid questions or are refused by a known rule.

use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::LogicalPlan;
use proptest::prelude::*;

use crate::canonical::{canonical, to_sql};
use crate::catalogue::{Catalogue, model_table};
use crate::fixture::statements::Grammar;
use crate::fixture::{catalogue, config, lowered, on_large_stack, world};
use crate::lower::{Lowered, Settings, lower};
use crate::plan::plan;
use crate::refusal::{Family, Refusal};
use crate::text::{Statement, read};
use crate::validate::validate;

/// Reads, plans and lowers; `None` for a SET statement and for one with parameters.
fn asked(sql: &str, catalogue: &Catalogue) -> Result<Option<Lowered>, Refusal> {
    let Statement::Query(query) = read(sql)? else { return Ok(None) };
    let planned = plan(&query, catalogue)?;
    if !planned.parameters().fields().is_empty() {
        return Ok(None);
    }
    lower(&planned, catalogue, &Settings::default()).map(Some)
}

fn holds(sql: &str) {
    let models = world();
    let catalogue = catalogue(&models);
    match asked(sql, &catalogue) {
        Ok(None) => {}
        Ok(Some(found)) => {
            assert_eq!(found.output.len(), found.remainder.schema().fields().len(), "{sql}");
            assert_eq!(scans(&found.remainder), 0, "{sql}\n{}", found.remainder.display_indent());
            for question in &found.queries {
                validate(question, &models).unwrap_or_else(|e| panic!("{sql}\n{e}"));
                assert_eq!(canonical(question.clone()), *question, "{sql}");
                let again = to_sql(question, &models);
                let again = lowered(&again, &catalogue).unwrap_or_else(|e| panic!("{sql}\n{again}\n{e}"));
                assert_eq!(again.queries, std::slice::from_ref(question), "{sql}");
            }
        }
        Err(refusal) => {
            assert!(
                matches!(refusal.code.family(), Family::Privacy | Family::Sql | Family::Ontology),
                "{sql}\n{refusal}"
            );
            assert!(refusal.to_string().len() <= 2048, "{sql}\n{refusal}");
        }
    }
}

/// How many scans of a model's table a plan has.
fn scans(plan: &LogicalPlan) -> usize {
    let mut scans = 0;
    plan.apply_with_subqueries(|node| {
        scans += usize::from(matches!(node, LogicalPlan::TableScan(scan) if model_table(scan).is_some()));
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    scans
}

/// Bytes that look random and are the same every time.
fn bytes(mut state: u64) -> Vec<u8> {
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..240).map(|_| next()).collect()
}

#[test]
fn the_statements_that_are_drawn_reach_questions_of_every_kind() {
    on_large_stack(|| {
        let catalogue = catalogue(&world());
        let (mut asked_of, mut plain, mut of_patients, mut values) = (0, 0, 0, 0);
        for seed in 0..1_500 {
            let sql = Grammar::new(&bytes(seed)).statement();
            let Ok(Some(found)) = asked(&sql, &catalogue) else { continue };
            asked_of += 1;
            let (stacked, flat): (Vec<_>, Vec<_>) =
                found.queries.iter().partition(|question| !question.per_patient.is_empty());
            (of_patients, plain) = (of_patients + stacked.len(), plain + flat.len());
            values +=
                stacked.iter().flat_map(|q| &q.per_patient).map(|table| table.values.len()).sum::<usize>();
        }
        let counts = format!(
            "{asked_of} statements, {plain} questions, {of_patients} with {values} values per patient"
        );
        assert!(asked_of > 300 && plain > 250 && of_patients > 40 && values > 60, "{counts}");
    });
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn random_statements_lower_to_valid_questions_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..240)) {
        let sql = Grammar::new(&bytes).statement();
        on_large_stack(|| holds(&sql));
    }

    #[test]
    fn random_text_is_refused(text in "\\PC{0,200}") {
        on_large_stack(|| holds(&text));
    }
}
