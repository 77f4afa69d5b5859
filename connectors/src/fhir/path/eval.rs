//! Answers an expression for a record. Items are pushed to whoever asked, who may say that it is enough: `first()`
//! and `exists()` look no further than they must, and nothing is collected that is not compared as a whole.

pub(super) mod functions;

use std::ops::ControlFlow;

use super::Fault;
use super::compare::{calculated, combined, equal};
use super::expr::{Choice, Expr, Operator, TypeName};
use super::item::Item;
use crate::fhir::json::{Kind, Value};

/// Whether the receiver of items wants more.
pub(crate) type Flow = ControlFlow<()>;

const GO_ON: Flow = ControlFlow::Continue(());
const ENOUGH: Flow = ControlFlow::Break(());

/// Takes items.
pub(crate) type Receiver<'r, 'a> = &'r mut dyn FnMut(Item<'a>) -> Result<Flow, Fault>;

/// What expressions are answered for.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    /// `$this`; nothing in a row that stands for an empty collection.
    pub(crate) this: Option<Item<'a>>,
    /// What `getResourceKey()` gives.
    pub(crate) key: Option<&'a str>,
    /// What `%rowIndex` gives.
    pub(crate) row_index: usize,
}

/// The first item, and whether there were more.
enum Single<'a> {
    None,
    One(Item<'a>),
    More,
}

/// Hands every item of `expr` to `receive`, until that has enough.
///
/// # Errors
/// When the record does not fit the expression.
pub(crate) fn each<'a>(expr: &'a Expr, scope: &Scope<'a>, receive: Receiver<'_, 'a>) -> Result<Flow, Fault> {
    match expr {
        Expr::Literal(literal) => receive(literal.into()),
        Expr::This => scope.this.clone().map_or(Ok(GO_ON), receive),
        Expr::RowIndex => receive(Item::Integer(i64::try_from(scope.row_index).unwrap_or(i64::MAX))),
        Expr::Resource(name) => match &scope.this {
            Some(Item::Node(value, ty))
                if value.text_of("resourceType").is_some_and(|found| found == *name) =>
            {
                receive(Item::Node(*value, *ty))
            }
            Some(_) | None => Ok(GO_ON),
        },
        Expr::Member(of, name) => each(of, scope, &mut |item| member(&item, name, receive)),
        Expr::Choice(of, choice) => each(of, scope, &mut |item| chosen(&item, choice, receive)),
        Expr::Index(of, index) => indexed(of, index, scope, receive),
        Expr::Call(of, function) => functions::call(of, function, scope, receive),
        Expr::Is(of, ty) => match one(of, scope)? {
            Some(item) => receive(Item::Truth(is_of(&item, ty))),
            None => Ok(GO_ON),
        },
        Expr::Negative(of) => match one(of, scope)?.and_then(|item| item.number()) {
            Some(number) => receive(Item::Decimal(number.negated())),
            None => Ok(GO_ON),
        },
        Expr::Binary(operator, a, b) => binary(*operator, a, b, scope, receive),
    }
}

/// The one item of `expr`, or none.
///
/// # Errors
/// When there are several.
pub(crate) fn one<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Option<Item<'a>>, Fault> {
    match single(expr, scope)? {
        Single::None => Ok(None),
        Single::One(item) => Ok(Some(item)),
        Single::More => Err(Fault::Several),
    }
}

/// The truth of a condition; `None` where it says nothing.
///
/// # Errors
/// When it gives something else than one truth.
pub(crate) fn truth<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Option<bool>, Fault> {
    match one(expr, scope)? {
        None => Ok(None),
        Some(item) => item.truth().map(Some).ok_or(Fault::NoTruth),
    }
}

fn single<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Single<'a>, Fault> {
    let mut found = Single::None;
    let _ = each(expr, scope, &mut |item| {
        found = match found {
            Single::None => Single::One(item),
            Single::One(_) | Single::More => Single::More,
        };
        Ok(if matches!(found, Single::More) { ENOUGH } else { GO_ON })
    })?;
    Ok(found)
}

/// The members of this name, or the choices among them.
fn member<'a>(item: &Item<'a>, name: &str, receive: Receiver<'_, 'a>) -> Result<Flow, Fault> {
    let Item::Node(value, _) = item else { return Ok(GO_ON) };
    if let Some(found) = value.get(name) {
        return spread(found, None, receive);
    }
    for (key, found) in value.members() {
        // Names with escapes are never choices: they are not borrowed from the text.
        if let std::borrow::Cow::Borrowed(key) = key
            && let Some(ty) = TypeName::of_choice(name, key)
            && spread(found, Some(ty), receive)?.is_break()
        {
            return Ok(ENOUGH);
        }
    }
    Ok(GO_ON)
}

/// The member of a choice that has the type.
fn chosen<'a>(item: &Item<'a>, choice: &'a Choice, receive: Receiver<'_, 'a>) -> Result<Flow, Fault> {
    let Item::Node(value, _) = item else { return Ok(GO_ON) };
    if let Some(found) = value.get(&choice.key) {
        let ty = choice.key.get(choice.name.len()..);
        return spread(found, ty, receive);
    }
    match value.get(&choice.name) {
        Some(found) => spread(found, None, &mut |item| {
            if is_of(&item, &choice.ty) { receive(item) } else { Ok(GO_ON) }
        }),
        None => Ok(GO_ON),
    }
}

/// The items of an array, or the value itself; null is no item.
fn spread<'a>(value: Value<'a>, ty: Option<&'a str>, receive: Receiver<'_, 'a>) -> Result<Flow, Fault> {
    match value.kind() {
        Kind::Array => {
            for item in value.items().filter(|item| item.kind() != Kind::Null) {
                if receive(Item::Node(item, ty))?.is_break() {
                    return Ok(ENOUGH);
                }
            }
            Ok(GO_ON)
        }
        Kind::Null => Ok(GO_ON),
        Kind::Object | Kind::Text | Kind::Escaped | Kind::Number | Kind::True | Kind::False => {
            receive(Item::Node(value, ty))
        }
    }
}

fn indexed<'a>(
    of: &'a Expr,
    index: &'a Expr,
    scope: &Scope<'a>,
    receive: Receiver<'_, 'a>,
) -> Result<Flow, Fault> {
    let wanted = one(index, scope)?.and_then(|item| item.number()).and_then(|number| number.integer());
    let Some(mut left) = wanted.and_then(|number| u64::try_from(number).ok()) else { return Ok(GO_ON) };
    let mut flow = GO_ON;
    let _ = each(of, scope, &mut |item| {
        if left == 0 {
            flow = receive(item)?;
            return Ok(ENOUGH);
        }
        left -= 1;
        Ok(GO_ON)
    })?;
    Ok(flow)
}

/// Whether an item is of a type, as far as its name, its content and JSON say it.
fn is_of(item: &Item<'_>, ty: &TypeName) -> bool {
    match item {
        Item::Node(_, Some(found)) => ty.is(found),
        Item::Node(value, None) => match value.kind() {
            Kind::True | Kind::False => ty.is("Boolean"),
            Kind::Number => {
                let is_whole = value.number().is_some_and(|digits| !digits.contains(['.', 'e', 'E']));
                ty.is("Decimal")
                    || is_whole && ["Integer", "PositiveInt", "UnsignedInt"].iter().any(|t| ty.is(t))
            }
            Kind::Text | Kind::Escaped => {
                let texts = [
                    "String",
                    "Code",
                    "Id",
                    "Uri",
                    "Url",
                    "Canonical",
                    "Oid",
                    "Uuid",
                    "Markdown",
                    "Base64Binary",
                ];
                let times = ["Date", "DateTime", "Instant", "Time"];
                texts.iter().any(|t| ty.is(t)) || times.iter().any(|t| ty.is(t)) && item.temporal().is_some()
            }
            Kind::Object => value.text_of("resourceType").is_some_and(|found| ty.is(&found)),
            Kind::Array | Kind::Null => false,
        },
        Item::Text(_) => ty.is("String"),
        Item::Truth(_) => ty.is("Boolean"),
        Item::Integer(_) => ty.is("Integer"),
        Item::Decimal(_) => ty.is("Decimal"),
        Item::Temporal(_) => ["Date", "DateTime", "Time"].iter().any(|t| ty.is(t)),
    }
}

fn binary<'a>(
    operator: Operator,
    a: &'a Expr,
    b: &'a Expr,
    scope: &Scope<'a>,
    receive: Receiver<'_, 'a>,
) -> Result<Flow, Fault> {
    let answer = match operator {
        Operator::Union => return union(a, b, scope, receive),
        Operator::And | Operator::Or | Operator::Xor => {
            let left = truth(a, scope)?;
            // What is decided already asks no further.
            let decided = combined(operator, left, None);
            let truth = if decided.is_some() { decided } else { combined(operator, left, truth(b, scope)?) };
            truth.map(Item::Truth)
        }
        Operator::Equal => all_equal(a, b, scope)?.map(Item::Truth),
        Operator::NotEqual => all_equal(a, b, scope)?.map(|equal| Item::Truth(!equal)),
        Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide => match (one(a, scope)?, one(b, scope)?) {
            (Some(a), Some(b)) => calculated(operator, &a, &b),
            (None, _) | (_, None) => None,
        },
    };
    answer.map_or(Ok(GO_ON), receive)
}

/// Whether two collections are equal, item by item in order; nothing if one is empty.
fn all_equal<'a>(a: &'a Expr, b: &'a Expr, scope: &Scope<'a>) -> Result<Option<bool>, Fault> {
    match (single(a, scope)?, single(b, scope)?) {
        (Single::None, _) | (_, Single::None) => Ok(None),
        (Single::One(a), Single::One(b)) => Ok(equal(&a, &b)),
        (Single::More, Single::More) => {
            let (a, b) = (collected(a, scope)?, collected(b, scope)?);
            let is_equal = || a.iter().zip(&b).try_fold(true, |all, (a, b)| Some(all && equal(a, b)?));
            Ok(if a.len() == b.len() { is_equal() } else { Some(false) })
        }
        (Single::One(_), Single::More) | (Single::More, Single::One(_)) => Ok(Some(false)),
    }
}

fn collected<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Vec<Item<'a>>, Fault> {
    let mut items = Vec::new();
    let _ = each(expr, scope, &mut |item| {
        items.push(item);
        Ok(GO_ON)
    })?;
    Ok(items)
}

/// The items of both without those that are there already, those of `a` first.
fn union<'a>(a: &'a Expr, b: &'a Expr, scope: &Scope<'a>, receive: Receiver<'_, 'a>) -> Result<Flow, Fault> {
    let mut seen: Vec<Item<'a>> = Vec::new();
    for expr in [a, b] {
        let flow = each(expr, scope, &mut |item| {
            if seen.iter().any(|before| equal(before, &item) == Some(true)) {
                return Ok(GO_ON);
            }
            let flow = receive(item.clone())?;
            // Whoever has enough asks for no more, and nothing needs to be remembered.
            if flow.is_continue() {
                seen.push(item);
            }
            Ok(flow)
        })?;
        if flow.is_break() {
            return Ok(ENOUGH);
        }
    }
    Ok(GO_ON)
}
