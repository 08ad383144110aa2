//! The summary of a run: a table for people, or one JSON object for programs.

use std::time::Duration;

use crdt_sync::SessionReport;
use crdt_sync::merkle::Root;
use crdt_sync_driver::Traffic;
use indicatif::{DecimalBytes, HumanCount};
use serde_json::json;

use crate::contents::Contents;
use crate::load::Loaded;
use crate::rules::Resolve;

/// Everything a run has to tell.
pub(crate) struct Summary<'c> {
    pub(crate) resolve: Resolve,
    /// Whether all replicas hold the same.
    pub(crate) converged: bool,
    /// How many there are, those in other processes among them.
    pub(crate) replicas: usize,
    /// The replicas of this process.
    pub(crate) rows: Vec<Row>,
    /// What the first of them holds.
    pub(crate) contents: &'c Contents,
    pub(crate) root: Root,
    pub(crate) sessions: Vec<SessionReport>,
    /// The least that the sessions could have taken to compare, in bits.
    pub(crate) least_bits: f64,
    pub(crate) times: Times,
    pub(crate) edits: Option<Edits>,
}

/// One replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) loaded: Loaded,
    /// How many packages it held before it met anyone.
    pub(crate) keys: usize,
    /// The size of its catalogue's text.
    pub(crate) input: u64,
    /// The size of all states it held before it met anyone: what sending everything once would cost.
    pub(crate) full_copy: u64,
    /// What went over its sockets, edits included.
    pub(crate) traffic: Traffic,
}

/// How long things took.
pub(crate) struct Times {
    pub(crate) loading: Duration,
    pub(crate) syncing: Duration,
    pub(crate) total: Duration,
}

/// What the edits took.
pub(crate) struct Edits {
    count: usize,
    messages: u64,
    bytes_sent: u64,
}

impl Edits {
    /// What was sent between two moments, for so many edits.
    pub(crate) fn between(count: usize, before: Traffic, after: Traffic) -> Self {
        let messages = after.frames_sent - before.frames_sent;
        Self { count, messages, bytes_sent: after.bytes_sent - before.bytes_sent }
    }
}

impl Summary<'_> {
    /// Prints the summary; as JSON it is the one line on standard output.
    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.json());
        } else {
            self.print_table();
        }
    }

    fn json(&self) -> serde_json::Value {
        let edits = self.edits.as_ref().map(|edits| {
            json!({ "count": edits.count, "messages": edits.messages, "bytes_sent": edits.bytes_sent })
        });
        json!({
            "converged": self.converged,
            "resolve": self.resolve.name(),
            "replicas": self.replicas,
            "keys": self.contents.packages.len(),
            "conflicts": self.contents.conflicts(),
            "resolved": self.contents.resolved(),
            "messages": self.sum(|row| row.traffic.frames_sent),
            "bytes_sent": self.sum(|row| row.traffic.bytes_sent),
            "bytes_full_copy": self.sum(|row| row.full_copy),
            "bytes_input": self.sum(|row| row.input),
            "loaded": self.sum(|row| row.loaded.written() as u64),
            "resumed": self.sum(|row| row.loaded.resumed as u64),
            "sessions": self.sessions.len(),
            "rounds": self.rounds(),
            "bytes_comparing": self.tree_bytes(),
            "bytes_comparing_least": self.least_bytes(),
            "seconds": self.times.total.as_secs_f64(),
            "seconds_loading": self.times.loading.as_secs_f64(),
            "seconds_syncing": self.times.syncing.as_secs_f64(),
            "root": format!("{:032x}", self.root.digest),
            "edits": edits,
        })
    }

    fn print_table(&self) {
        let name_width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(9);
        let line = |cells: [String; 6]| {
            let [name, entries, input, full_copy, sent, messages] = cells;
            println!(
                "{name:name_width$}  {entries:>9}  {input:>10}  {full_copy:>10}  {sent:>10}  {messages:>9}"
            );
        };
        println!();
        line(["replica", "packages", "input", "full copy", "sent", "messages"].map(Into::into));
        for row in &self.rows {
            line(row.cells());
        }
        if self.rows.len() > 1 {
            line(self.total().cells());
        }
        println!();
        self.print_outcome();
    }

    fn print_outcome(&self) {
        let count = |number: usize| HumanCount(number as u64);
        let (packages, conflicts) = (count(self.contents.packages.len()), count(self.contents.conflicts()));
        let verdict = match self.resolve {
            Resolve::Keep => "all of them are kept",
            Resolve::Lww => "the last one written is shown",
            Resolve::Custom => "the highest is shown",
        };
        println!("{packages} packages, {conflicts} of them with versions that differ: {verdict}");
        let (sessions, tree) = (count(self.sessions.len()), DecimalBytes(self.tree_bytes()));
        let least = DecimalBytes(self.least_bytes());
        println!(
            "{sessions} sessions, {} rounds to compare trees with {tree}; the lower bound is {least}",
            self.rounds()
        );
        println!(
            "{:.1} s to load, {:.1} s to sync",
            self.times.loading.as_secs_f64(),
            self.times.syncing.as_secs_f64()
        );
        if let Some(edits) = &self.edits {
            let (edited, sent) = (count(edits.count), DecimalBytes(edits.bytes_sent));
            println!("{edited} edits afterwards: {} messages, {sent}", HumanCount(edits.messages));
        }
        let resumed = self.sum(|row| row.loaded.resumed as u64);
        if resumed > 0 {
            println!("{} packages were there from an earlier run", HumanCount(resumed));
        }
        let verdict = if self.converged { "agree" } else { "DO NOT AGREE" };
        println!("{} replicas {verdict}, root {:032x}", self.replicas, self.root.digest);
    }

    fn total(&self) -> Row {
        let frames_sent = self.sum(|row| row.traffic.frames_sent);
        let bytes_sent = self.sum(|row| row.traffic.bytes_sent);
        Row {
            name: "together".into(),
            loaded: Loaded { of: self.rows.iter().map(|row| row.loaded.of).sum(), ..Loaded::default() },
            keys: self.rows.iter().map(|row| row.keys).sum(),
            input: self.sum(|row| row.input),
            full_copy: self.sum(|row| row.full_copy),
            traffic: Traffic { frames_sent, bytes_sent, ..Traffic::default() },
        }
    }

    fn rounds(&self) -> u32 {
        self.sessions.iter().map(|session| session.rounds).sum()
    }

    fn tree_bytes(&self) -> u64 {
        self.sessions.iter().map(|session| session.tree_bytes).sum()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a sum of logarithms of counts"
    )]
    fn least_bytes(&self) -> u64 {
        (self.least_bits / 8.0).ceil() as u64
    }

    fn sum(&self, of: impl Fn(&Row) -> u64) -> u64 {
        self.rows.iter().map(of).sum()
    }
}

impl Row {
    fn cells(&self) -> [String; 6] {
        [
            self.name.clone(),
            HumanCount(self.loaded.of as u64).to_string(),
            DecimalBytes(self.input).to_string(),
            DecimalBytes(self.full_copy).to_string(),
            DecimalBytes(self.traffic.bytes_sent).to_string(),
            HumanCount(self.traffic.frames_sent).to_string(),
        ]
    }
}
