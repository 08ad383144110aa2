//! A sync between two processes over loopback TCP: one serves, one fetches, and a third starts both.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a stopwatch, and processes")]
#![allow(clippy::print_stdout, reason = "the processes talk by lines")]

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crdt_sync_driver::{Node, NodeOptions};

use super::data::{Kind, Way, cluster};
use super::pair::AT_ONCE;
use super::process;

/// What one process said of a sync.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// From the first attempt to connect until both had agreed; only the one that fetches knows.
    pub seconds: f64,
    /// CPU seconds of the process for it.
    pub cpu: f64,
    /// The most memory it ever had, in MiB.
    pub peak: u64,
    /// Bytes that arrived over the socket.
    pub received: u64,
    /// A digest of all keys, to be the same on both sides.
    root: u128,
}

/// Fills a node with so many keys, tells the parent where it listens, and serves until told to stop.
///
/// # Panics
///
/// When anything fails.
#[tokio::main]
pub async fn serve(folder: &Path, kind: Kind, way: Way, keys: u64) {
    let node = Node::open(folder, options(kind, way)).await.expect("a node");
    for first in (0..keys).step_by(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)) {
        let writes = (first..keys.min(first + AT_ONCE)).map(|number| kind.write(number)).collect();
        node.write(writes).await.expect("written");
    }
    let address = node.listen(([127, 0, 0, 1], 0)).await.expect("an address");
    let cpu = process::cpu();
    say(&format!("ready {address}"));
    let mut line = String::new();
    io::stdin().read_line(&mut line).expect("the parent says when it is over");
    let cpu = process::cpu().saturating_sub(cpu);
    let account = account(&node, Duration::ZERO, cpu).await;
    say(&account.to_line());
    node.shutdown().await;
}

/// Opens an empty node, lets it come to agree with the one at this address, and says what that took.
///
/// # Panics
///
/// When anything fails.
#[tokio::main]
pub async fn fetch(folder: &Path, kind: Kind, way: Way, keys: u64, from: SocketAddr) {
    let node = Node::open(folder, options(kind, way)).await.expect("a node");
    let cpu = process::cpu();
    let start = Instant::now();
    node.connect(from).expect("an address on loopback");
    node.in_sync_with(1).await.expect("the two agree");
    let took = start.elapsed();
    let cpu = process::cpu().saturating_sub(cpu);
    let account = account(&node, took, cpu).await;
    let held = node.status().await.expect("a status").partitions[0].keys;
    assert_eq!(u64::try_from(held), Ok(keys), "all keys are there");
    say(&account.to_line());
    node.shutdown().await;
}

/// Starts two processes that sync, and returns what the one that serves and the one that fetches said.
///
/// # Panics
///
/// When either fails, or the two do not agree.
pub fn sync(root: &Path, kind: Kind, way: Way, keys: u64) -> (Account, Account) {
    let folder = tempfile::tempdir_in(root).expect("a folder");
    let start = |role: &str, folder: &Path, more: &[&str]| -> (Child, BufReader<ChildStdout>) {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["--role", role, kind.name(), way.name(), &keys.to_string()])
            .arg(folder)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        (child, lines)
    };
    let (mut serving, mut served) = start("serve", &folder.path().join("serve"), &[]);
    let ready = heard(&mut served);
    let address = ready.strip_prefix("ready ").expect("it listens").to_owned();
    let (mut fetching, mut fetched) = start("fetch", &folder.path().join("fetch"), &[&address]);
    let fetch = Account::of_line(&heard(&mut fetched));
    writeln!(serving.stdin.take().expect("it is piped"), "stop").expect("it listens");
    let serve = Account::of_line(&heard(&mut served));
    for child in [&mut fetching, &mut serving] {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(serve.root, fetch.root, "both hold the same");
    (serve, fetch)
}

fn options(kind: Kind, way: Way) -> NodeOptions {
    NodeOptions::new(cluster())
        .collection(kind.collection())
        .limits(way.limits())
        .timing(way.timing())
        // What a checkpoint costs is no part of a sync; and the sum it is compared with has none.
        .checkpoint_every(u64::MAX)
}

async fn account(node: &Node, took: Duration, cpu: Duration) -> Account {
    let status = node.status().await.expect("a status");
    Account {
        seconds: took.as_secs_f64(),
        cpu: cpu.as_secs_f64(),
        peak: process::peak_memory(),
        received: node.traffic().bytes_received,
        root: status.partitions[0].root.digest,
    }
}

fn say(line: &str) {
    println!("{line}");
    io::stdout().flush().expect("the parent listens");
}

fn heard(lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).expect("it speaks");
    line.trim_end().to_owned()
}

impl Account {
    fn to_line(self) -> String {
        let Self { seconds, cpu, peak, received, root } = self;
        format!("{seconds} {cpu} {peak} {received} {root}")
    }

    fn of_line(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [seconds, cpu, peak, received, root] = words[..] else {
            panic!("the process said {line:?}");
        };
        Self {
            seconds: seconds.parse().expect("a number"),
            cpu: cpu.parse().expect("a number"),
            peak: peak.parse().expect("a number"),
            received: received.parse().expect("a number"),
            root: root.parse().expect("a number"),
        }
    }
}
