//! The ring of a leaderless world as its operator knows it: who is on it, and whether it is about to change.
//!
//! While it changes no disk is lost and none replaced by an old copy: a node that starts from an older ring than it
//! acknowledged is what no ring is protected from. What may happen instead is that a node dies for good.

use std::collections::BTreeSet;

use crdt_sync::placement::{Layout, Member, Placement, Shape};
use crdt_sync::{Engine, NodeId};

use super::leaderless::{REPLICAS, WRITE_QUORUM};
use super::{Setup, World};

/// What the operator of a world knows of its ring.
#[derive(Debug)]
pub(super) struct Ring {
    /// Who is on it, the dead until they are taken out included; while it changes, as it was before.
    members: BTreeSet<usize>,
    /// It changes, or is to change as soon as no node lacks anything.
    changes: bool,
}

impl Ring {
    pub(super) fn of(setup: &Setup) -> Self {
        Self { members: (0..setup.founders()).collect(), changes: false }
    }
}

/// The name of a node of a leaderless world: it never gets another.
pub(crate) fn name_of(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

/// A node as a member of a ring.
pub(crate) fn member_of(node: usize) -> Member {
    Member::new(name_of(node), format!("rack {node}"))
}

/// The ring that these nodes founded, or that is the same.
pub(super) fn layout_of(members: impl Iterator<Item = usize>, partitions: u16) -> Layout {
    let shape = Shape { partitions, replicas: REPLICAS, write_quorum: WRITE_QUORUM };
    Layout::found(members.map(member_of).collect(), shape).unwrap_or_default()
}

impl World {
    /// Where everything is by the ring of which the operator knows.
    pub(crate) fn placement(&self) -> Placement {
        let members = self.ring.members.iter().copied();
        Placement::new(name_of(0), layout_of(members, self.setup.partitions))
    }

    /// Who is on the ring of which the operator knows.
    pub(crate) fn on_ring(&self) -> &BTreeSet<usize> {
        &self.ring.members
    }

    /// Whether a node can come to the ring: it is not on it, and will be there.
    pub(crate) fn is_spare(&self, number: usize) -> bool {
        !self.ring.members.contains(&number) && self.is_member(number)
    }

    /// Whether all nodes of the ring are there, so that it can be changed.
    pub(crate) fn has_its_ring(&self) -> bool {
        self.ring.members.iter().all(|number| self.is_member(*number))
    }

    /// The operator is about to change the ring: no more disks are lost. Copies of disks know an older ring.
    pub(crate) fn begin_ring_change(&mut self) {
        self.ring.changes = true;
        self.nodes.iter_mut().for_each(|node| node.backup = None);
    }

    /// The ring is changed, or is left as it is.
    pub(crate) fn end_ring_change(&mut self, members: BTreeSet<usize>) {
        self.note(format_args!("the ring is {members:?}"));
        self.ring = Ring { members, changes: false };
    }

    pub(super) fn ring_changes(&self) -> bool {
        self.ring.changes
    }

    /// Whether nobody lacks anything that was on a disk.
    pub(crate) fn is_whole(&mut self) -> bool {
        self.tend_mending();
        self.is_whole_but(self.nodes.len())
    }

    /// Whether anything goes wrong still.
    pub(crate) fn has_hostility(&self) -> bool {
        self.setup.hostility.is_some()
    }

    /// A node dies, and its disk with it. It never comes back.
    pub(crate) fn die(&mut self, number: usize) {
        self.note(format_args!("{number} dies"));
        self.kill(number);
        self.empty(number);
        self.nodes[number].gone = true;
    }

    /// Whether a node is dead.
    pub(crate) fn is_dead(&self, number: usize) -> bool {
        self.nodes.get(number).is_some_and(|node| node.gone)
    }

    /// Looks which stores that began with nothing are filled by now.
    pub(super) fn look_who_is_filled(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.is_unfilled) {
            let is_filled = node.engine.as_ref().is_some_and(|engine| {
                let status = engine.status();
                let progress = Engine::ring_progress(engine);
                status.durable == status.appended && progress.is_some_and(|progress| progress.filling == 0)
            });
            node.is_unfilled = !is_filled;
        }
    }
}
