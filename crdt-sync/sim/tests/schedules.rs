//! A run that fails is made smaller, kept as a small file, and run again from it.

use crdt_sync::PlantedBug;
use crdt_sync_sim::{Scenario, Schedule, Shrunk, Size, shrink};

/// The first seed at which a mistake shows, made smaller.
fn shrunk(bug: PlantedBug, max_runs: u32) -> Shrunk {
    let schedule = |seed| Schedule::new(seed, Scenario::new(Size::Quick).with_bug(bug));
    let failure = (0..50).find_map(|seed| schedule(seed).run().err()).expect("the mistake shows");
    shrink(&schedule(failure.seed), &failure, max_runs)
}

#[test]
fn a_planted_mistake_shrinks_to_a_few_operations_and_fails_again_from_its_file() {
    for bug in [PlantedBug::EffectsAheadOfDisk, PlantedBug::WholeContextWithPart] {
        let shrunk = shrunk(bug, 400);
        let (operations, strikes) = (shrunk.operations(), shrunk.strikes());
        assert!(
            operations <= 25 && strikes <= 8,
            "{bug}: {operations} operations and {strikes} strikes are left"
        );
        assert!(shrunk.runs <= 400);
        let file = shrunk.schedule.to_string();
        assert!(file.len() < 2_000, "{file}");
        let replayed: Schedule = file.parse().expect("it reads what it wrote");
        assert_eq!(replayed.run().expect_err("it still fails"), shrunk.failure);
    }
}

#[test]
fn shrinking_takes_no_more_runs_than_it_may() {
    let shrunk = shrunk(PlantedBug::AppliedTwice, 7);
    assert!(shrunk.runs <= 7);
    assert_eq!(shrunk.schedule.run().expect_err("it still fails"), shrunk.failure);
}

#[test]
fn a_schedule_with_cuts_runs_the_same_way_every_time() {
    let mut schedule = Schedule::new(11, Scenario::new(Size::Quick));
    let whole = schedule.run().expect("no violation");
    schedule.cuts.operations.extend(20..60);
    schedule.cuts.strikes.extend(2..5);
    schedule.cuts.nodes.insert(2);
    schedule.cuts.stop_after = Some(100);
    let cut = schedule.run().expect("no violation");
    assert_eq!(schedule.run(), Ok(cut.clone()));
    assert_ne!(cut.digest, whole.digest);
    assert!(cut.acknowledged < whole.acknowledged);
}

#[test]
fn a_run_without_any_operation_comes_to_rest() {
    let mut schedule = Schedule::new(3, Scenario::new(Size::Quick));
    schedule.cuts.stop_after = Some(0);
    let report = schedule.run().expect("no violation");
    assert_eq!((report.acknowledged, report.reads), (0, 0));
}
