//! Reads and writes that wait for two of three copies beside those that wait for one, as a table.
//!
//! `cargo run --release -p crdt-benches --bin leaderless_ratios -- [part of a name] [--rounds n] [--seconds s]
//! [--folder path] [--memory path] [--count write|read one|quorum|all operations]`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command line program")]

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crdt_benches::leaderless::engines::Engines;
use crdt_benches::leaderless::nodes::{Cluster, Seen};
use crdt_benches::leaderless::{Operation, VALUE, Wait};
use crdt_benches::machine;
use crdt_benches::paired::{median, rotate};

struct Table {
    filter: String,
    rounds: u64,
    /// How long a turn takes.
    time: Duration,
}

fn main() {
    let mut table = Table { filter: String::new(), rounds: 3, time: Duration::from_secs(1) };
    let (mut folder, mut memory) = (std::env::temp_dir(), PathBuf::from("/dev/shm"));
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--count" => return count(&args.collect::<Vec<_>>()),
            "--folder" => folder = args.next().map_or(folder, PathBuf::from),
            "--memory" => memory = args.next().map_or(memory, PathBuf::from),
            "--rounds" => {
                table.rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(table.rounds).max(1);
            }
            "--seconds" => {
                let seconds = args.next().and_then(|text| text.parse().ok()).filter(|s| *s > 0.0);
                table.time = seconds.map_or(table.time, Duration::from_secs_f64);
            }
            _ => table.filter = arg,
        }
    }
    println!("Load {}. Values of {VALUE} B, N = 3.\n", machine::load());
    println!(
        "| operations | W = R = 2: each second | p50, p99 | W = R = 1: each second | p50, p99 | ratio | range |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (disk, root) in [("durable", &folder), ("buffered", &memory)] {
        if root.is_dir() {
            let kind = machine::file_system(root);
            for nodes in [3, 5] {
                for callers in [1, 64] {
                    table.rows(&format!("{disk} on {kind}, {nodes} nodes"), root, nodes, callers);
                }
            }
        }
    }
    println!("\nLoad {} at the end.", machine::load());
}

impl Table {
    fn rows(&self, place: &str, root: &Path, nodes: usize, callers: usize) {
        let mut cluster = None;
        for operation in [Operation::Write, Operation::Read] {
            let plural = if callers == 1 { "caller" } else { "callers" };
            let what = format!("{place}, {} by {callers} {plural}", operation.name());
            if what.contains(&self.filter) {
                let cluster = cluster.get_or_insert_with(|| Rc::new(Cluster::open(root, nodes, callers)));
                self.row(&what, cluster, callers, operation);
            }
        }
    }

    fn row(&self, what: &str, cluster: &Rc<Cluster>, callers: usize, operation: Operation) {
        let time = self.time;
        let turn = |wait: Wait| -> Box<dyn FnMut() -> Seen> {
            let cluster = Rc::clone(cluster);
            Box::new(move || cluster.turn(callers, operation, wait, time))
        };
        let seen = rotate(self.rounds, &mut [turn(Wait::Quorum), turn(Wait::One)]);
        let figures = |which: usize| {
            let of = |figure: fn(&Seen) -> f64| median(seen[which].iter().map(figure));
            let micros = |figure: fn(&Seen) -> f64| format!("{:.0}", of(figure) * 1e6);
            let p50 = micros(|seen| seen.p50.as_secs_f64());
            let p99 = micros(|seen| seen.p99.as_secs_f64());
            format!("{:.0} | {p50}, {p99} µs", of(|seen| seen.rate))
        };
        let ratios: Vec<f64> =
            seen[0].iter().zip(&seen[1]).map(|(quorum, one)| quorum.rate / one.rate).collect();
        let lowest = ratios.iter().copied().fold(f64::MAX, f64::min);
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        println!(
            "| {what} | {} | {} | **{:.2}** | {lowest:.2} to {highest:.2} |",
            figures(0),
            figures(1),
            median(ratios.iter().copied()),
        );
    }
}

/// Three engines without disks and sockets do so many operations: for a profiler that counts instructions.
fn count(args: &[String]) {
    let [operation, wait, operations] = args else { panic!("an operation, a level and a number") };
    let operation = match operation.as_str() {
        "write" => Operation::Write,
        _ => Operation::Read,
    };
    let wait = match wait.as_str() {
        "one" => Wait::One,
        "quorum" => Wait::Quorum,
        _ => Wait::All,
    };
    let mut engines = Engines::connected();
    for number in 0..operations.parse().expect("a number") {
        engines.operate(operation, wait, number);
    }
}
