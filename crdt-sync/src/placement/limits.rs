//! The bounds on everything that a layout may name.

/// Members of one ring, before or after a change. All nodes hold links to one another, and the lists of a ring name a
/// node in one byte.
pub const MAX_MEMBERS: usize = 256;

/// Bytes of a rack's label. There are at most as many racks as members.
pub const MAX_RACK: usize = 64;

/// The heaviest member, as a multiple of the lightest possible.
pub const MAX_WEIGHT: u16 = 16;

/// Primaries of one partition.
pub const MAX_REPLICAS: u8 = 16;

/// Nodes that may ever be declared dead in one cluster: they are remembered for ever.
pub const MAX_FENCED: usize = 4_096;
