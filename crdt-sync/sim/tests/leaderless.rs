//! Hostile worlds without a leader: quorums keep what they promise, and nothing is lost, counted twice or brought back.

mod caught;

use caught::catch_in;
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
    for report in &reports {
        faults += report.faults;
    }
    let missing: Vec<_> = faults.missing(Topology::Leaderless).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn without_faults_hardly_a_write_is_refused() {
    let peaceful = Scenario { faults: [].into(), ..scenario() };
    for seed in 0..10 {
        let report =
            Schedule::new(seed, peaceful.clone()).run().unwrap_or_else(|failure| panic!("{failure}"));
        // Some want to delete a document that is not there.
        assert!(report.refused < 15 && report.acknowledged > 70, "{report:?}");
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

/// A mistake is caught, at a seed that passes without it. In few faults rare ones meet.
#[track_caller]
fn catch(bug: PlantedBug, faults: &[Fault], within: u64, kinds: &[&str]) -> (Schedule, Box<Failure>) {
    let mut scenario = scenario();
    if !faults.is_empty() {
        scenario.faults = faults.iter().copied().collect();
    }
    catch_in(&scenario, bug, within, kinds)
}

#[test]
fn a_fallback_that_is_counted_as_a_primary_is_caught() {
    let faults = [Fault::DiskSlow, Fault::Paused, Fault::FrameDelayed];
    let kinds = ["FalseReport", "StaleRead", "WrongOutcome", "Resurrected"];
    catch(PlantedBug::FallbackCountedAsPrimary, &faults, 40, &kinds);
}

#[test]
fn an_acknowledgement_that_is_counted_twice_is_caught() {
    let faults = [Fault::FrameDoubled, Fault::DiskSlow, Fault::Partitioned];
    let kinds = ["FalseReport", "StaleRead", "WrongOutcome", "Resurrected"];
    catch(PlantedBug::DuplicateAcknowledgementCounted, &faults, 60, &kinds);
}

#[test]
fn a_hint_that_is_deleted_before_it_arrived_is_caught() {
    let faults = [Fault::Partitioned, Fault::LinkBroken];
    catch(PlantedBug::HintDeletedBeforeTransfer, &faults, 60, &["LostWrite", "WrongOutcome"]);
}

#[test]
fn a_late_hint_that_brings_back_what_was_removed_is_caught() {
    let faults = [Fault::FrameDoubled, Fault::FrameDelayed];
    catch(PlantedBug::LateHintResurrects, &faults, 60, &["Resurrected", "WrongOutcome"]);
}

#[test]
fn a_repair_that_takes_what_is_newer_for_removed_is_caught() {
    let kinds = ["LostWrite", "StaleRead", "ForgottenSight", "FalseReport"];
    catch(PlantedBug::StaleReadRepair, &[], 40, &kinds);
}

#[test]
fn a_digest_that_stands_for_data_is_caught_and_made_smaller() {
    let (schedule, failure) = catch(
        PlantedBug::DigestTrusted,
        &[],
        40,
        &["StaleRead", "ForgottenSight", "WrongOutcome", "Resurrected"],
    );
    let shrunk = shrink(&schedule, &failure, 60);
    assert!(shrunk.operations() < schedule.operations());
    let replayed: Schedule = shrunk.schedule.to_string().parse().expect("it reads what it wrote");
    assert_eq!(replayed.run().expect_err("it still fails"), shrunk.failure);
}

#[test]
fn a_context_that_is_raised_by_half_a_session_is_caught() {
    let kinds = ["LostWrite", "StaleRead", "ForgottenSight", "FalseReport", "NoConvergence"];
    // Sessions are needed, and many that break off.
    let faults = [Fault::RestoredTold, Fault::RestoredUntold, Fault::LinkBroken];
    catch(PlantedBug::ContextRaisedIncomplete, &faults, 60, &kinds);
}
