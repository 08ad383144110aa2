//! Seeds that once broke a promise, and what it was.
//!
//! A seed leads somewhere else when the engine or the world changes, so these guard the fixes loosely; what they say
//! stays true.

use crdt_sync_sim::{Plan, simulate};

#[track_caller]
fn holds(seed: u64, plan: &Plan) {
    if let Err(failure) = simulate(seed, plan) {
        panic!("{failure}");
    }
}

#[test]
fn a_greeting_that_is_overtaken_is_no_offence() {
    holds(3, &Plan::peaceful());
    holds(0, &Plan::hostile());
}

#[test]
fn a_greeting_that_is_lost_is_said_again() {
    holds(7, &Plan::hostile());
    holds(16, &Plan::hostile());
}

#[test]
fn a_frontier_that_is_lost_or_late_is_asked_for() {
    holds(0, &Plan::peaceful());
    holds(1, &Plan::hostile());
}

#[test]
fn states_that_overtake_their_senders_standing_are_no_offence() {
    holds(2, &Plan::hostile());
    holds(23, &Plan::hostile());
}

#[test]
fn a_late_copy_of_an_opening_does_not_begin_its_session_again() {
    holds(790, &Plan::hostile());
}

#[test]
fn a_document_may_lack_history_that_another_node_has() {
    holds(48, &Plan::hostile());
}
