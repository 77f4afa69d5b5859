//! Finds the workspace and the data sets beside it, so that a clone without them skips and says so.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Names the file that collects the reasons of skipped tests; `tests/run` counts its lines.
const SKIPS: &str = "CAIM_SKIPS";

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A file or folder below `../shared/data`, or `None` where it is absent, after [`skip`] has said so.
///
/// ```
/// if let Some(index) = caim_tests::shared("idc/idc_index_dev.parquet") {
///     assert!(index.is_file());
/// }
/// ```
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = workspace().join("../shared/data").join(path);
    if found.exists() {
        return Some(found);
    }
    skip(&format!("../shared/data/{path} is absent"));
    None
}

/// Says why a test could not run; the caller then returns. A skip is counted as such, never as passed.
#[expect(clippy::print_stderr, reason = "the one who runs the tests must see what was not tested")]
pub fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped: {test}: {reason}");
    let Some(file) = std::env::var_os(SKIPS) else { return };
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut skips| skips.write_all(format!("{test}: {reason}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("cannot record the skip in {}: {error}", Path::new(&file).display());
    }
}
