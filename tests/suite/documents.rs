//! The documents hold what they say: links lead somewhere, examples can be asked, every configuration key is listed.

use std::fs;
use std::path::{Path, PathBuf};

use caim::config::reference::{HUB, Key, NODE};
use caim_tests::workspace;

use crate::planning::ask;

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 40, "the documents were not found");
    for page in pages {
        for link in links(&read(&page)) {
            let target = page.parent().unwrap().join(&link);
            assert!(target.exists(), "{} links to {link}, which is not there", page.display());
        }
    }
}

#[test]
fn every_page_is_in_the_book_once() {
    let docs = workspace().join("docs");
    let book = links(&read(&docs.join("SUMMARY.md")));
    for page in pages().iter().filter_map(|page| page.strip_prefix(&docs).ok()) {
        let name = page.to_str().unwrap();
        let times = book.iter().filter(|link| *link == name).count();
        assert_eq!(times, usize::from(name != "SUMMARY.md"), "docs/SUMMARY.md links to {name} {times} times");
    }
}

#[test]
fn every_example_for_analysts_can_be_asked() {
    let text = read(&workspace().join("docs/analysts.md"));
    let examples: Vec<&str> =
        text.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty(), "the examples were not found");
    for example in examples {
        if let Err(refusal) = ask(example) {
            panic!("docs/analysts.md: {example}: {refusal}");
        }
    }
}

#[test]
fn every_configuration_key_is_listed_with_its_default() {
    let text = read(&workspace().join("docs/node-operators.md"));
    let named_by_section = |line: &str| {
        line.strip_prefix("| `").is_some_and(|rest| rest.contains(".") && rest.find('.') < rest.find('`'))
    };
    let listed = text.lines().filter(|line| named_by_section(line)).count();
    assert_eq!(listed, NODE.len() + HUB.len(), "docs/node-operators.md lists other keys than there are");
    for key in NODE.iter().chain(HUB) {
        assert!(text.contains(&row(key)), "docs/node-operators.md has no row: {}", row(key));
    }
}

#[test]
fn every_check_of_quality_is_explained() {
    let checks = read(&workspace().join("connectors/mappings/quality.toml"));
    let page = read(&workspace().join("docs/quality.md"));
    let names = checks.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let missing: Vec<&str> = names.clone().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(names.count() > 40 && missing.is_empty(), "docs/quality.md lacks {missing:?}");
}

fn row(key: &Key) -> String {
    let default = if key.default.is_empty() { "none".to_owned() } else { format!("`{}`", key.default) };
    format!("| `{}` | {default} | {} | {} |", key.name, key.allowed, key.comment)
}

/// Targets of Markdown links that stay within the repository, without anchors.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .filter_map(|target| target.split('#').next().map(str::to_owned))
        .collect()
}

fn pages() -> Vec<PathBuf> {
    let root = workspace();
    let mut pages = vec![root.join("README.md"), root.join("ARCHITECTURE.md"), root.join("CHANGELOG.md")];
    for folder in ["docs", "docs/adr", "docs/cookbook", "docs/refusals"] {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    pages
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
