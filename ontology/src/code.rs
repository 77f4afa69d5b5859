//! Codes of other vocabularies, brought to one spelling. Two spellings of one code must compare equal, or a
//! question about `SCT|399068003` would miss records coded `SNOMEDCT:399068003`.

mod system;

use std::fmt;

pub use system::CodeSystem;
pub(crate) use system::strip_prefix_any_case;

/// A code of another vocabulary, in its normal spelling: `SNOMEDCT:399068003`, `ICD10:C61`,
/// `RADLEX:RID10312`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrossCode {
    /// Whose code it is.
    pub system: CodeSystem,
    /// The code as that system writes it.
    pub code: Box<str>,
}

impl CrossCode {
    /// A code of a system, brought to the normal spelling of that system.
    #[must_use]
    pub fn new(system: CodeSystem, code: &str) -> Self {
        let code = normal(&system, code.trim()).trim().into();
        Self { system, code }
    }

    /// Reads `SYSTEM:code`, `uri|code`, `uri/code` and the few bare codes that cannot be anything else
    /// (`RID10312`).
    ///
    /// Systems are recognised by their usual names, URIs and OIDs in any case. A prefix that is no known
    /// system is kept as a system of its own; a URI of no known system is no code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (system, code) = split(text)?;
        Some(Self::new(system, code)).filter(|found| is_code(&found.code))
    }
}

impl fmt::Display for CrossCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.system, self.code)
    }
}

/// Whether a text can be a code: what has the strokes of an address would be read as one.
fn is_code(text: &str) -> bool {
    !text.is_empty() && !text.starts_with("//") && !text.contains("://")
}

fn split(text: &str) -> Option<(CodeSystem, &str)> {
    if text.contains("://") || system::strip_prefix_any_case(text, "urn:").is_some() {
        return match text.rsplit_once('|') {
            Some((uri, code)) => Some((CodeSystem::known(uri)?, code)),
            None => system::split_uri(text),
        };
    }
    match text.split_once([':', '|']) {
        Some((name, code)) => (!name.trim().is_empty()).then(|| (CodeSystem::new(name), code)),
        None => bare(text),
    }
}

/// Codes that show their system without a prefix: RadLex ids, and SNOMED CT as EUCAIM's explorer writes it
/// (`SNOMEDCT399068003`).
fn bare(text: &str) -> Option<(CodeSystem, &str)> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let (letters, number) = text.split_at(digits);
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match letters.to_ascii_uppercase().as_str() {
        "RID" => Some((CodeSystem::RADLEX, text)),
        "SNOMEDCT" | "SCT" | "SNOMED" => Some((CodeSystem::SNOMEDCT, number)),
        _ => None,
    }
}

fn normal(system: &CodeSystem, code: &str) -> String {
    match system.name() {
        "RADLEX" => radlex(code),
        "ICD10" => dotted(code),
        "ICDO3" => icdo3(code),
        "DICOM" => dicom(code),
        "NCIT" => code.to_ascii_uppercase().trim_start_matches("NCIT_").to_owned(),
        "LOINC" | "UMLS" | "ATC" | "ICD10PCS" => code.to_ascii_uppercase(),
        // Other systems may tell codes apart by case, as UCUM does (mg, Mg).
        _ => code.to_owned(),
    }
}

fn radlex(code: &str) -> String {
    let code = code.to_ascii_uppercase();
    let number = !code.is_empty() && code.bytes().all(|b| b.is_ascii_digit());
    if number { format!("RID{code}") } else { code }
}

/// `c619` and `C61.9` are one code; ranges (`C15-C26.9`) keep their form.
fn dotted(code: &str) -> String {
    let code = code.to_ascii_uppercase();
    let plain = code.len() > 3 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain && code.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return format!("{}.{}", &code[..3], &code[3..]);
    }
    code
}

/// Topography as ICD-10 writes it; morphology as `8140/3`, also from `M8140/3` and `81403`.
fn icdo3(code: &str) -> String {
    let upper = code.to_ascii_uppercase();
    let digits = upper.strip_prefix('M').unwrap_or(&upper).trim_start_matches('-');
    if digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit()) {
        return format!("{}/{}", &digits[..4], &digits[4..]);
    }
    if digits.starts_with(|c: char| c.is_ascii_digit()) {
        return digits.to_owned();
    }
    let topography = upper.starts_with('C') && upper[1..].starts_with(|c: char| c.is_ascii_digit());
    if topography { dotted(&upper) } else { code.to_owned() }
}

/// Attributes as `(0018,0015)`, whatever follows; codes of the DCM scheme without their prefix.
fn dicom(code: &str) -> String {
    let code = code.to_ascii_uppercase();
    if code.starts_with('(')
        && let Some(end) = code.find(')')
    {
        return code[..=end].replace(' ', "");
    }
    if code.len() == 8 && code.bytes().all(|b| b.is_ascii_hexdigit()) {
        return format!("({},{})", &code[..4], &code[4..]);
    }
    code.trim_start_matches("DCM:").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], expect: &str) {
        for text in texts {
            let code = CrossCode::parse(text).map(|c| c.to_string());
            assert_eq!(code.as_deref(), Some(expect), "{text}");
        }
    }

    #[test]
    fn spellings_of_one_code_are_equal() {
        check(
            &[
                "SNOMEDCT:399068003",
                "snomed:399068003",
                "SCT:399068003",
                "http://snomed.info/sct|399068003",
                "http://snomed.info/sct/399068003",
                "https://snomed.info/id/399068003",
                "urn:oid:2.16.840.1.113883.6.96|399068003",
                "http://snomed.info/sct/900000000000207008/version/20250101|399068003",
                "SNOMEDCT399068003",
                "SNOMED-CT : 399068003",
            ],
            "SNOMEDCT:399068003",
        );
        check(
            &[
                "ICD10:C61.9",
                "ICD-10:c61.9",
                "ICD10CM:C619",
                "http://hl7.org/fhir/sid/icd-10|C61.9",
                "http://hl7.org/fhir/sid/icd-10-cm|C61.9",
            ],
            "ICD10:C61.9",
        );
        check(
            &["ICD-O-3:8140/3", "ICDO3:M8140/3", "icdo3:81403", "urn:oid:2.16.840.1.113883.6.43.1|8140/3"],
            "ICDO3:8140/3",
        );
        check(
            &["RID10312", "RADLEX:RID10312", "radlex:10312", "http://radlex.org|RID10312"],
            "RADLEX:RID10312",
        );
        check(
            &["LOINC:lp217239-5", "http://loinc.org|LP217239-5", "http://loinc.org/LP217239-5"],
            "LOINC:LP217239-5",
        );
        check(&["NCIT:C12410", "NCI:c12410", "http://purl.obolibrary.org/obo/NCIT_C12410"], "NCIT:C12410");
        check(&["OMOP:8507", "OMOP_Concept_ID:8507", "omop:8507"], "OMOP:8507");
        check(&["UMLS:C0033572", "http://www.nlm.nih.gov/research/umls|c0033572"], "UMLS:C0033572");
        check(&["DICOM:DCM:SEG", "DCM:SEG", "dcm:seg"], "DICOM:SEG");
        check(&["DICOM:(0018,0015) BodyPartExamined", "DICOM:00180015"], "DICOM:(0018,0015)");
    }

    #[test]
    fn systems_that_resemble_each_other_stay_apart() {
        check(&["ICD10PCS:DV00"], "ICD10PCS:DV00");
        check(&["ICDO3:C61.9"], "ICDO3:C61.9");
        check(&["http://www.nlm.nih.gov/research/umls/rxnorm|72965"], "RXNORM:72965");
        check(&["UCUM:mg"], "UCUM:mg");
        assert_ne!(CrossCode::parse("UCUM:mg"), CrossCode::parse("UCUM:Mg"));
    }

    proptest::proptest! {
        #[test]
        fn the_normal_spelling_is_read_as_itself(
            text in "(SCT|icd-10|ICDO3|RID|dcm|X y)[:|][a-zA-Z0-9.:/()|é -]{1,12}",
        ) {
            if let Some(code) = CrossCode::parse(&text) {
                proptest::prop_assert_eq!(CrossCode::parse(&code.to_string()), Some(code));
            }
        }
    }

    #[test]
    fn a_text_without_a_system_is_no_cross_code() {
        for text in [
            "",
            "prostate",
            "C61",
            "399068003",
            ":x",
            "SNOMEDCT:",
            "RID",
            "é7",
            "http://example.org/x|1",
            "http://example.org/1",
        ] {
            assert_eq!(CrossCode::parse(text), None, "{text}");
        }
    }
}
