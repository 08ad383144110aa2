//! Members among peers: what each knows is told to the others until all know the same.
//!
//! Peers say all they know when they meet, and again whenever it changes; whoever asked is answered, and both remember
//! when they found to know the same. So any loss is made up for by the next heartbeat, and in silence nothing is said.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use super::MultiLeader;
use crate::engine::{Context, Event, PeerError, Reply, RequestId};
use crate::membership::{Membership, News};
use crate::node::NodeId;
use crate::wire::{Members, Message, Standing};

impl MultiLeader {
    /// An administrator retires a node; answered when that is durable.
    pub(crate) fn retire(&mut self, id: RequestId, node: NodeId, context: &mut Context<'_>) {
        if context.outbox.waiting() >= context.replica.config.limits.max_waiting {
            return context.outbox.reply(id, Reply::Overloaded, Lsn::ZERO);
        }
        match context.replica.retire(node) {
            Ok(news) => {
                self.spread(&news, context);
                context.outbox.reply(id, Reply::MemberRetired, context.replica.members.lsn());
            }
            Err(error) => context.outbox.reply(id, Reply::NotRetired(error), Lsn::ZERO),
        }
    }

    /// Notes a node that greeted, and tells it what is known of members.
    pub(super) fn meet(&mut self, node: NodeId, context: &mut Context<'_>) {
        let news = context.replica.meet(node);
        self.spread(&news, context);
        self.tell_members(node, true, context);
    }

    /// A peer said what it knows of members.
    pub(super) fn on_members(
        &mut self,
        peer: NodeId,
        members: &Members,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        context.replica.admit_members(&members.known)?;
        let believed = self.believed(peer, &members.known, context);
        let news = context.replica.learn_members(&believed);
        let here = &context.replica.members;
        if let Some(known) = self.peers.get_mut(&peer).filter(|_| *here.membership() == members.known) {
            known.agreed_members = Some(here.version());
        }
        self.spread(&news, context);
        if members.ask {
            self.tell_members(peer, false, context);
        }
        Ok(())
    }

    /// What a peer says of members, without those that it says are retired and is not believed, and without identities
    /// that are another node's here, which would be retired with the node they are said to be of. How much is valid of
    /// a node that is known to be retired anybody may say: who applied more of it has it.
    fn believed<'m>(
        &mut self,
        peer: NodeId,
        theirs: &'m Membership,
        context: &mut Context<'_>,
    ) -> Cow<'m, Membership> {
        let authorization = &context.replica.config.authorization;
        if authorization.is_open() {
            return Cow::Borrowed(theirs);
        }
        let here = context.replica.members.membership();
        let is_believed = |node| authorization.believes_retired(peer, node);
        let is_news = |node: &NodeId| theirs.is_retired(*node) && !here.is_retired(*node);
        let told = theirs.iter().map(|(node, _)| node);
        let refused: BTreeSet<NodeId> = told.filter(is_news).filter(|node| !is_believed(*node)).collect();
        let believed = theirs.without(&refused).without_identities_of(here, |owner| !is_believed(owner));
        let limit = context.replica.config.limits.max_members;
        if let Some(known) = self.peers.get_mut(&peer) {
            for node in refused {
                if known.disbelieved.len() < limit && known.disbelieved.insert(node) {
                    context.outbox.event(Event::RetirementRefused { peer, node });
                }
            }
        }
        Cow::Owned(believed)
    }

    /// Tells a peer what is known of members if it is not known to know the same, and asks for the same.
    pub(super) fn remind_of_members(&mut self, peer: NodeId, context: &mut Context<'_>) {
        if !self.agrees_on_members(peer, context) {
            self.tell_members(peer, true, context);
        }
    }

    /// A peer sent what lies beyond the final frontier of a retired origin. It is not to blame: it may not have heard,
    /// or know of more that is valid. It is told once what is known here, and asked.
    pub(super) fn refuse_retired(
        &mut self,
        peer: NodeId,
        number: u16,
        origin: ReplicaId,
        context: &mut Context<'_>,
    ) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.refused.insert((number, origin)) {
            context.outbox.event(Event::RetiredRefused { peer, origin, partition: number });
            self.tell_members(peer, true, context);
        }
    }

    /// Whether a peer's standing rests on entries that are not valid: then no session can, until both sides agree on
    /// how far they are.
    pub(super) fn refuses_standing(
        &mut self,
        peer: NodeId,
        number: u16,
        standing: &Standing,
        context: &mut Context<'_>,
    ) -> bool {
        let origin = context.replica.members.first_above_final(number, &standing.heads);
        if let Some(origin) = origin {
            self.refuse_retired(peer, number, origin, context);
        }
        origin.is_some()
    }

    /// Says what is new, and passes it on.
    pub(super) fn spread(&mut self, news: &News, context: &mut Context<'_>) {
        if !news.change().is_changed() {
            return;
        }
        for &node in &news.joined {
            context.outbox.event(Event::MemberJoined { node });
        }
        for &node in &news.retired {
            let myself = node == context.replica.config.node;
            context.outbox.event(if myself { Event::Evicted } else { Event::MemberRetired { node } });
        }
        if context.replica.members.is_evicted() {
            return;
        }
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            if !self.agrees_on_members(node, context) {
                self.tell_members(node, false, context);
            }
            self.take_again(node, context);
        }
    }

    /// What was refused may be valid by now: the peer is asked to send it again.
    fn take_again(&mut self, peer: NodeId, context: &mut Context<'_>) {
        let refused = self.peers.get_mut(&peer).map(|known| core::mem::take(&mut known.refused));
        for (number, _) in refused.into_iter().flatten() {
            self.lane(peer, number, |lane| lane.must_rewind = true);
            self.advertise(peer, number, context);
        }
    }

    fn agrees_on_members(&self, peer: NodeId, context: &Context<'_>) -> bool {
        let agreed = self.peers.get(&peer).and_then(|known| known.agreed_members);
        agreed == Some(context.replica.members.version())
    }

    fn tell_members(&self, peer: NodeId, ask: bool, context: &mut Context<'_>) {
        if let Some(known) = self.peers.get(&peer) {
            let members = Members { ask, known: context.replica.members.membership().clone() };
            let after = context.replica.members.lsn();
            context.outbox.send(known.link, &Message::Members(members), after);
        }
    }
}
