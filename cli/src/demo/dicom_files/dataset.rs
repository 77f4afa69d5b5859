//! A DICOM data set under construction: value representations come from the standard's dictionary (PS3.6).

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;

/// A data set, or an item of a sequence.
#[derive(Clone)]
pub(super) struct Dataset(InMemDicomObject);

/// A code with its scheme and meaning (PS3.3 section 8).
#[derive(Debug, Clone, Copy)]
pub(super) struct Code {
    pub(super) value: &'static str,
    pub(super) scheme: &'static str,
    pub(super) meaning: &'static str,
}

impl Dataset {
    /// One without any element.
    pub(super) fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// An item with the code.
    pub(super) fn of_code(code: Code) -> Self {
        let mut item = Self::new();
        item.text(tags::CODE_VALUE, code.value);
        item.text(tags::CODING_SCHEME_DESIGNATOR, code.scheme);
        item.text(tags::CODE_MEANING, code.meaning);
        item
    }

    /// The object that dicom-rs writes.
    pub(super) fn into_object(self) -> InMemDicomObject {
        self.0
    }

    /// Sets text; several values are separated by a backslash. Empty text makes an element without value.
    pub(super) fn text(&mut self, tag: Tag, value: impl Into<String>) {
        let value = value.into();
        let value = if value.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::from(value) };
        self.0.put(DataElement::new(tag, representation(tag), value));
    }

    /// Sets decimal strings (PS3.5 section 6.2: at most 16 characters each).
    pub(super) fn decimals(&mut self, tag: Tag, values: &[f64]) {
        let texts: Vec<String> = values.iter().map(|value| decimal(*value)).collect();
        self.text(tag, texts.join("\\"));
    }

    /// Sets an unsigned short.
    pub(super) fn short(&mut self, tag: Tag, value: u16) {
        self.0.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }

    /// Sets a signed short.
    pub(super) fn signed_short(&mut self, tag: Tag, value: i16) {
        self.0.put(DataElement::new(tag, VR::SS, PrimitiveValue::from(value)));
    }

    /// Sets a sequence.
    pub(super) fn items(&mut self, tag: Tag, items: Vec<Dataset>) {
        let items: Vec<InMemDicomObject> = items.into_iter().map(Self::into_object).collect();
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)));
    }

    /// Sets PixelData of 8 bits.
    pub(super) fn pixels_8(&mut self, values: Vec<u8>) {
        self.0.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(values.into())));
    }

    /// Sets PixelData of 16 bits.
    pub(super) fn pixels_16(&mut self, values: Vec<u16>) {
        self.0.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(values.into())));
    }
}

fn representation(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// A number in at most 16 characters, with at most six decimals.
fn decimal(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}
