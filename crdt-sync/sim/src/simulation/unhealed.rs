//! Forks that nodes say they cannot heal: when there is peace and they stay, the operator does what they ask for.

use std::collections::BTreeSet;

use core::time::Duration;
use crdt_core::ReplicaId;
use crdt_sync::time::Instant;

use super::Simulation;
use crate::course::Run;

/// So long the operator waits in peace for somebody who has the entries that the two sides lack.
const PATIENCE: Duration = Duration::from_secs(10);

/// What nodes said of forks.
#[derive(Debug, Default)]
pub(super) struct Unhealed {
    /// The partitions and identities of which some node said so.
    said: BTreeSet<(usize, ReplicaId)>,
    /// Since when there has been peace, or the operator did something last.
    since: Option<Instant>,
}

impl Unhealed {
    /// A node said that it cannot heal a fork.
    pub(super) fn add(&mut self, partition: u16, origin: ReplicaId) {
        self.said.insert((partition.into(), origin));
    }
}

impl Simulation<'_> {
    /// Empties one side of a fork that stays in peace.
    pub(super) fn tend_forks(&mut self) {
        if self.unhealed.said.is_empty() || self.course.world.is_hostile() {
            return;
        }
        let now = self.course.world.time();
        let since = *self.unhealed.since.get_or_insert(now);
        if now.since(since) < PATIENCE || self.disagreement().is_none() {
            return;
        }
        let world = &mut self.course.world;
        let mut said = self.unhealed.said.iter().copied();
        let has_acted = said.any(|(partition, origin)| {
            world.empty_one_side(partition, origin) || world.empty_unproven(partition, origin)
        });
        if has_acted {
            self.unhealed.since = Some(now);
        }
    }
}
