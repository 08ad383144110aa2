//! The bounds of a sketch.

/// The most cells of one sketch: 12 MiB, enough for about 770,000 differences. Everything that takes cells
/// from a peer stops here.
pub const MAX_CELLS: usize = 1 << 20;
