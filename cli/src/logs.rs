//! Logs go to stderr, so that stdout holds data and nothing else.

use std::io::IsTerminal;

use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// How much is logged when neither `CAIM_LOG` nor `RUST_LOG` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// What somebody at a terminal must know: warnings.
    Quiet,
    /// What a service tells its operator: when it listens, links and stops.
    Service,
}

impl Verbosity {
    fn filter(self) -> &'static str {
        match self {
            Self::Quiet => "warn",
            Self::Service => "warn,caim=info,caim_flight_server=info,caim_engine=info,caim_warehouse=info",
        }
    }
}

/// Starts logging; `CAIM_LOG` stands over `RUST_LOG`. A second call changes nothing.
///
/// Only Caim's own events are written, whatever a filter says: libraries tell of plans and file statistics at their lower
/// levels, and those hold values of patients.
pub fn start(verbosity: Verbosity) {
    let written = ["CAIM_LOG", "RUST_LOG"].iter().find_map(|name| std::env::var(name).ok());
    let filter = written.and_then(|written| EnvFilter::try_new(written).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(verbosity.filter()));
    let ours = filter_fn(|event| event.target().starts_with("caim"));
    let logs = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(filter.and(ours));
    // It fails when a logger is set already: that one stays.
    let _ = tracing_subscriber::registry().with(logs).try_init();
}
