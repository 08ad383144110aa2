//! A run as a small text file: its seed, its plan in words, and what is left out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::cuts::Cuts;
use crate::extras::Extras;
use crate::plan::Plan;
use crate::scenario::{Scenario, faults_of_names, name_of_shape, names_of_faults, shape_of_name};
use crate::simulation::{self, Report};
use crate::single_leader::{Modes, TakeoverRules};
use crate::topology::Topology;
use crate::violation::Failure;

/// Everything that decides a run. What clients and adversary do is numbered, so a part of it can be left out while the
/// rest stays what it was. Two runs of one schedule are the same, to the byte.
///
/// ```
/// use crdt_sync_sim::{Scenario, Schedule, Size};
///
/// let mut schedule = Schedule::new(7, Scenario::new(Size::Quick));
/// schedule.cuts.operations.extend(10..40);
/// let read: Schedule = schedule.to_string().parse()?;
/// assert_eq!(read, schedule);
/// assert_eq!(read.run()?.digest, schedule.run()?.digest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// All chance of the run.
    pub seed: u64,
    /// Its plan.
    pub scenario: Scenario,
    /// What is left out.
    pub cuts: Cuts,
}

/// Why a text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The first line that counts is not the name and the version of the format.
    #[error("this is not a schedule: it begins with {found:?} and not with {FIRST_LINE:?}")]
    OtherFormat {
        /// What it begins with.
        found: String,
    },
    /// Something that a schedule must say is not said.
    #[error("the schedule does not say its {name}")]
    Missing {
        /// What.
        name: &'static str,
    },
    /// A line says something that schedules do not say, or says it twice.
    #[error("line {line}: a schedule says {name:?} at most once, or not at all")]
    Unexpected {
        /// The line, counted from one.
        line: usize,
        /// What it says.
        name: String,
    },
    /// What is said cannot be understood.
    #[error("the {name} of the schedule: {cause}")]
    Malformed {
        /// Of what.
        name: &'static str,
        /// What is wrong.
        cause: String,
    },
}

const FIRST_LINE: &str = "schedule 1";
const NAMES: [&str; 16] = [
    "seed",
    "topology",
    "plan",
    "nodes",
    "operations",
    "shape",
    "commits",
    "coordinator",
    "election",
    "faults",
    "extras",
    "bug",
    "stop-after",
    "without-operations",
    "without-strikes",
    "without-nodes",
];

impl Schedule {
    /// The whole run of a seed.
    pub fn new(seed: u64, scenario: Scenario) -> Self {
        Self { seed, scenario, cuts: Cuts::default() }
    }

    /// Runs it; fails at the first violation.
    pub fn run(&self) -> Result<Report, Box<Failure>> {
        simulation::run(self.seed, &self.plan(), &self.cuts)
    }

    /// Runs it and keeps the trace.
    pub fn run_verbosely(&self) -> Result<Report, Box<Failure>> {
        simulation::run(self.seed, &Plan { verbose: true, ..self.plan() }, &self.cuts)
    }

    /// How many operations clients begin.
    pub fn operations(&self) -> usize {
        let begun = self.cuts.stop_after.unwrap_or(u32::MAX).min(self.scenario.operations);
        (0..begun).filter(|number| !self.cuts.operations.contains(number)).count()
    }

    fn plan(&self) -> Plan {
        self.scenario.plan(self.seed)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scenario, cuts) = (&self.scenario, &self.cuts);
        writeln!(f, "{FIRST_LINE}")?;
        writeln!(f, "seed {}", self.seed)?;
        if scenario.topology != Topology::default() {
            writeln!(f, "topology {}", scenario.topology)?;
        }
        writeln!(f, "plan {}", scenario.size)?;
        writeln!(f, "nodes {}", scenario.nodes)?;
        writeln!(f, "operations {}", scenario.operations)?;
        writeln!(f, "shape {}", name_of_shape(scenario.shape))?;
        if scenario.modes != Modes::default() {
            writeln!(f, "commits {}", scenario.modes)?;
        }
        if let Some(coordinator) = scenario.takeovers.coordinator {
            writeln!(f, "coordinator {coordinator}")?;
        }
        if let Some(election) = scenario.takeovers.election {
            writeln!(f, "election {election}")?;
        }
        writeln!(f, "faults {}", names_of_faults(&scenario.faults))?;
        writeln!(f, "extras {}", scenario.extras)?;
        if let Some(bug) = scenario.bug {
            writeln!(f, "bug {bug}")?;
        }
        if let Some(stop) = cuts.stop_after {
            writeln!(f, "stop-after {stop}")?;
        }
        write_numbers(f, "without-operations", cuts.operations.iter().map(|number| u64::from(*number)))?;
        write_numbers(f, "without-strikes", cuts.strikes.iter().map(|number| u64::from(*number)))?;
        write_numbers(f, "without-nodes", cuts.nodes.iter().map(|number| *number as u64))
    }
}

/// Ascending numbers, those that follow each other as `first-last`; nothing if there are none.
fn write_numbers(f: &mut fmt::Formatter<'_>, name: &str, numbers: impl Iterator<Item = u64>) -> fmt::Result {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    if ranges.is_empty() {
        return Ok(());
    }
    f.write_str(name)?;
    for (first, last) in ranges {
        if first == last { write!(f, " {first}")? } else { write!(f, " {first}-{last}")? }
    }
    writeln!(f)
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let said = Said::read(text)?;
        let topology = said.may("topology")?.unwrap_or_default();
        let mut scenario = Scenario::new(said.must("plan")?).with_topology(topology);
        scenario.nodes = said.must("nodes")?;
        scenario.operations = said.must("operations")?;
        scenario.shape = said.with("shape", shape_of_name)?.unwrap_or_default();
        scenario.modes = said.may("commits")?.unwrap_or_default();
        scenario.takeovers =
            TakeoverRules { coordinator: said.may("coordinator")?, election: said.may("election")? };
        scenario.faults =
            said.with("faults", faults_of_names)?.ok_or(ScheduleError::Missing { name: "faults" })?;
        // Schedules that were written before there were extras had none.
        scenario.extras = said.may("extras")?.unwrap_or_else(Extras::none);
        scenario.bug = said.may("bug")?;
        let cuts = Cuts {
            stop_after: said.may("stop-after")?,
            operations: said.numbers("without-operations")?,
            strikes: said.numbers("without-strikes")?,
            nodes: said.numbers("without-nodes")?,
        };
        Ok(Self { seed: said.must("seed")?, scenario, cuts })
    }
}

/// What the lines say, by name.
struct Said<'t>(BTreeMap<&'t str, &'t str>);

impl<'t> Said<'t> {
    fn read(text: &'t str) -> Result<Self, ScheduleError> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let first = lines.next().map(|(_, line)| line).unwrap_or_default();
        if first != FIRST_LINE {
            return Err(ScheduleError::OtherFormat { found: first.chars().take(80).collect() });
        }
        let mut said = BTreeMap::new();
        for (line, text) in lines {
            let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            if !NAMES.contains(&name) || said.insert(name, value.trim()).is_some() {
                return Err(ScheduleError::Unexpected { line, name: name.into() });
            }
        }
        Ok(Self(said))
    }

    fn with<T, E: Display>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ScheduleError> {
        let value = self.0.get(name).map(|value| read(value)).transpose();
        value.map_err(|cause| ScheduleError::Malformed { name, cause: cause.to_string() })
    }

    fn may<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<Option<T>, ScheduleError> {
        self.with(name, str::parse)
    }

    fn must<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, ScheduleError> {
        self.may(name)?.ok_or(ScheduleError::Missing { name })
    }

    /// Numbers and ranges of them; a range must not be longer than a run can be.
    fn numbers<T: Ord + TryFrom<u64>>(&self, name: &'static str) -> Result<BTreeSet<T>, ScheduleError> {
        const LONGEST: u64 = 10_000_000;
        let read = |text: &str| {
            let mut numbers = BTreeSet::new();
            for word in text.split_whitespace() {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let number =
                    |text: &str| text.parse().map_err(|_| format!("{word:?} is no range of numbers"));
                let (first, last): (u64, u64) = (number(first)?, number(last)?);
                if first > last || last > LONGEST {
                    return Err(format!("{word:?} is no range of numbers up to {LONGEST}"));
                }
                numbers.extend((first..=last).filter_map(|number| T::try_from(number).ok()));
            }
            Ok(numbers)
        };
        Ok(self.with(name, read)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use crdt_sync::PlantedBug;

    use super::*;
    use crate::scenario::Size;

    fn schedule() -> Schedule {
        let scenario = Scenario::new(Size::Full).with_bug(PlantedBug::LogFloorIgnored);
        let mut schedule = Schedule::new(u64::MAX, Scenario { shape: None, ..scenario });
        schedule.cuts.operations.extend([0, 1, 2, 7, 9, 10]);
        schedule.cuts.strikes.insert(3);
        schedule.cuts.nodes.insert(4);
        schedule.cuts.stop_after = Some(130);
        schedule
    }

    #[test]
    fn a_schedule_is_read_back_as_it_was_written() {
        let text = schedule().to_string();
        assert!(text.contains("\nwithout-operations 0-2 7 9-10\n"), "{text}");
        assert_eq!(text.parse(), Ok(schedule()));
        assert_eq!(format!("# why it is here\n\n{text}").parse(), Ok(schedule()), "comments are left out");
        assert_eq!(schedule().operations(), 124);
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        let refused = |from: &str, to: &str| {
            let text = schedule().to_string().replace(from, to);
            text.parse::<Schedule>().unwrap_err().to_string()
        };
        assert!(refused("schedule 1", "schedule 9").contains("\"schedule 9\" and not with \"schedule 1\""));
        assert_eq!(refused("nodes 5", ""), "the schedule does not say its nodes");
        assert!(refused("nodes 5", "nodes many").starts_with("the nodes of the schedule: "));
        assert!(refused("nodes 5", "nodes 5\nnodes 6").starts_with("line 5: "));
        assert!(refused("bug ", "bag ").contains("\"bag\""));
        assert!(refused("9-10", "10-9").contains("\"10-9\" is no range"));
        assert!(refused("9-10", "9-99999999999").contains("up to"));
    }
}
