//! The log beside its peers by turns, as a table of rates and ratios.
//!
//! `cargo run --release -p crdt-benches --features log-peers --bin log_ratios -- [part of a name] [--rounds n]
//! [--seconds s] [--megabytes m] [--records n] [--folder path] [--log name]`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a command line program"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crdt_benches::logs::{
    Candidate,
    bare_file::BareFile,
    ours::{Batching, Growing, Ours},
    records::Records,
    workloads::{Sample, Turn, append, commit, follow, replay, share, tail},
};
#[cfg(feature = "log-peers")]
use crdt_benches::logs::{
    commitlog::Commitlog, fjall::Fjall, okaywal::OkayWal, open_wal::OpenWal, raft_engine::RaftEngine,
    wal_db::WalDb,
};
use crdt_benches::machine;
use crdt_benches::paired::{median, rotate};

/// The last records that a reader asks for.
const TAIL: u64 = 1_000;
/// How many records a follower is behind each time, and how many there are.
const STEP: usize = 100;
const FOLLOWED: u64 = 20_000;

struct Table {
    filter: String,
    rounds: u64,
    /// How long a turn with syncs takes.
    time: Duration,
    /// How much a turn without syncs writes.
    bytes: u64,
    /// How long a log to be read is.
    records: u64,
    folder: PathBuf,
    /// Only logs with this in their names: for a profiler, or for `strace -f -c`.
    log: String,
}

/// The turn of every candidate at one workload: what the function answers for each of them.
macro_rules! turns {
    ($turn:ident $arguments:tt, [$($peer:ident),*]) => {
        turns!($turn $arguments, Ours, [$($peer),*])
    };
    ($turn:ident $arguments:tt, $ours:ident, [$($peer:ident),*]) => {
        vec![
            ($ours::NAME, $turn::<$ours> $arguments),
            $(
                #[cfg(feature = "log-peers")]
                ($peer::NAME, $turn::<$peer> $arguments),
            )*
        ]
    };
}

fn main() {
    let table = Table::from_arguments();
    let root = tempfile::tempdir_in(&table.folder).expect("a folder");
    println!("Files on {}, load {}.\n", machine::file_system(root.path()), machine::load());
    println!("| what | log | records/s | range | ours / it | |\n|---|---|---:|---:|---:|---|");
    table.buffered(root.path());
    table.durable(root.path());
    table.read(root.path());
    println!("\nLoad {} at the end.", machine::load());
}

impl Table {
    fn from_arguments() -> Self {
        let mut table = Self {
            filter: String::new(),
            rounds: 7,
            time: Duration::from_millis(400),
            bytes: 64 << 20,
            records: 1_000_000,
            folder: std::env::temp_dir(),
            log: String::new(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut number = || args.next().and_then(|text| text.parse::<f64>().ok()).filter(|n| *n > 0.0);
            match arg.as_str() {
                "--log" => table.log = args.next().unwrap_or_default(),
                "--folder" => table.folder = args.next().map_or(table.folder, PathBuf::from),
                "--rounds" => table.rounds = number().map_or(table.rounds, whole),
                "--seconds" => table.time = number().map_or(table.time, Duration::from_secs_f64),
                "--megabytes" => table.bytes = number().map_or(table.bytes, |count| whole(count) << 20),
                "--records" => table.records = number().map_or(table.records, whole).max(TAIL),
                _ => table.filter = arg,
            }
        }
        table
    }

    fn buffered(&self, root: &Path) {
        for size in [100, 256, 1_024, 4_096] {
            let records = Arc::new(Records::new(size, self.bytes / size as u64));
            // Nothing waits for the disk here, so nothing would be gained by zeros written ahead.
            self.rows(
                &format!("buffered append of {size} B"),
                turns!(append(root, &records), Growing, [RaftEngine, OpenWal, WalDb, Fjall, Commitlog]),
            );
            // What the system takes for the same bytes, which no log can get under.
            self.rows(
                &format!("buffered append of {size} B beside a bare file"),
                vec![
                    (Growing::NAME, append::<Growing>(root, &records)),
                    (BareFile::NAME, append::<BareFile>(root, &records)),
                ],
            );
            // One log has one entry for all of them, and no other way not to sync each.
            self.rows(
                &format!("buffered append of {size} B in batches"),
                turns!(append(root, &records), Batching, [OkayWal, OpenWal]),
            );
        }
    }

    fn durable(&self, root: &Path) {
        for size in [100, 4_096] {
            let records = Arc::new(Records::new(size, 0));
            self.rows(
                &format!("durable append of {size} B"),
                turns!(commit(root, &records, self.time), [RaftEngine, OkayWal, OpenWal, WalDb, Fjall]),
            );
            self.rows(
                &format!("durable append of {size} B, zeros ahead or not"),
                vec![
                    (Ours::NAME, commit::<Ours>(root, &records, self.time)),
                    (Growing::NAME, commit::<Growing>(root, &records, self.time)),
                ],
            );
        }
        for (threads, size) in [1, 8, 64].into_iter().flat_map(|threads| [(threads, 100), (threads, 4_096)]) {
            let records = Arc::new(Records::new(size, 0));
            let plural = if threads == 1 { "thread" } else { "threads" };
            self.rows(
                &format!("group commit of {size} B by {threads} {plural}"),
                turns!(
                    share(root, &records, threads, self.time),
                    [RaftEngine, OkayWal, OpenWal, WalDb, Fjall]
                ),
            );
        }
    }

    fn read(&self, root: &Path) {
        let records = Arc::new(Records::new(100, self.records));
        self.rows(
            &format!("opening a log of {} and reading it", self.records),
            turns!(replay(root, &records), [RaftEngine, OpenWal, WalDb, Fjall, Commitlog]),
        );
        self.rows(
            &format!("opening a log of {} in batches and reading it", self.records),
            turns!(replay(root, &records), Batching, [OkayWal]),
        );
        self.rows(
            &format!("reading the last {TAIL} of {}", self.records),
            turns!(tail(root, &records, TAIL), [RaftEngine, OpenWal, WalDb, Fjall, Commitlog]),
        );
        let records = Arc::new(Records::new(100, FOLLOWED));
        self.rows(
            &format!("following a writer, {STEP} at a time"),
            turns!(follow(root, &records, STEP), [RaftEngine, OpenWal, WalDb, Fjall, Commitlog]),
        );
    }

    /// Lets the candidates take turns at a workload. The first one is ours, and the ratios are its rate by theirs.
    fn rows(&self, what: &str, mut turns: Vec<(&'static str, Turn)>) {
        turns.retain(|(name, _)| what.contains(&self.filter) && name.contains(&self.log));
        let (names, mut turns): (Vec<_>, Vec<_>) = turns.into_iter().unzip();
        let rounds = rotate(self.rounds, &mut turns);
        let candidates = || names.iter().copied().zip(&rounds);
        let all = candidates()
            .map(|(name, samples)| (name, rates(samples, |sample| Some(sample.rate)), note(samples)));
        print(what, &all.collect::<Vec<_>>());
        let synced =
            candidates().map(|(name, samples)| (name, rates(samples, |sample| sample.synced), String::new()));
        print(
            &format!("{what} and one sync"),
            &synced.filter(|(_, rates, _)| !rates.is_empty()).collect::<Vec<_>>(),
        );
    }
}

fn rates(samples: &[Sample], which: impl Fn(&Sample) -> Option<f64>) -> Vec<f64> {
    samples.iter().filter_map(which).collect()
}

fn note(samples: &[Sample]) -> String {
    let syncs = rates(samples, |sample| sample.syncs);
    if syncs.is_empty() { String::new() } else { format!("{:.2} syncs each", median(syncs.into_iter())) }
}

/// One row for each candidate with its rates, and one for the best of the peers if there are several.
fn print(what: &str, candidates: &[(&str, Vec<f64>, String)]) {
    let Some(((ours, own, note), peers)) = candidates.split_first() else {
        return;
    };
    println!("| {what} | {ours} | {} |  | {note} |", spread(own));
    let ratio = |its: &[f64]| median(own.iter().zip(its).map(|(own, its)| own / its));
    for (name, its, note) in peers {
        println!("| {what} | {name} | {} | {:.2} | {note} |", spread(its), ratio(its));
    }
    let best = peers.iter().max_by(|(_, a, _), (_, b, _)| middle(a).total_cmp(&middle(b)));
    if let Some((name, its, _)) = best.filter(|_| peers.len() > 1) {
        println!("| {what} | **ours / best peer** | | | **{:.2}** | {name} |", ratio(its));
    }
}

fn spread(rates: &[f64]) -> String {
    let lowest = rates.iter().copied().fold(f64::MAX, f64::min);
    let highest = rates.iter().copied().fold(0.0, f64::max);
    format!("{} | {} to {}", said(middle(rates)), said(lowest), said(highest))
}

fn middle(rates: &[f64]) -> f64 {
    median(rates.iter().copied())
}

/// A number as people say it.
fn said(number: f64) -> String {
    match number {
        1e6.. => format!("{:.2} M", number / 1e6),
        1e4.. => format!("{:.0} k", number / 1e3),
        1e3.. => format!("{:.1} k", number / 1e3),
        10.0.. => format!("{number:.0}"),
        _ => format!("{number:.2}"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an option of a few digits")]
fn whole(number: f64) -> u64 {
    number as u64
}
