//! Hostile worlds without a leader: quorums keep what they promise, and nothing is lost, counted twice or brought back.

use crdt_sync::PlantedBug;
use crdt_sync_sim::{Failure, Fault, FaultCounts, Report, Scenario, Schedule, Size, Topology, shrink};

fn scenario() -> Scenario {
    Scenario::new(Size::Quick).with_topology(Topology::Leaderless)
}

fn run(seed: u64) -> Report {
    Schedule::new(seed, scenario()).run().unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn quorums_keep_what_they_promise_while_everything_goes_wrong() {
    const SEEDS: u64 = 40;
    let reports: Vec<Report> = (0..SEEDS).map(run).collect();
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.acknowledged) > 30 * SEEDS);
    assert!(sum(|report| report.promised_reads) > 5 * SEEDS, "hardly a read had anything to show");
    assert!(sum(|report| report.hints_delivered) > SEEDS);
    assert!(sum(|report| report.unknown) > 0, "no write was cut off from its answer");
    let mut faults = FaultCounts::default();
    reports.iter().for_each(|report| faults += report.faults);
    let tried = |fault: &Fault| Topology::Leaderless.excludes(*fault).is_none();
    let missing: Vec<_> = faults.missing().filter(tried).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn without_faults_hardly_a_write_is_refused() {
    let peaceful = Scenario { faults: [].into(), ..scenario() };
    for seed in 0..10 {
        let report =
            Schedule::new(seed, peaceful.clone()).run().unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.refused < 5 && report.acknowledged > 70, "{report:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_watching_changes_nothing() {
    for seed in 0..3 {
        let schedule = Schedule::new(seed, scenario());
        let (first, watched) = (schedule.run().expect("no violation"), schedule.run_verbosely());
        assert_eq!(Ok(&first), schedule.run().as_ref());
        assert_eq!(first.digest, watched.expect("no violation").digest);
    }
}

#[test]
fn a_schedule_says_which_topology_it_is_of() {
    let schedule = Schedule::new(3, scenario().with_bug(PlantedBug::DigestTrusted));
    assert!(schedule.to_string().contains("\ntopology leaderless\n"));
    assert_eq!(schedule.to_string().parse(), Ok(schedule));
}

/// Like those of the other topology: each mistake is caught, at a seed that passes without it.
#[track_caller]
fn catch(bug: PlantedBug, within: u64, kinds: &[&str]) -> (Schedule, Box<Failure>) {
    let with_bug = |seed| Schedule::new(seed, scenario().with_bug(bug));
    let failure = (0..within).find_map(|seed| with_bug(seed).run().err());
    let failure = failure.unwrap_or_else(|| panic!("{bug} does not show within {within} seeds"));
    run(failure.seed);
    let kind = failure.violation.kind();
    assert!(kinds.contains(&kind.as_str()), "{bug} shows as {kind}: {failure}");
    (with_bug(failure.seed), failure)
}
