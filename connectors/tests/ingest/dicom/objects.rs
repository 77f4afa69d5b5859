//! Objects as a writer of the standard makes them.

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

/// An object that is being made.
pub(crate) struct Object(InMemDicomObject);

impl Object {
    /// A CT image of that identifier, of patient P1.
    pub(crate) fn new(uid: &str) -> Self {
        Self(InMemDicomObject::new_empty())
            .with(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2")
            .with(tags::SOP_INSTANCE_UID, VR::UI, uid)
            .with(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1")
            .with(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3")
            .with(tags::MODALITY, VR::CS, "CT")
            .with(tags::PATIENT_ID, VR::LO, "P1")
    }

    /// With an attribute.
    pub(crate) fn with(mut self, tag: Tag, vr: VR, value: &str) -> Self {
        self.0.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        self
    }

    /// A data set without an attribute: an item of a sequence.
    pub(crate) fn item() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// An item that is a coded entry.
    pub(crate) fn code(value: &str, scheme: &str, meaning: &str) -> Self {
        Self::item()
            .with(tags::CODE_VALUE, VR::SH, value)
            .with(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme)
            .with(tags::CODE_MEANING, VR::LO, meaning)
    }

    /// Of another SOP class and modality.
    pub(crate) fn of_class(self, class: &str, modality: &str) -> Self {
        self.with(tags::SOP_CLASS_UID, VR::UI, class).with(tags::MODALITY, VR::CS, modality)
    }

    /// With an attribute of floating point numbers.
    pub(crate) fn with_float(mut self, tag: Tag, value: f64) -> Self {
        self.0.put(DataElement::new(tag, VR::FD, PrimitiveValue::from(value)));
        self
    }

    /// With an attribute that is a short number.
    pub(crate) fn with_number(mut self, tag: Tag, value: u16) -> Self {
        self.0.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        self
    }

    /// With a sequence.
    pub(crate) fn with_items(mut self, tag: Tag, items: impl IntoIterator<Item = Self>) -> Self {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|item| item.0).collect();
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
        self
    }

    /// Without an attribute.
    pub(crate) fn without(mut self, tag: Tag) -> Self {
        self.0.remove_element(tag);
        self
    }

    /// With a sequence of one item.
    pub(crate) fn with_item(self, tag: Tag, item: Self) -> Self {
        self.with_items(tag, [item])
    }

    /// The file, explicit little endian.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.bytes_as("1.2.840.10008.1.2.1")
    }

    /// The file in a transfer syntax.
    pub(crate) fn bytes_as(self, syntax: &str) -> Vec<u8> {
        let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
        let mut bytes = Vec::new();
        self.0.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        bytes
    }
}
