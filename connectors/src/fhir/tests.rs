//! Hostile resources: whatever stands in a text, views answer with rows or a reason.

use caim_ontology::Models;

use super::bundled::Views;
use super::json::Tape;
use super::texts;
use super::view::Sheet;
use crate::Secret;

const RESOURCES: [&str; 3] = [
    r#"{"resourceType":"Patient","id":"a","identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"1"}],"birthDate":"1950-06-01","deceasedDateTime":"2020-01-02T10:00:00.5+01:00","managingOrganization":{"reference":"Organization/1"}}"#,
    r#"{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/a"},"code":{"coding":[{"system":"http:\/\/loinc.org","code":"2857\u002d1"},null]},"valueQuantity":{"value":-4.50e1,"code":"ng\/mL"},"component":[{"code":{"coding":[{"code":"x"}]},"valueInteger":3},{"valueBoolean":true}],"focus":[{"reference":"http://a/Condition/c/_history/1"}]}"#,
    r#"{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"ImagingStudy","identifier":[{"system":"urn:dicom:uid","value":"urn:oid:1.2"}],"numberOfSeries":1,"series":[{"uid":"1.2.3","modality":{"code":"MR"},"numberOfInstances":30}]}}]}"#,
];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

/// A few bytes changed, doubled, cut out or put elsewhere.
fn mutated(text: &str, dice: &mut Dice) -> Vec<u8> {
    const BYTES: &[u8] = b"{}[]\",:\\0123456789.-+eEtfnu \n\xff\xc3T";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.below(4) {
        let (from, to) = (dice.below(bytes.len()), dice.below(bytes.len()));
        let (start, end) = (from.min(to), from.max(to));
        match dice.below(4) {
            0 => bytes[start] = BYTES[dice.below(BYTES.len())],
            1 => bytes.insert(start, BYTES[dice.below(BYTES.len())]),
            2 => drop(bytes.drain(start..(start + 9).min(end))),
            _ => bytes.extend_from_within(start..end),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn no_mutation_of_a_resource_makes_a_view_panic() {
    let models = Models::bundled().unwrap();
    let views = Views::of(&models, &Secret::from_bytes([1; 32])).unwrap();
    let (mut dice, mut tape) = (Dice(7), Tape::default());
    let (mut read, mut refused, mut rows) = (0, 0, 0);
    for round in 0..6000 {
        let text = mutated(RESOURCES[round % RESOURCES.len()], &mut dice);
        let mut take = |resource: &texts::Resource<'_>| {
            for table in views.of_type(&resource.ty) {
                let mut sheet = Sheet::new(&views.tables[*table].view);
                let _ = sheet.add(resource.value, resource.id().as_deref());
                rows += sheet.len();
                sheet.finish();
            }
            read += 1;
        };
        texts::resources(&text, 1, &mut tape, &mut take, &mut |fault| {
            assert!(!fault.reason.contains("Patient"));
            refused += 1;
        });
    }
    assert!(read > 500 && refused > 2000 && rows > 500, "{read} read, {refused} refused, {rows} rows");
}
