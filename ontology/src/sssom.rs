//! Sets of mappings in SSSOM TSV (the Simple Standard for Sharing Ontological Mappings): from codes and
//! spellings of sources to concepts. Reading is strict, because a line that is skipped is a patient who is
//! not counted. A row whose object is still empty is no fault: it waits for a curator, and is counted.

mod write;

use std::collections::BTreeMap;
use std::fmt;

use csv::{ReaderBuilder, StringRecord};

pub use write::Subject;

/// What a row says when there is no concept to map to.
const NO_TERM: &str = "sssom:NoTermFound";
/// Rows of one file.
const MAX_ROWS: usize = 4_000_000;

/// One SSSOM file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MappingSet {
    /// `mapping_set_id` of the header, or the name it was read under.
    pub id: String,
    /// `mapping_set_version` of the header.
    pub version: String,
    /// `curie_map` of the header: prefix to URI.
    pub prefixes: BTreeMap<String, String>,
    /// The rows that say something, in the order of the file.
    pub mappings: Vec<Mapping>,
    /// How many rows name a subject and nothing else: they wait for a curator and decide nothing.
    pub undecided: usize,
}

/// One row: subject, predicate, object.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Its line in the file, from 1.
    pub line: usize,
    /// The code system or source column of the subject: `DICOM.Modality`.
    pub source: String,
    /// The subject's code or value, percent-escapes undone: `GE MEDICAL SYSTEMS`.
    pub value: String,
    /// `subject_label`.
    pub label: String,
    /// How the object relates to the subject.
    pub predicate: Predicate,
    /// Whether `predicate_modifier` is `Not`: the object is expressly *not* so related.
    pub negated: bool,
    /// The object's CURIE; `None` where the row says that there is none (`sssom:NoTermFound`).
    pub object: Option<String>,
    /// `object_label`.
    pub object_label: String,
    /// `mapping_justification`.
    pub justification: String,
    /// `confidence`, 0 to 1.
    pub confidence: Option<f64>,
}

/// How an object relates to its subject; the order is that of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Predicate {
    /// The same meaning (`skos:exactMatch`, `owl:equivalentClass`, `owl:sameAs`).
    Exact,
    /// Near enough to stand for it (`skos:closeMatch`).
    Close,
    /// The object is broader: true of the subject, with less detail (`skos:broadMatch`, `rdfs:subClassOf`).
    Broad,
    /// The object is narrower: it says more than the subject does (`skos:narrowMatch`).
    Narrow,
    /// Some other relation (`skos:relatedMatch`, `oboInOwl:hasDbXref`).
    Related,
}

/// A text that is not an SSSOM file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mapping set {file}, line {line}: {reason}")]
pub struct SssomError {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Predicate::Exact => "skos:exactMatch",
            Predicate::Close => "skos:closeMatch",
            Predicate::Broad => "skos:broadMatch",
            Predicate::Narrow => "skos:narrowMatch",
            Predicate::Related => "skos:relatedMatch",
        })
    }
}

impl Predicate {
    fn parse(text: &str) -> Option<Self> {
        let local = text.rsplit([':', '#', '/']).next().unwrap_or(text);
        match local {
            "exactMatch" | "equivalentClass" | "sameAs" => Some(Predicate::Exact),
            "closeMatch" => Some(Predicate::Close),
            "broadMatch" | "subClassOf" => Some(Predicate::Broad),
            "narrowMatch" => Some(Predicate::Narrow),
            "relatedMatch" | "hasDbXref" => Some(Predicate::Related),
            _ => None,
        }
    }

    /// Whether data coded as the subject may be coded as the object.
    #[must_use]
    pub fn translates(self) -> bool {
        match self {
            Predicate::Exact | Predicate::Close | Predicate::Broad => true,
            Predicate::Narrow | Predicate::Related => false,
        }
    }
}

impl MappingSet {
    /// The sets compiled into this crate: DICOM, OMOP, FHIR.
    ///
    /// # Errors
    /// When a bundled file is faulty, which its tests exclude.
    pub fn bundled() -> Result<Vec<Self>, SssomError> {
        [
            ("dicom.sssom.tsv", include_str!("../mappings/dicom.sssom.tsv")),
            ("omop.sssom.tsv", include_str!("../mappings/omop.sssom.tsv")),
            ("fhir.sssom.tsv", include_str!("../mappings/fhir.sssom.tsv")),
            ("clinical.sssom.tsv", include_str!("../mappings/clinical.sssom.tsv")),
        ]
        .iter()
        .map(|(file, text)| Self::parse(file, text))
        .collect()
    }

    /// Reads an SSSOM file (TSV, or CSV if its heading has commas and no tabs); `file` is its name in errors.
    ///
    /// # Errors
    /// Names the first line that does not fit, and why.
    pub fn parse(file: &str, text: &str) -> Result<Self, SssomError> {
        let text = text.trim_start_matches('\u{feff}');
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let start = text.split_inclusive('\n').take(header.len()).map(str::len).sum::<usize>();
        let mut set = Self { id: file.to_owned(), ..Self::default() };
        set.read_header(&header);
        let rows = Rows { file, before: header.len(), text: &text[start..] };
        (set.mappings, set.undecided) = rows.read()?;
        Ok(set)
    }

    /// The keys this crate needs of the YAML in the header: scalars on their own line, and the map of
    /// prefixes.
    fn read_header(&mut self, lines: &[&str]) {
        let mut in_map = false;
        for line in lines {
            let line = line.trim_start_matches('#');
            let Some((key, value)) = line.split_once(':') else { continue };
            let (name, value) = (unquote(key), unquote(value));
            let indented = line.len() - line.trim_start().len() > 1;
            if in_map && indented {
                self.prefixes.insert(name, value);
                continue;
            }
            in_map = name == "curie_map";
            match name.as_str() {
                "mapping_set_id" if !value.is_empty() => self.id = value,
                "mapping_set_version" => self.version = value,
                _ => {}
            }
        }
    }
}

fn unquote(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

struct Rows<'a> {
    file: &'a str,
    /// Lines before the heading.
    before: usize,
    text: &'a str,
}

struct Columns {
    places: BTreeMap<String, usize>,
}

impl Columns {
    fn get<'a>(&self, row: &'a StringRecord, column: &str) -> &'a str {
        self.places.get(column).and_then(|place| row.get(*place)).unwrap_or_default().trim()
    }
}

impl Rows<'_> {
    /// The rows, and how many are undecided.
    fn read(&self) -> Result<(Vec<Mapping>, usize), SssomError> {
        let heading = self.text.lines().next().unwrap_or_default();
        let comma = heading.contains(',') && !heading.contains('\t');
        let delimiter = if comma { b',' } else { b'\t' };
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(comma)
            .flexible(true)
            .from_reader(self.text.as_bytes());
        let headers = reader.headers().map_err(|e| self.fault(1, &e.to_string()))?;
        let width = headers.len();
        let columns = Columns { places: headers.iter().map(|h| h.trim().to_owned()).zip(0..).collect() };
        for required in ["subject_id", "predicate_id", "object_id"] {
            if !columns.places.contains_key(required) {
                return Err(self.fault(1, &format!("the heading has no column {required}")));
            }
        }
        let (mut mappings, mut undecided) = (Vec::new(), 0);
        for row in reader.into_records() {
            let row = row.map_err(|e| self.fault(1, &e.to_string()))?;
            let line = row.position().map_or(1, |p| p.line() as usize);
            if row.len() > width {
                return Err(self.fault(line, &format!("{} fields under {width} columns", row.len())));
            }
            match self.mapping(&row, &columns, line)? {
                Some(mapping) => mappings.push(mapping),
                None => undecided += 1,
            }
            if mappings.len() + undecided > MAX_ROWS {
                return Err(self.fault(line, "more than 4,000,000 rows"));
            }
        }
        Ok((mappings, undecided))
    }

    /// A row; `None` where its object is yet to be found.
    fn mapping(
        &self,
        row: &StringRecord,
        columns: &Columns,
        line: usize,
    ) -> Result<Option<Mapping>, SssomError> {
        let get = |column| columns.get(row, column);
        let fault = |reason: String| self.fault(line, &reason);
        let (source, value) = curie(get("subject_id")).map_err(|e| fault(format!("subject_id {e}")))?;
        let predicate = get("predicate_id");
        let object = get("object_id");
        if object.is_empty() && !predicate.ends_with("noMatch") {
            return Ok(None);
        }
        let no_term = object == NO_TERM || predicate.ends_with("noMatch");
        if !no_term {
            curie(object).map_err(|e| fault(format!("object_id {e}")))?;
        }
        let known = "skos:exactMatch, closeMatch, broadMatch, narrowMatch, relatedMatch, noMatch";
        let predicate = match Predicate::parse(predicate) {
            Some(predicate) => predicate,
            None if no_term || predicate.is_empty() => Predicate::Exact,
            None => return Err(fault(format!("predicate_id '{predicate}' is not one of {known}"))),
        };
        Ok(Some(Mapping {
            line: self.before + line,
            source,
            value,
            label: get("subject_label").into(),
            predicate,
            negated: modifier(get("predicate_modifier")).map_err(fault)?,
            object: (!no_term).then(|| object.to_owned()),
            object_label: get("object_label").into(),
            justification: get("mapping_justification").into(),
            confidence: confidence(get("confidence")).map_err(fault)?,
        }))
    }

    fn fault(&self, line: usize, reason: &str) -> SssomError {
        SssomError { file: self.file.to_owned(), line: self.before + line, reason: reason.to_owned() }
    }
}

fn modifier(text: &str) -> Result<bool, String> {
    match text {
        "" => Ok(false),
        "Not" | "not" => Ok(true),
        other => Err(format!("predicate_modifier '{other}' is neither empty nor Not")),
    }
}

fn confidence(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number: f64 = text.parse().map_err(|_| format!("confidence '{text}' is no number"))?;
    if (0.0..=1.0).contains(&number) {
        Ok(Some(number))
    } else {
        Err(format!("confidence {number} is not in 0..1"))
    }
}

/// Splits `prefix:local`, with percent-escapes of the local part undone (CURIEs hold no spaces).
fn curie(text: &str) -> Result<(String, String), String> {
    if text.is_empty() {
        return Err("is empty".into());
    }
    match text.split_once(':') {
        Some((prefix, local)) if !prefix.is_empty() && !local.is_empty() => {
            Ok((prefix.to_owned(), unescape_percent(local)))
        }
        Some(_) | None => Err(format!("'{text}' is no CURIE (prefix:local)")),
    }
}

fn unescape_percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = (*first == b'%').then(|| tail.get(..2)).flatten();
        let escaped = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "#curie_map:\n#  DICOM.Modality: https://example.org/modality/\n\
                        #mapping_set_id: ours\n\
                        # mapping_set_version: \"3\"\n\
                        subject_id\tpredicate_id\tobject_id\tpredicate_modifier\tconfidence\n";

    fn read(rows: &str) -> Result<MappingSet, SssomError> {
        MappingSet::parse("x.sssom.tsv", &format!("{HEAD}{rows}"))
    }

    #[test]
    fn header_and_rows_are_read() {
        let set = read("DICOM.Modality:GE%20%C3%A9\tskos:closeMatch\tEUCAIM:IMG1000038\t\t0.8\n").unwrap();
        assert_eq!((set.id.as_str(), set.version.as_str()), ("ours", "3"));
        assert_eq!(set.prefixes["DICOM.Modality"], "https://example.org/modality/");
        let row = &set.mappings[0];
        assert_eq!((row.line, row.source.as_str(), row.value.as_str()), (6, "DICOM.Modality", "GE é"));
        assert_eq!((row.predicate, row.confidence), (Predicate::Close, Some(0.8)));
    }

    #[test]
    fn a_row_may_say_that_there_is_no_term() {
        let set =
            read("a:SR\tskos:exactMatch\tsssom:NoTermFound\nb:X\tskos:noMatch\tEUCAIM:IMG1000038\n").unwrap();
        assert!(set.mappings.iter().all(|m| m.object.is_none()));
    }

    #[test]
    fn a_row_without_an_object_waits_and_one_without_a_predicate_means_the_same() {
        let set = read("a:x\t\t\na:y\tskos:exactMatch\t\na:z\t\tEUCAIM:IMG1000038\n").unwrap();
        assert_eq!((set.undecided, set.mappings.len()), (2, 1));
        assert_eq!((set.mappings[0].value.as_str(), set.mappings[0].predicate), ("z", Predicate::Exact));
        assert!(
            read("prostate\t\t\n").unwrap_err().to_string().contains("subject_id 'prostate' is no CURIE")
        );
    }

    #[test]
    fn faults_name_file_line_and_reason() {
        let fault = |rows: &str| read(rows).unwrap_err().to_string();
        let good = "a:b\tskos:exactMatch\tEUCAIM:IMG1000038\n";
        assert_eq!(
            fault(&format!("{good}a:b\tskos:exactMatch\tprostate")),
            "mapping set x.sssom.tsv, line 7: object_id 'prostate' is no CURIE (prefix:local)"
        );
        assert!(fault("\tskos:exactMatch\ta:b").contains("line 6: subject_id is empty"));
        assert!(
            fault("a:b\tskos:mostlyMatch\ta:b").contains("predicate_id 'skos:mostlyMatch' is not one of")
        );
        assert!(fault("a:b\tskos:exactMatch\ta:b\tMaybe").contains("predicate_modifier 'Maybe'"));
        assert!(fault("a:b\tskos:exactMatch\ta:b\t\t1.5").contains("confidence 1.5 is not in 0..1"));
        assert!(fault("a:b\tskos:exactMatch\ta:b\t\t\tmore").contains("6 fields under 5 columns"));
        let headless = MappingSet::parse("y", "subject_id\tobject_id\n").unwrap_err().to_string();
        assert!(headless.contains("line 1: the heading has no column predicate_id"));
    }

    #[test]
    fn quotes_in_tab_separated_values_are_ordinary_characters() {
        let set = read("a:\"b\tskos:exactMatch\tEUCAIM:IMG1000038\n").unwrap();
        assert_eq!(set.mappings[0].value, "\"b");
    }
}
