//! Objects in every encoding, made element by element.

use std::io::Write;

use super::*;
use crate::dicom::cells::Number;

pub(super) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(super) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(super) const BIG: &str = "1.2.840.10008.1.2.2";
pub(super) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

const MODALITY: Tag = Tag::new(0x0008, 0x0060);
const MANUFACTURER: Tag = Tag::new(0x0008, 0x0070);
const ROWS: Tag = Tag::new(0x0028, 0x0010);
const UID: Tag = Tag::new(0x0008, 0x0018);

/// Elements in one encoding.
#[derive(Clone, Copy)]
pub(super) enum Made {
    Implicit,
    Explicit,
    Big,
}

impl Made {
    fn u16(self, number: u16) -> [u8; 2] {
        if let Self::Big = self { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(super) fn u32(self, number: u32) -> [u8; 4] {
        if let Self::Big = self { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// Only the head of an element.
    pub(super) fn head(self, group: u16, element: u16, vr: &str, length: u32) -> Vec<u8> {
        let mut bytes = [self.u16(group), self.u16(element)].concat();
        if let Self::Implicit = self {
            bytes.extend(self.u32(length));
        } else if group == 0xFFFE {
            bytes.extend(self.u32(length));
        } else if ["OB", "SQ", "UN"].contains(&vr) {
            bytes.extend(vr.as_bytes());
            bytes.extend([0, 0]);
            bytes.extend(self.u32(length));
        } else {
            bytes.extend(vr.as_bytes());
            bytes.extend(self.u16(length as u16));
        }
        bytes
    }

    pub(super) fn element(self, group: u16, element: u16, vr: &str, value: &[u8]) -> Vec<u8> {
        [self.head(group, element, vr, value.len() as u32), value.to_vec()].concat()
    }

    /// Modality, a sequence of undefined length that holds a modality of its own, a private element, rows.
    fn data_set(self) -> Vec<u8> {
        [
            self.element(0x0008, 0x0018, "UI", b"1.2.3\0"),
            self.element(0x0008, 0x0060, "CS", b"CT"),
            self.element(0x0008, 0x0070, "LO", b"ACME"),
            self.head(0x0008, 0x1140, "SQ", u32::MAX),
            self.head(0xFFFE, 0xE000, "", u32::MAX),
            self.element(0x0008, 0x0060, "CS", b"MR"),
            self.head(0x0008, 0x1140, "SQ", u32::MAX),
            self.head(0xFFFE, 0xE000, "", 4),
            vec![1, 2, 3, 4],
            self.head(0xFFFE, 0xE0DD, "", 0),
            self.head(0xFFFE, 0xE00D, "", 0),
            self.head(0xFFFE, 0xE0DD, "", 0),
            self.element(0x0009, 0x0010, "LO", b"PRIVATE "),
            self.element(0x0028, 0x0010, "US", &self.u16(512)),
            self.head(0x7FE0, 0x0010, "OB", u32::MAX),
        ]
        .concat()
    }
}

/// Objects in every encoding, images and annotations, with sequences of known and unknown length: for a clone without real
/// ones.
pub(super) fn made_objects() -> Vec<Vec<u8>> {
    let mut objects = vec![[meta(DEFLATED), deflated(&Made::Explicit.data_set())].concat()];
    for (syntax, made) in [(EXPLICIT, Made::Explicit), (IMPLICIT, Made::Implicit), (BIG, Made::Big)] {
        objects.push([meta(syntax), made.data_set()].concat());
        for class in
            ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.4.1"]
        {
            objects.push([meta(syntax), made.sequences(class)].concat());
        }
    }
    objects
}

impl Made {
    fn padded(self, group: u16, element: u16, vr: &str, text: &str) -> Vec<u8> {
        let mut value = text.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), 0);
        self.element(group, element, vr, &value)
    }

    /// A sequence of one item, with lengths or with delimiters.
    fn sequence(self, group: u16, element: u16, has_length: bool, item: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| if has_length { bytes as u32 } else { u32::MAX };
        let mut inner = [self.head(0xFFFE, 0xE000, "", length(item.len())), item.to_vec()].concat();
        if !has_length {
            inner.extend(self.head(0xFFFE, 0xE00D, "", 0));
        }
        let mut bytes = self.head(group, element, "SQ", length(inner.len()));
        bytes.extend(inner);
        if !has_length {
            bytes.extend(self.head(0xFFFE, 0xE0DD, "", 0));
        }
        bytes
    }

    /// An object with a segment, a finding and functional groups.
    pub(super) fn sequences(self, class: &str) -> Vec<u8> {
        let code = |element, group| {
            let entry = [
                self.padded(8, 0x100, "SH", "4147007"),
                self.padded(8, 0x102, "SH", "SCT"),
                self.padded(8, 0x104, "LO", "Mass"),
            ];
            self.sequence(group, element, false, &entry.concat())
        };
        let finding = [
            self.padded(0x40, 0xA010, "CS", "CONTAINS"),
            self.padded(0x40, 0xA040, "CS", "CODE"),
            code(0xA043, 0x40),
            code(0xA168, 0x40),
        ];
        let container = self.sequence(0x40, 0xA730, true, &finding.concat());
        let segment = [code(0x3, 0x62), self.element(0x62, 4, "US", &self.u16(1)), code(0xF, 0x62)];
        let measures = [self.padded(0x18, 0x50, "DS", "3"), self.padded(0x28, 0x30, "DS", "0.5\\0.5")];
        let measures = self.sequence(0x28, 0x9110, true, &measures.concat());
        [
            self.padded(8, 0x16, "UI", class),
            self.padded(8, 0x18, "UI", "1.2.3"),
            self.sequence(8, 0x1115, false, &self.padded(0x20, 0xE, "UI", "1.2.3.4")),
            self.padded(0x28, 8, "IS", "1"),
            self.sequence(0x40, 0xA730, false, &container),
            self.sequence(0x62, 2, true, &segment.concat()),
            self.sequence(0x5200, 0x9229, true, &measures),
            self.sequence(0x5200, 0x9230, false, &measures),
        ]
        .concat()
    }
}

/// Preamble and meta group for a transfer syntax.
pub(super) fn meta(syntax: &str) -> Vec<u8> {
    let mut syntax = syntax.as_bytes().to_vec();
    if syntax.len() % 2 == 1 {
        syntax.push(0);
    }
    let made = Made::Explicit;
    let group = [
        made.element(2, 1, "OB", &[0, 1]),
        made.element(2, 2, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        made.element(2, 0x10, "UI", &syntax),
    ]
    .concat();
    let length = made.element(2, 0, "UL", &(group.len() as u32).to_le_bytes());
    [&[0; 128][..], b"DICM", &length, &group].concat()
}

pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn reads(bytes: &[u8]) -> Scanned {
    let scanned = scan(bytes);
    assert_eq!(scanned.outcome, Ok(()));
    assert_eq!(
        (scanned.text(UID), scanned.text(MODALITY), scanned.text(MANUFACTURER)),
        ("1.2.3", "CT", "ACME")
    );
    let rows = scanned.cells.last(scanned.wanted.slot(ROWS));
    assert_eq!((rows.form, rows.bytes), (Form::Binary(Number::U16), &[0, 2][..]));
    scanned
}

#[test]
fn every_encoding_is_read_with_its_meta_group_and_without() {
    for (syntax, made) in [(EXPLICIT, Made::Explicit), (IMPLICIT, Made::Implicit), (BIG, Made::Big)] {
        let set = made.data_set();
        reads(&[meta(syntax), set.clone()].concat());
        reads(&[&[0; 128][..], b"DICM", &set].concat());
        reads(&set);
        let meta = meta(syntax);
        reads(&[&meta[132..], &set].concat());
    }
    reads(&[meta(DEFLATED), deflated(&Made::Explicit.data_set())].concat());
    reads(&[meta("1.2.840.10008.1.2.4.70"), Made::Explicit.data_set()].concat());
}

#[test]
fn a_meta_group_that_names_the_wrong_encoding_does_no_harm() {
    for (syntax, made) in [(EXPLICIT, Made::Implicit), (IMPLICIT, Made::Explicit), (EXPLICIT, Made::Big)] {
        reads(&[meta(syntax), made.data_set()].concat());
    }
}

#[test]
fn a_large_value_is_skipped_by_a_seek_and_pixels_are_never_read() {
    let made = Made::Explicit;
    let large = made.element(0x0009, 0x1001, "OB", &vec![7; 10 << 20]);
    let set = made.data_set();
    let place = set.windows(8).position(|bytes| bytes == b"PRIVATE ").unwrap() + 8;
    let object =
        [meta(EXPLICIT), set[..place].to_vec(), large, set[place..].to_vec(), vec![9; 10 << 20]].concat();
    assert!(reads(&object).read <= 2 * BLOCK_BYTES);
}

#[test]
fn values_of_implicit_sequences_in_unknown_elements_are_skipped() {
    let explicit = Made::Explicit;
    for inner in [Made::Implicit, Made::Explicit] {
        let unknown = [
            explicit.head(0x0009, 0x1001, "UN", u32::MAX),
            inner.head(0xFFFE, 0xE000, "", u32::MAX),
            inner.element(0x0008, 0x0100, "SH", b"12"),
            inner.element(0x0028, 0x0010, "US", &[1, 0]),
            inner.head(0xFFFE, 0xE00D, "", 0),
            inner.head(0xFFFE, 0xE0DD, "", 0),
        ]
        .concat();
        let set = explicit.data_set();
        let place = set.windows(8).position(|bytes| bytes == b"PRIVATE ").unwrap() + 8;
        reads(&[&meta(EXPLICIT), &set[..place], &unknown, &set[place..]].concat());
    }
}

#[test]
fn d11_elements_without_a_value_representation_are_read_among_others() {
    let (explicit, implicit) = (Made::Explicit, Made::Implicit);
    let set = [
        explicit.element(0x0008, 0x0018, "UI", b"1.2.3\0"),
        implicit.element(0x0008, 0x0060, "", b"CT"),
        explicit.element(0x0008, 0x0070, "ZZ", b"ACME"),
        explicit.element(0x0028, 0x0010, "UN", &[0, 2]),
    ];
    reads(&[meta(EXPLICIT), set.concat()].concat());
}

#[test]
fn padding_and_garbage_behind_the_header_do_no_harm() {
    for tail in [&[0; 3][..], &[0; 7], &[0xFF; 300]] {
        let set = Made::Explicit.data_set();
        reads(&[&meta(EXPLICIT), &set[..set.len() - 12], tail].concat());
    }
}

#[test]
fn d09_d10_an_odd_length_an_empty_value_and_an_endless_one_are_no_reason_to_give_up() {
    let made = Made::Explicit;
    let set = [
        made.element(0x0008, 0x0018, "UI", b"1.2.3"),
        made.element(0x0008, 0x0060, "CS", b""),
        made.element(0x0008, 0x0070, "LO", &[b'x'; 5000]),
        made.element(0x0028, 0x0010, "US", &[7]),
    ];
    let scanned = scan(&[meta(EXPLICIT), set.concat()].concat());
    assert_eq!((scanned.text(UID), scanned.text(MODALITY)), ("1.2.3", ""));
    assert_eq!(scanned.form(MANUFACTURER), Form::Broken);
    assert_eq!(scanned.form(ROWS), Form::Binary(Number::U16));
}

#[test]
fn d19_text_is_read_in_the_character_set_that_the_object_names() {
    let made = Made::Explicit;
    let object = |terms: &[u8], value: &[u8]| {
        let set = [made.element(8, 5, "CS", terms), made.element(0x0008, 0x0070, "LO", value)].concat();
        scan(&[meta(EXPLICIT), set].concat())
    };
    assert_eq!(object(b"ISO_IR 100", b"M\xfcller").text(MANUFACTURER), "Müller");
    assert_eq!(object(b"ISO_IR 144", b"\xbb\xee\xda\x63").text(MANUFACTURER), "Люкc");
    assert_eq!(object(b"GB18030 ", b"\xcd\xf5").text(MANUFACTURER), "王");
    assert_eq!(object(b"", b"M\xfcller").form(MANUFACTURER), Form::Guessed);
    assert_eq!(object(b"ISO_IR 192", b"M\xfcller").form(MANUFACTURER), Form::Broken);
}

#[test]
fn a_sequence_is_read_alike_whether_lengths_or_delimiters_bound_it() {
    const THICKNESS: Tag = Tag::new(0x0018, 0x0050);
    for object in made_objects().iter().filter(|object| scan(object).noted.is_some()) {
        let rows = scan(object).noted.unwrap().rows(0).unwrap();
        assert_eq!((rows.len(), rows[0].series.as_deref()), (1, Some("1.2.3.4")));
    }
    let annotated = made_objects().iter().filter(|object| scan(object).noted.is_some()).count();
    assert_eq!(annotated, 6);
    let instance = Models::bundled().unwrap().table("dicom", "instance").unwrap().clone();
    let slots = WANTED.slots(instance.column("SliceThickness").unwrap());
    assert_eq!((slots.len(), slots[0]), (3, WANTED.slot(THICKNESS)));
    for class in made_objects().iter().filter(|object| object.windows(14).any(|w| w == b"5.1.4.1.1.4.1\0")) {
        let scanned = scan(class);
        for slot in &slots[1..] {
            assert_eq!(super::super::super::prolog::trimmed(scanned.cells.last(*slot).bytes), b"3");
        }
    }
}

#[test]
fn a_directory_is_known_by_its_class_or_its_records() {
    let mut by_class = meta(EXPLICIT);
    let place = by_class.windows(26).position(|bytes| bytes == b"1.2.840.10008.5.1.4.1.1.2\0").unwrap();
    by_class.splice(place..place + 26, *b"1.2.840.10008.1.3.10\0\0\0\0\0\0");
    assert_eq!(scan(&by_class).outcome, Err(Unreadable::Directory));
    let records = Made::Explicit.element(4, 0x1130, "CS", b"DISK");
    assert_eq!(scan(&[meta(EXPLICIT), records].concat()).outcome, Err(Unreadable::Directory));
}
