//! A seed is a run: everything that happens follows from it.

use crdt_sync_sim::{Plan, simulate};

#[test]
fn the_same_seed_is_the_same_run_byte_for_byte() {
    for seed in [0, 1, 0xdead_beef] {
        let (first, second) = (simulate(seed, &Plan::hostile()), simulate(seed, &Plan::hostile()));
        assert_eq!(first, second);
        assert!(first.is_ok_and(|report| report.events > 500));
    }
}

#[test]
fn another_seed_is_another_run() {
    let digest = |seed| simulate(seed, &Plan::hostile()).map(|report| report.digest);
    assert_ne!(digest(1), digest(2));
}

#[test]
fn watching_a_run_does_not_change_it() {
    let plan = Plan::hostile();
    let watched = simulate(3, &Plan { verbose: true, ..plan.clone() }).expect("no violation");
    let unwatched = simulate(3, &plan).expect("no violation");
    assert_eq!(watched.digest, unwatched.digest);
    assert_eq!(watched.trace.len() as u64, watched.events);
    assert!(unwatched.trace.is_empty());
}
