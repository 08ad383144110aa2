//! Shipping a log to a follower over loopback beside the log alone, as a table.
//!
//! `cargo run --release -p crdt-benches --bin shipping_ratios -- [part of a name] [--rounds n] [--folder path]
//! [--memory path]`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command line program")]

use std::path::{Path, PathBuf};

use crdt_benches::machine;
use crdt_benches::paired::{median, rotate};
use crdt_benches::shipping::{Load, Seen, bare, shipped};
use replication_log::FsyncPolicy;

/// Records, the bytes of each, and how many are a batch.
const SHAPES: [(u64, usize, usize); 4] =
    [(4_000_000, 100, 100), (400_000, 1_000, 10), (1_000_000, 100, 1), (100_000, 4_096, 1)];

fn main() {
    let (mut filter, mut rounds) = (String::new(), 3);
    let (mut folder, mut memory) = (std::env::temp_dir(), PathBuf::from("/dev/shm"));
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--folder" => folder = args.next().map_or(folder, PathBuf::from),
            "--memory" => memory = args.next().map_or(memory, PathBuf::from),
            "--rounds" => rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(rounds).max(1),
            _ => filter = arg,
        }
    }
    println!("Load {}.\n", machine::load());
    println!(
        "| log | bare, records/s | MB/s | shipped, records/s | MB/s | records a frame | shipped / bare | range |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for (disk, root) in [("buffered", &memory), ("durable", &folder)] {
        if root.is_dir() {
            let place = format!("{disk} on {}", machine::file_system(root));
            for (records, bytes, batch) in SHAPES {
                let what = format!("{place}, {bytes} B, {batch} a batch, group commit");
                if what.contains(&filter) {
                    let load = Load { records, bytes, batch, policy: FsyncPolicy::Group };
                    row(&what, root, load, rounds);
                }
            }
        }
    }
    println!("\nLoad {} at the end.", machine::load());
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn row(what: &str, root: &Path, load: Load, rounds: u64) {
    let turn = |turn: fn(&Path, Load) -> Seen| -> Box<dyn FnMut() -> Seen> {
        let root = root.to_path_buf();
        Box::new(move || turn(&root, load))
    };
    let seen = rotate(rounds, &mut [turn(bare), turn(shipped)]);
    let rates = [0, 1].map(|which| median(seen[which].iter().map(|seen| seen.rate)));
    let megabytes = rates.map(|rate| rate * load.bytes as f64 / 1e6);
    let frames = median(seen[1].iter().map(|seen| load.records as f64 / seen.frames as f64));
    let ratios: Vec<f64> =
        seen[0].iter().zip(&seen[1]).map(|(bare, shipped)| shipped.rate / bare.rate).collect();
    let lowest = ratios.iter().copied().fold(f64::MAX, f64::min);
    let highest = ratios.iter().copied().fold(0.0, f64::max);
    println!(
        "| {what} | {:.0} | {:.0} | {:.0} | {:.0} | {frames:.0} | **{:.2}** | {lowest:.2} to {highest:.2} |",
        rates[0],
        megabytes[0],
        rates[1],
        megabytes[1],
        median(ratios.iter().copied()),
    );
}
