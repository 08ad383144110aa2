//! What clients ask for, and whom that concerns.

use alloc::vec::Vec;

use replication_log::Lsn;

use super::Leaderless;
use super::QuorumReply;
use super::coordinate::{Fallbacks, ReadOptions, Repair, Replicas, WriteOptions};
use super::operations::{Purpose, Seen};
use crate::engine::{Context, Reply, Request, RequestId};
use crate::node::NodeId;
use crate::placement::{Admission, Change};
use crate::replica::{ItemKey, WriteError};

impl Leaderless {
    /// Answers what takes more than this node's data; returns the rest.
    pub(super) fn on_request(
        &mut self,
        id: RequestId,
        request: Request,
        context: &mut Context<'_>,
    ) -> Option<Request> {
        match request {
            Request::QuorumWrite { write, options, read_first } => {
                if let Some(reply) = self.refusal(context) {
                    context.outbox.reply(id, reply, Lsn::ZERO);
                } else if let Some(read) = read_first {
                    let item = ItemKey { collection: write.collection, key: write.key.clone() };
                    self.begin_read(item, read, Purpose::Write { client: id, write, options }, context);
                } else {
                    self.begin_write(id, write, options, Seen::default(), context);
                }
                None
            }
            Request::QuorumRead { item, options } => {
                match self.refusal(context) {
                    Some(reply) => context.outbox.reply(id, reply, Lsn::ZERO),
                    None => self.begin_read(item, options, Purpose::Answer(id), context),
                }
                None
            }
            Request::Write(writes) => {
                self.on_plain_write(id, writes, context);
                None
            }
            Request::AwaitHints { deadline } => {
                self.await_hints(id, deadline, context);
                None
            }
            Request::ChangeRing(change) => {
                self.on_change(id, &change, context);
                None
            }
            Request::DeclareDead { nodes } => {
                self.on_declared_dead(id, &nodes, context);
                None
            }
            Request::Retire { node } => {
                self.on_change(id, &Change::Remove { dead: Vec::from([node]) }, context);
                None
            }
            // A session follows the frontiers of origins, which are not exchanged here.
            Request::InSession { .. } => {
                context.outbox.reply(id, Reply::OtherTopology, Lsn::ZERO);
                None
            }
            // What this node holds, whatever others do.
            own => Some(own),
        }
    }

    /// Why nothing can be begun now.
    pub(super) fn refusal(&self, context: &Context<'_>) -> Option<Reply> {
        if let Some(reply) = self.refusal_of_all(context) {
            return Some(reply);
        }
        self.refusal_off_the_ring()
    }

    /// Where to go from a node that is not on the ring: everybody would refuse what it asks.
    pub(super) fn refusal_off_the_ring(&self) -> Option<Reply> {
        let (me, version) = (self.placement.me(), self.placement.version());
        let is_on_it = self.placement.admits(me, version) == Admission::Accepted;
        (!is_on_it).then(|| {
            let layout = self.placement.layout();
            let living = layout.members().map(|member| member.node).filter(|node| !layout.is_fenced(*node));
            Reply::Quorum(QuorumReply::NotOnRing { ask: living.collect() })
        })
    }

    /// Why not even a question about this node itself is answered now.
    pub(super) fn refusal_of_all(&self, context: &Context<'_>) -> Option<Reply> {
        let limit = context.replica.config.limits.max_waiting;
        let waiting = self.operations.len() + self.again.len() + self.barriers.len();
        if waiting + context.outbox.waiting() >= limit {
            return Some(Reply::Overloaded);
        }
        (self.placement.version() == 0).then_some(Reply::Quorum(QuorumReply::NoRing))
    }

    /// A write without a word about quorums: at the default level, one at a time.
    fn on_plain_write(
        &mut self,
        id: RequestId,
        mut writes: Vec<crate::replica::Write>,
        context: &mut Context<'_>,
    ) {
        let (Some(write), true) = (writes.pop(), writes.is_empty()) else {
            let refused = WriteError::OneAtATime;
            return context.outbox.reply(id, Reply::Refused(refused), Lsn::ZERO);
        };
        match self.refusal(context) {
            Some(reply) => context.outbox.reply(id, reply, Lsn::ZERO),
            None => self.begin_write(id, write, WriteOptions::default(), Seen::default(), context),
        }
    }

    /// Who holds a partition, and who may stand in, for a write.
    pub(super) fn writers_of(
        &self,
        partition: u16,
        options: &WriteOptions,
        context: &Context<'_>,
    ) -> Replicas<NodeId> {
        let replicas = self.of_both_rings(partition);
        // One that has left, or is still to come, would refuse.
        self.staffed(replicas, partition, options.fallbacks, |node| self.may_stand_in(*node), context)
    }

    /// The same for a read.
    pub(super) fn readers_of(
        &self,
        partition: u16,
        options: &ReadOptions,
        context: &Context<'_>,
    ) -> Replicas<NodeId> {
        let replicas = match options.repair {
            // What it shows every later read is to show, also one by the ring that is to come or has gone: while the
            // ring changes it is read and repaired in both.
            Repair::Before => self.of_both_rings(partition),
            _ => self.of_ring(self.placement.read_set(partition)),
        };
        let replicas = self.staffed(replicas, partition, options.fallbacks, |_| true, context);
        let me = self.placement.me();
        let is_asked = self.placement.read_set(partition).any(|node| node == me);
        if is_asked { replicas.coordinated_by(me) } else { replicas }
    }

    /// The primaries of a partition, while the ring changes those of before and those of after.
    fn of_both_rings(&self, partition: u16) -> Replicas<NodeId> {
        let sets = self.placement.write_sets(partition);
        let replicas = self.of_ring(sets.first);
        match sets.second {
            Some(second) => replicas.jointly_with(self.replicas_of_each(), second),
            None => replicas,
        }
    }

    fn of_ring(&self, primaries: impl Iterator<Item = NodeId>) -> Replicas<NodeId> {
        Replicas::new(self.replicas_of_each(), primaries)
    }

    fn replicas_of_each(&self) -> u32 {
        self.placement.layout().shape().replicas.into()
    }

    fn staffed(
        &self,
        replicas: Replicas<NodeId>,
        partition: u16,
        fallbacks: Fallbacks,
        is_able: impl Fn(&NodeId) -> bool,
        context: &Context<'_>,
    ) -> Replicas<NodeId> {
        let now = context.now.instant;
        let down = self.placement.preference_list(partition).filter(|node| !self.is_live(*node, now));
        let fenced = self.placement.layout().fenced();
        let replicas = replicas.believed_down(down.chain(fenced));
        match fallbacks {
            Fallbacks::Strict => replicas,
            Fallbacks::Sloppy => replicas.with_fallbacks(self.placement.fallbacks(partition).filter(is_able)),
        }
    }

    /// The first node of the preference list that seems alive and may carry out a write. One that is being filled does
    /// that only if none is known that holds what it acknowledged: a write is carried out on top of what is there.
    pub(super) fn first_live(
        &self,
        partition: u16,
        fallbacks: Fallbacks,
        context: &Context<'_>,
    ) -> Option<NodeId> {
        let (me, now) = (self.placement.me(), context.now.instant);
        let holds = |node: &NodeId| self.placement.holds(*node, partition);
        let mut live = self.placement.preference_list(partition).filter(|node| self.is_live(*node, now));
        if holds(&me) {
            if !self.is_being_filled(partition, context) {
                return Some(me);
            }
            return live.find(|node| holds(node) && self.filling.is_whole(*node, partition)).or(Some(me));
        }
        let able: Vec<NodeId> = live
            .filter(|node| {
                let stands_in = fallbacks == Fallbacks::Sloppy && self.may_stand_in(*node);
                stands_in || holds(node)
            })
            .collect();
        let lacks_some = |node: &NodeId| self.filling.is_unfilled(*node, partition);
        let best = able.iter().find(|node| holds(node) && !lacks_some(node));
        best.or(able.first()).copied()
    }
}
