//! What N, R and W give, as a command.
//!
//! `cargo run -p quorum --example calculator -- 5 2 3`

#![allow(clippy::disallowed_methods, reason = "a command reads its arguments")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

use std::error::Error;
use std::process::ExitCode;

use quorum::{Probability, QuorumConfig, Report};

const USAGE: &str = "\
What do N replicas give of which a read waits for R and a write for W?

usage: calculator N R W [--failure P]...

  --failure P   how likely each node is down (default 0.01 and 0.1); may be given again

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
fn answer(mut words: impl Iterator<Item = String>) -> Result<Option<Report>, Box<dyn Error>> {
    let (mut numbers, mut failures) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--failure" => failures.push(probability(&words.next().ok_or("--failure needs a probability")?)?),
            number => numbers.push(count(number)?),
        }
    }
    let &[n, r, w] = numbers.as_slice() else {
        return Err(format!("three numbers are needed, N R W\n\n{USAGE}").into());
    };
    if failures.is_empty() {
        failures = vec![Probability::new(0.01)?, Probability::new(0.1)?];
    }
    Ok(Some(QuorumConfig::new(n, r, w)?.report(failures)))
}

fn count(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("`{word}` is not a number of replicas"))
}

fn probability(word: &str) -> Result<Probability, Box<dyn Error>> {
    let number: f64 = word.parse().map_err(|_| format!("`{word}` is not a probability"))?;
    Ok(Probability::new(number)?)
}
