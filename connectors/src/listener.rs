//! A DICOM storage SCP (PS3.4 annex B) that keeps headers: a PACS or a modality sends objects to a node as to any archive.
//!
//! ```text
//! listener     who may connect, how many at once
//!   -> wire         protocol data units, in time and of bounded length
//!   -> negotiation  AE titles, SOP classes, transfer syntaxes
//!   -> message      command sets and data sets of one association
//!   -> association  C-ECHO and C-STORE; each object through the door of `dicom`
//!   -> segment      headers of one association in one file, each on the disk before it is acknowledged
//!   -> spool        all files, also those of before a crash
//!   -> received     what waits, as one batch: the same connector reads it as reads files
//! ```
//!
//! Promises: an object that was acknowledged is on the disk, and comes in once, whatever happens to the process; pixels
//! never reach the disk; what is refused is told with a status of PS3.4 and a reason; a peer decides neither how much
//! memory nor how much disk is used. No identifier of a patient or an object is logged; AE titles and addresses are.

mod association;
mod message;
mod negotiation;
mod options;
mod received;
mod refused;
mod segment;
mod spool;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use caim_ontology::Models;

use crate::dicom::Door;
use crate::{Code, Error, Result};
use association::Association;
pub use options::{Limits, ListenOptions};
pub use received::Received;
use spool::Spool;
use wire::Wire;

/// One association that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The AE title of who called; empty where none was said.
    pub caller: String,
    /// From where.
    pub peer: SocketAddr,
    /// Objects that were acknowledged.
    pub stored: u64,
    /// Objects that were refused, by a short stable word.
    pub refused: BTreeMap<&'static str, u64>,
    /// How it ended, in a few words: `released` is the regular end.
    pub end: &'static str,
    /// How long it took.
    pub lasted: Duration,
}

/// What all threads of a listener share.
struct Shared {
    door: Door,
    options: ListenOptions,
    spool: Arc<Spool>,
    told: Box<dyn Fn(&Visit) + Send + Sync>,
    open: AtomicUsize,
    stopping: AtomicBool,
}

/// A socket that storage SCUs connect to, and the spool of what they sent.
pub struct Listener {
    shared: Arc<Shared>,
    socket: TcpListener,
    address: SocketAddr,
}

/// Ends a listener from another thread.
#[derive(Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// How long associations may go on when the listener is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long headers wait after they could not be taken in.
const AGAIN: Duration = Duration::from_secs(10);
/// Between two looks at what waits.
const LOOK: Duration = Duration::from_millis(100);

impl Listener {
    /// Opens the spool, with what is in it, and the socket. `told` hears of every association that is over.
    ///
    /// # Errors
    /// When the address is beyond this machine and that was not allowed, or is taken; when the AE title is none; when the
    /// spool cannot be used, or another listener uses it.
    pub fn open(
        spool: &Path,
        models: &Models,
        options: ListenOptions,
        told: impl Fn(&Visit) + Send + Sync + 'static,
    ) -> Result<Self> {
        options.check()?;
        let spool = Spool::open(spool, options.limits.spool_bytes)?;
        let refused = |e| Error::new(Code::Listener, options.address, e);
        let socket = TcpListener::bind(options.address).map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let (open, stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (door, told) = (Door::new(models)?, Box::new(told));
        Ok(Self { shared: Arc::new(Shared { door, options, spool, told, open, stopping }), socket, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: Arc::clone(&self.shared), address: self.address }
    }

    /// Serves until it is stopped. `take` commits what has come, and says whether it did: if not, the headers stay, and it
    /// is asked again. Gives whether all that was received is committed; what is not comes in with the next start.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn run(self, mut take: impl FnMut(&Received) -> bool) -> Result<bool> {
        let Self { shared, socket, .. } = self;
        let accepting = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("dicom listener".into())
            .spawn(move || accept(&accepting, &socket))
            .map_err(|e| Error::new(Code::Listener, "threads", e))?;
        let (mut not_before, mut stopped) = (Instant::now(), None);
        loop {
            if shared.stopping.load(Ordering::SeqCst) {
                let since = *stopped.get_or_insert_with(Instant::now);
                if shared.open.load(Ordering::SeqCst) == 0 || since.elapsed() > GRACE {
                    return Ok(shared.take_all(&mut take));
                }
            }
            let is_time = Instant::now() >= not_before;
            let due = if is_time { shared.spool.due(&shared.options.limits) } else { None };
            match due {
                Some(received) if take(&received) => shared.spool.taken(&received),
                Some(_) => not_before = Instant::now() + AGAIN,
                None => std::thread::sleep(LOOK),
            }
        }
    }
}

impl Stopper {
    /// Ends the listener: no new association, those that are open end after the object that is under way.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection; if nobody waits there is nobody to wake.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
    }
}

impl Shared {
    /// Takes in what is left when everybody has gone.
    fn take_all(&self, take: &mut impl FnMut(&Received) -> bool) -> bool {
        while let Some(received) = self.spool.oldest(&self.options.limits) {
            if !take(&received) {
                return false;
            }
            self.spool.taken(&received);
        }
        true
    }

    /// One association from its first byte to its last.
    fn serve(&self, socket: TcpStream, peer: SocketAddr, is_one_too_many: bool) {
        let began = Instant::now();
        let mut visit = Visit {
            caller: String::new(),
            peer,
            stored: 0,
            refused: BTreeMap::new(),
            end: "failed",
            lasted: Duration::ZERO,
        };
        let run = || {
            let end = match Wire::new(socket) {
                Ok(wire) => Association::new(self, wire, &mut visit).run(is_one_too_many),
                Err(_) => return,
            };
            visit.end = end.words();
        };
        // A fault in reading one peer's bytes is the end of that peer alone.
        let sound = catch_unwind(AssertUnwindSafe(run)).is_ok();
        if !sound {
            visit.end = "failed";
        }
        visit.lasted = began.elapsed();
        (self.told)(&visit);
    }
}

/// Counts an association until it is dropped.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn accept(shared: &Arc<Shared>, socket: &TcpListener) {
    loop {
        let accepted = socket.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok((socket, peer)) = accepted else {
            // Out of descriptors: some are free again when an association is over.
            std::thread::sleep(LOOK);
            continue;
        };
        let others = shared.open.fetch_add(1, Ordering::SeqCst);
        let (place, most) = (Place(Arc::clone(shared)), shared.options.limits.associations);
        // Who is one too many is told so, unless that alone would be too much.
        if others >= 2 * most {
            continue;
        }
        let serve = move || place.0.serve(socket, peer, others >= most);
        // Without a thread the connection is closed, and the peer tries again.
        drop(std::thread::Builder::new().name("association".into()).spawn(serve));
    }
}
