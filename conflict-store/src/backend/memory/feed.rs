//! Which key changed last at which sequence.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// How many entries that say nothing are not worth a walk.
const SLACK: usize = 64;

/// Keys in the order of their last changes.
///
/// A row of entries with ascending sequences, at whose end all changes arrive. The entry of a change that is
/// not the last one of its key any more is emptied, and when most are empty the row is closed up: O(1) for
/// each change, taken together. (A tree takes twice the memory: filled in ascending order, its
/// nodes stay half empty.)
#[derive(Debug)]
pub(super) struct Feed<K: ?Sized> {
    entries: Vec<(u64, Option<Arc<K>>)>,
    empty: usize,
}

impl<K: ?Sized> Default for Feed<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), empty: 0 }
    }
}

impl<K: ?Sized> Clone for Feed<K> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), empty: self.empty }
    }
}

impl<K: ?Sized> Feed<K> {
    /// Takes note that `key` changed at `sequence`, which is higher than all before.
    pub(super) fn push(&mut self, sequence: u64, key: Arc<K>) {
        self.entries.push((sequence, Some(key)));
    }

    /// Forgets the change at `sequence`. O(log n).
    pub(super) fn remove(&mut self, sequence: u64) {
        let Ok(place) = self.entries.binary_search_by_key(&sequence, |(sequence, _)| *sequence) else {
            return;
        };
        let forgotten = self.entries.get_mut(place).and_then(|(_, key)| key.take());
        self.empty += usize::from(forgotten.is_some());
        if self.empty > self.entries.len() / 2 + SLACK {
            self.entries.retain(|(_, key)| key.is_some());
            self.entries.shrink_to(self.entries.len() * 2);
            self.empty = 0;
        }
    }

    /// The keys that changed past `sequence`, in the order of those changes. O(log n) to begin.
    pub(super) fn past(&self, sequence: u64) -> impl Iterator<Item = &K> {
        let from = self.entries.partition_point(|(other, _)| *other <= sequence);
        self.entries.iter().skip(from).filter_map(|(_, key)| key.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_feed_is_a_map_from_sequences_to_keys(
            changes in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..1_000),
        ) {
            let (mut feed, mut model) = (Feed::<str>::default(), BTreeMap::new());
            for (sequence, (adds, at)) in (1..).zip(changes) {
                if adds {
                    feed.push(sequence, sequence.to_string().into());
                    model.insert(sequence, sequence.to_string());
                } else {
                    let gone = at.index(usize::try_from(sequence).unwrap()) as u64;
                    feed.remove(gone);
                    model.remove(&gone);
                }
                let from = at.index(usize::try_from(sequence).unwrap()) as u64;
                prop_assert!(feed.past(from).eq(model.range(from + 1..).map(|(_, key)| key.as_str())));
                prop_assert!(feed.entries.len() <= 2 * (model.len() + SLACK));
            }
        }
    }
}
