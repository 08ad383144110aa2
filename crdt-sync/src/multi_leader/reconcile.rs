//! Reconciling: how sessions open, move on and end.
//!
//! Of two peers the one with the lower node id opens; a partition is in one session at a time. What a session
//! merges stays merged even if it is given up; only when the states that were exchanged account for the whole
//! difference of the two trees is the peer's frontier taken over.

use alloc::vec::Vec;

use replication_log::Lsn;

use super::MultiLeader;
use super::partial::{photographed, within};
#[cfg(feature = "_planted_bugs")]
use crate::engine::Topology as _;
use crate::engine::{Context, Event, PeerError};
use crate::node::NodeId;
use crate::reconcile::{Patience, Session, Unlimited};
use crate::replica::RunError;
use crate::scope::Scope;
use crate::wire::{self, Message, SessionStep, Standing, StatesPart};

impl MultiLeader {
    /// Opens a session with a peer, if it is this side's turn to and the partition is free.
    pub(super) fn open_session(&mut self, peer: NodeId, number: u16, context: &mut Context<'_>) {
        let now = context.now.instant;
        let may_try = self.lane(peer, number, |lane| lane.not_before <= now) == Some(true);
        if context.replica.config.node > peer || self.sessions.contains_key(&number) || !may_try {
            return;
        }
        // Ascending, so that the responder knows a late copy of an earlier opening when it sees one.
        self.last_session += 1;
        let id = self.last_session;
        let scope = self.peers.get(&peer).map_or_else(Scope::nothing, |peer| peer.scope.clone());
        let session = photographed((peer, &scope), id, true, number, context);
        self.sessions.insert(number, session);
        self.say(number, |session| vec_of(SessionStep::Open(session.ours.clone())), context);
        self.talk(number, context);
    }

    /// A peer said something about a session.
    pub(super) fn on_session(
        &mut self,
        peer: NodeId,
        message: wire::Session,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let wire::Session { partition, id, step } = message;
        super::check_partition(partition, context)?;
        let ours = self.sessions.get(&partition).map(|session| (session.peer, session.id));
        match step {
            SessionStep::Open(standing) => return self.on_open(peer, partition, id, standing, context),
            _ if ours == Some((peer, id)) => {}
            step => {
                if step.awaits_answer() && self.is_over(peer, partition, id, context) {
                    self.answer_stranger(peer, partition, id, SessionStep::Abort, context);
                }
                return Ok(());
            }
        }
        if let Err(error) = self.on_step(partition, step, context) {
            self.abort_session(partition, "the peer broke the protocol", context);
            return Err(error);
        }
        self.proceed(partition, context);
        Ok(())
    }

    /// Whether the other side goes on with a session that is over here. Otherwise its opening is still to come.
    fn is_over(&mut self, peer: NodeId, partition: u16, id: u64, context: &Context<'_>) -> bool {
        let opened = self.lane(peer, partition, |lane| id <= lane.last_session);
        context.replica.config.node < peer || opened == Some(true)
    }

    /// Gives a session up and says so.
    pub(super) fn abort_session(&mut self, number: u16, reason: &str, context: &mut Context<'_>) {
        self.say(number, |_| vec_of(SessionStep::Abort), context);
        self.judge(number, context);
        if let Some(session) = self.end_session(number, context) {
            let (peer, reason) = (session.peer, reason.into());
            context.outbox.event(Event::SessionAborted { peer, partition: number, reason });
        }
    }

    /// Notes how a session with a peer went.
    fn judge(&mut self, number: u16, context: &mut Context<'_>) {
        let (now, heartbeat) = (context.now.instant, context.replica.config.timing.heartbeat);
        let Some(session) = self.sessions.get(&number) else { return };
        let (peer, complete) = (session.peer, session.brought_together());
        self.lane(peer, number, |lane| lane.take_turns(complete, now, heartbeat));
    }

    /// Lets go of a session: the partition takes entries again, and everybody hears how far it is.
    fn end_session(&mut self, number: u16, context: &mut Context<'_>) -> Option<Session> {
        let session = self.sessions.remove(&number)?;
        context.replica.partition_mut(number).cells.forget_photograph();
        self.wake_early(number, context);
        self.tell_all(number, context);
        Some(session)
    }

    /// The session did all it was for.
    fn finish_session(&mut self, number: u16, context: &mut Context<'_>) {
        self.judge(number, context);
        if let Some(session) = self.sessions.get(&number).filter(|session| session.brought_together()) {
            let (peer, theirs) = (session.peer, session.theirs.clone());
            let histories = &context.replica.partition(number).histories;
            let ours = session.ours.heads.iter().copied();
            let ours: Vec<_> = ours.filter(|(origin, _)| histories.is_whole(*origin)).collect();
            self.lane(peer, number, |lane| {
                lane.assume(&ours);
                lane.assume(&theirs.map(|standing| standing.heads).unwrap_or_default());
            });
        }
        if let Some(session) = self.end_session(number, context) {
            let (peer, report) = (session.peer, session.report);
            context.outbox.event(Event::SessionFinished { peer, partition: number, report });
        }
    }

    /// Repeats what was not answered, and gives up sessions that do not move on.
    pub(super) fn check_sessions(&mut self, context: &mut Context<'_>) {
        let timing = context.replica.config.timing;
        let now = context.now.instant;
        let partitions: Vec<u16> = self.sessions.keys().copied().collect();
        for number in partitions {
            match self.sessions.get_mut(&number).map(|session| session.patience(now, &timing)) {
                Some(Patience::Ended) => {
                    self.abort_session(number, "nothing was heard for too long", context);
                }
                Some(Patience::Tried) => self.say(number, |session| session.unanswered(), context),
                Some(Patience::Left) | None => {}
            }
        }
    }

    fn on_open(
        &mut self,
        peer: NodeId,
        number: u16,
        id: u64,
        standing: Standing,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        if context.replica.config.node < peer {
            return Err(PeerError::Unexpected { what: "a session opened by the higher of two nodes" });
        }
        // An opening that was doubled or late: its session is under way, or over.
        let late = self.lane(peer, number, |lane| id <= lane.last_session) == Some(true);
        #[cfg(feature = "_planted_bugs")]
        let late = late && !self.has_bug(crate::PlantedBug::LateOpeningAccepted);
        if late {
            return Ok(());
        }
        match self.sessions.get(&number) {
            // The peer forgot its earlier session, so this side need not keep it.
            Some(session) if session.peer == peer => {
                self.abort_session(number, "the peer opened another one", context);
            }
            Some(_) => {
                self.answer_stranger(peer, number, id, SessionStep::Busy, context);
                return Ok(());
            }
            None => {}
        }
        self.lane(peer, number, |lane| lane.last_session = id);
        if !self.learn_standing(peer, number, &standing, context)? {
            self.answer_stranger(peer, number, id, SessionStep::Abort, context);
            return Ok(());
        }
        let scope = self.peers.get(&peer).map_or_else(Scope::nothing, |peer| peer.scope.clone());
        let mut session = photographed((peer, &scope), id, false, number, context);
        session.theirs = Some(standing);
        self.sessions.insert(number, session);
        context.outbox.event(Event::SessionStarted { peer, partition: number });
        self.say(number, |session| vec_of(SessionStep::Accept(session.ours.clone())), context);
        Ok(())
    }

    fn on_step(
        &mut self,
        number: u16,
        step: SessionStep,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let now = context.now.instant;
        let Some(session) = self.sessions.get_mut(&number) else {
            return Ok(());
        };
        match step {
            SessionStep::Open(_) => {}
            SessionStep::Accept(standing) => {
                if session.initiator && session.theirs.is_none() {
                    session.theirs = Some(standing.clone());
                    session.progressed = now;
                    let peer = session.peer;
                    context.outbox.event(Event::SessionStarted { peer, partition: number });
                    if !self.learn_standing(peer, number, &standing, context)? {
                        self.abort_session(number, "no session can rest on the peer's standing", context);
                    }
                }
            }
            // A peer that let go of a session that is complete here only missed the last word.
            SessionStep::Abort if session.incoming.complete => self.finish_session(number, context),
            // It never began; the peer's next frontier tells when to try again.
            SessionStep::Busy => {
                let (peer, again) = (session.peer, now + context.replica.config.timing.heartbeat / 2);
                self.lane(peer, number, |lane| lane.not_before = again);
                self.end_session(number, context);
            }
            SessionStep::Abort => {
                let (peer, reason) = (session.peer, "the peer gave it up".into());
                self.judge(number, context);
                self.end_session(number, context);
                context.outbox.event(Event::SessionAborted { peer, partition: number, reason });
            }
            SessionStep::States(part) => self.on_states(number, part, context)?,
            step => session.hear(step, context.replica.partition_mut(number), now)?,
        }
        Ok(())
    }

    /// States arrived: they are joined, and what the peer's state lacks is sent back.
    fn on_states(
        &mut self,
        number: u16,
        part: StatesPart,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get_mut(&number) else {
            return Ok(());
        };
        // The message that tells where the sender stands was lost or overtaken; both are said again.
        if session.theirs.is_none() {
            return Ok(());
        }
        let scope = self.peers.get(&session.peer).map(|peer| &peer.scope);
        if let Some(scope) = scope
            && part.items.iter().any(|item| !scope.contains(part.collection, &item.key))
        {
            return Err(RunError::OutOfScope { collection: part.collection }.into());
        }
        if let Some(whole) = session.take_states(part, context.replica.config.limits.max_state)? {
            let whole = session.admit(number, whole, context);
            self.join_states(number, &whole, context)?;
        }
        self.say(number, |session| vec_of(session.received()), context);
        Ok(())
    }

    fn join_states(
        &mut self,
        number: u16,
        whole: &StatesPart,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get_mut(&number) else {
            return Ok(());
        };
        let Some(standing) = &session.theirs else {
            return Ok(());
        };
        let coverage = session.coverage();
        let joined = super::apply(context, |replica, wall| {
            replica.apply_part(number, whole, standing, coverage, wall)
        })?;
        session.answer(joined, &context.replica.config.limits, context.now.instant);
        context.outbox.event(session.progress());
        Ok(())
    }

    /// Does whatever the session has become ready for.
    fn proceed(&mut self, number: u16, context: &mut Context<'_>) {
        self.talk(number, context);
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        if session.theirs.is_none() || !session.plan(context.replica.partition_mut(number)) {
            return;
        }
        self.send_states(number, context);
        self.conclude(number, context);
    }

    /// Says the next frames of the tree comparison.
    fn talk(&mut self, number: u16, context: &mut Context<'_>) {
        self.say(number, |session| session.tree.poll(), context);
    }

    fn send_states(&mut self, number: u16, context: &mut Context<'_>) {
        let limits = &context.replica.config.limits;
        let mut too_large = Vec::new();
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        let partition = context.replica.partition(number);
        let steps = session.states_to_send(partition, limits, &mut Unlimited, &mut too_large);
        for (item, bytes) in too_large {
            context.outbox.event(Event::StateTooLarge { item, bytes });
        }
        if steps.iter().any(|step| matches!(step, SessionStep::States(_))) {
            context.outbox.event(session.progress());
        }
        self.say(number, |_| steps, context);
    }

    /// Everything arrived: the peer's frontier is taken over, and the session ends when both sides say so.
    fn conclude(&mut self, number: u16, context: &mut Context<'_>) {
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        if session.must_conclude() {
            let peer = self.peers.get(&session.peer);
            let theirs = session.theirs.clone().zip(peer);
            let standing = theirs.and_then(|(standing, peer)| within(standing, peer, number));
            let replica = &context.replica;
            // A member may have been retired in the meantime, and what was taken of it so far be all that is valid.
            let valid = standing.as_ref().is_some_and(|at| {
                replica.members.first_above_final(number, &at.heads).is_none() && replica.can_keep(number, at)
            });
            let raise = valid && session.accounts_for_all();
            let done = session.conclude(raise);
            if let Some(standing) = standing.filter(|_| raise) {
                context.replica.raise_frontier(number, standing);
            }
            self.say(number, |_| vec_of(done), context);
        }
        if self.sessions.get(&number).is_some_and(Session::is_over) {
            self.finish_session(number, context);
        }
    }

    /// Checks a peer's standing. Returns whether a session can rest on it: not when the two sides hold different
    /// histories of one identity, because the dots of one would pass for removals of the other's.
    fn learn_standing(
        &mut self,
        peer: NodeId,
        number: u16,
        standing: &Standing,
        context: &mut Context<'_>,
    ) -> Result<bool, PeerError> {
        match context.replica.check_standing(number, standing) {
            Err(RunError::Outrun) => super::renew_identity(context),
            Err(RunError::StandingTooLarge | RunError::Burnt { .. }) => return Ok(false),
            checked => checked?,
        }
        let known = self.peers.get(&peer);
        let claimed = known.and_then(|known| within(standing.clone(), known, number));
        let Some(claimed) = claimed else { return Ok(false) };
        if self.refuses_standing(peer, number, &claimed, context) {
            return Ok(false);
        }
        self.find_forks(peer, number, &standing.heads, context);
        #[cfg(feature = "_planted_bugs")]
        if self.has_bug(crate::PlantedBug::FrontierRaisedEarly) {
            context.replica.raise_frontier(number, standing.clone());
        }
        Ok(self.lane(peer, number, |lane| lane.is_sound()) == Some(true))
    }

    /// After a session the partition takes entries again, and everybody hears how far it is.
    fn tell_all(&mut self, number: u16, context: &mut Context<'_>) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            self.advertise(node, number, context);
        }
    }

    /// Sends steps of the session over a partition. What they tell is in the journal, so they wait for it.
    fn say(
        &mut self,
        number: u16,
        steps: impl FnOnce(&mut Session) -> Vec<SessionStep>,
        context: &mut Context<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        let (peer, id) = (session.peer, session.id);
        let Some(link) = self.peers.get(&peer).map(|peer| peer.link) else {
            return;
        };
        let after = context.replica.journal.last();
        for step in steps(session) {
            context.outbox.send(
                link,
                &Message::Session(wire::Session { partition: number, id, step }),
                after,
            );
        }
    }

    fn answer_stranger(
        &self,
        peer: NodeId,
        partition: u16,
        id: u64,
        step: SessionStep,
        context: &mut Context<'_>,
    ) {
        if let Some(peer) = self.peers.get(&peer) {
            context.outbox.send(
                peer.link,
                &Message::Session(wire::Session { partition, id, step }),
                Lsn::ZERO,
            );
        }
    }
}

fn vec_of(step: SessionStep) -> Vec<SessionStep> {
    Vec::from([step])
}
