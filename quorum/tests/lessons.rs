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

use quorum::{AckTally, Expr, QuorumConfig, QuorumSystem, SystemError};

#[test]
fn every_lesson_prints_what_it_says() {
    let lessons = lessons();
    assert!(!lessons.is_empty(), "tests/testdata holds no lesson");
    for path in lessons {
        let written = std::fs::read_to_string(&path).expect("a readable lesson");
        let told = retell(&written);
        if std::env::var_os("UPDATE_LESSONS").is_some() {
            std::fs::write(&path, &told).expect("a writable lesson");
        } else {
            let differing = told.lines().zip(written.lines()).find(|(told, written)| told != written);
            assert!(told == written, "{} prints otherwise than it says: {differing:?}", path.display());
        }
    }
}

/// Told by `advisor_lessons.rs`, in commands of its own.
const TOPOLOGIES: &str = "7_topologies.txt";

fn lessons() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
    let mut lessons: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("tests/testdata exists")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| !path.ends_with(TOPOLOGIES))
        .collect();
    lessons.sort();
    lessons
}

/// The lesson with every picture drawn afresh.
fn retell(lesson: &str) -> String {
    let mut student = Student::default();
    let mut told = String::new();
    let mut lines = lesson.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(told, "{line}");
        if lines.next_if_eq(&"----").is_some() {
            while lines.next_if(|printed| !printed.is_empty()).is_some() {}
            let _ = write!(told, "----\n{}", student.obey(line));
        }
    }
    told
}

#[derive(Default)]
struct Student {
    tally: Option<AckTally<u32>>,
    system: Option<QuorumSystem<String>>,
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
            _ => panic!("no such command: {command}"),
        }
    }

    fn open(&mut self, options: &BTreeMap<&str, &str>) -> String {
        let required = NonZeroU32::new(number(options["need"])).expect("need at least one");
        let primaries = options["primaries"].split(',').filter(|node| !node.is_empty()).map(number);
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

fn number(word: &str) -> u32 {
    word.parse().expect("a number")
}
