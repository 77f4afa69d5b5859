//! Bad input: a clear error each, nothing committed, no panic, no hang.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use caim_connectors::{Code, Format};

use crate::fixture::{Node, real};

fn noise(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn every_kind_of_bad_source_has_its_own_refusal() {
    let node = Node::new();
    fs::create_dir(node.source("empty")).unwrap();
    let person: (&str, &[u8]) = ("PERSON.csv", b"person_id\n1\n");
    let whole = zip_of(&[person]);
    for (source, code) in [
        (node.source("empty"), Code::NothingFound),
        (node.source("absent"), Code::NotFound),
        (node.write("noise.parquet", noise(5000)), Code::DamagedParquet),
        (node.write("noise.zip", noise(5000)), Code::DamagedZip),
        (node.write("noise.csv", noise(5000)), Code::DamagedText),
        (node.write("cut.zip", &whole[..whole.len() / 2]), Code::DamagedZip),
        (node.write("bomb.zip", zip_of(&[("person.csv", &vec![b'1'; 70 << 20])])), Code::ZipLimit),
        (node.write("junk.zip", zip_of(&[("__MACOSX/._PERSON.csv", b"x")])), Code::NothingFound),
        (node.write("zero.csv", ""), Code::DamagedText),
        (node.write("other.csv", "a,b\n1,2\n"), Code::UnknownFormat),
        (node.write("utf16.csv", b"\xff\xfea\0,\0b\0"), Code::DamagedText),
        (node.write("person.csv", "person,year\n1,2\n"), Code::MissingColumn),
        ("/dev/null".into(), Code::NotRegular),
    ] {
        assert_eq!(node.refusal(&source), code, "{}", source.display());
    }
}

#[test]
fn what_was_looked_for_is_named() {
    let node = Node::new();
    let error = node.try_ingest(&node.write("other.csv", "secret-value,b\n1,2\n")).unwrap_err().to_string();
    assert!(error.contains("SeriesInstanceUID") && error.contains("PERSON"), "{error}");
    assert!(!error.contains("secret-value"), "{error}");
}

#[test]
fn q02_hostile_parquet_files_are_refused_or_read_and_never_panic() {
    let Some(folder) = real("bad-parquet/bad_data") else { return };
    let mut node = Node::new();
    node.options.format = Format::DicomTable;
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let code = node.refusal(&path);
            assert!(
                [Code::DamagedParquet, Code::UnknownFormat].contains(&code),
                "{}: {code}",
                path.display()
            );
            files += 1;
        }
    }
    assert_eq!(files, 8);
}

#[test]
fn q02_hostile_parquet_pages_are_refused_when_they_are_read() {
    let Some(folder) = real("bad-parquet/bad_data") else { return };
    let models = "schema = \"omop\"\nversion = \"1\"\ncomment = \"x\"\n[[table]]\nname = \"bad\"\nkind = \"public\"\ncomment = \"x\"\n";
    let mut refused = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(file) = fs::File::open(&path) else { continue };
        let Ok(builder) = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file) else {
            continue;
        };
        let columns: Vec<String> = builder
            .schema()
            .fields()
            .iter()
            .filter(|field| !field.data_type().is_nested())
            .map(|field| format!("{{ name = \"{}\", type = \"text\" }}", field.name()))
            .collect();
        if columns.is_empty() {
            continue;
        }
        let mut node = Node::new();
        let omop =
            caim_ontology::Models::parse("omop.toml", &format!("{models}column = [{}]\n", columns.join(",")));
        node.models = caim_ontology::Models::new(vec![omop.unwrap()]).unwrap();
        let source = node.write("bad.parquet", fs::read(&path).unwrap());
        match node.try_ingest(&source) {
            Ok(report) => assert_eq!(report.kept(), node.count("omop.bad")),
            Err(error) => {
                assert_eq!(error.code(), Code::DamagedParquet, "{}: {error}", path.display());
                refused += 1;
            }
        }
    }
    assert!(refused >= 1, "at least one file is damaged behind its footer");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let node = Node::new();
    let source = node.write("person.csv", "person_id\n1\n");
    fs::set_permissions(&source, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&source).is_ok() {
        println!("skipped: this user may read every file");
        return;
    }
    assert_eq!(node.refusal(&source), Code::Unreadable);
}

#[test]
fn a_source_that_fails_half_way_leaves_the_last_epoch() {
    let node = Node::new();
    node.write("cdm/person.csv", "person_id\n1\n");
    node.ingest(&node.source("cdm"));
    node.write("cdm/measurement.parquet", noise(1000));
    node.write("cdm/person.csv", "person_id\n1\n2\n");
    assert_eq!(node.refusal(&node.source("cdm")), Code::DamagedParquet);
    assert_eq!(node.count("omop.person"), 1);
}
