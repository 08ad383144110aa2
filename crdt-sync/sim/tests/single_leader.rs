//! Hostile worlds in which one node leads: nobody is shown or told what is not so, and all logs become one.

mod caught;

use caught::catch_in;
use crdt_sync::PlantedBug;
use crdt_sync_sim::{Failure, FaultCounts, Modes, Report, Scenario, Schedule, Size, Topology, shrink};

fn scenario() -> Scenario {
    Scenario::new(Size::Quick).with_topology(Topology::SingleLeader)
}

fn committing(modes: &str) -> Scenario {
    Scenario { modes: modes.parse().expect("a way to commit"), ..scenario() }
}

fn exercising(extras: &str, modes: &str) -> Scenario {
    Scenario { extras: extras.parse().expect("extras"), ..committing(modes) }
}

fn run(seed: u64, scenario: &Scenario) -> Report {
    Schedule::new(seed, scenario.clone()).run().unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn a_leader_keeps_what_it_promises_while_everything_goes_wrong() {
    const SEEDS: u64 = 40;
    let reports: Vec<Report> = (0..SEEDS).map(|seed| run(seed, &scenario())).collect();
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.acknowledged) > 10 * SEEDS);
    assert!(sum(|report| report.reads) > 20 * SEEDS);
    assert!(sum(|report| report.session_reads) > 5 * SEEDS);
    assert!(sum(|report| report.degraded) > 0 && sum(|report| report.not_replicated) > 0);
    assert!(sum(|report| report.unknown) > 0, "no write was cut off from its answer");
    let mut faults = FaultCounts::default();
    for report in &reports {
        faults += report.faults;
    }
    let missing: Vec<_> = faults.missing(Topology::SingleLeader).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn leaders_come_and_go_with_their_disks_and_followers_begin_with_snapshots() {
    const SEEDS: u64 = 40;
    let scenario = exercising("new-leaders,snapshots", "drawn");
    let reports: Vec<Report> = (0..SEEDS).map(|seed| run(seed, &scenario)).collect();
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.new_leaders) > SEEDS);
    assert!(sum(|report| report.cuts) > SEEDS / 2 && sum(|report| report.losses) > 0);
    assert!(sum(|report| report.installed) > 0);
    assert!(sum(|report| report.acknowledged) > 5 * SEEDS);
}

#[test]
fn where_commits_wait_for_others_no_change_of_leaders_takes_back_what_readers_saw() {
    for policy in ["ANY 1 (*); flushed; block; after-ack", "ALL (*); applied; fail-fast; after-ack"] {
        let scenario = exercising("new-leaders,snapshots", policy);
        let reports: Vec<Report> = (0..15).map(|seed| run(seed, &scenario)).collect();
        assert!(reports.iter().map(|report| report.new_leaders).sum::<u64>() > 5);
        assert!(reports.iter().all(|report| report.losses == 0));
    }
}

#[test]
fn every_way_to_commit_keeps_its_promise() {
    let policies = ["async", "ANY 1 (*)", "ANY 2 (*)", "ALL (*)", "FIRST 1 (2, 1)", "FIRST 2 (*)"];
    let stages = ["received", "written", "flushed", "applied"];
    for (at, policy) in policies.into_iter().enumerate() {
        for (short, seed) in ["block", "fail-fast", "degrade"].into_iter().zip(100..) {
            let stage = stages[(at + usize::try_from(seed).expect("small")) % stages.len()];
            run(seed, &committing(&format!("{policy}; {stage}; {short}")));
        }
    }
}

#[test]
fn without_faults_hardly_a_write_is_refused_where_it_is_asked_for() {
    let peaceful = Scenario { faults: [].into(), ..committing("ANY 1 (*); flushed; block") };
    for seed in 0..10 {
        let report = run(seed, &peaceful);
        assert!(report.acknowledged > 40, "{report:?}");
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
fn a_schedule_says_how_its_leader_commits() {
    let schedule = Schedule::new(3, committing("FIRST 1 (2, 1); applied"));
    assert!(schedule.to_string().contains("\ncommits FIRST 1 (2, 1); applied\n"));
    assert_eq!(schedule.to_string().parse(), Ok(schedule));
    assert_eq!(scenario().modes, Modes::default());
}

/// A mistake is caught, at a seed that passes without it.
#[track_caller]
fn catch(bug: PlantedBug, modes: &str, within: u64, kinds: &[&str]) -> (Schedule, Box<Failure>) {
    catch_in(&committing(modes), bug, within, kinds)
}

#[test]
fn a_follower_that_shows_what_is_not_committed_is_caught_and_made_smaller() {
    let (schedule, failure) = catch(PlantedBug::AppliedBeforeCommitted, "drawn", 20, &["Uncommitted"]);
    let shrunk = shrink(&schedule, &failure, 60);
    assert!(shrunk.operations() < schedule.operations());
    let replayed: Schedule = shrunk.schedule.to_string().parse().expect("it reads what it wrote");
    assert_eq!(replayed.run().expect_err("it still fails"), shrunk.failure);
}

#[test]
fn a_leader_that_does_not_wait_for_its_own_disk_is_caught() {
    let kinds = ["NotHeld", "FalseAnswer", "Uncommitted"];
    catch(PlantedBug::CommittedAheadOfDisk, "drawn", 40, &kinds);
}

#[test]
fn an_observer_that_counts_is_caught() {
    catch(PlantedBug::ObserverCounted, "drawn", 40, &["NotHeld", "FalseAnswer"]);
}

#[test]
fn a_follower_that_reports_what_is_not_on_its_disk_is_caught() {
    let kinds = ["NotHeld", "FalseAnswer"];
    catch(PlantedBug::FlushedReportedEarly, "ALL (*); flushed; block", 40, &kinds);
}

#[test]
fn a_commit_without_followers_that_is_not_stamped_is_caught() {
    catch(PlantedBug::DegradedUnstamped, "ANY 1 (*); degrade", 40, &["FalseAnswer"]);
}

#[test]
fn a_follower_that_ignores_what_a_session_depends_on_is_caught() {
    catch(PlantedBug::SessionTokenIgnored, "drawn", 40, &["StaleRead"]);
}

#[test]
fn a_leader_that_stays_when_another_one_leads_is_caught() {
    let scenario = exercising("new-leaders", "drawn");
    catch_in(&scenario, PlantedBug::OldLeaderStays, 10, &["NoConvergence", "TwoLeaders"]);
}

#[test]
fn a_session_that_is_answered_as_if_what_is_lost_were_there_is_caught() {
    catch_in(&exercising("new-leaders", "async"), PlantedBug::LostSessionAnswered, 40, &["StaleRead"]);
}

#[test]
fn a_driver_that_does_not_keep_what_it_cuts_off_is_caught() {
    catch_in(&exercising("new-leaders", "drawn"), PlantedBug::CutTailDropped, 10, &["TailLost"]);
}

#[test]
fn a_snapshot_that_counts_as_installed_before_it_is_durable_is_caught() {
    let scenario = exercising("new-leaders,snapshots", "drawn");
    catch_in(&scenario, PlantedBug::InstalledAheadOfDisk, 100, &["Forgot"]);
}
