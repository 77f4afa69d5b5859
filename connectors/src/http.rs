//! Reads over HTTP: a few tries, a bounded body, a token that is never shown.
//!
//! Answers of servers may quote what was asked or what they hold; of a failure only the status is told.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RETRY_AFTER, WARNING};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};

use crate::{Code, Error, Result};

const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence while an answer comes.
const SILENCE: Duration = Duration::from_secs(60);
/// Tries of one request, and the pause after the first of them; each later one is twice as long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(250);
/// A server that wants to be left alone for longer is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_TOKEN: u64 = 16 << 10;

/// A server that is asked by one source.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    token: Option<HeaderValue>,
    /// What errors call it.
    place: String,
}

/// An answer with a body.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// The server says that there is more than it sent (warning 299 of PS3.18).
    pub(crate) is_part: bool,
}

/// Why a try failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Another try may help, after this pause if the server names one.
    Again(String, Option<Duration>),
    /// No other try helps.
    Ever(String),
}

/// The address of a server: encrypted, or on this machine.
///
/// # Errors
/// When it is no URL of HTTP, or plain HTTP leads beyond this machine.
pub(crate) fn address(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|e| Error::new(Code::Web, "its address", e))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        "http" => Err(Error::new(Code::Web, host, "http:// sends records and token as they are")
            .with_fix("use https://, or a tunnel to this machine")),
        other => Err(Error::new(Code::Web, "its address", format!("{other}:// is not read"))),
    }
}

/// An address of HTTP without search and fragment; nothing where a text is no such address.
pub(crate) fn path_of(text: &str) -> Option<&str> {
    let is_http = text.starts_with("http://") || text.starts_with("https://");
    text.split(['?', '#']).next().filter(|_| is_http)
}

impl Http {
    /// A client with the token in a file, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read or holds no token.
    pub(crate) fn new(place: &str, token_file: Option<&Path>) -> Result<Self> {
        let token = token_file.map(token).transpose()?;
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("caim/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Error::new(Code::Web, place, told(&e)))?;
        Ok(Self { client, token, place: place.to_owned() })
    }

    /// The same without the token: for what lies elsewhere.
    pub(crate) fn without_token(&self) -> Self {
        Self { client: self.client.clone(), token: None, place: self.place.clone() }
    }

    /// A request of this client, with its token.
    pub(crate) fn request(&self, method: Method, url: Url, accept: &str) -> RequestBuilder {
        let request = self.client.request(method, url).header(ACCEPT, accept);
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    /// An answer with at most `most` bytes; nothing when the server says that there is none.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, fails again and again, or sends more.
    pub(crate) async fn get(&self, url: Url, accept: &str, most: usize) -> Result<Option<Body>> {
        self.tried(async || {
            let response = sent(self.request(Method::GET, url.clone(), accept)).await?;
            match response.status() {
                StatusCode::NO_CONTENT => Ok(None),
                StatusCode::OK => body(response, most).await.map(Some),
                status => Err(refused(status, None)),
            }
        })
        .await
    }

    /// What some tries give: the last of them decides, or the first that says that no other helps.
    ///
    /// # Errors
    /// What the deciding try says.
    pub(crate) async fn tried<T>(
        &self,
        mut once: impl AsyncFnMut() -> std::result::Result<T, Failed>,
    ) -> Result<T> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match once().await {
                Ok(found) => return Ok(found),
                Err(Failed::Again(reason, wanted)) if attempt < TRIES => {
                    tracing::debug!(reason, attempt, "a request failed; it is tried again");
                    tokio::time::sleep(wanted.unwrap_or(pause)).await;
                    pause *= 2;
                }
                Err(Failed::Again(reason, _) | Failed::Ever(reason)) => return Err(self.fault(reason)),
            }
        }
        Err(self.fault("it was not asked"))
    }

    /// Does work that waits for the server, on a thread of its own: whoever calls may have an executor already, which
    /// cannot wait for another one.
    ///
    /// # Errors
    /// Those of the work.
    pub(crate) fn wait<T: Send, F: Future<Output = Result<T>>>(
        &self,
        work: impl FnOnce() -> F + Send,
    ) -> Result<T> {
        std::thread::scope(|scope| {
            let done = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(|e| self.fault(e))?.block_on(work())
            });
            done.join().unwrap_or_else(|_| Err(self.fault("its reader ended early")))
        })
    }

    /// A failure of the server as a whole.
    pub(crate) fn fault(&self, reason: impl std::fmt::Display) -> Error {
        Error::new(Code::Web, &self.place, reason)
    }
}

/// An answer of success.
pub(crate) async fn sent(request: RequestBuilder) -> std::result::Result<Response, Failed> {
    let response = request.send().await.map_err(|e| Failed::Again(told(&e), None))?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(refused(status, pause_of(&response))),
    }
}

/// The address as reports show it: no user and no password.
pub(crate) fn named(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.to_string()
}

pub(crate) async fn body(mut response: Response, most: usize) -> std::result::Result<Body, Failed> {
    let too_long = || Failed::Ever(format!("an answer is longer than {most} bytes"));
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let warnings = response.headers().get_all(WARNING).iter();
    let is_part = warnings.filter_map(|text| text.to_str().ok()).any(|text| text.starts_with("299"));
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Failed::Again(told(&e), None))? {
        if bytes.len() + chunk.len() > most {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes, is_part })
}

fn refused(status: StatusCode, wanted: Option<Duration>) -> Failed {
    let reason = format!("the server answered {status}");
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            if wanted.is_some_and(|pause| pause > LONGEST_PAUSE) {
                return Failed::Ever(format!("{reason}, and wants to be left alone for long"));
            }
            Failed::Again(reason, wanted)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failed::Ever(format!("{reason}: it wants another token (--token-file)"))
        }
        status if status.is_server_error() => Failed::Again(reason, None),
        _ => Failed::Ever(reason),
    }
}

/// `Retry-After` in seconds; a date is not waited for.
pub(crate) fn pause_of(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn token(file: &Path) -> Result<HeaderValue> {
    let length = fs::metadata(file).map_err(|e| Error::io(file, &e))?.len();
    let text = if length > LONGEST_TOKEN {
        String::new()
    } else {
        fs::read_to_string(file).map_err(|e| Error::io(file, &e))?
    };
    let token = text.trim();
    let header = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut header = header.ok().filter(|_| !token.is_empty()).ok_or_else(|| {
        Error::new(Code::Option, file.display(), "it holds no token: one line of plain text")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// What went wrong, without the address: it may hold a password.
pub(crate) fn told(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    if error.is_timeout() { "it did not answer in time".to_owned() } else { deepest.to_string() }
}
