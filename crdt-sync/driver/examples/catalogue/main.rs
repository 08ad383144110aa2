//! Package catalogues that went separate ways, brought together again.
//!
//! Every replica is a node with its own directory, its own durable log and real TCP sockets. Each loads its
//! catalogue while it knows nobody; then they connect, compare what they hold by Merkle session, send each other what
//! differs, and stop when all of them hold the same. What two catalogues disagree about is a conflict, which
//! `--resolve` keeps or decides.
//!
//! ```text
//! cargo run --release --example catalogue                          three Debian releases
//! cargo run --release --example catalogue -- a.tsv b.tsv           your own files
//! cargo run --release --example catalogue -- --edit 0ad=1.0@sid    and an edit when all agree
//! ```
//!
//! The same program is one node of several processes, say in three terminals:
//!
//! ```text
//! catalogue --listen 127.0.0.1:7001 --load a.tsv
//! catalogue --listen 127.0.0.1:7002 --load b.tsv --peer 127.0.0.1:7001
//! catalogue --listen 127.0.0.1:7003 --load c.tsv --peer 127.0.0.1:7001 --peer 127.0.0.1:7002
//! ```
//!
//! Where to look: [`together`] is the whole job from top to bottom, [`single`] the same for one node of many;
//! [`rules`] is where a rule of your own goes.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program at the edge: it reads files and the clock, and it talks to people"
)]

mod bound;
mod cli;
mod contents;
mod dump;
mod error;
mod inputs;
mod load;
mod progress;
mod replica;
mod report;
mod rules;
mod single;
mod sync;
mod together;
mod tsv;
mod version;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Args;
use crate::error::Failure;

/// Success when the replicas agreed, 1 when they did not, 2 when something was wrong.
#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let agreed = if args.is_single() { single::run(&args).await } else { together_until_ctrl_c(&args).await };
    match agreed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("catalogue: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Being interrupted is a failure like others, after which temporary directories are removed.
async fn together_until_ctrl_c(args: &Args) -> Result<bool, Failure> {
    tokio::select! {
        agreed = together::run(args) => agreed,
        pressed = tokio::signal::ctrl_c() => Err(pressed.map_or_else(Failure::Signal, |()| Failure::Interrupted)),
    }
}
