//! Rings that change while clients write and everything else goes wrong.

mod caught;

use caught::catch_in;
use crdt_sync::PlantedBug;
use crdt_sync_sim::{Extra, Extras, Fault, Report, Scenario, Schedule, Size, Topology};

fn scenario() -> Scenario {
    Scenario::new(Size::Quick).with_topology(Topology::Leaderless).with_extras(Extra::RingChanges)
}

fn run(seed: u64, scenario: &Scenario) -> Report {
    Schedule::new(seed, scenario.clone()).run().unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn nothing_is_lost_while_nodes_come_and_go_and_die_and_every_change_comes_to_its_end() {
    const SEEDS: u64 = 30;
    let reports: Vec<Report> = (0..SEEDS).map(|seed| run(seed, &scenario())).collect();
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.ring_changes) > SEEDS / 2);
    assert!(sum(|report| report.promised_reads) > 3 * SEEDS, "hardly a read had anything to show");
}

#[test]
fn in_peace_a_ring_changes_again_and_again_and_some_change_is_given_up_as_its_newcomer_dies() {
    const SEEDS: u64 = 30;
    let peaceful = Scenario { faults: [].into(), ..scenario() };
    let reports: Vec<Report> = (0..SEEDS).map(|seed| run(seed, &peaceful)).collect();
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.ring_changes) > SEEDS);
    assert!(sum(|report| report.ring_changes_given_up) > 0);
}

#[test]
fn a_run_with_ring_changes_is_the_same_run_again() {
    for seed in 0..3 {
        assert_eq!(run(seed, &scenario()), run(seed, &scenario()));
    }
}

#[test]
fn an_old_owner_that_drops_its_copy_before_the_new_one_has_it_is_caught_and_only_while_rings_change() {
    let kinds = ["FalseReport", "LostWrite", "StaleRead", "WrongOutcome"];
    let (schedule, _) = catch_in(&scenario(), PlantedBug::DroppedBeforeCopied, 40, &kinds);
    let still = schedule.scenario.with_extras(Extras::none());
    run(schedule.seed, &still);
}

#[test]
fn a_store_that_answers_before_it_was_filled_is_caught_and_only_when_disks_are_lost() {
    let faults = [Fault::DiskLost, Fault::Partitioned];
    let scenario = Scenario { faults: faults.into(), ..scenario() }.with_extras(Extras::none());
    let (schedule, _) =
        catch_in(&scenario, PlantedBug::UnfilledReadAnswered, 90, &["StaleRead", "WrongOutcome"]);
    let mut sound = schedule.scenario;
    sound.faults.remove(&Fault::DiskLost);
    run(schedule.seed, &sound);
}

/// A read repaired the primaries of old before its reply, when the new ones had been copied to already. The next read
/// asked those.
#[test]
fn what_was_repaired_before_a_reply_is_there_for_the_ring_that_comes() {
    run(7526, &Scenario::new(Size::Full).with_topology(Topology::Leaderless));
}
