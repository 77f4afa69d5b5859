//! What the parts of a listener promise by themselves; whole associations are in the tests of the crate.

use std::fs::{self, OpenOptions};
use std::io::Write;

use super::segment::Unwritten;
use super::*;

fn spool(folder: &Path) -> Arc<Spool> {
    Spool::open(&folder.join("spool"), 1 << 20).unwrap()
}

fn store(segment: &mut segment::Segment, header: &[u8]) {
    let mut record = segment.record(1 << 20);
    record.write_all(header).unwrap();
    record.commit().unwrap();
}

/// How many headers wait, and in the name of whom.
fn waiting(spool: &Spool) -> Option<(String, usize)> {
    let received = spool.oldest(&Limits::default())?;
    Some((received.source().split('/').nth(2).unwrap().to_owned(), received.headers()))
}

#[test]
fn what_was_committed_is_there_after_a_crash_and_half_a_header_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = spool(folder.path());
    let mut segment = first.begin("PACS 1").unwrap();
    store(&mut segment, b"one");
    store(&mut segment, b"two");
    let mut record = segment.record(1 << 20);
    record.write_all(&[7; 200_000]).unwrap();
    // The process dies here: nothing is dropped, and the lock is gone with it.
    std::mem::forget(record);
    std::mem::forget(segment);
    first.unlock();
    assert_eq!(waiting(&spool(folder.path())), Some(("PACS_1".to_owned(), 2)));
}

#[test]
fn a_record_that_the_disk_lost_ends_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let first = spool(folder.path());
    let mut segment = first.begin("PACS").unwrap();
    [b"one", b"two"].iter().for_each(|header| store(&mut segment, *header));
    drop((segment, first));
    let file = files(folder.path()).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    for (length, left) in [(whole.len() - 1, Some(1)), (24 + 40 + 2, None), (10, None)] {
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&file)
            .unwrap()
            .write_all(&whole[..length])
            .unwrap();
        assert_eq!(waiting(&spool(folder.path())).map(|(_, headers)| headers), left, "{length} bytes");
        fs::write(&file, &whole).unwrap();
    }
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(&file, &flipped).unwrap();
    assert_eq!(waiting(&spool(folder.path())).map(|(_, headers)| headers), Some(1));
}

#[test]
fn a_file_of_others_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    drop(spool(folder.path()));
    let other = folder.path().join("spool/other.headers");
    fs::write(&other, "something that is no file of a listener").unwrap();
    let refused = Spool::open(&folder.path().join("spool"), 1 << 20).err().unwrap();
    assert_eq!(refused.code(), Code::Spool);
    assert!(other.exists());
}

#[test]
fn neither_a_header_nor_the_spool_grows_beyond_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let mut segment = spool.begin("PACS").unwrap();
    let mut long = segment.record(1000);
    assert!(long.write_all(&[0; 1001]).is_err());
    assert_eq!(long.commit(), Err(Unwritten::TooLong));
    for _ in 0..4 {
        store(&mut segment, &[1; 200 << 10]);
    }
    let mut last = segment.record(1 << 20);
    let written = last.write_all(&[1; 300 << 10]);
    assert!(written.is_err() && last.commit() == Err(Unwritten::Full));
    drop(segment);
    let received = spool.oldest(&Limits::default()).unwrap();
    assert_eq!(received.headers(), 4);
    spool.taken(&received);
    assert!(files(folder.path()).is_empty(), "what is taken in leaves the disk");
    let mut again = spool.begin("PACS").unwrap();
    store(&mut again, &[1; 900 << 10]);
}

#[test]
fn a_spool_has_one_listener_and_one_reader() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let first = spool(folder.path());
    let place = folder.path().join("spool");
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(Spool::open(&place, 1).err().unwrap().code(), Code::Spool);
    drop(first);
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(Spool::open(&place, 1).err().unwrap().code(), Code::Spool);
}

#[test]
fn storage_classes_are_told_from_other_services() {
    for (class, expected) in [
        ("1.2.840.10008.5.1.4.1.1.2", true),
        ("1.2.840.10008.5.1.4.1.1.481.3", true),
        ("1.2.840.10008.5.1.4.34.7", true),
        ("1.2.840.10008.1.1", false),
        ("1.2.840.10008.1.20.1", false),
        ("1.2.840.10008.1.3.10", false),
        ("1.2.840.10008.5.1.4.1.2.2.1", false),
        ("1.3.12.2.1107.5.9.1", false),
    ] {
        assert_eq!(negotiation::is_storage(class), expected, "{class}");
    }
}

#[test]
fn an_ae_title_is_short_and_printable() {
    for (title, expected) in [
        ("CAIM", true),
        ("CT 1", true),
        ("", false),
        ("A\\B", false),
        (" A", false),
        ("SEVENTEEN-LETTERS", false),
    ] {
        assert_eq!(negotiation::is_title(title), expected, "{title:?}");
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder.join("spool")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "headers")).collect()
}
