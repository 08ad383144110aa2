//! A plan keeps what it promises: so many operations, so many strikes.

use crdt_sync_sim::{Plan, Scenario, Schedule, Size, Violation, simulate};

#[test]
fn a_seed_of_the_full_plan_is_struck_at_least_twenty_times() {
    let report =
        Schedule::new(1, Scenario::new(Size::Full)).run().unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.strikes >= 20, "{}", report.strikes);
    assert!(report.acknowledged + report.reads > 1_000);
}

#[test]
fn a_plan_that_is_struck_too_seldom_is_at_fault() {
    let plan = Plan { least_strikes: 1_000, ..Plan::hostile() };
    let failure = simulate(1, &plan).expect_err("nobody strikes that often");
    assert!(
        matches!(failure.violation, Violation::TooFewStrikes { least: 1_000, strikes } if strikes < 1_000)
    );
    assert_eq!(failure.operations, plan.operations);
}

#[test]
fn a_peaceful_plan_need_not_be_struck() {
    let plan = Plan { least_strikes: 20, ..Plan::peaceful() };
    assert_eq!(simulate(1, &plan).map(|report| report.strikes), Ok(0));
}
