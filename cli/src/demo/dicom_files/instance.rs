//! One instance: what is said of it, and the modules that every kind of image has (PS3.3 annex C).

use chrono::NaiveDate;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::dataset::Dataset;
use crate::demo::dice::Dice;
use crate::demo::dicom_table::age;
use crate::demo::imaging::{Series, Study};
use crate::demo::person::Person;
use crate::demo::population::Hospital;

/// Rows and columns of every image: enough to be valid.
pub(super) const SIDE: u16 = 16;

/// All that is written into one file.
pub(super) struct Instance<'a> {
    pub(super) hospital: &'a Hospital,
    pub(super) person: &'a Person<'a>,
    pub(super) sex: Option<&'static str>,
    pub(super) study: &'a Study<'a>,
    pub(super) session: &'a Session,
    pub(super) series: &'a Series<'a>,
    /// Whether the body part is, or may be, one of two.
    pub(super) paired: bool,
    /// From 1 within the series.
    pub(super) number: i64,
    pub(super) uid: String,
}

/// What the files of a study have in common beside what any archive lists.
pub(super) struct Session {
    /// Time of day, `HHMMSS`.
    pub(super) time: String,
    pub(super) accession: String,
    pub(super) frame_of_reference: String,
}

impl Session {
    /// The session of a study, which hangs on its UID alone.
    pub(super) fn of(study: &Study<'_>) -> Self {
        let mut dice = Dice::named(&study.uid);
        let (hour, minute, second) = (7 + dice.below(11), dice.below(60), dice.below(60));
        Self {
            time: format!("{hour:02}{minute:02}{second:02}"),
            accession: format!("{:08}", dice.below(100_000_000)),
            frame_of_reference: dice.uid(),
        }
    }
}

impl Instance<'_> {
    /// Patient, study, series, equipment and SOP modules, with what General Image asks of every image.
    pub(super) fn common(&self, to: &mut Dataset) {
        to.text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
        to.text(tags::SOP_CLASS_UID, self.series.sop_class);
        to.text(tags::SOP_INSTANCE_UID, self.uid.as_str());
        self.patient(to);
        self.study(to);
        self.series(to);
        to.text(tags::MANUFACTURER, self.series.manufacturer);
        to.text(tags::MANUFACTURER_MODEL_NAME, self.series.model);
        to.text(tags::INSTITUTION_NAME, self.hospital.title.as_str());
        to.text(tags::INSTANCE_NUMBER, self.number.to_string());
        to.text(tags::ACQUISITION_NUMBER, "1");
        for tag in [tags::ACQUISITION_DATE, tags::CONTENT_DATE] {
            to.text(tag, date(self.study.date));
        }
        for tag in [tags::ACQUISITION_TIME, tags::CONTENT_TIME] {
            to.text(tag, self.session.time.as_str());
        }
    }

    /// An archive that lost the patient's identifier has neither name nor birth.
    fn patient(&self, to: &mut Dataset) {
        let known = !self.series.orphan;
        let or_nothing = |text: String| if known { text } else { String::new() };
        let name = self.person.name;
        to.text(tags::PATIENT_NAME, or_nothing(format!("{}^{}", name.family, name.given)));
        to.text(tags::PATIENT_ID, or_nothing(self.person.id()));
        to.text(tags::PATIENT_BIRTH_DATE, or_nothing(date(self.person.birth)));
        to.text(tags::PATIENT_SEX, self.sex.unwrap_or_default());
        if let Some(age) = age(self.study) {
            to.text(tags::PATIENT_AGE, age);
        }
    }

    fn study(&self, to: &mut Dataset) {
        to.text(tags::STUDY_INSTANCE_UID, self.study.uid.as_str());
        to.text(tags::STUDY_DATE, date(self.study.date));
        to.text(tags::STUDY_TIME, self.session.time.as_str());
        to.text(tags::STUDY_ID, self.session.accession.as_str());
        to.text(tags::ACCESSION_NUMBER, self.session.accession.as_str());
        to.text(tags::REFERRING_PHYSICIAN_NAME, "");
    }

    fn series(&self, to: &mut Dataset) {
        let series = self.series;
        to.text(tags::MODALITY, series.modality);
        to.text(tags::SERIES_INSTANCE_UID, series.uid.as_str());
        to.text(tags::SERIES_NUMBER, series.number.to_string());
        to.text(tags::SERIES_DATE, date(self.study.date));
        to.text(tags::SERIES_TIME, self.session.time.as_str());
        to.text(tags::SERIES_DESCRIPTION, series.protocol.name.as_str());
        if let Some(body_part) = series.body_part {
            to.text(tags::BODY_PART_EXAMINED, body_part);
        }
    }

    /// The side of a paired body part; unknown is written as empty (type 2C).
    pub(super) fn laterality(&self, to: &mut Dataset) {
        if self.paired || self.series.laterality.is_some() {
            to.text(tags::LATERALITY, self.series.laterality.unwrap_or_default());
        }
    }

    /// Frame of Reference and Image Plane: axial slices from the feet up.
    pub(super) fn plane(&self, to: &mut Dataset, field_of_view_mm: f64) {
        let spacing = field_of_view_mm / f64::from(SIDE);
        let corner = (spacing - field_of_view_mm) / 2.0;
        let slice = self.series.slice_mm.unwrap_or(1.0);
        to.text(tags::FRAME_OF_REFERENCE_UID, self.session.frame_of_reference.as_str());
        to.text(tags::POSITION_REFERENCE_INDICATOR, "");
        to.decimals(tags::PIXEL_SPACING, &[spacing, spacing]);
        to.decimals(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        to.decimals(tags::IMAGE_POSITION_PATIENT, &[corner, corner, slice * (self.number - 1) as f64]);
        to.text(tags::SLICE_THICKNESS, "");
        self.optional(to, tags::SLICE_THICKNESS, self.series.slice_mm);
    }

    /// A decimal string where the number is known.
    pub(super) fn optional(&self, to: &mut Dataset, tag: Tag, value: Option<f64>) {
        if let Some(value) = value {
            to.decimals(tag, &[value]);
        }
    }

    /// Image Pixel: a slope of greys that differs from instance to instance.
    pub(super) fn pixels(&self, to: &mut Dataset, bits_stored: u16) {
        let bits_allocated = if bits_stored <= 8 { 8 } else { 16 };
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, SIDE),
            (tags::COLUMNS, SIDE),
            (tags::BITS_ALLOCATED, bits_allocated),
            (tags::BITS_STORED, bits_stored),
            (tags::HIGH_BIT, bits_stored - 1),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            to.short(tag, value);
        }
        to.text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
        let grey = |place: u16| (place % SIDE) * (place / SIDE) + self.number.unsigned_abs() as u16 % 16;
        let places = 0..SIDE * SIDE;
        if bits_allocated == 8 {
            to.pixels_8(places.map(|place| grey(place).min(255) as u8).collect());
        } else {
            to.pixels_16(places.map(grey).collect());
        }
    }
}

/// PS3.5 section 6.2: a date is eight digits.
pub(super) fn date(date: NaiveDate) -> String {
    date.format("%Y%m%d").to_string()
}
