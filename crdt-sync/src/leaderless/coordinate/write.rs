//! One write: whom to tell, when it has reached its level, and for whom a hint must be kept.

use alloc::collections::VecDeque;

use quorum::{Answer as Counted, Outcome};

use super::panel::{Panel, Seat};
use super::{
    Cause, Failure, Fallbacks, Operation, OptionsError, Refusal, Replicas, Report, Unmet, WriteOptions,
};
use crate::time::Instant;

/// What is to be done for a write.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteAction<N> {
    /// Ask `node` to keep the write durably and to acknowledge it. It may be asked again with the same words, which
    /// must do no harm there.
    Ask {
        /// Whom.
        node: N,
        /// The primary for which it keeps a hint; `None` if it is a primary itself.
        in_place_of: Option<N>,
    },
    /// Tell the client. This comes exactly once.
    Reply(Result<Report<N>, Unmet<N>>),
    /// Keep a hint for `owner`, a primary that has not got the write and for which no fallback keeps one. Such a hint
    /// never counts as a copy.
    Hint {
        /// Whose copy is missing.
        owner: N,
    },
    /// Nothing more is expected, and nothing that arrives from now on changes anything.
    Over,
}

/// The coordinator's part of one write.
///
/// All primaries that are believed live are asked at once. With [`Fallbacks::Sloppy`], and as long as there was no
/// reply, a distinct fallback is asked in place of each that is down, refuses, cannot be reached, or was asked a second
/// time. The write is known to be reached or impossible by *who* acknowledged and who failed, not by the order.
///
/// An operation that was made can still be dropped: where [`outcome`](Self::outcome) is `Impossible` at once, too few
/// are believed live, and the caller may refuse the write before it exists anywhere.
///
/// Every input costs O(nodes asked).
///
/// ```
/// use crdt_sync::leaderless::coordinate::{Replicas, WriteAction, WriteOp, WriteOptions};
/// use crdt_sync::time::Instant;
///
/// let now = Instant::default();
/// let replicas = Replicas::new(3, ["a", "b", "c"]).coordinated_by("a").believed_down(["c"]);
/// let mut write = WriteOp::new(replicas, WriteOptions::QUORUM, now)?;
/// assert_eq!(write.poll(), Some(WriteAction::Ask { node: "a", in_place_of: None }));
/// assert_eq!(write.poll(), Some(WriteAction::Ask { node: "b", in_place_of: None }));
///
/// write.acknowledged("b", now);
/// assert_eq!(write.poll(), None);
/// write.acknowledged("a", now); // durable here, too
/// let Some(WriteAction::Reply(Ok(report))) = write.poll() else { panic!("two of three have it") };
/// assert_eq!((report.copies(), report.needed_to_meet()), (2, Some(2)));
/// assert_eq!(write.poll(), Some(WriteAction::Hint { owner: "c" }));
/// assert_eq!(write.poll(), Some(WriteAction::Over));
/// # Ok::<(), crdt_sync::leaderless::coordinate::OptionsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct WriteOp<N> {
    panel: Panel<N, Told>,
    options: WriteOptions,
    deadline: Instant,
    phase: Phase,
    actions: VecDeque<WriteAction<N>>,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The outcome is open.
    Deciding,
    /// The reply is out; the rest is for hints and repairs.
    Listening,
    Over,
}

/// What is between the coordinator and one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    NotYet,
    /// It was asked and will be asked again.
    Asked {
        again: Instant,
    },
    /// It was asked, has to see something else first, and will be asked again, even if it is the coordinator itself.
    Behind {
        again: Instant,
    },
    Acknowledged,
}

impl<N: Ord + Copy> WriteOp<N> {
    /// Begins a write. The first actions are ready to be polled.
    ///
    /// Fails if the options can never be met by so many replicas; nothing was begun then.
    pub fn new(replicas: Replicas<N>, options: WriteOptions, now: Instant) -> Result<Self, OptionsError> {
        options.check()?;
        let panel = Panel::new(replicas, options.level, options.primaries, || Told::NotYet)?;
        let deadline = now + options.timeout;
        let actions = VecDeque::new();
        let mut op = Self { panel, options, deadline, phase: Phase::Deciding, actions };
        for place in 0..op.panel.seats.len() {
            if op.panel.seats[place].failed.is_some() {
                op.replace(place, now);
            } else {
                op.ask(place, now);
            }
        }
        op.settle();
        Ok(op)
    }

    /// The next thing to do. To be called until there is nothing, after `new` and after each input.
    pub fn poll(&mut self) -> Option<WriteAction<N>> {
        self.actions.pop_front()
    }

    /// `node` has it durably, and if it is a fallback, the hint, too.
    ///
    /// It counts also when the node had been given up. Strangers and repetitions change nothing.
    pub fn acknowledged(&mut self, node: N, _now: Instant) {
        if self.phase == Phase::Over {
            return;
        }
        let Some(seat) = self.panel.seat(node).filter(|seat| seat.state != Told::NotYet) else { return };
        seat.state = Told::Acknowledged;
        seat.failed = None;
        self.settle();
    }

    /// `node` cannot vouch for it yet, and is to be asked again after the retry interval, even if it is the coordinator
    /// itself.
    pub fn not_yet(&mut self, node: N, now: Instant) {
        let again = now + self.options.retry;
        if let Some(seat) = self.panel.seat(node).filter(|seat| matches!(seat.state, Told::Asked { .. })) {
            seat.state = Told::Behind { again };
        }
    }

    /// `node` may have lost what it acknowledged. It counts no more, and is asked again.
    ///
    /// Of those that acknowledged nothing, and when it is over, nothing changes.
    pub fn forgot(&mut self, node: N, now: Instant) {
        let Some(place) = self.panel.place(node).filter(|_| self.phase != Phase::Over) else { return };
        if self.panel.seats[place].state == Told::Acknowledged {
            self.ask(place, now);
        }
    }

    /// `node` will not keep it.
    pub fn refused(&mut self, node: N, why: Refusal, now: Instant) {
        self.lost(node, Failure::Refused(why), now);
    }

    /// There is no way to `node`, or there is none any more.
    pub fn unreachable(&mut self, node: N, now: Instant) {
        self.panel.lose(node);
        self.lost(node, Failure::Unreachable, now);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        if self.phase == Phase::Over {
            return;
        }
        if now >= self.deadline {
            return self.run_out_of_time();
        }
        for place in 0..self.panel.seats.len() {
            if self.asks_again(&self.panel.seats[place]).is_some_and(|again| again <= now) {
                self.ask(place, now);
                self.replace(place, now);
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do next; `None` when it is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Over {
            return None;
        }
        let again = self.panel.seats.iter().filter_map(|seat| self.asks_again(seat));
        Some(again.fold(self.deadline, Instant::min))
    }

    /// Whether the level is met, can be, or cannot, as of now.
    pub fn outcome(&self) -> Outcome {
        self.panel.outcome(counted)
    }

    /// What was reached so far. Once it is over, that is all.
    pub fn report(&self) -> Report<N> {
        Report::of(&self.panel, Operation::Write, self.options.level, counted)
    }

    /// Whether nothing more is expected.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn ask(&mut self, place: usize, now: Instant) {
        let again = now + self.options.retry;
        let seat = &mut self.panel.seats[place];
        seat.state = Told::Asked { again };
        self.actions.push_back(WriteAction::Ask { node: seat.node, in_place_of: seat.stands_for });
    }

    /// Asks somebody in place of a node that is down or silent, while it can make a difference to the reply. After it,
    /// a hint of the coordinator's own does.
    fn replace(&mut self, place: usize, now: Instant) {
        if self.options.fallbacks == Fallbacks::Sloppy
            && self.phase == Phase::Deciding
            && self.panel.recruit(place, Told::NotYet).is_some()
        {
            self.ask(self.panel.seats.len() - 1, now);
        }
    }

    fn lost(&mut self, node: N, failure: Failure, now: Instant) {
        let Some(place) = self.panel.place(node).filter(|_| self.phase != Phase::Over) else { return };
        let seat = &mut self.panel.seats[place];
        if !seat.is_awaited() {
            return;
        }
        seat.failed = Some(failure);
        self.replace(place, now);
        self.settle();
    }

    /// When `seat` is to be asked again. The coordinator's disk does not lose a question.
    fn asks_again(&self, seat: &Seat<N, Told>) -> Option<Instant> {
        match seat.state {
            Told::Behind { again } if seat.is_awaited() => Some(again),
            Told::Asked { again } if seat.is_awaited() && !self.panel.is_coordinator(seat.node) => {
                Some(again)
            }
            _ => None,
        }
    }

    /// Replies if the outcome is known, and ends if everybody has answered.
    fn settle(&mut self) {
        match self.outcome() {
            Outcome::Reached => self.reply(None),
            Outcome::Impossible => self.reply(Some(Cause::Impossible)),
            Outcome::Pending => {}
        }
        if self.phase == Phase::Listening && !self.panel.seats.iter().any(Seat::is_awaited) {
            self.end();
        }
    }

    fn reply(&mut self, unmet: Option<Cause>) {
        if self.phase == Phase::Deciding {
            self.phase = Phase::Listening;
            let report = self.report();
            let outcome = unmet.map_or(Ok(report.clone()), |cause| Err(Unmet::new(cause, report)));
            self.actions.push_back(WriteAction::Reply(outcome));
        }
    }

    fn run_out_of_time(&mut self) {
        for seat in self.panel.seats.iter_mut().filter(|seat| seat.is_awaited()) {
            seat.failed = Some(Failure::Silent);
        }
        self.reply(Some(Cause::Timeout));
        self.end();
    }

    fn end(&mut self) {
        self.phase = Phase::Over;
        for primary in self.panel.seats.iter().filter(|seat| seat.is_primary()) {
            let owner = primary.node;
            let has_a_copy = |seat: &Seat<N, Told>| seat.owner() == owner && seat.state == Told::Acknowledged;
            if !self.panel.seats.iter().any(has_a_copy) && !self.panel.is_coordinator(owner) {
                self.actions.push_back(WriteAction::Hint { owner });
            }
        }
        self.actions.push_back(WriteAction::Over);
    }
}

impl<N> Seat<N, Told> {
    /// Whether it was asked and still owes an answer.
    fn is_awaited(&self) -> bool {
        self.failed.is_none() && self.state != Told::Acknowledged
    }
}

fn counted<N>(seat: &Seat<N, Told>) -> Counted {
    match seat.state {
        Told::Acknowledged => Counted::Acknowledged,
        _ if seat.failed.is_some() => Counted::Failed,
        _ => Counted::Waiting,
    }
}

#[cfg(test)]
mod tests;
