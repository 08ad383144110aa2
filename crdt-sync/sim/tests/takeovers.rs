//! Hostile worlds in which one node leads and others take over by themselves: never do two lead, nothing acknowledged
//! is lost that others had, and somebody leads again.

mod caught;

use caught::catch_in;
use crdt_sync::PlantedBug;
use crdt_sync_sim::{Report, Scenario, Schedule, Size, Topology, faults_of_names};

const WAITING: &str = "ANY 1 (*); flushed; block; after-ack";

fn failing_over(policy: &str) -> Scenario {
    Scenario {
        extras: "failover".parse().expect("an extra"),
        modes: policy.parse().expect("a way to commit"),
        ..Scenario::new(Size::Quick).with_topology(Topology::SingleLeader)
    }
}

fn ruled(policy: &str, coordinator: &str, election: &str) -> Scenario {
    let mut scenario = failing_over(policy);
    scenario.takeovers.coordinator = Some(coordinator.parse().expect("a coordinator"));
    scenario.takeovers.election = Some(election.parse().expect("an election"));
    scenario
}

/// Where only this goes wrong, and all the more often.
fn struck_by(faults: &str) -> Scenario {
    Scenario { faults: faults_of_names(faults).expect("faults"), ..failing_over("drawn") }
}

fn run_all(scenario: &Scenario, seeds: u64) -> Vec<Report> {
    let run =
        |seed| Schedule::new(seed, scenario.clone()).run().unwrap_or_else(|failure| panic!("{failure}"));
    (0..seeds).map(run).collect()
}

fn sum(reports: &[Report], count: fn(&Report) -> u64) -> u64 {
    reports.iter().map(count).sum()
}

#[test]
fn nodes_take_over_by_themselves_while_everything_goes_wrong() {
    const SEEDS: u64 = 40;
    let reports = run_all(&failing_over("drawn"), SEEDS);
    assert!(sum(&reports, |report| report.failovers) > 2 * SEEDS);
    assert!(sum(&reports, |report| report.handovers) > SEEDS / 4);
    assert!(sum(&reports, |report| report.leases_ended) > SEEDS / 4);
    assert!(sum(&reports, |report| report.stores_lost) > SEEDS / 4);
    assert!(sum(&reports, |report| report.cuts) > SEEDS / 4);
    assert!(sum(&reports, |report| report.acknowledged) > 5 * SEEDS);
}

#[test]
fn whoever_grants_and_whoever_asks_first_never_do_two_lead() {
    for coordinator in ["promises", "model"] {
        for election in ["most-up-to-date", "priority", "consensus"] {
            let reports = run_all(&ruled("drawn", coordinator, election), 8);
            assert!(sum(&reports, |report| report.failovers) > 8, "{coordinator}, {election}");
        }
    }
}

#[test]
fn where_commits_wait_for_others_a_failover_takes_back_nothing_that_readers_saw() {
    let reports = run_all(&failing_over(WAITING), 25);
    assert!(sum(&reports, |report| report.failovers) > 25);
    assert!(reports.iter().all(|report| report.losses == 0));
}

#[test]
fn a_schedule_says_who_grants_and_who_asks_first() {
    let schedule = Schedule::new(3, ruled("drawn", "model", "consensus"));
    assert!(schedule.to_string().contains("\ncoordinator model\nelection consensus\n"));
    assert_eq!(schedule.to_string().parse(), Ok(schedule));
}

#[test]
fn a_seed_has_an_operator_that_grants_or_nodes_that_take_over_and_never_both() {
    let mut scenario = failing_over("drawn");
    scenario.extras = "new-leaders,failover".parse().expect("extras");
    let setups: Vec<_> = (0..20).map(|seed| scenario.plan(seed).setup).collect();
    assert!(setups.iter().all(|setup| setup.new_leaders != setup.failover.is_some()));
    assert!(setups.iter().any(|setup| setup.new_leaders) && setups.iter().any(|setup| !setup.new_leaders));
}

#[test]
fn a_promise_that_is_forgotten_at_a_restart_is_caught() {
    let kinds = ["Forgot", "Ungranted"];
    catch_in(&failing_over("drawn"), PlantedBug::PromiseNotKept, 20, &kinds);
}

#[test]
fn a_log_that_goes_on_with_an_old_reign_after_a_promise_is_caught() {
    let scenario = struck_by("bandwidth-collapsed,frame-delayed,partitioned-one-way");
    catch_in(&scenario, PlantedBug::OldReignFollowed, 200, &["Unfenced"]);
}

#[test]
fn a_promise_that_does_not_tell_of_what_is_on_its_way_to_the_disk_is_caught() {
    catch_in(&failing_over("drawn"), PlantedBug::StagedEndNotTold, 200, &["Unfenced"]);
}

#[test]
fn a_lease_without_room_for_the_drift_of_clocks_is_caught() {
    catch_in(&failing_over("drawn"), PlantedBug::LeaseWithoutMargin, 200, &["TwoLeaders"]);
}

#[test]
fn a_host_that_says_what_it_may_not_say_any_more_is_caught() {
    let scenario = Scenario {
        faults: faults_of_names("driver-stalled,partitioned").expect("faults"),
        ..ruled("async; after-ack", "promises", "consensus")
    };
    catch_in(&scenario, PlantedBug::LateReplySent, 400, &["TwoLeaders"]);
}

#[test]
fn a_node_that_forgets_the_lease_it_granted_is_caught() {
    let scenario = struck_by("process-killed,partitioned,power-lost");
    catch_in(&scenario, PlantedBug::LeaseForgotten, 400, &["TwoLeaders"]);
}

#[test]
fn a_log_that_is_cut_behind_what_was_shown_and_not_where_it_parts_is_caught() {
    let kinds = ["NoConvergence", "LogsDiffer", "TailLost", "AppendRefused"];
    catch_in(&failing_over("async"), PlantedBug::CutToTheMark, 200, &kinds);
}

#[test]
fn a_laggard_that_leads_is_caught() {
    let kinds = ["NotHeld", "LostWrite", "TwoLeaders", "Forgot"];
    let scenario = ruled(WAITING, "promises", "consensus");
    catch_in(&scenario, PlantedBug::LaggardPromoted, 200, &kinds);
}

/// Who was away blames nobody for what it did not hear. Where it does leaders are suspected that are there, which
/// others know better: it costs time and nothing else.
#[test]
fn a_late_tick_that_is_blamed_on_others_has_them_suspected() {
    let suspicions = |scenario: &Scenario| sum(&run_all(scenario, 20), |report| report.suspicions);
    let scenario = struck_by("paused");
    let with = suspicions(&scenario.clone().with_bug(PlantedBug::LateTickBlamed));
    let without = suspicions(&scenario);
    assert!(4 * with > 5 * without, "{with} with the mistake, and {without} without");
}
