//! What follows from N, R and W by counting: who must meet whom, and how many may fail.

use core::fmt;

use crate::QuorumConfig;

/// The fewest members that a set of `a` and a set of `b` out of the same `n` have in common: `max(0, a + b - n)`.
///
/// A set cannot be larger than the whole, so `a` and `b` above `n` count as `n`. O(1), no overflow.
///
/// It also answers for sloppy quorums. Acknowledgements of fallbacks overlap with nothing, so what a read and a write
/// are sure to share is `overlap(n, primary acks of the read, primary acks of the write)`.
///
/// ```
/// assert_eq!(quorum::overlap(5, 3, 3), 1);
/// assert_eq!(quorum::overlap(5, 2, 3), 0);
/// assert_eq!(quorum::overlap(u32::MAX, u32::MAX, u32::MAX), u32::MAX);
/// ```
pub const fn overlap(n: u32, a: u32, b: u32) -> u32 {
    let a = if a < n { a } else { n };
    let b = if b < n { b } else { n };
    a.saturating_sub(n - b)
}

/// The smallest number of `n` nodes such that two sets of that size always meet: `floor(n / 2) + 1`.
///
/// A majority of nobody is 1, which nobody can reach. That is the safe reading of an empty membership.
///
/// ```
/// assert_eq!(quorum::majority(5), 3);
/// assert_eq!(quorum::majority(4), 3);
/// ```
pub const fn majority(n: u32) -> u32 {
    n / 2 + 1
}

/// What a configuration promises, in the two questions that matter: do reads meet writes, and do writes meet writes?
///
/// None of the four is linearizability; [`QuorumConfig::describe`] says what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Classification {
    /// `R + W > N` and `2W > N`: a read meets every completed write, and two writes meet each other.
    Strict,
    /// `R + W > N` but `2W <= N`: a read meets every completed write, yet two writes may both complete without a
    /// single replica having seen both.
    SplitWrites,
    /// `R + W <= N` but `2W > N`: two writes meet, yet a read may miss a write that has completed.
    StaleReads,
    /// `R + W <= N` and `2W <= N`: nothing needs to meet; convergence is left to repair and anti-entropy.
    Eventual,
}

impl QuorumConfig {
    /// How many replicas any read shares with any write at least: `max(0, R + W - N)`.
    pub const fn read_write_overlap(&self) -> u32 {
        overlap(self.n(), self.r(), self.w())
    }

    /// How many replicas any two writes share at least: `max(0, 2W - N)`.
    pub const fn write_write_overlap(&self) -> u32 {
        overlap(self.n(), self.w(), self.w())
    }

    /// How many replicas any two reads share at least: `max(0, 2R - N)`.
    pub const fn read_read_overlap(&self) -> u32 {
        overlap(self.n(), self.r(), self.r())
    }

    /// Whether every read meets every completed write: `R + W > N`.
    ///
    /// This is the strict quorum of Gifford, *Weighted voting for replicated data* (1979), for reads. Whether two
    /// writes also meet is a question of its own: [`write_write_overlap`](Self::write_write_overlap).
    pub const fn is_strict(&self) -> bool {
        self.read_write_overlap() > 0
    }

    /// How many replicas may be down while reads still complete: `N - R`.
    pub const fn tolerated_read_failures(&self) -> u32 {
        self.n() - self.r()
    }

    /// How many replicas may be down while writes still complete: `N - W`.
    pub const fn tolerated_write_failures(&self) -> u32 {
        self.n() - self.w()
    }

    /// How many replicas may be down while both reads and writes still complete.
    pub const fn tolerated_failures(&self) -> u32 {
        let (reads, writes) = (self.tolerated_read_failures(), self.tolerated_write_failures());
        if reads < writes { reads } else { writes }
    }

    /// Which of the four kinds of promise this configuration makes.
    pub const fn classification(&self) -> Classification {
        match (self.is_strict(), self.write_write_overlap() > 0) {
            (true, true) => Classification::Strict,
            (true, false) => Classification::SplitWrites,
            (false, true) => Classification::StaleReads,
            (false, false) => Classification::Eventual,
        }
    }
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::SplitWrites => "strict reads, split writes",
            Self::StaleReads => "stale reads",
            Self::Eventual => "eventual",
        })
    }
}
