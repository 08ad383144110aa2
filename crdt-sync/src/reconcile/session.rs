//! One side of a session.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use super::outgoing::Sending;
use super::{Incoming, Opening, Outgoing, TreeTalk};
use crate::collection::CollectionId;
use crate::engine::{Activity, Event, PeerError, SessionReport};
use crate::entry::Position;
use crate::limits::{Limits, Timing};
use crate::merkle::{self, Outcome, Root};
use crate::node::NodeId;
use crate::replica::{Coverage, ItemKey, Joined, Partition};
use crate::time::Instant;
use crate::wire::{SessionStep, Standing, StatesPart};

/// What the two sides of a session tell each other of what they have applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    /// Of every origin all entries up to a head, in order.
    Frontiers,
    /// Dots and nothing else. Nothing follows for a key that only one side holds.
    Dots,
}

/// What the silence of a peer calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Nothing yet.
    Left,
    /// What was not answered is said again.
    Tried,
    /// The session is given up.
    Ended,
}

/// How many bytes of states may be sent.
pub(crate) trait Allowance {
    /// Whether another part may leave.
    fn is_open(&self) -> bool;
    /// A part of so many bytes leaves.
    fn spend(&mut self, bytes: usize);
}

/// As many as there are.
pub(crate) struct Unlimited;

impl Allowance for Unlimited {
    fn is_open(&self) -> bool {
        true
    }

    fn spend(&mut self, _bytes: usize) {}
}

/// A session with one peer over one partition.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) peer: NodeId,
    pub(crate) id: u64,
    pub(crate) initiator: bool,
    terms: Terms,
    /// Where this side stood when its tree was photographed.
    pub(crate) ours: Standing,
    /// The last record of this side's log at that moment.
    since: Lsn,
    /// Where the peer stood; known from its first message on.
    pub(crate) theirs: Option<Standing>,
    /// Whether the peer's frontier may be taken over, as far as what it may do is concerned.
    pub(crate) trusted: bool,
    /// Collections of which states were refused.
    pub(crate) refused: BTreeSet<CollectionId>,
    pub(crate) tree: TreeTalk,
    pub(crate) outgoing: Outgoing,
    pub(crate) incoming: Incoming,
    /// When the session last moved on.
    pub(crate) progressed: Instant,
    /// When things were last said again.
    pub(crate) repeated: Instant,
    pub(crate) report: SessionReport,
}

impl Session {
    pub(super) fn new(
        opening: &Opening<'_>,
        (ours, since): (Standing, Lsn),
        tree: merkle::Session,
        now: Instant,
    ) -> Self {
        let &Opening { peer, id, initiator, terms, .. } = opening;
        Self {
            peer,
            id,
            initiator,
            terms,
            ours,
            since,
            theirs: None,
            trusted: true,
            refused: BTreeSet::new(),
            tree: TreeTalk::new(tree),
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            progressed: now,
            repeated: now,
            report: SessionReport::default(),
        }
    }

    /// Counts this session where it is under way.
    pub(crate) fn add_activity(&self, activity: &mut Activity) {
        let stage = match (&self.theirs, self.outgoing.is_planned(), self.outgoing.sent) {
            (None, ..) => &mut activity.opening,
            (_, false, _) => &mut activity.comparing,
            (.., None) => &mut activity.exchanging,
            (.., Some(_)) => &mut activity.concluding,
        };
        *stage += 1;
    }

    /// Everything is said and heard.
    pub(crate) fn is_over(&self) -> bool {
        self.incoming.complete && self.incoming.done.is_some() && self.outgoing.done.is_some()
    }

    /// Whether this side waits for the other's states before it sends its own: most of what it would send, those show
    /// to be known there. Of the two it is the one that knows less, or else the responder.
    pub(crate) fn holds_back(&self) -> bool {
        let Some(theirs) = &self.theirs else { return true };
        match (covers(&theirs.heads, &self.ours.heads), covers(&self.ours.heads, &theirs.heads)) {
            (true, false) => true,
            (false, true) => false,
            _ => !self.initiator,
        }
    }

    /// How the two sides' frontiers compare, as far as this one knows.
    pub(crate) fn coverage(&self) -> Coverage {
        let Some(theirs) = self.theirs.as_ref().filter(|_| self.terms == Terms::Frontiers) else {
            return Coverage::default();
        };
        Coverage {
            here: covers(&self.ours.heads, &theirs.heads),
            there: covers(&theirs.heads, &self.ours.heads),
            lsn: self.since,
            is_old: false,
        }
    }

    /// Whether both sides took over the other's frontier.
    pub(crate) fn brought_together(&self) -> bool {
        self.incoming.done == Some(true) && self.outgoing.done == Some(true)
    }

    /// Whether the states exchanged account for the whole difference of the two trees.
    ///
    /// Digests in the comparison are short and limits may cut it off; but trees are sums, so what is left of each
    /// side's photographed root after taking out the keys it sent must be the same to the last of 128 bits. Only
    /// then may the peer's frontier be taken over: else a key that was missed would count as removed.
    pub(crate) fn accounts_for_all(&self) -> bool {
        let (Some(theirs), Some((_, weight)), Some((_, false))) =
            (&self.theirs, self.incoming.sent, self.incoming.end)
        else {
            return false;
        };
        self.trusted && root_of(&self.ours).without(self.outgoing.weight()) == root_of(theirs).without(weight)
    }

    /// Once the trees are compared: which states to send. Returns whether that is known now. The comparison is over
    /// then and asks for nothing more, so that nobody looks at the photograph any more.
    pub(crate) fn plan(&mut self, partition: &mut Partition) -> bool {
        if self.outgoing.is_planned() {
            return true;
        }
        let Some(outcome) = self.tree.session.outcome() else {
            return false;
        };
        let (keys, weight) = match outcome {
            Outcome::Converged => (Vec::new(), Root::default()),
            // Whoever holds nothing may also have what came since.
            Outcome::SendAll => (partition.cells.shown_or_new(), root_of(&self.ours)),
            Outcome::Differs(difference) => partition.cells.photographed_behind(&difference.send),
        };
        self.outgoing.plan(keys, weight);
        partition.cells.forget_photograph();
        let stats = self.tree.session.stats();
        self.report.rounds = stats.rounds.into();
        self.report.tree_bytes = stats.bytes_sent + stats.bytes_received;
        true
    }

    /// Takes a step that concerns nothing but the session and its photograph; others are passed over.
    pub(crate) fn hear(
        &mut self,
        step: SessionStep,
        partition: &mut Partition,
        now: Instant,
    ) -> Result<(), PeerError> {
        let moved = match step {
            SessionStep::Tree { index, frame } => {
                if self.has_to_compare() {
                    partition.cells.develop();
                }
                self.tree.hear(index, &frame, partition)?
            }
            SessionStep::Received { parts } => self.outgoing.acknowledge(parts),
            SessionStep::Sent { parts, weight: (digest, count) } => {
                self.incoming.hear_sent(parts, Root { digest, count })?;
                false
            }
            SessionStep::End { parts, left_out } => {
                self.incoming.hear_end(parts, left_out)?;
                false
            }
            SessionStep::Done { complete } => {
                self.incoming.done = Some(complete);
                false
            }
            _ => false,
        };
        if moved {
            self.progressed = now;
        }
        Ok(())
    }

    /// Whether more than the roots has to be compared: they differ, and no side holds nothing.
    fn has_to_compare(&self) -> bool {
        let ours = root_of(&self.ours);
        let theirs = self.theirs.as_ref().map(root_of);
        ours.count > 0 && theirs.is_none_or(|theirs| theirs != ours && theirs.count > 0)
    }

    /// States arrived: those that are complete with them, if it is their turn.
    pub(crate) fn take_states(
        &mut self,
        part: StatesPart,
        max_state: usize,
    ) -> Result<Option<StatesPart>, PeerError> {
        if !self.incoming.expects(part.index) {
            return Ok(None);
        }
        let whole = self.incoming.take(part, max_state)?;
        self.report.states_received += whole.items.len() as u64;
        Ok(Some(whole))
    }

    /// States of the peer's were joined, and what they lack is sent back.
    pub(crate) fn answer(&mut self, joined: Vec<Joined>, limits: &Limits, now: Instant) {
        self.progressed = now;
        if self.outgoing.end.is_none() {
            for joined in joined {
                self.outgoing.answer(joined, limits.max_state);
            }
        }
    }

    /// The states that can be sent now and, after the last of them, word of it. Parts leave as long as the
    /// allowance is open, which is told their bytes. States above the limit are left out and named.
    pub(crate) fn states_to_send(
        &mut self,
        partition: &Partition,
        limits: &Limits,
        allowance: &mut dyn Allowance,
        too_large: &mut Vec<(ItemKey, usize)>,
    ) -> Vec<SessionStep> {
        if self.holds_back() && !self.incoming.has_all_sent() {
            return Vec::new();
        }
        let frontiers = self.terms == Terms::Frontiers;
        let (since, theirs) = (self.since, self.theirs.as_ref().filter(|_| frontiers));
        let mut sending = Sending {
            partition,
            limits,
            is_old: &|key, held| {
                theirs.is_some_and(|at| held.lsn <= since && partition.is_old_to(key, held, &at.heads))
            },
            too_large,
        };
        let mut steps = Vec::new();
        while allowance.is_open()
            && let Some(mut part) = self.outgoing.next_part(&mut sending)
        {
            if frontiers {
                part.ahead = partition.ahead_of(&self.ours.heads);
            }
            self.outgoing.keep(&part);
            allowance.spend(bytes_of(&part));
            self.report.states_sent += part.items.len() as u64;
            steps.push(SessionStep::States(part));
        }
        if self.outgoing.is_drained() {
            if self.outgoing.sent.is_none() {
                let parts = self.outgoing.parts();
                self.outgoing.sent = Some(parts);
                steps.push(self.outgoing.said_sent(parts));
            }
            if self.outgoing.end.is_none() && self.incoming.has_all_sent() {
                let parts = self.outgoing.parts();
                self.outgoing.end = Some(parts);
                steps.push(self.outgoing.said_end(parts));
            }
        }
        steps
    }

    /// Whether another part could leave if the allowance let it.
    pub(crate) fn has_more_to_send(&self, limits: &Limits) -> bool {
        let waits = self.holds_back() && !self.incoming.has_all_sent();
        !waits && self.outgoing.is_planned() && !self.outgoing.is_drained() && self.outgoing.has_room(limits)
    }

    /// Whether everything arrived, and this side has not said so yet.
    pub(crate) fn must_conclude(&self) -> bool {
        self.outgoing.end.is_some() && self.incoming.has_all() && !self.incoming.complete
    }

    /// Everything arrived. Says whether it `accounted` for all, so that what the peer has seen was taken over.
    pub(crate) fn conclude(&mut self, accounted: bool) -> SessionStep {
        self.incoming.complete = true;
        self.report.complete = accounted;
        self.outgoing.done = Some(accounted);
        SessionStep::Done { complete: accounted }
    }

    /// All parts below this arrived here.
    pub(crate) fn received(&self) -> SessionStep {
        SessionStep::Received { parts: self.incoming.parts }
    }

    /// What the silence of the peer calls for.
    pub(crate) fn patience(&mut self, now: Instant, timing: &Timing) -> Patience {
        if now.since(self.progressed) >= timing.session_timeout {
            Patience::Ended
        } else if now.since(self.progressed.max(self.repeated)) >= timing.resend_after {
            self.repeated = now;
            Patience::Tried
        } else {
            Patience::Left
        }
    }

    /// How far the states are, for those who watch.
    pub(crate) fn progress(&self) -> Event {
        Event::SessionProgress {
            peer: self.peer,
            received: self.report.states_received,
            sent: self.report.states_sent,
            to_send: self.outgoing.pending() as u64,
        }
    }

    /// What to say again when the peer has been silent.
    pub(crate) fn unanswered(&self) -> Vec<SessionStep> {
        let mut steps = Vec::new();
        if self.initiator && self.theirs.is_none() {
            steps.push(SessionStep::Open(self.ours.clone()));
        }
        if !self.initiator && (self.tree.heard() < 2 || !self.outgoing.is_acknowledged()) {
            steps.push(SessionStep::Accept(self.ours.clone()));
        }
        if self.incoming.parts == 0 && self.incoming.sent.is_none() {
            steps.extend(self.tree.all());
        }
        steps.extend(self.outgoing.unanswered());
        steps
    }
}

fn root_of(standing: &Standing) -> Root {
    Root { digest: standing.root.0, count: standing.root.1 }
}

/// Whether the heads reach everywhere at least as far as the others.
fn covers(heads: &[(ReplicaId, Position)], others: &[(ReplicaId, Position)]) -> bool {
    others.iter().all(|(origin, other)| {
        let at = heads.binary_search_by_key(origin, |(origin, _)| *origin);
        at.is_ok_and(|at| heads[at].1.sequence >= other.sequence)
    })
}

/// The bytes of keys and states in a part.
pub(crate) fn bytes_of(part: &StatesPart) -> usize {
    part.items.iter().map(|item| item.key.len() + item.state.len()).sum()
}
