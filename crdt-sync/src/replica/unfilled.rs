//! Of which partitions this store may lack what its node has acknowledged.
//!
//! A store that begins with nothing cannot know whether its node had another one before. So it lacks everything until
//! the other replicas have filled it, which is for the topology to say, partition by partition.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::{JournalRecord, Replica};

/// Numbers of partitions as spans from one to another, both included: ascending, and no two of them touch.
pub(crate) type Spans = Vec<(u16, u16)>;

impl Replica {
    /// Nothing of what this node may have held is here.
    pub(crate) fn begin_unfilled(&mut self) {
        self.unfilled = (0..self.config.partitions).collect();
        self.journal.append(&JournalRecord::Unfilled(spans_of(&self.unfilled)));
    }

    /// Whether everything that this node acknowledged of a partition is here.
    pub(crate) fn is_filled(&self, partition: u16) -> bool {
        !self.unfilled.contains(&partition)
    }

    /// The partitions of which something may be missing.
    pub(crate) fn unfilled(&self) -> &BTreeSet<u16> {
        &self.unfilled
    }

    /// All that there was of a partition is here.
    pub(crate) fn note_filled(&mut self, partition: u16) -> Lsn {
        if self.unfilled.remove(&partition) {
            self.journal.append(&JournalRecord::Filled { partition });
        }
        self.journal.last()
    }

    /// Whether the spans are well formed.
    pub(super) fn replay_unfilled(&mut self, spans: &[(u16, u16)]) -> bool {
        let read = read_spans(spans, self.config.partitions);
        let is_sound = read.is_some();
        self.unfilled = read.unwrap_or_default();
        is_sound
    }

    pub(super) fn replay_filled(&mut self, partition: u16) {
        self.unfilled.remove(&partition);
    }

    pub(super) fn record_of_unfilled(&self) -> Option<JournalRecord> {
        (!self.unfilled.is_empty()).then(|| JournalRecord::Unfilled(spans_of(&self.unfilled)))
    }
}

/// The numbers as spans.
pub(crate) fn spans_of(numbers: &BTreeSet<u16>) -> Spans {
    let mut spans: Spans = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => spans.push((*number, *number)),
        }
    }
    spans
}

/// The numbers in the spans; none if they are not as they should be, or name what does not exist.
pub(crate) fn read_spans(spans: &[(u16, u16)], partitions: u16) -> Option<BTreeSet<u16>> {
    let ascend = spans.iter().all(|(first, last)| first <= last);
    let apart = spans.windows(2).all(|pair| pair[0].1 < pair[1].0 && pair[0].1 + 1 < pair[1].0);
    let exist = spans.last().is_none_or(|(_, last)| *last < partitions);
    (ascend && apart && exist).then(|| spans.iter().flat_map(|(first, last)| *first..=*last).collect())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_say_the_same_as_the_numbers(numbers in prop::collection::btree_set(0u16..200, 0..100)) {
            let spans = spans_of(&numbers);
            prop_assert_eq!(read_spans(&spans, 200), Some(numbers));
        }
    }

    #[test]
    fn of_each_set_there_is_one_form_and_all_others_are_refused() {
        for spans in
            [vec![(2, 1)], vec![(0, 1), (2, 3)], vec![(4, 5), (0, 1)], vec![(0, 3), (2, 5)], vec![(7, 8)]]
        {
            assert_eq!(read_spans(&spans, 8), None, "{spans:?}");
        }
        assert_eq!(read_spans(&[(0, u16::MAX - 1)], u16::MAX).map(|all| all.len()), Some(65_535));
    }
}
