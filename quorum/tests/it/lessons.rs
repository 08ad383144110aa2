//! Runs the lessons of `testdata`: text files of commands and the pictures that they must print.
//!
//! A command ends at `----`, its picture at the next empty line; everything else is prose. Set `UPDATE_LESSONS` to
//! write what the code prints into the files, then read the difference as a reviewer.

#![allow(
    clippy::disallowed_methods,
    reason = "the lessons are files, and rewriting them is asked for by variable"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use quorum::{
    AckTally, CommitTally, Expr, JointCommitTally, JointVoteTally, Progress, QuorumConfig, QuorumSystem,
    SystemError, Vote, VoteTally,
};

#[test]
fn every_lesson_prints_what_it_says() {
    let lessons = lessons();
    assert!(!lessons.is_empty(), "tests/testdata holds no lesson");
    for path in lessons {
        let mut student = Student::default();
        assert_tells(&path, |command| student.obey(command));
    }
}

/// Compares the lesson with the same one in which every picture is what `obey` says to its command, or writes that.
pub(crate) fn assert_tells(path: &Path, obey: impl FnMut(&str) -> String) {
    let written = std::fs::read_to_string(path).expect("a readable lesson");
    let told = retell(&written, obey);
    if std::env::var_os("UPDATE_LESSONS").is_some() {
        std::fs::write(path, &told).expect("a writable lesson");
    } else {
        let differing = told.lines().zip(written.lines()).find(|(told, written)| told != written);
        assert!(told == written, "{} prints otherwise than it says: {differing:?}", path.display());
    }
}

pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata")
}

/// Told by `advisor_lessons.rs`, in commands of its own.
pub(crate) const TOPOLOGIES: &str = "7_topologies.txt";

fn lessons() -> Vec<PathBuf> {
    let mut lessons: Vec<PathBuf> = std::fs::read_dir(testdata())
        .expect("tests/testdata exists")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| !path.ends_with(TOPOLOGIES))
        .collect();
    lessons.sort();
    lessons
}

/// The lesson with every picture drawn afresh.
fn retell(lesson: &str, mut obey: impl FnMut(&str) -> String) -> String {
    let mut told = String::new();
    let mut lines = lesson.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(told, "{line}");
        if lines.next_if_eq(&"----").is_some() {
            while lines.next_if(|printed| !printed.is_empty()).is_some() {}
            let _ = write!(told, "----\n{}", obey(line));
        }
    }
    told
}

#[derive(Default)]
struct Student {
    tally: Option<AckTally<u32>>,
    system: Option<QuorumSystem<String>>,
    votes: Option<Votes>,
    log: Option<Log>,
}

enum Votes {
    One(VoteTally<u32>),
    Joint(JointVoteTally<u32>),
}

#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Log {
    One(CommitTally<u32>),
    Joint(JointCommitTally<u32>),
}

impl Student {
    fn obey(&mut self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let verb = words.next().unwrap_or_default();
        match verb {
            "config" => describe(&options(words)),
            "tally" => self.open(&options(words)),
            "ask-fallback" | "ack" | "fail" => self.answer(verb, words),
            "system" => self.build(command),
            "answered" => self.picture(words),
            "votes" => self.votes.insert(Votes::open(&options(words))).draw(),
            "grant" => self.vote(Vote::Granted, words),
            "reject" => self.vote(Vote::Rejected, words),
            "commit" => self.log.insert(Log::One(log(&options(words)))).draw(),
            "at" => self.acknowledge(&options(words)),
            "reconfigure" | "joint" | "leave" => self.change(verb, &options(words)),
            _ => panic!("no such command: {command}"),
        }
    }

    fn open(&mut self, options: &BTreeMap<&str, &str>) -> String {
        let required = nonzero(options["need"]);
        let primaries = list(options["primaries"]);
        let from_primaries = options.get("from-primaries").map_or(0, |count| number(count));
        let tally = AckTally::new(required, primaries).requiring_primaries(from_primaries);
        self.tally.insert(tally).describe().to_string()
    }

    fn answer<'a>(&mut self, verb: &str, nodes: impl Iterator<Item = &'a str>) -> String {
        let tally = self.tally.as_mut().expect("a tally is open");
        let mut refused = String::new();
        for node in nodes.map(number) {
            let answered = match verb {
                "ack" => tally.ack(node),
                "fail" => tally.fail(node),
                _ => Ok(tally.ask_fallback(node)),
            };
            if let Err(error) = answered {
                let _ = writeln!(refused, "refused: {error}");
            }
        }
        refused + &tally.describe().to_string()
    }

    fn vote<'a>(&mut self, vote: Vote, nodes: impl Iterator<Item = &'a str>) -> String {
        let votes = self.votes.as_mut().expect("a vote is open");
        let mut refused = String::new();
        for node in nodes.map(number) {
            let counted = match votes {
                Votes::One(votes) => votes.cast(node, vote),
                Votes::Joint(votes) => votes.cast(node, vote),
            };
            if let Err(error) = counted {
                let _ = writeln!(refused, "refused: {error}");
            }
        }
        refused + &votes.draw()
    }

    fn acknowledge(&mut self, positions: &BTreeMap<&str, &str>) -> String {
        let log = self.log.as_mut().expect("a log is open");
        let mut said = String::new();
        for (node, position) in positions {
            let (node, position) = (number(node), u64::from(number(position)));
            let counted = match log {
                Log::One(log) => log.acknowledge(node, position),
                Log::Joint(log) => log.acknowledge(node, position),
            };
            let _ = match counted {
                Ok(Progress::Advanced { to }) => writeln!(said, "advanced to {to}"),
                Ok(Progress::Outdated { known }) => writeln!(said, "ignored: node {node} had {known}"),
                Ok(Progress::Unchanged) => Ok(()),
                Err(error) => writeln!(said, "refused: {error}"),
            };
        }
        said + &log.draw()
    }

    fn change(&mut self, verb: &str, options: &BTreeMap<&str, &str>) -> String {
        let changed = match (verb, self.log.take().expect("a log is open")) {
            ("leave", Log::Joint(joint)) => Log::One(joint.into_new()),
            ("joint", Log::One(old)) => Log::Joint(JointCommitTally::new(old, log(options))),
            ("reconfigure", Log::One(mut changed)) => {
                changed.reconfigure(log(options));
                Log::One(changed)
            }
            _ => panic!("{verb} does not follow here"),
        };
        self.log.insert(changed).draw()
    }
}

impl Votes {
    fn open(options: &BTreeMap<&str, &str>) -> Self {
        match (options.get("voters"), options.get("need")) {
            (Some(voters), None) => Self::One(VoteTally::majority(list(voters))),
            (Some(voters), Some(need)) => Self::One(VoteTally::new(nonzero(need), list(voters))),
            (None, _) => Self::Joint(JointVoteTally::majority(list(options["old"]), list(options["new"]))),
        }
    }

    fn draw(&self) -> String {
        match self {
            Self::One(votes) => votes.describe().to_string(),
            Self::Joint(votes) => votes.describe().to_string(),
        }
    }
}

impl Log {
    fn draw(&self) -> String {
        match self {
            Self::One(log) => log.describe().to_string(),
            Self::Joint(log) => log.describe().to_string(),
        }
    }
}

fn log(options: &BTreeMap<&str, &str>) -> CommitTally<u32> {
    match (options.get("members"), options.get("need")) {
        (Some(members), None) => CommitTally::majority(list(members)),
        (Some(members), Some(need)) => CommitTally::new(nonzero(need), list(members)),
        (None, _) => {
            let votes = options["votes"].split(',').filter_map(|member| member.split_once(':'));
            let votes = votes.map(|(node, votes)| (u64::from(number(votes)), number(node)));
            CommitTally::weighted(u64::from(number(options["need"])), votes).expect("sound votes")
        }
    }
}

/// Quorum systems: `system READS` with the best writes, or `system READS | WRITES`, and who has `answered`.
impl Student {
    fn build(&mut self, command: &str) -> String {
        let exprs = command.trim_start_matches("system ").split('|').map(str::parse::<Expr<String>>);
        let exprs: Vec<_> = match exprs.collect() {
            Ok(exprs) => exprs,
            Err(error) => return format!("refused: {error}\n"),
        };
        let system = match &exprs[..] {
            [reads] => QuorumSystem::from_reads(reads.clone()),
            [reads, writes] => QuorumSystem::new(reads.clone(), writes.clone()),
            _ => panic!("reads, or reads | writes: {command}"),
        };
        match system {
            Ok(system) => self.system.insert(system).describe().to_string(),
            Err(SystemError::Disjoint { read, write }) => {
                format!("refused: a read of {} misses a write of {}\n", read.join(" "), write.join(" "))
            }
            Err(error) => format!("refused: {error}\n"),
        }
    }

    fn picture<'a>(&self, nodes: impl Iterator<Item = &'a str>) -> String {
        let system = self.system.as_ref().expect("a system is built");
        system.picture(system.set(nodes.map(str::to_owned))).to_string()
    }
}

fn describe(options: &BTreeMap<&str, &str>) -> String {
    match QuorumConfig::new(number(options["N"]), number(options["R"]), number(options["W"])) {
        Ok(config) => config.describe().to_string(),
        Err(error) => format!("refused: {error}\n"),
    }
}

fn options<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, &'a str> {
    words.filter_map(|word| word.split_once('=')).collect()
}

fn list(words: &str) -> impl Iterator<Item = u32> {
    words.split(',').filter(|node| !node.is_empty()).map(number)
}

fn nonzero(word: &str) -> NonZeroU32 {
    NonZeroU32::new(number(word)).expect("need at least one")
}

fn number(word: &str) -> u32 {
    word.parse().expect("a number")
}
