//! The checks notice mistakes: engines that are told to make one are caught, and the same seeds pass without it.
//!
//! `docs/simulation.md` lists what each of them leads to. A mistake that is not caught is a hole in the checks.

mod caught;

use caught::catch_in;
use crdt_sync::PlantedBug;
use crdt_sync_sim::{Extra, Failure, Fault, Scenario, Size};

/// The first failure with the mistake among so many seeds, at a seed that passes without it.
#[track_caller]
fn catch(bug: PlantedBug, within: u64, kinds: &[&str]) -> Box<Failure> {
    catch_in(&Scenario::new(Size::Quick), bug, within, kinds).1
}

#[test]
fn effects_ahead_of_the_disk_are_caught() {
    catch(PlantedBug::EffectsAheadOfDisk, 20, &["LostWrite", "Forgot", "PastInDoubt", "TornCommand"]);
}

#[test]
fn a_frontier_raised_before_the_states_arrived_is_caught() {
    catch(PlantedBug::FrontierRaisedEarly, 20, &["LostWrite", "NotShown"]);
}

#[test]
fn an_acknowledgement_of_what_is_not_durable_is_caught() {
    catch(PlantedBug::AcknowledgedAheadOfDisk, 20, &["Forgot"]);
}

#[test]
fn a_peer_served_across_a_gap_is_caught() {
    catch(PlantedBug::LogFloorIgnored, 20, &["NoConvergence"]);
}

#[test]
fn a_context_that_claims_more_than_has_arrived_is_caught() {
    catch(PlantedBug::WholeContextWithPart, 20, &["LostWrite", "NotShown", "NoConvergence"]);
}

#[test]
fn an_identity_that_goes_on_with_an_older_past_is_caught() {
    let mut scenario = Scenario::new(Size::Quick);
    scenario.faults = [Fault::RestoredTold, Fault::RestoredUntold].into();
    catch_in(
        &scenario,
        PlantedBug::IdentityKept,
        20,
        &["PastInDoubt", "NoConvergence", "NotShown", "LostWrite"],
    );
}

#[test]
fn two_histories_that_end_with_one_sequence_are_caught() {
    let mut scenario = Scenario::new(Size::Quick);
    scenario.faults.extend(Fault::FORKS);
    catch_in(&scenario, PlantedBug::EqualForkMissed, 200, &["NotShown", "NoConvergence", "LostWrite"]);
}

#[test]
fn entries_applied_twice_are_caught() {
    catch(PlantedBug::AppliedTwice, 20, &["LostWrite", "NotShown", "Forgot", "NoConvergence"]);
}

#[test]
fn removals_that_a_session_forgets_are_caught() {
    catch(PlantedBug::RemovalsIgnored, 20, &["NotShown", "LostWrite", "NoConvergence"]);
}

#[test]
fn a_late_opening_that_begins_its_session_again_is_caught() {
    catch(PlantedBug::LateOpeningAccepted, 200, &["HonestPeerAccused", "NoConvergence"]);
}

#[test]
fn a_checkpoint_without_its_cells_is_caught() {
    catch(PlantedBug::CheckpointWithoutCells, 20, &["CannotStart"]);
}

#[test]
fn a_log_that_is_cut_above_its_checkpoints_is_caught() {
    catch(PlantedBug::LogCutTooFar, 20, &["CannotStart"]);
}

#[test]
fn a_retired_node_that_is_merged_back_is_caught() {
    let scenario = Scenario::new(Size::Quick).with_extras(Extra::Retirement);
    catch_in(&scenario, PlantedBug::EvictedMergedBack, 20, &["MergedBack"]);
}

#[test]
fn a_read_that_lacks_what_its_session_depends_on_is_caught() {
    let scenario = Scenario::new(Size::Quick).with_extras(Extra::Sessions);
    catch_in(&scenario, PlantedBug::SessionTokenIgnored, 20, &["StaleRead", "ForgottenSight"]);
}

#[test]
fn a_deletion_that_is_forgotten_before_all_have_it_is_caught() {
    let scenario = Scenario::new(Size::Quick).with_extras(Extra::Forgetting);
    let kinds = ["LostWrite", "NotShown", "NoConvergence", "StaleRead", "ForgottenSight", "WrongOutcome"];
    catch_in(&scenario, PlantedBug::CollectedAboveTheCut, 60, &kinds);
}

#[test]
fn entries_outside_the_scope_of_a_partial_replica_are_caught() {
    let scenario = Scenario::new(Size::Quick).with_extras(Extra::Partial);
    catch_in(&scenario, PlantedBug::ScopeIgnoredOnSend, 20, &["HonestPeerAccused"]);
}
