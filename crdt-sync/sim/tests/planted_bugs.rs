//! The checks notice mistakes: engines that are told to make one are caught, and the same seeds pass without it.

use crdt_sync::PlantedBug;
use crdt_sync_sim::{Failure, Plan, Violation, simulate};

/// Each mistake shows within so many seeds. (Both show at the very first.)
const WITHIN: u64 = 10;

#[test]
fn effects_ahead_of_the_disk_are_caught() {
    let failure = catch(PlantedBug::EffectsAheadOfDisk);
    assert!(
        matches!(
            failure.violation,
            Violation::LostWrite { .. } | Violation::Forgot { .. } | Violation::PastInDoubt { .. }
        ),
        "{failure}"
    );
}

#[test]
fn a_frontier_raised_before_the_states_arrived_is_caught() {
    let failure = catch(PlantedBug::FrontierRaisedEarly);
    assert!(
        matches!(failure.violation, Violation::LostWrite { .. } | Violation::NotShown { .. }),
        "{failure}"
    );
}

/// The first failure with the mistake, at a seed that passes without it.
fn catch(bug: PlantedBug) -> Failure {
    let plan = Plan::hostile().with_bug(bug);
    let failure = (0..WITHIN).find_map(|seed| simulate(seed, &plan).err());
    let failure = failure.unwrap_or_else(|| panic!("{bug:?} does not show within {WITHIN} seeds"));
    if let Err(other) = simulate(failure.seed, &Plan::hostile()) {
        panic!("seed {} fails without {bug:?}, too: {other}", failure.seed);
    }
    assert_eq!(simulate(failure.seed, &plan), Err(failure.clone()), "and shows again in the same way");
    failure
}

#[test]
fn a_checkpoint_without_its_cells_is_caught() {
    let failure = catch(PlantedBug::CheckpointWithoutCells);
    assert!(matches!(failure.violation, Violation::CannotStart { .. }), "{failure}");
}

#[test]
fn a_log_that_is_cut_above_its_checkpoints_is_caught() {
    let failure = catch(PlantedBug::LogFloorIgnored);
    assert!(matches!(failure.violation, Violation::CannotStart { .. }), "{failure}");
}
