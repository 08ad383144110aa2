//! The commands of the lesson on topologies: requirements, which are answered by tables of advice.

use std::time::Duration;

use quorum::Probability;
use quorum::advisor::{
    AcceptableLoss, ConflictHandling, Distances, LeaderAim, ReadNeed, Requirements, advise,
};

use crate::lessons::{TOPOLOGIES, assert_tells, testdata};

#[test]
fn the_lesson_prints_what_it_says() {
    let mut distances = Distances::single("here");
    assert_tells(&testdata().join(TOPOLOGIES), |command| obey(command, &mut distances));
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
