//! Sessions of `crdt-sync` beside other ways to reconcile sets, by turns, as tables.
//!
//! `cargo run --release -p crdt-benches --features merkle-peers --bin merkle_ratios -- [part of a row] [--keys n]
//! [--rounds n] [--only part of a candidate]`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a command line program"
)]

use std::rc::Rc;

use crdt_benches::machine;
use crdt_benches::paired::{median, rotate};
use crdt_benches::reconciling::{
    Candidate, bound,
    ours::{BySketch, ByTree},
    turns::{Sample, Turn, memory, reconcile, update},
    workloads::{Mix, Workload},
    writes::Writes,
};
#[cfg(feature = "merkle-peers")]
use crdt_benches::reconciling::{
    merkle_search_tree::SearchTree, negentropy::RangeBased, rbsr::Summarizable, riblt::Rateless,
    rs_merkle::WholeTree,
};

/// How many keys differ. Where there are not twice as many, the row is left out.
const DIFFERING: [usize; 4] = [0, 1, 100, 10_000];
/// How many writes are followed by the work that a session needs, in the last column about updates.
const BATCH: usize = 1_000;

struct Tables {
    filter: String,
    /// What the names of the candidates have in common, the first of which the others are compared with.
    only: String,
    rounds: u64,
    keys: Vec<usize>,
}

/// The answer of a function for every candidate that is asked for, ours first.
macro_rules! all {
    ($tables:expr, $function:ident $arguments:tt, [$($own:ident),*], [$($peer:ident),*]) => {{
        let mut answers = Vec::new();
        $(
            if $tables.is_wanted($own::NAME) {
                answers.push(($own::NAME, $function::<$own> $arguments));
            }
        )*
        $(
            #[cfg(feature = "merkle-peers")]
            if $tables.is_wanted($peer::NAME) {
                answers.push(($peer::NAME, $function::<$peer> $arguments));
            }
        )*
        answers
    }};
}

fn main() {
    let tables = Tables::from_arguments();
    println!("Load {}.\n", machine::load());
    tables.sessions();
    tables.updates();
    tables.writes();
    tables.memory();
    println!("\nLoad {} at the end.", machine::load());
}

impl Tables {
    fn from_arguments() -> Self {
        let mut tables =
            Self { filter: String::new(), only: String::new(), rounds: 7, keys: vec![1_000, 100_000] };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            if arg == "--only" {
                tables.only = args.next().unwrap_or_default();
                continue;
            }
            let mut number = || args.next().and_then(|text| text.parse().ok()).filter(|n| *n > 0_u64);
            match arg.as_str() {
                "--keys" => {
                    tables.keys = number().and_then(|n| usize::try_from(n).ok()).into_iter().collect();
                }
                "--rounds" => tables.rounds = number().unwrap_or(tables.rounds),
                _ => tables.filter = arg,
            }
        }
        tables
    }

    /// Whether a candidate takes part.
    fn is_wanted(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// The sizes whose row is asked for.
    fn rows<'a>(&'a self, what: impl Fn(usize) -> String + 'a) -> impl Iterator<Item = (usize, String)> + 'a {
        let rows = self.keys.iter().map(move |keys| (*keys, what(*keys)));
        rows.filter(|(_, what)| what.contains(&self.filter))
    }

    fn sessions(&self) {
        println!("| session | candidate | bytes | by bound | turns | CPU of both | it / ours |");
        println!("|---|---|---:|---:|---:|---:|---:|");
        for mix in Mix::ALL {
            for differing in DIFFERING {
                let what = move |keys| match differing {
                    0 => format!("{keys} keys, none differs"),
                    _ => format!("{keys} keys, {differing} {}", mix.name()),
                };
                let is_repeated = differing == 0 && mix != Mix::Mixed;
                for (keys, what) in self.rows(what).filter(|(keys, _)| !is_repeated && *keys > differing) {
                    self.session(&what, &Rc::new(Workload::new(keys, differing, mix)));
                }
            }
        }
    }

    /// Lets the candidates take turns at a session.
    fn session(&self, what: &str, workload: &Rc<Workload>) {
        let turns: Vec<(&str, Turn)> = all!(
            self,
            reconcile(workload),
            [ByTree, BySketch],
            [RangeBased, Summarizable, Rateless, SearchTree, WholeTree]
        );
        let (names, mut turns): (Vec<_>, Vec<_>) = turns.into_iter().unzip();
        let rounds = rotate(self.rounds, &mut turns);
        let least = bound::bytes(workload);
        println!("| {what} | *lower bound* | {least} | | | | |");
        for (name, samples) in names.iter().zip(&rounds) {
            let Sample { bytes, turns, .. } = samples[0];
            let by_bound = if least > 0 { said(bytes as f64 / least as f64) } else { String::new() };
            let times = samples.iter().zip(&rounds[0]).map(|(its, ours)| its.nanoseconds / ours.nanoseconds);
            println!(
                "| {what} | {name} | {bytes} | {by_bound} | {turns} | {} | {} |",
                time(median(samples.iter().map(|sample| sample.nanoseconds))),
                said(median(times)),
            );
        }
    }

    /// What a write costs the summary: alone, with the summary made ready after each, and after a batch.
    fn updates(&self) {
        println!("\n| what | candidate | alone | ready after each | ready after {BATCH}, each |");
        println!("|---|---|---:|---:|---:|");
        for (keys, what) in self.rows(|keys| format!("a write to one of {keys} keys")) {
            let entries = Workload::new(keys, 0, Mix::Mixed).left;
            let columns = [None, Some(1), Some(BATCH)].map(|batch| {
                all!(
                    self,
                    update(&entries, batch),
                    [ByTree, BySketch],
                    [RangeBased, Summarizable, SearchTree, WholeTree]
                )
            });
            let [alone, each, batch] = &columns;
            for ((alone, each), batch) in alone.iter().zip(each).zip(batch) {
                println!(
                    "| {what} | {} | {} | {} | {} |",
                    alone.0,
                    time(alone.1),
                    time(each.1),
                    time(batch.1)
                );
            }
        }
    }

    /// What a write costs the tree in either of the sizes that sets of a million items are kept in, whatever is asked
    /// for in the other tables.
    fn writes(&self) {
        const ITEMS: u64 = 1_000_000;
        println!(
            "\n| what | alone | in batches of {BATCH}, each | refresh and root after one |\n|---|---:|---:|---:|"
        );
        for leaf_bits in [16, 20] {
            let what = format!("update at 2^{leaf_bits} leaves of {ITEMS} items");
            if !what.contains(&self.filter) {
                continue;
            }
            let mut tree = Writes::new(leaf_bits, ITEMS);
            let passes = (0..self.rounds).map(|_| [tree.alone(), tree.in_batches(), tree.with_refresh()]);
            let passes: Vec<_> = passes.collect();
            let of = |what: fn(&[f64; 3]) -> f64| time(median(passes.iter().map(what)));
            let refresh = of(|[alone, _, refreshed]| refreshed - alone);
            println!(
                "| {what} | {} | {} | {refresh} |",
                of(|[alone, ..]| *alone),
                of(|[_, batch, _]| *batch)
            );
        }
    }

    fn memory(&self) {
        println!("\n| what | candidate | bytes per key |\n|---|---|---:|");
        for (keys, what) in self.rows(|keys| format!("heap for {keys} keys")) {
            let entries = Workload::new(keys, 0, Mix::Mixed).left;
            let heaps = all!(
                self,
                memory(&entries),
                [ByTree, BySketch],
                [RangeBased, Summarizable, Rateless, SearchTree, WholeTree]
            );
            for (name, bytes) in heaps {
                println!("| {what} | {name} | {bytes:.1} |");
            }
        }
    }
}

/// Nanoseconds as people say them.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        1e9.. => format!("{:.1} s", nanoseconds / 1e9),
        1e6.. => format!("{} ms", said(nanoseconds / 1e6)),
        1e3.. => format!("{} µs", said(nanoseconds / 1e3)),
        _ => format!("{} ns", said(nanoseconds)),
    }
}

/// A number as people say it.
fn said(number: f64) -> String {
    match number {
        10.0.. => format!("{number:.0}"),
        1.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
