//! Maps of counters.
//!
//! Without a peer: `crdts` 7.3.2 has counters in maps, but loses increments of one key made on both sides of a merge,
//! and speed is compared only where the answers are the same.

use crdt_core::dotted::DotRuns;
use crdt_core::{Crdt, OrMap, ReplicaId, ResetCounter, Writer};

use crate::workloads::Merging;

/// A counter that resets exactly, under each key.
pub type CounterMap = OrMap<u64, ResetCounter>;

impl Merging for CounterMap {
    type Rest = Self;

    fn merge_with(&mut self, other: Self) -> Self {
        let _ = self.merge(&other);
        other
    }
}

/// The keys of a map of `len` counters, in no order.
pub fn keys(len: u64) -> impl Iterator<Item = u64> {
    (0..len).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Counts one up under a key, and returns the delta.
///
/// # Panics
///
/// Never: no workload uses up the dots.
pub fn count(map: &mut CounterMap, replica: u128, key: u64) -> CounterMap {
    let me = Writer::unchecked(ReplicaId::from_u128(replica));
    map.update(key, |counter| counter.increment(me, 1)).expect("no workload counts that far")
}

/// What was counted under a key.
pub fn total(map: &CounterMap, key: u64) -> i128 {
    map.get(&key).map_or(0, DotRuns::total)
}

/// Two replicas of a map of `len` counters that were one, written by eight, and then each counted under a hundredth of
/// the keys.
pub fn diverged(len: u64) -> [CounterMap; 2] {
    let mut common = CounterMap::default();
    for (key, replica) in keys(len).zip((1..=8).cycle()) {
        count(&mut common, replica, key);
    }
    [1, 2].map(|side: u128| {
        let mut map = common.clone();
        for key in keys(len).skip(usize::from(side == 2)).step_by(100) {
            count(&mut map, side, key);
        }
        map
    })
}
