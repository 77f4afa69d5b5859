//! Patients in ranges: what is computed over one range says nothing about another, and sums add up.

use std::ops::Range;

use caim_warehouse::Epoch;

/// Rows of the largest table below which one range is enough: more would cost more than they save.
const FEW_ROWS: u64 = 1 << 18;

/// Most ranges of one question.
const MOST_RANGES: u32 = 16;

/// Most files of a table that are merged in the order of patients; the rows of more are sorted.
const MOST_FILES: usize = 64;

/// Ranges of ordinals that hold every patient of an epoch once: as many as there are threads, at least one.
pub(crate) fn of(epoch: &Epoch) -> Vec<Range<u32>> {
    let rows = epoch.tables().map(|table| epoch.rows(table)).max().unwrap_or(0);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let ranges = if rows < FEW_ROWS { 1 } else { threads.clamp(1, MOST_RANGES) };
    split(epoch.patients(), ranges)
}

/// So many ranges of about the same size, at least one.
pub(crate) fn split(patients: u32, ranges: u32) -> Vec<Range<u32>> {
    let size = patients.div_ceil(ranges).max(1);
    // The last one is open: whoever has an ordinal is in a range.
    let end = |range: u32| if range + 1 == ranges { u32::MAX } else { (range + 1) * size };
    (0..ranges).map(|range| range.saturating_mul(size)..end(range)).collect()
}

/// Files of the table that has most of them.
pub(super) fn most_files(epoch: &Epoch) -> usize {
    epoch.tables().map(|table| epoch.files(table).len()).max().unwrap_or(1).clamp(1, MOST_FILES)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn every_patient_is_in_one_range() {
        for (patients, ranges) in [(0, 1), (1, 4), (10, 3), (1_000_001, 16), (u32::MAX, 16)] {
            let split = split(patients, ranges);
            assert_eq!((split.len(), split[0].start), (ranges as usize, 0));
            assert!(split.windows(2).all(|pair| pair[0].end == pair[1].start), "{split:?}");
            assert_eq!(split.last().unwrap().end, u32::MAX);
        }
    }
}
