//! One read: whom to ask, for what, when they agree, and who is behind.

mod heard;
mod progress;

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use self::heard::{Heard, Known};
use super::panel::Panel;
use super::write::Phase;
use super::{
    Answer, Digest, Failure, Operation, OptionsError, ReadOptions, Refusal, Replicas, Report, Unmet,
};
use crate::time::Instant;

/// What a node is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Wanted {
    /// The digest of its state.
    Digest,
    /// Its state.
    Whole,
}

/// What is to be done for a read.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadAction<N, T> {
    /// Ask `node`. A node is asked again only after it answered, for its whole state after the digest.
    Ask {
        /// Whom.
        node: N,
        /// For what.
        wanted: Wanted,
        /// The primary for which it may keep a hint; `None` if it is a primary itself.
        in_place_of: Option<N>,
    },
    /// Send `node`, a primary, what it lacks.
    Repair {
        /// Whom.
        node: N,
        /// What it lacks.
        delta: T,
    },
    /// Tell the client. This comes exactly once.
    Reply(Result<Read<N, T>, Unmet<N>>),
    /// Nothing more is expected, and nothing that arrives from now on changes anything.
    Over,
}

/// What a read returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Read<N, T> {
    /// The union of the states that were heard. It covers what everybody holds who counts in the report.
    pub data: Arc<T>,
    /// What the reply rests on.
    pub report: Report<N>,
}

/// The coordinator's part of one read.
///
/// One node is asked for its state and others for digests, as many as are needed. A node *counts* when its state is in
/// the union that is to be returned: its whole state was united, or its digest is that of the union. While all agree,
/// one state and digests are enough. Whoever differs is asked for its whole state; what is returned then covers the
/// states of as many distinct nodes as the level asks for. A digest is only ever compared with one that was
/// computed here, and never stands for data.
///
/// After the reply, late answers still lead to repairs of primaries that are behind. Fallbacks are not repaired: what
/// they know more is brought home, what they know less is not theirs to keep.
///
/// Every input costs O(nodes asked), and what it costs to unite.
///
/// ```
/// use crdt_sync::leaderless::coordinate::{ReadAction, ReadOp, ReadOptions, Replicas, Wanted};
/// # use crdt_sync::leaderless::coordinate::{Answer, Digest};
/// use crdt_sync::time::Instant;
/// # #[derive(Clone, Debug, PartialEq)]
/// # struct Highest(u64);
/// # impl Answer for Highest {
/// #     fn digest(&self) -> Digest { Digest::Of(self.0.into()) }
/// #     fn unite(&mut self, other: &Self) { self.0 = self.0.max(other.0); }
/// #     fn lacking(&self, theirs: &Self) -> Option<Self> { (self.0 > theirs.0).then(|| self.clone()) }
/// # }
///
/// let now = Instant::default();
/// let mut read = ReadOp::new(Replicas::new(3, ["a", "b", "c"]), ReadOptions::QUORUM, now)?;
/// assert_eq!(read.poll(), Some(ReadAction::Ask { node: "a", wanted: Wanted::Whole, in_place_of: None }));
/// assert_eq!(read.poll(), Some(ReadAction::Ask { node: "b", wanted: Wanted::Digest, in_place_of: None }));
/// read.whole("a", Highest(1), now);
/// read.digest("b", Highest(2).digest(), now);
/// assert_eq!(read.poll(), Some(ReadAction::Ask { node: "b", wanted: Wanted::Whole, in_place_of: None }));
/// read.whole("b", Highest(2), now);
/// let Some(ReadAction::Reply(Ok(reply))) = read.poll() else { panic!("two of three have answered") };
/// assert_eq!((&*reply.data, reply.report.copies()), (&Highest(2), 2));
/// assert_eq!(read.poll(), Some(ReadAction::Repair { node: "a", delta: Highest(2) }));
/// assert_eq!(read.poll(), Some(ReadAction::Over));
/// # Ok::<(), crdt_sync::leaderless::coordinate::OptionsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReadOp<N, T> {
    panel: Panel<N, Heard<T>>,
    options: ReadOptions,
    deadline: Instant,
    /// When one more is asked; `None` if all are asked at once.
    speculates_at: Option<Instant>,
    /// How many more than needed are asked.
    extra: usize,
    /// All whole states that were heard, united, and the digest of that.
    union: Option<(Arc<T>, Digest)>,
    phase: Phase,
    actions: VecDeque<ReadAction<N, T>>,
}

impl<N: Ord + Copy, T: Answer> ReadOp<N, T> {
    /// Begins a read. The first actions are ready to be polled.
    ///
    /// Fails if the options can never be met by so many replicas; nothing was begun then.
    pub fn new(replicas: Replicas<N>, options: ReadOptions, now: Instant) -> Result<Self, OptionsError> {
        options.check()?;
        let mut op = Self {
            panel: Panel::new(replicas, options.level, options.primaries, Heard::default)?,
            options,
            deadline: now + options.timeout,
            speculates_at: options.speculate.filter(|wait| !wait.is_zero()).map(|wait| now + wait),
            extra: 0,
            union: None,
            phase: Phase::Deciding,
            actions: VecDeque::new(),
        };
        op.advance();
        Ok(op)
    }

    /// The next thing to do. To be called until there is nothing, after `new` and after each input.
    pub fn poll(&mut self) -> Option<ReadAction<N, T>> {
        self.actions.pop_front()
    }

    /// `node` says what the digest of its state is.
    pub fn digest(&mut self, node: N, digest: Digest, _now: Instant) {
        if let Some(seat) = self.heard_from(node).filter(|seat| seat.state.known.is_none()) {
            seat.state.known = Some(Known::Digest(digest));
            if seat.state.asked == Some(Wanted::Digest) {
                seat.state.asked = None;
            }
            seat.failed = None;
            self.advance();
        }
    }

    /// `node` sends its state.
    pub fn whole(&mut self, node: N, state: T, _now: Instant) {
        let Some(seat) = self.heard_from(node).filter(|seat| !seat.state.is_whole()) else { return };
        let theirs = state.digest();
        let state = Arc::new(state);
        seat.state.known = Some(Known::Whole(state.clone(), theirs));
        seat.state.asked = None;
        seat.failed = None;
        // Also if the digests are equal: it may know of removals that others have not seen.
        match &mut self.union {
            None => self.union = Some((state, theirs)),
            Some((union, digest)) => {
                let united = Arc::make_mut(union);
                united.unite(&state);
                *digest = united.digest();
            }
        }
        self.advance();
    }

    /// `node` has taken in, durably, what a repair sent it.
    pub fn repaired(&mut self, node: N, _now: Instant) {
        let Some(seat) = self.heard_from(node) else { return };
        let Some(delta) = seat.state.repairing.take() else { return };
        seat.state.takes_in(&delta);
        self.advance();
    }

    /// `node` does not do what it was asked for.
    pub fn refused(&mut self, node: N, why: Refusal, _now: Instant) {
        self.lost(node, Failure::Refused(why));
    }

    /// There is no way to `node`, or there is none any more.
    pub fn unreachable(&mut self, node: N, _now: Instant) {
        self.panel.lose(node);
        self.lost(node, Failure::Unreachable);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        if self.phase == Phase::Over {
            return;
        }
        if now >= self.deadline {
            return self.run_out_of_time();
        }
        if self.phase == Phase::Deciding && self.speculates_at.is_some_and(|at| at <= now) {
            self.speculates_at = self.options.speculate.map(|wait| now + wait);
            self.speculate();
        }
    }

    /// When [`tick`](Self::tick) has something to do next; `None` when it is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Over => None,
            Phase::Listening => Some(self.deadline),
            Phase::Deciding => Some(self.speculates_at.map_or(self.deadline, |at| at.min(self.deadline))),
        }
    }

    /// What was reached so far. Once it is over, that is all.
    pub fn report(&self) -> Report<N> {
        Report::of(&self.panel, Operation::Read, self.options.level, |seat| self.counted(seat))
    }

    /// The digest of what would be returned as of now; `None` before any state has come.
    pub fn digest_of_union(&self) -> Option<Digest> {
        self.union.as_ref().map(|(_, digest)| *digest)
    }

    /// The nodes that were sent a repair for which the reply waits.
    pub fn repairing(&self) -> impl Iterator<Item = N> + '_ {
        self.panel.seats.iter().filter(|seat| seat.state.repairing.is_some()).map(|seat| seat.node)
    }

    /// Whether nothing more is expected.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }
}

#[cfg(test)]
mod tests;
