//! The bundled DICOM model against the standard's list of attributes that can lead to a person.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

/// PS3.15 table E.1-1 as JSON: tag to action of the basic profile. Not part of a public clone.
fn confidential() -> Option<BTreeMap<Tag, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/ontology/confidentiality_profile_attributes.json");
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: {} is absent", path.display());
        return None;
    };
    let attributes: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let attributes = attributes.iter().filter_map(|attribute| {
        let tag = attribute["tag"].as_str()?.trim_matches(['(', ')']).to_owned();
        Some((Tag::parse(&tag)?, attribute["basicProfile"].as_str()?.to_owned()))
    });
    Some(attributes.collect())
}

fn tagged(models: &Models) -> impl Iterator<Item = (&Table, &Column, Tag)> {
    models.columns().filter_map(|(_, table, column)| Some((table, column, column.tag?)))
}

#[test]
fn an_attribute_that_can_lead_to_a_person_has_its_action_and_no_other_has() {
    let models = Models::bundled().unwrap();
    let Some(confidential) = confidential() else { return };
    assert!(confidential.len() > 500);
    for (table, column, tag) in tagged(&models) {
        let named = confidential.contains_key(&tag);
        assert_eq!(column.action.is_some(), named, "{}.{} {tag}", table.name, column.name);
    }
    for (_, table, column) in models.columns() {
        let attributes = column.also_at.iter().filter_map(|place| place.path.last());
        for tag in attributes.filter(|tag| confidential.contains_key(tag)) {
            assert!(column.action.is_some(), "{}.{} also at {tag}", table.name, column.name);
        }
    }
}

#[test]
fn a_place_is_a_path_of_tags_with_a_value_representation_and_frames_are_two_places() {
    let place = |path: &[Tag], vr: &str| Place { path: path.to_vec(), vr: vr.to_owned() };
    let (dose, drug, thickness) =
        (Tag::new(0x18, 0x1074), Tag::new(0x54, 0x16), [Tag::new(0x28, 0x9110), Tag::new(0x18, 0x50)]);
    assert_eq!(Place::parse("0054,0016/0018,1074", "DS"), Some(vec![place(&[drug, dose], "DS")]));
    assert_eq!(Place::parse("0018,1074 FD", "DS"), Some(vec![place(&[dose], "FD")]));
    let frames = Place::FRAMES.map(|top| place(&[top, thickness[0], thickness[1]], "DS"));
    assert_eq!(Place::parse("frames/0028,9110/0018,0050", "DS"), Some(frames.to_vec()));
    for text in ["frames/", "0018", "0018,1074/", "/0018,1074"] {
        assert_eq!(Place::parse(text, "DS"), None, "{text}");
    }
}

#[test]
fn who_a_patient_is_is_keyed_and_what_nobody_may_ask_is_hidden() {
    let models = Models::bundled().unwrap();
    let instance = models.table("dicom", "instance").unwrap();
    assert_eq!(instance.column("PatientID").unwrap().action, Some(Action::Keyed));
    assert_eq!(instance.column("PatientBirthDate").unwrap().role, Role::Hidden);
    for column in &instance.columns {
        if column.action == Some(Action::Keyed) {
            assert_eq!(column.role, Role::UnitId, "{} would be stored as it is", column.name);
        }
    }
}

#[test]
fn no_attribute_with_names_places_or_free_text_is_on_the_list() {
    let models = Models::bundled().unwrap();
    for (table, column, tag) in tagged(&models) {
        let vr = column.vr.as_deref().unwrap_or_default();
        assert!(!["PN", "LT", "ST", "UT", "UC", "UN", "SQ", ""].contains(&vr), "{} {tag}", column.name);
        let forbidden =
            [(0x0008, 0x0050), (0x0008, 0x0080), (0x0008, 0x1010), (0x0008, 0x1030), (0x0008, 0x103E)];
        assert!(!forbidden.contains(&(tag.group, tag.element)), "{}.{}", table.name, column.name);
        assert!(tag.group % 2 == 0, "{} is private", column.name);
    }
    for (_, _, column) in models.columns() {
        let places = column.also_at.iter();
        assert!(
            places.clone().flat_map(|place| &place.path).all(|tag| tag.group % 2 == 0),
            "{}",
            column.name
        );
        let texts = ["PN", "LT", "ST", "UT", "UC", "UN", "SQ"];
        assert!(places.clone().all(|place| !texts.contains(&place.vr.as_str())), "{}", column.name);
    }
}

#[test]
fn columns_of_one_attribute_are_read_in_one_way_in_every_table() {
    let models = Models::bundled().unwrap();
    let mut known: BTreeMap<Tag, &Column> = BTreeMap::new();
    for (table, column, tag) in tagged(&models) {
        let first = known.entry(tag).or_insert(column);
        let same = (&first.stored, first.ty, &first.vr, &first.role, first.action);
        assert_eq!(
            same,
            (&column.stored, column.ty, &column.vr, &column.role, column.action),
            "{}",
            table.name
        );
    }
    assert!(known.len() > 60);
}

#[test]
fn a_tag_is_two_numbers_of_four_hexadecimal_digits() {
    assert_eq!(Tag::parse("0020,000d"), Some(Tag::new(0x20, 0x0D)));
    assert_eq!(Tag::parse("0020,000D").unwrap().to_string(), "(0020,000D)");
    for text in ["0020000D", "20,D", "0020,000G", "+020,0001", "0020,000D,"] {
        assert_eq!(Tag::parse(text), None, "{text}");
    }
}
