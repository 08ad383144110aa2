//! What a node must not forget: what it was at each record of its log, and what it told others.

use std::collections::BTreeMap;

use crdt_core::ReplicaId;
use crdt_sync::wire::{self, Message, Quorum, SessionStep};
use crdt_sync::{Limits, PartitionStatus, Status};
use replication_log::Lsn;

use crate::lineage::Lineage;
use crate::phase::{Phase, Phases};

/// The past of a node, over all its processes.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// What the node held when its log ended with this record. State is a function of the log, so a node that
    /// comes up with the log up to here must be this again.
    stages: BTreeMap<Lsn, Vec<PartitionStatus>>,
    /// Per partition and identity, how many entries the node said it has: they were durable, or it had no right to.
    told: BTreeMap<(u16, ReplicaId), u64>,
    /// The last record that is known to be durable.
    pub(super) durable: Lsn,
    /// What the node held when it went down, until it comes up.
    last_held: Option<Vec<PartitionStatus>>,
}

impl Past {
    /// The past of a node whose disk holds just this, durably and up to this record, before it comes up.
    pub(super) fn of_disk(held: Vec<PartitionStatus>, durable: Lsn) -> Self {
        Self { last_held: Some(held), durable, ..Self::default() }
    }

    /// What the node has made durable for certain.
    pub(super) fn durable_stage(&self) -> &[PartitionStatus] {
        let stage = self.stages.range(..=self.durable).next_back();
        stage.map_or(&[], |(_, partitions)| partitions)
    }

    /// What the node held at most, durable or not.
    pub(super) fn latest(&self) -> Vec<PartitionStatus> {
        let stage = || self.stages.last_key_value().map(|(_, partitions)| partitions.clone());
        self.last_held.clone().or_else(stage).unwrap_or_default()
    }

    /// The process of a node with this status ends.
    pub(super) fn go_down(&mut self, status: Status) {
        self.durable = self.durable.max(status.durable);
        self.last_held = Some(status.partitions);
    }

    /// Remembers what the node is now.
    pub(super) fn remember(&mut self, status: Status) {
        self.stages.insert(status.appended, status.partitions);
        // Nothing before the last durable record can be what the node comes up with.
        while self.stages.keys().nth(1).is_some_and(|second| *second <= status.durable) {
            self.stages.pop_first();
        }
    }

    /// Remembers what the node tells in a frame, and says to which phase the frame belongs; fails with what is wrong
    /// with a frame that nobody can read.
    pub(super) fn tell(&mut self, frame: &[u8], limits: &Limits) -> Result<Phases, String> {
        let message = wire::decode(frame, limits).map_err(|error| error.to_string())?;
        let phases = phases_of(&message);
        match message {
            Message::Frontier(frontier) => {
                for status in frontier.origins {
                    self.told_of(frontier.partition, status.origin, status.head.sequence);
                }
            }
            Message::Session(wire::Session {
                partition,
                step: SessionStep::Open(standing) | SessionStep::Accept(standing),
                ..
            }) => {
                for (origin, head) in standing.heads {
                    self.told_of(partition, origin, head.sequence);
                }
            }
            _ => {}
        }
        Ok(phases)
    }

    /// What a node with this status forgot, if it did. What lies behind is no longer its past.
    pub(super) fn come_up(&mut self, status: Status, lineage: &Lineage) -> Result<(), String> {
        if let Some(was) = self.stages.get(&status.appended).filter(|was| **was != status.partitions) {
            let (last, is) = (status.appended, &status.partitions);
            return Err(format!("at record {last} it was {was:?} and is now {is:?}"));
        }
        for (&(partition, origin), &told) in &self.told {
            // Of an identity that was cut a part is held under the names of branches.
            let root = lineage.root_of(origin);
            let heads =
                status.partitions.get(usize::from(partition)).into_iter().flat_map(|status| &status.heads);
            let same = heads.filter(|(segment, _)| lineage.root_of(*segment) == root);
            let known = same.map(|(_, head)| head.sequence).max().unwrap_or(0);
            if known < told {
                return Err(format!("it told others of {told} entries of {origin} and knows {known}"));
            }
        }
        self.stages.retain(|last, _| *last <= status.appended);
        (self.durable, self.last_held) = (status.appended, None);
        self.remember(Status { durable: status.appended, ..status });
        Ok(())
    }

    fn told_of(&mut self, partition: u16, origin: ReplicaId, sequence: u64) {
        let told = self.told.entry((partition, origin)).or_default();
        *told = sequence.max(*told);
    }
}

/// In which phase a node says this. What says how far somebody is belongs to none.
fn phases_of(message: &Message) -> Phases {
    let phase = match message {
        Message::Greeting(_) => Phase::Greeting,
        Message::Run(_) | Message::Excerpt(_) => Phase::Shipping,
        Message::Session(session) => match session.step {
            SessionStep::Open(_) | SessionStep::Accept(_) | SessionStep::Busy | SessionStep::Ask => {
                Phase::Opening
            }
            SessionStep::Tree { .. } => Phase::Comparing,
            SessionStep::States(_) | SessionStep::Received { .. } => Phase::Exchanging,
            SessionStep::Sent { .. }
            | SessionStep::End { .. }
            | SessionStep::Done { .. }
            | SessionStep::Abort => Phase::Concluding,
        },
        Message::Quorum(Quorum::Mint(_) | Quorum::Minted(_)) => Phase::Minting,
        Message::Quorum(Quorum::Mutate(_) | Quorum::Mutated { .. }) => Phase::Acknowledging,
        Message::Quorum(Quorum::Fetch(_) | Quorum::Fetched { .. }) => Phase::Reading,
        _ => return Phases::default(),
    };
    Phases::of(phase)
}
