//! The columns of an object, against values made by hand.

use arrow::array::Array;
use arrow::util::display::array_value_to_string;
use caim_ontology::Models;

use super::super::cells::Number;
use super::super::element::Coding;
use super::*;

/// Values of one attribute, read into a column of the bundled model. NULL is `-`.
fn fill(column: &str, values: &[(Form, &[u8])]) -> (Vec<String>, Doubts) {
    let models = Models::bundled().unwrap();
    let mut cells = Cells::new(1);
    for (form, bytes) in values {
        cells.begin_row();
        cells.set(0, *form, bytes, Coding::Explicit);
    }
    let column = models.table("dicom", "instance").unwrap().column(column).unwrap().clone();
    let Filled { array, doubts } = Filler::of(&column, vec![0]).fill(&cells, &Rules::dicom());
    let cell =
        |row| if array.is_null(row) { "-".into() } else { array_value_to_string(&array, row).unwrap() };
    ((0..array.len()).map(cell).collect(), doubts)
}

fn fill_text(column: &str, values: &[&[u8]]) -> (Vec<String>, Doubts) {
    fill(column, &values.iter().map(|value| (Form::Text, *value)).collect::<Vec<_>>())
}

#[test]
fn several_texts_are_kept_and_of_several_numbers_the_first() {
    assert_eq!(fill_text("ImageType", &[b"DERIVED\\PRIMARY \\\\MPR "]).0, ["DERIVED\\PRIMARY\\\\MPR"]);
    let (cells, doubts) = fill_text("PixelSpacing", &[b"0.5\\0.50", b"0.5\\0.5 ", b"0.7\\"]);
    assert_eq!((cells, doubts.several), (vec!["0.5".into(), "0.5".into(), "0.7".into()], 2));
}

#[test]
fn d25_nothing_outside_its_repertoire_becomes_a_value() {
    let bad: [&[u8]; 9] = [
        b"CT\0x",
        b"C\nT",
        b"C\tT",
        b"\"CT\"",
        b"C,T",
        b"\x1b[31mCT",
        b"M\xfcller",
        &[b'A'; 1025],
        b"O'Neil",
    ];
    let (cells, doubts) = fill_text("Modality", &bad);
    assert_eq!((cells, doubts.unreadable), (vec!["-".to_owned(); 9], 9));
    let (cells, doubts) = fill_text("StudyInstanceUID", &[b"1.2.3\0", b"1.2.a", &[b'1'; 65], b"1.2\\1.3"]);
    assert_eq!((cells, doubts.unreadable), (vec!["1.2.3".into(), "-".into(), "-".into(), "-".into()], 3));
    assert_eq!(fill_text("StudyTime", &[b"101112.25 ", b"noon"]).0, ["101112.25", "-"]);
}

#[test]
fn numbers_are_read_in_text_and_binary_and_odd_lengths_are_unreadable() {
    let u16s = Form::Binary(Number::U16);
    let (cells, doubts) = fill(
        "Rows",
        &[(u16s, &[0, 2]), (u16s, &[]), (u16s, &[7]), (Form::Text, b"512 "), (Form::Absent, b"")],
    );
    assert_eq!((cells.join(" "), doubts.unreadable), ("512 - - 512 -".into(), 1));
    let float = Form::Binary(Number::F64);
    let (cells, _) = fill("EchoTime", &[(float, &2.5_f64.to_le_bytes()), (float, &f64::NAN.to_le_bytes())]);
    assert_eq!(cells, ["2.5", "-"]);
    assert_eq!(fill("InstanceNumber", &[(Form::Binary(Number::F32), &3_f32.to_le_bytes())]).0, ["3"]);
    assert_eq!(fill("PixelRepresentation", &[(u16s, &[1, 0])]).0, ["1"]);
    let position = [1.5_f64, -2.0].map(f64::to_le_bytes).concat();
    assert_eq!(fill("ImagePositionPatient", &[(float, &position)]).0, ["1.5\\-2"]);
}

#[test]
fn dates_ages_and_presence_have_their_own_forms() {
    let (cells, doubts) = fill_text("StudyDate", &[b"2023.01.05", b"20230230", b"UNKNOWN", b"99991231"]);
    assert_eq!((cells.join(" "), doubts.unreadable), ("2023-01-05 - - -".into(), 3));
    assert_eq!(fill_text("PatientAge", &[b"095Y", b"018M", b"Y"]).0, ["95", "1", "-"]);
    let (cells, _) = fill(
        "has_contrast_agent",
        &[(Form::Text, b"Iomeron"), (Form::Text, b" "), (Form::Absent, b""), (Form::Guessed, b"J\xc3\xb6d")],
    );
    assert_eq!(cells, ["true", "false", "false", "true"]);
}

#[test]
fn guessed_text_is_kept_and_counted_and_broken_text_is_neither() {
    let (cells, doubts) = fill("Manufacturer", &[(Form::Guessed, "Müller".as_bytes()), (Form::Broken, b"")]);
    assert_eq!(
        (cells.join(" "), doubts),
        ("Müller -".into(), Doubts { unreadable: 1, guessed: 1, ..Doubts::default() })
    );
}

#[test]
fn a_long_column_keeps_its_rows_in_order() {
    let numbers: Vec<Vec<u8>> = (0..1000_u32).map(|n| n.to_string().into_bytes()).collect();
    let values: Vec<(Form, &[u8])> = numbers.iter().map(|n| (Form::Text, n.as_slice())).collect();
    assert_eq!(fill("InstanceNumber", &values).0.last().unwrap(), "999");
    let texts = fill("Manufacturer", &values).0;
    assert!(texts.iter().map(String::as_bytes).eq(numbers.iter().map(Vec::as_slice)));
}
