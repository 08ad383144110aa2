//! The operations that this node coordinates, by number.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crdt_core::CausalContext;
use replication_log::Lsn;

use super::coordinate::{ReadOp, ReadOptions, WriteAction, WriteOp, WriteOptions};
use super::found::KeyAnswer;
use crate::bytes::Bytes;
use crate::engine::{Activity, RequestId};
use crate::node::NodeId;
use crate::replica::{ItemKey, Replica, Write, Written};
use crate::time::Instant;
use crate::wire::{MergedState, Removal};

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// The number that was given out last. It begins at a random one, so that no answer to a request of before a
    /// restart is taken for one to a request of now.
    last: u64,
    pub(super) writes: BTreeMap<u64, Writing>,
    pub(super) reads: BTreeMap<u64, Reading>,
    /// What this node itself has to say as soon as a record is durable.
    own: BTreeMap<(Lsn, u64), Vec<Own>>,
}

/// A write under way.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) op: WriteOp<NodeId>,
    /// Who waits for an answer; nobody once there was one.
    pub(super) client: Option<RequestId>,
    /// The version of the ring, and the generation of it, by which its replicas were chosen.
    pub(super) ring: (u64, u64),
    /// Who carries it out.
    pub(super) minter: NodeId,
    /// What became of it, once it is carried out.
    pub(super) minted: Option<Done>,
    /// What was asked for before there was anything to tell.
    pub(super) held_back: VecDeque<WriteAction<NodeId>>,
    /// What the client wants.
    pub(super) asked: Asked,
    /// Whether it was carried out under an earlier ring, or lost where it was carried out: then whoever did is told of
    /// it like all others.
    pub(super) is_told_again: bool,
}

/// What a client wants of a write.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) write: Write,
    pub(super) options: WriteOptions,
    /// What a read found before it.
    pub(super) seen: Seen,
    /// When its time is up.
    pub(super) until: Instant,
}

/// What a read found before a write.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What the node that carries out the write may lack of it.
    pub(super) state: Option<MergedState>,
    /// Dots that it must have seen.
    pub(super) before: CausalContext,
}

/// A write that was carried out.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) written: Written,
    /// What the others are told.
    pub(super) told: MergedState,
    /// What they are told beside it.
    pub(super) removal: Option<Removal>,
    /// The record that it rests on here.
    pub(super) lsn: Lsn,
}

/// A read under way.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) op: ReadOp<NodeId, KeyAnswer>,
    pub(super) item: ItemKey,
    pub(super) purpose: Purpose,
    /// The version of the ring, and the generation of it, by which its replicas were chosen.
    pub(super) ring: (u64, u64),
    /// What the client wants.
    pub(super) options: ReadOptions,
    /// When its time is up.
    pub(super) until: Instant,
}

/// What a read is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A client wants to know.
    Answer(RequestId),
    /// A write is to be on top of what there is.
    Write { client: RequestId, write: Write, options: WriteOptions },
    /// It was answered; what comes now leads to repairs.
    Repairs,
}

impl Purpose {
    /// The element of which it matters what was removed before.
    pub(super) fn removes(&self) -> Option<&Bytes> {
        match self {
            Self::Write { write, .. } => write.action.removes(),
            _ => None,
        }
    }
}

/// What this node says to itself.
#[derive(Debug)]
pub(super) enum Own {
    /// The write is durable here.
    Acknowledged,
    /// The state that was asked for.
    Whole(Box<KeyAnswer>),
    /// The repair is durable here.
    Repaired,
}

impl Operations {
    pub(super) fn numbered_from(last: u64) -> Self {
        // Half of all numbers are left.
        Self { last: last >> 1, ..Self::default() }
    }

    /// A number that no other operation has.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn len(&self) -> usize {
        self.writes.len() + self.reads.len()
    }

    /// Notes what to say once a record is durable.
    pub(super) fn when_durable(&mut self, lsn: Lsn, operation: u64, own: Own) {
        self.own.entry((lsn, operation)).or_default().push(own);
    }

    /// The next of what may be said now.
    pub(super) fn take_durable(&mut self, durable: Lsn) -> Option<(u64, Vec<Own>)> {
        let first = self.own.first_entry().filter(|entry| entry.key().0 <= durable)?;
        let ((_, operation), own) = first.remove_entry();
        Some((operation, own))
    }

    /// When the next of them has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let writes = self.writes.values().filter_map(|writing| writing.op.next_deadline());
        let reads = self.reads.values().filter_map(|reading| reading.op.next_deadline());
        writes.chain(reads).min()
    }

    /// The generation of the ring in which the oldest of them began.
    pub(super) fn oldest_generation(&self) -> Option<u64> {
        let writes = self.writes.values().map(|writing| writing.ring.1);
        writes.chain(self.reads.values().map(|reading| reading.ring.1)).min()
    }

    /// All of them.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.writes.keys().chain(self.reads.keys()).copied().collect()
    }

    /// Those for which a time has come.
    pub(super) fn due(&self, now: Instant) -> Vec<u64> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let writes = self.writes.iter().filter(|(_, writing)| is_due(writing.op.next_deadline()));
        let reads = self.reads.iter().filter(|(_, reading)| is_due(reading.op.next_deadline()));
        writes.map(|(number, _)| *number).chain(reads.map(|(number, _)| *number)).collect()
    }

    /// Time has passed for one of them. Returns who had not answered when its time was up.
    pub(super) fn tick(&mut self, number: u64, now: Instant) -> Vec<NodeId> {
        let before = self.waiting_for(number);
        if let Some(writing) = self.writes.get_mut(&number) {
            writing.op.tick(now);
        }
        if let Some(reading) = self.reads.get_mut(&number) {
            reading.op.tick(now);
        }
        let after = self.waiting_for(number);
        before.into_iter().filter(|node| !after.contains(node)).collect()
    }

    /// There is no way to a node.
    pub(super) fn unreachable(&mut self, number: u64, node: NodeId, now: Instant) {
        if let Some(writing) = self.writes.get_mut(&number) {
            writing.op.unreachable(node, now);
        }
        if let Some(reading) = self.reads.get_mut(&number) {
            reading.op.unreachable(node, now);
        }
    }

    /// The writes to these partitions that are carried out and under way. O(writes).
    pub(super) fn writes_to(&self, partitions: &BTreeSet<u16>) -> Vec<u64> {
        let is_in = |writing: &Writing| {
            writing.minted.as_ref().is_some_and(|done| partitions.contains(&done.told.partition))
        };
        self.writes.iter().filter(|(_, writing)| is_in(writing)).map(|(number, _)| *number).collect()
    }

    /// Whether one of them rests on what this node holds of a partition.
    pub(super) fn concern(&self, partition: u16, replica: &Replica) -> bool {
        let writes =
            |writing: &Writing| writing.minted.as_ref().is_some_and(|done| done.told.partition == partition);
        let reads = |item: &ItemKey| replica.partition_of(item.collection, &item.key) == partition;
        self.writes.values().any(writes) || self.reads.values().any(|reading| reads(&reading.item))
    }

    /// Counts what is under way, with all nodes or with one.
    pub(super) fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity) {
        for writing in self.writes.values() {
            let is_minted = writing.minted.is_some();
            let waits = with.is_none_or(|node| {
                if is_minted { writing.op.report().waiting().contains(&node) } else { writing.minter == node }
            });
            activity.minting += usize::from(waits && !is_minted);
            activity.acknowledging += usize::from(waits && is_minted);
        }
        for reading in self.reads.values() {
            let repairs = reading.op.repairing().any(|sent| with.is_none_or(|node| node == sent));
            let waits = with.is_none_or(|node| reading.op.report().waiting().contains(&node));
            activity.reading += usize::from(waits && !repairs);
            activity.repairing += usize::from(repairs);
        }
    }

    fn waiting_for(&self, number: u64) -> Vec<NodeId> {
        let writing = self.writes.get(&number).map(|writing| writing.op.report());
        let reading = self.reads.get(&number).map(|reading| reading.op.report());
        writing.or(reading).map(|report| report.waiting().to_vec()).unwrap_or_default()
    }
}
