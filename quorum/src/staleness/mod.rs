//! How stale a read of a partial quorum is: probabilistically bounded staleness.
//!
//! Where `R + W <= N` nothing promises that a read meets the last write, yet most reads do. How many is the subject of
//! Bailis, Venkataraman, Franklin, Hellerstein and Stoica, *Probabilistically bounded staleness for practical partial
//! quorums* (VLDB 2012), whose terms are used here: by counting where a closed form exists (`closed_form`), by
//! simulation where time matters (`wars`), and then with an interval for what chance leaves open (`confidence`).

mod closed_form;
mod confidence;
#[cfg(feature = "simulation")]
mod delays;
#[cfg(feature = "simulation")]
mod simulation;
#[cfg(feature = "simulation")]
mod wars;

pub use confidence::{Confidence, Estimate};
#[cfg(feature = "simulation")]
pub use delays::{Delays, ReplicaDelays};
#[cfg(feature = "simulation")]
pub use simulation::Simulation;
#[cfg(feature = "simulation")]
pub use wars::Wars;

/// The least number from `low` to `high` that is enough, if all above it are; `high` if none below it is.
fn least(mut low: u32, mut high: u32, is_enough: impl Fn(u32) -> bool) -> u32 {
    while low < high {
        let middle = low + (high - low) / 2;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}
