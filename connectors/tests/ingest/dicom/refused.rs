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

/// The four files that kill a reader which believes what it reads.
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
    let group = [&[2, 0, 0, 0, b'U', b'L', 4, 0][..], &0xFFFF_FFF0_u32.to_le_bytes()].concat();
    node.write("k/group.dcm", [&[0; 128][..], b"DICM", &group].concat());
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
            ("group.dcm", Code::DamagedObject, "length_exceeds_file"),
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
fn d04_d05_d07_d08_files_made_to_kill_a_reader_are_refused_without_much_memory() {
    if std::env::var_os(ALONE).is_some() {
        // What the program needs for any ingest is not the killers' doing.
        let usual = node();
        usual.ingest(&usual.write("a/usual.dcm", Object::new("1.2.3").bytes()));
        let before = peak();
        ingest_killers();
        assert!(peak() - before < 64 << 20, "{} bytes more", peak() - before);
        return;
    }
    let name = "dicom::refused::d04_d05_d07_d08_files_made_to_kill_a_reader_are_refused_without_much_memory";
    let alone = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&alone.stdout).into_owned() + &String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn d01_d02_d03_d12_every_file_that_gives_no_row_is_named_with_its_reason_and_the_others_come_in() {
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
fn d20_d21_of_two_objects_with_one_identifier_the_first_by_name_stays() {
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
fn d09_d10_a_number_without_bytes_or_with_too_few_is_null() {
    for (length, bytes) in [(0, &[][..]), (1, &[7][..])] {
        let node = node();
        let rows = [&[0x28, 0, 0x10, 0, b'U', b'S', length, 0][..], bytes].concat();
        let uid = [8, 0, 0x18, 0, b'U', b'I', 4, 0, b'1', b'.', b'2', 0];
        let object = with_header("1.2.840.10008.1.2.1", &[&uid[..], &rows, &[0; 10]].concat());
        node.write("a/1.dcm", object);
        let report = node.ingest(&node.source("a"));
        assert_eq!((report.kept(), node.cells("dicom.instance", &["rows"])), (1, vec![vec!["-".to_owned()]]));
    }
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

/// Objects by their names in an archive.
fn packed() -> Vec<(&'static str, Vec<u8>)> {
    let large = Object::new("2.3").with(dicom_core::Tag(0x0009, 0x1001), VR::UT, &"x".repeat(100_000));
    let large = large.with(tags::KVP, VR::DS, "120").bytes();
    vec![("x/IM1", Object::new("2.1").bytes()), ("x/IM2", Object::new("2.2").bytes()), ("y/IM3", large)]
}

fn zip_of(files: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn objects_are_found_in_folders_archives_and_alone_without_being_asked_for() {
    let mut node = node();
    node.options.format = caim_connectors::Format::Auto;
    node.write("a/IM0001", Object::new("1.1").bytes());
    node.write("a/read.me", b"text");
    let alone = node.write("c.dcm", Object::new("3.1").bytes());
    for (source, kept) in [(node.source("a"), 1), (alone, 1)] {
        let report = node.ingest(&source);
        assert_eq!((report.format.as_str(), report.kept()), ("dicom", kept), "{}", source.display());
    }
    let tar = tar_of(&packed());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    for (name, bytes) in [
        ("stored.zip", zip_of(&packed(), zip::CompressionMethod::Stored)),
        ("deflated.zip", zip_of(&packed(), zip::CompressionMethod::Deflated)),
        ("a.tar", tar),
        ("a.tar.gz", gzip.finish().unwrap()),
    ] {
        let node = super::node();
        let report = node.ingest(&node.write(name, bytes));
        assert_eq!((report.format.as_str(), report.kept()), ("dicom", 3), "{name}");
        let cells = node.cells("dicom.instance", &["sopinstanceuid", "kvp"]);
        assert_eq!(cells, [["2.1", "-"], ["2.2", "-"], ["2.3", "120.0"]], "{name}");
    }
}

#[test]
fn an_object_in_a_zip_that_cannot_be_inflated_is_named_and_harms_no_other() {
    let mut bytes = zip_of(&packed(), zip::CompressionMethod::Deflated);
    let name = bytes.windows(5).position(|window| window == b"x/IM1").unwrap();
    bytes[name + 5..name + 25].fill(0xFF);
    let node = node();
    let report = node.ingest(&node.write("a.zip", bytes));
    assert_eq!(rejects(&report), [("x/IM1", Code::DamagedObject, "bad_deflate")]);
    assert_eq!(table(&report, "dicom.instance").kept, 2);
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
