//! One connection: who it is, what it has set, and whether the client is still there.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use caim_engine::Asker;
use caim_sql::Refusal;
use caim_sql::lower::Settings;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::identity::{User, unauthenticated};
use crate::options::Options;

/// How often a connection is looked at while its question runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A connection's session.
pub(super) struct Session {
    user: OnceLock<User>,
    options: Mutex<Options>,
    /// The same socket once more, to see it closed while nobody reads from it.
    watched: TcpStream,
}

impl Session {
    /// Splits a connection into the stream that speaks and the session that watches it.
    pub(super) fn of(stream: TcpStream) -> io::Result<(TcpStream, Self)> {
        let stream = stream.into_std()?;
        let watched = TcpStream::from_std(stream.try_clone()?)?;
        let session = Self { user: OnceLock::new(), options: Mutex::default(), watched };
        Ok((TcpStream::from_std(stream)?, session))
    }

    /// Says who the client is; it cannot become another.
    pub(super) fn sign_in(&self, user: User) {
        // A second message with a password comes from a client that is signed in already: the first one holds.
        let _ = self.user.set(user);
    }

    pub(super) fn user(&self) -> Result<&User, Refusal> {
        self.user.get().ok_or_else(|| unauthenticated("the connection has not signed in"))
    }

    pub(super) fn settings(&self) -> Settings {
        self.options().settings()
    }

    pub(super) fn asker(&self) -> Result<Asker, Refusal> {
        self.options().asker(self.user()?)
    }

    /// Sets an option for the statements that follow.
    pub(super) fn set(&self, key: &str, value: &str) -> Result<(), Refusal> {
        let user = self.user()?;
        self.options.lock().unwrap_or_else(PoisonError::into_inner).set(key, value, user)
    }

    /// Says whether [`Session::set`] would work, and changes nothing.
    pub(super) fn can_set(&self, key: &str, value: &str) -> Result<(), Refusal> {
        self.options().set(key, value, self.user()?)
    }

    fn options(&self) -> Options {
        self.options.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resolves when the client has closed its end.
    pub(super) async fn gone(self: Arc<Self>) {
        let mut often = tokio::time::interval(LOOK_EVERY);
        loop {
            often.tick().await;
            // Bytes that wait make the socket ready at once; its end shows beside them.
            let ready = tokio::time::timeout(LOOK_EVERY, self.watched.ready(Interest::READABLE)).await;
            match ready {
                Ok(Ok(ready)) if !ready.is_read_closed() => self.unready(),
                Ok(Ok(_) | Err(_)) => return,
                Err(_) => {}
            }
        }
    }

    /// Looks at the socket, so that a readiness that is no longer true is forgotten.
    fn unready(&self) {
        let _ = self.watched.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }
}
