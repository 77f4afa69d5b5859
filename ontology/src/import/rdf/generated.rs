//! An OWL file of any size in the form in which EUCAIM publishes its hyperontology: for the tests, and for the example
//! that takes the time.

use std::fmt::Write as _;

const HEAD: &str = r#"<?xml version="1.0"?>
<!DOCTYPE rdf:RDF [ <!ENTITY xsd "http://www.w3.org/2001/XMLSchema#" > ]>
<rdf:RDF xmlns="https://cancerimage.eu/ontology/EUCAIM#" xml:base="https://cancerimage.eu/ontology/EUCAIM"
  xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
  xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:skos="http://www.w3.org/2004/02/skos/core#"
  xmlns:ann="https://cancerimage.eu/ontology/EUCAIM#">
<owl:Ontology rdf:about="https://cancerimage.eu/ontology/EUCAIM"><owl:versionInfo>9.9</owl:versionInfo></owl:Ontology>
<owl:AnnotationProperty rdf:about="https://cancerimage.eu/ontology/EUCAIM#SNOMEDCT"/>
<owl:ObjectProperty rdf:about="https://cancerimage.eu/ontology/EUCAIM#hasFindingSite"/>
"#;

/// The code of the class of a number.
pub(crate) fn code(number: usize) -> String {
    let branch = ["CLIN", "IMG", "BP", "COM"][number % 4];
    format!("{branch}{}", 2_000_000 + number)
}

/// A file of so many classes: one root, three children a class, every seventh with a second parent, each with labels in
/// two languages, a synonym, cross-codes and a restriction; every hundredth is retired.
pub(crate) fn owl(classes: usize) -> String {
    let mut text = HEAD.to_owned();
    for number in 0..classes {
        push_class(&mut text, number);
    }
    text.push_str("</rdf:RDF>\n");
    text
}

fn push_class(text: &mut String, number: usize) {
    let mut line = |part: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = text.write_fmt(part);
        text.push('\n');
    };
    let iri = |number: usize| format!("https://cancerimage.eu/ontology/EUCAIM#{}", code(number));
    line(format_args!("<owl:Class rdf:about=\"{}\">", iri(number)));
    if number > 0 {
        let parent = (number - 1) / 3;
        line(format_args!("  <rdfs:subClassOf rdf:resource=\"{}\"/>", iri(parent)));
        if number.is_multiple_of(7) {
            line(format_args!("  <rdfs:subClassOf rdf:resource=\"{}\"/>", iri(parent / 2)));
        }
        line(format_args!(
            "  <rdfs:subClassOf><owl:Restriction><owl:onProperty rdf:resource=\"#hasFindingSite\"/>\
             <owl:someValuesFrom rdf:resource=\"{}\"/></owl:Restriction></rdfs:subClassOf>",
            iri(0)
        ));
    }
    line(format_args!("  <rdfs:label xml:lang=\"en\">Finding  number {number} </rdfs:label>"));
    line(format_args!("  <rdfs:label xml:lang=\"fr\">Constat {number}</rdfs:label>"));
    line(format_args!("  <skos:altLabel>F{number}</skos:altLabel>"));
    line(format_args!("  <skos:definition xml:lang=\"en\">What was found {number} times.</skos:definition>"));
    let xsd = "rdf:datatype=\"&xsd;integer\"";
    line(format_args!("  <ann:SNOMEDCT {xsd}>{}</ann:SNOMEDCT>", 900_000_000 + number));
    line(format_args!("  <ann:OMOP_Concept_ID>{} </ann:OMOP_Concept_ID>", 4_000_000 + number));
    line(format_args!("  <ann:UMLS>UMLS: C{number:07}</ann:UMLS>"));
    line(format_args!("  <ann:queryCriteria rdf:datatype=\"&xsd;boolean\">true</ann:queryCriteria>"));
    if number % 100 == 99 {
        line(format_args!("  <owl:deprecated rdf:datatype=\"&xsd;boolean\">true</owl:deprecated>"));
    }
    line(format_args!("</owl:Class>"));
}
