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
mod answer;
mod checkpoints;
mod conflicts;
mod event;
mod failover;
mod io;
#[cfg(feature = "_planted_bugs")]
mod lineage;
mod links;
mod memory;
mod outbox;
mod shared_log;
mod status;
#[cfg(test)]
mod tests;
mod topology;
#[cfg(feature = "tracing")]
mod trace;

use alloc::boxed::Box;
use alloc::vec::Vec;

use conflict_store::Reading;
use replication_log::Lsn;

pub use activity::Activity;
pub(crate) use answer::{read, scan, show, write};
pub use event::{Event, PeerError, SessionReport};
pub use failover::{FailoverNews, FailoverTask};
pub use io::{Input, LinkId, Output, Reply, Request, RequestId};
use links::Links;
pub use memory::Memory;
pub(crate) use outbox::Outbox;
pub use shared_log::{LogEvent, LogNews, LogStanding, LogTask};
pub use status::{PartitionStatus, PeerStatus, Status};
pub(crate) use topology::Topology;

use conflicts::Settling;

use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::CollectionId;
use crate::leaderless::Leaderless;
use crate::membership::{self, Known, Member, Rejoin, RejoinError, Unacknowledged};
use crate::metrics::{Metrics, PartitionMetrics, PeerMetrics};
use crate::multi_leader::MultiLeader;
use crate::node::NodeId;
use crate::placement::Progress;
use crate::replica::{Config, ItemKey, Partition, RecoverError, Replica, Replication, Staged};
use crate::rules::ShowError;
use crate::session::{self, Waits};
use crate::single_leader::{Leadership, SingleLeader};
use crate::time::{Instant, Now};
use crate::wire::Farewell;

/// A node of a replicated store, without its sockets, its disk and its clock.
#[derive(Debug)]
pub struct Engine {
    replica: Replica,
    outbox: Outbox,
    links: Links,
    topology: Box<dyn Topology>,
    /// Reads that wait for what their session depends on.
    waits: Waits,
    settling: Settling,
    timer: Option<Instant>,
    ended: bool,
    checkpoint: Option<crate::checkpoint::Writer>,
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
        Ok(Self::start(replica, now))
    }

    /// Gives up the identity of before and writes under a new one. To be called right after
    /// [`open`](Self::open) when the log may have lost its end: a restored backup, or an unclean stop under a policy
    /// that does not wait for the disk.
    pub fn distrust_past(&mut self, now: Now) {
        if self.replica.shares_log() {
            // Who follows is sent what is missing. Who leads must not begin an epoch once more that it began before.
            self.replica.trusts_log = false;
            return;
        }
        let old = self.replica.id;
        let new = self.replica.renew_identity();
        self.outbox.event(Event::IdentityRenewed { old, new });
        self.settle(now);
    }

    /// Handles one input. Poll all outputs before the next one.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.outbox.counters.count_input(&input);
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
            Input::Frame { link, bytes } => self.links.frame(link, &bytes, &mut *self.topology, &mut context),
            Input::FrameTooLong { link, length } => {
                self.links.frame_too_long(link, length, &mut *self.topology, &mut context);
            }
            Input::Request { id, request } => {
                if let Some(request) = self.topology.request(id, request, &mut context) {
                    answer::answer(id, request, &mut self.waits, &mut context);
                }
            }
            Input::Durable { lsn } => {
                context.outbox.release(lsn);
                self.topology.durable(&mut context);
            }
            Input::Log(news) => self.topology.log(news, &mut context),
            Input::Failover(news) => self.topology.failover(news, &mut context),
            Input::LogFailed => {
                self.ended = true;
                self.topology.log_failed(&mut context);
                self.abandon_checkpoint();
                self.outbox.fail();
                self.waits.fail(&mut self.outbox);
                self.links.close_all(&mut self.outbox);
                return;
            }
            Input::Timer => {
                self.timer = None;
                context.outbox.expire(now.instant);
                session::expire(&mut self.waits, &mut context);
                if self.topology.timer(&mut context) {
                    self.links.greet_again(&mut context);
                    self.links.drop_silent(&mut *self.topology, &mut context);
                }
            }
        }
        session::wake(&mut self.waits, &mut context);
        self.links.part_with_retired(&mut *self.topology, &mut context);
        self.settle(now);
    }

    /// The next thing to do; `None` when everything is done.
    #[must_use = "an output that is dropped is an effect that never happens"]
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outbox.poll()?;
        #[cfg(feature = "tracing")]
        trace::output(self.replica.config.node, &output);
        Some(output)
    }

    /// The state of a key as it is in memory, which may be ahead of the disk. What leaves the process should
    /// be asked for with [`Request::Read`].
    pub fn peek(&self, item: &ItemKey) -> Option<&Cell> {
        let partition = self.replica.partition_of(item.collection, &item.key);
        self.replica.partition(partition).cells.get(item).map(|held| &held.cell)
    }

    /// A document as its collection's rule shows it, as it is in memory, like [`peek`](Self::peek). O(leaves), and
    /// what the rule does.
    pub fn show(&self, item: &ItemKey) -> Result<Reading<Bytes>, ShowError> {
        Ok(self.replica.show(item)?.0)
    }

    /// The cells of a collection from the key `from` on, partition by partition and in key order within each.
    /// Like [`peek`](Self::peek) this may be ahead of the disk.
    pub fn scan(&self, collection: CollectionId, from: Bytes) -> impl Iterator<Item = (&Bytes, &Cell)> {
        self.replica.partitions.iter().flat_map(move |partition| {
            partition.cells.scan(collection, from.clone()).map(|(key, held)| (key, &held.cell))
        })
    }

    /// The nodes of a leaderless cluster in the order in which they are asked for a key: its replicas first. Empty in
    /// other clusters, where every node is asked for itself. O(nodes).
    pub fn preference_list(&self, item: &ItemKey) -> Vec<NodeId> {
        self.topology.preference_list(self.replica.partition_of(item.collection, &item.key))
    }

    /// How far the change of the ring is that this node knows of; `None` in clusters without a ring.
    pub fn ring_progress(&self) -> Option<Progress> {
        self.topology.ring_progress()
    }

    /// Remembers from now on which keys change, by whomever, for [`take_changes`](Self::take_changes); or no longer.
    pub fn track_changes(&mut self, wanted: bool) {
        for partition in &mut self.replica.partitions {
            partition.cells.track_changes(wanted);
        }
    }

    /// The keys that changed since this was called last, in no particular order of time. To be called after each input,
    /// or they add up to as many as there are keys.
    ///
    /// The changes may be ahead of the disk. Whoever is told of one should read the key by [`Request::Read`], which
    /// waits until it may be seen.
    pub fn take_changes(&mut self) -> Vec<ItemKey> {
        let partitions = self.replica.partitions.iter_mut();
        partitions.flat_map(|partition| partition.cells.take_changes()).collect()
    }

    /// Where this node stands. O(members x origins).
    pub fn status(&self) -> Status {
        let (held_back_by, stable) = self.topology.stability(&self.replica);
        Status {
            node: self.replica.config.node,
            replica: self.replica.id,
            durable: self.outbox.durable(),
            appended: self.replica.journal.last(),
            partitions: self.replica.partitions.iter().map(PartitionStatus::of).collect(),
            peers: self.topology.peers(&self.replica),
            sessions: self.topology.sessions(),
            members: self.replica.members.membership().clone(),
            evicted: self.replica.members.is_evicted(),
            stable,
            held_back_by,
            awaited: self.replica.partitions.iter().map(|partition| partition.awaited().collect()).collect(),
            leadership: self.leadership(),
        }
    }

    /// Who leads, and how far everybody is, in a cluster with one leader. O(followers).
    pub fn leadership(&self) -> Option<Leadership> {
        self.topology.leadership(&self.replica)
    }

    /// Where this node stands, in numbers.
    ///
    /// O(peers x partitions x origins + outputs that wait for the disk).
    pub fn metrics(&self) -> Metrics {
        let in_sync = self.topology.peers(&self.replica);
        let peers = self.topology.lags(&self.replica).into_iter().zip(in_sync);
        let peer = |((node, lag), status): ((NodeId, _), PeerStatus)| PeerMetrics {
            node,
            heard: self.links.heard(node),
            in_sync: status.in_sync,
            lag,
        };
        let partition = |partition: &Partition| PartitionMetrics {
            keys: partition.cells.len(),
            origins: partition.histories.iter().count(),
            retained_bytes: partition.histories.retained_bytes(),
        };
        Metrics {
            node: self.replica.config.node,
            durable: self.outbox.durable(),
            appended: self.replica.journal.last(),
            peers: peers.map(peer).collect(),
            partitions: self.replica.partitions.iter().map(partition).collect(),
            open_merkle_sessions: self.topology.sessions(),
            requests_waiting_for_disk: self.outbox.waiting(),
            requests_waiting_for_entries: self.waits.len(),
            gated_outputs: self.outbox.gated(),
            counters: self.outbox.counters.clone(),
        }
    }

    /// What this node wrote and nobody else may have, once it [was retired](Event::Evicted); nothing before. Members
    /// may have applied more of it than this node was told, above all where an identity of this node was forked: how
    /// much they have of its branches nobody says. O(entries held of its own).
    pub fn unacknowledged(&self) -> Unacknowledged {
        let member = self.replica.members.membership().get(self.replica.config.node);
        membership::unacknowledged(&self.replica, |partition, origin| match member {
            Some(Member::Retired { last }) => partition.known_of(origin, last.last(origin, partition.number)),
            _ => Known::default(),
        })
    }

    /// What this node, founded in the place of a retired one, must write to have everything the `old` one wrote. To be
    /// asked once it has caught up with a member, and before its first own write to the same keys:
    ///
    /// 1. found a new node beside the old one: an empty log, a fresh [`NodeId`];
    /// 2. let it catch up with a member;
    /// 3. ask it: `fresh.rejoin(&old)`;
    /// 4. write [`Rejoin::writes`], and a note that it is done in the same command: asked again, this counts
    ///    again. Show [`Rejoin::reported`] to whoever can decide.
    ///
    /// Reads what was written to each key concerned; everything where entries are no longer held.
    pub fn rejoin(&self, old: &Self) -> Result<Rejoin, RejoinError> {
        membership::plan(&self.replica, &old.replica)
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
        if bug == crate::PlantedBug::EvictedMergedBack {
            self.replica.members.merge_the_evicted();
        }
        self.topology.plant(bug);
        self.replica.plant(bug);
    }

    /// After every input: conflicts are looked at, what was journaled becomes a batch, and the next timer is asked
    /// for.
    fn settle(&mut self, now: Now) {
        self.settling.look(&mut Context { now, replica: &mut self.replica, outbox: &mut self.outbox });
        let now = now.instant;
        while let Some(Staged { epoch, first, records }) = self.replica.journal.take() {
            self.outbox.push(if self.replica.shares_log() {
                Output::Log(LogTask::Append { epoch, first, records })
            } else {
                Output::Append { first, records }
            });
        }
        let heartbeat = self.topology.next_timer();
        let deadlines = [self.outbox.next_deadline(), self.waits.next_deadline(), self.settling.next()];
        let at = deadlines.into_iter().flatten().fold(heartbeat, Instant::min).max(now);
        if self.timer.is_none_or(|asked| at < asked) {
            self.timer = Some(at);
            self.outbox.push(Output::SetTimer { at });
        }
    }
}

/// The topology that the configuration names.
fn topology_of(now: Instant, replica: &mut Replica) -> Box<dyn Topology> {
    match replica.config.replication.clone() {
        Replication::MultiLeader => Box::new(MultiLeader::new(now, replica)),
        Replication::Leaderless(config) => Box::new(Leaderless::new(now, &config, replica)),
        Replication::SingleLeader(config) => Box::new(SingleLeader::new(now, *config, replica)),
    }
}
