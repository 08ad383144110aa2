//! The `catalogue` example as three processes, one of which is killed without warning.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "in a test a panic is the report; this one runs programs and kills them"
)]

mod catalogue;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catalogue::{Catalogue, dumped, program, three_that_diverged, union, write_all};

/// Only so that what never comes fails the test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node in a process of its own, and every line it has said.
struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a node that loads `<directory>/<name>.tsv`, with its log in `<directory>/data/<name>`.
    fn start(directory: &Path, name: &str, peers: &[SocketAddr]) -> Self {
        let mut command = Command::new(program());
        command.args(["--listen", "127.0.0.1:0", "--load"]).arg(directory.join(format!("{name}.tsv")));
        command.arg("--data-dir").arg(directory.join("data"));
        command.arg("--dump").arg(directory.join("dump"));
        for peer in peers {
            command.args(["--peer", &peer.to_string()]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (said, heard) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&lines));
        std::thread::spawn(move || {
            said.lines().map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        });
        Self { child, lines }
    }

    /// Waits for a line in which `find` finds something.
    fn hear<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let find = || self.lines.lock().unwrap().iter().find_map(|line| find(line));
        wait_for(find).unwrap_or_else(|| panic!("never heard {what} in {:#?}", self.lines.lock().unwrap()))
    }

    fn address(&self) -> SocketAddr {
        self.hear("an address", |line| line.split_once("listening at ")?.1.parse().ok())
    }

    /// Where the node stands: how many packages it holds, their digest, and with how many peers it is in sync.
    fn standing(&self) -> Option<(usize, String, usize)> {
        self.lines.lock().unwrap().iter().rev().find_map(|line| standing(line))
    }

    /// How many packages of its catalogue the node found in its log when it started.
    fn found(&self) -> usize {
        self.hear("how much is loaded", loaded)
    }

    /// What kill -9 does: the process gets no chance to do anything any more.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What Ctrl-C does: the process writes its dump and ends.
    fn interrupt(mut self) -> ExitStatus {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap()
    }
}

/// A test that fails leaves no process behind.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From `a: 4096 of 20000 packages loaded`.
fn loaded(line: &str) -> Option<usize> {
    line.strip_suffix(" packages loaded")?.split_once(": ")?.1.split_once(" of ")?.0.parse().ok()
}

/// From `a: 20000 packages, root 00ff, 2 peers, in sync with 1`.
fn standing(line: &str) -> Option<(usize, String, usize)> {
    let (packages, rest) = line.split_once(": ")?.1.split_once(" packages, root ")?;
    let (root, rest) = rest.split_once(", ")?;
    let agreed = rest.split_once("in sync with ")?.1;
    Some((packages.parse().ok()?, root.to_owned(), agreed.parse().ok()?))
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match look() {
            None if Instant::now() < give_up => std::thread::sleep(Duration::from_millis(2)),
            found => return found,
        }
    }
}

/// Waits until each of three processes is in sync with the other two.
fn agree(processes: &[&Process; 3]) {
    let agreed = || {
        let standings = processes.map(Process::standing);
        let (_, root, _) = standings[0].clone()?;
        standings.iter().all(|standing| matches!(standing, Some((_, r, 2)) if *r == root)).then_some(())
    };
    wait_for(agreed).unwrap_or_else(|| panic!("no agreement: {:?}", processes.map(Process::standing)));
}

fn finish(directory: &Path, catalogues: &[Catalogue; 3], processes: [Process; 3]) {
    agree(&processes.each_ref());
    for process in processes {
        assert!(process.interrupt().success());
    }
    assert_eq!(dumped(&directory.join("dump"), &["a", "b", "c"]), union(catalogues));
}

#[test]
fn three_processes_do_the_same_job() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let catalogues = three_that_diverged(1_000);
    write_all(directory, &catalogues);
    let a = Process::start(directory, "a", &[]);
    let b = Process::start(directory, "b", &[a.address()]);
    let c = Process::start(directory, "c", &[a.address(), b.address()]);
    finish(directory, &catalogues, [a, b, c]);
}

#[test]
fn what_was_acknowledged_before_kill_9_is_there_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let catalogues = three_that_diverged(20_000);
    write_all(directory, &catalogues);
    let whole = catalogues[2].len();
    let a = Process::start(directory, "a", &[]);

    // In the middle of its load, just when some of it was acknowledged.
    let victim = Process::start(directory, "c", &[a.address()]);
    let acknowledged = victim.hear("a first batch", |line| loaded(line).filter(|durable| *durable > 0));
    victim.kill();

    // In the middle of the sync: first states of `a` have arrived, and `b` was not even there yet.
    let victim = Process::start(directory, "c", &[a.address()]);
    assert!(victim.found() >= acknowledged, "{} of {acknowledged} acknowledged are left", victim.found());
    victim.hear("states of a peer", |line| standing(line).filter(|(packages, _, _)| *packages > whole));
    victim.kill();

    let b = Process::start(directory, "b", &[a.address()]);
    let victim = Process::start(directory, "c", &[a.address(), b.address()]);
    assert_eq!(victim.found(), whole, "the whole catalogue was acknowledged");
    finish(directory, &catalogues, [a, b, victim]);
}
