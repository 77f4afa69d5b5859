//! A header that was cut is read as the whole object is, and holds nothing else.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use caim_ontology::Models;
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::*;
use crate::source::Part;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const PIXELS_SEEN: &[u8] = b"PIXELS-OF-THE-OBJECT";

fn door() -> Door {
    Door::new(&Models::bundled().unwrap()).unwrap()
}

/// What the scanner makes of an object, in words.
fn read(door: &Door, bytes: &[u8]) -> String {
    let (mut cells, mut passed) = (Cells::new(door.wanted.len()), Passed::default());
    let mut sheet = Sheet { wanted: &door.wanted, cells: &mut cells, passed: &mut passed };
    let outcome = scan(Cursor::new(bytes), bytes.len() as u64, &mut [0; BLOCK_BYTES], &mut sheet);
    let noted = match outcome {
        Ok(noted) => noted.map(|noted| format!("{:?}", noted.rows(0))),
        Err(reason) => return format!("{reason:?}"),
    };
    let cells: Vec<_> = (0..door.wanted.len()).map(|slot| format!("{:?}", cells.last(slot))).collect();
    format!("{cells:?} {:?} {noted:?}", passed.tags())
}

/// An object cut into a file's header; the data set comes behind its meta group.
fn cut(door: &Door, data_set: &[u8], syntax: &str) -> Result<Vec<u8>, Unreadable> {
    let mut out = Vec::new();
    door.cut(Cursor::new(data_set), syntax, &mut out)?;
    Ok(out)
}

fn data_set_of(object: &InMemDicomObject) -> Vec<u8> {
    let mut bytes = Vec::new();
    let meta = FileMetaTableBuilder::new().transfer_syntax(EXPLICIT);
    object.clone().with_meta(meta).unwrap().write_dataset(&mut bytes).unwrap();
    bytes
}

fn image() -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let icon = InMemDicomObject::from_element_iter([DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::from(PIXELS_SEEN),
    )]);
    let texts: [(Tag, VR, &str); 7] = [
        (tags::SOP_CLASS_UID, VR::UI, CT),
        (tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
        (tags::MODALITY, VR::CS, "CT"),
        (tags::PATIENT_NAME, VR::PN, "SECRET^NAME"),
        (tags::PATIENT_ID, VR::LO, "P1"),
        (tags::INSTITUTION_ADDRESS, VR::ST, "SECRET street"),
        (Tag(0x0009, 0x1001), VR::LO, "SECRET private"),
    ];
    texts.iter().for_each(|(tag, vr, text)| {
        object.put(DataElement::new(*tag, *vr, PrimitiveValue::from(*text)));
    });
    object.put(DataElement::new(tags::ICON_IMAGE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![icon])));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(PIXELS_SEEN)));
    object
}

#[test]
fn nothing_but_what_is_wanted_is_written() {
    let (door, whole) = (door(), data_set_of(&image()));
    let header = cut(&door, &whole, EXPLICIT).unwrap();
    let holds = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    for text in [PIXELS_SEEN, b"SECRET", b"\xE0\x7F\x10\x00"] {
        assert!(holds(&whole, text) && !holds(&header, text), "{text:?}");
    }
    assert!(holds(&header, b"1.2.3") && holds(&header, b"P1"));
}

#[test]
fn a_long_value_is_written_as_one_that_is_too_long() {
    let mut object = image();
    object.put(DataElement::new(tags::MANUFACTURER, VR::UT, PrimitiveValue::from("x".repeat(1 << 20))));
    let (door, whole) = (door(), data_set_of(&object));
    let header = cut(&door, &whole, EXPLICIT).unwrap();
    assert!(header.len() < 4096);
    assert_eq!(read(&door, &header), read(&door, &as_file(&whole, EXPLICIT)));
}

#[test]
fn a_header_is_cut_from_a_stream_of_any_pieces() {
    struct Pieces<'p>(&'p [u8]);
    impl Read for Pieces<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let most = room.len().min(3);
            self.0.read(&mut room[..most])
        }
    }
    let (door, whole, mut out) = (door(), data_set_of(&image()), Vec::new());
    door.cut(Pieces(&whole), EXPLICIT, &mut out).unwrap();
    assert_eq!(out, cut(&door, &whole, EXPLICIT).unwrap());
}

#[test]
fn a_deflated_header_stays_deflated() {
    let (door, whole) = (door(), data_set_of(&image()));
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflated.write_all(&whole).unwrap();
    let deflated = deflated.finish().unwrap();
    let syntax = "1.2.840.10008.1.2.1.99";
    let header = cut(&door, &deflated, syntax).unwrap();
    assert_eq!(read(&door, &header), read(&door, &as_file(&deflated, syntax)));
}

#[test]
fn what_ends_too_early_or_is_none_is_refused() {
    let (door, whole) = (door(), data_set_of(&image()));
    let place = whole.windows(2).position(|window| window == b"P1").unwrap();
    assert_eq!(cut(&door, &whole[..place + 1], EXPLICIT).err(), Some(Unreadable::Truncated));
    assert!(cut(&door, &whole, "1.2.3.4").is_err(), "an unknown transfer syntax");
    let check = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        door.check(Header::Part(Part::new(Arc::new(file), 0, bytes.len() as u64)))
    };
    assert_eq!(check(&cut(&door, &whole, EXPLICIT).unwrap()), Ok((CT.to_owned(), "1.2.3".to_owned())));
    for nothing in [b"".as_slice(), b"<html><body>hello</body>"] {
        let header = cut(&door, nothing, EXPLICIT).unwrap();
        assert_eq!(check(&header), Err(Unreadable::NoInstanceUid));
    }
}

/// A data set behind a meta group.
fn as_file(data_set: &[u8], syntax: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin(syntax, &mut bytes).unwrap();
    bytes.extend(data_set);
    bytes
}

/// Real objects of another reader, of which every one that can be read is read from its cut header alike.
#[test]
fn real_objects_are_read_alike_whole_and_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/dicom");
    if !folder.exists() {
        println!("skipped: {} is absent (real data is not part of a public clone)", folder.display());
        return;
    }
    let (door, mut compared, mut left) = (door(), 0, vec![folder]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let Some((syntax, start)) = behind_meta(&bytes) else { continue };
        let whole = read(&door, &as_file(&bytes[start..], &syntax));
        let Ok(header) = cut(&door, &bytes[start..], &syntax) else { continue };
        assert_eq!(read(&door, &header), whole, "{}", path.display());
        assert!(header.len() <= bytes.len() + 512, "{}", path.display());
        compared += 1;
    }
    assert!(compared > 100, "{compared} objects were compared");
}

/// The transfer syntax of a file, and where its data set begins.
fn behind_meta(bytes: &[u8]) -> Option<(String, usize)> {
    let is_file = bytes.get(128..132)? == b"DICM" && bytes.get(132..138)? == b"\x02\x00\x00\x00UL";
    let length = u32::from_le_bytes(bytes.get(140..144)?.try_into().ok()?) as usize;
    let start = 144 + length;
    let meta = bytes.get(144..start).filter(|_| is_file)?;
    let place = meta.windows(6).position(|window| window == b"\x02\x00\x10\x00UI")?;
    let length = usize::from(u16::from_le_bytes(meta.get(place + 6..place + 8)?.try_into().ok()?));
    let uid = std::str::from_utf8(meta.get(place + 8..place + 8 + length)?).ok()?;
    Some((uid.trim_end_matches(['\0', ' ']).to_owned(), start))
}
