//! What not every cluster asks of the engine, in hostile worlds: no promise is broken, and all of it is tried.

use crdt_sync_sim::{Extra, Extras, Fault, Phase, Report, Scenario, Schedule, Size};

const SEEDS: u64 = 40;

fn run_all(extras: &Extras) -> Vec<Report> {
    let scenario = Scenario::new(Size::Quick).with_extras(extras.clone());
    let run =
        |seed| Schedule::new(seed, scenario.clone()).run().unwrap_or_else(|failure| panic!("{failure}"));
    (0..SEEDS).map(run).collect()
}

fn sum(reports: &[Report], count: fn(&Report) -> u64) -> u64 {
    reports.iter().map(count).sum()
}

#[test]
fn members_are_retired_and_their_devices_come_back_with_what_they_wrote() {
    let reports = run_all(&Extra::Retirement.into());
    assert!(sum(&reports, |report| report.retired) > SEEDS / 2);
    assert!(sum(&reports, |report| report.rejoined) > SEEDS / 4);
    assert!(sum(&reports, |report| report.replayed) > 0, "no retired node had anything that nobody else had");
}

#[test]
fn clients_go_from_node_to_node_and_never_see_less() {
    let reports = run_all(&Extra::Sessions.into());
    assert!(sum(&reports, |report| report.session_reads) > 5 * SEEDS);
    assert!(sum(&reports, |report| report.behind) > 0, "nobody ever had to wait in vain");
}

#[test]
fn deletions_are_forgotten_and_nothing_comes_back() {
    let reports = run_all(&Extra::Forgetting.into());
    assert!(sum(&reports, |report| report.forgotten) > 0, "nothing was ever forgotten");
}

#[test]
fn partial_replicas_hold_what_lies_within_their_scopes_and_everybody_what_they_write() {
    let reports = run_all(&Extra::Partial.into());
    let met =
        |report: &Report| Fault::ALL.into_iter().map(|fault| report.coverage.of(fault, Phase::Scoped)).sum();
    assert!(sum(&reports, met) > 5 * SEEDS, "nothing ever struck a partial replica");
}

#[test]
fn runs_with_extras_are_the_same_run_again() {
    let scenario = Scenario::new(Size::Quick).with_extras(Extras::Just(Extra::ALL.into()));
    for seed in 0..3 {
        let run = || Schedule::new(seed, scenario.clone()).run();
        assert_eq!(run(), run());
    }
}
