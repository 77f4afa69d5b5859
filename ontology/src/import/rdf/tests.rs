//! OWL and SKOS as they come: restrictions, typed literals, stray spaces, several languages.

use super::*;
use crate::{ConceptId, Ontology, Rule, Severity, lint};

const HEAD: &str = r#"<?xml version="1.0"?>
<!DOCTYPE rdf:RDF [ <!ENTITY xsd "http://www.w3.org/2001/XMLSchema#" > ]>
<rdf:RDF xmlns="https://cancerimage.eu/ontology/EUCAIM#" xml:base="https://cancerimage.eu/ontology/EUCAIM"
  xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
  xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:skos="http://www.w3.org/2004/02/skos/core#"
  xmlns:ann="https://cancerimage.eu/ontology/EUCAIM#">"#;

const CLASSES: &str = r##"
<owl:Ontology rdf:about="https://cancerimage.eu/ontology/EUCAIM"><owl:versionInfo> 2.0 </owl:versionInfo></owl:Ontology>
<owl:AnnotationProperty rdf:about="https://cancerimage.eu/ontology/EUCAIM#SNOMEDCT"/>
<owl:Class rdf:about="https://cancerimage.eu/ontology/EUCAIM#CLIN1">
  <rdfs:subClassOf rdf:resource="http://www.w3.org/2002/07/owl#Thing"/>
  <rdfs:label xml:lang="fr">Tumeur</rdfs:label>
  <rdfs:label xml:lang="en">  Neoplasm
     of  prostate </rdfs:label>
</owl:Class>
<owl:Class rdf:about="#CLIN2">
  <rdfs:subClassOf rdf:resource="#CLIN1"/>
  <rdfs:subClassOf>
    <owl:Restriction>
      <owl:onProperty rdf:resource="#hasFindingSite"/>
      <owl:someValuesFrom rdf:resource="#BP1"/>
    </owl:Restriction>
  </rdfs:subClassOf>
  <rdfs:label>Malignant neoplasm of prostate</rdfs:label>
  <skos:prefLabel xml:lang="en">Prostate cancer</skos:prefLabel>
  <skos:altLabel> PCa </skos:altLabel>
  <skos:altLabel></skos:altLabel>
  <skos:exactMatch rdf:resource="http://purl.obolibrary.org/obo/NCIT_C7378"/>
  <skos:exactMatch>UMLS:C0376358</skos:exactMatch>
  <ann:SNOMEDCT rdf:datatype="&xsd;integer">399068003</ann:SNOMEDCT>
  <ann:SNOMEDCT> SNOMEDCT: 93974005 </ann:SNOMEDCT>
  <ann:ICD10>c61</ann:ICD10>
  <ann:ICDO3 rdf:datatype="&xsd;string">8140/3 ; C61.9</ann:ICDO3>
  <ann:RadLex>RID4374</ann:RadLex>
  <ann:OMOP_Concept_ID>4163261 </ann:OMOP_Concept_ID>
  <ann:queryCriteria rdf:datatype="&xsd;boolean">True</ann:queryCriteria>
</owl:Class>
<owl:Class rdf:about="https://cancerimage.eu/ontology/EUCAIM#CLIN3">
  <owl:equivalentClass>
    <owl:Class>
      <owl:intersectionOf rdf:parseType="Collection">
        <rdf:Description rdf:about="#CLIN2"/>
        <owl:Restriction>
          <owl:onProperty rdf:resource="#hasStage"/>
          <owl:someValuesFrom rdf:resource="#COM1"/>
        </owl:Restriction>
      </owl:intersectionOf>
    </owl:Class>
  </owl:equivalentClass>
  <rdfs:label>Metastatic prostate cancer</rdfs:label>
  <owl:deprecated rdf:datatype="&xsd;boolean">true</owl:deprecated>
</owl:Class>
<owl:Class rdf:about="#BP1"/>
</rdf:RDF>"##;

fn owl(text: &str) -> Result<OntologySource, ImportError> {
    OntologySource::from_owl(text.as_bytes(), OntologySource::eucaim())
}

#[test]
fn owl_in_the_form_of_eucaim_is_read() {
    let source = owl(&format!("{HEAD}{CLASSES}")).unwrap();
    assert_eq!(source.version, "2.0");
    let codes: Vec<&str> = source.concepts.iter().map(|c| c.code.as_str()).collect();
    assert_eq!(codes, ["BP1", "CLIN1", "CLIN2", "CLIN3"]);
    let [site, top, cancer, metastatic] = &source.concepts[..] else { panic!("four concepts") };
    assert_eq!(
        (top.label.as_str(), top.synonyms.as_slice()),
        ("Neoplasm of prostate", &["Tumeur".to_owned()][..])
    );
    assert_eq!((site.label.as_str(), top.parents.len()), ("", 0));
    assert_eq!(cancer.label, "Prostate cancer");
    assert_eq!(cancer.synonyms, ["PCa", "Malignant neoplasm of prostate"]);
    assert_eq!(cancer.parents, ["CLIN1"]);
    assert!(cancer.searchable && !cancer.obsolete);
    let cross_codes: Vec<String> = cancer.cross_codes.iter().map(ToString::to_string).collect();
    let expected = [
        "ICD10:C61",
        "ICDO3:8140/3",
        "ICDO3:C61.9",
        "NCIT:C7378",
        "OMOP:4163261",
        "RADLEX:RID4374",
        "SNOMEDCT:399068003",
        "SNOMEDCT:93974005",
        "UMLS:C0376358",
    ];
    assert_eq!(cross_codes, expected);
    assert_eq!(metastatic.parents, ["CLIN2"]);
    assert!(metastatic.obsolete);
}

#[test]
fn an_owl_file_of_5000_classes_is_read_whole() {
    let source = owl(&generated::owl(5000)).unwrap();
    let count = |has: fn(&SourceConcept) -> bool| source.concepts.iter().filter(|c| has(c)).count();
    assert_eq!((source.concepts.len(), source.version.as_str()), (5000, "9.9"));
    assert_eq!(count(|c| c.label.starts_with("Finding number ") && c.rival_labels.is_empty()), 5000);
    assert_eq!(count(|c| c.cross_codes.len() == 3 && c.synonyms.len() == 2 && c.definition.is_some()), 5000);
    assert_eq!((count(|c| c.searchable), count(|c| c.obsolete)), (5000, 50));
    let edges: usize = source.concepts.iter().map(|c| c.parents.len()).sum();
    let second = (1..5000usize).filter(|n| n.is_multiple_of(7) && (n - 1) / 3 != (n - 1) / 3 / 2).count();
    assert_eq!(edges, 4999 + second);
    assert!(lint(&source, &[]).iter().all(|f| f.severity != Severity::Error));
    let ontology = Ontology::build(source.clone()).unwrap();
    let root: Vec<ConceptId> = ontology.roots().collect();
    assert_eq!((ontology.len(), root.len(), ontology.descendants(root[0]).len()), (5000, 1, 5000));
    let last = ontology.resolve("SCT:900004999", &[]).unwrap();
    assert_eq!((ontology.label(last), ontology.code(last)), ("Finding number 4999", &*generated::code(4999)));
    let own_form = OntologySource::parse(&source.to_text("imported")).unwrap();
    assert_eq!(own_form, source);
}

#[test]
fn classes_outside_the_namespaces_of_the_frame_are_not_taken_for_its_own() {
    let foreign =
        generated::owl(50).replace("https://cancerimage.eu/ontology/EUCAIM", "https://example.org/site");
    let source = owl(&foreign).unwrap();
    assert_eq!((source.prefix.as_str(), source.concepts.len()), ("", 50));
    assert_eq!(owl(&generated::owl(50)).unwrap().prefix, "EUCAIM");
}

#[test]
fn two_names_of_one_class_in_one_language_are_noted() {
    let twice = generated::owl(5).replace("<rdfs:label xml:lang=\"fr\">", "<rdfs:label xml:lang=\"en\">");
    let findings = lint(&owl(&twice).unwrap(), &[]);
    assert_eq!(findings.iter().filter(|f| f.rule == Rule::RivalLabels).count(), 5);
}

#[test]
fn skos_in_turtle_is_read() {
    let text = r#"
        @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
        @prefix : <https://example.org/site/> .
        :s a skos:ConceptScheme .
        :body a skos:Concept ; skos:prefLabel "body"@en, "Körper"@de ; skos:narrower :head ; skos:topConceptOf :s .
        :head a skos:Concept ; skos:prefLabel "Kopf"@de, "head" ; skos:altLabel "caput"@la .
        :eye a skos:Concept ; skos:broader :head ; skos:prefLabel "eye"@en-GB ;
            skos:exactMatch <http://snomed.info/id/81745001>, <https://example.com/unknown/7> .
    "#;
    let frame = OntologySource { prefix: "SITE".into(), version: "7".into(), ..OntologySource::default() };
    let source = OntologySource::from_turtle(text.as_bytes(), frame).unwrap();
    let ontology = Ontology::build(source).unwrap();
    let find = |code: &str| ontology.resolve(code, &[]).unwrap();
    assert_eq!((ontology.len(), ontology.version()), (3, "7"));
    assert!(ontology.is_a(find("SITE:eye"), find("SITE:body")));
    assert_eq!(ontology.label(find("head")), "head");
    assert_eq!(find("SNOMEDCT:81745001"), find("eye"));
    assert_eq!(ontology.search("korper", &[], 5)[0].concept, find("body"));
}

#[test]
fn faulty_files_are_refused_with_the_reason() {
    let reason = |text: &str| owl(text).unwrap_err().to_string();
    let whole = format!("{HEAD}{CLASSES}");
    assert!(reason(&whole[..whole.len() - 100]).contains("is it complete"));
    assert!(reason(&whole.replace("</owl:Restriction>", "")).contains("the OWL file is faulty"));
    assert!(owl(&format!("{whole}\n<!-- written by a tool -->\n")).is_ok());
    assert!(reason(&format!("{HEAD}</rdf:RDF>\n")).contains("has no concepts"));
    assert!(reason("code,label\n").contains("the OWL file"));
    let turtle = OntologySource::from_turtle("<a> <b>".as_bytes(), OntologySource::eucaim()).unwrap_err();
    assert!(turtle.to_string().contains("the Turtle file is faulty"));
    let latin = OntologySource::from_owl(&b"\xe9"[..], OntologySource::eucaim()).unwrap_err();
    assert!(latin.to_string().contains("not UTF-8"));
}

#[test]
fn entities_that_unfold_without_bounds_are_refused() {
    let file = |entities: &str, body: &str| {
        let head = HEAD.replace("[ ", &format!("[ {entities} "));
        owl(&format!(
            "{head}<owl:Class rdf:about=\"#A\"><rdfs:label>{body}</rdfs:label></owl:Class></rdf:RDF>"
        ))
    };
    let nested = r#"<!ENTITY a "ha"><!ENTITY b "&a;&a;">"#;
    assert!(file(nested, "&b;").unwrap_err().to_string().contains("defined by another entity"));
    let long = format!("<!ENTITY a \"{}\">", "h".repeat(MAX_ENTITY + 1));
    assert!(file(&long, "&a;").unwrap_err().to_string().contains("unfold to too much"));
    let many = format!("<!ENTITY a \"{}\">", "h".repeat(1000));
    assert!(file(&many, &"&a;".repeat(300_000)).unwrap_err().to_string().contains("unfold to too much"));
    assert_eq!(file(r#"<!ENTITY a "ha">"#, "&a;&a;").unwrap().concepts[0].label, "haha");
}
