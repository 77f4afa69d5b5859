//! Who asks: users, passwords and projects from `[dev_identity]` of `hub.toml`, and what a call says of them.
//!
//! A development identity is for one machine: the door takes it on loopback only. What a call *says* it is
//! ([`Presented`]) and who it *is* are kept apart; credentials that are wrong never fall back to the anonymous user.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use caim_sql::{Code, Refusal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tonic::metadata::MetadataMap;

/// Some clients pad base64, others (ADBC) do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The section `[dev_identity]` of `hub.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DevIdentity {
    /// The users, by name.
    pub users: BTreeMap<String, DevUser>,
    /// Who a call without credentials is; one of the users. Absent: such calls are refused.
    pub anonymous: Option<String>,
}

/// One user of a development identity.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevUser {
    /// Plain text: a development identity protects nothing but the habit.
    pub password: String,
    /// The projects the user may ask for; the first one is asked for unless the user chooses.
    pub projects: Vec<String>,
}

impl fmt::Debug for DevUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevUser").field("password", &"<redacted>").field("projects", &self.projects).finish()
    }
}

impl DevIdentity {
    /// Says no to a section that does not hold together.
    ///
    /// # Errors
    /// Names the key and what it must be.
    pub fn validate(&self) -> Result<(), String> {
        for (name, user) in &self.users {
            if name.is_empty() || name.contains(':') {
                return Err(format!("users.{name:?}: a name is not empty and has no ':'"));
            }
            if user.password.is_empty() {
                return Err(format!("users.{name}.password must not be empty"));
            }
            if user.projects.is_empty() || user.projects.iter().any(String::is_empty) {
                return Err(format!("users.{name}.projects must name at least one project"));
            }
        }
        match &self.anonymous {
            Some(name) if !self.users.contains_key(name) => {
                Err(format!("anonymous = {name:?} is none of the users; add users.{name} or remove the line"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The user of that name, if the password is right. Takes as long for a wrong name as for a wrong password.
    #[must_use]
    pub(crate) fn verify(&self, name: &str, password: &str) -> Option<User> {
        let known = self.users.get(name);
        let expected = known.map_or("", |user| user.password.as_str());
        let right = same(&digest(expected), &digest(password));
        known.filter(|_| right).map(|user| User::new(name, user))
    }

    /// The user of that name, whose credentials were checked before.
    pub(crate) fn user(&self, name: &str) -> Option<User> {
        self.users.get(name).map(|user| User::new(name, user))
    }

    /// Who a call without credentials is.
    pub(crate) fn anonymous(&self) -> Option<User> {
        self.anonymous.as_deref().and_then(|name| self.user(name))
    }
}

/// Somebody whose identity is established.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    projects: Vec<String>,
}

impl User {
    fn new(name: &str, user: &DevUser) -> Self {
        Self { name: name.to_owned(), projects: user.projects.clone() }
    }

    /// The project that is charged: the one asked for, if it is the user's; else the user's first one.
    pub(crate) fn project(&self, wanted: Option<&str>) -> Result<String, Refusal> {
        let found = match wanted {
            Some(wanted) => self.projects.iter().find(|project| *project == wanted),
            None => self.projects.first(),
        };
        found.cloned().ok_or_else(|| {
            let wanted = wanted.unwrap_or("without a name");
            Refusal::new(Code::Project, format!("the project {wanted:?} is none of {}'s", self.name))
                .with_rewrite(format!("SET caim.project to one of: {}", self.projects.join(", ")))
        })
    }
}

/// The credentials that a call carries.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Presented {
    Nothing,
    Password { user: String, password: String },
    Bearer(String),
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(<redacted>)")
    }
}

impl Presented {
    /// Reads the `authorization` header (RFC 7617 and RFC 6750).
    pub(crate) fn read(headers: &MetadataMap) -> Result<Self, Refusal> {
        let Some(header) = headers.get("authorization") else { return Ok(Self::Nothing) };
        let header = header.to_str().map_err(|_| unauthenticated("the authorization header is not text"))?;
        let (scheme, value) = header.trim().split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            Ok(Self::Bearer(value.trim().to_owned()))
        } else if scheme.eq_ignore_ascii_case("basic") {
            Self::basic(value.trim())
                .ok_or_else(|| unauthenticated("the Basic credentials are not base64 of user:password"))
        } else {
            Err(unauthenticated("the authorization header is neither Basic nor Bearer"))
        }
    }

    fn basic(value: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64.decode(value).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self::Password { user: user.to_owned(), password: password.to_owned() })
    }
}

/// Who asks is not known.
pub(crate) fn unauthenticated(reason: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, reason)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Compares without telling by its time how much is equal.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let different = a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b));
    std::hint::black_box(different) == 0
}

#[cfg(test)]
mod tests {
    use caim_sql::Code;
    use tonic::metadata::MetadataMap;

    use super::{DevIdentity, DevUser, Presented};

    fn identity() -> DevIdentity {
        let user = |password: &str, projects: &[&str]| DevUser {
            password: password.to_owned(),
            projects: projects.iter().map(|p| (*p).to_owned()).collect(),
        };
        let users = [("ana", user("secret", &["first", "second"])), ("bob", user("other", &["first"]))];
        DevIdentity {
            users: users.into_iter().map(|(name, user)| (name.to_owned(), user)).collect(),
            anonymous: Some("bob".to_owned()),
        }
    }

    fn presented(header: &str) -> Result<Presented, Code> {
        let mut headers = MetadataMap::new();
        headers.insert("authorization", header.parse().unwrap());
        Presented::read(&headers).map_err(|refusal| refusal.code)
    }

    #[test]
    fn only_the_right_password_of_the_right_user_is_taken() {
        let identity = identity();
        assert_eq!(identity.verify("ana", "secret").unwrap().name, "ana");
        for (name, password) in [("ana", "other"), ("ana", ""), ("nobody", ""), ("", ""), ("ana", "secret ")]
        {
            assert_eq!(identity.verify(name, password), None, "{name}:{password}");
        }
    }

    #[test]
    fn a_user_asks_for_own_projects_only() {
        let ana = identity().verify("ana", "secret").unwrap();
        assert_eq!(ana.project(None).unwrap(), "first");
        assert_eq!(ana.project(Some("second")).unwrap(), "second");
        let refused = ana.project(Some("third")).unwrap_err();
        assert_eq!(refused.code, Code::Project);
        assert!(refused.rewrite.contains("first, second"));
    }

    #[test]
    fn basic_is_read_with_and_without_padding() {
        let expected = Ok(Presented::Password { user: "ana".into(), password: "secret".into() });
        assert_eq!(presented("Basic YW5hOnNlY3JldA=="), expected);
        assert_eq!(presented("basic YW5hOnNlY3JldA"), expected);
        assert_eq!(presented("Bearer abc"), Ok(Presented::Bearer("abc".into())));
    }

    #[test]
    fn credentials_that_cannot_be_read_are_refused_and_not_taken_for_none() {
        for header in ["Basic !!!", "Basic YW5h", "Digest x", "Basic", ""] {
            assert_eq!(presented(header), Err(Code::Unauthenticated), "{header}");
        }
    }

    #[test]
    fn a_section_that_does_not_hold_together_names_the_key() {
        assert_eq!(identity().validate(), Ok(()));
        let mut unknown = identity();
        unknown.anonymous = Some("eve".into());
        assert!(unknown.validate().unwrap_err().contains("anonymous"));
        let mut poor = identity();
        poor.users.get_mut("ana").unwrap().projects.clear();
        assert!(poor.validate().unwrap_err().contains("users.ana.projects"));
        assert!(!format!("{:?}", identity()).contains("secret"));
    }
}
