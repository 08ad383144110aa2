//! What a simulator sees of histories, so that it can follow an identity that is forked.

use alloc::vec::Vec;

use crdt_core::ReplicaId;

use super::Engine;
use crate::entry::Position;
use crate::replica::ItemKey;

impl Engine {
    /// The identity under which this node writes now.
    pub fn replica(&self) -> ReplicaId {
        self.replica.id
    }

    /// Stands for all that was seen in a partition: equal exactly where that is.
    pub fn seen_digest(&self, partition: u16) -> u128 {
        crdt_core::digest_of(&crdt_core::codec::encode_payload(&self.replica.partition(partition).context))
    }

    /// The part of the data that this node holds.
    pub fn scope(&self) -> &crate::scope::Scope {
        &self.replica.config.scope
    }

    /// Whether all entries of an identity up to its head were applied here, and not only those within the scope: those
    /// that a partial replica wrote itself, as far as its disk is of that time.
    pub fn holds_whole(&self, partition: u16, origin: ReplicaId) -> bool {
        self.replica.partition(partition).histories.is_whole(origin)
    }

    /// The partition of a key.
    pub fn partition_of(&self, item: &ItemKey) -> u16 {
        self.replica.partition_of(item.collection, &item.key)
    }

    /// Per partition the last entry of this node's own identity.
    pub fn own_heads(&self) -> Vec<Position> {
        self.replica.partitions.iter().map(|partition| partition.histories.head(self.replica.id)).collect()
    }

    /// The entries of this node's own identity in a partition that follow a position and are still retained.
    pub fn own_entries_after(&self, partition: u16, position: Position) -> Vec<Position> {
        let history = self.replica.partition(partition).histories.get(self.replica.id);
        let sequences = |head: Position| position.sequence + 1..=head.sequence;
        let entries = history
            .into_iter()
            .flat_map(|history| sequences(history.head()).filter_map(|sequence| history.at(sequence)));
        entries.collect()
    }

    /// Whether this node still knows the chain value at a sequence of an identity.
    pub fn knows_chain_at(&self, partition: u16, origin: ReplicaId, sequence: u64) -> bool {
        let history = self.replica.partition(partition).histories.get(origin);
        history.is_some_and(|history| history.at(sequence).is_some())
    }

    /// The branches that this node knows of, each with the identity under which it was written.
    pub fn branches(&self) -> Vec<(ReplicaId, ReplicaId)> {
        let branches = self.replica.partitions.iter().flat_map(|partition| {
            let forks = &partition.forks;
            forks.branches().map(|(branch, _)| (branch, forks.root_of(branch)))
        });
        branches.collect()
    }
}
