//! Sources on disk: what is in them, what is left out and why, and what tells contents apart.

use super::*;

fn names(source: &Source) -> Vec<&str> {
    source.members.iter().map(|m| m.name.as_str()).collect()
}

#[test]
fn a_folder_gives_its_tables_in_order_and_names_the_rest_with_reasons() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("b/__MACOSX")).unwrap();
    for name in ["b/Z.csv", "a.PARQUET", "b/__MACOSX/x.csv", "._a.csv", "readme.md", "c.csv.gz", "_SUCCESS"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let source = Source::open(folder.path()).unwrap();
    assert_eq!(names(&source), ["a.PARQUET", "b/Z.csv", "readme.md"]);
    assert_eq!(source.tables().count(), 2);
    assert_eq!(source.skipped.len(), 4);
    assert!(source.skipped.iter().all(|s| !s.reason.is_empty()));
}

#[test]
fn a_pipe_is_refused_without_opening_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("a.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(Source::open(&pipe).unwrap_err().code(), Code::NotRegular);
    assert_eq!(Source::open(Path::new("/dev/zero")).unwrap_err().code(), Code::NotRegular);
    let source = Source::open(folder.path()).unwrap();
    assert!(source.members.is_empty() && source.skipped.len() == 1, "in a folder it is skipped");
}

#[test]
fn a_path_that_leads_nowhere_is_named() {
    let error = Source::open(Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.to_string().contains("/nowhere/at/all"));
}

#[test]
fn the_digest_depends_on_bytes_names_and_recipe_and_on_nothing_else() {
    let digest = |files: &[(&str, &str)], recipe: &str| {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        {
            let mut source = Source::open(folder.path()).unwrap();
            source.retain(&HashSet::from(["a.csv", "b.csv", "c.csv"]));
            source.digest(recipe, Evidence::Bytes).unwrap()
        }
    };
    let known = digest(&[("a.csv", "1"), ("b.csv", "2")], "r");
    assert_eq!(digest(&[("b.csv", "2"), ("a.csv", "1"), ("notes.md", "x")], "r"), known);
    for (files, recipe) in [
        ([("a.csv", "2"), ("b.csv", "1")], "r"),
        ([("a.csv", "1"), ("c.csv", "2")], "r"),
        ([("a.csv", "1"), ("b.csv", "2")], "s"),
    ] {
        assert_ne!(digest(&files, recipe), known);
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "a\n1\n").unwrap();
    let source = Source::open(&path).unwrap();
    source.check_unchanged().unwrap();
    fs::write(&path, "a\n1\n2\n").unwrap();
    assert_eq!(source.check_unchanged().unwrap_err().code(), Code::Changed);
}
