//! Real objects: compared with dicom-rs, cut, and mutated. They are no part of a public clone.

use std::fs;
use std::path::{Path, PathBuf};

use dicom_core::VR;
use dicom_object::{OpenFileOptions, Tag as RsTag};

use super::*;

/// What dicom-rs says of an element whose value representation it is not told: it does not look it up.
const UNKNOWN: &str = "UN";

/// For which dicom-rs asks for gigabytes and minutes.
const ENDLESS: [&str; 2] = ["UN_sequence.dcm", "SC_rgb_jpeg.dcm"];

/// Files of pydicom's tests; none, with a reason, in a clone without them.
fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/dicom");
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            println!("skipped: {} is absent", folder.display());
            return Vec::new();
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push((path.clone(), fs::read(path).unwrap()))
            }
        }
    }
    files.sort();
    files
}

/// The value of a top-level attribute as dicom-rs reads it: text, or numbers joined by a backslash.
fn by_dicom_rs(path: &Path, tags: &[Tag]) -> Option<Vec<Option<String>>> {
    let pixels = RsTag(0x7FE0, 0x0010);
    let object = OpenFileOptions::new().read_until(pixels).open_file(path).ok()?;
    let value = |tag: &Tag| {
        let element = object.element(RsTag(tag.group, tag.element)).ok()?;
        if element.vr() == VR::UN {
            return Some(UNKNOWN.to_owned());
        }
        element.to_str().ok().map(|text| text.trim_matches([' ', '\0']).to_owned())
    };
    Some(tags.iter().map(value).collect())
}

#[test]
fn real_objects_have_the_values_that_dicom_rs_reads() {
    let tags: Vec<Tag> =
        [(8, 0x16), (8, 0x18), (8, 0x20), (8, 0x60), (0x10, 0x40), (0x18, 0x50), (0x20, 0x0D), (0x20, 0x13)]
            .map(|(group, element)| Tag::new(group, element))
            .to_vec();
    let (mut compared, mut differ) = (0, Vec::new());
    for (path, bytes) in files() {
        if bytes.get(128..132) != Some(b"DICM") || ENDLESS.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let (Some(expected), scanned) = (by_dicom_rs(&path, &tags), scan(&bytes)) else { continue };
        if scanned.outcome.is_err() {
            assert_eq!(scanned.outcome, Err(Unreadable::Directory), "{}", path.display());
            continue;
        }
        for (tag, expected) in tags.iter().zip(expected) {
            let raw = scanned.cells.last(scanned.wanted.slot(*tag));
            let text = String::from_utf8_lossy(raw.bytes).trim_matches([' ', '\0']).to_owned();
            let found = (raw.form != Form::Absent).then_some(text);
            if expected.as_deref() == Some(UNKNOWN) {
                continue;
            }
            if found == expected { compared += 1 } else { differ.push((path.clone(), *tag, found, expected)) }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(compared == 0 || compared > 1000, "{compared}");
}

#[test]
fn d13_a_header_that_is_cut_anywhere_gives_a_whole_row_or_none() {
    let mut cut = 0;
    for (path, bytes) in files().into_iter().filter(|(_, bytes)| bytes.get(128..132) == Some(b"DICM")) {
        let whole = scan(&bytes);
        for length in (0..bytes.len().min(16 << 10)).step_by(64) {
            let scanned = scan(&bytes[..length]);
            cut += 1;
            if scanned.outcome.is_ok() {
                for slot in 0..whole.wanted.len() {
                    let (here, there) = (scanned.cells.last(slot), whole.cells.last(slot));
                    assert!(here.form == Form::Absent || here == there, "{} cut at {length}", path.display());
                }
            }
        }
    }
    assert!(cut == 0 || cut > 10_000, "{cut}");
}

/// A generator of random numbers that needs nothing (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// One to six changes, most of them behind the preamble.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(6) {
            let place = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[place] = 0xFF,
                1 => bytes[place] = 0,
                2 => bytes[place] ^= 1 << self.below(8),
                3 => bytes[place] = self.below(256) as u8,
                4 => drop(bytes.remove(place)),
                _ => bytes.truncate(place.max(140)),
            }
        }
    }
}

/// So many mutations in every build; `CAIM_MUTATIONS=200000` asks for more.
const MUTATIONS: usize = 10_000;
/// The most memory that the process may ever have had, in kilobytes.
const MOST_KB: u64 = 512 << 10;

#[test]
fn d14_mutations_of_headers_are_read_or_refused_in_bounded_memory() {
    const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
    let mutations = std::env::var("CAIM_MUTATIONS").map_or(MUTATIONS, |text| text.parse().unwrap());
    let real = files().into_iter().filter(|(_, bytes)| bytes.len() > 1000 && scan(bytes).outcome.is_ok());
    let real = real.step_by(8).map(|(_, bytes)| bytes[..bytes.len().min(6000)].to_vec());
    let headers: Vec<Vec<u8>> = real.chain(super::objects::made_objects()).collect();
    let models = Models::bundled().unwrap();
    let instance = models.table("dicom", "instance").unwrap();
    let rules = crate::values::Rules::dicom();
    let mut random = Random(SEED);
    let (mut read, mut notes) = (0, 0);
    for round in 0..mutations {
        let mut bytes = headers[round % headers.len()].clone();
        random.mutate(&mut bytes);
        let scanned = scan(&bytes);
        let stored: usize = (0..scanned.wanted.len()).map(|slot| scanned.cells.last(slot).bytes.len()).sum();
        assert!(stored <= bytes.len() * 3, "round {round} of seed {SEED:#x}");
        read += usize::from(scanned.outcome.is_ok());
        notes += scanned.noted.map_or(0, |noted| noted.rows(0).map_or(0, |rows| rows.len()));
        for column in &instance.columns {
            let filler = crate::dicom::columns::Filler::of(column, scanned.wanted.slots(column));
            assert_eq!(filler.fill(&scanned.cells, &rules).array.len(), scanned.cells.rows());
        }
    }
    println!(
        "{read} read, {} refused, {notes} notes, seed {SEED:#x}, peak {} MiB",
        mutations - read,
        peak_kb() >> 10
    );
    assert!(read > mutations / 10 && read < mutations, "both must happen: {read}");
    assert!(notes > 0 && peak_kb() < MOST_KB);
}

/// The most memory that this process ever had.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
