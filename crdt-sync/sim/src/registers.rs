//! Whether what clients saw of a register can have happened one operation after the other.
//!
//! A history is *linearizable* when each operation can be given a moment between its beginning and its end so that,
//! in the order of these moments, every read returns the last write before it (Herlihy and Wing, 1990). In general
//! that is a search that can take exponential time, and checkers for arbitrary objects (the one of Wing and Gong as
//! improved by Lowe, which `todc-utils` and `stateright` have) may run into it: here many writes never end. When no two
//! writes write the same value it is known which write each read returns, and a sort is enough (Gibbons and Korach,
//! "Testing shared memories", 1997): a write and its reads form a *cluster*; a cluster in which something ends before
//! something else begins holds the register from the first end to the last beginning, so no two such spans may meet,
//! and no other cluster may lie within one.

use core::fmt::Debug;
use std::collections::BTreeMap;

use thiserror::Error;

/// What clients did with one register. Times are numbers that grow; no two of them are the same.
///
/// Writes whose clients never learned their outcome have no end: they may have taken effect at any later time, or
/// never.
///
/// ```
/// use crdt_sync_sim::RegisterHistory;
///
/// let mut history = RegisterHistory::new("nothing");
/// history.write("milk", 1, Some(2));
/// history.read(&"milk", 3, 4);
/// assert_eq!(history.check(), Ok(()));
/// history.read(&"nothing", 5, 6);
/// assert!(history.check().is_err(), "what was overwritten is back");
/// ```
#[derive(Clone, Debug)]
pub struct RegisterHistory<V> {
    clusters: BTreeMap<V, Cluster>,
}

/// Why a history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotLinearizable<V: Debug> {
    /// A read returned what nobody wrote.
    #[error("{value:?} was read, and nobody wrote it")]
    NeverWritten {
        /// What was read.
        value: V,
    },
    /// A read ended before what it returned began to be written.
    #[error("{value:?} was read before it was written")]
    ReadBeforeWritten {
        /// What was read.
        value: V,
    },
    /// Neither value can have come before the other.
    #[error(
        "{first:?} was read, then {second:?}, and then {first:?} again, or {second:?} was overwritten in between"
    )]
    Interleaved {
        /// The value that was there first.
        first: V,
        /// The value that came between.
        second: V,
    },
}

/// A write and the reads that returned it.
#[derive(Clone, Copy, Debug, Default)]
struct Cluster {
    /// When the write began, if somebody wrote it.
    written: Option<u64>,
    first_end: Option<u64>,
    first_read_end: Option<u64>,
    last_begin: u64,
}

impl<V: Ord + Clone + Debug> RegisterHistory<V> {
    /// A register that holds this value before anything happens.
    pub fn new(initial: V) -> Self {
        let mut history = Self { clusters: BTreeMap::new() };
        history.write(initial, 0, Some(0));
        history
    }

    /// Somebody wrote a value that nobody else wrote, between two moments.
    pub fn write(&mut self, value: V, begin: u64, end: Option<u64>) {
        let cluster = self.clusters.entry(value).or_default();
        cluster.written = Some(begin);
        cluster.cover(begin, end);
    }

    /// Somebody read a value between two moments.
    pub fn read(&mut self, value: &V, begin: u64, end: u64) {
        let cluster = self.clusters.entry(value.clone()).or_default();
        cluster.first_read_end = Some(cluster.first_read_end.map_or(end, |first| first.min(end)));
        cluster.cover(begin, Some(end));
    }

    /// Whether the history is linearizable. O(n log n) in its values.
    pub fn check(&self) -> Result<(), NotLinearizable<V>> {
        let mut held: Vec<(u64, u64, &V)> = Vec::new();
        for (value, cluster) in &self.clusters {
            let Some(written) = cluster.written else {
                return Err(NotLinearizable::NeverWritten { value: value.clone() });
            };
            if cluster.first_read_end.is_some_and(|end| end < written) {
                return Err(NotLinearizable::ReadBeforeWritten { value: value.clone() });
            }
            held.extend(cluster.holds().map(|(from, to)| (from, to, value)));
        }
        held.sort_unstable_by_key(|(from, ..)| *from);
        let meet = held.windows(2).find(|pair| pair[1].0 < pair[0].1);
        if let Some([(_, _, first), (_, _, second)]) = meet {
            return Err(interleaved(first, second));
        }
        for (value, cluster) in &self.clusters {
            let Some(end) = cluster.first_end.filter(|_| cluster.holds().is_none()) else { continue };
            let before = held.partition_point(|(from, ..)| *from < cluster.last_begin);
            if let Some((_, to, around)) = before.checked_sub(1).map(|at| held[at])
                && end < to
            {
                return Err(interleaved(around, value));
            }
        }
        Ok(())
    }
}

fn interleaved<V: Clone + Debug>(first: &V, second: &V) -> NotLinearizable<V> {
    NotLinearizable::Interleaved { first: first.clone(), second: second.clone() }
}

impl Cluster {
    fn cover(&mut self, begin: u64, end: Option<u64>) {
        self.last_begin = self.last_begin.max(begin);
        self.first_end = self.first_end.into_iter().chain(end).min();
    }

    /// From when to when the register must have held the value, if the cluster says so.
    fn holds(&self) -> Option<(u64, u64)> {
        let from = self.first_end?;
        (from < self.last_begin).then_some((from, self.last_begin))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_read_that_overlaps_a_write_may_return_either_value_but_never_go_back() {
        let mut history = RegisterHistory::new(0);
        history.write(1, 10, Some(20));
        history.read(&0, 11, 12);
        history.read(&1, 13, 14);
        assert_eq!(history.check(), Ok(()));
        history.read(&0, 15, 16);
        assert_eq!(history.check(), Err(NotLinearizable::Interleaved { first: 0, second: 1 }));
    }

    #[test]
    fn a_write_without_an_end_may_take_effect_late_or_never() {
        let mut history = RegisterHistory::new(0);
        history.write(1, 1, None);
        history.read(&0, 2, 3);
        assert_eq!(history.check(), Ok(()), "never");
        history.read(&1, 40, 41);
        assert_eq!(history.check(), Ok(()), "late");
    }

    #[test]
    fn what_nobody_wrote_cannot_be_read_nor_what_is_written_later() {
        let mut history = RegisterHistory::new(0);
        history.read(&7, 1, 2);
        assert_eq!(history.check(), Err(NotLinearizable::NeverWritten { value: 7 }));
        history.write(7, 3, Some(4));
        assert_eq!(history.check(), Err(NotLinearizable::ReadBeforeWritten { value: 7 }));
    }

    #[derive(Clone, Copy, Debug)]
    struct Operation {
        writes: bool,
        value: usize,
        begin: u64,
        end: Option<u64>,
    }

    /// Tries every order.
    fn can_be_ordered(now: usize, left: &[Operation]) -> bool {
        let must = left.iter().any(|operation| operation.end.is_some());
        let first_end = left.iter().filter_map(|operation| operation.end).min().unwrap_or(u64::MAX);
        !must
            || (0..left.len()).filter(|next| left[*next].begin < first_end).any(|next| {
                let mut rest = left.to_vec();
                let operation = rest.remove(next);
                let fits = operation.writes || operation.value == now;
                fits && can_be_ordered(operation.value, &rest)
            })
    }

    /// Up to six operations that overlap at random; the value of the write at place n is n + 1.
    fn operations() -> impl Strategy<Value = Vec<Operation>> {
        let one = (any::<bool>(), 0..7_usize, 0..40_u64, 0..30_u64, 0..4_u8);
        prop::collection::vec(one, 0..7).prop_map(|drawn| {
            let place =
                |(place, (writes, read, begin, takes, open)): (usize, (bool, usize, u64, u64, u8))| {
                    // Moments of different operations differ: each has its own remainder.
                    let at = |time: u64| time * 14 + 2 * place as u64 + 1;
                    let end = (!writes || open > 0).then_some(at(begin + takes) + 1);
                    Operation { writes, value: if writes { place + 1 } else { read }, begin: at(begin), end }
                };
            drawn.into_iter().enumerate().map(place).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn the_sort_agrees_with_trying_every_order(operations in operations()) {
            let mut history = RegisterHistory::new(0);
            for operation in &operations {
                match operation.end {
                    end if operation.writes => history.write(operation.value, operation.begin, end),
                    Some(end) => history.read(&operation.value, operation.begin, end),
                    None => {}
                }
            }
            prop_assert_eq!(history.check().is_ok(), can_be_ordered(0, &operations), "{:?}", history.check());
        }
    }
}
