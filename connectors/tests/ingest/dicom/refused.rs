//! Files that do not come in: named with their reason, and no harm to the others.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use caim_connectors::{Code, Collection, Report};
use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::node;
use super::objects::Object;
use crate::fixture::{Node, table};

/// Set for the process in which the memory of one ingest is measured.
const ALONE: &str = "CAIM_TEST_ALONE";

/// File, code and first word of the reason of every reject.
fn rejects(report: &Report) -> Vec<(&str, Code, &str)> {
    report
        .rejects
        .iter()
        .map(|reject| (reject.file.as_str(), reject.code, reject.reason.split(':').next().unwrap()))
        .collect()
}

/// Explicit little endian, the meta group of a CT image, and then these bytes.
fn with_header(syntax: &str, rest: &[u8]) -> Vec<u8> {
    let mut syntax = syntax.as_bytes().to_vec();
    syntax.resize(syntax.len().next_multiple_of(2), 0);
    let element = [&[2, 0, 0x10, 0, b'U', b'I', syntax.len() as u8, 0], &syntax[..]].concat();
    [&[0; 128][..], b"DICM", &element, rest].concat()
}

/// The three files that kill a reader which believes what it reads.
fn write_killers(node: &Node) {
    let claim = [&[8, 0, 0x30, 0][..], &0xFFFF_FFF0_u32.to_le_bytes(), b"1234"].concat();
    node.write("k/claim.dcm", with_header("1.2.840.10008.1.2", &claim));
    let open =
        [8, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255, 0xFE, 0xFF, 0, 0xE0, 255, 255, 255, 255];
    node.write("k/deep.dcm", with_header("1.2.840.10008.1.2.1", &open.repeat(100_000)));
    let head = [&[9, 0, 0x10, 0x10, b'U', b'N', 0, 0][..], &(1_u32 << 30).to_le_bytes()].concat();
    let mut bomb = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut bomb, &[head, vec![0; 1 << 20]].concat()).unwrap();
    node.write("k/bomb.dcm", with_header("1.2.840.10008.1.2.1.99", &bomb.finish().unwrap()));
    node.write("k/whole.dcm", Object::new("1.2.3").bytes());
}

fn ingest_killers() {
    let node = node();
    write_killers(&node);
    let report = node.ingest(&node.source("k"));
    assert_eq!(
        rejects(&report),
        [
            ("bomb.dcm", Code::ObjectLimit, "inflate_limit"),
            ("claim.dcm", Code::DamagedObject, "length_exceeds_file"),
            ("deep.dcm", Code::ObjectLimit, "nesting_limit"),
        ]
    );
    assert_eq!(table(&report, "dicom.instance").kept, 1);
}

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn files_made_to_kill_a_reader_are_refused_without_much_memory() {
    if std::env::var_os(ALONE).is_some() {
        // What the program needs for any ingest is not the killers' doing.
        let usual = node();
        usual.ingest(&usual.write("a/usual.dcm", Object::new("1.2.3").bytes()));
        let before = peak();
        ingest_killers();
        assert!(peak() - before < 64 << 20, "{} bytes more", peak() - before);
        return;
    }
    let name = "dicom::refused::files_made_to_kill_a_reader_are_refused_without_much_memory";
    let alone = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&alone.stdout).into_owned() + &String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn every_file_that_gives_no_row_is_named_with_its_reason_and_the_others_come_in() {
    let node = node();
    let object = Object::new("1.2.3").bytes();
    for (name, bytes) in [
        ("a/empty.dcm", Vec::new()),
        ("a/zeros.DCM", vec![0; 4096]),
        ("a/magic.dcm", with_header("", b"")[..132].to_vec()),
        ("a/syntax", with_header("9.9.9", &[0; 20])),
        ("a/nameless.dcm", Object::new("1.2.9").without(tags::PATIENT_ID).bytes()),
        ("a/without.dcm", with_header("1.2.840.10008.1.2.1", &[8, 0, 0x60, 0, b'C', b'S', 2, 0, b'C', b'T'])),
        ("a/cut.dcm", object[..object.len() - 1].to_vec()),
        ("a/notes.txt", b"who was scanned when".to_vec()),
        ("a/icon.png", vec![0x89; 500]),
        ("a/whole.dcm", object.clone()),
    ] {
        node.write(name, bytes);
    }
    let report = node.ingest(&node.source("a"));
    assert_eq!(
        rejects(&report),
        [
            ("cut.dcm", Code::DamagedObject, "length_exceeds_file"),
            ("empty.dcm", Code::NotDicom, "empty"),
            ("magic.dcm", Code::DamagedObject, "truncated_meta"),
            ("syntax", Code::TransferSyntax, "transfer_syntax"),
            ("without.dcm", Code::NoInstanceUid, "no_instance_uid"),
            ("zeros.DCM", Code::NotDicom, "not_dicom"),
        ]
    );
    let skipped: Vec<&str> = report.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    assert_eq!(skipped, ["icon.png", "notes.txt"]);
    assert_eq!((report.kept(), report.has_rejects()), (2, true));
}

#[test]
fn of_two_objects_with_one_identifier_the_first_by_name_stays() {
    let node = node();
    node.write("a/2.dcm", Object::new("1.2.3").with(tags::KVP, VR::DS, "120").bytes());
    node.write("a/1.dcm", Object::new("1.2.3").with(tags::KVP, VR::DS, "100").bytes());
    node.write("a/3.dcm", Object::new("1.2.3").with(tags::KVP, VR::DS, "100.0").bytes());
    let report = node.ingest(&node.source("a"));
    assert_eq!(
        rejects(&report).iter().map(|reject| (reject.0, reject.1)).collect::<Vec<_>>(),
        [("2.dcm", Code::Conflict)]
    );
    let skipped: Vec<&str> = report.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    assert_eq!((skipped, table(&report, "dicom.instance").duplicates), (vec!["3.dcm"], 1));
    assert_eq!(node.cells("dicom.instance", &["kvp"]), [["100.0"]]);
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_harms_no_other() {
    let node = node();
    node.write("a/1.dcm", Object::new("1.1").bytes());
    let closed = node.write("a/2.dcm", Object::new("1.2").bytes());
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&closed).is_ok() {
        println!("skipped: this user may read every file");
        return;
    }
    let report = node.ingest(&node.source("a"));
    assert_eq!(rejects(&report).first().map(|reject| reject.1), Some(Code::Unreadable));
    assert_eq!(report.kept(), 1);
}

#[test]
fn lists_of_files_are_bounded_and_counts_are_not() {
    let node = node();
    for number in 0..150 {
        node.write(&format!("a/{number}.dcm"), b"");
    }
    for number in 0..1100 {
        node.write(&format!("a/{number}.txt"), b"text");
    }
    node.write("a/whole.dcm", Object::new("1.2.3").bytes());
    let report = node.ingest(&node.source("a"));
    assert_eq!((report.rejects.len(), table(&report, "dicom.instance").rejected), (100, 150));
    let counted = report.warnings.iter().find(|warning| warning.code == Code::ForeignFile).unwrap();
    assert_eq!((report.skipped.len(), counted.count), (1000, 1100));
}

#[test]
fn a_dry_run_and_a_sample_tell_and_write_nothing() {
    let mut node = node();
    for number in 0..300 {
        node.write(&format!("a/{number:03}.dcm"), Object::new(&format!("1.2.{number}")).bytes());
    }
    node.options.dry_run = true;
    assert_eq!(node.ingest(&node.source("a")).kept(), 300);
    node.options.sample = Some(7);
    let report = node.ingest(&node.source("a"));
    assert_eq!((report.kept(), report.batch, node.epoch()), (7, None, 0));
}

#[test]
fn objects_are_found_in_folders_zips_and_alone_without_being_asked_for() {
    let mut node = node();
    node.options.format = caim_connectors::Format::Auto;
    node.write("a/IM0001", Object::new("1.1").bytes());
    node.write("a/read.me", b"text");
    let zip = node.source("b.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&zip).unwrap());
    for (name, uid) in [("x/IM1", "2.1"), ("x/IM2", "2.2")] {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, &Object::new(uid).bytes()).unwrap();
    }
    writer.finish().unwrap();
    let alone = node.write("c.dcm", Object::new("3.1").bytes());
    for (source, kept) in [(node.source("a"), 1), (zip, 2), (alone, 1)] {
        let report = node.ingest(&source);
        assert_eq!((report.format.as_str(), report.kept()), ("dicom", kept), "{}", source.display());
    }
}

#[test]
fn a_column_of_collections_is_no_option_for_objects() {
    let mut node = node();
    node.options.collection = Collection::Column("collection_id".into());
    node.write("a/1.dcm", Object::new("1.1").bytes());
    assert_eq!(node.refusal(&node.source("a")), Code::Option);
}

#[test]
fn a_source_whose_objects_changed_takes_the_place_of_its_old_rows() {
    let node = node();
    node.write("a/1.dcm", Object::new("1.1").bytes());
    node.write("a/2.dcm", Object::new("1.2").bytes());
    node.ingest(&node.source("a"));
    std::fs::remove_file(node.source("a/2.dcm")).unwrap();
    node.write("a/3.dcm", Object::new("1.3").bytes());
    let report = node.ingest(&node.source("a"));
    assert_eq!((report.kept(), table(&report, "dicom.instance").duplicates), (2, 0));
    assert_eq!(node.cells("dicom.instance", &["sopinstanceuid"]), [["1.1"], ["1.3"]]);
}
