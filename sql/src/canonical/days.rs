//! Ranges of days in one spelling: from the smaller date to the larger.

use crate::private_query::{Atom, BoolTree, ColumnRef, DateOf};

/// `to - from` lies in a range, or (`holds` false) beside it: below or above.
pub(super) fn range(from: DateOf, to: DateOf, lo: Option<i64>, hi: Option<i64>, holds: bool) -> BoolTree {
    if let (DateOf::Own(column), true) = (&from, from == to) {
        return of_one_date(column, (lo, hi), holds);
    }
    if to < from {
        // `lo <= days < hi` is `1 - hi <= -days < 1 - lo`.
        let turned = |end: Option<i64>| end.map(|n| 1i64.saturating_sub(n));
        return range(to, from, turned(hi), turned(lo), holds);
    }
    let within = |lo, hi| BoolTree::Is(Atom::DateDiff { from: from.clone(), to: to.clone(), lo, hi });
    let empty = matches!((lo, hi), (Some(lo), Some(hi)) if lo >= hi);
    match (lo, hi, holds) {
        _ if empty && holds => BoolTree::Or(Vec::new()),
        (None, None, false) => BoolTree::Or(Vec::new()),
        (None, None, true) => known(&from, &to),
        _ if empty => known(&from, &to),
        (lo, hi, true) => within(lo, hi),
        (lo, hi, false) => {
            let below = lo.map(|lo| within(None, Some(lo)));
            let above = hi.map(|hi| within(Some(hi), None));
            BoolTree::Or(below.into_iter().chain(above).collect())
        }
    }
}

/// A date is no day from itself, where it is known.
fn of_one_date(column: &ColumnRef, (lo, hi): (Option<i64>, Option<i64>), holds: bool) -> BoolTree {
    let inside = lo.is_none_or(|lo| lo <= 0) && hi.is_none_or(|hi| hi > 0);
    if inside == holds { is_known(column) } else { BoolTree::Or(Vec::new()) }
}

fn is_known(column: &ColumnRef) -> BoolTree {
    BoolTree::Not(Box::new(BoolTree::Is(Atom::IsNull { column: column.clone() })))
}

/// Both dates are known. Of a row outside that is said by its days, whatever they are.
fn known(from: &DateOf, to: &DateOf) -> BoolTree {
    match (from, to) {
        (DateOf::Own(a), DateOf::Own(b)) => BoolTree::And(vec![is_known(a), is_known(b)]),
        (DateOf::Outer(_), _) | (_, DateOf::Outer(_)) => {
            let part = |lo, hi| BoolTree::Is(Atom::DateDiff { from: from.clone(), to: to.clone(), lo, hi });
            BoolTree::Or(vec![part(None, Some(0)), part(Some(0), None)])
        }
    }
}
