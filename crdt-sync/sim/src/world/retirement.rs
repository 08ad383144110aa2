//! Retirement: nodes whose days are counted, their disks when they are over, and what takes their place.

use core::time::Duration;

use crdt_sync::{Engine, NodeId, PartitionStatus};

use super::node::Node;
use super::operator::NEXT_NAME;
use super::past::Past;
use super::{Happening, Shape, World};
use crate::disk::Disk;
use crate::violation::Violation;

/// So many members are left at least.
const FEWEST_MEMBERS: usize = 3;

impl World {
    /// Whether a node is a member, and is meant to stay one: up or down.
    pub(crate) fn is_member(&self, number: usize) -> bool {
        number < self.nodes.len()
            && !self.left_out_nodes.contains(&number)
            && !self.is_condemned(number)
            && !self.nodes[number].gone
    }

    /// Whether a node, or the one that it is a clone of, is to be retired, or was.
    pub(crate) fn is_condemned(&self, number: usize) -> bool {
        self.nodes.get(number).is_some_and(|node| {
            node.condemned || self.nodes.get(node.place).is_some_and(|place| place.condemned)
        })
    }

    /// The members, ascending.
    pub(crate) fn members(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|number| self.is_member(*number))
    }

    /// Whether a node may be retired: without it there are members enough, all of them are connected, and nobody
    /// counts on it to get back what they lost. Its disk is sound, so that a last look at it shows what it wrote.
    pub(crate) fn may_retire(&mut self, number: usize) -> bool {
        let is_hub = self.setup.shape == Shape::Star && number == 0;
        // A ring that lost one is a line, and one that lost two may be two lines.
        let is_line = self.setup.shape == Shape::Ring && self.nodes.iter().any(|node| node.condemned);
        number < self.setup.whole()
            && !is_hub
            && !is_line
            && self.is_member(number)
            && !self.nodes[number].rejoining
            && self.nodes[number].rotten_files.is_empty()
            && self.members().filter(|member| *member < self.setup.whole()).count() > FEWEST_MEMBERS
            && (0..self.nodes.len()).all(|other| !self.is_damaged(other))
    }

    /// What a node holds at most, and what it has made durable for certain.
    pub(crate) fn held_by(&self, number: usize) -> (Vec<PartitionStatus>, &[PartitionStatus]) {
        let past = &self.nodes[number].past;
        (past.latest(), past.durable_stage())
    }

    /// A node is to be retired: what only it has of others' writes is nowhere from now on.
    pub(crate) fn condemn(&mut self, number: usize) {
        self.note(format_args!("{number} is to be retired"));
        self.nodes[number].condemned = true;
    }

    /// The name of a node.
    pub(crate) fn name_of(&self, number: usize) -> NodeId {
        self.nodes[number].name
    }

    /// Whether a node took the place of a retired one, and has not yet made its writes again.
    pub(crate) fn is_rejoining(&self, number: usize) -> bool {
        self.nodes.get(number).is_some_and(|node| node.rejoining)
    }

    /// Shuts down a retired node that knows it, for good; returns what a last look at its disk shows. `None` as long as
    /// it does not know, or not durably, or is not in a state to be looked at.
    pub(crate) fn shut_down(&mut self, number: usize) -> Result<Option<Engine>, Violation> {
        let node = &self.nodes[number];
        let knows = node.engine.as_ref().is_some_and(|engine| engine.status().evicted);
        let sound = node.disk.is_sound() && !node.disk.awaits_sync() && !node.is_rotten;
        if !knows || !sound || node.standstill.is_some() || node.renewing.is_some() {
            return Ok(None);
        }
        if self.nodes.last().is_some_and(|clone| clone.place == number) {
            self.withdraw(self.nodes.len() - 1);
        }
        self.note(format_args!("the retired node {number} is shut down"));
        self.kill(number);
        self.nodes[number].gone = true;
        let config = self.config(number, self.nodes[number].name, [0; 32]);
        let failed = |error: String| Violation::CannotStart { node: number, error };
        let node = &mut self.nodes[number];
        let records = node.disk.open().map_err(|error| failed(error.to_string()))?;
        let now = node.now(self.time);
        let (old, _) = Node::open_engine(&node.disk, config, records, now, true).map_err(failed)?;
        if old.status().evicted {
            return Ok(Some(old));
        }
        Err(Violation::Forgot { node: number, detail: "it was told that it is retired".into() })
    }

    /// Founds a new node in the place of a retired one that was shut down. It writes nothing of its own before it has
    /// [settled in](Self::settle_in).
    pub(crate) fn found_in_place(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        node.renamed += 1;
        node.name = NodeId::from_u128(number as u128 + 1 + NEXT_NAME * node.renamed);
        node.disk = Disk::of(self.setup.topology, self.dice.disks.number());
        node.past = Past::default();
        (node.backup, node.doubt) = (None, None);
        node.owed.clear();
        node.wrote.clear();
        (node.is_new, node.condemned, node.gone, node.rejoining) = (true, false, false, true);
        let name = node.name;
        self.note(format_args!("{number} is founded in place of the retired one as {name}"));
        self.put(Duration::ZERO, Happening::Start { node: number });
    }

    /// Sets the wall clock of a node right, or as far ahead as it takes to write over what has this stamp.
    pub(crate) fn set_clock_right(&mut self, number: usize, stamp_millis: u64) {
        let drift = u64::try_from(self.setup.timing.max_drift.as_millis()).unwrap_or(u64::MAX);
        let node = &mut self.nodes[number];
        node.skew = 0;
        let early = stamp_millis.saturating_sub(drift).saturating_sub(node.now(self.time).wall.as_millis());
        node.skew = i64::try_from(early).unwrap_or(i64::MAX);
        let skew = node.skew;
        self.note(format_args!("the operator sets the clock of {number}, which is wrong by {skew} ms now"));
    }

    /// A node that took the place of a retired one has made its writes again.
    pub(crate) fn settle_in(&mut self, number: usize) {
        self.nodes[number].rejoining = false;
    }
}
