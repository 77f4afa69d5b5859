//! Conditions in one spelling. Every step keeps the rows for which a condition is TRUE; after negation has moved to the
//! atoms, FALSE and NULL need not be told apart, since AND and OR treat them alike.

use super::{Renumber, days, tree};
use crate::private_query::{Atom, BoolTree, ColumnRef, DateOf, Endpoint, Exists, Link, Value};

/// Whether a condition is asked to hold or to fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    Holds,
    Fails,
}

/// New positions of the tables that a condition speaks of.
#[derive(Clone, Copy)]
struct Around<'a> {
    own: &'a Renumber,
    /// Those of the tree outside, inside `EXISTS`.
    outer: Option<&'a Renumber>,
}

impl Around<'_> {
    fn column(self, column: &ColumnRef) -> ColumnRef {
        self.own.column(column)
    }

    fn date(self, date: &DateOf) -> DateOf {
        match (date, self.outer) {
            (DateOf::Own(column), _) => DateOf::Own(self.own.column(column)),
            (DateOf::Outer(column), Some(outer)) => DateOf::Outer(outer.column(column)),
            (DateOf::Outer(column), None) => DateOf::Outer(column.clone()),
        }
    }
}

/// AND or OR.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    And,
    Or,
}

/// The condition that never holds.
pub(crate) fn is_never(tree: &BoolTree) -> bool {
    matches!(tree, BoolTree::Or(parts) if parts.is_empty())
}

fn never() -> BoolTree {
    BoolTree::Or(Vec::new())
}

/// The canonical spelling, with columns renumbered.
pub(super) fn canonical(tree: &BoolTree, own: &Renumber) -> BoolTree {
    simplified(normal(tree, Sense::Holds, Around { own, outer: None }))
}

/// Negation normal form with canonical atoms.
fn normal(tree: &BoolTree, sense: Sense, own: Around<'_>) -> BoolTree {
    let all = |parts: &[BoolTree]| parts.iter().map(|part| normal(part, sense, own)).collect();
    match (tree, sense) {
        (BoolTree::And(parts), Sense::Holds) | (BoolTree::Or(parts), Sense::Fails) => {
            BoolTree::And(all(parts))
        }
        (BoolTree::Or(parts), Sense::Holds) | (BoolTree::And(parts), Sense::Fails) => {
            BoolTree::Or(all(parts))
        }
        (BoolTree::Not(part), Sense::Holds) => normal(part, Sense::Fails, own),
        (BoolTree::Not(part), Sense::Fails) => normal(part, Sense::Holds, own),
        (BoolTree::Is(atom), sense) => literal(atom, sense, own),
    }
}

fn literal(atom: &Atom, sense: Sense, own: Around<'_>) -> BoolTree {
    match atom {
        Atom::In { column, values } => in_values(own.column(column), values.clone(), sense),
        Atom::IsNull { column } => signed(Atom::IsNull { column: own.column(column) }, sense),
        Atom::Range { column, lo, hi } => range(&own.column(column), lo.clone(), hi.clone(), sense),
        Atom::DateDiff { from, to, lo, hi } => {
            days::range(own.date(from), own.date(to), *lo, *hi, sense == Sense::Holds)
        }
        Atom::IsA { column, concept } => {
            signed(Atom::IsA { column: own.column(column), concept: concept.clone() }, sense)
        }
        Atom::Exists(exists) => match self::exists(exists, own.own) {
            Some(exists) => signed(Atom::Exists(Box::new(exists)), sense),
            None if sense == Sense::Holds => never(),
            None => BoolTree::always(),
        },
    }
}

fn signed(atom: Atom, sense: Sense) -> BoolTree {
    match sense {
        Sense::Holds => BoolTree::Is(atom),
        Sense::Fails => BoolTree::Not(Box::new(BoolTree::Is(atom))),
    }
}

fn in_values(column: ColumnRef, mut values: Vec<Value>, sense: Sense) -> BoolTree {
    values.sort();
    values.dedup();
    match (values.as_slice(), sense) {
        ([], Sense::Holds) => never(),
        ([], Sense::Fails) | ([Value::Boolean(false), Value::Boolean(true)], Sense::Holds) => {
            signed(Atom::IsNull { column }, Sense::Fails)
        }
        ([Value::Boolean(false), Value::Boolean(true)], Sense::Fails) => never(),
        ([Value::Boolean(b)], Sense::Fails) => {
            BoolTree::Is(Atom::In { column, values: vec![Value::Boolean(!b)] })
        }
        (_, sense) => signed(Atom::In { column, values }, sense),
    }
}

/// A range that fails is what lies below it or above it.
fn range(column: &ColumnRef, lo: Option<Endpoint>, hi: Option<Endpoint>, sense: Sense) -> BoolTree {
    let known = || signed(Atom::IsNull { column: column.clone() }, Sense::Fails);
    if is_empty(lo.as_ref(), hi.as_ref()) {
        return if sense == Sense::Holds { never() } else { known() };
    }
    match (lo, hi, sense) {
        (None, None, Sense::Holds) => known(),
        (None, None, Sense::Fails) => never(),
        (lo, hi, Sense::Holds) => BoolTree::Is(Atom::Range { column: column.clone(), lo, hi }),
        (lo, hi, Sense::Fails) => {
            let flip = |end: Endpoint| Some(Endpoint { inclusive: !end.inclusive, ..end });
            let below = lo.map(|lo| Atom::Range { column: column.clone(), lo: None, hi: flip(lo) });
            let above = hi.map(|hi| Atom::Range { column: column.clone(), lo: flip(hi), hi: None });
            BoolTree::Or(below.into_iter().chain(above).map(BoolTree::Is).collect())
        }
    }
}

fn is_empty(lo: Option<&Endpoint>, hi: Option<&Endpoint>) -> bool {
    match (lo, hi) {
        (Some(lo), Some(hi)) => {
            lo.value > hi.value || (lo.value == hi.value && !(lo.inclusive && hi.inclusive))
        }
        (None, _) | (_, None) => false,
    }
}

/// `None` when nothing can exist.
fn exists(exists: &Exists, outer: &Renumber) -> Option<Exists> {
    let (from, own) = tree(exists.from.clone());
    let around = Around { own: &own, outer: Some(outer) };
    let cohort = simplified(normal(&exists.cohort, Sense::Holds, around));
    let link = match &exists.link {
        Link::Patient => Link::Patient,
        Link::Columns { outer: theirs, inner } => {
            Link::Columns { outer: outer.column(theirs), inner: own.column(inner) }
        }
    };
    (!is_never(&cohort)).then_some(Exists { from, link, cohort })
}

/// Flat, sorted, merged, without duplicates. Works on negation normal form.
fn simplified(tree: BoolTree) -> BoolTree {
    match tree {
        BoolTree::And(parts) => joined(parts, Word::And),
        BoolTree::Or(parts) => joined(parts, Word::Or),
        BoolTree::Not(_) | BoolTree::Is(_) => tree,
    }
}

fn joined(parts: Vec<BoolTree>, word: Word) -> BoolTree {
    let mut parts: Vec<BoolTree> = parts.into_iter().map(simplified).collect();
    loop {
        let before = parts.clone();
        parts = flat(parts, word);
        if parts.iter().any(|part| absorbs(part, word)) {
            return if word == Word::And { never() } else { BoolTree::always() };
        }
        parts.sort();
        parts.dedup();
        parts = merged(parts, word);
        if parts == before {
            break;
        }
    }
    match (parts.len(), word) {
        (1, _) => parts.pop().unwrap_or_else(BoolTree::always),
        (_, Word::And) => BoolTree::And(parts),
        (_, Word::Or) => BoolTree::Or(parts),
    }
}

/// FALSE in an AND, TRUE in an OR.
fn absorbs(part: &BoolTree, word: Word) -> bool {
    match word {
        Word::And => is_never(part),
        Word::Or => part.is_always(),
    }
}

fn flat(parts: Vec<BoolTree>, word: Word) -> Vec<BoolTree> {
    parts
        .into_iter()
        .flat_map(|part| match (part, word) {
            (BoolTree::And(inner), Word::And) | (BoolTree::Or(inner), Word::Or) => inner,
            (part, _) => vec![part],
        })
        .collect()
}

/// Puts atoms about one column together, two at a time.
fn merged(parts: Vec<BoolTree>, word: Word) -> Vec<BoolTree> {
    let mut kept: Vec<BoolTree> = Vec::new();
    for part in parts {
        let found = kept.iter().enumerate().find_map(|(i, other)| Some((i, merge(other, &part, word)?)));
        match found {
            Some((i, merged)) => {
                kept.remove(i);
                kept.push(merged);
            }
            None => kept.push(part),
        }
    }
    kept
}

/// Both conditions in one, where that is an atom again.
fn merge(a: &BoolTree, b: &BoolTree, word: Word) -> Option<BoolTree> {
    match (positive(a), positive(b), negative(a), negative(b)) {
        (Some(Atom::In { column, values }), Some(Atom::In { column: other, values: more }), ..)
            if column == other =>
        {
            Some(in_values(column.clone(), together(values, more, word), Sense::Holds))
        }
        (.., Some(Atom::In { column, values }), Some(Atom::In { column: other, values: more }))
            if column == other =>
        {
            let dual = if word == Word::And { Word::Or } else { Word::And };
            Some(in_values(column.clone(), together(values, more, dual), Sense::Fails))
        }
        (Some(Atom::Range { column, lo, hi }), Some(Atom::Range { column: other, lo: l, hi: h }), ..)
            if column == other && word == Word::And =>
        {
            let lo =
                tighter(lo.as_ref(), l.as_ref(), |a, b| (&a.value, !a.inclusive) >= (&b.value, !b.inclusive));
            let hi =
                tighter(hi.as_ref(), h.as_ref(), |a, b| (&a.value, a.inclusive) <= (&b.value, b.inclusive));
            Some(range(column, lo, hi, Sense::Holds))
        }
        (
            Some(Atom::DateDiff { from, to, lo, hi }),
            Some(Atom::DateDiff { from: f, to: t, lo: l, hi: h }),
            ..,
        ) if (from, to) == (f, t) && word == Word::And => {
            let lo = [*lo, *l].into_iter().flatten().max();
            let hi = [*hi, *h].into_iter().flatten().min();
            Some(days::range(from.clone(), to.clone(), lo, hi, true))
        }
        _ => known_anyway(a, b, word).or_else(|| known_anyway(b, a, word)),
    }
}

/// `x IS NOT NULL` adds nothing to a comparison of x.
fn known_anyway(a: &BoolTree, b: &BoolTree, word: Word) -> Option<BoolTree> {
    let Some(Atom::IsNull { column }) = negative(a) else { return None };
    let compared = match (positive(b), negative(b)) {
        (
            Some(Atom::In { column: of, .. } | Atom::IsA { column: of, .. } | Atom::Range { column: of, .. }),
            _,
        )
        | (_, Some(Atom::In { column: of, .. } | Atom::IsA { column: of, .. })) => of == column,
        (Some(Atom::DateDiff { from, to, .. }), _) => {
            [from, to].into_iter().any(|date| *date == DateOf::Own(column.clone()))
        }
        _ => return None,
    };
    if !compared {
        return None;
    }
    Some(if word == Word::And { b.clone() } else { a.clone() })
}

fn positive(tree: &BoolTree) -> Option<&Atom> {
    match tree {
        BoolTree::Is(atom) => Some(atom),
        BoolTree::And(_) | BoolTree::Or(_) | BoolTree::Not(_) => None,
    }
}

fn negative(tree: &BoolTree) -> Option<&Atom> {
    match tree {
        BoolTree::Not(inner) => positive(inner),
        BoolTree::And(_) | BoolTree::Or(_) | BoolTree::Is(_) => None,
    }
}

fn together(a: &[Value], b: &[Value], word: Word) -> Vec<Value> {
    match word {
        Word::And => a.iter().filter(|value| b.contains(value)).cloned().collect(),
        Word::Or => a.iter().chain(b).cloned().collect(),
    }
}

fn tighter(
    a: Option<&Endpoint>,
    b: Option<&Endpoint>,
    first: impl Fn(&Endpoint, &Endpoint) -> bool,
) -> Option<Endpoint> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if first(a, b) { a.clone() } else { b.clone() }),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    }
}
