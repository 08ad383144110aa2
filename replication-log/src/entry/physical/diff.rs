//! Which bytes of a page changed.

use alloc::vec::Vec;

use super::ByteRange;
use crate::page::layout::{CHECKSUM_END, LSN_END, LSN_START};

/// Equal bytes between two ranges that cost less than beginning a new range.
const BRIDGE: usize = 4;

/// How much is compared at once where nothing changed.
const BLOCK: usize = 64;

/// The ranges in which `after` differs from `before`, ascending and apart from each other. The
/// checksum and the LSN are not looked at: whoever applies the change computes them. O(bytes).
pub(crate) fn changed_ranges(before: &[u8], after: &[u8]) -> Vec<ByteRange> {
    let mut ranges = Vec::new();
    for (start, end) in [(CHECKSUM_END, LSN_START), (LSN_END, after.len())] {
        let mut at = start;
        while let Some(first) = next_difference(before, after, at, end) {
            let mut last = first;
            while let Some(next) = next_difference(before, after, last + 1, (last + 2 + BRIDGE).min(end)) {
                last = next;
            }
            push(&mut ranges, first, &after[first..=last]);
            at = last + 1;
        }
    }
    ranges
}

#[expect(clippy::cast_possible_truncation, reason = "a page has at most 64 KiB")]
fn push(ranges: &mut Vec<ByteRange>, offset: usize, bytes: &[u8]) {
    ranges.push(ByteRange { offset: offset as u32, bytes: bytes.to_vec() });
}

fn next_difference(before: &[u8], after: &[u8], mut from: usize, end: usize) -> Option<usize> {
    while from + BLOCK <= end && before[from..from + BLOCK] == after[from..from + BLOCK] {
        from += BLOCK;
    }
    (from..end).find(|&at| before[at] != after[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn writing_the_changed_bytes_over_the_old_page_gives_the_new_one(
            before in prop::collection::vec(any::<u8>(), 512),
            edits in prop::collection::vec((24_usize..512, any::<u8>()), 0..40),
        ) {
            let mut after = before.clone();
            for (at, byte) in edits {
                after[at] = byte;
            }
            let ranges = changed_ranges(&before, &after);
            let differing = before.iter().zip(&after).filter(|(old, new)| old != new).count();
            let stated: usize = ranges.iter().map(|range| range.bytes.len()).sum();
            prop_assert!(stated <= differing + BRIDGE * differing.saturating_sub(1));
            let mut written = before.clone();
            for range in ranges {
                let start = range.offset as usize;
                written[start..start + range.bytes.len()].copy_from_slice(&range.bytes);
            }
            prop_assert_eq!(written, after);
        }
    }

    #[test]
    fn nothing_changed_is_no_range_and_a_short_gap_is_bridged() {
        let before = vec![0; 512];
        assert_eq!(changed_ranges(&before, &before), []);
        let mut after = before.clone();
        (after[100], after[105], after[111]) = (1, 2, 3);
        let places: Vec<_> =
            changed_ranges(&before, &after).iter().map(|range| (range.offset, range.bytes.len())).collect();
        assert_eq!(places, [(100, 6), (111, 1)]);
    }

    #[test]
    fn checksum_and_number_are_no_change() {
        let before = vec![0; 512];
        let mut after = before.clone();
        after[..4].fill(7);
        after[16..24].fill(7);
        assert_eq!(changed_ranges(&before, &after), []);
    }
}
