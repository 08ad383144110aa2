//! A hundred hostile worlds, and in none of them is a promise broken.
//!
//! The long run is `cargo run --release -p crdt-sync-sim --bin simulate -- --seeds 0..1000`.

#![allow(
    clippy::disallowed_methods,
    reason = "runs are independent of each other, so they share the machine's cores"
)]

use std::thread;

use crdt_sync_sim::{FaultCounts, Plan, Report, Topology, simulate};

const SEEDS: u64 = 100;
const THREADS: u64 = 2;

#[test]
fn no_promise_is_broken_and_every_fault_strikes() {
    let reports = run_all(&Plan::hostile());
    let mut faults = FaultCounts::default();
    for report in &reports {
        faults += report.faults;
    }
    let missing: Vec<_> = faults.missing(Topology::MultiLeader).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.acknowledged) > 50 * SEEDS);
    assert!(sum(|report| report.reads) > 10 * SEEDS);
    assert!(sum(|report| report.sessions) > SEEDS);
    assert!(sum(|report| report.unknown) > 0, "no crash came between a write and its answer");
}

fn run_all(plan: &Plan) -> Vec<Report> {
    thread::scope(|scope| {
        let share = |thread| (0..SEEDS).filter(move |seed| seed % THREADS == thread);
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || share(thread).map(|seed| simulate(seed, plan)).collect::<Vec<_>>())
            })
            .collect();
        let outcomes = workers.into_iter().flat_map(|worker| worker.join().expect("runs catch their panics"));
        outcomes.map(|outcome| outcome.unwrap_or_else(|failure| panic!("{failure}"))).collect()
    })
}
