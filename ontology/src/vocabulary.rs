//! Caim's own file form of an ontology: what `vocabulary/hyperontology.tsv` is written in.
//!
//! Lines of text, tab-separated, so that a change shows as a change of lines. Comments (`#`) and
//! `name<TAB>value` lines first, then a heading that starts with `code`, then one concept a line. Lists use
//! `|`; a backslash protects `|`, `\`, tabs and line breaks inside values. The column `definition` is there where
//! any concept has one.

use std::fmt::Write as _;

use crate::code::CrossCode;
use crate::source::{OntologySource, SourceConcept};

const FORM: &str = "caim-vocabulary";
const FORM_VERSION: &str = "1";
const HEADING: &str = "code\tlabel\tparents\tcross_codes\tsynonyms\tdomain\tflags";
const DEFINITION: &str = "\tdefinition";

/// A text that is not in Caim's vocabulary form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("vocabulary, line {line}: {reason}")]
pub struct VocabularyError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl OntologySource {
    /// Reads Caim's vocabulary form.
    ///
    /// # Errors
    /// Names the line that does not fit.
    pub fn parse(text: &str) -> Result<Self, VocabularyError> {
        let mut source = Self::default();
        let mut lines = (1..).zip(text.lines());
        let width = head(&mut source, &mut lines)?;
        for (line, row) in lines.filter(|(_, row)| !row.is_empty()) {
            let concept = concept(row, width).map_err(|reason| VocabularyError { line, reason })?;
            source.concepts.push(concept);
        }
        Ok(source)
    }

    /// Writes Caim's vocabulary form, with `comment` lines first. Concepts keep their order.
    #[must_use]
    pub fn to_text(&self, comment: &str) -> String {
        let mut text = format!("{FORM}\t{FORM_VERSION}\n");
        comment.lines().for_each(|line| push_line(&mut text, &format!("# {line}")));
        push_line(&mut text, &format!("prefix\t{}", escape(&self.prefix)));
        push_line(&mut text, &format!("version\t{}", escape(&self.version)));
        push_line(&mut text, &format!("attribution\t{}", escape(&self.attribution)));
        self.namespaces.iter().for_each(|n| push_line(&mut text, &format!("namespace\t{}", escape(n))));
        let defined = self.concepts.iter().any(|concept| concept.definition.is_some());
        push_line(&mut text, &format!("{HEADING}{}", if defined { DEFINITION } else { "" }));
        for concept in &self.concepts {
            let definition = escape(concept.definition.as_deref().unwrap_or_default());
            let last = if defined { format!("\t{definition}") } else { String::new() };
            push_line(&mut text, &format!("{}{last}", row(concept)));
        }
        text
    }
}

/// Reads what stands above the concepts, and gives the number of their columns.
fn head<'a>(
    source: &mut OntologySource,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<usize, VocabularyError> {
    let fault = |line, reason: &str| VocabularyError { line, reason: reason.into() };
    match lines.next() {
        Some((_, first)) if first == format!("{FORM}\t{FORM_VERSION}") => {}
        Some(_) | None => return Err(fault(1, "the first line must be 'caim-vocabulary', a tab and '1'")),
    }
    let mut last = 1;
    for (line, row) in lines.by_ref() {
        last = line;
        if row.strip_prefix(HEADING).is_some_and(|rest| rest.is_empty() || rest == DEFINITION) {
            return Ok(row.split('\t').count());
        }
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        let (name, value) = row.split_once('\t').unwrap_or((row, ""));
        let value = unescape(value);
        match name {
            "prefix" => source.prefix = value,
            "version" => source.version = value,
            "attribution" => source.attribution = value,
            "namespace" => source.namespaces.push(value),
            _ => return Err(fault(line, "expected prefix, version, attribution, namespace or the heading")),
        }
    }
    Err(fault(last, "the heading line that starts with 'code' is missing"))
}

fn concept(row: &str, width: usize) -> Result<SourceConcept, String> {
    let fields: Vec<&str> = row.split('\t').collect();
    let wrong = || Err(format!("{} fields instead of {width}", fields.len()));
    if fields.len() != width {
        return wrong();
    }
    let [code, label, parents, cross_codes, synonyms, domain, flags, ref definition @ ..] = fields[..] else {
        return wrong();
    };
    let cross_code =
        |text: String| CrossCode::parse(&text).ok_or_else(|| format!("'{text}' is no SYSTEM:code"));
    let mut concept = SourceConcept {
        code: unescape(code),
        label: unescape(label),
        parents: items(parents).collect(),
        cross_codes: items(cross_codes).map(cross_code).collect::<Result<_, _>>()?,
        synonyms: items(synonyms).collect(),
        domain: Some(unescape(domain)).filter(|d| !d.is_empty()),
        definition: definition.first().map(|d| unescape(d)).filter(|d| !d.is_empty()),
        ..SourceConcept::default()
    };
    for flag in items(flags) {
        match flag.as_str() {
            "searchable" => concept.searchable = true,
            "obsolete" => concept.obsolete = true,
            _ => return Err(format!("unknown flag '{flag}': known are searchable, obsolete")),
        }
    }
    Ok(concept)
}

fn row(concept: &SourceConcept) -> String {
    let cross_codes: Vec<String> = concept.cross_codes.iter().map(ToString::to_string).collect();
    let flags = [("searchable", concept.searchable), ("obsolete", concept.obsolete)];
    let flags: Vec<String> =
        flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned()).collect();
    let fields = [
        escape(&concept.code),
        escape(&concept.label),
        join(&concept.parents),
        join(&cross_codes),
        join(&concept.synonyms),
        escape(concept.domain.as_deref().unwrap_or_default()),
        join(&flags),
    ];
    fields.join("\t")
}

fn push_line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}

fn join(items: &[String]) -> String {
    items.iter().map(|item| escape(item)).collect::<Vec<_>>().join("|")
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '|' => escaped.push_str("\\|"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn unescape(value: &str) -> String {
    if !value.contains('\\') {
        return value.to_owned();
    }
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('r')) => plain.push('\r'),
            ('\\', Some(other)) => plain.push(other),
            (c, _) => plain.push(c),
        }
    }
    plain
}

/// The items of a list; none for an empty field.
fn items(field: &str) -> impl Iterator<Item = String> {
    let mut rest = Some(field).filter(|f| !f.is_empty());
    std::iter::from_fn(move || {
        let list = rest?;
        let end = if list.contains('\\') { unprotected_bar(list) } else { list.find('|') };
        rest = end.map(|end| &list[end + 1..]);
        Some(unescape(&list[..end.unwrap_or(list.len())]))
    })
}

fn unprotected_bar(list: &str) -> Option<usize> {
    let mut protected = false;
    list.find(|c| {
        let bar = c == '|' && !protected;
        protected = c == '\\' && !protected;
        bar
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in prop::collection::vec("[a|\\\\\t\n\r:é]{1,6}", 7)) {
            let mut source = OntologySource::eucaim();
            source.version = texts[0].clone();
            source.concepts.push(SourceConcept {
                code: texts[1].clone(),
                label: texts[2].clone(),
                parents: vec![texts[3].clone(), texts[4].clone()],
                cross_codes: CrossCode::parse("SNOMEDCT:1").into_iter().collect(),
                synonyms: vec![texts[5].clone()],
                domain: Some("Condition".into()),
                searchable: true,
                definition: Some(texts[6].clone()).filter(|t| t.contains('a')),
                ..SourceConcept::default()
            });
            prop_assert_eq!(OntologySource::parse(&source.to_text("two\nlines")), Ok(source));
        }
    }

    #[test]
    fn faults_name_their_line() {
        let fault = |text: &str| OntologySource::parse(text).unwrap_err().to_string();
        assert!(fault("").contains("line 1: the first line"));
        assert!(fault("caim-vocabulary\t1\ncolour\tred\n").contains("line 2: expected prefix"));
        assert!(fault("caim-vocabulary\t1\nprefix\tX\n").contains("line 2: the heading"));
        let rows = |row: &str| fault(&format!("caim-vocabulary\t1\n{HEADING}\n{row}\n"));
        assert!(rows("A\tB").contains("line 3: 2 fields instead of 7"));
        assert!(rows("A\tB\t\tSNOMEDCT\t\t\t").contains("'SNOMEDCT' is no SYSTEM:code"));
        assert!(rows("A\tB\t\t\t\t\tred").contains("unknown flag 'red'"));
    }
}
