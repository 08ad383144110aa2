//! One node: its view of the ring, its data, the operations it coordinates.

use std::collections::{BTreeMap, BTreeSet};

use crdt_sync::NodeId;
use crdt_sync::placement::{Admission, CopyPermit, Layout, Phase, Placement};

use crate::world::{Mistake, PARTITIONS};

pub(crate) type Data = BTreeSet<u64>;

/// Quorums of a full set; of a smaller one as much as there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quorums {
    pub(crate) read: usize,
    pub(crate) write: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Message {
    Layout(Layout),
    Write { operation: u64, version: u64, partition: u16 },
    Read { operation: u64, version: u64, partition: u16 },
    Copy { generation: u64, version: u64, partition: u16 },
    Wrote { operation: u64 },
    Held { operation: u64, data: Data },
    Copied { generation: u64, partition: u16, data: Data },
}

/// What a node answers, and the operation that a message made done.
pub(crate) type Taken = (Option<Message>, Option<(u64, Operation)>);

/// A write or a read that a node coordinates. A write is its number.
pub(crate) struct Operation {
    pub(crate) partition: u16,
    pub(crate) is_write: bool,
    generation: u64,
    sets: Vec<BTreeSet<NodeId>>,
    answered: BTreeSet<NodeId>,
    /// What a read found so far, and what it must have found in the end.
    pub(crate) found: Data,
    pub(crate) must_find: Data,
}

#[derive(Default)]
struct Copying {
    generation: u64,
    from: BTreeSet<NodeId>,
}

pub(crate) struct Node {
    pub(crate) view: Placement,
    pub(crate) up: bool,
    pub(crate) data: Vec<Data>,
    pub(crate) operations: BTreeMap<u64, Operation>,
    copying: BTreeMap<u16, Copying>,
    pub(crate) quorums: Quorums,
    mistake: Mistake,
}

impl Node {
    pub(crate) fn new(me: NodeId, layout: Layout, quorums: Quorums, mistake: Mistake) -> Self {
        Self {
            view: Placement::new(me, layout),
            up: true,
            data: vec![Data::new(); usize::from(PARTITIONS)],
            operations: BTreeMap::new(),
            copying: BTreeMap::new(),
            quorums,
            mistake,
        }
    }

    /// Data and layout are durable, everything else is gone.
    pub(crate) fn restart(&mut self) {
        self.view = Placement::new(self.view.me(), self.view.layout().clone());
        self.operations.clear();
        self.copying.clear();
        self.up = true;
    }

    /// Whether it serves clients: it is a member of some ring, as far as it knows.
    pub(crate) fn serves(&self) -> bool {
        self.up && self.view.version() > 0 && !self.view.layout().is_fenced(self.view.me())
    }

    /// Begins an operation; whom to ask.
    pub(crate) fn begin(
        &mut self,
        operation: u64,
        partition: u16,
        is_write: bool,
        must_find: Data,
    ) -> Vec<NodeId> {
        let write_sets = self.view.write_sets(partition);
        let mut sets: Vec<BTreeSet<NodeId>> = vec![write_sets.first.collect()];
        if let Some(second) = write_sets.second {
            let second = second.collect();
            if is_write && self.mistake != Mistake::WritesOneSet {
                sets.push(second);
            } else if !is_write && self.mistake == Mistake::ReadsNewEarly {
                sets = vec![second];
            }
        }
        let ask: BTreeSet<NodeId> = sets.iter().flatten().copied().collect();
        let generation = self.view.generation();
        let (answered, found) = (BTreeSet::new(), Data::new());
        self.operations.insert(
            operation,
            Operation { partition, is_write, generation, sets, answered, found, must_find },
        );
        ask.into_iter().filter(|node| !self.view.layout().is_fenced(*node)).collect()
    }

    /// An answer; the operation, if that made it done.
    fn answered(&mut self, from: NodeId, operation: u64, data: Data) -> Option<(u64, Operation)> {
        if self.view.layout().is_fenced(from) {
            return None;
        }
        let quorum = |is_write: bool| if is_write { self.quorums.write } else { self.quorums.read };
        let waiting = self.operations.get_mut(&operation)?;
        waiting.answered.insert(from);
        waiting.found.extend(data);
        let done = waiting.sets.iter().all(|set| {
            set.intersection(&waiting.answered).count() >= quorum(waiting.is_write).min(set.len())
        });
        done.then(|| self.operations.remove(&operation).map(|waiting| (operation, waiting)))?
    }

    pub(crate) fn acknowledge(&mut self) {
        let current = self.view.generation();
        let old =
            self.operations.values().map(|operation| operation.generation).find(|began| *began != current);
        self.view.acknowledge(old);
    }

    /// Forgets what it may.
    pub(crate) fn drop_data(&mut self) -> u64 {
        let me = self.view.me();
        let mut dropped = 0;
        for partition in 0..PARTITIONS {
            let early = self.mistake == Mistake::DropsEarly
                && self.view.phase() == Phase::Reading
                && self.view.read_set(partition).all(|node| node != me);
            let held = &mut self.data[usize::from(partition)];
            if !held.is_empty() && (early || self.view.may_drop(me, partition)) {
                held.clear();
                dropped += 1;
            }
        }
        dropped
    }

    /// Asks for copies of what it gains: from whom and of what.
    pub(crate) fn copy(&mut self) -> Vec<(NodeId, Message)> {
        let (me, generation, version) = (self.view.me(), self.view.generation(), self.view.version());
        let partitions: Vec<u16> = self.view.to_copy().collect();
        let mut asked = Vec::new();
        for partition in partitions {
            let Some(permit) = self.view.copy_permit(partition) else { continue };
            let sources = permit.sources().to_vec();
            let copying = self.copying.entry(partition).or_default();
            if copying.generation != generation {
                *copying = Copying { generation, from: BTreeSet::new() };
            }
            if sources.contains(&me) {
                copying.from.insert(me);
            }
            let message = Message::Copy { generation, version, partition };
            let missing = sources.into_iter().filter(|node| *node != me && !copying.from.contains(node));
            asked.extend(missing.map(|node| (node, message.clone())));
        }
        asked
    }

    /// Reports the copies that are whole.
    pub(crate) fn report(&mut self) {
        let partitions: Vec<u16> = self.view.to_copy().collect();
        for partition in partitions {
            let Some(permit) = self.view.copy_permit(partition) else { continue };
            let Some(copying) = self.copying.get(&partition) else { continue };
            let from: Vec<NodeId> = copying.from.iter().copied().collect();
            if copying.generation == self.view.generation() {
                self.report_one(&permit, from);
            }
        }
    }

    fn report_one(&mut self, permit: &CopyPermit, mut from: Vec<NodeId>) {
        if self.mistake == Mistake::CopiesTooLittle {
            from = permit.sources().to_vec();
        }
        // Too few so far: later.
        let _ = self.view.report_copied(permit, &from);
    }

    /// Advances, if it may; with that mistake as if all had acknowledged.
    pub(crate) fn advance(&mut self) -> bool {
        if self.mistake == Mistake::ForgesAcknowledgements {
            for node in self.view.progress().unacknowledged {
                let mut forged = Placement::new(node, self.view.layout().clone());
                forged.acknowledge(None);
                let _ = self.view.learn(self.view.me(), forged.layout());
            }
        }
        self.view.advance()
    }

    /// Takes a message: what it answers, and the operation that is done now. `Err` if it was refused.
    pub(crate) fn take(&mut self, from: NodeId, message: Message) -> Result<Taken, ()> {
        match message {
            Message::Layout(layout) => drop(self.view.learn(from, &layout)),
            Message::Write { operation, version, partition } => {
                self.admit(from, version)?;
                self.data[usize::from(partition)].insert(operation);
                return Ok((Some(Message::Wrote { operation }), None));
            }
            Message::Read { operation, version, partition } => {
                self.admit(from, version)?;
                let data = self.data[usize::from(partition)].clone();
                return Ok((Some(Message::Held { operation, data }), None));
            }
            Message::Copy { generation, version, partition } => {
                self.admit(from, version)?;
                let data = self.data[usize::from(partition)].clone();
                return Ok((Some(Message::Copied { generation, partition, data }), None));
            }
            Message::Wrote { operation } => return Ok((None, self.answered(from, operation, Data::new()))),
            Message::Held { operation, data } => return Ok((None, self.answered(from, operation, data))),
            Message::Copied { generation, partition, data } => {
                let copying =
                    self.copying.get_mut(&partition).filter(|copying| copying.generation == generation);
                if let Some(copying) = copying.filter(|_| generation == self.view.generation()) {
                    copying.from.insert(from);
                    self.data[usize::from(partition)].extend(data);
                }
            }
        }
        Ok((None, None))
    }

    fn admit(&self, from: NodeId, version: u64) -> Result<(), ()> {
        let admission = self.view.admits(from, version);
        (admission == Admission::Accepted).then_some(()).ok_or(())
    }
}
