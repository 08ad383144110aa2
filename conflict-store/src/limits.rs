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

/// How many competing versions a [`FieldMerge`](crate::FieldMerge) looks at, and how many that two
/// of them have in common side by side.
///
/// It compares each two of them. A document with more is suspended, for somebody to close in
/// several steps.
pub const MAX_FIELD_MERGE_VERSIONS: usize = 32;

/// For how many pairs of versions a [`FieldMerge`](crate::FieldMerge) looks for what they have in
/// common: the competing ones, and where these have several in common, those again.
///
/// Beyond it, what a field was before is [ambiguous](crate::FieldBase::Ambiguous).
pub const MAX_FIELD_MERGE_PAIRS: usize = 1_024;

/// How many fields a body of [`Lines`](crate::Lines) may have.
pub const MAX_FIELDS: usize = 16_384;
