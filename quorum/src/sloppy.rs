//! What is left of a promise when fallbacks may answer for primaries.

use core::cmp::Ordering;
use core::fmt;

use crate::describe::Replicas;
use crate::{AckTally, Answer, QuorumConfig, Role, SloppyError, TallyError, overlap};

/// A configuration whose acknowledgements may come from fallbacks, except for PR of a read's and PW of a write's.
///
/// Only primaries are sure to be asked by others, so what a read and a write share is `max(0, PR + PW - N)`, however
/// large `R + W` is. With `PR = PW = 0` that is nothing: the write may lie on fallbacks only, as a hint, and the read
/// may ask fallbacks that know nothing of it. `PR + PW > N` makes the quorum strict again, at the price that a sloppy
/// quorum was there to avoid: the operation fails when too few primaries are up.
///
/// The names are those of Riak's `pr` and `pw`. They stand beside R and W: with `W = 1` and `PW = 2` a write waits for
/// two primaries.
///
/// ```
/// use quorum::QuorumConfig;
///
/// let config = QuorumConfig::new(3, 2, 2)?;
/// let sloppy = config.sloppy(0, 0)?;
/// assert_eq!((sloppy.nominal_overlap(), sloppy.guaranteed_overlap()), (1, 0));
///
/// let restored = config.sloppy(2, 2)?;
/// assert!(restored.is_strict());
/// assert_eq!(restored.tolerated_primary_write_failures(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SloppyQuorum {
    config: QuorumConfig,
    pr: u32,
    pw: u32,
}

/// The copies that one finished, or given up, operation has in truth: what to promise about it, and what not.
///
/// Made by [`QuorumConfig::durability`].
///
/// ```
/// use quorum::QuorumConfig;
///
/// let config = QuorumConfig::new(3, 2, 2)?;
/// let mut write = config.write_tally(["a", "b", "c"])?;
/// let _ = write.ask_fallback("d");
/// let _ = write.ack("a")?;
/// let _ = write.ack("d")?; // reached, with one copy where a reader will look
///
/// let durability = config.durability(&write)?;
/// assert_eq!((durability.copies(), durability.primaries(), durability.fallbacks()), (2, 1, 1));
/// assert_eq!(durability.overlap_with(config.r()), 0);
/// assert_eq!(durability.needed_to_meet(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Durability {
    n: u32,
    primaries: u32,
    fallbacks: usize,
}

impl QuorumConfig {
    /// This configuration with sloppy quorums, demanding `pr` primaries of a read and `pw` of a write.
    ///
    /// Fails when more primaries are demanded than there are replicas.
    pub const fn sloppy(self, pr: u32, pw: u32) -> Result<SloppyQuorum, SloppyError> {
        let n = self.n();
        if pr > n {
            return Err(SloppyError::TooManyReadPrimaries { pr, n });
        }
        if pw > n {
            return Err(SloppyError::TooManyWritePrimaries { pw, n });
        }
        Ok(SloppyQuorum { config: self, pr, pw })
    }

    /// The copies that the operation behind `tally` has, whether or not it reached what it required. O(nodes asked).
    ///
    /// Fails when the tally asked more primaries than N: no overlap follows from such answers.
    pub fn durability<N: Ord + Copy>(&self, tally: &AckTally<N>) -> Result<Durability, TallyError> {
        let (given, n) = (tally.asked_primaries(), self.n());
        let fits = |count: usize| u32::try_from(count).ok().filter(|count| *count <= n);
        match (fits(given), fits(tally.primary_acks())) {
            (Some(_), Some(primaries)) => Ok(Durability { n, primaries, fallbacks: tally.fallback_acks() }),
            _ => Err(TallyError::TooManyPrimaries { given, n }),
        }
    }
}

impl SloppyQuorum {
    /// N, R and W.
    pub const fn config(&self) -> QuorumConfig {
        self.config
    }

    /// PR, how many of a read's acknowledgements must come from primaries.
    pub const fn pr(&self) -> u32 {
        self.pr
    }

    /// PW, how many of a write's acknowledgements must come from primaries.
    pub const fn pw(&self) -> u32 {
        self.pw
    }

    /// What `R + W` alone seems to promise, and would if every acknowledgement came from a primary.
    pub const fn nominal_overlap(&self) -> u32 {
        self.config.read_write_overlap()
    }

    /// How many replicas any read shares with any completed write at least: `max(0, PR + PW - N)`.
    pub const fn guaranteed_overlap(&self) -> u32 {
        overlap(self.config.n(), self.pr, self.pw)
    }

    /// How many replicas any two completed writes share at least: `max(0, 2 PW - N)`.
    pub const fn guaranteed_write_overlap(&self) -> u32 {
        overlap(self.config.n(), self.pw, self.pw)
    }

    /// Whether every read meets every completed write although fallbacks may answer: `PR + PW > N`.
    pub const fn is_strict(&self) -> bool {
        self.guaranteed_overlap() > 0
    }

    /// How many more primaries a read and a write must demand between them until they are sure to meet.
    pub const fn missing_primaries(&self) -> u32 {
        let missing = self.config.n() - self.pr;
        if missing < self.pw { 0 } else { (missing - self.pw).saturating_add(1) }
    }

    /// How many distinct nodes hold a write when it completes: the larger of W and PW.
    pub const fn copies(&self) -> u32 {
        if self.config.w() > self.pw { self.config.w() } else { self.pw }
    }

    /// How many primaries may be down while reads still complete, given enough fallbacks: `N - PR`.
    pub const fn tolerated_primary_read_failures(&self) -> u32 {
        self.config.n() - self.pr
    }

    /// How many primaries may be down while writes still complete, given enough fallbacks: `N - PW`.
    pub const fn tolerated_primary_write_failures(&self) -> u32 {
        self.config.n() - self.pw
    }

    /// A tally of the answers to one read, demanding PR primaries among them.
    pub fn read_tally<N: Ord + Copy>(
        &self,
        primaries: impl IntoIterator<Item = N>,
    ) -> Result<AckTally<N>, TallyError> {
        Ok(self.config.read_tally(primaries)?.requiring_primaries(self.pr))
    }

    /// A tally of the acknowledgements of one write, demanding PW primaries among them.
    pub fn write_tally<N: Ord + Copy>(
        &self,
        primaries: impl IntoIterator<Item = N>,
    ) -> Result<AckTally<N>, TallyError> {
        Ok(self.config.write_tally(primaries)?.requiring_primaries(self.pw))
    }
}

impl Durability {
    /// How many distinct nodes hold it: the physical copies, which is what durability means.
    pub fn copies(&self) -> usize {
        self.fallbacks.saturating_add(usize::try_from(self.primaries).unwrap_or(usize::MAX))
    }

    /// How many of them are replicas of the key, where others look for it.
    pub const fn primaries(&self) -> u32 {
        self.primaries
    }

    /// How many of them are fallbacks, from which a hint has yet to bring it home.
    pub const fn fallbacks(&self) -> usize {
        self.fallbacks
    }

    /// How many replicas another operation, answered by `primaries` primaries, shares with this one at least.
    pub const fn overlap_with(&self, primaries: u32) -> u32 {
        overlap(self.n, self.primaries, primaries)
    }

    /// How many primaries another operation must ask to be sure to meet this one; `None` if asking all is not enough,
    /// because no primary has it.
    pub const fn needed_to_meet(&self) -> Option<u32> {
        match self.primaries {
            0 => None,
            held => Some(self.n - held + 1),
        }
    }
}

impl<N: Ord + Copy> AckTally<N> {
    /// How many nodes acknowledged both this operation and `other`: whether the two met in fact, which they may have
    /// done without any promise. O(nodes of both).
    ///
    /// ```
    /// let config = quorum::QuorumConfig::new(3, 2, 2)?;
    /// let (mut write, mut read) = (config.write_tally([1, 2, 3])?, config.read_tally([1, 2, 3])?);
    /// let _ = (write.ack(1)?, write.ack(2)?);
    /// let _ = (read.ack(2)?, read.ack(3)?);
    /// assert_eq!(write.met(&read), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn met(&self, other: &Self) -> usize {
        let mut theirs = other.acknowledged().peekable();
        let shared = self.acknowledged().filter(|mine| {
            while theirs.next_if(|node| node.cmp(mine) == Ordering::Less).is_some() {}
            theirs.next_if(|node| node == mine).is_some()
        });
        shared.count()
    }

    fn acknowledged(&self) -> impl Iterator<Item = N> + '_ {
        self.nodes().filter(|(_, _, answer)| *answer == Answer::Acknowledged).map(|(node, _, _)| node)
    }

    fn asked_primaries(&self) -> usize {
        self.nodes().filter(|(_, role, _)| *role == Role::Primary).count()
    }
}

impl fmt::Display for SloppyQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} PR={} PW={}", self.config, self.pr, self.pw)
    }
}

impl SloppyQuorum {
    /// The sloppy quorum in plain words: what it promises in truth, what it survives, and what would restore it.
    ///
    /// ```
    /// let sloppy = quorum::QuorumConfig::new(3, 2, 2)?.sloppy(0, 1)?;
    /// assert!(sloppy.describe().to_string().contains("3 more primaries"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn describe(&self) -> SloppyDescription {
        SloppyDescription { quorum: *self }
    }
}

/// The words of [`SloppyQuorum::describe`], ready to be displayed.
#[derive(Debug, Clone, Copy)]
pub struct SloppyDescription {
    quorum: SloppyQuorum,
}

impl fmt::Display for SloppyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quorum = &self.quorum;
        writeln!(f, "{quorum}: {}", if quorum.is_strict() { "strict although sloppy" } else { "sloppy" })?;
        match quorum.guaranteed_overlap() {
            0 if quorum.nominal_overlap() > 0 => {
                writeln!(f, "  a read may miss a write that has completed, although R + W exceeds N")?;
            }
            0 => writeln!(f, "  a read may miss a write that has completed")?,
            shared => writeln!(f, "  a read meets every completed write in at least {}", Replicas(shared))?,
        }
        match quorum.guaranteed_write_overlap() {
            0 => writeln!(f, "  two writes may both complete without meeting in any replica")?,
            shared => writeln!(f, "  two writes meet in at least {}", Replicas(shared))?,
        }
        writeln!(
            f,
            "  a completed write has {} distinct copies, {} of them for sure on primaries",
            quorum.copies(),
            quorum.pw,
        )?;
        writeln!(
            f,
            "  with enough fallbacks, reads survive the failure of {}, writes of {}",
            Replicas(quorum.tolerated_primary_read_failures()),
            Replicas(quorum.tolerated_primary_write_failures()),
        )?;
        match quorum.missing_primaries() {
            0 => Ok(()),
            1 => writeln!(f, "  1 more primary demanded, of reads or of writes, would make it strict"),
            more => {
                writeln!(f, "  {more} more primaries demanded, of reads and writes, would make it strict")
            }
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} distinct copies: {} of {} primaries, {} fallbacks; ",
            self.copies(),
            self.primaries,
            self.n,
            self.fallbacks,
        )?;
        match self.needed_to_meet() {
            None => f.write_str("no read is sure to meet it before a hint is delivered"),
            Some(needed) => write!(f, "a read of {needed} primaries is sure to meet it"),
        }
    }
}
