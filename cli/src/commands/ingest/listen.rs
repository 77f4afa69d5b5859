//! `caim ingest --listen`: a PACS or a modality sends objects, and their headers come in batch by batch.

use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context as _;
use caim_connectors::{Limits, ListenOptions, Listener, Received, Visit};
use serde_json::json;

use super::{Args, print, shown};
use crate::commands::Outcome;
use crate::exit::{self, Exit};
use crate::service;

/// What else than a source may be listened to.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Stay, and take in the headers of the DICOM objects that are sent to this address (C-STORE); pixels are not kept
    #[arg(long, value_name = "ADDR:PORT", conflicts_with_all = [
        "sources", "collection_column", "format", "dry_run", "sample", "watch", "token_file", "allow_empty", "since",
    ])]
    pub listen: Option<SocketAddr>,
    /// AE title of the node: others must call it so
    #[arg(long, value_name = "TITLE", default_value = "CAIM", requires = "listen")]
    pub ae_title: String,
    /// AE title that may call; can be given again. Without it, any may
    #[arg(long = "caller", value_name = "TITLE", requires = "listen")]
    pub callers: Vec<String>,
    /// Listen beyond this machine: names of patients cross the network as they are
    #[arg(long, requires = "listen")]
    pub unencrypted: bool,
}

impl Flags {
    /// How to listen, if that is asked for.
    pub(super) fn options(&self) -> Option<ListenOptions> {
        let Self { listen, ae_title, callers, unencrypted } = self;
        listen.map(|address| ListenOptions {
            address,
            ae_title: ae_title.clone(),
            callers: callers.clone(),
            unencrypted: *unencrypted,
            limits: Limits::default(),
        })
    }
}

/// Listens until it is told to stop, and then until all that was received is committed; told again, it ends at once, and
/// the rest comes in with the next start.
///
/// # Errors
/// When the folder is no node, or it cannot listen.
pub(super) fn run(args: Args, options: ListenOptions) -> Outcome {
    let (json, title) = (args.json, options.ae_title.clone());
    let listener = crate::ingest::listener(&args.dir, options, move |visit| say(json, visit))?;
    let (address, stopper) = (listener.address(), listener.stopper());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = service::told_to_stop()?;
        let (done, outcome) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("ingest".into()).spawn(move || done.send(serve(&args, listener)))?;
        tell(json, "listening", &format!("DICOM objects for {title} on {address}"));
        let mut outcome = std::pin::pin!(outcome);
        tokio::select! {
            outcome = &mut outcome => return outcome.context("the listener ended with a fault")?,
            () = stop => stopper.stop(),
        }
        tell(json, "stopping", "what was received is taken in");
        let again = service::told_to_stop()?;
        tokio::select! {
            outcome = &mut outcome => outcome.context("the listener ended with a fault")?,
            () = again => {
                tell(json, "stopped", "what was received and is not committed comes in with the next start");
                Ok(Exit::Ok)
            }
        }
    })
}

fn serve(args: &Args, listener: Listener) -> Outcome {
    let all_in = listener.run(|received| match take(args, received) {
        Ok(()) => true,
        Err(error) => {
            exit::tell(&error);
            false
        }
    })?;
    Ok(if all_in { Exit::Ok } else { Exit::Error })
}

/// Takes in one batch and prints the report.
fn take(args: &Args, received: &Received) -> anyhow::Result<()> {
    let report = crate::ingest::ingest_received(&args.dir, received, &args.options(), shown(args).as_ref())?;
    // A reader that is gone does not end the listener.
    drop(print(args, &report));
    Ok(())
}

/// Tells of an association that is over: who, how many objects, and why others were refused.
fn say(is_json: bool, visit: &Visit) {
    let Visit { caller, peer, stored, refused, end, lasted } = visit;
    let all = stored + refused.values().sum::<u64>();
    let line = if is_json {
        json!({
            "event": "association", "what": format!("{caller} at {peer}"), "rows": stored, "total": all,
            "seconds": lasted.as_secs_f64(), "refused": refused, "end": end,
        })
        .to_string()
    } else {
        let mut line = format!("association of {caller:?} at {peer}: {stored} objects, {end}");
        for (reason, count) in refused {
            // Writing to a text does not fail.
            let _ = write!(line, ", {count} refused ({reason})");
        }
        line
    };
    put(&line);
}

fn tell(is_json: bool, event: &str, what: &str) {
    let line = if is_json {
        json!({"event": event, "what": what, "rows": 0, "total": null, "seconds": 0.0}).to_string()
    } else {
        format!("{event}: {what}")
    };
    put(&line);
}

/// Writes a line in one go, so that others do not break it.
fn put(line: &str) {
    // Where stderr is closed nobody watches.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
