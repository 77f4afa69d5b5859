//! What each modality adds to an instance: the modules of its information object definition (PS3.3 annex A).

use anyhow::{Result, bail};
use dicom_dictionary_std::tags;

use super::dataset::{Code, Dataset};
use super::instance::{Instance, date};
use super::projection;

const FLUORINE_18: Code = Code { value: "77004003", scheme: "SCT", meaning: "^18^Fluorine" };
const GLUCOSE: Code = Code { value: "35321007", scheme: "SCT", meaning: "Fluorodeoxyglucose F^18^" };
const RECUMBENT: Code = Code { value: "102538003", scheme: "SCT", meaning: "recumbent" };
const SUPINE: Code = Code { value: "40199007", scheme: "SCT", meaning: "supine" };
const HEADFIRST: Code = Code { value: "102540008", scheme: "SCT", meaning: "headfirst" };

/// Half-life of fluorine-18, in seconds.
const HALF_LIFE_S: f64 = 6586.2;
/// One bed position of a positron emission tomography.
const FRAME_MS: i64 = 120_000;

/// Completes an instance by the modality of its series.
///
/// # Errors
/// When nobody has written down what the modality needs.
pub(super) fn complete(of: &Instance<'_>, to: &mut Dataset) -> Result<()> {
    match of.series.modality {
        "CT" => ct(of, to),
        "MR" => mr(of, to),
        "PT" => pt(of, to),
        "US" => us(of, to),
        "CR" => projection::cr(of, to),
        "DX" => projection::dx(of, to),
        "MG" => projection::mg(of, to),
        other => bail!("files of modality {other} cannot be written"),
    }
    Ok(())
}

fn ct(of: &Instance<'_>, to: &mut Dataset) {
    of.laterality(to);
    of.plane(to, 400.0);
    of.pixels(to, 12);
    to.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL");
    to.text(tags::PATIENT_POSITION, "HFS");
    to.text(tags::KVP, "");
    of.optional(to, tags::KVP, of.series.kvp);
    to.text(tags::RESCALE_INTERCEPT, "-1024");
    to.text(tags::RESCALE_SLOPE, "1");
    to.text(tags::RESCALE_TYPE, "HU");
}

fn mr(of: &Instance<'_>, to: &mut Dataset) {
    let protocol = of.series.protocol;
    of.laterality(to);
    of.plane(to, 320.0);
    of.pixels(to, 12);
    to.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\OTHER");
    to.text(tags::PATIENT_POSITION, "HFS");
    to.text(tags::SCANNING_SEQUENCE, protocol.sequence.as_deref().unwrap_or("RM"));
    to.text(tags::SEQUENCE_VARIANT, protocol.variant.as_deref().unwrap_or("NONE"));
    to.text(tags::SCAN_OPTIONS, "");
    to.text(tags::MR_ACQUISITION_TYPE, "2D");
    to.text(tags::REPETITION_TIME, "");
    of.optional(to, tags::REPETITION_TIME, protocol.repetition_ms);
    to.text(tags::ECHO_TIME, "");
    of.optional(to, tags::ECHO_TIME, protocol.echo_ms);
    to.text(tags::ECHO_TRAIN_LENGTH, "1");
    of.optional(to, tags::MAGNETIC_FIELD_STRENGTH, of.series.tesla);
}

fn pt(of: &Instance<'_>, to: &mut Dataset) {
    of.laterality(to);
    of.plane(to, 700.0);
    of.pixels(to, 16);
    to.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    to.text(tags::RESCALE_INTERCEPT, "0");
    to.text(tags::RESCALE_SLOPE, "1.5");
    to.text(tags::UNITS, "BQML");
    to.text(tags::COUNTS_SOURCE, "EMISSION");
    to.text(tags::SERIES_TYPE, "WHOLE BODY\\IMAGE");
    to.text(tags::CORRECTED_IMAGE, "DECY\\ATTN\\SCAT\\DTIM\\RAN\\NORM");
    to.text(tags::DECAY_CORRECTION, "START");
    to.text(tags::COLLIMATOR_TYPE, "NONE");
    to.short(tags::NUMBER_OF_SLICES, of.series.instances.unsigned_abs() as u16);
    to.short(tags::IMAGE_INDEX, of.number.unsigned_abs() as u16);
    to.text(tags::FRAME_REFERENCE_TIME, (FRAME_MS / 2 + FRAME_MS * (of.number - 1)).to_string());
    to.text(tags::ACTUAL_FRAME_DURATION, FRAME_MS.to_string());
    to.text(tags::DECAY_FACTOR, "1.01");
    to.items(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![tracer(of)]);
    let mut lying = Dataset::of_code(RECUMBENT);
    lying.items(tags::PATIENT_ORIENTATION_MODIFIER_CODE_SEQUENCE, vec![Dataset::of_code(SUPINE)]);
    to.items(tags::PATIENT_ORIENTATION_CODE_SEQUENCE, vec![lying]);
    to.items(tags::PATIENT_GANTRY_RELATIONSHIP_CODE_SEQUENCE, vec![Dataset::of_code(HEADFIRST)]);
}

/// The tracer, given an hour before.
fn tracer(of: &Instance<'_>) -> Dataset {
    let mut item = Dataset::new();
    let hour_before =
        |time: &str| time.parse::<u32>().map_or(String::new(), |t| format!("{:06}", t - 10_000));
    item.text(tags::RADIOPHARMACEUTICAL, "Fluorodeoxyglucose");
    item.text(tags::RADIOPHARMACEUTICAL_START_TIME, hour_before(&of.session.time));
    item.text(
        tags::RADIOPHARMACEUTICAL_START_DATE_TIME,
        format!("{}{}", date(of.study.date), hour_before(&of.session.time)),
    );
    item.text(tags::RADIONUCLIDE_TOTAL_DOSE, "280000000");
    item.decimals(tags::RADIONUCLIDE_HALF_LIFE, &[HALF_LIFE_S]);
    item.text(tags::RADIONUCLIDE_POSITRON_FRACTION, "0.97");
    item.items(tags::RADIONUCLIDE_CODE_SEQUENCE, vec![Dataset::of_code(FLUORINE_18)]);
    item.items(tags::RADIOPHARMACEUTICAL_CODE_SEQUENCE, vec![Dataset::of_code(GLUCOSE)]);
    item
}

fn us(of: &Instance<'_>, to: &mut Dataset) {
    of.laterality(to);
    of.pixels(to, 8);
    to.text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    to.text(tags::PATIENT_ORIENTATION, "");
    to.text(tags::LOSSY_IMAGE_COMPRESSION, "00");
}
