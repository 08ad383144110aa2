//! The conduct of one session, from its opening to its end.

use alloc::vec::Vec;

use replication_log::Lsn;

use super::{AntiEntropy, Ending, Synced, Talk};
use crate::engine::{Context, Event, PeerError};
use crate::node::NodeId;
use crate::reconcile::{self, Allowance, Opening, Session, Terms, bytes_of};
use crate::replica::RunError;
use crate::scope::Scope;
use crate::wire::{self, Message, SessionStep, Standing, StatesPart};

/// So often may a peer say that it is held up before it sends another part.
const MAX_LIFE_SIGNS: u32 = 60;

impl AntiEntropy {
    /// Opens a session over a partition that is free. The tree waits until it is known that something differs.
    pub(super) fn open(&mut self, peer: NodeId, partition: u16, context: &mut Context<'_>) {
        // Ascending, so that the responder knows a late copy of an earlier opening when it sees one.
        self.last_session += 1;
        let id = self.last_session;
        self.begin((peer, partition), id, None, context);
        self.say(partition, |session| Vec::from([SessionStep::Open(session.ours.clone())]), context);
    }

    /// Photographs a partition for a session with a peer, whose standing is known if it opened the session.
    fn begin(
        &mut self,
        (peer, partition): (NodeId, u16),
        id: u64,
        theirs: Option<Standing>,
        context: &mut Context<'_>,
    ) {
        let scope = &Scope::everything();
        let opening = Opening { peer, partition, id, initiator: theirs.is_none(), scope, terms: Terms::Dots };
        let mut session = reconcile::photograph(&opening, context);
        session.trusted = reconcile::may_vouch(peer, context);
        session.theirs = theirs;
        self.schedule.begin((partition, peer));
        let (layout, held_up, life_signs) = (self.layout, false, 0);
        self.sessions.insert(partition, Talk { session, layout, held_up, life_signs });
    }

    /// A peer said something about a session over a partition that exists.
    pub(super) fn hear(
        &mut self,
        peer: NodeId,
        message: wire::Session,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let wire::Session { partition, id, step } = message;
        let ours = self.sessions.get(&partition).map(|talk| (talk.session.peer, talk.session.id));
        match step {
            SessionStep::Open(standing) => return self.on_open((peer, partition), id, standing, context),
            SessionStep::Ask => {
                self.on_ask(peer, partition, context);
                return Ok(());
            }
            _ if ours == Some((peer, id)) => {}
            step => {
                if step.awaits_answer() && self.is_over(peer, id, context) {
                    self.tell(peer, (partition, id), SessionStep::Abort, context);
                }
                return Ok(());
            }
        }
        if let Err(error) = self.on_step(partition, step, context) {
            self.abort(partition, "the peer broke the protocol", context);
            return Err(error);
        }
        self.proceed(partition, context);
        Ok(())
    }

    /// Whether the other side goes on with a session that is over here. Otherwise its opening is still to come.
    fn is_over(&self, peer: NodeId, id: u64, context: &Context<'_>) -> bool {
        context.replica.config.node < peer || self.peers.get(&peer).is_some_and(|peer| id <= peer.opened)
    }

    fn on_ask(&mut self, peer: NodeId, partition: u16, context: &mut Context<'_>) {
        if context.replica.config.node < peer {
            self.schedule.mark((partition, peer), context.now.instant);
            self.freed = true;
        }
    }

    fn on_open(
        &mut self,
        (peer, partition): (NodeId, u16),
        id: u64,
        standing: Standing,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        if context.replica.config.node < peer {
            return Err(PeerError::Unexpected { what: "a session opened by the higher of two nodes" });
        }
        let Some(known) = self.peers.get(&peer) else { return Ok(()) };
        if id == known.opened && known.told_equal {
            self.tell(peer, (partition, id), SessionStep::Done { complete: true }, context);
            return Ok(());
        }
        // An opening that was doubled or late: its session is under way, or over.
        if id <= known.opened {
            return Ok(());
        }
        // The peer opens one at a time: it forgot the earlier one, so this side need not keep it.
        if let Some(earlier) = self.partition_with(peer) {
            self.abort(earlier, "the peer opened another one", context);
        }
        // Who owns what is told by the ring, of which the two may know different versions.
        if !self.schedule.has((partition, peer)) {
            self.tell(peer, (partition, id), SessionStep::Busy, context);
            return Ok(());
        }
        let sound = learn_standing(partition, &standing, context)?;
        if sound && holds_the_same(partition, &standing, context) {
            self.note_opened(peer, id, true);
            self.tell(peer, (partition, id), SessionStep::Done { complete: true }, context);
            self.schedule.begin((partition, peer));
            self.conclude_pair((partition, peer), self.layout, true, context);
            return Ok(());
        }
        if self.sessions.contains_key(&partition) {
            self.tell(peer, (partition, id), SessionStep::Busy, context);
            return Ok(());
        }
        self.note_opened(peer, id, false);
        if !sound {
            self.tell(peer, (partition, id), SessionStep::Abort, context);
            return Ok(());
        }
        self.begin((peer, partition), id, Some(standing), context);
        context.outbox.event(Event::SessionStarted { peer, partition });
        self.say(partition, |session| Vec::from([SessionStep::Accept(session.ours.clone())]), context);
        Ok(())
    }

    fn note_opened(&mut self, peer: NodeId, id: u64, told_equal: bool) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            (peer.opened, peer.told_equal) = (id, told_equal);
        }
    }

    fn on_step(
        &mut self,
        partition: u16,
        step: SessionStep,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let now = context.now.instant;
        let Some(talk) = self.sessions.get_mut(&partition) else { return Ok(()) };
        let session = &mut talk.session;
        let opening = session.initiator && session.theirs.is_none();
        match step {
            SessionStep::Accept(standing) if opening => {
                session.progressed = now;
                let peer = session.peer;
                if learn_standing(partition, &standing, context)? {
                    session.theirs = Some(standing);
                    context.outbox.event(Event::SessionStarted { peer, partition });
                } else {
                    self.abort(partition, "no session can rest on the peer's standing", context);
                }
            }
            // The peer had seen and held the same.
            SessionStep::Done { complete: true } if opening => {
                let at = (partition, session.peer);
                let layout = talk.layout;
                self.let_go(partition, context);
                self.conclude_pair(at, layout, true, context);
            }
            // A peer that let go of a session that is complete here only missed the last word.
            SessionStep::Abort if session.incoming.complete => self.finish(partition, context),
            SessionStep::Abort => self.interrupt(partition, "the peer gave it up", Ending::Failed, context),
            // It never began.
            SessionStep::Busy if opening => {
                let at = (partition, session.peer);
                self.let_go(partition, context);
                self.schedule.end(at, Ending::Busy, now, &mut context.replica.rng);
            }
            SessionStep::States(part) => self.on_states(partition, part, context)?,
            SessionStep::Received { parts } => {
                let before = session.progressed;
                session.hear(
                    SessionStep::Received { parts },
                    context.replica.partition_mut(partition),
                    now,
                )?;
                let waits = session.theirs.is_some() && !session.incoming.has_all();
                if session.progressed == before && waits && talk.life_signs < MAX_LIFE_SIGNS {
                    talk.life_signs += 1;
                    session.progressed = now;
                }
            }
            step => session.hear(step, context.replica.partition_mut(partition), now)?,
        }
        Ok(())
    }

    /// States arrived: they are joined, and what the peer's state lacks is sent back.
    fn on_states(
        &mut self,
        partition: u16,
        part: StatesPart,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let Some(talk) = self.sessions.get_mut(&partition) else { return Ok(()) };
        let session = &mut talk.session;
        // The message that tells where the sender stands was lost or overtaken; both are said again.
        let Some(standing) = session.theirs.clone() else { return Ok(()) };
        if let Some(whole) = session.take_states(part, context.replica.config.limits.max_state)? {
            talk.life_signs = 0;
            let whole = session.admit(partition, whole, context);
            let joined = reconcile::apply(context, |replica, wall| {
                replica.join_by_dots(partition, &whole, &standing, wall)
            });
            if joined.as_ref().is_err_and(RunError::is_want_of_room) {
                self.abort(partition, "there is no room for what the peer's states show", context);
                return Ok(());
            }
            let joined = joined?;
            session.answer(joined, &context.replica.config.limits, context.now.instant);
            context.outbox.event(session.progress());
        }
        self.say(partition, |session| Vec::from([session.received()]), context);
        Ok(())
    }

    /// Does whatever the session has become ready for.
    pub(super) fn proceed(&mut self, partition: u16, context: &mut Context<'_>) {
        let Some(talk) = self.sessions.get(&partition) else { return };
        if talk.session.theirs.is_none() {
            return;
        }
        self.say(partition, |session| session.tree.poll(), context);
        let Some(talk) = self.sessions.get_mut(&partition) else { return };
        if talk.session.plan(context.replica.partition_mut(partition)) {
            self.send_states(partition, context);
            self.conclude(partition, context);
        }
    }

    fn send_states(&mut self, partition: u16, context: &mut Context<'_>) {
        let Self { sessions, throttle, served, .. } = self;
        let Some(talk) = sessions.get_mut(&partition) else { return };
        let limits = &context.replica.config.limits;
        let mut too_large = Vec::new();
        let held = context.replica.partition(partition);
        let steps = talk.session.states_to_send(held, limits, throttle, &mut too_large);
        talk.held_up = !throttle.is_open() && talk.session.has_more_to_send(limits);
        for (item, bytes) in too_large {
            context.outbox.event(Event::StateTooLarge { item, bytes });
        }
        if steps.iter().any(|step| matches!(step, SessionStep::States(_))) {
            *served = partition;
            context.outbox.event(talk.session.progress());
        }
        self.say(partition, |_| steps, context);
    }

    /// Everything arrived: what the peer has seen is taken over, and the session ends when both sides say so.
    fn conclude(&mut self, partition: u16, context: &mut Context<'_>) {
        let Some(talk) = self.sessions.get_mut(&partition) else { return };
        if talk.session.must_conclude() {
            let theirs = talk.session.theirs.as_ref();
            let valid = theirs.is_some_and(|theirs| context.replica.can_keep(partition, theirs));
            let raise = valid && talk.session.accounts_for_all();
            let done = talk.session.conclude(raise);
            if let Some(standing) = talk.session.theirs.as_ref().filter(|_| raise) {
                context.replica.raise_context(partition, standing);
            }
            self.say(partition, |_| Vec::from([done]), context);
        }
        if self.sessions.get(&partition).is_some_and(|talk| talk.session.is_over()) {
            self.finish(partition, context);
        }
    }

    /// The session did all it was for.
    fn finish(&mut self, partition: u16, context: &mut Context<'_>) {
        let Some(talk) = self.let_go(partition, context) else { return };
        let (peer, report) = (talk.session.peer, talk.session.report);
        self.conclude_pair((partition, peer), talk.layout, talk.session.brought_together(), context);
        context.outbox.event(Event::SessionFinished { peer, partition, report });
    }

    fn conclude_pair(
        &mut self,
        (partition, peer): (u16, NodeId),
        layout: u64,
        complete: bool,
        context: &mut Context<'_>,
    ) {
        let ending = if complete { Ending::Complete } else { Ending::Failed };
        self.schedule.end((partition, peer), ending, context.now.instant, &mut context.replica.rng);
        self.synced.push(Synced { partition, peer, layout, complete });
    }

    /// Gives a session up and says so.
    pub(super) fn abort(&mut self, partition: u16, reason: &str, context: &mut Context<'_>) {
        self.say(partition, |_| Vec::from([SessionStep::Abort]), context);
        self.interrupt(partition, reason, Ending::Failed, context);
    }

    /// A session is over before its end. What it merged stays merged.
    pub(super) fn interrupt(
        &mut self,
        partition: u16,
        reason: &str,
        ending: Ending,
        context: &mut Context<'_>,
    ) {
        let Some(talk) = self.let_go(partition, context) else { return };
        let peer = talk.session.peer;
        #[cfg(feature = "_planted_bugs")]
        if let Some(standing) = &talk.session.theirs
            && context.replica.has_bug(crate::PlantedBug::ContextRaisedIncomplete)
        {
            context.replica.raise_context(partition, standing);
        }
        self.schedule.end((partition, peer), ending, context.now.instant, &mut context.replica.rng);
        context.outbox.event(Event::SessionAborted { peer, partition, reason: reason.into() });
    }

    fn let_go(&mut self, partition: u16, context: &mut Context<'_>) -> Option<Talk> {
        let talk = self.sessions.remove(&partition)?;
        context.replica.partition_mut(partition).cells.forget_photograph();
        self.freed = true;
        Some(talk)
    }

    /// Says again what was not answered; states only as fast as any.
    pub(super) fn say_again(&mut self, partition: u16, context: &mut Context<'_>) {
        let Some(talk) = self.sessions.get(&partition) else { return };
        let mut steps = talk.session.unanswered();
        let throttle = &mut self.throttle;
        steps.retain(|step| match step {
            SessionStep::States(part) => {
                let open = throttle.is_open();
                if open {
                    throttle.spend(bytes_of(part));
                }
                open
            }
            _ => true,
        });
        self.say(partition, |_| steps, context);
    }

    /// Sends steps of the session over a partition.
    pub(super) fn say(
        &mut self,
        partition: u16,
        steps: impl FnOnce(&mut Session) -> Vec<SessionStep>,
        context: &mut Context<'_>,
    ) {
        let Some(talk) = self.sessions.get_mut(&partition) else { return };
        let (peer, id) = (talk.session.peer, talk.session.id);
        for step in steps(&mut talk.session) {
            self.tell(peer, (partition, id), step, context);
        }
    }

    /// Sends a step. What it tells is in the journal, so it waits for that.
    pub(super) fn tell(
        &self,
        peer: NodeId,
        (partition, id): (u16, u64),
        step: SessionStep,
        context: &mut Context<'_>,
    ) {
        if let Some(peer) = self.peers.get(&peer) {
            let after: Lsn = context.replica.journal.last();
            let message = Message::Session(wire::Session { partition, id, step });
            context.outbox.send(peer.link, &message, after);
        }
    }
}

/// Checks a peer's standing; when it shows dots of this node's that it never issued, the node takes a fresh
/// identity. Returns whether a session can rest on it.
fn learn_standing(partition: u16, standing: &Standing, context: &mut Context<'_>) -> Result<bool, PeerError> {
    match context.replica.check_standing_by_dots(partition, standing) {
        Err(RunError::Outrun) => reconcile::renew_identity(context),
        Err(RunError::StandingTooLarge) => return Ok(false),
        checked => checked?,
    }
    Ok(true)
}

/// Whether this side has seen what the peer has seen, and holds what it holds.
fn holds_the_same(partition: u16, theirs: &Standing, context: &Context<'_>) -> bool {
    let partition = context.replica.partition(partition);
    let root = partition.cells.root();
    theirs.root == (root.digest, root.count) && theirs.context == partition.context
}
