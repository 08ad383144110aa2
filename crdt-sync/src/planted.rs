//! Mistakes an engine can be told to make, so that a simulator can show that it catches them.

/// A known mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlantedBug {
    /// Replies and messages leave before what they tell is durable.
    EffectsAheadOfDisk,
    /// A peer's frontier is taken over as soon as a session begins, before its states have arrived.
    FrontierRaisedEarly,
    /// A checkpoint holds frontiers and contexts, and none of the cells.
    CheckpointWithoutCells,
    /// The log is cut above what the checkpoints stand for. The mistake is the driver's.
    LogFloorIgnored,
    /// A retired node, and what it wrote after the others parted from it, is merged like any other.
    EvictedMergedBack,
}
