//! House rules that a compiler does not check: they keep files readable as the code grows.

use std::fs;
use std::path::{Path, PathBuf};

use caim_tests::workspace;

const LONGEST_FILE: usize = 500;
const LONGEST_README: usize = 120;
const LONGEST_ARCHITECTURE: usize = 300;

#[test]
fn every_source_file_opens_with_its_purpose_and_stays_readable() {
    let files = sources(workspace());
    assert!(files.len() > 20, "the sources were not found");
    let faults: Vec<String> =
        files.iter().flat_map(|path| faults(path, &fs::read_to_string(path).unwrap())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_front_pages_stay_short() {
    for (page, longest) in [("README.md", LONGEST_README), ("ARCHITECTURE.md", LONGEST_ARCHITECTURE)] {
        let lines = fs::read_to_string(workspace().join(page)).unwrap().lines().count();
        assert!(lines <= longest, "{page} has {lines} lines; {longest} is the limit");
    }
}

#[test]
fn a_file_without_purpose_or_of_too_many_lines_is_found() {
    let long = format!("//! Why.\n{}", "\n".repeat(LONGEST_FILE));
    for (name, text, wanted) in [
        ("a.rs", "use std::fs;\n", "//!"),
        ("a.rs", long.as_str(), "501 lines"),
        ("mod.rs", "//! Why.\n", "mod.rs"),
    ] {
        assert!(faults(Path::new(name), text).iter().any(|fault| fault.contains(wanted)), "{wanted}");
    }
    assert_eq!(faults(Path::new("a.rs"), "//! Why.\n"), Vec::<String>::new());
}

fn faults(path: &Path, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let name = path.display();
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{name} does not open with //!"));
    }
    if lines > LONGEST_FILE {
        faults.push(format!("{name} has {lines} lines; {LONGEST_FILE} is the limit"));
    }
    if path.file_name().is_some_and(|file| file == "mod.rs") {
        faults.push(format!("{name}: a module's file has the module's name, not mod.rs"));
    }
    faults
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !hidden_or_built(path))
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                path.extension().is_some_and(|e| e == "rs").then_some(path).into_iter().collect()
            }
        })
        .collect()
}

fn hidden_or_built(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "target" || name.to_string_lossy().starts_with('.'))
}
