//! What one operation reached, as it is and not as it was asked for.

mod words;

use alloc::boxed::Box;
use alloc::vec::Vec;

use quorum::{Answer as Counted, Durability, Level, QuorumConfig};

use super::panel::{Need, Panel, Seat};
pub use words::Staleness;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A read: what it covers are the states of those who answered.
    Read,
    /// A write: what it has are copies on those who acknowledged.
    Write,
}

/// Why a node said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// It has too much to do.
    Overloaded,
    /// It knows another ring, by which it is not asked.
    OtherRing,
    /// It is no replica of the key and keeps no hints for others.
    NotAReplica,
    /// It may not do what was asked for this peer.
    Denied,
    /// It could not read or write its disk.
    Storage,
    /// What it was sent is larger than it takes.
    TooLarge,
    /// It has not seen all that was seen elsewhere of what is to be removed. It will have before long.
    Behind,
    /// Its store began with nothing, and is being filled with what it may have acknowledged before: it takes writes,
    /// and has nothing to say yet to whoever reads, or wants a write to be carried out that depends on what is there.
    Filling,
}

/// Why a node did not answer as it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// It said no.
    Refused(Refusal),
    /// There was no way to it, or there was none any more.
    Unreachable,
    /// It was believed down from the start and was not asked.
    BelievedDown,
    /// It had not answered when time was up. It may have done what it was asked for.
    Silent,
}

/// What one operation reached in truth: which nodes, what others are sure to see of it, and what they may miss.
///
/// Distinct nodes are counted. Only primaries are sure to be asked by others, so overlap is counted among those that
/// acknowledged; while the ring changes, it is that of the set with the lowest.
///
/// ```
/// use crdt_sync::leaderless::coordinate::{Replicas, WriteAction, WriteOp, WriteOptions};
/// use crdt_sync::time::Instant;
/// use quorum::Level;
///
/// let now = Instant::default();
/// let mut write = WriteOp::new(Replicas::new(3, ["a", "b", "c"]), WriteOptions::ONE, now)?;
/// write.acknowledged("b", now);
/// let report = write.report();
/// assert_eq!(report.primaries(), ["b"]);
/// assert!(report.is_eventual()); // a read at ONE may ask another node
/// assert_eq!((report.overlap_with(Level::All), report.needed_to_meet()), (1, Some(3)));
/// assert!(report.to_string().contains("a read at ONE may miss it"));
/// # Ok::<(), crdt_sync::leaderless::coordinate::OptionsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report<N> {
    operation: Operation,
    level: Level,
    sets: Vec<Reached>,
    primaries: Vec<N>,
    fallbacks: Vec<(N, N)>,
    failed: Vec<(N, Failure)>,
    waiting: Vec<N>,
}

/// What was reached in one set of primaries.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reached {
    config: QuorumConfig,
    required_primaries: u32,
    durability: Durability,
}

impl<N: Ord + Copy> Report<N> {
    pub(super) fn of<S>(
        panel: &Panel<N, S>,
        operation: Operation,
        level: Level,
        counted: impl Fn(&Seat<N, S>) -> Counted,
    ) -> Self {
        let reached = |need: &Need<N>| -> Option<Reached> {
            let Need { config, required_primaries, .. } = need;
            // A tally of no more primaries than N, which was checked in the beginning, is not refused.
            let durability = config.durability(&panel.tally(need, &counted)).ok()?;
            Some(Reached { config: *config, required_primaries: *required_primaries, durability })
        };
        let mut report = Self {
            operation,
            level,
            sets: panel.needs().iter().filter_map(reached).collect(),
            primaries: Vec::new(),
            fallbacks: Vec::new(),
            failed: Vec::new(),
            waiting: Vec::new(),
        };
        for seat in &panel.seats {
            match (counted(seat), seat.stands_for, seat.failed) {
                (Counted::Acknowledged, None, _) => report.primaries.push(seat.node),
                (Counted::Acknowledged, Some(owner), _) => report.fallbacks.push((seat.node, owner)),
                (_, _, Some(failure)) => report.failed.push((seat.node, failure)),
                _ => report.waiting.push(seat.node),
            }
        }
        report
    }
}

impl<N> Report<N> {
    /// What it is about.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The level that was asked for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// How many distinct nodes count.
    pub fn copies(&self) -> usize {
        self.primaries.len() + self.fallbacks.len()
    }

    /// The primaries among them, of both rings while the ring changes.
    pub fn primaries(&self) -> &[N] {
        &self.primaries
    }

    /// The fallbacks among them, each with the primary for which it stands in.
    pub fn fallbacks(&self) -> &[(N, N)] {
        &self.fallbacks
    }

    /// Who failed, and why.
    pub fn failed(&self) -> &[(N, Failure)] {
        &self.failed
    }

    /// Who owed an answer still, or was not needed.
    pub fn waiting(&self) -> &[N] {
        &self.waiting
    }

    /// What was reached in each set of primaries: one, or two while the ring changes.
    pub fn durability(&self) -> impl Iterator<Item = Durability> + '_ {
        self.sets.iter().map(|set| set.durability)
    }

    /// How many primaries an operation at `level` that counts primaries only is sure to share with this one; 0 if the
    /// level can never be met.
    pub fn overlap_with(&self, level: Level) -> u32 {
        let of_set = |set: &Reached| set.durability.overlap_with(level.resolve(set.config.n()).unwrap_or(0));
        self.sets.iter().map(of_set).min().unwrap_or(0)
    }

    /// How many primaries another operation must ask, in each set, to be sure to meet this one; `None` if no number is
    /// enough.
    pub fn needed_to_meet(&self) -> Option<u32> {
        let needed: Option<Vec<u32>> = self.sets.iter().map(|set| set.durability.needed_to_meet()).collect();
        needed?.into_iter().max()
    }

    /// Whether nothing promises that another operation at the same level meets this one: convergence is left to hints,
    /// repair and anti-entropy.
    pub fn is_eventual(&self) -> bool {
        self.overlap_with(self.level) == 0
    }

    /// How stale an operation at `level` leaves its reader, beside this one: a read at that level after this write, or
    /// this read after a write at that level.
    pub fn staleness(&self, level: Level) -> Staleness {
        let of_set = |set: &Reached| {
            let (n, reached) = (set.config.n(), set.durability.primaries());
            QuorumConfig::new(n, level.resolve(n).unwrap_or(0), reached).ok()
        };
        let configs: Option<Vec<_>> = self.sets.iter().map(of_set).collect();
        let worst = configs.and_then(|configs| {
            configs
                .into_iter()
                .max_by(|a, b| a.miss_probability().get().total_cmp(&b.miss_probability().get()))
        });
        Staleness::new(self.operation, level, worst)
    }
}

/// Why an operation did not reach its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Too many failed: even if all others answered, it would not be enough.
    Impossible,
    /// Too few had answered when time was up.
    Timeout,
    /// Enough answered a read, but too few primaries could be brought to what it found to return it.
    NotRepaired,
}

/// An operation did not reach its level, and this is what it did reach.
///
/// A write is *not* taken back: the nodes that have it keep it, hints bring it to others, and a later read may return
/// it. To write the same again is safe where the write is idempotent.
///
/// ```
/// use crdt_sync::leaderless::coordinate::{Cause, Replicas, WriteAction, WriteOp, WriteOptions};
/// use crdt_sync::time::Instant;
///
/// let now = Instant::default();
/// let mut write = WriteOp::new(Replicas::new(3, ["a", "b", "c"]), WriteOptions::ALL, now)?;
/// write.acknowledged("a", now);
/// write.unreachable("c", now);
/// let reply = core::iter::from_fn(|| write.poll()).find_map(|action| match action {
///     WriteAction::Reply(reply) => Some(reply),
///     _ => None,
/// });
/// let unmet = reply.and_then(Result::err).expect("c cannot be reached");
/// assert_eq!((unmet.cause(), unmet.report().copies()), (Cause::Impossible, 1));
/// assert!(unmet.to_string().contains("may still be there"));
/// # Ok::<(), crdt_sync::leaderless::coordinate::OptionsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Unmet<N> {
    cause: Cause,
    /// Boxed, so that what seldom happens does not make every result large.
    report: Box<Report<N>>,
}

impl<N> Unmet<N> {
    pub(super) fn new(cause: Cause, report: Report<N>) -> Self {
        Self { cause, report: Box::new(report) }
    }

    /// Why.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// What was reached.
    pub fn report(&self) -> &Report<N> {
        &self.report
    }
}
