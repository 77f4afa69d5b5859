//! The options of a session that change a question, as `SET` and connection options spell them: one reading for every
//! door.

use crate::lower::Settings;
use crate::refusal::{Code, Refusal};
use crate::validate::{MAX_ROWS_PER_PATIENT, NOISE_SD_MILLI};

impl Settings {
    /// Sets `caim.noise_sd` or `caim.max_rows_per_patient`; the value `DEFAULT`, in any case, takes the choice back.
    /// (The other options, project and purpose, say who asks; the doors keep them.)
    ///
    /// # Errors
    /// An option that is not there, or a value it cannot have. Nothing is changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let chosen = if value.eq_ignore_ascii_case("default") { None } else { Some(value) };
        match key.to_lowercase().as_str() {
            "caim.noise_sd" => self.noise_sd_milli = chosen.map(noise_sd_milli).transpose()?,
            "caim.max_rows_per_patient" => self.max_rows_per_patient = chosen.map(max_rows).transpose()?,
            _ => return Err(Refusal::new(Code::Setting, format!("there is no option {key}"))),
        }
        Ok(())
    }
}

fn noise_sd_milli(value: &str) -> Result<u32, Refusal> {
    let noise: f64 = value
        .parse()
        .map_err(|_| Refusal::new(Code::Setting, format!("caim.noise_sd takes a number, not {value:?}")))?;
    let milli = (noise * 1000.0).round();
    if !(f64::from(*NOISE_SD_MILLI.start())..=f64::from(*NOISE_SD_MILLI.end())).contains(&milli) {
        return Err(Refusal::new(Code::NoiseOutOfRange, format!("caim.noise_sd = {value} is out of range")));
    }
    Ok(milli as u32)
}

fn max_rows(value: &str) -> Result<u32, Refusal> {
    let rows = value.parse().ok().filter(|rows| MAX_ROWS_PER_PATIENT.contains(rows));
    rows.ok_or_else(|| {
        let reason = format!("caim.max_rows_per_patient takes a whole number from 1 to 1000, not {value:?}");
        Refusal::new(Code::Setting, reason).with_rewrite("SET caim.max_rows_per_patient = 5")
    })
}

#[cfg(test)]
mod tests {
    use crate::lower::Settings;
    use crate::refusal::Code;

    #[test]
    fn options_are_set_and_taken_back() {
        let mut settings = Settings::default();
        settings.set("caim.noise_sd", "2.5").unwrap();
        settings.set("CAIM.max_rows_per_patient", "3").unwrap();
        assert_eq!((settings.noise_sd_milli, settings.max_rows_per_patient), (Some(2500), Some(3)));
        settings.set("caim.noise_sd", "DEFAULT").unwrap();
        assert_eq!(settings.noise_sd_milli, None);
    }

    #[test]
    fn values_that_cannot_be_are_refused_and_change_nothing() {
        for (key, value, code) in [
            ("caim.noise_sd", "1.9", Code::NoiseOutOfRange),
            ("caim.noise_sd", "NaN", Code::NoiseOutOfRange),
            ("caim.noise_sd", "much", Code::Setting),
            ("caim.max_rows_per_patient", "0", Code::Setting),
            ("caim.threshold", "1", Code::Setting),
        ] {
            let mut settings = Settings::default();
            assert_eq!(settings.set(key, value).unwrap_err().code, code, "{key} = {value}");
            assert_eq!(settings, Settings::default());
        }
    }
}
