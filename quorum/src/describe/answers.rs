//! Pictures of the answers to one request.

use core::fmt;
use core::ops::Deref;

use super::Picture;
use super::bar::bar;
use crate::{AckTally, Answer, Outcome, QuorumSystem, Role, SystemTally};

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
    pub const fn describe(&self) -> Picture<'_, Self> {
        Picture::of(self)
    }
}

impl<N: Ord + Copy + fmt::Display> fmt::Display for Picture<'_, AckTally<N>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        needed(f, tally, tally.required(), |_| true)?;
        if tally.required_primaries() > 0 {
            f.write_str(" primaries ")?;
            needed(f, tally, tally.required_primaries(), |role| role == Role::Primary)?;
        }
        writeln!(f, " {}", outcome(tally.outcome()))?;
        members(f, tally, "primaries", Role::Primary)?;
        members(f, tally, "fallbacks", Role::Fallback)
    }
}

fn needed<N: Ord + Copy>(
    f: &mut fmt::Formatter<'_>,
    tally: &AckTally<N>,
    required: u32,
    counts: impl Fn(Role) -> bool,
) -> fmt::Result {
    let asked = [Answer::Acknowledged, Answer::Waiting, Answer::Failed]
        .into_iter()
        .flat_map(|shown| tally.nodes().filter(move |(_, _, answer)| *answer == shown))
        .filter(|(_, role, _)| counts(*role))
        .map(|(_, _, answer)| (1, mark(answer)));
    bar(f, u64::from(required), "", asked)
}

fn members<N: Ord + Copy + fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    tally: &AckTally<N>,
    title: &str,
    shown: Role,
) -> fmt::Result {
    let mut members = tally.nodes().filter(|(_, role, _)| *role == shown).peekable();
    if members.peek().is_none() {
        return Ok(());
    }
    f.write_str(title)?;
    members.try_for_each(|(node, _, answer)| write!(f, " {node}{}", mark(answer)))?;
    f.write_str("\n")
}

impl<S> SystemTally<S> {
    /// The tally as a picture: what a quorum is, how it stands, and one mark per node of the system.
    ///
    /// `#` acknowledged, `.` owes an answer, `x` failed, `_` was not asked.
    ///
    /// ```
    /// use quorum::{Expr, QuorumSystem, SystemTally};
    ///
    /// let [a, b, c, d] = ["a", "b", "c", "d"].map(Expr::from);
    /// let grid = QuorumSystem::from_reads(a * b + c * d)?;
    /// let mut read = SystemTally::read(&grid).asking_only(grid.set(["a", "b", "c"]));
    /// let _ = (read.ack(&"a")?, read.fail(&"c")?);
    /// assert_eq!(read.describe().to_string(), "read a * b + c * d: pending\nnodes a# b. cx d_\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn describe(&self) -> Picture<'_, Self> {
        Picture::of(self)
    }
}

impl<N, S> fmt::Display for Picture<'_, SystemTally<S>>
where
    N: Ord + Clone + fmt::Display,
    S: Deref<Target = QuorumSystem<N>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tally, system) = (self.tally, self.tally.system());
        let (verb, expr) =
            if tally.is_read() { ("read", system.reads()) } else { ("write", system.writes()) };
        write!(f, "{verb} {expr}: {}\nnodes", outcome(tally.outcome()))?;
        for (place, node) in system.nodes().iter().enumerate() {
            let mark = match place {
                _ if tally.acknowledged().contains(place) => '#',
                _ if tally.waiting().contains(place) => '.',
                _ if tally.asked().contains(place) => 'x',
                _ => '_',
            };
            write!(f, " {node}{mark}")?;
        }
        f.write_str("\n")
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pending => "pending",
        Outcome::Reached => "reached",
        Outcome::Impossible => "impossible",
    }
}

fn mark(answer: Answer) -> char {
    match answer {
        Answer::Acknowledged => '#',
        Answer::Waiting => '.',
        Answer::Failed => 'x',
    }
}
