//! The operator: copies disks, puts old copies in the place of disks, and founds a node anew whose log is rotten.
//!
//! What the operator does can lose what the engine had promised, so the world says what: entries that no other node
//! had made durable.

use core::time::Duration;
use std::collections::BTreeSet;

use crdt_core::ReplicaId;
use crdt_sync::time::Instant;
use crdt_sync::{Engine, NodeId, PartitionStatus, Position, RecoverError};
use replication_log::{Epoch, Lsn};

use super::node::Node;
use super::past::Past;
use super::{Happening, LogPlace, Loss, Notice, World};
use crate::disk::Disk;
use crate::faults::Fault;
use crate::lineage::Place;
use crate::topology::Topology;
use crate::violation::Violation;

/// A node that was restored without being told and meets nobody who knows more of it may write after this, once all
/// nodes agree: what was on its way has arrived by then.
const ALONE_FOR: Duration = Duration::from_secs(5);
/// Added to the name of a node each time it is founded anew under a fresh one; no world has as many nodes.
pub(super) const NEXT_NAME: u128 = 1_000;

/// A copy of a node's disk.
#[derive(Debug)]
pub(super) struct Backup {
    disk: Disk,
    /// Under which identity the node wrote.
    replica: ReplicaId,
    /// And under which ones so far.
    wrote: BTreeSet<ReplicaId>,
    /// What the copy holds at least.
    held: Vec<PartitionStatus>,
    /// The last record on it.
    last: Lsn,
    /// In a world with one leader, where the log ends and what it has promised.
    end: (LogPlace, Epoch),
}

/// Why a node's past is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It was restored, and is told so whenever it starts.
    Told,
    /// It was restored, and is to find out.
    Untold { since: Instant },
}

impl World {
    /// Copies the disk of a node that is up in place of its last copy, if the disk is sound and everything on it
    /// durable: entries that the node loses later and numbers anew would be a second past of its identity.
    pub(super) fn back_up(&mut self, number: usize) {
        let ring_changes = self.ring_changes();
        let node = &mut self.nodes[number];
        let sound = node.disk.is_sound()
            && !node.disk.awaits_sync()
            && !node.is_rotten
            && node.rotten_files.is_empty()
            && !node.is_new
            && node.renewing.is_none()
            && !ring_changes;
        let (Some(engine), true) = (&node.engine, sound) else { return };
        let replica = engine.status().replica;
        let (held, last) = (node.past.durable_stage().to_vec(), node.past.durable);
        let end = (node.reach.end, node.reach.promised);
        let (disk, wrote) = (node.disk.copy(), node.wrote.clone());
        node.backup = Some(Backup { disk, replica, wrote, held, last, end });
        self.note(format_args!("the disk of {number} is copied"));
    }

    /// Puts the copy of a node's disk in the place of its disk.
    pub(super) fn restore(&mut self, number: usize, fault: Fault) {
        let is_spared = self.is_partial(number) && self.setup.forgets_deletions;
        if is_spared || Fault::FORKS.contains(&fault) && self.setup.spares_identities() {
            return;
        }
        let Some(backup) = self.nodes[number].backup.take() else { return };
        let outrun = (0..).zip(&backup.held).any(|(partition, held)| {
            self.is_outrun(number, partition, backup.replica, position_in(held, backup.replica))
        });
        // Who is to find out must be sure to, or would write what others have under the same numbers. Where each start
        // takes a fresh identity there is nothing to find out.
        let finds_out = self.setup.topology == Topology::MultiLeader;
        let must_know = self.setup.new_leaders && !self.may_be_restored(number, fault);
        let may_not = fault == Fault::RestoredUntold && finds_out && !outrun || must_know;
        if may_not || !self.may_damage(number) {
            self.nodes[number].backup = Some(backup);
            return;
        }
        self.strike_counts(fault, number);
        self.note(format_args!("{number} gets an old copy of its disk: {fault}"));
        self.kill(number);
        // What it was to get back when it was restored before it is still to get.
        let behind = self.nodes[number].is_behind_itself;
        let owed = if behind { self.nodes[number].owed.clone() } else { Vec::new() };
        let lost = self.losses(number, &backup.held);
        self.nodes[number].owed.extend(owed);
        self.begin_to_lack(number, Some(backup.end));
        let since = self.time;
        let node = &mut self.nodes[number];
        node.disk = backup.disk.copy();
        node.past = Past::of_disk(backup.held.clone(), backup.last);
        node.wrote.clone_from(&backup.wrote);
        node.backup = Some(backup);
        node.is_rotten = false;
        node.is_behind_itself = true;
        node.rotten_files.clear();
        node.doubt = match fault {
            Fault::RestoredTold => Some(Doubt::Told),
            Fault::RestoredUntold if finds_out => Some(Doubt::Untold { since }),
            _ => None,
        };
        self.has_forks |= Fault::FORKS.contains(&fault);
        self.begin_to_mend(number);
        self.notices.push_back(Notice::Restored { node: number, lost });
    }

    /// Whether a node's disk was replaced by an older one, and the node is not known to have back what it had.
    pub(crate) fn is_behind_itself(&self, number: usize) -> bool {
        self.nodes[number].is_behind_itself
    }

    /// Changes a byte of a node's log, if a minority of the nodes is damaged even so.
    pub(super) fn rot(&mut self, number: usize) {
        if self.is_condemned(number) || !self.may_damage(number) {
            return;
        }
        let dice = &mut self.dice.disks;
        let Some((name, bit)) = self.nodes[number].disk.rot(|bound| dice.below(bound)) else { return };
        self.nodes[number].is_rotten = true;
        self.nodes[number].rotten_files.insert(name.clone());
        self.strike_counts(Fault::BitRot, number);
        self.note(format_args!("the disk of {number} rots: bit {bit} of {name}"));
        if self.nodes[number].is_running() {
            let takes = self.until_noticed();
            let boot = self.nodes[number].boot;
            self.put(takes, Happening::Reboot { node: number, boot });
        }
    }

    /// Whether recovery found fewer records than were durable: the log cut what it could take for a tear.
    pub(super) fn is_short(&self, number: usize, records: &[(Lsn, Vec<u8>)]) -> bool {
        let node = &self.nodes[number];
        node.is_rotten && records.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn) < node.past.durable
    }

    /// A node goes down and its disk is lost: it comes back under its name and with nothing.
    pub(super) fn lose_disk(&mut self, number: usize) {
        if !self.may_damage(number) {
            return;
        }
        self.strike_counts(Fault::DiskLost, number);
        self.note(format_args!("{number} loses its disk"));
        self.kill(number);
        self.nodes[number].is_rotten = false;
        self.empty(number);
    }

    /// Empties a node, which begins again under its old name or a fresh one; returns what its log holds.
    pub(super) fn found_anew(&mut self, number: usize) -> Result<Vec<(Lsn, Vec<u8>)>, Violation> {
        self.empty(number);
        let refused =
            |error: crate::disk::DiskError| Violation::CannotStart { node: number, error: error.to_string() };
        self.nodes[number].disk.open().map_err(refused)
    }

    /// Empties a node that is down, which begins again under its old name or a fresh one when it starts.
    pub(super) fn empty(&mut self, number: usize) {
        let lost = self.losses(number, &[]);
        // Elsewhere the others know nodes by their names.
        let renamed = self.dice.disks.chance(500) && self.setup.topology == Topology::MultiLeader;
        // Nothing is forgotten as long as a member is not heard of, and nobody is left who would retire the old name.
        let renamed = renamed && !self.setup.forgets_deletions;
        let node = &mut self.nodes[number];
        if renamed {
            node.renamed += 1;
            node.name = NodeId::from_u128(number as u128 + 1 + NEXT_NAME * node.renamed);
            // Whoever was to be retired is gone with its name.
            node.condemned = false;
        }
        node.disk = Disk::of(self.setup.topology, self.dice.disks.number());
        if self.setup.snapshots {
            node.disk.lets_go();
        }
        self.plant_in(number);
        let node = &mut self.nodes[number];
        node.past = Past::default();
        (node.backup, node.doubt) = (None, None);
        node.wrote.clear();
        node.is_behind_itself = false;
        node.rotten_files.clear();
        node.is_unfilled = self.setup.topology == Topology::Leaderless;
        let name = node.name;
        self.note(format_args!("{number} is emptied and founded anew as {name}"));
        self.begin_to_lack(number, None);
        self.begin_to_mend(number);
        self.notices.push_back(Notice::Rotted { node: number, lost });
    }

    /// Starts a second process on a copy of a node's disk under another name, which must refuse.
    pub(super) fn clone_under_other_name(&mut self, number: usize) {
        let node = &self.nodes[number];
        let mut disk = node.disk.copy();
        if !disk.is_sound() || node.is_rotten || !node.rotten_files.is_empty() {
            return;
        }
        let records = disk.open().unwrap_or_default();
        if records.is_empty() {
            return;
        }
        self.strike_counts(Fault::ClonedUnderOtherName, number);
        let stranger = NodeId::from_u128(number as u128 + 1 + NEXT_NAME / 2);
        let config = self.config(number, stranger, [0; 32]);
        let opened = Node::open_engine(&disk, config, records, self.nodes[number].now(self.time), true);
        let refusal = opened.err();
        self.note(format_args!("a stranger starts on a copy of the disk of {number}: {refusal:?}"));
        if refusal != Some(RecoverError::OtherNode.to_string()) {
            let event = format!("{stranger} started on its disk: {refusal:?}");
            self.found = Some(Violation::PastInDoubt { node: number, event });
        }
    }

    /// Starts a second process on a copy of a node's disk under the same name, for a while; one at a time.
    pub(super) fn clone_under_same_name(&mut self, number: usize) {
        let node = &self.nodes[number];
        let rotten = node.is_rotten || !node.rotten_files.is_empty();
        let sound = node.disk.is_sound() && !node.disk.awaits_sync() && !rotten && !node.is_new;
        let spared = self.setup.spares_identities();
        if node.engine.is_none() || !sound || spared || self.nodes.len() > self.setup.nodes {
            return;
        }
        let mut clone = Node::new(node.name, self.setup.topology, &mut self.dice.disks);
        clone.disk = node.disk.copy();
        clone.past = Past::of_disk(node.past.durable_stage().to_vec(), node.past.durable);
        clone.is_new = false;
        clone.place = node.place;
        // Larger than that of an earlier clone, for which something may still be under way.
        clone.boot = self.time.as_micros();
        let number_of_clone = self.nodes.len();
        self.strike_counts(Fault::Cloned, number);
        self.note(format_args!("{number} is cloned as {number_of_clone}"));
        self.nodes.push(clone);
        self.has_forks = true;
        self.put(Duration::ZERO, Happening::Start { node: number_of_clone });
        let stays = self.lasting().saturating_mul(2);
        self.put(stays, Happening::Withdraw { node: number_of_clone });
    }

    /// Takes a clone away, and its disk with it.
    pub(super) fn withdraw(&mut self, number: usize) {
        if number < self.setup.nodes || number >= self.nodes.len() {
            return;
        }
        self.note(format_args!("the clone {number} is taken away"));
        self.kill(number);
        let lost = self.losses(number, &[]);
        self.nodes.truncate(number);
        self.notices.push_back(Notice::Restored { node: number, lost });
    }

    /// Whether all nodes agree, some time after a node was restored: then nobody knows more of it than it does.
    pub(super) fn has_met_all(&mut self, number: usize, since: Instant) -> bool {
        if self.time < since + ALONE_FOR {
            return false;
        }
        // What a partial replica has of others' writes tells nobody what it lacks of its own.
        let whole = self.members().filter(|member| !self.is_partial(*member));
        let held: Vec<_> = whole.map(|member| Some(self.engine(member)?.status().partitions)).collect();
        let agreed = held.iter().all(|each| each.is_some() && *each == held[0]);
        if agreed {
            self.nodes[number].doubt = None;
        }
        agreed
    }

    /// Whether one more node may lose its disk, or a part of it: fewer than half are about to mend.
    fn may_damage(&mut self, number: usize) -> bool {
        // What it makes again is promised to whoever waits for it, and the retired node's disk is about to go.
        if self.nodes[number].gone || self.nodes[number].rejoining {
            return false;
        }
        if self.setup.topology == Topology::SingleLeader {
            return self.may_lose(number);
        }
        if self.setup.topology == Topology::Leaderless {
            // One that left and begins with nothing would live by the ring it was founded with.
            return !self.ring_changes() && self.on_ring().contains(&number) && self.is_whole_but(number);
        }
        // Partial replicas give back next to nothing of what the others lose.
        let counts = |other: &usize| self.is_partial(number) || !self.is_partial(*other);
        let others = (0..self.nodes.len()).filter(|other| *other != number && counts(other));
        let already = others.filter(|other| self.is_damaged(*other)).count();
        let members =
            (0..self.nodes.len()).filter(|other| !self.is_condemned(*other) && counts(other)).count();
        2 * (already + 1) < members
    }

    /// Whether a node has not got back what it lost.
    pub(super) fn is_damaged(&self, number: usize) -> bool {
        let node = &self.nodes[number];
        let status = || node.engine.as_ref().map(Engine::status);
        !self.is_condemned(number)
            && (node.is_rotten
                || !node.owed.is_empty()
                    && status().is_none_or(|status| {
                        let known = self.lineage.known(&status.partitions);
                        node.owed.iter().any(|place| !known.holds(*place))
                    }))
    }

    /// What may be gone when a node is left with no more than this, and what it will have to get back.
    fn losses(&mut self, number: usize, left: &[PartitionStatus]) -> Vec<Loss> {
        let mut lost = Vec::new();
        let mut owed = Vec::new();
        for (partition, status) in self.nodes[number].past.latest().iter().enumerate() {
            for &(origin, head) in &status.heads {
                let Some(place) = self.lineage.find(partition, origin, head) else { continue };
                let left = self.lineage.shared_with(place, left);
                let elsewhere = self.known_elsewhere(number, place);
                let kept = left.max(elsewhere);
                let is_its_loss = self.holds_whole(number, &self.nodes[number], origin);
                if head.sequence > kept && is_its_loss {
                    lost.push(Loss { partition, origin, head, lost_above: kept });
                }
                if elsewhere > left {
                    owed.extend(self.lineage.on_the_way(place, elsewhere));
                }
            }
        }
        self.nodes[number].owed = owed;
        lost
    }

    /// How many of the entries that lead to a place the other nodes have made durable.
    fn known_elsewhere(&self, number: usize, place: Place) -> u64 {
        let origin = self.lineage.origin_of(place);
        let others = self.others(number, origin);
        others.map(|node| self.lineage.shared_with(place, node.past.durable_stage())).max().unwrap_or(0)
    }

    /// Whether another node has made more entries durable of an identity than those up to a position.
    fn is_outrun(&self, number: usize, partition: usize, origin: ReplicaId, held: Position) -> bool {
        let place = self.lineage.find(partition, origin, held);
        self.others(number, origin).any(|node| {
            let heads = node.past.durable_stage().get(partition).into_iter().flat_map(|status| &status.heads);
            let places = heads.filter_map(|(segment, head)| self.lineage.find(partition, *segment, *head));
            let mut same = places.filter(|other| self.lineage.origin_of(*other) == origin);
            same.any(|other| {
                other.sequence > held.sequence && place.is_none_or(|held| self.lineage.leads_to(held, other))
            })
        })
    }

    /// The other members that hold all entries of an identity that they say they have, but for those whose disk is
    /// rotten.
    fn others(&self, number: usize, origin: ReplicaId) -> impl Iterator<Item = &Node> {
        let others = self.nodes.iter().enumerate().filter(move |(other, node)| {
            let is_sound = !node.is_rotten && !self.is_condemned(*other);
            *other != number && is_sound && self.holds_whole(*other, node, origin)
        });
        others.map(|(_, node)| node)
    }
}

fn position_in(status: &PartitionStatus, origin: ReplicaId) -> Position {
    let own = status.heads.iter().find(|(segment, _)| *segment == origin);
    own.map(|(_, head)| *head).unwrap_or_default()
}
