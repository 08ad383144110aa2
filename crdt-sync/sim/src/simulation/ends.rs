//! How far each identity of a retired node may be merged: as far as somebody had applied it who had not heard yet.

use std::collections::{BTreeMap, BTreeSet};

use crdt_core::ReplicaId;
use crdt_sync::PartitionStatus;

/// The ends of the identities of retired nodes, drawn from what each node held when it heard.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Per partition and identity the last entry that may be merged.
    last: BTreeMap<(usize, ReplicaId), u64>,
    /// Which nodes knew when they were looked at last that an identity is a retired one's.
    aware: BTreeSet<(usize, ReplicaId)>,
}

impl Ends {
    /// A node has another disk, and may have to hear everything again.
    pub(super) fn forget(&mut self, node: usize) {
        self.aware.retain(|(other, _)| *other != node);
    }

    /// A node holds this, and knows of these identities that they are retired ones'. What it holds of an identity of
    /// which it did not know that before it may hold.
    pub(super) fn note(&mut self, node: usize, held: &[PartitionStatus], known: &BTreeSet<ReplicaId>) {
        self.aware.retain(|(other, origin)| *other != node || known.contains(origin));
        for (partition, status) in held.iter().enumerate() {
            for (origin, head) in &status.heads {
                if !self.aware.contains(&(node, *origin)) {
                    let last = self.last.entry((partition, *origin)).or_default();
                    *last = head.sequence.max(*last);
                }
            }
        }
        self.aware.extend(known.iter().map(|origin| (node, *origin)));
    }

    /// What a node holds of a retired identity beyond its end, in words.
    pub(super) fn overrun(&self, held: &[PartitionStatus], known: &BTreeSet<ReplicaId>) -> Option<String> {
        held.iter().enumerate().find_map(|(partition, status)| {
            let retired = status.heads.iter().filter(|(origin, _)| known.contains(origin));
            let mut heads = retired.map(|(origin, head)| (origin, head.sequence));
            let last = |origin: &ReplicaId| self.last.get(&(partition, *origin)).copied().unwrap_or(0);
            let (origin, held) = heads.find(|(origin, held)| *held > last(origin))?;
            Some(format!("{held} entries of {origin} in partition {partition}, and not {}", last(origin)))
        })
    }
}

#[cfg(test)]
mod tests {
    use crdt_sync::Position;
    use crdt_sync::merkle::Root;

    use super::*;

    const RETIRED: ReplicaId = ReplicaId::from_u128(1);

    fn holding(sequence: u64) -> Vec<PartitionStatus> {
        let heads = vec![(RETIRED, Position { sequence, ..Position::default() })];
        vec![PartitionStatus { root: Root::default(), keys: 0, heads, conflicts: Vec::new() }]
    }

    #[test]
    fn what_a_node_held_when_it_heard_may_be_merged_by_all_and_no_more() {
        let (mut ends, known) = (Ends::default(), BTreeSet::from([RETIRED]));
        ends.note(0, &holding(1), &known);
        assert!(ends.overrun(&holding(3), &known).is_some(), "nobody had more");
        ends.note(1, &holding(3), &known);
        assert_eq!(ends.overrun(&holding(3), &known), None);
        ends.note(0, &holding(4), &known);
        assert!(ends.overrun(&holding(4), &known).is_some(), "it knew already");
    }

    #[test]
    fn who_forgot_that_a_node_is_retired_may_have_taken_more_of_it() {
        let (mut ends, known) = (Ends::default(), BTreeSet::from([RETIRED]));
        ends.note(0, &holding(1), &known);
        ends.note(0, &holding(2), &BTreeSet::new());
        ends.note(0, &holding(3), &known);
        assert_eq!(ends.overrun(&holding(3), &known), None);
        ends.forget(0);
        ends.note(0, &holding(4), &known);
        assert_eq!(ends.overrun(&holding(4), &known), None, "another disk knew it");
    }
}
