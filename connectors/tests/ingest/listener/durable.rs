//! What is on the disk of a listener, and what is not, at every moment.

use std::fs;
use std::path::{Path, PathBuf};

use caim_connectors::{Limits, ListenOptions};
use dicom_ul::pdu::Pdu;

use super::scu::{CT, EXPLICIT, Scu, Sent};
use super::{data_set, image, listening, options, rows};
use crate::dicom::objects::Object;
use crate::fixture::{Node, table};

#[test]
fn pixels_are_read_and_never_written() {
    let node = Node::new();
    let spool = node.folder().join("spool");
    listening(&node, options(), |address| {
        let mut scu = Scu::open(address, "PACS", "1.2.840.10008.1.2.4.50");
        scu.command(0x0001, &Sent { context: 1, class: CT, instance: "1.2.3.1" }, true);
        scu.data(1, &data_set(Object::new("1.2.3.1"), EXPLICIT), false);
        // Encapsulated pixels: fragments of 64 KiB, 64 MiB in all.
        scu.data(1, b"\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x00\x00\x00\x00", false);
        for _ in 0..1024 {
            scu.data(1, &[b"\xFE\xFF\x00\xE0\x00\x00\x01\x00".as_slice(), &[0xA5; 64 << 10]].concat(), false);
        }
        assert!(on_disk(&spool) < 4096, "{} bytes are in the spool", on_disk(&spool));
        scu.data(1, b"\xFE\xFF\xDD\xE0\x00\x00\x00\x00", true);
        assert_eq!(scu.status(), 0);
        assert!(on_disk(&spool) < 4096, "{} bytes are in the spool", on_disk(&spool));
        scu.release();
    });
    assert_eq!(node.count("dicom.instance"), 1);
    assert!(!holds(&node.folder(), &[0xA5; 16]), "no pixel is on the disk");
}

#[test]
fn names_of_patients_do_not_reach_the_spool() {
    let node = Node::new();
    let spool = node.folder().join("spool");
    listening(&node, options(), |address| {
        let mut scu = Scu::open(address, "PACS", EXPLICIT);
        assert_eq!(scu.store("1.2.3.1", &data_set(image("1.2.3.1"), EXPLICIT)), 0);
        assert!(holds(&spool, b"1.2.3.1") && !holds(&spool, b"SECRET") && !holds(&spool, b"PIXELS"));
        scu.release();
    });
}

#[test]
fn what_was_acknowledged_comes_in_once_whenever_the_process_ends() {
    let node = Node::new();
    let (spool, saved) = (node.folder().join("spool"), node.folder().join("saved"));
    listening(&node, options(), |address| {
        let mut scu = Scu::open(address, "PACS", EXPLICIT);
        for uid in ["1.2.3.1", "1.2.3.2"] {
            assert_eq!(scu.store(uid, &data_set(image(uid), EXPLICIT)), 0);
        }
        // The disk as a crash would leave it now.
        copy(&spool, &saved);
        scu.release();
    });
    assert_eq!(node.count("dicom.instance"), 2);
    // Between commit and clean-up.
    let before = rows(&node, "dicom.instance");
    copy(&saved, &spool);
    let (reports, _) = listening(&node, options(), |_| ());
    assert!(reports[0].unchanged, "{reports:?}");
    assert_eq!(rows(&node, "dicom.instance"), before);
    // Between acknowledgement and commit, at a node that has the same secret.
    let fresh = Node::new();
    copy(&saved, &fresh.folder().join("spool"));
    listening(&fresh, options(), |_| ());
    assert_eq!(rows(&fresh, "dicom.instance"), before);
    // Beside new ones: those of before are there already.
    copy(&saved, &spool);
    let (reports, _) =
        listening(&node, ListenOptions { limits: Limits::default(), ..options() }, |address| {
            let mut scu = Scu::open(address, "PACS", EXPLICIT);
            assert_eq!(scu.store("1.2.3.3", &data_set(image("1.2.3.3"), EXPLICIT)), 0);
            scu.release();
        });
    let sums = reports.iter().map(|report| table(report, "dicom.instance"));
    let kept: u64 = sums.map(|table| table.kept).sum();
    assert_eq!((kept, node.count("dicom.instance")), (1, 3));
}

#[test]
fn an_association_that_is_open_ends_with_the_listener_and_loses_nothing() {
    let node = Node::new();
    let mut open = None;
    let (_, visits) = listening(&node, options(), |address| {
        let mut scu = Scu::open(address, "PACS", EXPLICIT);
        assert_eq!(scu.store("1.2.3.1", &data_set(image("1.2.3.1"), EXPLICIT)), 0);
        open = Some(scu);
    });
    assert!(matches!(open.unwrap().receive(), Some(Pdu::AbortRQ { .. })));
    assert_eq!((visits[0].end, node.count("dicom.instance")), ("the listener stops", 1));
}

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found
}

/// Bytes of all files below a folder.
fn on_disk(folder: &Path) -> u64 {
    files(folder).iter().filter_map(|file| fs::metadata(file).ok()).map(|found| found.len()).sum()
}

fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let has = |file: &PathBuf| fs::read(file).unwrap().windows(bytes.len()).any(|window| window == bytes);
    files(folder).iter().any(has)
}
