//! Objects that kill readers: each is given up at once, with its reason.

use std::io::Write;

use proptest::prelude::*;

use super::objects::{DEFLATED, EXPLICIT, IMPLICIT, Made, deflated, meta};
use super::*;

/// So deeply nested sequences of undefined length, closed again.
fn nested(depth: usize) -> Vec<u8> {
    let made = Made::Explicit;
    let open = [made.head(8, 0x1140, "SQ", u32::MAX), made.head(0xFFFE, 0xE000, "", u32::MAX)].concat();
    let close = [made.head(0xFFFE, 0xE00D, "", 0), made.head(0xFFFE, 0xE0DD, "", 0)].concat();
    [meta(EXPLICIT), open.repeat(depth), close.repeat(depth), made.element(0x0010, 0x0040, "CS", b"F ")]
        .concat()
}

/// An implicit element that claims four gigabytes.
fn endless(group: u16, element: u16) -> Vec<u8> {
    [meta(IMPLICIT), Made::Implicit.head(group, element, "", 0xFFFF_FFF0), b"1234".to_vec()].concat()
}

/// A deflated header with a value of so many megabytes.
fn bomb(claimed: u32, megabytes: usize) -> Vec<u8> {
    let head = Made::Explicit.head(0x0009, 0x1010, "UN", claimed);
    [meta(DEFLATED), deflated(&[head, vec![0; megabytes << 20]].concat())].concat()
}

/// Deflated without an end: repeated, it inflates to the same bytes again and again.
fn flushed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.flush().unwrap();
    encoder.get_ref().clone()
}

#[test]
fn d05_a_length_beyond_the_file_is_refused_before_anything_is_read_for_it() {
    for (group, element) in [
        (0x0008, 0x0030),
        (0x0008, 0x0020),
        (0x0010, 0x1030),
        (0x0008, 0x0070),
        (0x0008, 0x1140),
        (0x0010, 0x0010),
        (0x0028, 0x0010),
    ] {
        let scanned = scan(&endless(group, element));
        let tag = Tag::new(group, element);
        let reason = Unreadable::LengthExceedsFile { tag, claimed: 0xFFFF_FFF0, left: 4 };
        assert_eq!(scanned.outcome, Err(reason));
        assert!(scanned.read < 1024);
    }
}

#[test]
fn d06_d07_sequences_are_nested_as_deep_as_the_limit_and_no_deeper() {
    for (depth, outcome) in
        [(1, "ok"), (60, "ok"), (64, "ok"), (65, "nesting_limit"), (100_000, "nesting_limit")]
    {
        let scanned = scan(&nested(depth));
        assert_eq!(word(&scanned.outcome), outcome, "{depth}");
        assert!(scanned.read <= 2 * BLOCK_BYTES, "{depth}");
    }
}

#[test]
fn d08_a_deflated_header_inflates_to_the_limit_and_no_further() {
    assert_eq!(word(&scan(&bomb(1 << 20, 1)).outcome), "ok");
    assert_eq!(word(&scan(&bomb(1 << 30, 1)).outcome), "inflate_limit");
    // The claim is within the limit, and more than there is.
    assert_eq!(word(&scan(&bomb(2 << 20, 1)).outcome), "truncated");
    // Element after element, each within the limit, all together beyond it.
    let element = Made::Explicit.element(0x0009, 0x1010, "UN", &vec![0; 1 << 20]);
    let many = [meta(DEFLATED), flushed(&element).repeat(65)].concat();
    assert!(many.len() < 1 << 20);
    assert_eq!(word(&scan(&many).outcome), "inflate_limit");
    let garbage = [meta(DEFLATED), vec![0xFF; 100]].concat();
    assert_eq!(word(&scan(&garbage).outcome), "bad_deflate");
}

#[test]
fn d01_d02_d03_d04_d12_broken_files_have_their_reasons() {
    let explicit = |bytes: &[u8]| [&meta(EXPLICIT)[..], bytes].concat();
    let made = Made::Explicit;
    let mut group_length = meta(EXPLICIT);
    group_length[140..144].copy_from_slice(&0xFFFF_FFF0_u32.to_le_bytes());
    let open = made.head(8, 0x1140, "SQ", u32::MAX);
    for (bytes, outcome) in [
        (Vec::new(), "empty"),
        (vec![0; 4096], "not_dicom"),
        (vec![0; 5], "not_dicom"),
        (b"<html>please log in</html>".repeat(20), "not_dicom"),
        ([&[0; 128][..], b"DICM"].concat(), "truncated_meta"),
        (meta(EXPLICIT)[..150].to_vec(), "length_exceeds_file"),
        (group_length, "length_exceeds_file"),
        ([meta("9.9.9"), vec![1, 2, 3]].concat(), "transfer_syntax"),
        (explicit(&made.element(0x0028, 0x0010, "ZZ", &[7, 7])), "ok"),
        (explicit(&made.head(0xFFFE, 0xE0DD, "", 0)), "ok"),
        (explicit(&made.head(0x0008, 0x1140, "SQ", 10)), "length_exceeds_file"),
        (explicit(&open), "truncated"),
        (explicit(&[&open[..], &[0; 40]].concat()), "no_delimiter"),
        (explicit(&[open, made.head(0xFFFE, 0xE000, "", 100)].concat()), "length_exceeds_file"),
        (explicit(&made.head(0x0008, 0x1140, "SQ", 0)[..9]), "truncated"),
    ] {
        assert_eq!(word(&scan(&bytes).outcome), outcome, "{} bytes", bytes.len());
    }
}

#[test]
fn what_follows_the_last_wanted_attribute_is_counted_so_far_and_no_reason_to_refuse() {
    let made = Made::Explicit;
    let uid = made.element(0x0008, 0x0018, "UI", b"1.2.3\0");
    let comment = made.element(0x0040, 0x2400, "LT", b"text");
    let broken = made.head(0x0040, 0xA730, "SQ", 0x00FF_FFFF);
    let scanned = scan(&[meta(EXPLICIT), uid.clone(), comment, broken].concat());
    assert_eq!(scanned.outcome, Ok(()));
    assert!(scanned.passed.tags().contains(&Tag::new(0x0040, 0x2400)));
    let endless = made.element(0x0040, 0x0001, "SH", b"ab").repeat(200_000);
    let scanned = scan(&[meta(EXPLICIT), uid, endless].concat());
    assert!(scanned.outcome.is_ok() && scanned.passed.is_full());
    assert!(scanned.read < 8 * BLOCK_BYTES, "{}", scanned.read);
}

proptest! {
    #[test]
    fn no_bytes_make_the_scanner_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        syntax in proptest::sample::select(vec![EXPLICIT, IMPLICIT, DEFLATED, super::objects::BIG]),
    ) {
        scan(&bytes);
        scan(&[meta(syntax), bytes].concat());
    }
}
