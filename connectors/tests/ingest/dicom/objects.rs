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

    /// Without an attribute.
    pub(crate) fn without(mut self, tag: Tag) -> Self {
        self.0.remove_element(tag);
        self
    }

    /// With a sequence of one item.
    pub(crate) fn with_item(mut self, tag: Tag, item: Self) -> Self {
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(vec![item.0])));
        self
    }

    /// The file, explicit little endian.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let meta = FileMetaTableBuilder::new().transfer_syntax("1.2.840.10008.1.2.1");
        let mut bytes = Vec::new();
        self.0.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        bytes
    }
}
