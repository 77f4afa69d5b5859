//! The DICOM JSON model (PS3.18 annex F) written as the data set that it stands for: explicit, least byte first.
//!
//! From there on an object that came as JSON is read by the scanner that reads files. Bulk data is not fetched: an
//! element that only says where its value lies is left out, and so are pixels. The crate dicom-json reads the same model,
//! but gives an object up for an empty value among numbers or an empty item, which archives send.

use serde_json::{Map, Value};

/// Value representations whose length takes four bytes (PS3.5 table 7.1-1).
const LONG: [&str; 12] = ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT"];
/// The element that says how text is encoded; JSON is always UTF-8.
const CHARACTER_SET: u32 = 0x0008_0005;
const UTF_8: &str = "ISO_IR 192";
/// Pixels, and what else is as large: everything from here on.
const PIXELS: u32 = 0x7FE0_0000;
/// Sequences in sequences.
const DEPTH: usize = 16;

/// Why JSON is no data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoDataSet {
    #[error("it is no JSON object of attributes")]
    Shape,
    #[error("an attribute is not named by eight hexadecimal digits")]
    Tag,
    #[error("an attribute has no value representation")]
    Representation,
    #[error("a value does not fit its value representation")]
    Value,
    #[error("a value is longer than its value representation allows")]
    Length,
    #[error("its sequences are nested too deeply")]
    Depth,
}

/// The data set of one object, without preamble and meta group.
pub(super) fn data_set(object: &Value) -> Result<Vec<u8>, NoDataSet> {
    let attributes = object.as_object().ok_or(NoDataSet::Shape)?;
    let mut bytes = Vec::new();
    put(&mut bytes, CHARACTER_SET, "CS", UTF_8.as_bytes())?;
    elements(attributes, 0, &mut bytes)?;
    Ok(bytes)
}

/// The attributes in the order of their tags.
fn elements(attributes: &Map<String, Value>, depth: usize, bytes: &mut Vec<u8>) -> Result<(), NoDataSet> {
    if depth > DEPTH {
        return Err(NoDataSet::Depth);
    }
    let tag = |name: &String| match name.len() {
        8 => u32::from_str_radix(name, 16).map_err(|_| NoDataSet::Tag),
        _ => Err(NoDataSet::Tag),
    };
    let mut tagged =
        attributes.iter().map(|(name, of)| Ok((tag(name)?, of))).collect::<Result<Vec<_>, NoDataSet>>()?;
    tagged.sort_by_key(|(tag, _)| *tag);
    for (tag, attribute) in tagged {
        // Group 2 and lower belong to files and messages.
        if tag == CHARACTER_SET || tag >= PIXELS || tag >> 16 <= 2 {
            continue;
        }
        element(tag, attribute, depth, bytes)?;
    }
    Ok(())
}

fn element(tag: u32, attribute: &Value, depth: usize, bytes: &mut Vec<u8>) -> Result<(), NoDataSet> {
    let vr = attribute.get("vr").and_then(Value::as_str).ok_or(NoDataSet::Representation)?;
    if vr.len() != 2 || !vr.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return Err(NoDataSet::Representation);
    }
    let values = match attribute.get("Value") {
        None => [].as_slice(),
        Some(values) => values.as_array().ok_or(NoDataSet::Value)?.as_slice(),
    };
    if vr == "SQ" {
        let mut items = Vec::new();
        values.iter().try_for_each(|value| item(value, depth, &mut items))?;
        return put(bytes, tag, vr, &items);
    }
    if attribute.get("BulkDataURI").is_some() {
        return Ok(());
    }
    let value = match attribute.get("InlineBinary").map(Value::as_str) {
        Some(Some(text)) => from_base64(text).ok_or(NoDataSet::Value)?,
        Some(None) => return Err(NoDataSet::Value),
        None => encoded(vr, values)?,
    };
    put(bytes, tag, vr, &value)
}

/// One item of a sequence; an empty one may come as null.
fn item(value: &Value, depth: usize, bytes: &mut Vec<u8>) -> Result<(), NoDataSet> {
    let mut inside = Vec::new();
    match value {
        Value::Null => {}
        Value::Object(attributes) => elements(attributes, depth + 1, &mut inside)?,
        _ => return Err(NoDataSet::Shape),
    }
    bytes.extend([0xFE, 0xFF, 0x00, 0xE0]);
    bytes.extend(u32::try_from(inside.len()).map_err(|_| NoDataSet::Length)?.to_le_bytes());
    bytes.extend(inside);
    Ok(())
}

/// One element: tag, value representation, length, and the value padded to even length.
fn put(bytes: &mut Vec<u8>, tag: u32, vr: &str, value: &[u8]) -> Result<(), NoDataSet> {
    let padded = value.len() + value.len() % 2;
    bytes.extend(u16::try_from(tag >> 16).unwrap_or_default().to_le_bytes());
    bytes.extend(u16::try_from(tag & 0xFFFF).unwrap_or_default().to_le_bytes());
    bytes.extend(vr.as_bytes());
    if LONG.contains(&vr) || vr == "UV" {
        bytes.extend([0, 0]);
        bytes.extend(u32::try_from(padded).map_err(|_| NoDataSet::Length)?.to_le_bytes());
    } else {
        bytes.extend(u16::try_from(padded).map_err(|_| NoDataSet::Length)?.to_le_bytes());
    }
    bytes.extend(value);
    bytes.extend((value.len() < padded).then_some(if vr == "UI" { 0 } else { b' ' }));
    Ok(())
}

/// Puts a value behind others; nothing when it does not fit.
type PutValue = fn(&Value, &mut Vec<u8>) -> Option<()>;

/// Values as bytes: numbers one behind the other, texts with a backslash between them.
fn encoded(vr: &str, values: &[Value]) -> Result<Vec<u8>, NoDataSet> {
    let mut bytes = Vec::new();
    let binary: Option<PutValue> = match vr {
        "US" => Some(|value, bytes| put_whole::<u16, 2>(value, bytes, u16::to_le_bytes)),
        "SS" => Some(|value, bytes| put_whole::<i16, 2>(value, bytes, i16::to_le_bytes)),
        "UL" => Some(|value, bytes| put_whole::<u32, 4>(value, bytes, u32::to_le_bytes)),
        "SL" => Some(|value, bytes| put_whole::<i32, 4>(value, bytes, i32::to_le_bytes)),
        "UV" => Some(|value, bytes| put_whole::<u64, 8>(value, bytes, u64::to_le_bytes)),
        "SV" => Some(|value, bytes| put_whole::<i64, 8>(value, bytes, i64::to_le_bytes)),
        "FL" => Some(|value, bytes| {
            #[expect(clippy::cast_possible_truncation, reason = "the value representation has 32 bits")]
            bytes.extend((real(value)? as f32).to_le_bytes());
            Some(())
        }),
        "FD" => Some(|value, bytes| {
            bytes.extend(real(value)?.to_le_bytes());
            Some(())
        }),
        "AT" => Some(|value, bytes| {
            let tag = u32::from_str_radix(value.as_str()?, 16).ok()?;
            bytes.extend(u16::try_from(tag >> 16).ok()?.to_le_bytes());
            bytes.extend(u16::try_from(tag & 0xFFFF).ok()?.to_le_bytes());
            Some(())
        }),
        _ => None,
    };
    if let Some(put) = binary {
        for value in values.iter().filter(|value| !value.is_null()) {
            put(value, &mut bytes).ok_or(NoDataSet::Value)?;
        }
        return Ok(bytes);
    }
    let texts =
        values.iter().map(|value| text(vr, value)).collect::<Option<Vec<_>>>().ok_or(NoDataSet::Value)?;
    Ok(texts.join("\\").into_bytes())
}

fn put_whole<T: std::str::FromStr, const N: usize>(
    value: &Value,
    bytes: &mut Vec<u8>,
    encode: fn(T) -> [u8; N],
) -> Option<()> {
    bytes.extend(encode(decimal(value)?.parse().ok()?));
    Some(())
}

/// A number as text: large ones and decimals come as strings.
fn decimal(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.trim().to_owned()),
        _ => None,
    }
}

fn real(value: &Value) -> Option<f64> {
    decimal(value)?.parse().ok()
}

/// One value of a textual value representation; an empty one among others comes as null.
fn text(vr: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        // The three spellings of a person's name.
        Value::Object(name) if vr == "PN" => {
            let spelling = |key: &str| name.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let all = ["Alphabetic", "Ideographic", "Phonetic"].map(spelling).join("=");
            Some(all.trim_end_matches('=').to_owned())
        }
        _ => None,
    }
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{NoDataSet, data_set};

    const HEAD: &[u8] = b"\x08\x00\x05\x00CS\x0A\x00ISO_IR 192";

    fn behind_head(object: &serde_json::Value) -> Vec<u8> {
        let bytes = data_set(object).unwrap();
        bytes.strip_prefix(HEAD).unwrap().to_vec()
    }

    #[test]
    fn values_of_every_kind_are_written_in_the_order_of_their_tags() {
        let object = json!({
            "00280010": {"vr": "US", "Value": [512, 3]},
            "00080060": {"vr": "CS", "Value": ["MR"]},
            "00080008": {"vr": "CS", "Value": ["ORIGINAL", null, "AXIAL"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Phonetic": "C"}]},
            "00180050": {"vr": "DS", "Value": [2.5]},
            "00189087": {"vr": "FD", "Value": ["800.5"]},
            "00200062": {"vr": "CS"},
            "00420011": {"vr": "OB", "InlineBinary": "AQI="},
            "00181000": {"vr": "AT", "Value": ["0020000D"]},
            "00189999": {"vr": "OW", "BulkDataURI": "https://elsewhere"},
            "7FE00010": {"vr": "OW", "BulkDataURI": "https://elsewhere"},
            "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        });
        let written = behind_head(&object);
        assert!(written.starts_with(b"\x08\x00\x08\x00CS\x10\x00ORIGINAL\\\\AXIAL"), "{written:?}");
        for part in [
            b"\x08\x00\x60\x00CS\x02\x00MR".as_slice(),
            b"\x10\x00\x10\x00PN\x06\x00A^B==C",
            b"\x18\x00\x50\x00DS\x04\x002.5 ",
            b"\x18\x00\x00\x10AT\x04\x00\x20\x00\x0D\x00",
            b"\x20\x00\x62\x00CS\x00\x00",
            b"\x28\x00\x10\x00US\x04\x00\x00\x02\x03\x00",
            b"\x42\x00\x11\x00OB\x00\x00\x02\x00\x00\x00\x01\x02",
        ] {
            assert!(written.windows(part.len()).any(|window| window == part), "{part:?} in {written:?}");
        }
        assert!(!written.windows(4).any(|window| window == b"\xE0\x7F\x10\x00"), "no pixels");
    }

    #[test]
    fn sequences_are_items_of_defined_length() {
        let object = json!({"00081115": {"vr": "SQ", "Value": [{"0020000E": {"vr": "UI", "Value": ["1.2.3"]}}, null]}});
        let item = b"\x20\x00\x0E\x00UI\x06\x001.2.3\x00";
        let mut expected =
            b"\x08\x00\x15\x11SQ\x00\x00\x1E\x00\x00\x00\xFE\xFF\x00\xE0\x0E\x00\x00\x00".to_vec();
        expected.extend(item);
        expected.extend(b"\xFE\xFF\x00\xE0\x00\x00\x00\x00");
        assert_eq!(behind_head(&object), expected);
    }

    #[test]
    fn what_is_no_data_set_is_refused() {
        let mut deep = json!({});
        for _ in 0..20 {
            deep = json!({"00081115": {"vr": "SQ", "Value": [deep]}});
        }
        for (object, expected) in [
            (json!([]), NoDataSet::Shape),
            (json!({"StudyDate": {"vr": "DA"}}), NoDataSet::Tag),
            (json!({"00080060": {"Value": ["MR"]}}), NoDataSet::Representation),
            (json!({"00080060": {"vr": "C'"}}), NoDataSet::Representation),
            (json!({"00280010": {"vr": "US", "Value": [70000]}}), NoDataSet::Value),
            (json!({"00280010": {"vr": "US", "Value": "512"}}), NoDataSet::Value),
            (json!({"00080060": {"vr": "CS", "Value": ["x".repeat(70_000)]}}), NoDataSet::Length),
            (deep, NoDataSet::Depth),
        ] {
            assert_eq!(data_set(&object), Err(expected));
        }
    }
}
