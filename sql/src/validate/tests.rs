//! What a node refuses of what comes over the wire, whoever sent it.

use crate::fixture::world;
use crate::private_query::{
    Aggregate, Atom, Bins, BoolTree, ColumnRef, DateOf, DatePart, Days, Dim, Edge, Endpoint, Exists, JoinKey,
    JoinTree, Labels, Link, Measure, Number, PrivateQuery, Real, TableRef, VERSION, Value,
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
        per_patient: Vec::new(),
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
    check(&patients(|q| q.version = VERSION - 1), Err(Code::Malformed));
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
        check(&patients(|q| q.measures = vec![measure(Aggregate::Sum(Number::Column(column(name))))]), sum);
        check(&patients(|q| q.measures = vec![measure(Aggregate::Avg(Number::Column(column(name))))]), sum);
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

fn days(from: &str, to: &str) -> Number {
    Number::Days(Days { from: column(from), to: column(to) })
}

fn date_diff(from: DateOf, to: DateOf, lo: Option<i64>, hi: Option<i64>) -> BoolTree {
    is(Atom::DateDiff { from, to, lo, hi })
}

fn own(name: &str) -> DateOf {
    DateOf::Own(column(name))
}

#[test]
fn days_are_counted_between_dates_whose_grid_is_finer_than_the_year() {
    let both = || count(&["condition", "imaging_study"], vec![edge(0, 1, JoinKey::Patient)]);
    for (other, expected) in [
        ("read_date", Ok(())),
        ("study_time", Ok(())),
        ("archive_date", Err(Code::Grid)),
        ("modality", Err(Code::ColumnNotAllowed)),
        ("dose_mgy", Err(Code::ColumnNotAllowed)),
        ("study_uid", Err(Code::IdentifierInExpression)),
        ("patient_id", Err(Code::IdentifierInExpression)),
        ("nothing", Err(Code::Malformed)),
    ] {
        let (from, to) = (column("diagnosis_date"), ColumnRef::new(1, other));
        let number = Number::Days(Days { from: from.clone(), to: to.clone() });
        let mut query = both();
        query.cohort = date_diff(DateOf::Own(from), DateOf::Own(to), Some(0), None);
        check(&query, expected);
        let mut query = both();
        query.measures = vec![measure(Aggregate::Sum(number.clone()))];
        check(&query, expected);
        query.dims = vec![Dim::Bin { of: number, by: Bins::Width(Value::Integer(30)) }];
        query.measures = vec![measure(Aggregate::Rows)];
        check(&query, expected);
    }
}

#[test]
fn a_range_of_days_has_ends_within_a_hundred_years() {
    let mut query = count(&["condition"], Vec::new());
    for (lo, hi, expected) in [
        (Some(0), Some(91), Ok(())),
        (Some(-36_525), Some(36_526), Ok(())),
        (None, None, Err(Code::Malformed)),
        (Some(-36_526), None, Err(Code::Grid)),
        (None, Some(36_527), Err(Code::Grid)),
        (Some(i64::MIN), Some(i64::MAX), Err(Code::Grid)),
    ] {
        query.cohort = date_diff(own("diagnosis_date"), own("resolved_date"), lo, hi);
        check(&query, expected);
    }
}

#[test]
fn a_date_of_the_row_outside_is_named_only_directly_inside_exists() {
    let outer = |name: &str| DateOf::Outer(column(name));
    let inside = |cohort| {
        let from = tree(&["imaging_study"], Vec::new());
        is(Atom::Exists(Box::new(Exists { from, link: Link::Patient, cohort })))
    };
    let within = |a, b| date_diff(a, b, Some(0), Some(91));
    for (cohort, expected) in [
        (inside(within(outer("diagnosis_date"), own("read_date"))), Ok(())),
        (inside(within(own("read_date"), outer("diagnosis_date"))), Ok(())),
        (inside(within(outer("diagnosis_date"), outer("resolved_date"))), Err(Code::Malformed)),
        (inside(within(outer("read_date"), own("read_date"))), Err(Code::Malformed)),
        (inside(within(outer("concept_id"), own("read_date"))), Err(Code::ColumnNotAllowed)),
        // Two levels up is not named: the outer row of the inner one is a study.
        (inside(inside(within(outer("diagnosis_date"), own("read_date")))), Err(Code::Malformed)),
        (within(outer("diagnosis_date"), own("resolved_date")), Err(Code::Malformed)),
    ] {
        let mut query = count(&["condition"], Vec::new());
        query.cohort = cohort;
        check(&query, expected);
    }
}

#[test]
fn bins_have_a_width_on_the_grid_and_are_not_too_many() {
    let binned = |of: &str, width: Value| {
        let of = Number::Column(column(of));
        patients(|q| q.dims = vec![Dim::Bin { of, by: Bins::Width(width) }])
    };
    let whole = Value::Integer;
    for (query, expected) in [
        (binned("birth_year", whole(10)), Ok(())),
        (binned("birth_year", whole(1)), Err(Code::TooComplex)),
        (binned("tumour_mm", whole(10)), Ok(())),
        (binned("tumour_mm", whole(15)), Err(Code::Grid)),
        (binned("tumour_mm", whole(0)), Err(Code::Grid)),
        (binned("tumour_mm", whole(-10)), Err(Code::Grid)),
        (binned("tumour_mm", whole(310)), Err(Code::Grid)),
        (binned("tumour_mm", real(10.0)), Err(Code::Malformed)),
        (binned("weight_kg", real(25.0)), Ok(())),
        (binned("weight_kg", real(12.5)), Err(Code::Grid)),
        (binned("sex", whole(10)), Err(Code::ColumnNotAllowed)),
        (binned("note", whole(10)), Err(Code::ColumnNotAllowed)),
        (binned("patient_id", whole(10)), Err(Code::IdentifierInExpression)),
    ] {
        check(&query, expected);
    }
    let mut query = count(&["condition"], Vec::new());
    let of = || days("diagnosis_date", "resolved_date");
    for (width, cohort, expected) in [
        (whole(30), BoolTree::always(), Ok(())),
        (whole(0), BoolTree::always(), Err(Code::Grid)),
        (whole(i64::MAX), BoolTree::always(), Err(Code::Grid)),
        (
            whole(1),
            date_diff(own("diagnosis_date"), own("resolved_date"), Some(0), Some(65)),
            Err(Code::TooComplex),
        ),
    ] {
        query.cohort = cohort;
        query.dims = vec![Dim::Bin { of: of(), by: Bins::Width(width) }];
        check(&query, expected);
    }
}

#[test]
fn labels_of_bins_fit_their_edges() {
    let edge = |value: i64| Endpoint { value: Value::Integer(value), inclusive: true };
    let labelled = |edges: Vec<Endpoint>, labels: Vec<Option<Value>>, null| {
        let (of, by) = (Number::Column(column("tumour_mm")), Labels { edges, labels, null });
        patients(|q| q.dims = vec![Dim::Bin { of, by: Bins::Labels(by) }])
    };
    let named = |names: &[&str]| names.iter().map(|n| Some(text(n))).collect::<Vec<_>>();
    let long = "x".repeat(257);
    for (query, expected) in [
        (labelled(vec![edge(50)], named(&["small", "large"]), None), Ok(())),
        (labelled(vec![edge(50)], vec![Some(text("small")), None], Some(text("?"))), Ok(())),
        (labelled(vec![edge(50)], named(&["small"]), None), Err(Code::Malformed)),
        (labelled(vec![], named(&["all"]), None), Err(Code::Malformed)),
        (labelled(vec![edge(50), edge(50)], named(&["a", "b", "c"]), None), Err(Code::Malformed)),
        (labelled(vec![edge(70), edge(50)], named(&["a", "b", "c"]), None), Err(Code::Malformed)),
        (labelled(vec![edge(50)], named(&["a", "a"]), None), Err(Code::Malformed)),
        (labelled(vec![edge(50)], vec![None, None], None), Err(Code::Malformed)),
        (labelled(vec![edge(50)], vec![Some(text("a")), Some(real(1.0))], None), Err(Code::Malformed)),
        (labelled(vec![edge(50)], vec![Some(Value::Date(1)), None], None), Err(Code::Malformed)),
        (labelled(vec![edge(50)], named(&["a", &long]), None), Err(Code::TooComplex)),
        (labelled(vec![edge(55)], named(&["a", "b"]), None), Err(Code::Grid)),
        (labelled(vec![edge(0)], named(&["a", "b"]), None), Err(Code::Grid)),
        (labelled(vec![edge(310)], named(&["a", "b"]), None), Err(Code::Grid)),
        (
            labelled(
                vec![Endpoint { value: Value::Integer(50), inclusive: false }],
                named(&["a", "b"]),
                None,
            ),
            Err(Code::Malformed),
        ),
    ] {
        check(&query, expected);
    }
    let many = (1..=64).map(|i| Endpoint { value: Value::Integer(1_900 + i), inclusive: true }).collect();
    let labels = (0..65).map(|i| Some(Value::Integer(i))).collect();
    let by = Bins::Labels(Labels { edges: many, labels, null: None });
    let of = Number::Column(column("birth_year"));
    check(&patients(|q| q.dims = vec![Dim::Bin { of, by }]), Err(Code::TooComplex));
}
