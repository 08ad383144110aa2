//! The engine: one door in, one door out.
//!
//! [`Engine::handle`] takes what happened, [`Engine::poll_output`] gives what to do about it. The rule between
//! them has a name, the **drain rule**: after each `handle`, poll until `None`, and only then handle again.
//! The engine reads no clock, owns no socket and touches no disk; given the same inputs it gives the same
//! outputs, byte for byte, so a whole cluster can be run in one thread from one seed.
//!
//! ```text
//!            Input                                        Output
//!   frame ───────────►┌──────────────────────────┐───────────► Append  (to the log, one atomic batch)
//!   request           │ links ─► topology        │             Send    (only what is durable)
//!   Durable { lsn }   │            │             │             Reply   (only what is durable)
//!   Timer             │         replica ─► gate ─┼───────────► SetTimer, Event, Close
//!                     └──────────────────────────┘
//! ```

mod activity;
mod event;
mod io;
mod links;
mod memory;
mod outbox;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use replication_log::Lsn;

pub use activity::Activity;
pub use event::{Event, PeerError, SessionReport};
pub use io::{Input, LinkId, Output, Reply, Request, RequestId};
use links::Links;
pub use memory::Memory;
pub(crate) use outbox::Outbox;

use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::CollectionId;
use crate::entry::Position;
use crate::merkle::Root;
use crate::multi_leader::MultiLeader;
use crate::node::NodeId;
use crate::replica::{Config, ItemKey, RecoverError, Replica, Write};
use crate::time::{Instant, Now};
use crate::wire::Farewell;
use crdt_core::ReplicaId;

/// A node of a replicated store, without its sockets, its disk and its clock.
#[derive(Debug)]
pub struct Engine {
    replica: Replica,
    outbox: Outbox,
    links: Links,
    topology: MultiLeader,
    timer: Option<Instant>,
    ended: bool,
}

/// What a part of the engine needs of the rest while it handles one input.
pub(crate) struct Context<'e> {
    pub(crate) now: Now,
    pub(crate) replica: &'e mut Replica,
    pub(crate) outbox: &'e mut Outbox,
}

impl Engine {
    /// Starts a node from the records of its log, oldest first. An empty log founds a new node.
    ///
    /// The records must be the durable ones: the engine tells others what it finds in them. Poll for outputs
    /// afterwards, a new node has its founding to append.
    pub fn open<R: AsRef<[u8]>>(
        config: Config,
        records: impl IntoIterator<Item = (Lsn, R)>,
        now: Now,
    ) -> Result<Self, RecoverError> {
        let replica = Replica::recover(config, records, now.wall)?;
        let durable = if replica.is_newly_founded() { Lsn::ZERO } else { replica.journal.last() };
        let mut engine = Self {
            outbox: Outbox::new(durable),
            links: Links::default(),
            topology: MultiLeader::new(now.instant, &replica),
            replica,
            timer: None,
            ended: false,
        };
        engine.settle(now.instant);
        Ok(engine)
    }

    /// Gives up the identity of before and writes under a new one. To be called right after
    /// [`open`](Self::open) when the log may have lost its end: a restored backup, or an unclean stop under a policy
    /// that does not wait for the disk.
    pub fn distrust_past(&mut self, now: Now) {
        let old = self.replica.id;
        let new = self.replica.renew_identity();
        self.outbox.event(Event::IdentityRenewed { old, new });
        self.settle(now.instant);
    }

    /// Handles one input. Poll all outputs before the next one.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.ended {
            match input {
                Input::Request { id, .. } => self.outbox.reply(id, Reply::Ended, Lsn::ZERO),
                Input::LinkUp { link, .. } => self.outbox.close(link, Farewell::Leaving),
                _ => {}
            }
            return;
        }
        let mut context = Context { now, replica: &mut self.replica, outbox: &mut self.outbox };
        match input {
            Input::LinkUp { link, dialed } => self.links.up(link, dialed, &mut context),
            Input::LinkDown { link } => {
                if let Some(peer) = self.links.down(link, &mut context) {
                    self.topology.peer_down(peer, &mut context);
                }
            }
            Input::Frame { link, bytes } => self.links.frame(link, &bytes, &mut self.topology, &mut context),
            Input::FrameTooLong { link, length } => {
                self.links.frame_too_long(link, length, &mut self.topology, &mut context);
            }
            Input::Request { id, request } => answer(id, request, &mut context),
            Input::Durable { lsn } => {
                context.outbox.release(lsn);
                self.topology.durable(&mut context);
            }
            Input::LogFailed => {
                self.ended = true;
                self.outbox.fail();
                self.links.close_all(&mut self.outbox);
                return;
            }
            Input::Timer => {
                self.timer = None;
                context.outbox.expire(now.instant);
                if self.topology.timer(&mut context) {
                    self.links.greet_again(&mut context);
                    self.links.drop_silent(&mut self.topology, &mut context);
                }
            }
        }
        self.settle(now.instant);
    }

    /// The next thing to do; `None` when everything is done.
    #[must_use = "an output that is dropped is an effect that never happens"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.poll()
    }

    /// The state of a key as it is in memory, which may be ahead of the disk. What leaves the process should
    /// be asked for with [`Request::Read`].
    pub fn peek(&self, item: &ItemKey) -> Option<&Cell> {
        let partition = self.replica.partition_of(item.collection, &item.key);
        self.replica.partition(partition).cells.get(item).map(|held| &held.cell)
    }

    /// The cells of a collection from the key `from` on, partition by partition and in key order within each.
    /// Like [`peek`](Self::peek) this may be ahead of the disk.
    pub fn scan(&self, collection: CollectionId, from: Bytes) -> impl Iterator<Item = (&Bytes, &Cell)> {
        self.replica.partitions.iter().flat_map(move |partition| {
            partition.cells.scan(collection, from.clone()).map(|(key, held)| (key, &held.cell))
        })
    }

    /// Where this node stands.
    pub fn status(&self) -> Status {
        Status {
            node: self.replica.config.node,
            replica: self.replica.id,
            durable: self.outbox.durable(),
            appended: self.replica.journal.last(),
            partitions: self.replica.partitions.iter().map(PartitionStatus::of).collect(),
            peers: self.topology.peers(&self.replica),
            sessions: self.topology.sessions(),
        }
    }

    /// The bytes of all states together: what it would cost to send everything once.
    pub fn encoded_size(&self) -> u64 {
        let cells = self.replica.partitions.iter().flat_map(|partition| partition.cells.iter());
        cells.map(|(item, held)| (item.key.len() + held.cell.encode(&item.key).len()) as u64).sum()
    }

    /// Whether the log failed under this engine; it only answers that it is over.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Tells an engine to make a known mistake, for a simulator that must be able to catch it.
    #[cfg(feature = "_planted_bugs")]
    pub fn plant(&mut self, bug: crate::PlantedBug) {
        if bug == crate::PlantedBug::EffectsAheadOfDisk {
            self.outbox.ignore_the_disk();
        }
        self.topology.plant(bug);
        self.replica.plant(bug);
    }

    /// After every input: what it journaled becomes one batch, and the next timer is asked for.
    fn settle(&mut self, now: Instant) {
        if let Some((first, records)) = self.replica.journal.take() {
            self.outbox.push(Output::Append { first, records });
        }
        let heartbeat = self.topology.next_timer();
        let next = self.outbox.next_deadline().map_or(heartbeat, |deadline| deadline.min(heartbeat));
        let at = next.max(now);
        if self.timer.is_none_or(|asked| at < asked) {
            self.timer = Some(at);
            self.outbox.push(Output::SetTimer { at });
        }
    }
}

fn answer(id: RequestId, request: Request, context: &mut Context<'_>) {
    if context.outbox.waiting() >= context.replica.config.limits.max_waiting {
        return context.outbox.reply(id, Reply::Overloaded, Lsn::ZERO);
    }
    match request {
        Request::Write(writes) => answer_write(id, &writes, context),
        Request::Read { item, deadline } => {
            let partition = context.replica.partition_of(item.collection, &item.key);
            let held = context.replica.partition(partition).cells.get(&item);
            // A key that is not held may have been removed by a record that is not durable yet.
            let lsn = held.map_or_else(|| context.replica.journal.last(), |held| held.lsn);
            let value = Reply::Value(held.map(|held| held.cell.clone()));
            context.outbox.reply_by(id, value, lsn, deadline);
        }
        Request::Scan { collection, from, limit, deadline } => {
            let cells = scan(context.replica, collection, &from, limit);
            context.outbox.reply_by(id, Reply::Cells(cells), context.replica.journal.last(), deadline);
        }
    }
}

/// The first `limit` keys of all partitions, in key order.
fn scan(replica: &Replica, collection: CollectionId, from: &Bytes, limit: usize) -> Vec<(Bytes, Cell)> {
    let mut found: Vec<(&Bytes, &Cell)> = Vec::new();
    for partition in &replica.partitions {
        let cells = partition.cells.scan(collection, from.clone());
        found.extend(cells.take(limit).map(|(key, held)| (key, &held.cell)));
    }
    found.sort_unstable_by_key(|(key, _)| *key);
    found.into_iter().take(limit).map(|(key, cell)| (key.clone(), cell.clone())).collect()
}

fn answer_write(id: RequestId, writes: &[Write], context: &mut Context<'_>) {
    match context.replica.write(writes, context.now.wall) {
        Ok(mut written) => {
            // A write that changed nothing rests on what made it unnecessary.
            let rests_on = written.lsn.max(context.replica.journal.last());
            written.lsn = written.lsn.max(rests_on);
            context.outbox.reply(id, Reply::Written(written), rests_on);
        }
        Err(error) => context.outbox.reply(id, Reply::Refused(error), Lsn::ZERO),
    }
}

/// Where a node stands, for people and for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The node.
    pub node: NodeId,
    /// The identity it writes under now.
    pub replica: ReplicaId,
    /// The last durable record of its log.
    pub durable: Lsn,
    /// The last record handed to its log.
    pub appended: Lsn,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
    /// The peers it is connected to.
    pub peers: Vec<PeerStatus>,
    /// Merkle sessions that are open.
    pub sessions: usize,
}

/// A connected peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// Whether both sides have applied the same entries and compared what they hold, since either last changed as
    /// far as this node knows.
    pub in_sync: bool,
}

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The digest and number of all keys.
    pub root: Root,
    /// How many keys are held.
    pub keys: usize,
    /// The last position of every origin, ascending.
    pub heads: Vec<(ReplicaId, Position)>,
}

impl PartitionStatus {
    fn of(partition: &crate::replica::Partition) -> Self {
        Self { root: partition.cells.root(), keys: partition.cells.len(), heads: partition.heads() }
    }
}
