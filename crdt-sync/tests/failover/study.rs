//! What patience costs and what it saves: the tables of `docs/failover.md`.
//!
//! `cargo test -p crdt-sync --test failover study -- --nocapture` prints them, and fails where the page says something
//! else.

use std::fmt::Write;
use std::time::Duration;

use crdt_sync::failover::election::Policy;
use crdt_sync::failover::{Accrual, Detection, Detector, FailoverConfig, GrantedBy, LeaseTerms};
use crdt_sync::placement::{self, Patience};
use crdt_sync::time::Instant;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::world::*;

const PAGE: &str = include_str!("../../../docs/failover.md");
const DAYS: u64 = 100;
const DAY: u64 = 86_400_000_000;
const BEAT: Duration = Duration::from_secs(5);

/// How often a day something happens, and how long it takes on average, in seconds. Lengths are exponential.
const PAUSES: [(u64, u64); 2] = [(20, 2), (2, 15)];
const BLIPS: [(u64, u64); 2] = [(10, 4), (1, 20)];

#[test]
fn false_suspicions_against_detection_time_are_as_the_page_says() {
    let arrivals = arrivals();
    let mut table = String::from(
        "| rule | wrongly suspected, per day | a crash is found after, mean | at most |\n|---|---|---|---|\n",
    );
    let mut figures = Vec::new();
    for seconds in [15, 20, 30, 45, 60] {
        let detection = Detection::Fixed { timeout: secs(seconds) };
        figures.push(row(&mut table, &format!("fixed, {seconds} s"), judged(detection, &arrivals)));
    }
    for (threshold, pause) in [(8, 0), (4, 10), (8, 10), (12, 10), (8, 25)] {
        let settings = Accrual { threshold, pause: secs(pause), ..Accrual::every(BEAT) };
        let name = format!("accrual, phi {threshold}, pause {pause} s");
        figures.push(row(&mut table, &name, judged(Detection::Accrual(settings), &arrivals)));
    }
    for intervals in [4, 8] {
        let name = format!("linear, {intervals} means (routing)");
        figures.push(row(&mut table, &name, linear(intervals, &arrivals)));
    }
    check("detection", &table);
    assert!(figures[..5].is_sorted_by(|fast, slow| fast.wrong >= slow.wrong && fast.mean <= slow.mean));
}

#[test]
fn the_time_without_a_leader_is_as_the_page_says() {
    let mut table = String::from(
        "| heartbeat, patience, lease | granted by | elected | after a crash: least | mean | most |\n\
         |---|---|---|---|---|---|\n",
    );
    let policies = [
        ("most up to date", Policy::MostUpToDate),
        ("priority", Policy::Priority(vec![id(C), id(B)])),
        ("consensus", Policy::Consensus),
    ];
    for (beat, patience) in [(1, 4), (2, 10), (5, 30)] {
        for granted_by in [GrantedBy::Promises, GrantedBy::Coordinator { failsafe: false }] {
            for (name, policy) in &policies {
                let config = FailoverConfig {
                    granted_by,
                    policy: policy.clone(),
                    heartbeat: secs(beat),
                    detection: Detection::Fixed { timeout: secs(patience) },
                    lease: LeaseTerms::of(secs(patience)),
                    ask_timeout: secs(patience) / 6,
                    turn: secs(beat) / 2,
                    ..settings(3)
                };
                let mut took: Vec<Duration> =
                    (0..40).map(|seed| time_without_a_leader(&config, seed)).collect();
                took.sort_unstable();
                let mean = took.iter().sum::<Duration>() / took.len() as u32;
                let (least, mean, most) = (tenths(took[0]), tenths(mean), tenths(took[took.len() - 1]));
                let who = if granted_by == GrantedBy::Promises { "promises" } else { "coordinator" };
                writeln!(
                    table,
                    "| {beat} s, {patience} s, {patience} s | {who} | {name} | {least} | {mean} | {most} |"
                )
                .unwrap();
            }
        }
    }
    check("times", &table);
}

fn check(name: &str, table: &str) {
    #[expect(clippy::print_stdout, reason = "that is what it is for")]
    {
        println!("{table}");
    }
    assert!(PAGE.contains(table), "docs/failover.md has another table of {name}:\n{table}");
}

fn time_without_a_leader(config: &FailoverConfig, seed: u64) -> Duration {
    let config = FailoverConfig { seed, ..config.clone() };
    let (mut world, leader) = World::new(config, seed).with_drift().start_all().led();
    let span = Duration::from_millis(world.below(30_000));
    world.run(span);
    world.crash(leader);
    world.until_somebody_leads(secs(300)).unwrap().1
}

/// When the heartbeats of a peer arrive that lives all the time. Its process pauses now and then, and sends the
/// heartbeat that was due when it goes on; what is sent during a blip is lost, and so is one in 10,000.
fn arrivals() -> Vec<Instant> {
    let mut random = ChaCha8Rng::seed_from_u64(58);
    let pauses = spans(&mut random, &PAUSES);
    let blips = spans(&mut random, &BLIPS);
    let inside = |spans: &[(u64, u64)], at: u64| {
        let next = spans.partition_point(|(_, end)| *end <= at);
        spans.get(next).filter(|(begin, _)| *begin <= at).map(|(_, end)| *end)
    };
    let (mut arrivals, mut due) = (Vec::new(), 0);
    while due < DAYS * DAY {
        let sent = inside(&pauses, due).unwrap_or(due);
        let way = exponential(&mut random, 2_000);
        if inside(&blips, sent).is_none() && !random.next_u64().is_multiple_of(10_000) {
            arrivals.push(Instant::from_micros(sent + way));
        }
        due = sent + BEAT.as_micros() as u64;
    }
    arrivals.sort_unstable();
    arrivals
}

/// What happens now and then, in order, without overlaps.
fn spans(random: &mut ChaCha8Rng, kinds: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut spans = Vec::new();
    for (per_day, seconds) in kinds {
        let mut at = exponential(random, DAY / per_day);
        while at < DAYS * DAY {
            spans.push((at, at + exponential(random, seconds * 1_000_000)));
            at += exponential(random, DAY / per_day);
        }
    }
    spans.sort_unstable();
    let mut apart: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in spans {
        match apart.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => apart.push((begin, end)),
        }
    }
    apart
}

fn exponential(random: &mut ChaCha8Rng, mean: u64) -> u64 {
    let uniform = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    (-libm::log(1.0 - uniform) * mean as f64) as u64
}

struct Figures {
    wrong: u64,
    mean: Duration,
    most: Duration,
}

/// How a rule does with those heartbeats: each silence that is too long is one wrong suspicion. A crash comes at any
/// moment between two heartbeats, half an interval after the last one on average, which shortens the patience by that.
fn judged(detection: Detection, arrivals: &[Instant]) -> Figures {
    let mut detector = Detector::new(detection, arrivals[0]);
    let (mut wrong, mut sum, mut most) = (0, Duration::ZERO, Duration::ZERO);
    for at in arrivals {
        wrong += u64::from(detector.suspects(id(A), *at));
        detector.heard(id(A), *at);
        let patience = detector.suspected_at(id(A)).since(*at);
        sum += patience;
        most = most.max(patience);
    }
    Figures { wrong, mean: (sum / arrivals.len() as u32).saturating_sub(BEAT / 2), most }
}

/// The rule of `placement`, which does not foretell when: looked for by halving, for some of the heartbeats.
fn linear(intervals: u32, arrivals: &[Instant]) -> Figures {
    let patience = Patience { expected: BEAT, intervals, ..Patience::DEFAULT };
    let mut detector = placement::Detector::new(patience);
    let (mut wrong, mut sum, mut most, mut looked) = (0, Duration::ZERO, Duration::ZERO, 0);
    for (count, at) in arrivals.iter().enumerate() {
        wrong += u64::from(count > 0 && !detector.is_live(id(A), *at));
        detector.heard(id(A), *at);
        if count % 10 == 0 {
            let (mut live, mut dead) = (0, 1_000_000_000);
            while dead - live > 1 {
                let middle = u64::midpoint(live, dead);
                let then = *at + Duration::from_micros(middle);
                if detector.is_live(id(A), then) { live = middle } else { dead = middle }
            }
            sum += Duration::from_micros(dead);
            most = most.max(Duration::from_micros(dead));
            looked += 1;
        }
    }
    Figures { wrong, mean: (sum / looked).saturating_sub(BEAT / 2), most }
}

fn row(table: &mut String, name: &str, figures: Figures) -> Figures {
    let hundredths = (figures.wrong * 100 + DAYS / 2) / DAYS;
    let (mean, most) = (tenths(figures.mean), tenths(figures.most));
    writeln!(table, "| {name} | {}.{:02} | {mean} | {most} |", hundredths / 100, hundredths % 100).unwrap();
    figures
}

fn tenths(span: Duration) -> String {
    let tenths = (span.as_millis() + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
