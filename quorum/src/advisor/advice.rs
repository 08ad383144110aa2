//! Which topology to take, and why.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::assessment::Span;
use super::{Assessment, Requirements, Topology};

/// All topologies assessed, and the one to take. Made by [`advise`](super::advise); displays as a table.
///
/// Of the topologies accepted, the recommended one is the first by this order: without conflicts before with; losing
/// less; a shorter outage; the lower mean time of an operation; listed earlier in [`Topology::ALL`].
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// In the order of [`Topology::ALL`].
    assessments: [Assessment; 6],
    recommendation: Option<Recommendation>,
    /// The best of those with the fewest objections, when all have some.
    closest: Topology,
}

/// What sets the recommended topology apart from the next best that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recommendation {
    /// No other meets the requirements.
    OnlyOne(Topology),
    /// One leader orders all writes, so nothing needs to be merged.
    NoConflicts(Topology),
    /// It loses fewer acknowledged writes when replicas fail.
    LosesLess(Topology),
    /// Writes stop for a shorter time when replicas fail.
    ShorterOutage(Topology),
    /// Its operations take less time in the mean.
    Faster(Topology),
    /// Nothing else sets them apart, and it is simpler to reason about.
    Simpler(Topology),
}

impl Advice {
    pub(super) fn of_all(assessments: [Assessment; 6], needs: &Requirements) -> Self {
        let rank = |a: &&Assessment, b: &&Assessment| compare(a, b, needs).0;
        let mut accepted: Vec<&Assessment> = assessments.iter().filter(|found| found.is_accepted()).collect();
        accepted.sort_by(rank);
        let recommendation = match accepted.as_slice() {
            [] => None,
            [only] => Some(Recommendation::OnlyOne(only.topology)),
            [best, next, ..] => Some(compare(best, next, needs).1(best.topology)),
        };
        let fewest = |found: &&Assessment| found.objections.len();
        let closest = assessments.iter().min_by(|a, b| fewest(a).cmp(&fewest(b)).then_with(|| rank(a, b)));
        let closest = closest.map_or(Topology::SingleLeaderSync, |found| found.topology);
        Self { assessments, recommendation, closest }
    }

    /// Every topology assessed, in the order of [`Topology::ALL`].
    pub fn assessments(&self) -> &[Assessment] {
        &self.assessments
    }

    /// What was found of one topology.
    pub fn of(&self, topology: Topology) -> &Assessment {
        let [sync, semi_sync, asynchronous, multi_leader, strict, sloppy] = &self.assessments;
        match topology {
            Topology::SingleLeaderSync => sync,
            Topology::SingleLeaderSemiSync => semi_sync,
            Topology::SingleLeaderAsync => asynchronous,
            Topology::MultiLeader => multi_leader,
            Topology::LeaderlessStrict => strict,
            Topology::LeaderlessSloppy => sloppy,
        }
    }

    /// The topology to take; `None` if none meets the requirements.
    pub fn recommended(&self) -> Option<Topology> {
        self.recommendation.map(Recommendation::topology)
    }

    /// The topology to take and why it rather than the next; `None` if none meets the requirements.
    pub const fn recommendation(&self) -> Option<Recommendation> {
        self.recommendation
    }

    /// The topology with the fewest objections, by the order of recommendation among equals: the recommended one if
    /// there is one, else where to begin to give way.
    pub fn closest(&self) -> Topology {
        self.recommended().unwrap_or(self.closest)
    }
}

impl Recommendation {
    /// Which topology is recommended.
    pub const fn topology(self) -> Topology {
        match self {
            Self::OnlyOne(topology)
            | Self::NoConflicts(topology)
            | Self::LosesLess(topology)
            | Self::ShorterOutage(topology)
            | Self::Faster(topology)
            | Self::Simpler(topology) => topology,
        }
    }
}

type Reason = fn(Topology) -> Recommendation;

/// Which of two comes first, and by what.
fn compare(a: &Assessment, b: &Assessment, needs: &Requirements) -> (Ordering, Reason) {
    let mean = |found: &Assessment| needs.mean_operation(found.read, found.write);
    let steps: [(Ordering, Reason); 5] = [
        (a.conflicts.cmp(&b.conflicts), Recommendation::NoConflicts),
        (a.loss.cmp(&b.loss), Recommendation::LosesLess),
        (a.outage.cmp(&b.outage), Recommendation::ShorterOutage),
        (mean(a).total_cmp(&mean(b)), Recommendation::Faster),
        (a.topology.cmp(&b.topology), Recommendation::Simpler),
    ];
    let differing = steps.into_iter().find(|(order, _)| order.is_ne());
    differing.unwrap_or((Ordering::Equal, Recommendation::Simpler))
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.topology())?;
        f.write_str(match self {
            Self::OnlyOne(_) => "nothing else meets the requirements",
            Self::NoConflicts(_) => "one leader orders all writes, so there are no conflicts to resolve",
            Self::LosesLess(_) => "it loses fewer acknowledged writes than the next best",
            Self::ShorterOutage(_) => {
                "failures stop its writes for a shorter time than those of the next best"
            }
            Self::Faster(_) => "its operations take less time than those of the next best",
            Self::Simpler(_) => "it is simpler to reason about than the next best, and costs the same",
        })
    }
}

const TITLES: [&str; 9] =
    ["topology", "leader or quorums", "waits", "write", "read", "loses", "outage", "stale", "conflicts"];

impl fmt::Display for Advice {
    /// A table of what each topology does, what speaks against those refused, and the recommendation.
    ///
    /// The columns are the fields of [`Assessment`]; of the latencies they show the slowest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Vec::from([TITLES.map(String::from)]);
        rows.extend(self.assessments.iter().map(row));
        let mut widths = [0; TITLES.len()];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        for refused in self.assessments.iter().filter(|found| !found.is_accepted()) {
            writeln!(f, "refused: {}", refused.topology)?;
            for objection in &refused.objections {
                writeln!(f, "  {objection}")?;
            }
        }
        match self.recommendation {
            Some(recommendation) => writeln!(f, "recommended: {recommendation}"),
            None => writeln!(f, "recommended: none meets the requirements, the closest is {}", self.closest),
        }
    }
}

fn row(found: &Assessment) -> [String; TITLES.len()] {
    let quorums = found.quorums.map(|config| format!("R={} W={} of {}", config.r(), config.w(), config.n()));
    [
        found.topology.to_string(),
        found.leader.clone().or(quorums).unwrap_or_else(|| "everywhere".into()),
        Span(found.write_wait).to_string(),
        Span(found.write.slowest).to_string(),
        Span(found.read.slowest).to_string(),
        found.loss.to_string(),
        found.outage.to_string(),
        found.staleness.to_string(),
        if found.conflicts { "yes" } else { "no" }.into(),
    ]
}
