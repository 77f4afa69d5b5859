//! From the headers of a call to the one who calls: credentials, session, options.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use caim_sql::{Code, Refusal};
use tonic::metadata::MetadataMap;

use super::handles::{Bounds, Handles};
use crate::identity::{DevIdentity, Presented, User, unauthenticated};
use crate::options::Options;

/// Name of the cookie that reference implementations of Flight use for sessions.
const COOKIE: &str = "arrow_flight_session_id";

const SESSIONS: Bounds = Bounds { per_owner: 1_000, overall: 10_000, idle: Duration::from_secs(12 * 3600) };

/// Options that outlive a call.
pub(super) type Session = Arc<Mutex<Options>>;

/// Who calls, with the options that hold for this call.
pub(super) struct Caller {
    pub(super) user: User,
    pub(super) options: Options,
    pub(super) session: Option<Session>,
}

/// Everybody that may call.
pub(super) struct Callers {
    identity: DevIdentity,
    /// By bearer token, which is a credential and carries a session.
    tokens: Handles<Mutex<Options>>,
    /// By cookie, which is none: the call must say who it is beside it.
    cookies: Handles<Mutex<Options>>,
}

impl Callers {
    pub(super) fn new(identity: DevIdentity) -> Self {
        Self { identity, tokens: Handles::new(SESSIONS), cookies: Handles::new(SESSIONS) }
    }

    /// Who makes this call.
    pub(super) fn caller(&self, headers: &MetadataMap) -> Result<Caller, Refusal> {
        let (user, session) = match Presented::read(headers)? {
            Presented::Nothing => {
                let nobody = "the call has no credentials, and this hub knows no anonymous user";
                (self.identity.anonymous().ok_or_else(|| unauthenticated(nobody))?, None)
            }
            Presented::Password { user, password } => (self.verified(&user, &password)?, None),
            Presented::Bearer(token) => self.bearer(&token)?,
        };
        let session = session.or_else(|| self.by_cookie(&user, headers));
        let options = session.as_ref().map(read).unwrap_or_default().with_headers(headers, &user)?;
        Ok(Caller { user, options, session })
    }

    /// A token for later calls, for user and password; a valid token is its own.
    pub(super) fn sign_in(&self, headers: &MetadataMap) -> Result<String, Refusal> {
        match Presented::read(headers)? {
            Presented::Password { user, password } => {
                let user = self.verified(&user, &password)?;
                Ok(self.tokens.keep(&user.name, Mutex::default()))
            }
            Presented::Bearer(token) => self.bearer(&token).map(|_| token),
            Presented::Nothing => Err(unauthenticated("a handshake needs user and password")),
        }
    }

    /// The caller's session; a new one comes with the cookie that names it.
    pub(super) fn session(&self, caller: &Caller) -> (Session, Option<String>) {
        if let Some(session) = &caller.session {
            return (Arc::clone(session), None);
        }
        let id = self.cookies.keep(&caller.user.name, Mutex::default());
        let session = self.cookies.get(&caller.user.name, &id).unwrap_or_default();
        (session, Some(format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict")))
    }

    fn verified(&self, user: &str, password: &str) -> Result<User, Refusal> {
        self.identity.verify(user, password).ok_or_else(|| unauthenticated("user or password is wrong"))
    }

    fn bearer(&self, token: &str) -> Result<(User, Option<Session>), Refusal> {
        let unknown = || unauthenticated("the bearer token is unknown or has expired");
        let (name, session) = self.tokens.find(token).ok_or_else(unknown)?;
        let user = self.identity.user(&name).ok_or_else(unknown)?;
        Ok((user, Some(session)))
    }

    fn by_cookie(&self, user: &User, headers: &MetadataMap) -> Option<Session> {
        headers
            .get_all("cookie")
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == COOKIE)
            .find_map(|(_, id)| self.cookies.get(&user.name, id.trim_matches('"')))
    }
}

impl Caller {
    /// Changes an option of the session.
    pub(super) fn set(&self, key: &str, value: &str) -> Result<(), Refusal> {
        let session = self.session.as_ref().ok_or_else(no_session)?;
        let mut options = session.lock().unwrap_or_else(PoisonError::into_inner);
        options.set(key, value, &self.user)
    }

    /// Says whether [`Caller::set`] would work, and changes nothing.
    pub(super) fn can_set(&self, key: &str, value: &str) -> Result<(), Refusal> {
        self.options.clone().set(key, value, &self.user)?;
        self.session.as_ref().map(|_| ()).ok_or_else(no_session)
    }
}

/// A copy of the session's options.
pub(super) fn read(session: &Session) -> Options {
    session.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn no_session() -> Refusal {
    Refusal::new(Code::Setting, "this connection has no session that could keep an option").with_rewrite(
        "connect with user and password, or send the option with each call: header x-caim-noise-sd and the like",
    )
}

#[cfg(test)]
mod tests {
    use caim_sql::Code;
    use tonic::metadata::MetadataMap;

    use super::Callers;
    use crate::identity::{DevIdentity, DevUser};

    const ANA: &str = "Basic YW5hOnNlY3JldA";

    fn callers(anonymous: Option<&str>) -> Callers {
        let user = || DevUser { password: "secret".into(), projects: vec!["first".into()] };
        let users = [("ana".to_owned(), user()), ("bob".to_owned(), user())].into();
        Callers::new(DevIdentity { users, anonymous: anonymous.map(str::to_owned) })
    }

    fn headers(pairs: &[(&'static str, &str)]) -> MetadataMap {
        let mut headers = MetadataMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    fn name(callers: &Callers, pairs: &[(&'static str, &str)]) -> Result<String, Code> {
        callers.caller(&headers(pairs)).map(|c| c.user.name).map_err(|refusal| refusal.code)
    }

    #[test]
    fn password_token_and_nothing_each_say_who_calls() {
        let callers = callers(Some("bob"));
        let token = callers.sign_in(&headers(&[("authorization", ANA)])).unwrap();
        assert_eq!(name(&callers, &[("authorization", ANA)]).unwrap(), "ana");
        assert_eq!(name(&callers, &[("authorization", &format!("Bearer {token}"))]).unwrap(), "ana");
        assert_eq!(name(&callers, &[]).unwrap(), "bob");
    }

    #[test]
    fn wrong_credentials_never_become_the_anonymous_user() {
        let callers = callers(Some("bob"));
        for header in ["Bearer forged", "Bearer", "Basic YW5hOndyb25n", "Negotiate x"] {
            assert_eq!(name(&callers, &[("authorization", header)]), Err(Code::Unauthenticated), "{header}");
        }
        assert_eq!(name(&super::Callers::new(DevIdentity::default()), &[]), Err(Code::Unauthenticated));
    }

    #[test]
    fn a_token_keeps_options_and_another_token_has_its_own() {
        let callers = callers(None);
        let bearer = || format!("Bearer {}", callers.sign_in(&headers(&[("authorization", ANA)])).unwrap());
        let (first, second) = (bearer(), bearer());
        let caller = callers.caller(&headers(&[("authorization", &first)])).unwrap();
        caller.set("caim.noise_sd", "20").unwrap();
        let noise = |token: &str| {
            callers.caller(&headers(&[("authorization", token)])).unwrap().options.settings().noise_sd_milli
        };
        assert_eq!((noise(&first), noise(&second)), (Some(20_000), None));
    }

    #[test]
    fn a_cookie_keeps_options_but_says_nothing_of_who_calls() {
        let callers = callers(Some("bob"));
        let bob = callers.caller(&headers(&[])).unwrap();
        assert_eq!(bob.set("caim.noise_sd", "20").unwrap_err().code, Code::Setting);
        let (session, cookie) = callers.session(&bob);
        session.lock().unwrap().set("caim.noise_sd", "20", &bob.user).unwrap();
        let cookie = cookie.unwrap();
        let sent = cookie.split(';').next().unwrap();
        let again = callers.caller(&headers(&[("cookie", sent)])).unwrap();
        assert_eq!(again.options.settings().noise_sd_milli, Some(20_000));
        let ana = callers.caller(&headers(&[("cookie", sent), ("authorization", ANA)])).unwrap();
        assert_eq!((ana.user.name.as_str(), ana.options.settings().noise_sd_milli), ("ana", None));
        let id = sent.split_once('=').unwrap().1;
        assert_eq!(name(&callers, &[("authorization", &format!("Bearer {id}"))]), Err(Code::Unauthenticated));
    }
}
