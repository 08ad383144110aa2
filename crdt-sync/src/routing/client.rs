//! One client's session: what it wrote and saw, and what an answer is worth to it.

use super::lineage::{Holds, Lineage, Loss, Version};
use super::pattern::{Answer, ReadPattern, Route};
use crate::node::NodeId;
use crate::time::Instant;

/// What the router remembers of one client. A session has seen what it wrote.
///
/// Its [version](Self::version) is the token of versioned reads: enough to go on with elsewhere, by
/// [`Session::resume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    seed: u64,
    turn: u64,
    wrote: Option<OwnWrite>,
    seen: Option<Version>,
    pin: Option<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnWrite {
    version: Version,
    at: Instant,
}

/// What an answer is to the session that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an answer that breaks the promise must not be shown"]
pub enum Seen {
    /// The promise of the pattern is kept.
    Kept,
    /// The answer is older than was promised. Do not show it; ask again: a pinned session after [`Session::unpin`],
    /// versioned reads without waiting.
    Behind {
        /// What it had to contain.
        needed: Version,
    },
    /// The node goes on from a log that lacks what was promised. Of a read: do not show it before the loss was told and
    /// [accepted](Session::accept). Of a write: it is in the log, and something before it is not.
    Lost(Loss),
    /// Nobody could say: the node follows a newer leader, of which the router does not know with what it began, and it
    /// did not look in its own log. As [`Seen::Behind`] for a read; a write counts, and what was before it is in doubt.
    Unsure {
        /// What may be lost.
        needed: Version,
    },
}

impl Session {
    /// A session that saw nothing. Sessions with the same seed are pinned to the same nodes: a hash of the user's name
    /// serves users that come by several ways.
    pub const fn new(seed: u64) -> Self {
        Self { seed, turn: 0, wrote: None, seen: None, pin: None }
    }

    /// A session that goes on from a token. Own writes are among it, when they were is not known any more: ask in the
    /// pattern [`ReadPattern::Monotonic`] or [`ReadPattern::Versioned`].
    pub const fn resume(seed: u64, token: Version) -> Self {
        Self { seen: Some(token), ..Self::new(seed) }
    }

    /// What the session rests on: everything it wrote or was shown is in it.
    pub const fn version(&self) -> Option<Version> {
        self.seen
    }

    /// The node its monotonic reads go to.
    pub const fn pin(&self) -> Option<NodeId> {
        self.pin
    }

    /// Its next monotonic read may go elsewhere: the node did not answer, or would not have soon enough what was
    /// asked for.
    pub const fn unpin(&mut self) {
        self.pin = None;
    }

    /// A write was acknowledged.
    ///
    /// It counts as seen, except where its acknowledgement came so late that the session had gone on to a newer leader,
    /// whose log lacks the write ([`Seen::Lost`]) or may lack it ([`Seen::Unsure`]). Otherwise these two say it of what
    /// the session rested on before.
    pub fn wrote(&mut self, lineage: &Lineage, answer: Answer, now: Instant) -> Seen {
        let written = answer.version;
        let own_write = Some(OwnWrite { version: written, at: now });
        match self.seen {
            Some(seen) if seen.epoch > written.epoch => match lineage.survives(written, seen.epoch) {
                Holds::Never => return Seen::Lost(lineage.loss(written, seen.epoch)),
                Holds::NotYet | Holds::Unknown => return Seen::Unsure { needed: written },
                Holds::Yes => self.seen = Some(Version::new(seen.epoch, seen.lsn.max(written.lsn))),
            },
            Some(seen) if seen.epoch < written.epoch => {
                self.seen = Some(written);
                let verdict = went_on_from(lineage, answer, seen);
                if verdict != Seen::Kept {
                    self.wrote = own_write;
                    return verdict;
                }
            }
            // An acknowledgement may be overtaken by another one, or by a read.
            seen => self.seen = seen.filter(|seen| seen.lsn > written.lsn).or(Some(written)),
        }
        // This write and the last one are in one log now, the session's: the greater number contains the other.
        if self.wrote.is_none_or(|last| last.version.lsn <= written.lsn) {
            self.wrote = own_write;
        }
        Seen::Kept
    }

    /// A read was answered: whether that keeps what its route promised. If so, what it was read from counts as seen.
    pub fn saw(&mut self, lineage: &Lineage, route: &Route, answer: Answer) -> Seen {
        let promised = match route.pattern {
            ReadPattern::Any { .. } => None,
            ReadPattern::LeaderAfterOwnWrite { .. } => route.at_least,
            // Not what the route says: an answer that another one overtook would take the session back.
            ReadPattern::Monotonic | ReadPattern::Versioned { .. } => self.seen,
        };
        if let Some(needed) = promised {
            let verdict = judge(lineage, answer, needed);
            if verdict != Seen::Kept {
                return verdict;
            }
        }
        if self.seen.is_none_or(|seen| standing(lineage, answer, seen) == Holds::Yes) {
            self.seen = Some(answer.version);
        }
        Seen::Kept
    }

    /// Gives up what was lost and goes on with what is left of it, so that later reads are at least that.
    pub fn accept(&mut self, loss: Loss) {
        let given_up = |version: &Version| version.epoch < loss.kept.epoch && version.lsn > loss.kept.lsn;
        for version in self.seen.iter_mut().chain(self.wrote.as_mut().map(|wrote| &mut wrote.version)) {
            if given_up(version) {
                *version = loss.kept;
            }
        }
    }

    /// The last own write, and when it was acknowledged.
    pub(super) fn last_write(&self) -> Option<(Version, Instant)> {
        self.wrote.map(|wrote| (wrote.version, wrote.at))
    }

    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Another number for each read.
    pub(super) const fn take_turn(&mut self) -> u64 {
        self.turn = self.turn.wrapping_add(1);
        self.turn
    }

    pub(super) const fn pin_to(&mut self, node: NodeId) {
        self.pin = Some(node);
    }
}

/// Whether the log that was answered from has `needed`: by its own word where the lineage does not know.
fn standing(lineage: &Lineage, answer: Answer, needed: Version) -> Holds {
    let vouched = || answer.vouched.is_some_and(|has| lineage.holds(has, needed) == Holds::Yes);
    match lineage.holds(answer.version, needed) {
        Holds::Unknown if vouched() => Holds::Yes,
        known => known,
    }
}

fn judge(lineage: &Lineage, answer: Answer, needed: Version) -> Seen {
    match standing(lineage, answer, needed) {
        Holds::Yes => Seen::Kept,
        Holds::NotYet => Seen::Behind { needed },
        Holds::Never => Seen::Lost(lineage.loss(needed, answer.version.epoch)),
        Holds::Unknown => Seen::Unsure { needed },
    }
}

/// Whether a leader that acknowledged a write had what the session saw under an older one. The write is a record of
/// its own epoch: as far as the older log goes, it goes before it.
fn went_on_from(lineage: &Lineage, answer: Answer, seen: Version) -> Seen {
    let before = answer.version.lsn.previous().unwrap_or_default();
    if seen.lsn <= before {
        return judge(lineage, answer, seen);
    }
    let loss = lineage.loss(seen, answer.version.epoch);
    let kept = Version::new(loss.kept.epoch, loss.kept.lsn.min(before));
    Seen::Lost(Loss { kept, ..loss })
}
