//! What is left out of a run, so that less of it remains to be understood.

use std::collections::BTreeSet;

/// Operations, strikes and nodes that a run does without. Each has a number, and what is left out changes nothing of
/// what the rest draws: the others come at the same times, with the same dice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// Operations of clients that are not begun.
    pub operations: BTreeSet<u32>,
    /// Strikes of the adversary that do not fall.
    pub strikes: BTreeSet<u32>,
    /// Nodes that never start.
    pub nodes: BTreeSet<usize>,
    /// How many operations are begun before there is peace, those left out included; all of the plan if there is none.
    pub stop_after: Option<u32>,
}
