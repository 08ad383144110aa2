//! What a node has of what a token names, and what of itself it shows in a state.

use alloc::vec::Vec;

use crdt_core::{GCounter, ReplicaId, Stamp};
use replication_log::Lsn;

use super::token::Causal;
use crate::cell::Cell;
use crate::replica::{ItemKey, Partition, Replica};

/// Entries that a node lacks of what a session depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The partition.
    pub partition: u16,
    /// Whose entries.
    pub origin: ReplicaId,
    /// How many, up to the one that the session depends on.
    pub entries: u64,
}

/// The first thing that is missing, which is what a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Awaited {
    pub(crate) partition: u16,
    pub(crate) origin: ReplicaId,
    pub(crate) sequence: u64,
}

/// What a request looks at, and so what of the token it must wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    Partition(u16),
    Everything,
}

impl Causal {
    /// What of the token is not applied here, within the reach of a request. A partition that does not exist here
    /// has nothing of it.
    fn awaited<'t>(
        &'t self,
        reach: Reach,
        replica: &'t Replica,
    ) -> impl Iterator<Item = (Awaited, u64)> + 't {
        let partitions = self.partitions().filter(move |(number, _)| match reach {
            Reach::Partition(only) => *number == only,
            Reach::Everything => true,
        });
        partitions.flat_map(move |(partition, origins)| {
            origins.filter_map(move |(origin, sequence)| {
                let here = replica.partitions.get(usize::from(partition));
                let head = here.map_or(0, |here| here.histories.head(origin).sequence);
                let entries = sequence.saturating_sub(head);
                (entries > 0).then_some((Awaited { partition, origin, sequence }, entries))
            })
        })
    }

    /// The first entry that must still be applied here; `None` when nothing is missing.
    pub(super) fn first_awaited(&self, reach: Reach, replica: &Replica) -> Option<Awaited> {
        self.awaited(reach, replica).next().map(|(awaited, _)| awaited)
    }

    /// Everything that is missing here.
    pub(super) fn missing(&self, reach: Reach, replica: &Replica) -> Vec<Missing> {
        let missing = |(Awaited { partition, origin, .. }, entries)| Missing { partition, origin, entries };
        self.awaited(reach, replica).map(missing).collect()
    }

    /// The session was shown what is held under a key, or that nothing is.
    ///
    /// The state follows from what was applied up to the record that changed it last. A counter is made by the origins
    /// it counts, a register by the one whose write it shows, or its branches. Nothing at all may be what any origin
    /// removed.
    pub(crate) fn show(&mut self, partition: &Partition, item: &ItemKey) {
        match partition.cells.get(item) {
            Some(held) => self.show_cell(partition, &held.cell, held.lsn),
            None => self.show_all(partition),
        }
    }

    /// The session was shown a state that no record after `changed` has changed.
    pub(super) fn show_cell(&mut self, partition: &Partition, cell: &Cell, changed: Lsn) {
        let applied =
            |origin| partition.histories.get(origin).map_or(0, |history| history.applied_by(changed));
        let ahead = partition.ahead.shown_by(changed, &partition.histories);
        let wrote = |origin| {
            let ahead = partition.ahead.of(origin).filter(|_| ahead);
            applied(origin).max(ahead.unwrap_or(0))
        };
        match cell {
            Cell::Counter(counter) => {
                let counts = [counter.increments(), counter.decrements()];
                for (origin, _) in counts.into_iter().flat_map(GCounter::entries) {
                    self.touch(partition.number, origin, wrote(origin));
                }
            }
            Cell::Register(register) => {
                if let Some(Stamp { replica, .. }) = register.stamp() {
                    self.touch(partition.number, replica, wrote(replica));
                    // A stamp keeps the name of a forked identity, whichever of its branches it was written on.
                    let forks = &partition.forks;
                    let branches = forks.branches().map(|(branch, _)| branch);
                    for branch in branches.filter(|branch| forks.root_of(*branch) == replica) {
                        self.touch(partition.number, branch, wrote(branch));
                    }
                }
            }
            _ => {
                for (origin, _) in partition.histories.iter() {
                    self.touch(partition.number, origin, applied(origin));
                }
                if ahead {
                    self.show_ahead(partition);
                }
            }
        }
        if let Some(stamp) = cell.latest_stamp() {
            self.see(stamp);
        }
    }

    /// The session was shown a partition as a whole, or that something is not in it.
    pub(super) fn show_all(&mut self, partition: &Partition) {
        for (origin, head) in partition.heads() {
            self.touch(partition.number, origin, head.sequence);
        }
        self.show_ahead(partition);
    }

    fn show_ahead(&mut self, partition: &Partition) {
        for (origin, sequence) in partition.ahead.beyond(&partition.histories) {
            self.touch(partition.number, origin, sequence);
        }
    }
}
