//! OncoTree, the tumour hierarchy of Memorial Sloan Kettering, as its API gives it: nested JSON.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use super::{ImportError, read_text, tidy};
use crate::code::{CodeSystem, CrossCode};
use crate::source::{OntologySource, SourceConcept};

#[derive(Deserialize)]
struct Tumour {
    code: String,
    name: String,
    #[serde(default, rename = "externalReferences")]
    references: BTreeMap<String, Vec<String>>,
    /// Codes that the tumour had in earlier versions.
    #[serde(default)]
    history: Vec<String>,
    #[serde(default)]
    children: BTreeMap<String, Tumour>,
}

impl OntologySource {
    /// Reads OncoTree's JSON. Codes of earlier versions become cross-codes of the system ONCOTREE, so they
    /// resolve.
    ///
    /// # Errors
    /// The file cannot be read, is not OncoTree's JSON, or is empty. The JSON may be nested 128 levels deep.
    pub fn from_oncotree(reader: impl Read, version: &str) -> Result<Self, ImportError> {
        let text = read_text("OncoTree", reader)?;
        let roots: BTreeMap<String, Tumour> = serde_json::from_str(&text)
            .map_err(|e| ImportError::Faulty { form: "OncoTree", reason: e.to_string() })?;
        let mut concepts = Vec::new();
        roots.into_values().for_each(|root| add(root, None, &mut concepts));
        if concepts.is_empty() {
            return Err(ImportError::Empty { form: "OncoTree" });
        }
        Ok(Self {
            prefix: "ONCOTREE".into(),
            version: version.into(),
            attribution: "OncoTree, Memorial Sloan Kettering Cancer Center, CC BY 4.0".into(),
            concepts,
            ..Self::default()
        })
    }
}

fn add(tumour: Tumour, parent: Option<&str>, concepts: &mut Vec<SourceConcept>) {
    let references = tumour
        .references
        .iter()
        .flat_map(|(system, codes)| codes.iter().map(|code| CrossCode::new(CodeSystem::new(system), code)));
    let former = tumour.history.iter().map(|code| CrossCode::new(CodeSystem::new("ONCOTREE"), code));
    concepts.push(SourceConcept {
        code: tumour.code.clone(),
        label: tidy(&tumour.name),
        parents: parent.map(str::to_owned).into_iter().collect(),
        cross_codes: references.chain(former).collect(),
        ..SourceConcept::default()
    });
    for child in tumour.children.into_values() {
        add(child, Some(&tumour.code), concepts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ontology;

    const TREE: &str = r#"{"TISSUE": {"code": "TISSUE", "name": "Tissue",
        "externalReferences": {"UMLS": ["C0040300"]}, "children": {"PROSTATE": {"code": "PROSTATE",
        "name": "Prostate ", "tissue": "Prostate", "history": ["PRO"],
        "externalReferences": {"NCI": ["C12410"]}, "children": {}, "parent": "TISSUE"}}}}"#;

    #[test]
    fn nested_tumours_become_a_hierarchy() {
        let source = OntologySource::from_oncotree(TREE.as_bytes(), "2025-10-03").unwrap();
        let ontology = Ontology::build(source).unwrap();
        let prostate = ontology.resolve("ONCOTREE:PROSTATE", &[]).unwrap();
        assert_eq!(ontology.label(prostate), "Prostate");
        assert_eq!(ontology.resolve("NCIT:C12410", &[]), Ok(prostate));
        assert_eq!(ontology.resolve("oncotree:PRO", &[]), Ok(prostate));
        assert!(ontology.is_a(prostate, ontology.resolve("UMLS:C0040300", &[]).unwrap()));
    }

    #[test]
    fn other_texts_are_refused() {
        let read = |text: &str| OntologySource::from_oncotree(text.as_bytes(), "").unwrap_err().to_string();
        assert!(read("{}").contains("has no concepts"));
        assert!(read("[1]").contains("faulty"));
        let deep = "{\"A\":{\"code\":\"A\",\"name\":\"A\",\"children\":".repeat(200);
        assert!(read(&deep).contains("recursion limit"));
    }
}
