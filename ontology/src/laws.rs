//! What must hold for every hierarchy, and for the core that is compiled in.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use proptest::prelude::*;

use crate::{
    BuildError, ConceptId, Icd10Relation, Lookup, MappedBy, MappingSet, Mappings, Ontology, OntologySource,
    Predicate, SourceConcept, Unmapped, Unresolved,
};

fn source(edges: &[(&str, &[&str])]) -> OntologySource {
    let concept = |(code, parents): &(&str, &[&str])| SourceConcept {
        code: (*code).into(),
        label: format!("label {code}"),
        parents: parents.iter().map(|p| (*p).into()).collect(),
        ..SourceConcept::default()
    };
    OntologySource { concepts: edges.iter().map(concept).collect(), ..OntologySource::eucaim() }
}

/// Codes of everything beneath a concept, by plain recursion over the children.
fn naive(ontology: &Ontology, concept: ConceptId, into: &mut BTreeSet<ConceptId>) {
    if into.insert(concept) {
        ontology.children(concept).for_each(|child| naive(ontology, child, into));
    }
}

/// Any directed graph without circles: edges go from a higher place to a lower one, codes are shuffled.
fn hierarchies() -> impl Strategy<Value = Ontology> {
    let edges = prop::collection::vec((1usize..40, 0usize..40), 0..120);
    (edges, Just((0..40).collect::<Vec<usize>>()).prop_shuffle()).prop_map(|(edges, names)| {
        let mut concepts: Vec<SourceConcept> = names
            .iter()
            .map(|n| SourceConcept { code: format!("X{n:02}"), ..SourceConcept::default() })
            .collect();
        for (child, parent) in edges {
            let parent = concepts[parent % child].code.clone();
            concepts[child].parents.push(parent);
        }
        Ontology::build(OntologySource { concepts, ..OntologySource::default() }).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn is_a_is_reflexive_and_transitive(ontology in hierarchies()) {
        let ids: Vec<ConceptId> = ontology.iter().map(|(id, _)| id).collect();
        for a in &ids {
            prop_assert!(ontology.is_a(*a, *a));
            for b in ids.iter().filter(|b| ontology.is_a(*a, **b)) {
                for c in ids.iter().filter(|c| ontology.is_a(*b, **c)) {
                    prop_assert!(ontology.is_a(*a, *c));
                }
            }
        }
    }

    #[test]
    fn the_closure_equals_a_naive_recursion(ontology in hierarchies()) {
        check_closure(&ontology);
    }
}

proptest! {
    // Suggestions for an unknown term compare it with every label.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_text_makes_a_lookup_panic(text in "\\PC{0,20}", prefix in "(EUCAIM|ICD10|http://|ICDO3|DICOM|)") {
        let ontology = Ontology::bundled();
        let term = format!("{prefix}:{text}");
        for term in [term.as_str(), text.as_str()] {
            let _ = (ontology.resolve(term, &[]), ontology.resolve_icd10(term, &[]));
            let _ = ontology.search(term, &[], 3);
            let _ = (MappingSet::parse("x", term), OntologySource::parse(term));
            let _ = Mappings::bundled().concept(&prefix, term, &[]);
        }
    }
}

fn check_closure(ontology: &Ontology) {
    for (id, concept) in ontology.iter() {
        let mut expected = BTreeSet::new();
        naive(ontology, id, &mut expected);
        let set = ontology.descendants(id);
        assert_eq!(set.iter().collect::<BTreeSet<_>>(), expected, "{concept}");
        assert_eq!(set.len(), expected.len(), "{concept}");
        assert!(ontology.ancestors(id).iter().all(|above| ontology.is_a(id, *above)), "{concept}");
        assert!(concept.parents.iter().all(|p| ontology.children(*p).any(|c| c == id)), "{concept}");
    }
    let above: usize = ontology.iter().map(|(id, _)| ontology.ancestors(id).len()).sum();
    let beneath: usize = ontology.iter().map(|(id, _)| ontology.descendants(id).len()).sum();
    assert_eq!(above, beneath);
}

#[test]
fn the_bundled_core_is_whole_and_its_closure_equals_a_naive_recursion() {
    let ontology = Ontology::bundled();
    assert_eq!((ontology.len(), ontology.version()), (4068, "2.0"));
    assert!(ontology.attribution().contains("CC BY 4.0"));
    check_closure(&ontology);
    let described = ontology.iter().filter(|(_, c)| !c.parents.is_empty()).count();
    assert!(described > 2300, "{described}");
}

#[test]
fn own_codes_are_accepted_in_every_spelling_of_eucaim() {
    let ontology = Ontology::bundled();
    let spellings = [
        "CLIN1045815",
        "EUCAIM:CLIN1045815",
        "eucaim:clin1045815",
        " EUCAIM : CLIN1045815 ",
        "https://cancerimage.eu/ontology/EUCAIM#CLIN1045815",
        "http://cancerimage.eu/ontology/EUCAIM#CLIN1045815",
        "https://hyperontology.eucaim.cancerimage.eu/#CLIN1045815",
        "EUCAIM_Hyper-Ontology_V1.0.CLIN1045815",
        "EUCAIM_Hyper-Ontology_V2.CLIN1045815",
    ];
    for spelling in spellings {
        let found = ontology.resolve(spelling, &[]).map(|c| ontology.curie(c));
        assert_eq!(found.as_deref(), Ok("EUCAIM:CLIN1045815"), "{spelling}");
    }
}

#[test]
fn a_cross_code_of_two_concepts_resolves_under_the_root_it_stands_in() {
    let ontology = Ontology::bundled();
    let modality = ontology.find("IMG1000009").unwrap();
    let procedure = ontology.find("IMG1000022").unwrap();
    let curie = |under: &[ConceptId]| ontology.resolve("RID10312", under).map(|c| ontology.curie(c));
    assert_eq!(curie(&[modality]).as_deref(), Ok("EUCAIM:IMG1000038"));
    assert_eq!(curie(&[procedure]).as_deref(), Ok("EUCAIM:IMG1000022"));
    // Both mean the same, and the modality stands for the procedure.
    assert_eq!(curie(&[]).as_deref(), Ok("EUCAIM:IMG1000038"));
    assert_eq!(curie(&[modality, procedure]).as_deref(), Ok("EUCAIM:IMG1000038"));
}

#[test]
fn a_cross_code_of_two_concepts_of_different_meaning_names_both() {
    let ontology = Ontology::bundled();
    let Err(Unresolved::Ambiguous { candidates, .. }) = ontology.resolve("UMLS:C5702849", &[]) else {
        panic!("not ambiguous")
    };
    let labels: Vec<&str> = candidates.iter().map(|c| c.label.as_str()).collect();
    assert_eq!(labels, ["III", "3"]);
}

#[test]
fn unknown_terms_name_what_comes_nearest() {
    let ontology = Ontology::bundled();
    let nearest = |text: &str| match ontology.resolve(text, &[]) {
        Err(Unresolved::Unknown { nearest, .. }) => nearest.into_iter().map(|n| n.curie).collect::<Vec<_>>(),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(nearest("Prostate")[0], "EUCAIM:BP1000021");
    assert_eq!(nearest("prostrate")[0], "EUCAIM:BP1000021");
    assert_eq!(nearest("unheard-of prostate cancer").len(), 8);
    assert!(nearest("EUCAIM:CLIN100075").contains(&"EUCAIM:CLIN1000075".to_owned()));
    assert!(nearest("SNOMEDCT:399068004").contains(&"EUCAIM:CLIN1000075".to_owned()));
    assert!(nearest("§§§").is_empty());
    let long = "x".repeat(600);
    for text in ["", "  ", long.as_str()] {
        assert!(matches!(ontology.resolve(text, &[]), Err(Unresolved::Malformed { .. })));
    }
}

#[test]
fn icd10_codes_climb_to_the_category_that_is_known() {
    let ontology = Ontology::bundled();
    let check = |code: &str, concept: &str, relation: Icd10Relation, matched: &str| {
        let found = ontology.resolve_icd10(code, &[]).unwrap();
        let got = (ontology.code(found.concept), found.relation, found.matched.to_string());
        assert_eq!(got, (concept, relation, matched.to_owned()), "{code}");
    };
    check("C61", "CLIN1000075", Icd10Relation::Exact, "ICD10:C61");
    check("C61.9", "CLIN1000075", Icd10Relation::Broader, "ICD10:C61");
    check("icd-10:c619", "CLIN1000075", Icd10Relation::Broader, "ICD10:C61");
    check("http://hl7.org/fhir/sid/icd-10-cm|C50.011", "CLIN1000210", Icd10Relation::Broader, "ICD10:C50.0");
    check("C17.1", "CLIN1000184", Icd10Relation::Broader, "ICD10:C15-C26.9");
    check("C62.1", "CLIN1000092", Icd10Relation::Broader, "ICD10:C60-C63.9");
    check("C58", "CLIN1003312", Icd10Relation::Broader, "ICD10:C51-C58");
    assert!(matches!(ontology.resolve_icd10("E11.9", &[]), Err(Unresolved::Unknown { .. })));
    assert!(matches!(ontology.resolve_icd10("SNOMEDCT:399068003", &[]), Err(Unresolved::Unknown { .. })));
    assert!(matches!(ontology.resolve("ICD10:C61.9", &[]), Err(Unresolved::Unknown { .. })));
}

#[test]
fn a_closure_hash_changes_with_what_lies_beneath_and_with_nothing_else() {
    let small = Ontology::build(source(&[("A", &[]), ("B", &["A"]), ("C", &[])])).unwrap();
    let more = Ontology::build(source(&[("C", &[]), ("A", &[]), ("B", &["A"]), ("D", &["B"])])).unwrap();
    let hash = |ontology: &Ontology, code| ontology.closure_hash(ontology.find(code).unwrap());
    assert_eq!(hash(&small, "C"), hash(&more, "C"));
    assert_ne!(hash(&small, "A"), hash(&more, "A"));
    assert_ne!(hash(&small, "A"), hash(&small, "B"));
    // SHA-256 of "C\n".
    assert_eq!(
        hash(&small, "C").to_string(),
        "12f37a8a84034d3e623d726fe10e5031f4df997ac13f4d5571b5a90c41fb84fe"
    );
}

#[test]
fn faulty_sources_are_not_built() {
    let build = |edges: &[(&str, &[&str])]| Ontology::build(source(edges)).unwrap_err().to_string();
    assert_eq!(build(&[("A", &["Z"])]), "A is beneath Z, which does not exist");
    assert_eq!(build(&[("A", &[]), ("a", &[])]), "the code a is defined twice");
    assert_eq!(build(&[("", &[])]), "concept number 1 (label \"label \") has no code");
    assert!(matches!(
        Ontology::build(source(&[("A", &["B"]), ("B", &["A"])])),
        Err(BuildError::Cycle(circle)) if circle.len() == 2
    ));
    assert!(matches!(Ontology::build(source(&[("A", &["A"])])), Err(BuildError::Cycle(_))));
}

#[test]
fn a_deep_chain_needs_no_stack() {
    let codes: Vec<String> = (0..50_000).map(|n| format!("N{n:06}")).collect();
    let concept = |n: usize| SourceConcept {
        code: codes[n].clone(),
        parents: n.checked_sub(1).map(|p| codes[p].clone()).into_iter().collect(),
        ..SourceConcept::default()
    };
    let concepts = (0..codes.len()).map(concept).collect();
    let ontology = Ontology::build(OntologySource { concepts, ..OntologySource::default() }).unwrap();
    let (top, bottom) = (ontology.find("N000000").unwrap(), ontology.find("N049999").unwrap());
    assert!(ontology.is_a(bottom, top) && !ontology.is_a(top, bottom));
    assert_eq!(ontology.ancestors(bottom).len(), 50_000);
}

#[test]
fn every_object_of_the_bundled_mappings_is_in_the_bundled_core() {
    let mappings = Mappings::bundled();
    assert_eq!(mappings.sets().len(), 4);
    assert_eq!(mappings.unknown_objects(), []);
    let mut seen = HashSet::new();
    for set in mappings.sets() {
        for m in &set.mappings {
            assert!(
                seen.insert((&m.source, &m.value, &m.object)),
                "{} line {} repeats a line",
                set.id,
                m.line
            );
            assert!(
                set.prefixes.contains_key(&m.source),
                "{} line {}: no prefix {}",
                set.id,
                m.line,
                m.source
            );
        }
    }
}

fn mapped(mappings: &Mappings, source: &str, value: &str, under: &[&str]) -> String {
    let ontology = mappings.ontology();
    let under: Vec<ConceptId> = under.iter().map(|code| ontology.find(code).unwrap()).collect();
    match mappings.concept(source, value, &under) {
        Lookup::Mapped(mapped) => ontology.code(mapped.concept).to_owned(),
        Lookup::Unmapped(reason) => format!("{reason:?}").chars().take_while(|c| c.is_alphabetic()).collect(),
    }
}

#[test]
fn dicom_values_are_mapped_or_stay_unmapped() {
    let mappings = Mappings::bundled();
    let check = |column: &str, value: &str, under: &[&str], expect: &str| {
        assert_eq!(mapped(&mappings, column, value, under), expect, "{column} {value}");
    };
    for (value, expect) in
        [("MR", "IMG1000038"), ("CT", "IMG1000042"), ("pt ", "IMG1000062"), ("DX", "IMG1000028")]
    {
        check("DICOM.Modality", value, &["IMG1000009"], expect);
        check("http://dicom.nema.org/resources/ontology/DCM", value, &["IMG1000009"], expect);
    }
    for value in ["SR", "SEG", "ANN", "M3D", "KO", "PR", "RTSTRUCT", "REG"] {
        check("DICOM.Modality", value, &["IMG1000009"], "NoTerm");
        check("DICOM", value, &[], "NoTerm");
    }
    check("DICOM.Modality", "6657", &[], "Unknown");
    check("DICOM.Modality", "MR", &["BP1000024"], "Outside");
    check("dicom.bodypartexamined", "Prostate", &["BP1000024"], "BP1000021");
    check("DICOM.BodyPartExamined", "Chest, Abdomen  and pelvis", &[], "BP1000154");
    check("DICOM.Manufacturer", "GE MEDICAL SYSTEMS", &["IMG1000010"], "IMG1000047");
    check("DICOM.Manufacturer", "Siemens Healthineers", &[], "IMG1000044");
    check("DICOM.ImageLaterality", "L", &[], "IMG1016670");
    check("DICOM.PatientSex", "M", &[], "COM1001366");
    check("DICOM.PatientSex", "M", &["COM1000175"], "COM1000176");
    check("DICOM.PatientSex", "O", &["COM1001396", "COM1001053"], "COM1001053");
}

#[test]
fn every_modality_of_the_bundled_mappings_is_beneath_the_root_of_modalities() {
    let ontology = Ontology::bundled();
    let root = ontology.find("IMG1000009").unwrap();
    let sets = MappingSet::bundled().unwrap();
    let modalities = sets[0].mappings.iter().filter(|m| m.source == "DICOM.Modality");
    let objects: Vec<&str> = modalities.filter_map(|m| m.object.as_deref()).collect();
    assert!(objects.len() > 20);
    assert!(objects.iter().all(|o| ontology.is_a(ontology.find(o).unwrap(), root)));
}

#[test]
fn codes_need_no_line_where_a_concept_bears_them() {
    let mappings = Mappings::bundled();
    let check = |source: &str, value: &str, under: &[&str], expect: &str| {
        assert_eq!(mapped(&mappings, source, value, under), expect, "{source} {value}");
    };
    check("SNOMEDCT", "399068003", &[], "CLIN1000075");
    check("http://snomed.info/sct", "399068003", &[], "CLIN1000075");
    check("EUCAIM", "CLIN1000075", &[], "CLIN1000075");
    check("RadLex", "RID10312", &["IMG1000009"], "IMG1000038");
    check("RadLex", "RID10312", &[], "IMG1000038");
    check("UMLS", "C5702849", &[], "Ambiguous");
    // A slip of the core, which has it as stage II: in OMOP it is the level of the antigen in blood.
    check("OMOP", "44793131", &[], "CLIN1030627");
    check("OMOP", "44793131", &["COM1000195"], "Outside");
    check("OMOP", "8507", &[], "COM1000176");
    check("OMOP", "8532", &["COM1001396"], "COM1001370");
    check("OMOP", "8507", &["COM1000175"], "COM1000176");
    check("OMOP", "0", &[], "NoTerm");
    check("http://hl7.org/fhir/administrative-gender", "female", &["COM1000175"], "COM1000178");
    check("FHIR.AdministrativeGender", "female", &["COM1001396"], "COM1001370");
}

fn layer(id: &str, rows: &str) -> MappingSet {
    let heading =
        "#curie_map:\n#  S: urn:test:s:\nsubject_id\tpredicate_id\tobject_id\tpredicate_modifier\tconfidence";
    MappingSet::parse(id, &format!("{heading}\n{rows}")).unwrap()
}

#[test]
fn later_layers_win_and_within_a_layer_predicate_and_confidence_decide() {
    let ontology = Ontology::build(source(&[("A", &[]), ("B", &["A"]), ("C", &["A"])])).unwrap();
    let ontology = Arc::new(ontology);
    let base = layer(
        "base",
        "S:x\tskos:closeMatch\tEUCAIM:A\t\t1.0\nS:x\tskos:exactMatch\tEUCAIM:B\t\t0.4\n\
         S:y\tskos:closeMatch\tEUCAIM:A\t\t0.5\nS:y\tskos:closeMatch\tEUCAIM:B\t\t0.9\n\
         S:z\tskos:exactMatch\tEUCAIM:A\nS:z\tskos:exactMatch\tEUCAIM:B\nS:w\tskos:exactMatch\tEUCAIM:B\n",
    );
    let ours = layer(
        "ours",
        "S:x\tskos:broadMatch\tEUCAIM:C\nS:y\tskos:relatedMatch\tEUCAIM:C\n\
         S:z\tskos:exactMatch\tsssom:NoTermFound\n\
         S:w\tskos:exactMatch\tEUCAIM:B\tNot\nS:v\tskos:exactMatch\tEUCAIM:Q\n",
    );
    let below = Mappings::new(Arc::clone(&ontology), vec![base.clone()]);
    let both = Mappings::new(ontology, vec![base, ours]);
    let got = |m: &Mappings| ["x", "y", "z", "w", "v"].map(|value| mapped(m, "S", value, &[]));
    assert_eq!(got(&below), ["B", "B", "B", "B", "Unknown"]);
    assert_eq!(got(&both), ["C", "B", "NoTerm", "Unknown", "UnknownObject"]);
    assert_ne!(below.version(), both.version());
    assert_eq!(both.unknown_objects().len(), 1);
}

#[test]
fn a_translation_says_who_made_it() {
    let Lookup::Mapped(mr) = Mappings::bundled().concept("DICOM.Modality", "MR", &[]) else {
        panic!("unmapped")
    };
    assert!(matches!(&mr.by, MappedBy::Line { set, line } if set == "urn:caim:mappings:dicom" && *line > 1));
    assert_eq!((mr.predicate, mr.confidence), (Predicate::Exact, 1.0));
    let unknown = Mappings::bundled().concept("DICOM.Modality", "XX", &[]);
    assert_eq!(unknown, Lookup::Unmapped(Unmapped::Unknown));
}
