//! Configurations in plain words, tallies as pictures.

use core::fmt;

use crate::{AckTally, Answer, Classification, Outcome, QuorumConfig, Role};

impl QuorumConfig {
    /// The configuration in plain words: what it promises, what it survives, and what it does not promise.
    ///
    /// ```
    /// let config = quorum::QuorumConfig::new(3, 2, 2)?;
    /// let text = config.describe().to_string();
    /// assert!(text.starts_with("N=3 R=2 W=2: strict\n"));
    /// assert!(text.contains("not linearizability"));
    /// # Ok::<(), quorum::ConfigError>(())
    /// ```
    pub const fn describe(&self) -> Description {
        Description { config: *self }
    }
}

impl<N: Ord + Copy + fmt::Display> AckTally<N> {
    /// The tally as a picture: one mark per node, the bar after the last one needed.
    ///
    /// `#` acknowledged, `.` owes an answer, `x` failed, `_` nobody was asked. Enough is when every mark left of
    /// the bar is a `#`; an `x` or `_` left of the bar can never be filled by waiting.
    ///
    /// ```
    /// let mut write = quorum::QuorumConfig::new(3, 2, 2)?.write_tally(["a", "b", "c"])?;
    /// let _ = write.ack("a")?;
    /// let _ = write.fail("c")?;
    /// assert_eq!(write.describe().to_string(), "[#.|x] pending\nprimaries a# b. cx\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn describe(&self) -> Picture<'_, N> {
        Picture { tally: self }
    }
}

/// The words of [`QuorumConfig::describe`], ready to be displayed.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    config: QuorumConfig,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        writeln!(f, "{config}: {}", config.classification())?;
        match config.read_write_overlap() {
            0 => writeln!(f, "  a read may miss a write that has completed")?,
            shared => writeln!(f, "  a read meets every completed write in at least {}", Replicas(shared))?,
        }
        match config.write_write_overlap() {
            0 => writeln!(f, "  two writes may both complete without meeting in any replica")?,
            shared => writeln!(f, "  two writes meet in at least {}", Replicas(shared))?,
        }
        writeln!(
            f,
            "  reads survive the failure of {}, writes of {}",
            Replicas(config.tolerated_read_failures()),
            Replicas(config.tolerated_write_failures()),
        )?;
        writeln!(f, "  {}", not_promised(config.classification()))
    }
}

fn not_promised(classification: Classification) -> &'static str {
    match classification {
        Classification::Strict => {
            "not linearizability: a write that stopped short of W may be seen by one read and missed by the next"
        }
        Classification::SplitWrites => {
            "not linearizability, and no order of writes: concurrent versions must be kept and merged"
        }
        Classification::StaleReads => {
            "not linearizability, and no reading of one's own writes: a read may return an older value"
        }
        Classification::Eventual => {
            "not linearizability, no order of writes, no reading of one's own writes: only repair makes replicas agree"
        }
    }
}

/// A number of replicas in words that agree with it.
pub(crate) struct Replicas(pub(crate) u32);

impl fmt::Display for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("no replica"),
            1 => f.write_str("1 replica"),
            many => write!(f, "{many} replicas"),
        }
    }
}

/// The picture of [`AckTally::describe`], ready to be displayed.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a, N> {
    tally: &'a AckTally<N>,
}

impl<N: Ord + Copy + fmt::Display> fmt::Display for Picture<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        self.bar(f, tally.required(), |_| true)?;
        if tally.required_primaries() > 0 {
            f.write_str(" primaries ")?;
            self.bar(f, tally.required_primaries(), |role| role == Role::Primary)?;
        }
        f.write_str(match tally.outcome() {
            Outcome::Pending => " pending\n",
            Outcome::Reached => " reached\n",
            Outcome::Impossible => " impossible\n",
        })?;
        self.members(f, "primaries", Role::Primary)?;
        self.members(f, "fallbacks", Role::Fallback)
    }
}

impl<N: Ord + Copy + fmt::Display> Picture<'_, N> {
    fn bar(self, f: &mut fmt::Formatter<'_>, required: u32, counts: impl Fn(Role) -> bool) -> fmt::Result {
        let asked = [Answer::Acknowledged, Answer::Waiting, Answer::Failed]
            .into_iter()
            .flat_map(|shown| self.tally.nodes().filter(move |(_, _, answer)| *answer == shown))
            .filter(|(_, role, _)| counts(*role))
            .map(|(_, _, answer)| mark(answer));
        let mut drawn = 0;
        f.write_str("[")?;
        for mark in asked {
            write!(f, "{mark}")?;
            drawn += 1;
            if drawn == required {
                f.write_str("|")?;
            }
        }
        match required.saturating_sub(drawn) {
            0 => {}
            missing @ 1..=MISSING_DRAWN => {
                for _ in 0..missing {
                    f.write_str("_")?;
                }
                f.write_str("|")?;
            }
            missing => write!(f, "_ x {missing}|")?,
        }
        f.write_str("]")
    }

    fn members(self, f: &mut fmt::Formatter<'_>, title: &str, shown: Role) -> fmt::Result {
        let mut members = self.tally.nodes().filter(|(_, role, _)| *role == shown).peekable();
        if members.peek().is_none() {
            return Ok(());
        }
        f.write_str(title)?;
        for (node, _, answer) in members {
            write!(f, " {node}{}", mark(answer))?;
        }
        f.write_str("\n")
    }
}

/// Absent nodes drawn one by one; beyond that a number, or a picture could be four thousand million marks wide.
const MISSING_DRAWN: u32 = 16;

fn mark(answer: Answer) -> char {
    match answer {
        Answer::Acknowledged => '#',
        Answer::Waiting => '.',
        Answer::Failed => 'x',
    }
}
