//! From a piece of text to its resources: values that JSON holds, entries of Bundles, each with its place.

use std::borrow::Cow;

use super::json::{Fault as JsonFault, Kind, Tape, Value};
use super::path;
use crate::Code;
use crate::tally::Fault;

/// A resource, and what stands around it.
pub(super) struct Resource<'d> {
    pub(super) value: Value<'d>,
    /// What it is: `Patient`.
    pub(super) ty: Cow<'d, str>,
    /// Its line, or in a document its number among the entries.
    pub(super) line: u64,
    /// Where it stands in a Bundle, if it does.
    pub(super) entry: Option<Entry<'d>>,
}

/// A place in a Bundle.
#[derive(Clone)]
pub(super) struct Entry<'d> {
    /// The line of the Bundle: references by URN mean something only inside it.
    pub(super) bundle: u64,
    pub(super) full_url: Option<Cow<'d, str>>,
}

impl Resource<'_> {
    /// The logical id; in a Bundle that has not been stored yet, the one that the entry gives.
    pub(super) fn id(&self) -> Option<Cow<'_, str>> {
        let own = self.value.text_of("id").filter(|id| !id.is_empty());
        own.or_else(|| {
            let url = self.entry.as_ref()?.full_url.as_deref()?;
            path::target(url).map(|(_, id)| Cow::Borrowed(id))
        })
    }
}

/// Hands every resource of a text to `take`, and what is none to `fault`. `line` is the number of the text's line.
pub(super) fn resources(
    text: &[u8],
    line: u64,
    tape: &mut Tape,
    take: &mut dyn FnMut(&Resource<'_>),
    fault: &mut dyn FnMut(Fault),
) {
    let document =
        match std::str::from_utf8(text).map_err(|_| JsonFault::Encoding).and_then(|text| tape.read(text)) {
            Ok(document) => document,
            Err(wrong) => return fault(refused(line, wrong)),
        };
    let root = document.root();
    let is_array = root.kind() == Kind::Array;
    for (number, value) in root.items().enumerate() {
        let line = if is_array { number as u64 + 1 } else { line };
        match value.text_of("resourceType") {
            Some(ty) if ty == "Bundle" => entries(value, line, take),
            Some(ty) => take(&Resource { value, ty, line, entry: None }),
            None => {
                let reason = "it is JSON without a resourceType".to_owned();
                fault(Fault { line, code: Code::NotFhir, reason });
            }
        }
    }
}

/// The resources of a Bundle. An entry without one says what was deleted or asked for.
fn entries(bundle: Value<'_>, line: u64, take: &mut dyn FnMut(&Resource<'_>)) {
    let entries = bundle.get("entry").into_iter().flat_map(Value::items);
    for (number, entry) in entries.enumerate() {
        let Some(value) = entry.get("resource") else { continue };
        let Some(ty) = value.text_of("resourceType") else { continue };
        let full_url = entry.text_of("fullUrl");
        let entry = Some(Entry { bundle: line, full_url });
        take(&Resource { value, ty, line: number as u64 + 1, entry });
    }
}

fn refused(line: u64, wrong: JsonFault) -> Fault {
    let code = match wrong {
        JsonFault::Deep(_) => Code::NestingLimit,
        JsonFault::Long => Code::LineLimit,
        JsonFault::Cut
        | JsonFault::Unexpected(_)
        | JsonFault::Control(_)
        | JsonFault::Escape(_)
        | JsonFault::Twice(_)
        | JsonFault::Encoding => Code::BadJson,
    };
    Fault { line, code, reason: wrong.to_string() }
}

/// The lines of a text that are not blank, with their numbers.
pub(super) fn lines(text: &[u8], first: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines
        .map(move |(number, line)| (first + number as u64, line.trim_ascii()))
        .filter(|(_, line)| !line.is_empty())
}

/// A text of lines in about so many parts of whole lines, each with the number of its first line.
pub(super) fn parts(text: &[u8], first: u64, count: usize) -> Vec<(u64, &[u8])> {
    let (mut parts, mut rest, mut line) = (Vec::with_capacity(count), text, first);
    let size = text.len().div_ceil(count.max(1));
    while !rest.is_empty() {
        let ahead = rest.get(size..).unwrap_or_default();
        let end = ahead.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| size + end + 1);
        let (part, after) = rest.split_at(end);
        parts.push((line, part));
        line += super::reader::count_lines(part);
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_hold_all_lines_with_their_numbers(text in "[a\n]{0,200}", count in 1_usize..9) {
            let whole: Vec<_> = lines(text.as_bytes(), 7).collect();
            let parts = parts(text.as_bytes(), 7, count);
            let joined: Vec<_> = parts.iter().flat_map(|(first, part)| lines(part, *first)).collect();
            prop_assert_eq!(joined, whole);
        }
    }

    #[test]
    fn bundles_arrays_and_single_resources_give_the_same_resources() {
        let found = |text: &str| {
            let (mut found, mut faults) = (Vec::new(), Vec::new());
            let mut take =
                |r: &Resource<'_>| found.push((r.ty.to_string(), r.line, r.id().map(Cow::into_owned)));
            resources(text.as_bytes(), 5, &mut Tape::default(), &mut take, &mut |f| {
                faults.push((f.line, f.code))
            });
            (found, faults)
        };
        let (patient, nothing) = (r#"{"resourceType":"Patient","id":"1"}"#, r#"{"id":"1"}"#);
        let row = |line| ("Patient".to_owned(), line, Some("1".to_owned()));
        assert_eq!(found(patient), (vec![row(5)], vec![]));
        assert_eq!(found(&format!("[{nothing},{patient}]")), (vec![row(2)], vec![(1, Code::NotFhir)]));
        let bundle =
            format!(r#"{{"resourceType":"Bundle","entry":[{{"request":{{}}}},{{"resource":{patient}}}]}}"#);
        assert_eq!(found(&bundle), (vec![row(2)], vec![]));
        let unstored = r#"{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:9","resource":{"resourceType":"Patient"}}]}"#;
        assert_eq!(found(unstored).0, [("Patient".to_owned(), 1, Some("9".to_owned()))]);
        for (text, code) in [("{", Code::BadJson), ("3", Code::NotFhir), ("[[1]]", Code::NotFhir)] {
            assert_eq!(found(text).1.first().map(|fault| fault.1), Some(code), "{text}");
        }
        assert_eq!(found(&"[".repeat(200)).1, [(5, Code::NestingLimit)]);
    }
}
