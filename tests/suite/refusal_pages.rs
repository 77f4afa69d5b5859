//! Every refusal has a page, and the pages tell the truth: their examples are refused and their advice is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use caim_connectors::Code as Ingest;
use caim_sql::refusal::{Code, Family};
use caim_tests::workspace;

use crate::planning::ask;

const INDEX: &str = "README";

/// A page, taken apart.
struct Page {
    text: String,
    refused: Example,
    instead: Example,
}

/// An example and the language its fence names: `sql` is run here, `text` is for the reader alone.
struct Example {
    language: String,
    body: String,
}

#[test]
fn every_code_has_a_page_that_states_its_rule() {
    for code in Code::ALL {
        let page = page(code.id());
        let title = page.text.lines().next().unwrap();
        assert_eq!(title, format!("# {}: {}", code.id(), code.name()));
        for sentence in [code.rule(), code.rewrite()] {
            assert!(page.text.contains(sentence), "{code} does not say: {sentence}");
        }
        assert!(page.text.contains("**Why.** "), "{code} does not say why");
    }
}

#[test]
fn every_code_of_an_ingest_has_a_page_that_states_rule_and_fix() {
    for code in Ingest::ALL {
        let text = read(code.id());
        assert_eq!(text.lines().next().unwrap(), format!("# {}: {}", code.id(), code.name()));
        // A sentence begins with a capital letter on the page.
        for sentence in [code.rule(), code.fix()] {
            assert!(text.contains(&sentence[1..]), "{code} does not say: {sentence}");
        }
        assert!(
            text.contains("**Why.** ") && text.contains("## Example\n\n```text\n"),
            "{code} lacks a part"
        );
    }
}

#[test]
fn no_page_is_orphaned_and_the_index_lists_them_all() {
    let of_questions = Code::ALL.iter().map(|code| code.id());
    let known: BTreeSet<String> =
        of_questions.chain(Ingest::ALL.iter().map(|code| code.id())).map(str::to_owned).collect();
    let index = fs::read_to_string(folder().join(format!("{INDEX}.md"))).unwrap();
    let pages: BTreeSet<String> = pages().into_iter().filter(|id| id != INDEX).collect();
    assert_eq!(pages, known);
    for id in &pages {
        assert!(index.contains(&format!("[{id}]({id}.md)")), "the index does not list {id}");
    }
}

#[test]
fn every_example_is_refused_with_the_code_of_its_page() {
    for (id, example) in examples(|page| &page.refused) {
        let refusal = ask(&example).expect_err(&format!("{id}: the example is answered"));
        assert_eq!(refusal.code.id(), id, "{id}: {refusal}");
    }
}

#[test]
fn every_advice_can_be_asked() {
    for (id, example) in examples(|page| &page.instead) {
        if let Err(refusal) = ask(&example) {
            panic!("{id}: the advice is refused: {refusal}");
        }
    }
}

#[test]
fn every_refusal_that_the_question_alone_decides_has_an_example_that_runs() {
    const NEED_A_NODE: &[Code] = &[Code::BudgetExceeded, Code::Malformed, Code::OntologyVersion];
    for code in Code::ALL {
        let runs = match code.family() {
            Family::Privacy | Family::Sql | Family::Ontology => !NEED_A_NODE.contains(code),
            Family::Access | Family::Network => false,
        };
        let language = if runs { "sql" } else { "text" };
        assert_eq!(page(code.id()).refused.language, language, "{code}");
    }
}

fn examples(part: impl Fn(&Page) -> &Example) -> BTreeMap<&'static str, String> {
    let pages = Code::ALL.iter().map(|code| (code.id(), page(code.id())));
    let sql: BTreeMap<_, _> = pages
        .filter(|(_, page)| part(page).language == "sql")
        .map(|(id, page)| (id, part(&page).body.clone()))
        .collect();
    assert!(sql.len() > 20, "the examples were not found");
    sql
}

fn page(id: &str) -> Page {
    let text = read(id);
    let refused = example(id, &text, "## Refused");
    let instead = example(id, &text, "## Instead");
    Page { text, refused, instead }
}

fn read(id: &str) -> String {
    let path = folder().join(format!("{id}.md"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The first fenced block below a heading.
fn example(id: &str, text: &str, heading: &str) -> Example {
    let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("{id} has no '{heading}'"));
    let (_, fenced) =
        section.split_once("\n```").unwrap_or_else(|| panic!("{id} has no example below '{heading}'"));
    let (language, rest) = fenced.split_once('\n').unwrap();
    let (body, _) = rest.split_once("\n```").unwrap();
    Example { language: language.to_owned(), body: body.to_owned() }
}

fn pages() -> BTreeSet<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

fn folder() -> PathBuf {
    workspace().join("docs/refusals")
}
