//! What a session or a single call chooses: project, purpose, noise and rows a patient.
//!
//! The same names everywhere: `SET caim.noise_sd = 4`, the session option `caim.noise_sd`, the header
//! `x-caim-noise-sd`. What a node's policy allows is the node's to say; here only the shape is checked.

use caim_engine::Asker;
use caim_sql::lower::Settings;
use caim_sql::{Code, Refusal};
use tonic::metadata::{KeyAndValueRef, MetadataMap};

use crate::identity::User;

/// Longest purpose, in characters.
const PURPOSE_CHARACTERS: usize = 200;

/// Prefix of the headers that set options for one call.
const HEADER_PREFIX: &str = "x-caim-";

/// Chosen options; `None` leaves the choice to project lists, models and policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    project: Option<String>,
    purpose: Option<String>,
    settings: Settings,
    pub(crate) schema: Option<String>,
}

impl Options {
    /// Sets an option by its name; `DEFAULT` and an empty value take it back.
    pub(crate) fn set(&mut self, key: &str, value: &str, user: &User) -> Result<(), Refusal> {
        let value = Some(value.trim()).filter(|v| !v.is_empty() && !v.eq_ignore_ascii_case("default"));
        match key.to_ascii_lowercase().as_str() {
            "caim.project" => self.project = value.map(|v| user.project(Some(v))).transpose()?,
            "caim.purpose" => self.purpose = value.map(purpose).transpose()?,
            _ => self.settings.set(key, value.unwrap_or("DEFAULT"))?,
        }
        Ok(())
    }

    /// These options with those that the headers of one call set.
    pub(crate) fn with_headers(mut self, headers: &MetadataMap, user: &User) -> Result<Self, Refusal> {
        for header in headers.iter() {
            let KeyAndValueRef::Ascii(name, value) = header else { continue };
            let Some(name) = name.as_str().strip_prefix(HEADER_PREFIX) else { continue };
            let key = format!("caim.{}", name.replace('-', "_"));
            let value = value.to_str().map_err(|_| {
                Refusal::new(Code::Setting, format!("the header for {key} is not ASCII text"))
            })?;
            self.set(&key, value, user)?;
        }
        Ok(self)
    }

    /// The options that are set, by name.
    pub(crate) fn chosen(&self) -> Vec<(&'static str, String)> {
        let number = |milli: u32| (f64::from(milli) / 1000.0).to_string();
        [
            ("caim.project", self.project.clone()),
            ("caim.purpose", self.purpose.clone()),
            ("caim.noise_sd", self.settings.noise_sd_milli.map(number)),
            ("caim.max_rows_per_patient", self.settings.max_rows_per_patient.map(|rows| rows.to_string())),
            ("schema", self.schema.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| (key, value)))
        .collect()
    }

    /// What the planner needs of them.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Who asks, for what.
    pub(crate) fn asker(&self, user: &User) -> Result<Asker, Refusal> {
        Ok(Asker {
            user: user.name.clone(),
            project: user.project(self.project.as_deref())?,
            purpose: self.purpose.clone().unwrap_or_default(),
        })
    }
}

fn purpose(value: &str) -> Result<String, Refusal> {
    if value.chars().count() > PURPOSE_CHARACTERS || value.chars().any(char::is_control) {
        let reason = format!("caim.purpose takes one line of at most {PURPOSE_CHARACTERS} characters");
        return Err(Refusal::new(Code::Setting, reason));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use caim_sql::Code;
    use tonic::metadata::MetadataMap;

    use super::Options;
    use crate::identity::{DevIdentity, DevUser, User};

    fn ana() -> User {
        let user = DevUser { password: "secret".into(), projects: vec!["first".into(), "second".into()] };
        DevIdentity { users: [("ana".to_owned(), user)].into(), anonymous: None }.user("ana").unwrap()
    }

    #[test]
    fn options_are_set_taken_back_and_reach_planner_and_asker() {
        let (mut options, ana) = (Options::default(), ana());
        for (key, value) in
            [("caim.noise_sd", "2.5"), ("CAIM.Project", "second"), ("caim.max_rows_per_patient", "3")]
        {
            options.set(key, value, &ana).unwrap();
        }
        let settings = options.settings();
        assert_eq!((settings.noise_sd_milli, settings.max_rows_per_patient), (Some(2500), Some(3)));
        assert_eq!(options.asker(&ana).unwrap().project, "second");
        assert_eq!(options.chosen().len(), 3);
        options.set("caim.noise_sd", "DEFAULT", &ana).unwrap();
        assert_eq!(options.settings().noise_sd_milli, None);
    }

    #[test]
    fn values_that_cannot_be_are_refused_with_their_code() {
        for (key, value, code) in [
            ("caim.noise_sd", "1.9", Code::NoiseOutOfRange),
            ("caim.noise_sd", "NaN", Code::NoiseOutOfRange),
            ("caim.noise_sd", "much", Code::Setting),
            ("caim.max_rows_per_patient", "0", Code::Setting),
            ("caim.project", "third", Code::Project),
            ("caim.purpose", "two\nlines", Code::Setting),
            ("caim.threshold", "1", Code::Setting),
            ("datafusion.execution.batch_size", "1", Code::Setting),
        ] {
            let mut options = Options::default();
            assert_eq!(options.set(key, value, &ana()).unwrap_err().code, code, "{key} = {value}");
            assert_eq!(options, Options::default());
        }
    }

    #[test]
    fn headers_set_options_for_one_call_and_unknown_ones_are_refused() {
        let mut headers = MetadataMap::new();
        headers.insert("x-caim-noise-sd", "8".parse().unwrap());
        headers.insert("x-other", "1".parse().unwrap());
        let options = Options::default().with_headers(&headers, &ana()).unwrap();
        assert_eq!(options.settings().noise_sd_milli, Some(8000));
        headers.insert("x-caim-gate", "off".parse().unwrap());
        assert_eq!(Options::default().with_headers(&headers, &ana()).unwrap_err().code, Code::Setting);
    }
}
