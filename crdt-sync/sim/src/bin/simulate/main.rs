//! Runs many seeds and says at which of them a promise was broken.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]
#![allow(clippy::disallowed_methods, reason = "a command has threads, files and a clock")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

mod args;
mod crew;
mod summary;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use crdt_sync_sim::{Failure, Schedule, shrink};

use args::{Args, COMMAND};
use summary::Summary;

/// In how many runs a failure is made smaller.
const SHRINK_RUNS: u32 = 400;

fn main() -> ExitCode {
    let args = Args::parse();
    // What panics is a violation, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = match &args.replay {
        Some(file) => replay(file),
        None => run(&args),
    };
    outcome.unwrap_or_else(|complaint| {
        eprintln!("error: {complaint}");
        ExitCode::from(2)
    })
}

/// Runs a schedule from its file, and tells it event by event.
fn replay(file: &Path) -> Result<ExitCode, String> {
    let wrong = |cause: String| format!("{}: {cause}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let schedule: Schedule =
        text.parse().map_err(|error: crdt_sync_sim::ScheduleError| wrong(error.to_string()))?;
    match schedule.run_verbosely() {
        Ok(report) => {
            print_lines(&report.trace);
            println!("\nno violation; digest {:032x}", report.digest);
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            print_lines(&failure.trace);
            println!("\nVIOLATION  {failure}\n  digest   {:032x}", failure.digest);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, String> {
    let scenario = args.scenario()?;
    let mut summary = Summary::new(args.seeds.clone(), scenario.clone());
    if args.verbose {
        for seed in args.seeds.clone() {
            let outcome = Schedule::new(seed, scenario.clone()).run_verbosely();
            print_lines(outcome.as_ref().map_or_else(|failure| &failure.trace, |report| &report.trace));
            summary.add(outcome);
        }
    } else {
        crew::run_all(args.seeds.clone(), &scenario, args.threads(), |outcome| summary.add(outcome));
    }
    println!("{summary}");
    for failure in summary.first_of_each_kind() {
        let schedule = Schedule::new(failure.seed, scenario.clone());
        println!("\nVIOLATION  {failure}");
        println!("  kind     {}", failure.violation.kind());
        println!("  replay   {}", args.command(failure.seed));
        if !args.no_shrink {
            make_smaller(&schedule, failure, args.save.as_deref())?;
        }
    }
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn make_smaller(schedule: &Schedule, failure: &Failure, save: Option<&Path>) -> Result<(), String> {
    eprintln!("making the run of seed {} smaller ...", failure.seed);
    let shrunk = shrink(schedule, failure, SHRINK_RUNS);
    println!(
        "  shrunk   to {} operations, {} strikes and {} nodes, in {} runs",
        shrunk.operations(),
        shrunk.strikes(),
        shrunk.nodes(),
        shrunk.runs
    );
    println!("           {}", shrunk.failure);
    let Some(folder) = save else {
        println!("           (--save DIR keeps it as a file to replay)");
        return Ok(());
    };
    let file = folder.join(format!("seed-{}.schedule", failure.seed));
    let text = format!("# {}\n{}", shrunk.failure, shrunk.schedule);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, text));
    written.map_err(|error| format!("{}: {error}", file.display()))?;
    println!("  replay   {COMMAND} --replay {}", file.display());
    Ok(())
}

fn print_lines(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}
