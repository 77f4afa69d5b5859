//! Projection radiography: computed (CR), digital (DX) and mammography (MG).

use dicom_dictionary_std::tags;

use super::dataset::{Code, Dataset};
use super::instance::Instance;

const BREAST: Code = Code { value: "76752008", scheme: "SCT", meaning: "Breast" };
const CHEST: Code = Code { value: "51185008", scheme: "SCT", meaning: "Chest" };
const CRANIO_CAUDAL: Code = Code { value: "399162004", scheme: "SCT", meaning: "cranio-caudal" };
const OBLIQUE: Code = Code { value: "399368009", scheme: "SCT", meaning: "medio-lateral oblique" };

/// Computed radiography.
pub(super) fn cr(of: &Instance<'_>, to: &mut Dataset) {
    of.laterality(to);
    of.pixels(to, 12);
    to.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    to.text(tags::PATIENT_ORIENTATION, "L\\F");
    // Of type 2 here, where General Series has it as type 3.
    to.text(tags::BODY_PART_EXAMINED, of.series.body_part.unwrap_or_default());
    to.text(tags::VIEW_POSITION, of.series.protocol.name.as_str());
    of.optional(to, tags::KVP, of.series.kvp);
}

/// Digital X-ray, for presentation: of the chest, which is not one of two.
pub(super) fn dx(of: &Instance<'_>, to: &mut Dataset) {
    digital(of, to);
    to.text(tags::PATIENT_ORIENTATION, "L\\F");
    to.text(tags::IMAGE_LATERALITY, "U");
    to.text(tags::POSITIONER_TYPE, "COLUMN");
    to.text(tags::VIEW_POSITION, of.series.protocol.name.as_str());
    to.items(tags::ANATOMIC_REGION_SEQUENCE, vec![Dataset::of_code(CHEST)]);
}

/// Digital mammography, for presentation.
pub(super) fn mg(of: &Instance<'_>, to: &mut Dataset) {
    digital(of, to);
    let (view, term) = match of.series.protocol.name.as_str() {
        "CC" => (CRANIO_CAUDAL, "CC"),
        _ => (OBLIQUE, "MLO"),
    };
    let side = of.series.laterality.unwrap_or("B");
    let orientation = match (side, term) {
        ("L", "CC") => "A\\R",
        ("L", _) => "A\\FR",
        (_, "CC") => "P\\L",
        (_, _) => "P\\FL",
    };
    let mut view = Dataset::of_code(view);
    view.items(tags::VIEW_MODIFIER_CODE_SEQUENCE, Vec::new());
    to.items(tags::VIEW_CODE_SEQUENCE, vec![view]);
    to.text(tags::VIEW_POSITION, term);
    to.text(tags::PATIENT_ORIENTATION, orientation);
    to.text(tags::IMAGE_LATERALITY, side);
    to.text(tags::POSITIONER_TYPE, "MAMMOGRAPHIC");
    to.text(tags::ORGAN_EXPOSED, "BREAST");
    to.items(tags::ANATOMIC_REGION_SEQUENCE, vec![Dataset::of_code(BREAST)]);
}

/// DX Series, DX Image, DX Detector, VOI LUT and Acquisition Context.
fn digital(of: &Instance<'_>, to: &mut Dataset) {
    of.pixels(to, 12);
    of.optional(to, tags::KVP, of.series.kvp);
    for (tag, text) in [
        (tags::PRESENTATION_INTENT_TYPE, "FOR PRESENTATION"),
        (tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY"),
        (tags::PIXEL_INTENSITY_RELATIONSHIP, "LOG"),
        (tags::RESCALE_INTERCEPT, "0"),
        (tags::RESCALE_SLOPE, "1"),
        (tags::RESCALE_TYPE, "US"),
        (tags::PRESENTATION_LUT_SHAPE, "IDENTITY"),
        (tags::LOSSY_IMAGE_COMPRESSION, "00"),
        (tags::BURNED_IN_ANNOTATION, "NO"),
        (tags::WINDOW_CENTER, "128"),
        (tags::WINDOW_WIDTH, "256"),
        (tags::DETECTOR_TYPE, "DIRECT"),
        (tags::IMAGER_PIXEL_SPACING, "10\\10"),
    ] {
        to.text(tag, text);
    }
    to.signed_short(tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN, -1);
    to.items(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
}
