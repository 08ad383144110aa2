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

/// From how many concurrent values on [`Siblings`](crate::Siblings) report that they are
/// [crowded](crate::Crowding::Crowded).
///
/// Clients that read before they write leave two or three. This many mean that one does not.
pub const CROWDED_SIBLINGS: usize = 25;

/// At how many concurrent values [`Siblings`](crate::Siblings) refuse a write that adds another.
///
/// What peers send is merged beyond it, and what is there can be read and resolved.
pub const MAX_SIBLINGS: usize = 100;

/// The longest [`Token`](crate::Token) in bytes, as text twice as many characters.
///
/// Room for a conflict of [`MAX_PARENTS`] versions, or for a context of 1 500 writers. With
/// three writers it has about 120 bytes.
pub const MAX_TOKEN_BYTES: usize = 32 << 10;

/// How many bytes one blob may have: 64 MiB. It is held in memory as a whole and sent in one piece
/// or as a whole sequence of pieces; a larger file is several blobs.
pub const MAX_BLOB_BYTES: usize = 64 << 20;

/// How many attachments one [`Manifest`](crate::blob::Manifest) may have.
pub const MAX_ATTACHMENTS: usize = 1_024;

/// How many bytes the name of an attachment may have.
pub const MAX_ATTACHMENT_NAME_BYTES: usize = 1_024;

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

/// The longest key a snapshot holds.
pub const MAX_KEY_BYTES: usize = 64 << 10;

/// How far the sequences of a feed jump when a store becomes another one: by a copy, a restore, a crash
/// that lost something. Further than the store it was can have come meanwhile, so that none of its cursors
/// fits.
pub const SEQUENCE_JUMP: u64 = 1 << 40;

/// The highest sequence that a snapshot may state, so that enough of them are left for whoever imports it.
pub const MAX_SNAPSHOT_SEQUENCE: u64 = u64::MAX / 2;
