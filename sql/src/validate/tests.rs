//! What a node refuses of what comes over the wire, whoever sent it.

use crate::fixture::world;
use crate::private_query::{
    Aggregate, Atom, BoolTree, ColumnRef, DatePart, Dim, Edge, Endpoint, Exists, JoinKey, JoinTree, Link,
    Measure, PrivateQuery, Real, TableRef, VERSION, Value,
};
use crate::refusal::Code;
use crate::validate::validate;

fn tree(tables: &[&str], edges: Vec<Edge>) -> JoinTree {
    JoinTree { tables: tables.iter().map(|t| TableRef::new("world", t)).collect(), edges }
}

fn edge(left: usize, right: usize, on: JoinKey) -> Edge {
    Edge { left, right, on }
}

fn columns(left: &str, right: &str) -> JoinKey {
    JoinKey::Columns { left: left.into(), right: right.into() }
}

/// A count over one table, which is fine.
fn count(tables: &[&str], edges: Vec<Edge>) -> PrivateQuery {
    PrivateQuery {
        version: VERSION,
        from: tree(tables, edges),
        cohort: BoolTree::always(),
        dims: Vec::new(),
        measures: vec![measure(Aggregate::Rows)],
        noise_sd_milli: None,
        max_rows_per_patient: None,
    }
}

fn measure(of: Aggregate) -> Measure {
    Measure { of, filter: BoolTree::always() }
}

fn patients(change: impl FnOnce(&mut PrivateQuery)) -> PrivateQuery {
    let mut query = count(&["patient"], Vec::new());
    change(&mut query);
    query
}

fn column(name: &str) -> ColumnRef {
    ColumnRef::new(0, name)
}

fn is(atom: Atom) -> BoolTree {
    BoolTree::Is(atom)
}

fn equals(name: &str, value: Value) -> BoolTree {
    is(Atom::In { column: column(name), values: vec![value] })
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn end(value: Value, inclusive: bool) -> Option<Endpoint> {
    Some(Endpoint { value, inclusive })
}

fn from(name: &str, lo: Value) -> BoolTree {
    is(Atom::Range { column: column(name), lo: end(lo, true), hi: None })
}

fn below(name: &str, hi: Value, inclusive: bool) -> BoolTree {
    is(Atom::Range { column: column(name), lo: None, hi: end(hi, inclusive) })
}

fn real(x: f64) -> Value {
    Value::Float(Real::new(x).unwrap())
}

#[track_caller]
fn check(query: &PrivateQuery, expected: Result<(), Code>) {
    let found = validate(query, &world());
    assert_eq!(found.as_ref().map_err(|r| r.code).copied(), expected, "{found:?}\n{query:?}");
}

#[test]
fn a_question_of_another_version_or_out_of_bounds_is_refused() {
    check(&count(&["patient"], Vec::new()), Ok(()));
    check(&patients(|q| q.version = 2), Err(Code::Malformed));
    check(&patients(|q| q.measures.clear()), Err(Code::Malformed));
    check(&patients(|q| q.noise_sd_milli = Some(2_000)), Ok(()));
    check(&patients(|q| q.noise_sd_milli = Some(1_999)), Err(Code::NoiseOutOfRange));
    check(&patients(|q| q.noise_sd_milli = Some(20_001)), Err(Code::NoiseOutOfRange));
    check(&patients(|q| q.max_rows_per_patient = Some(0)), Err(Code::Setting));
    check(&patients(|q| q.max_rows_per_patient = Some(1_001)), Err(Code::Setting));
    check(&patients(|q| q.measures = vec![measure(Aggregate::Rows); 17]), Err(Code::TooComplex));
    check(&patients(|q| q.dims = vec![Dim::Column(column("sex")); 5]), Err(Code::TooComplex));
    check(&patients(|q| q.cohort = BoolTree::Or(vec![equals("sex", text("f")); 32])), Ok(()));
    check(&patients(|q| q.cohort = BoolTree::Or(vec![equals("sex", text("f")); 33])), Err(Code::TooComplex));
    let deep = (0..80).fold(equals("sex", text("f")), |tree, _| BoolTree::Not(Box::new(tree)));
    check(&patients(|q| q.cohort = deep), Err(Code::TooComplex));
}

#[test]
fn tables_must_be_there_open_joined_and_hold_patients() {
    check(&count(&[], Vec::new()), Err(Code::Malformed));
    check(&count(&["nowhere"], Vec::new()), Err(Code::Malformed));
    check(&count(&["staff"], Vec::new()), Err(Code::TableNotAllowed));
    check(&count(&["concept"], Vec::new()), Err(Code::TableNotAllowed));
    let both = &["imaging_series", "imaging_study"];
    check(&count(both, vec![edge(0, 1, JoinKey::Patient)]), Ok(()));
    check(&count(both, vec![edge(0, 1, columns("study_uid", "study_uid"))]), Ok(()));
    check(&count(both, vec![edge(0, 1, columns("study_uid", "nothing"))]), Err(Code::Malformed));
    check(&count(both, vec![edge(0, 1, columns("patient_id", "patient_id"))]), Err(Code::Malformed));
    check(&count(both, vec![edge(0, 1, columns("body_part", "modality"))]), Err(Code::JoinNotInGraph));
    check(&count(both, vec![edge(1, 0, JoinKey::Patient)]), Err(Code::Malformed));
    check(&count(both, vec![edge(0, 7, JoinKey::Patient)]), Err(Code::Malformed));
    check(&count(both, Vec::new()), Err(Code::Malformed));
    let scanners = &["imaging_study", "imaging_study"];
    check(&count(scanners, vec![edge(0, 1, columns("scanner_id", "scanner_id"))]), Err(Code::JoinNotInGraph));
    let cycle = vec![edge(0, 1, JoinKey::Patient), edge(0, 1, JoinKey::Patient)];
    check(&count(&["patient", "patient", "patient"], cycle), Err(Code::Malformed));
    let many: Vec<Edge> = (1..9).map(|i| edge(0, i, JoinKey::Patient)).collect();
    check(&count(&["patient"; 9], many), Err(Code::TooComplex));
}

#[test]
fn a_public_table_is_joined_to_but_never_leads_from_patient_to_patient() {
    let key = || columns("concept_id", "concept_id");
    check(&count(&["concept", "condition"], vec![edge(0, 1, key())]), Ok(()));
    check(&count(&["concept", "condition"], vec![edge(0, 1, JoinKey::Patient)]), Err(Code::JoinNotInGraph));
    let through = vec![edge(0, 1, key()), edge(0, 2, key())];
    check(&count(&["concept", "condition", "imaging_study"], through), Err(Code::JoinNotInGraph));
    let beside = vec![edge(0, 1, key()), edge(1, 2, JoinKey::Patient)];
    check(&count(&["concept", "condition", "imaging_study"], beside), Ok(()));
    let shared = vec![edge(0, 1, key())];
    check(&count(&["condition", "imaging_study"], shared), Err(Code::JoinNotInGraph));
}

#[test]
fn a_column_is_used_as_its_role_allows_in_every_position() {
    for (name, condition, group, sum) in [
        (
            "patient_id",
            Err(Code::IdentifierFilter),
            Err(Code::IdentifierGrouped),
            Err(Code::IdentifierInExpression),
        ),
        ("sex", Ok(()), Ok(()), Err(Code::ColumnNotAllowed)),
        ("note", Err(Code::ColumnNotAllowed), Err(Code::ColumnNotAllowed), Err(Code::ColumnNotAllowed)),
        ("weight_kg", Err(Code::ExpressionNotAllowed), Err(Code::ColumnNotAllowed), Ok(())),
    ] {
        check(&patients(|q| q.cohort = equals(name, text("x"))), condition);
        check(
            &patients(|q| {
                q.measures = vec![Measure { filter: equals(name, text("x")), ..measure(Aggregate::Rows) }]
            }),
            condition,
        );
        check(&patients(|q| q.dims = vec![Dim::Column(column(name))]), group);
        check(&patients(|q| q.measures = vec![measure(Aggregate::Sum(column(name)))]), sum);
        check(&patients(|q| q.measures = vec![measure(Aggregate::Avg(column(name)))]), sum);
    }
    check(&patients(|q| q.cohort = is(Atom::IsNull { column: column("patient_id") })), Ok(()));
    check(&patients(|q| q.cohort = is(Atom::IsNull { column: column("note") })), Err(Code::ColumnNotAllowed));
    check(&patients(|q| q.dims = vec![Dim::Column(ColumnRef::new(3, "sex"))]), Err(Code::Malformed));
    check(
        &patients(|q| q.dims = vec![Dim::Column(ColumnRef { table: 0, column: "SEX".into() })]),
        Err(Code::Malformed),
    );
    for (name, expected) in [
        ("study_uid", Ok(())),
        ("scanner_id", Err(Code::AggregateNotAllowed)),
        ("patient_id", Err(Code::Malformed)),
        ("modality", Err(Code::ColumnNotAllowed)),
    ] {
        let mut query = count(&["imaging_study"], Vec::new());
        query.measures = vec![measure(Aggregate::Distinct(column(name)))];
        check(&query, expected);
    }
}

#[test]
fn values_have_the_column_s_type_and_lie_on_its_grid() {
    check(&patients(|q| q.cohort = equals("sex", Value::Integer(1))), Err(Code::Malformed));
    check(&patients(|q| q.cohort = equals("sex", text(&"x".repeat(257)))), Err(Code::TooComplex));
    let list =
        |n: i64| is(Atom::In { column: column("birth_year"), values: (0..n).map(Value::Integer).collect() });
    check(&patients(|q| q.cohort = list(1_000)), Ok(()));
    check(&patients(|q| q.cohort = list(1_001)), Err(Code::TooComplex));
    check(&patients(|q| q.cohort = list(0)), Err(Code::Malformed));
    check(&patients(|q| q.cohort = from("sex", text("f"))), Err(Code::ExpressionNotAllowed));
    check(&patients(|q| q.cohort = from("patient_id", text("f"))), Err(Code::IdentifierFilter));
    check(&patients(|q| q.cohort = from("birth_year", Value::Integer(1950))), Ok(()));
    check(&patients(|q| q.cohort = from("tumour_mm", Value::Integer(20))), Ok(()));
    check(&patients(|q| q.cohort = from("tumour_mm", Value::Integer(21))), Err(Code::Grid));
    check(&patients(|q| q.cohort = below("tumour_mm", Value::Integer(20), true)), Err(Code::Malformed));
    check(&patients(|q| q.cohort = from("tumour_mm", real(20.0))), Err(Code::Malformed));
    check(&patients(|q| q.cohort = below("weight_kg", real(70.0), true)), Ok(()));
    check(&patients(|q| q.cohort = below("weight_kg", real(70.01), true)), Err(Code::Grid));
    let endless = is(Atom::Range { column: column("birth_year"), lo: None, hi: None });
    check(&patients(|q| q.cohort = endless), Err(Code::Malformed));
}

#[test]
fn numbers_near_a_grid_point_are_on_it_and_others_are_not() {
    let mut query = count(&["imaging_study"], Vec::new());
    for (x, expected) in [
        (0.3, Ok(())),
        (0.1 * 3.0, Ok(())),
        (99.9, Ok(())),
        (0.3001, Err(Code::Grid)),
        (0.05, Err(Code::Grid)),
    ] {
        query.cohort = from("dose_mgy", real(x));
        check(&query, expected);
    }
}

#[test]
fn dates_lie_on_the_calendar_grid_and_only_their_parts_are_grouped() {
    let mut query = count(&["imaging_study"], Vec::new());
    let january = 18_262; // 2020-01-01
    for (name, days, expected) in [
        ("study_time", january, Ok(())),
        ("study_time", january + 31, Ok(())),
        ("study_time", january + 1, Err(Code::Grid)),
        ("archive_date", january, Ok(())),
        ("archive_date", january + 31, Err(Code::Grid)),
    ] {
        query.cohort = from(name, Value::Date(days));
        check(&query, expected);
    }
    query.cohort = below("study_time", Value::Date(january), true);
    check(&query, Err(Code::Malformed));
    query.cohort = BoolTree::always();
    for (name, part, expected) in [
        ("study_time", DatePart::Month, Ok(())),
        ("archive_date", DatePart::Year, Ok(())),
        ("archive_date", DatePart::Month, Err(Code::Grid)),
        ("modality", DatePart::Year, Err(Code::ColumnNotAllowed)),
        ("study_uid", DatePart::Year, Err(Code::IdentifierInExpression)),
    ] {
        query.dims = vec![Dim::DatePart { part, column: column(name) }];
        check(&query, expected);
    }
    query.dims = vec![Dim::Column(column("study_time"))];
    check(&query, Err(Code::Grid));
}

#[test]
fn exists_stays_within_the_patient_and_is_not_nested_without_end() {
    let exists = |from: JoinTree, link: Link, cohort: BoolTree| {
        is(Atom::Exists(Box::new(Exists { from, link, cohort })))
    };
    let key = |outer: &str, inner: &str| Link::Columns { outer: column(outer), inner: column(inner) };
    let studies = || tree(&["imaging_study"], Vec::new());
    for (link, expected) in [
        (Link::Patient, Ok(())),
        (key("study_uid", "study_uid"), Ok(())),
        (key("body_part", "collection"), Err(Code::JoinNotInGraph)),
        (key("patient_id", "patient_id"), Err(Code::JoinNotInGraph)),
    ] {
        let mut query = count(&["imaging_series"], Vec::new());
        query.cohort = exists(studies(), link, equals("modality", text("CT")));
        check(&query, expected);
    }
    let vocabulary = exists(tree(&["concept"], Vec::new()), Link::Patient, BoolTree::always());
    check(&patients(|q| q.cohort = vocabulary), Err(Code::TableNotAllowed));
    let hidden = exists(tree(&["patient"], Vec::new()), Link::Patient, equals("note", text("x")));
    check(&patients(|q| q.cohort = hidden), Err(Code::ColumnNotAllowed));
    let nested =
        |times| (0..times).fold(BoolTree::always(), |inner, _| exists(studies(), Link::Patient, inner));
    check(&patients(|q| q.cohort = nested(4)), Ok(()));
    check(&patients(|q| q.cohort = nested(5)), Err(Code::TooComplex));
}
