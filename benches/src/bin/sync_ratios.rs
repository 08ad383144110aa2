//! Syncs and durable writes of whole nodes beside the sum of what they cannot do without, as tables.
//!
//! `cargo run --release -p crdt-benches --bin sync_ratios -- [part of a name] [--keys n] [--rounds n] [--seconds s]
//! [--folder path] [--role alone kind way keys]`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "a command line program"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crdt_benches::logs::{ours::Ours, records::Records, workloads};
use crdt_benches::machine;
use crdt_benches::paired::{median, rotate};
use crdt_benches::syncing::data::{Kind, Way};
use crdt_benches::syncing::nodes::{self, Account};
use crdt_benches::syncing::writes::{Commands, VALUE};
use crdt_benches::syncing::{events, pair, parts};

struct Tables {
    filter: String,
    keys: u64,
    rounds: u64,
    /// How long a turn of durable writes takes.
    time: Duration,
    folder: PathBuf,
}

/// What the processes that do the parts and the engines alone said: CPU seconds of each, and the seconds of all parts
/// that are summed up.
struct Alone {
    decode: f64,
    append: f64,
    insert: f64,
    tree: f64,
    chain: f64,
    index: f64,
    giving: f64,
    taking: f64,
    time: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--role") {
        return play(&args[1..]);
    }
    let tables = Tables::from_arguments(args.into_iter());
    let root = tempfile::tempdir_in(&tables.folder).expect("a folder");
    println!("Files on {}, load {}.\n", machine::file_system(root.path()), machine::load());
    tables.syncs(root.path());
    tables.events();
    tables.writes(root.path());
    println!("\nLoad {} at the end.", machine::load());
}

/// What this program does when it was started by itself.
fn play(args: &[String]) {
    let [role, kind, way, keys, rest @ ..] = args else { panic!("a role and what to do in it") };
    let kind: Kind = kind.parse().expect("a kind");
    let way: Way = way.parse().expect("a way");
    let keys = keys.parse().expect("a number");
    match (role.as_str(), rest) {
        ("serve", [folder]) => nodes::serve(Path::new(folder), kind, way, keys),
        ("fetch", [folder, from]) => {
            nodes::fetch(Path::new(folder), kind, way, keys, from.parse().expect("an address"));
        }
        ("events", [entries]) => handled(kind, entries.parse().expect("a number"), keys),
        ("parts", [crossed]) => parts(kind, way, Path::new(crossed)),
        ("alone", rest) => alone(kind, way, keys, rest.first().map(Path::new)),
        _ => panic!("no role {role:?} with {rest:?}"),
    }
}

/// Lets two engines sync in this process, and another process do what they cannot do without; says how long it took.
fn alone(kind: Kind, way: Way, keys: u64, root: Option<&Path>) {
    let temporary = std::env::temp_dir();
    let folder = tempfile::tempdir_in(root.unwrap_or(&temporary)).expect("a folder");
    let crossing = pair::cross(kind, way, keys);
    let crossed = folder.path().join("crossed");
    crossing.write(&crossed);
    let parts = said_by("parts", kind, way, keys, crossed.to_str().expect("a name that is text"));
    let engines = [crossing.giving, crossing.taking].map(|spent| spent.cpu.as_secs_f64());
    let said: Vec<String> = parts.iter().chain(&engines).map(f64::to_string).collect();
    println!("{}", said.join(" "));
}

/// Does the parts of a sync in this process, which did nothing before, over what crossed in another one.
fn parts(kind: Kind, way: Way, crossed: &Path) {
    let folder = tempfile::tempdir_in(crossed.parent().expect("a folder")).expect("a folder");
    let parts = parts::measure(kind, way, &pair::Crossing::read(crossed), folder.path());
    let times = [parts.decode, parts.append, parts.insert, parts.tree, parts.chain, parts.index];
    let cpu = times.map(|spent| spent.cpu.as_secs_f64().to_string()).join(" ");
    println!("{cpu} {}", parts.sum().time.as_secs_f64());
}

/// Lets an engine handle runs of so many entries with so many keys in all, and says how many inputs a second it did.
fn handled(kind: Kind, entries: u64, keys: u64) {
    let handled = events::receive(kind, entries, keys / entries);
    let cpu = handled.spent.cpu.as_secs_f64();
    println!("{} {}", handled.inputs as f64 / cpu, handled.entries as f64 / cpu);
}

impl Alone {
    fn start(root: &Path, kind: Kind, way: Way, keys: u64) -> Self {
        let root = root.to_str().expect("a name that is text");
        let times = said_by("alone", kind, way, keys, root);
        let [decode, append, insert, tree, chain, index, time, giving, taking] = times[..] else {
            panic!("it said {times:?}");
        };
        Self { decode, append, insert, tree, chain, index, giving, taking, time }
    }

    fn cpu(&self) -> f64 {
        self.decode + self.append + self.insert + self.tree
    }
}

impl Tables {
    fn from_arguments(mut args: impl Iterator<Item = String>) -> Self {
        let mut tables = Self {
            filter: String::new(),
            keys: 1_000_000,
            rounds: 3,
            time: Duration::from_secs(1),
            folder: std::env::temp_dir(),
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--folder" => tables.folder = args.next().map_or(tables.folder, PathBuf::from),
                "--keys" => tables.keys = number(&mut args).unwrap_or(tables.keys),
                "--rounds" => tables.rounds = number(&mut args).unwrap_or(tables.rounds).max(1),
                "--seconds" => {
                    let seconds = args.next().and_then(|text| text.parse().ok()).filter(|s| *s > 0.0);
                    tables.time = seconds.map_or(tables.time, Duration::from_secs_f64);
                }
                _ => tables.filter = arg,
            }
        }
        tables
    }

    fn syncs(&self, root: &Path) {
        println!(
            "| {} keys | s | CPU s, fetching and serving | peak MiB, both | MB | parts: s, CPU s | decode, append, \
             insert, tree | chain, index | engines alone, taking and giving | CPU, fetching / parts | range | \
             time, sync / parts | range |",
            self.keys
        );
        println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        for (kind, way) in Kind::ALL.into_iter().flat_map(|kind| Way::ALL.map(|way| (kind, way))) {
            let what = format!("sync of {} by {}", kind.name(), way.name());
            if what.contains(&self.filter) {
                self.sync(&what, root, kind, way);
            }
        }
    }

    fn sync(&self, what: &str, root: &Path, kind: Kind, way: Way) {
        let mut turns: Vec<(Account, Account, Alone)> = Vec::new();
        for _ in 0..self.rounds {
            let (serve, fetch) = nodes::sync(root, kind, way, self.keys);
            turns.push((serve, fetch, Alone::start(root, kind, way, self.keys)));
        }
        let of = |figure: &dyn Fn(&(Account, Account, Alone)) -> f64| median(turns.iter().map(figure));
        let fetched = |figure: fn(&Account) -> f64| of(&|turn| figure(&turn.1));
        let served = |figure: fn(&Account) -> f64| of(&|turn| figure(&turn.0));
        let alone = |figure: fn(&Alone) -> f64| of(&|turn| figure(&turn.2));
        let ratios: Vec<f64> = turns.iter().map(|(_, fetch, alone)| fetch.seconds / alone.time).collect();
        let cpu: Vec<f64> = turns.iter().map(|(_, fetch, alone)| fetch.cpu / alone.cpu()).collect();
        println!(
            "| {what} | {:.2} | {:.2}, {:.2} | {:.0}, {:.0} | {:.1} | {:.2}, {:.2} | {:.2}, {:.2}, {:.2}, {:.2} | \
             {:.2}, {:.2} | {:.2}, {:.2} | **{:.2}** | {} | **{:.2}** | {} |",
            fetched(|account| account.seconds),
            fetched(|account| account.cpu),
            served(|account| account.cpu),
            fetched(|account| account.peak as f64),
            served(|account| account.peak as f64),
            fetched(|account| account.received as f64) / 1e6,
            alone(|alone| alone.time),
            alone(Alone::cpu),
            alone(|alone| alone.decode),
            alone(|alone| alone.append),
            alone(|alone| alone.insert),
            alone(|alone| alone.tree),
            alone(|alone| alone.chain),
            alone(|alone| alone.index),
            alone(|alone| alone.taking),
            alone(|alone| alone.giving),
            median(cpu.iter().copied()),
            range(&cpu),
            median(ratios.iter().copied()),
            range(&ratios),
        );
    }

    /// What one engine handles in one thread, without IO.
    fn events(&self) {
        println!(
            "\n| events of an engine without IO, {} keys | inputs/s of CPU | entries/s of CPU |",
            self.keys
        );
        println!("|---|---:|---:|");
        for (kind, entries) in Kind::ALL.into_iter().flat_map(|kind| [1, 64].map(|entries| (kind, entries))) {
            let what = format!("events: {}, received in runs of {entries}", kind.name());
            if what.contains(&self.filter) {
                let turns = (0..self.rounds)
                    .map(|_| said_by("events", kind, Way::Runs, self.keys, &entries.to_string()));
                let turns: Vec<Vec<f64>> = turns.collect();
                let of = |which: usize| median(turns.iter().map(|said| said[which]));
                println!("| {what} | {:.0} | {:.0} |", of(0), of(1));
            }
        }
    }

    fn writes(&self, root: &Path) {
        println!(
            "\n| durable commands, values of {VALUE} B | bytes each | node/s | writes/s | log/s | syncs each, \
                  node and log | node / log | range |"
        );
        println!("|---|---:|---:|---:|---:|---:|---:|---:|");
        for (writes, callers) in [1, 64, 1_024].into_iter().flat_map(|writes| [(writes, 1), (writes, 64)]) {
            let plural = if callers == 1 { "caller" } else { "callers" };
            let what = format!("durable commands of {writes} by {callers} {plural}");
            if what.contains(&self.filter) {
                self.row(&what, root, Commands { callers, writes });
            }
        }
    }

    fn row(&self, what: &str, root: &Path, commands: Commands) {
        let bytes = commands.record_bytes();
        let records = Arc::new(Records::new(bytes, 0));
        let callers = usize::try_from(commands.callers).expect("few");
        let mut turns =
            [commands.by_node(root, self.time), workloads::share::<Ours>(root, &records, callers, self.time)];
        let rounds = rotate(self.rounds, &mut turns);
        let rate = |which: usize| median(rounds[which].iter().map(|sample| sample.rate));
        let syncs = |which: usize| median(rounds[which].iter().filter_map(|sample| sample.syncs));
        let ratios: Vec<f64> =
            rounds[0].iter().zip(&rounds[1]).map(|(node, log)| node.rate / log.rate).collect();
        println!(
            "| {what} | {bytes} | {:.0} | {:.0} | {:.0} | {:.3}, {:.3} | **{:.2}** | {} |",
            rate(0),
            rate(0) * commands.writes as f64,
            rate(1),
            syncs(0),
            syncs(1),
            median(ratios.iter().copied()),
            range(&ratios),
        );
    }
}

/// The numbers that this program says when it is started by itself, with memory of its own.
fn said_by(role: &str, kind: Kind, way: Way, keys: u64, argument: &str) -> Vec<f64> {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["--role", role, kind.name(), way.name(), &keys.to_string(), argument])
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("a process");
    let said = String::from_utf8(output.stdout).expect("text");
    said.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn range(ratios: &[f64]) -> String {
    let lowest = ratios.iter().copied().fold(f64::MAX, f64::min);
    let highest = ratios.iter().copied().fold(0.0, f64::max);
    format!("{lowest:.2} to {highest:.2}")
}

fn number(args: &mut impl Iterator<Item = String>) -> Option<u64> {
    args.next().and_then(|text| text.parse().ok())
}
