//! Names of code systems: what standards, tools and people call them, and the one name used here.

use std::borrow::Cow;
use std::fmt;

/// A code system by its one name, upper case: `SNOMEDCT`, `ICD10`, `ICDO3`, `RADLEX`, `LOINC`, `NCIT`,
/// `OMOP`, ...
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeSystem(Cow<'static, str>);

impl CodeSystem {
    /// SNOMED CT.
    pub const SNOMEDCT: Self = Self(Cow::Borrowed("SNOMEDCT"));
    /// ICD-10 and its clinical modifications: their three-character categories agree.
    pub const ICD10: Self = Self(Cow::Borrowed("ICD10"));
    /// ICD-O-3, topography and morphology.
    pub const ICDO3: Self = Self(Cow::Borrowed("ICDO3"));
    /// RadLex.
    pub const RADLEX: Self = Self(Cow::Borrowed("RADLEX"));
    /// LOINC.
    pub const LOINC: Self = Self(Cow::Borrowed("LOINC"));
    /// The NCI thesaurus.
    pub const NCIT: Self = Self(Cow::Borrowed("NCIT"));
    /// Concept ids of the OMOP vocabularies.
    pub const OMOP: Self = Self(Cow::Borrowed("OMOP"));
    /// Concept unique identifiers of the UMLS.
    pub const UMLS: Self = Self(Cow::Borrowed("UMLS"));
    /// DICOM: codes of PS3.16 and attributes of PS3.6.
    pub const DICOM: Self = Self(Cow::Borrowed("DICOM"));

    /// The system that a name, URI or OID means. A name nobody knows becomes a system of its own, in upper
    /// case.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::known(name).unwrap_or_else(|| Self(Cow::Owned(name.trim().to_uppercase())))
    }

    /// The system that a name, URI or OID means, if it is a known one.
    #[must_use]
    pub fn known(name: &str) -> Option<Self> {
        let name = name.trim();
        if let Some((name, _)) = NAMES.iter().find(|(own, _)| *own == name) {
            return Some(named(name));
        }
        if let Some((system, _edition)) = split_uri(name) {
            return Some(system);
        }
        let folded: String =
            name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
        NAMES.iter().find(|(_, names)| names.contains(&folded.as_str())).map(|(name, _)| named(name))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CodeSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn named(name: &'static str) -> CodeSystem {
    CodeSystem(Cow::Borrowed(name))
}

/// The one name of each system, and its other names in upper case without hyphens, underscores and spaces.
const NAMES: &[(&str, &[&str])] = &[
    ("SNOMEDCT", &["SNOMEDCT", "SNOMED", "SCT", "SCTID", "SNOMEDCTUS", "SNOMEDCTID", "SRT"]),
    ("ICD10", &["ICD10", "ICD10CM", "ICD10WHO", "ICD10GM", "I10"]),
    ("ICD10PCS", &["ICD10PCS"]),
    ("ICDO3", &["ICDO3", "ICDO", "ICDO32", "ICDO3TOPOGRAPHY", "ICDO3MORPHOLOGY", "ICDO3HISTOLOGY"]),
    ("RADLEX", &["RADLEX", "RID", "RADLEXID"]),
    ("LOINC", &["LOINC", "LN", "LNC"]),
    ("NCIT", &["NCIT", "NCI", "NCITHESAURUS", "NCITCODE", "NCIT(CODE)"]),
    ("OMOP", &["OMOP", "OMOPCONCEPTID", "OMOPCONCEPT", "OHDSI", "ATHENA"]),
    ("UMLS", &["UMLS", "UMLSCUI", "CUI"]),
    ("DICOM", &["DICOM", "DCM"]),
    ("UCUM", &["UCUM"]),
    ("ATC", &["ATC", "WHOATC"]),
    ("RXNORM", &["RXNORM", "RXCUI"]),
    ("HEMONC", &["HEMONC"]),
    ("NAACCR", &["NAACCR"]),
    ("CANCERMODIFIER", &["CANCERMODIFIER"]),
    ("OMOPGENOMIC", &["OMOPGENOMIC"]),
    ("OMOP_EXTENSION", &["OMOPEXTENSION"]),
    ("CIEL", &["CIEL"]),
    ("NEBRASKALEXICON", &["NEBRASKALEXICON"]),
    ("MONDO", &["MONDO"]),
    ("ONCOTREE", &["ONCOTREE"]),
];

/// URIs and OIDs without their scheme, lower case. The longest that fits decides.
const URIS: &[(&str, &str)] = &[
    ("snomed.info/sct", "SNOMEDCT"),
    ("snomed.info/id", "SNOMEDCT"),
    ("purl.bioontology.org/ontology/snomedct", "SNOMEDCT"),
    ("oid:2.16.840.1.113883.6.96", "SNOMEDCT"),
    ("hl7.org/fhir/sid/icd-10", "ICD10"),
    ("hl7.org/fhir/sid/icd-10-cm", "ICD10"),
    ("hl7.org/fhir/sid/icd-10-gm", "ICD10"),
    ("fhir.de/codesystem/bfarm/icd-10-gm", "ICD10"),
    ("purl.bioontology.org/ontology/icd10", "ICD10"),
    ("purl.bioontology.org/ontology/icd10cm", "ICD10"),
    ("oid:2.16.840.1.113883.6.3", "ICD10"),
    ("oid:2.16.840.1.113883.6.90", "ICD10"),
    ("www.cms.gov/medicare/coding/icd10", "ICD10PCS"),
    ("oid:2.16.840.1.113883.6.4", "ICD10PCS"),
    ("terminology.hl7.org/codesystem/icd-o-3", "ICDO3"),
    ("oid:2.16.840.1.113883.6.43.1", "ICDO3"),
    ("radlex.org", "RADLEX"),
    ("www.radlex.org", "RADLEX"),
    ("radlex.org/rid", "RADLEX"),
    ("www.radlex.org/rid", "RADLEX"),
    ("oid:2.16.840.1.113883.6.256", "RADLEX"),
    ("loinc.org", "LOINC"),
    ("loinc.org/rdf", "LOINC"),
    ("oid:2.16.840.1.113883.6.1", "LOINC"),
    ("ncicb.nci.nih.gov/xml/owl/evs/thesaurus.owl", "NCIT"),
    ("purl.obolibrary.org/obo/ncit_", "NCIT"),
    ("ncit.nci.nih.gov", "NCIT"),
    ("terminology.hl7.org/codesystem/ncit", "NCIT"),
    ("oid:2.16.840.1.113883.3.26.1.1", "NCIT"),
    ("athena.ohdsi.org/search-terms/terms", "OMOP"),
    ("fhir-terminology.ohdsi.org", "OMOP"),
    ("www.nlm.nih.gov/research/umls", "UMLS"),
    ("terminology.hl7.org/codesystem/umls", "UMLS"),
    ("uts.nlm.nih.gov/uts/umls/concept", "UMLS"),
    ("oid:2.16.840.1.113883.6.86", "UMLS"),
    ("dicom.nema.org/resources/ontology/dcm", "DICOM"),
    ("oid:1.2.840.10008.2.16.4", "DICOM"),
    ("unitsofmeasure.org", "UCUM"),
    ("oid:2.16.840.1.113883.6.8", "UCUM"),
    ("www.whocc.no/atc", "ATC"),
    ("oid:2.16.840.1.113883.6.73", "ATC"),
    ("www.nlm.nih.gov/research/umls/rxnorm", "RXNORM"),
    ("oid:2.16.840.1.113883.6.88", "RXNORM"),
    ("purl.obolibrary.org/obo/mondo_", "MONDO"),
];

/// Splits `http://snomed.info/sct/399068003` into its system and what follows. The code may be empty.
pub(super) fn split_uri(text: &str) -> Option<(CodeSystem, &str)> {
    let rest =
        ["http://", "https://", "urn:"].iter().find_map(|scheme| strip_prefix_any_case(text, scheme))?;
    let fits = |base: &str| {
        let after = strip_prefix_any_case(rest, base)?;
        let boundary = base.ends_with('_') || after.is_empty() || after.starts_with(['/', '#', ':']);
        boundary.then(|| after.trim_start_matches(['/', '#', ':']))
    };
    URIS.iter()
        .filter_map(|(base, name)| fits(base).map(|code| (base.len(), named(name), code)))
        .max_by_key(|(length, ..)| *length)
        .map(|(_, system, code)| (system, code))
}

/// [`str::strip_prefix`] without regard to the case of ASCII letters.
pub(crate) fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}
