//! What N, R and W give, or a quorum system, as a command.
//!
//! `cargo run -p quorum --example calculator -- 5 2 3`
//! `cargo run -p quorum --example calculator -- --system "a*b + c*d" --up a,d`

#![allow(clippy::disallowed_methods, reason = "a command reads its arguments")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

use std::error::Error;
use std::process::ExitCode;

use std::fmt::Write as _;

use quorum::{Expr, Probability, QuorumConfig, QuorumSystem};

const USAGE: &str = "\
What do N replicas give of which a read waits for R and a write for W?

usage: calculator N R W [--failure P]...
       calculator --system READS [--writes WRITES] [--up NODES] [--failure P]...

  --failure P       how likely each node is down (default 0.01 and 0.1); may be given again
  --system READS    which sets may serve a read: \"a*b + c*d\", \"choose(2, a, b, c)\", \"majority(a, b, c)\",
                    \"weighted(3, 2: a, b, c)\"
  --writes WRITES   which may serve a write, if not the smallest that meet every read
  --up NODES        draw who is up, with commas between: may they serve?

Ends with code 0 if there is an answer, with 2 if the question makes no sense.";

fn main() -> ExitCode {
    match answer(std::env::args().skip(1)) {
        Ok(Some(report)) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::from(2)
        }
    }
}

/// The page that answers the question; `None` if it is how to ask.
fn answer(mut words: impl Iterator<Item = String>) -> Result<Option<String>, Box<dyn Error>> {
    let (mut numbers, mut failures, mut question) = (Vec::new(), Vec::new(), System::default());
    while let Some(word) = words.next() {
        let mut value = |of: &str| words.next().ok_or(format!("{of} needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--failure" => failures.push(probability(&value("--failure")?)?),
            "--system" => question.reads = Some(value("--system")?),
            "--writes" => question.writes = Some(value("--writes")?),
            "--up" => question.up = Some(value("--up")?),
            number => numbers.push(count(number)?),
        }
    }
    if failures.is_empty() {
        failures = vec![Probability::new(0.01)?, Probability::new(0.1)?];
    }
    match (numbers.as_slice(), &question.reads) {
        (&[n, r, w], None) => Ok(Some(QuorumConfig::new(n, r, w)?.report(failures).to_string())),
        ([], Some(reads)) => Ok(Some(question.answer(reads, &failures)?)),
        _ => Err(format!("three numbers are needed, N R W, or a system\n\n{USAGE}").into()),
    }
}

/// A question about a quorum system.
#[derive(Default)]
struct System {
    reads: Option<String>,
    writes: Option<String>,
    up: Option<String>,
}

impl System {
    fn answer(&self, reads: &str, failures: &[Probability]) -> Result<String, Box<dyn Error>> {
        let reads: Expr<String> = reads.parse()?;
        let system = match &self.writes {
            None => QuorumSystem::from_reads(reads)?,
            Some(writes) => QuorumSystem::new(reads, writes.parse()?)?,
        };
        let mut page = system.describe().to_string();
        page += "available, if each node is down with some probability\n  down     reads        writes       both\n";
        for failure in failures {
            let [reads, writes, both] = [
                system.read_availability(*failure)?,
                system.write_availability(*failure)?,
                system.availability(*failure)?,
            ];
            writeln!(page, "  {:<8} {reads:.10} {writes:.10} {both:.10}", failure.to_string())?;
        }
        if let Some(up) = &self.up {
            let up = up.split(',').map(|node| node.trim().to_owned());
            write!(page, "{}", system.picture(system.set(up)))?;
        }
        Ok(page)
    }
}

fn count(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("`{word}` is not a number of replicas"))
}

fn probability(word: &str) -> Result<Probability, Box<dyn Error>> {
    let number: f64 = word.parse().map_err(|_| format!("`{word}` is not a probability"))?;
    Ok(Probability::new(number)?)
}
