//! The functions of the subset.

use std::borrow::Cow;

use super::{ENOUGH, Flow, GO_ON, Receiver, Scope, each, is_of, one, truth};
use crate::fhir::path::expr::{Expr, Function, TypeName};
use crate::fhir::path::item::Item;
use crate::fhir::path::{Fault, boundary};

/// Hands what `input.function(...)` gives to `receive`.
pub(super) fn call<'a>(
    input: &'a Expr,
    function: &'a Function,
    scope: &Scope<'a>,
    receive: Receiver<'_, 'a>,
) -> Result<Flow, Fault> {
    match function {
        Function::Where(criteria) => each(input, scope, &mut |item| {
            if holds(criteria, &item, scope)? { receive(item) } else { Ok(GO_ON) }
        }),
        Function::Exists(criteria) => receive(Item::Truth(exists(input, criteria.as_deref(), scope)?)),
        Function::Empty => receive(Item::Truth(!exists(input, None, scope)?)),
        Function::Not => match truth(input, scope)? {
            Some(truth) => receive(Item::Truth(!truth)),
            None => Ok(GO_ON),
        },
        Function::First => first(input, scope, receive),
        Function::Last => {
            let mut last = None;
            let _ = each(input, scope, &mut |item| {
                last = Some(item);
                Ok(GO_ON)
            })?;
            last.map_or(Ok(GO_ON), receive)
        }
        Function::Count => {
            let mut count = 0;
            let _ = each(input, scope, &mut |_| {
                count += 1;
                Ok(GO_ON)
            })?;
            receive(Item::Integer(count))
        }
        Function::Join(separator) => receive(joined(input, separator.as_deref(), scope)?),
        Function::OfType(ty) => {
            each(input, scope, &mut |item| if is_of(&item, ty) { receive(item) } else { Ok(GO_ON) })
        }
        Function::Extension(url) => extension(input, url, scope, receive),
        Function::ResourceKey => scope.key.map_or(Ok(GO_ON), |key| receive(Item::Text(Cow::Borrowed(key)))),
        Function::ReferenceKey(ty) => each(input, scope, &mut |item| {
            reference_key(&item, ty.as_ref()).map_or(Ok(GO_ON), |key| receive(Item::Text(key)))
        }),
        Function::Boundary(side) => {
            each(input, scope, &mut |item| bounded(&item, *side).map_or(Ok(GO_ON), &mut *receive))
        }
        Function::Replace(pattern, substitute) => replaced(input, pattern, substitute, scope, receive),
    }
}

fn holds<'a>(criteria: &'a Expr, item: &Item<'a>, scope: &Scope<'a>) -> Result<bool, Fault> {
    let inner = Scope { this: Some(item.clone()), ..*scope };
    Ok(truth(criteria, &inner)? == Some(true))
}

fn exists<'a>(input: &'a Expr, criteria: Option<&'a Expr>, scope: &Scope<'a>) -> Result<bool, Fault> {
    let mut found = false;
    let _ = each(input, scope, &mut |item| {
        found = criteria.map_or(Ok(true), |criteria| holds(criteria, &item, scope))?;
        Ok(if found { ENOUGH } else { GO_ON })
    })?;
    Ok(found)
}

fn first<'a>(input: &'a Expr, scope: &Scope<'a>, receive: Receiver<'_, 'a>) -> Result<Flow, Fault> {
    let mut flow = GO_ON;
    let _ = each(input, scope, &mut |item| {
        flow = receive(item)?;
        Ok(ENOUGH)
    })?;
    Ok(flow)
}

/// The texts of all items with the separator between them.
fn joined<'a>(input: &'a Expr, separator: Option<&'a Expr>, scope: &Scope<'a>) -> Result<Item<'a>, Fault> {
    let separator = match separator {
        Some(expr) => one(expr, scope)?.and_then(|item| item.text()).unwrap_or_default(),
        None => Cow::Borrowed(""),
    };
    let (mut text, mut is_first) = (String::new(), true);
    let _ = each(input, scope, &mut |item| {
        if !std::mem::take(&mut is_first) {
            text.push_str(&separator);
        }
        text.push_str(&item.text().unwrap_or_default());
        Ok(GO_ON)
    })?;
    Ok(Item::Text(text.into()))
}

fn extension<'a>(
    input: &'a Expr,
    url: &'a Expr,
    scope: &Scope<'a>,
    receive: Receiver<'_, 'a>,
) -> Result<Flow, Fault> {
    let Some(url) = one(url, scope)?.and_then(|item| item.text()) else { return Ok(GO_ON) };
    each(input, scope, &mut |item| {
        let Item::Node(value, _) = item else { return Ok(GO_ON) };
        let extensions = value.get("extension").into_iter().flat_map(|extensions| extensions.items());
        for extension in
            extensions.filter(|extension| extension.text_of("url").is_some_and(|found| found == url))
        {
            if receive(Item::Node(extension, None))?.is_break() {
                return Ok(ENOUGH);
            }
        }
        Ok(GO_ON)
    })
}

/// The key of the resource that a Reference names, if it may be of the type.
fn reference_key<'a>(item: &Item<'a>, ty: Option<&TypeName>) -> Option<Cow<'a, str>> {
    let Item::Node(value, _) = item else { return None };
    let reference = value.text_of("reference")?;
    let (named, key) = target(&reference)?;
    let declared = value.text_of("type");
    let found = named.or(declared.as_deref());
    if ty.is_some_and(|ty| found.is_some_and(|found| !ty.is(found))) {
        return None;
    }
    let (start, length) = (reference.find(key)?, key.len());
    Some(match reference {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(start..start + length)?),
        Cow::Owned(text) => Cow::Owned(text.get(start..start + length)?.to_owned()),
    })
}

/// The type, if it is said, and the id of what a reference names (FHIR R4 section 2.3.0.1): `Patient/1`,
/// `http://server/Patient/1/_history/2`, `urn:uuid:...`. What is contained in the record has no key.
pub(crate) fn target(reference: &str) -> Option<(Option<&str>, &str)> {
    if let Some(uuid) = reference.strip_prefix("urn:uuid:").or_else(|| reference.strip_prefix("urn:oid:")) {
        return (!uuid.is_empty()).then_some((None, uuid));
    }
    let unversioned = reference.split("/_history/").next().unwrap_or(reference);
    let mut parts = unversioned.rsplit('/');
    let (id, ty) = (parts.next()?, parts.next()?);
    let is_type = ty.starts_with(|c: char| c.is_ascii_uppercase());
    (is_type && !id.is_empty() && !reference.starts_with('#')).then_some((Some(ty), id))
}

fn bounded<'a>(item: &Item<'a>, side: boundary::Side) -> Option<Item<'a>> {
    if let Some(number) = item.number() {
        return boundary::of_decimal(number, side).map(Item::Decimal);
    }
    let is_date_time = matches!(item, Item::Node(_, Some("DateTime" | "Instant")));
    let text = boundary::of_temporal(item.temporal()?, side, is_date_time)?;
    Some(Item::Text(text.into()))
}

fn replaced<'a>(
    input: &'a Expr,
    pattern: &'a Expr,
    substitute: &'a Expr,
    scope: &Scope<'a>,
    receive: Receiver<'_, 'a>,
) -> Result<Flow, Fault> {
    let word = |expr| Ok(one(expr, scope)?.and_then(|item| item.text()));
    let (Some(text), Some(pattern), Some(substitute)) = (word(input)?, word(pattern)?, word(substitute)?)
    else {
        return Ok(GO_ON);
    };
    let changes = text.contains(pattern.as_ref());
    receive(Item::Text(if changes { text.replace(pattern.as_ref(), &substitute).into() } else { text }))
}
