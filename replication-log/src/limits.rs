//! Every bound of the log in one place.
//!
//! A bound is checked before anything is written, and again when bytes are read back, before memory
//! is allocated for them: a length field can never make the log allocate more than a bound here
//! plus the bytes that are really there.

/// The largest payload of one record.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// The most records one batch may hold; the count is stored in 24 bits.
pub const MAX_BATCH_RECORDS: usize = (1 << 24) - 1;

/// The largest batch, framing included.
pub const MAX_BATCH_BYTES: usize = 64 << 20;

/// How often a log that changes under it is surveyed by [`ReadOnlyLog::open`](crate::ReadOnlyLog::open)
/// before what was found last is taken for it.
pub const MAX_SURVEYS: u32 = 16;

/// How many cuts of the newest end a log tells apart. Whoever waits over more of them than this may be
/// told that records were cut although they were not, never the other way round.
pub const MAX_REMEMBERED_TRUNCATIONS: usize = 1024;

/// The smallest size bound a segment may be given: header, one batch header and room for a few records.
pub const MIN_SEGMENT_BYTES: u64 = 512;

/// The largest size bound a segment may be given.
pub const MAX_SEGMENT_BYTES: u64 = 4 << 30;
