//! What replicas tell each other write by write, in any order, against a model that is too simple to be wrong.

mod laws;
mod lessons;
mod model;
mod upkeep;

use alloc::vec::Vec;

use replication_log::Lsn;

use super::{Action, Config, ItemKey, Replica, RunError, Staged, Write};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::{Collection, Kind, Strategy as Rule};
use crate::node::{ClusterKey, NodeId};
use crate::time::WallTime;
use crate::wire::{MergedState, Removal};

pub(super) const WALL: WallTime = WallTime::from_millis(1_700_000_000_000);

pub(super) fn collections() -> [Collection; 4] {
    [
        Collection::documents("notes", Rule::Keep),
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
    ]
}

pub(super) fn config(number: u8) -> Config {
    let cluster = ClusterKey::from_bytes([9; 16]);
    let mut config =
        Config::new(NodeId::from_u128(number.into()), cluster, [number; 32]).with_collections(collections());
    (config.partitions, config.leaf_bits) = (2, 4);
    config
}

pub(super) fn write(collection: usize, key: &str, action: Action) -> Write {
    Write { collection: collections()[collection].id(), key: key.into(), action }
}

pub(super) fn item(collection: usize, key: &str) -> ItemKey {
    ItemKey { collection: collections()[collection].id(), key: key.into() }
}

/// A replica with the log it would write.
pub(super) struct Logged {
    pub(super) config: Config,
    pub(super) replica: Replica,
    pub(super) log: Vec<(Lsn, Vec<u8>)>,
}

impl Logged {
    pub(super) fn new(number: u8) -> Self {
        Self::of(config(number))
    }

    pub(super) fn of(config: Config) -> Self {
        let replica = Replica::recover(config.clone(), Vec::<(Lsn, Vec<u8>)>::new(), WALL).unwrap();
        let mut logged = Self { config, replica, log: Vec::new() };
        logged.replica.remember_what_dies();
        logged.write_log();
        logged
    }

    /// Takes what was staged into the log; returns how many records that were.
    pub(super) fn write_log(&mut self) -> usize {
        let Some(Staged { first, records, .. }) = self.replica.journal.take() else { return 0 };
        let count = records.len();
        self.log.extend((first.get()..).map(Lsn::new).zip(records));
        count
    }

    /// Carries a write out; `None` when it was refused.
    pub(super) fn tell(&mut self, write: &Write) -> Option<MergedState> {
        self.tell_all(write).map(|(told, _)| told)
    }

    /// The same, and what there is to tell beside it.
    pub(super) fn tell_all(&mut self, write: &Write) -> Option<(MergedState, Option<Removal>)> {
        let mutation = self.replica.write_mutation(write, WALL).ok()?;
        self.write_log();
        Some((mutation.told, mutation.removal))
    }

    /// Merges and says how many records that took.
    pub(super) fn hear(&mut self, told: &MergedState) -> Result<usize, RunError> {
        let _ = self.replica.merge_mutation(told, WALL)?;
        Ok(self.write_log())
    }

    /// The same of a removal, by which more may be taken away here. Says what was taken away.
    pub(super) fn hear_removal(&mut self, told: &MergedState, removal: &Removal) -> MergedState {
        let exact = self.replica.with_what_it_removes(told, removal);
        let _ = self.replica.merge_removal(&exact, Some(&removal.element), WALL).unwrap();
        self.write_log();
        exact
    }

    pub(super) fn restart(&mut self) {
        self.replica = self.replayed();
        self.replica.remember_what_dies();
    }

    pub(super) fn replayed(&self) -> Replica {
        Replica::recover(self.config.clone(), self.log.clone(), WALL).unwrap()
    }

    pub(super) fn cell(&self, item: &ItemKey) -> Option<Cell> {
        self.replica.read_state(item).unwrap().cell.cloned()
    }

    /// The elements of a set, ascending.
    pub(super) fn elements(&self, key: &str) -> Vec<Bytes> {
        let Some(Cell::Set(elements)) = self.cell(&item(1, key)) else { return Vec::new() };
        elements.to_sorted().into_iter().cloned().collect()
    }

    pub(super) fn assert_log_tells_the_truth(&self) {
        let replayed = self.replayed();
        assert_eq!(replayed.id, self.replica.id);
        for (now, then) in self.replica.partitions.iter().zip(&replayed.partitions) {
            assert_eq!(then.standing(), now.standing());
            assert_eq!(then.has_forgotten, now.has_forgotten);
            let cells = |partition: &super::Partition| {
                let cells = partition.cells.iter();
                cells.map(|(key, held)| (key.clone(), held.cell.clone())).collect::<Vec<_>>()
            };
            assert_eq!(cells(then), cells(now));
        }
        assert_eq!(replayed.records_of_head(), self.replica.records_of_head());
        let hints = |replica: &Replica| replica.records_of_hints().collect::<Vec<_>>();
        assert_eq!(hints(&replayed), hints(&self.replica));
    }
}

fn kind(collection: usize) -> Kind {
    collections()[collection].kind
}
