//! Runs many seeds and says at which of them a promise was broken.

#![allow(clippy::disallowed_methods, reason = "a command reads its arguments")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

use std::ops::Range;
use std::process::ExitCode;

use crdt_sync::PlantedBug;
use crdt_sync_sim::{Failure, FaultCounts, Plan, Report, simulate};

const USAGE: &str = "\
Runs a cluster in simulated time, once for each seed, and checks what it promises.

usage: simulate [--seeds A..B] [--nodes N] [--steps N] [--bug NAME] [--peaceful] [--verbose]

  --seeds A..B   the seeds to run, B not included (default 0..100)
  --nodes N      how many nodes there are, 2 to 9 (default 3)
  --steps N      how many operations clients begin (default 150)
  --bug NAME     lets every engine make a mistake: effects-ahead-of-disk, frontier-raised-early
  --peaceful     without faults
  --verbose      print what happened, event by event

Ends with code 0 if no promise was broken, with 1 if one was, with 2 if it did not understand.";

/// What the command line asks for.
struct Options {
    seeds: Range<u64>,
    nodes: usize,
    steps: u32,
    bug: Option<(String, PlantedBug)>,
    peaceful: bool,
    verbose: bool,
}

/// What all runs came to.
#[derive(Default)]
struct Totals {
    runs: u64,
    failures: u64,
    faults: FaultCounts,
    events: u64,
    acknowledged: u64,
    refused: u64,
    unknown: u64,
    reads: u64,
    sessions: u64,
    aborted_sessions: u64,
}

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => run(&options),
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            eprintln!("{complaint}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let plan = options.plan();
    let mut totals = Totals::default();
    for seed in options.seeds.clone() {
        match simulate(seed, &plan) {
            Ok(report) => {
                print_lines(&report.trace);
                totals.add(&report);
            }
            Err(failure) => {
                print_lines(&failure.trace);
                println!("VIOLATION {failure}");
                println!("  replay: {}", options.replay(&failure));
                totals.runs += 1;
                totals.failures += 1;
            }
        }
        if totals.runs.is_multiple_of(100) {
            println!("{} seeds, {} violations", totals.runs, totals.failures);
        }
    }
    totals.print();
    if totals.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_lines(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}

impl Options {
    /// `None` when help is asked for.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options =
            Self { seeds: 0..100, nodes: 3, steps: 150, bug: None, peaceful: false, verbose: false };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--seeds" => options.seeds = seeds(&value()?)?,
                "--nodes" => options.nodes = number(&value()?, 2..=9)?,
                "--steps" => options.steps = number(&value()?, 0..=1_000_000)?,
                "--bug" => options.bug = Some(bug(value()?)?),
                "--peaceful" => options.peaceful = true,
                "--verbose" => options.verbose = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("what is {argument}?")),
            }
        }
        Ok(Some(options))
    }

    fn plan(&self) -> Plan {
        let plan = if self.peaceful { Plan::peaceful() } else { Plan::hostile() };
        let mut plan = plan.with_nodes(self.nodes).with_steps(self.steps);
        plan.setup.plant = self.bug.as_ref().map(|(_, bug)| *bug);
        plan.verbose = self.verbose;
        plan
    }

    /// The command that runs into the same violation again, and tells how.
    fn replay(&self, failure: &Failure) -> String {
        let (seed, next) = (failure.seed, failure.seed + 1);
        let bug = self.bug.as_ref().map(|(name, _)| format!(" --bug {name}"));
        let peaceful = if self.peaceful { " --peaceful" } else { "" };
        format!(
            "simulate --seeds {seed}..{next} --nodes {} --steps {}{}{peaceful} --verbose",
            self.nodes,
            self.steps,
            bug.unwrap_or_default()
        )
    }
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.faults += report.faults;
        self.events += report.events;
        self.acknowledged += report.acknowledged;
        self.refused += report.refused;
        self.unknown += report.unknown;
        self.reads += report.reads;
        self.sessions += report.sessions;
        self.aborted_sessions += report.aborted_sessions;
    }

    fn print(&self) {
        println!("faults: {}", self.faults);
        println!(
            "commands: {} acknowledged, {} refused, {} without an answer; {} reads; sessions: {} finished, {} given up",
            self.acknowledged, self.refused, self.unknown, self.reads, self.sessions, self.aborted_sessions
        );
        println!("{} seeds, {} events, {} violations", self.runs, self.events, self.failures);
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    ends.ok_or(format!("{text} is not a range of seeds such as 0..100"))
}

fn number<N: std::str::FromStr + PartialOrd>(
    text: &str,
    allowed: std::ops::RangeInclusive<N>,
) -> Result<N, String> {
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or(format!("{text} is not a number that is allowed here"))
}

fn bug(name: String) -> Result<(String, PlantedBug), String> {
    match name.as_str() {
        "effects-ahead-of-disk" => Ok((name, PlantedBug::EffectsAheadOfDisk)),
        "frontier-raised-early" => Ok((name, PlantedBug::FrontierRaisedEarly)),
        _ => Err(format!("there is no mistake called {name}")),
    }
}
