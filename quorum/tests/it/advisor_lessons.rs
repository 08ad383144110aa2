//! Runs the lesson on topologies: requirements as commands, advice as the tables that they must print.
//!
//! A command ends at `----`, its table at the next empty line; everything else is prose. Set `UPDATE_LESSONS` to
//! write what the code prints into the file, then read the difference as a reviewer.

#![allow(
    clippy::disallowed_methods,
    reason = "the lesson is a file, and rewriting it is asked for by variable"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use quorum::Probability;
use quorum::advisor::{
    AcceptableLoss, ConflictHandling, Distances, LeaderAim, ReadNeed, Requirements, advise,
};

#[test]
fn the_lesson_prints_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/7_topologies.txt");
    let written = std::fs::read_to_string(&path).expect("a readable lesson");
    let told = retell(&written);
    if std::env::var_os("UPDATE_LESSONS").is_some() {
        std::fs::write(&path, &told).expect("a writable lesson");
    } else {
        let differing = told.lines().zip(written.lines()).find(|(told, written)| told != written);
        assert!(told == written, "{} prints otherwise than it says: {differing:?}", path.display());
    }
}

/// The lesson with every table drawn afresh.
fn retell(lesson: &str) -> String {
    let mut distances = Distances::single("here");
    let mut told = String::new();
    let mut lines = lesson.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(told, "{line}");
        if lines.next_if_eq(&"----").is_some() {
            while lines.next_if(|printed| !printed.is_empty()).is_some() {}
            let _ = write!(told, "----\n{}", obey(line, &mut distances));
        }
    }
    told
}

fn obey(command: &str, distances: &mut Distances) -> String {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    match verb {
        "distances" => match measured(rest) {
            Ok(measured) => {
                *distances = measured;
                distances.to_string()
            }
            Err(error) => format!("refused: {error}\n"),
        },
        "advise" => match requirements(rest, distances.clone()) {
            Ok(requirements) => advise(&requirements).to_string(),
            Err(error) => format!("refused: {error}\n"),
        },
        _ => panic!("no such command: {command}"),
    }
}

/// `new-york london 150ms, london tokyo 110ms`: each region that is named, in the order of naming.
fn measured(text: &str) -> Result<Distances, quorum::DistancesError> {
    let mut names: Vec<&str> = Vec::new();
    let mut pairs = Vec::new();
    for pair in text.split(',') {
        let words: Vec<&str> = pair.split_whitespace().collect();
        let [from, to, time] = words[..] else {
            return words.first().map_or_else(
                || Distances::symmetric(names.clone(), []),
                |only| Ok(Distances::single(*only)),
            );
        };
        for name in [from, to] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        pairs.push((from, to, span(time)));
    }
    Distances::symmetric(names, pairs)
}

fn requirements(text: &str, distances: Distances) -> Result<Requirements, quorum::RequirementsError> {
    let words: Vec<(&str, &str)> =
        text.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, ""))).collect();
    let places = words.iter().find(|(key, _)| *key == "replicas").map_or("3", |(_, value)| value);
    let counts: Vec<u32> = places.split(',').map(number).collect();
    let mut needs = match counts[..] {
        [count] => Requirements::new(distances, count)?,
        _ => Requirements::placed(distances, counts)?,
    };
    for (key, value) in words {
        needs = match key {
            "replicas" => needs,
            "failures" => needs.failures(number(value)),
            "may-lose" => needs.may_lose(match value {
                "nothing" => AcceptableLoss::Nothing,
                "anything" => AcceptableLoss::Anything,
                last => AcceptableLoss::Last(span(last)),
            }),
            "outage" => needs.write_outage(span(value)),
            "lag" => needs.replication_lag(span(value)),
            "write" => needs.write_latency(span(value)),
            "detection" => needs.detection(span(value)),
            "writes-in-every-region" => needs.writes_in_every_region(),
            "offline-clients" => needs.offline_clients(),
            "conflicts" => needs.conflicts(match value {
                "impossible" => ConflictHandling::Impossible,
                "last-writer-wins" => ConflictHandling::LastWriterWins,
                "merge" => ConflictHandling::Merge,
                _ => panic!("no such handling: {value}"),
            }),
            "reads" => needs.reads(match value {
                "anything" => ReadNeed::Anything,
                "own-writes" => ReadNeed::OwnWrites,
                "latest" => ReadNeed::Latest,
                _ => panic!("no such need: {value}"),
            }),
            "read-fraction" => {
                let fraction = value.parse().map(Probability::new);
                needs.read_fraction(fraction.expect("a number").expect("a probability"))
            }
            "clients" => needs.clients(value.split(',').map(number))?,
            "leader-by" => needs.place_leader_by(match value {
                "slowest" => LeaderAim::Slowest,
                "mean" => LeaderAim::Mean,
                _ => panic!("no such aim: {value}"),
            }),
            _ => panic!("no such requirement: {key}"),
        };
    }
    Ok(needs)
}

fn span(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(milliseconds) => Duration::from_millis(number(milliseconds).into()),
        None => Duration::from_secs(number(text.strip_suffix('s').expect("a unit")).into()),
    }
}

fn number(word: &str) -> u32 {
    word.parse().expect("a number")
}
