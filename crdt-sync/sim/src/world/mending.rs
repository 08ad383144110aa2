//! A node of a leaderless world that lost its disk, or a part of it, and how long it takes to get back what it held.
//!
//! A write that reached two of three primaries is on one when the disk of the other is lost. So only one node is
//! damaged at a time, and the next one only when the others have given back to it what they hold.

use std::collections::BTreeSet;

use core::time::Duration;

use crdt_sync::time::Instant;
use replication_log::Lsn;

use super::{Notice, World, name_of};
use crate::topology::Topology;

/// No operation lasts longer: what a node acknowledged before it lost its disk is counted by nobody after this.
const OPERATIONS_LAST: Duration = Duration::from_secs(3);

/// What a node has to get back.
#[derive(Clone, Debug)]
pub(super) struct Mending {
    since: Instant,
    /// The partitions that it holds, and with whom it has not been seen to hold the same since.
    pairs: BTreeSet<(u16, usize)>,
    /// It has everything as soon as this record is durable.
    up_to: Lsn,
}

impl World {
    /// The disk of a node was lost, or replaced by an older one.
    pub(super) fn begin_to_mend(&mut self, number: usize) {
        if self.setup.topology != Topology::Leaderless {
            return;
        }
        let mending = Mending { since: self.time, pairs: self.pairs_of(number), up_to: Lsn::ZERO };
        self.nodes[number].mending = Some(mending);
    }

    /// A node went down before it had got everything back, or made it durable.
    pub(super) fn mend_anew(&mut self, number: usize) {
        if let Some(since) = self.nodes[number].mending.as_ref().map(|mending| mending.since) {
            self.nodes[number].mending =
                Some(Mending { since, pairs: self.pairs_of(number), up_to: Lsn::ZERO });
        }
    }

    /// Whether all nodes but one have what they should.
    pub(super) fn is_whole_but(&self, number: usize) -> bool {
        let is_whole = |node: &super::Node| {
            !node.is_rotten && node.rotten_files.is_empty() && node.mending.is_none() && !node.is_unfilled
        };
        self.nodes.iter().enumerate().all(|(other, node)| other == number || is_whole(node))
    }

    /// Looks what damaged nodes have got back.
    pub(super) fn tend_mending(&mut self) {
        self.look_who_is_filled();
        let damaged: Vec<usize> =
            (0..self.nodes.len()).filter(|number| self.nodes[*number].mending.is_some()).collect();
        for number in damaged {
            self.look_after(number);
        }
    }

    fn look_after(&mut self, number: usize) {
        let Some(mut mending) = self.nodes[number].mending.take() else { return };
        let is_over = self.time.since(mending.since) >= OPERATIONS_LAST;
        if self.is_dead(number) {
            // What was on it is with others as soon as the ring is without it.
            let is_replaced = !self.on_ring().contains(&number);
            if is_over && is_replaced {
                self.mended(number);
            } else {
                self.nodes[number].mending = Some(mending);
            }
            return;
        }
        let Some(status) = self.engine(number).map(crdt_sync::Engine::status) else {
            self.nodes[number].mending = Some(mending);
            return;
        };
        let others: BTreeSet<usize> = mending.pairs.iter().map(|(_, other)| *other).collect();
        for other in others {
            let Some(theirs) = self.engine(other).map(crdt_sync::Engine::status) else { continue };
            let is_same = |partition: u16| {
                let (ours, theirs) =
                    (&status.partitions[usize::from(partition)], &theirs.partitions[usize::from(partition)]);
                ours.root == theirs.root
            };
            let before = mending.pairs.len();
            mending.pairs.retain(|(partition, with)| *with != other || !is_same(*partition));
            if mending.pairs.len() < before {
                mending.up_to = mending.up_to.max(status.appended);
            }
        }
        if mending.pairs.is_empty() && status.durable >= mending.up_to && is_over {
            self.mended(number);
        } else {
            self.nodes[number].mending = Some(mending);
        }
    }

    fn mended(&mut self, number: usize) {
        self.note(format_args!("{number} has back what it lost"));
        self.nodes[number].is_unfilled &= !self.nodes[number].gone;
        self.notices.push_back(Notice::Mended { node: number });
    }

    fn pairs_of(&self, number: usize) -> BTreeSet<(u16, usize)> {
        let ring = self.placement();
        let own = (0..self.setup.partitions).filter(|partition| ring.holds(name_of(number), *partition));
        own.flat_map(|partition| {
            let others = (0..self.setup.nodes).filter(|other| *other != number);
            others
                .filter(|other| ring.holds(name_of(*other), partition))
                .map(move |other| (partition, other))
                .collect::<Vec<_>>()
        })
        .filter(|(_, other)| !self.left_out_nodes.contains(other))
        .collect()
    }
}
