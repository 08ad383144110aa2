//! The bounds of this crate.
//!
//! What a *decoder* may be made to do is bounded by [`crdt_core::codec`]'s limits, which the caller
//! passes; here are the bounds of the data itself.

/// How many ancestors of each leaf a [`Store`](crate::Store) keeps unless told otherwise.
///
/// It costs memory, not conflicts, to keep more. Keeping fewer than the number of edits a device
/// makes between two synchronisations makes its history look unrelated to the one it started from:
/// a conflict where there is none.
pub const REVISION_LIMIT: usize = 1_000;

/// How many versions one merge version may supersede.
///
/// A document with more open leaves is closed in several steps.
pub const MAX_PARENTS: usize = 1_024;

/// The longest key a snapshot holds.
pub const MAX_KEY_BYTES: usize = 64 << 10;

/// How far the sequences of a feed jump when a store becomes another one: by a copy, a restore, a crash
/// that lost something. Further than the store it was can have come meanwhile, so that none of its cursors
/// fits.
pub const SEQUENCE_JUMP: u64 = 1 << 40;
