//! What all runs came to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use crdt_sync_sim::{Coverage, Extras, Failure, Fault, FaultCounts, Phase, Report, Scenario};
use crdt_sync_sim::{name_of_shape, names_of_faults};

use crate::crew::Outcome;

/// After so many seeds every fault must have met every phase.
const SEEDS_FOR_COVERAGE: u64 = 200;

/// The sums of all reports, and the failures by seed.
pub(crate) struct Summary {
    seeds: Range<u64>,
    scenario: Scenario,
    failures: BTreeMap<u64, Box<Failure>>,
    faults: FaultCounts,
    coverage: Coverage,
    sums: BTreeMap<&'static str, u64>,
    least_strikes: Option<u32>,
}

impl Summary {
    pub(crate) fn new(seeds: Range<u64>, scenario: Scenario) -> Self {
        Self {
            seeds,
            scenario,
            failures: BTreeMap::new(),
            faults: FaultCounts::default(),
            coverage: Coverage::default(),
            sums: BTreeMap::new(),
            least_strikes: None,
        }
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Ok(report) => self.add_report(&report),
            Err(failure) => drop(self.failures.insert(failure.seed, failure)),
        }
    }

    /// Of each kind of violation the failure with the lowest seed.
    pub(crate) fn first_of_each_kind(&self) -> impl Iterator<Item = &Failure> {
        let mut kinds = BTreeSet::new();
        self.failures
            .values()
            .map(|failure| &**failure)
            .filter(move |failure| kinds.insert(failure.violation.kind()))
    }

    /// Whether no promise was broken, and everything was tried that had to be.
    pub(crate) fn is_good(&self) -> bool {
        self.failures.is_empty() && self.missing().is_empty()
    }

    fn add_report(&mut self, report: &Report) {
        self.faults += report.faults;
        self.coverage += report.coverage;
        let strikes = self.least_strikes.map_or(report.strikes, |least| least.min(report.strikes));
        self.least_strikes = Some(strikes);
        let counts = [
            ("events", report.events),
            ("commands acknowledged", report.acknowledged),
            ("commands refused", report.refused),
            ("commands without an answer", report.unknown),
            ("reads answered", report.reads),
            ("strikes", report.strikes.into()),
            ("sessions finished", report.sessions),
            ("sessions given up", report.aborted_sessions),
            ("session reads answered", report.session_reads),
            ("session reads in vain", report.behind),
            ("members retired", report.retired),
            ("devices that came back", report.rejoined),
            ("writes made again", report.replayed),
            ("deletions forgotten", report.forgotten),
            ("reads with a promise", report.promised_reads),
            ("hints delivered", report.hints_delivered),
            ("partitions filled", report.filled),
            ("ring changes", report.ring_changes),
            ("ring changes given up", report.ring_changes_given_up),
            ("commits while degraded", report.degraded),
            ("commits given up", report.not_replicated),
            ("new leaders", report.new_leaders),
            ("logs cut", report.cuts),
            ("logs cut below readers", report.losses),
            ("snapshots installed", report.installed),
            ("leaders suspected", report.suspicions),
            ("elections", report.elections),
            ("failovers", report.failovers),
            ("leads handed over", report.handovers),
            ("leases ended", report.leases_ended),
            ("answers withheld", report.withheld),
            ("coordinators without a store", report.stores_lost),
        ];
        for (name, count) in counts {
            *self.sums.entry(name).or_default() += count;
        }
    }

    /// The pairs that had to meet and did not; none when nothing has to.
    fn missing(&self) -> Vec<(Fault, Phase)> {
        let many = self.seeds.end - self.seeds.start >= SEEDS_FOR_COVERAGE;
        let must = many && self.scenario.is_whole() && self.scenario.bug.is_none();
        let missing = self.coverage.missing(self.scenario.topology);
        if must { missing.filter(|(_, phase)| self.scenario.has(*phase)).collect() } else { Vec::new() }
    }

    fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topology = self.scenario.topology;
        let is_tried = |fault: &Fault| topology.excludes(*fault).is_none();
        writeln!(f, "\n{:<28}{:>14}{:>9}   never met", "fault", "times", "phases")?;
        for fault in self.scenario.faults.iter().copied().filter(is_tried) {
            let can_meet = |phase: &Phase| self.scenario.has(*phase) && phase.excludes(fault).is_none();
            let can: Vec<Phase> = Phase::ALL.into_iter().filter(can_meet).collect();
            let met = can.iter().filter(|phase| self.coverage.of(fault, **phase) > 0).count();
            let never = can.iter().filter(|phase| self.coverage.of(fault, **phase) == 0);
            let never: Vec<_> = never.map(|phase| phase.name()).collect();
            let phases = format!("{met}/{}", can.len());
            writeln!(
                f,
                "{fault:<28}{:>14}{phases:>9}   {}",
                grouped(self.faults.of(fault)),
                never.join(" ")
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenario = &self.scenario;
        let (shape, faults) = (name_of_shape(scenario.shape), names_of_faults(&scenario.faults));
        writeln!(
            f,
            "seeds {}..{} of the {} plan, {}: {} nodes, {shape}, {} operations, faults: {faults}",
            self.seeds.start,
            self.seeds.end,
            scenario.size,
            scenario.topology,
            scenario.nodes,
            scenario.operations
        )?;
        if scenario.extras != Extras::none() {
            writeln!(f, "extras: {}", scenario.extras)?;
        }
        if let Some(bug) = scenario.bug {
            writeln!(f, "with a mistake in every engine: {bug}")?;
        }
        writeln!(f)?;
        for (name, count) in &self.sums {
            writeln!(f, "{name:<28}{:>14}", grouped(*count))?;
        }
        if let Some(least) = self.least_strikes {
            writeln!(f, "{:<28}{:>14}", "strikes in the calmest seed", grouped(least.into()))?;
        }
        if !scenario.faults.is_empty() {
            self.write_faults(f)?;
        }
        let missing = self.missing();
        if !missing.is_empty() {
            writeln!(f, "\nMISSING    these never met, so nothing was shown about them:")?;
            for (fault, phase) in missing {
                writeln!(f, "           {fault} while {phase}")?;
            }
        }
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        for failure in self.failures.values() {
            *kinds.entry(failure.violation.kind()).or_default() += 1;
        }
        let kinds: Vec<_> = kinds.into_iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let seeds = self.seeds.end - self.seeds.start;
        write!(f, "\n{} seeds, {} violations", grouped(seeds), grouped(self.failures.len() as u64))?;
        if kinds.is_empty() { Ok(()) } else { write!(f, ": {}", kinds.join(", ")) }
    }
}

/// A number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use crdt_sync_sim::Size;

    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_long_run_with_all_faults_must_have_met_everything_and_a_short_one_need_not() {
        let summary = |end| Summary::new(0..end, Scenario::new(Size::Quick));
        assert!(summary(199).is_good());
        assert!(!summary(200).is_good());
        assert!(summary(200).to_string().contains("power-lost while comparing"));
    }
}
