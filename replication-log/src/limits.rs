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

/// The most bytes of state one chunk of a snapshot may hold; a reader holds one in memory.
pub const MAX_SNAPSHOT_CHUNK_BYTES: u32 = 1 << 20;

/// How many bytes may be staged in memory while a sync is under way that has taken the bytes before
/// them along. A single batch may exceed it, so that there is no size that fits only sometimes.
pub const MAX_STAGED_BYTES: usize = 8 << 20;

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

/// The longest key of a logical entry.
pub const MAX_KEY_BYTES: usize = 64 << 10;

/// The most columns of a row, a schema or a column list.
pub const MAX_COLUMNS: usize = 4096;

/// The longest name of a column.
pub const MAX_COLUMN_NAME_BYTES: usize = 255;

/// The most collections whose schemas a registry holds.
pub const MAX_SCHEMAS: usize = 64 << 10;

/// The most comparisons and operators of a predicate.
pub const MAX_PREDICATE_NODES: usize = 1024;

/// The deepest nesting of a predicate.
pub const MAX_PREDICATE_DEPTH: usize = 64;

/// The most collections a filter has rules for.
pub const MAX_FILTER_RULES: usize = 4096;

/// The smallest page a table may have.
pub const MIN_PAGE_BYTES: u32 = 512;

/// The largest page a table may have.
pub const MAX_PAGE_BYTES: u32 = 64 << 10;

/// The longest key of a row, where the page size does not ask for shorter ones: a key takes at most
/// a quarter of a page, so that a node of the index always holds four.
pub const MAX_ROW_KEY_BYTES: usize = 1 << 10;

/// The largest value of a row.
pub const MAX_ROW_VALUE_BYTES: usize = 16 << 20;

/// The longest name of a node that ships or follows a log: that of its slot.
pub const MAX_NODE_NAME_BYTES: usize = MAX_SLOT_NAME_BYTES;

/// The most ends of epochs a follower tells its leader of. One that was away for more elections than this is sent a
/// snapshot if none of its newest epochs is known to the leader.
pub const MAX_EPOCH_ENDS: usize = 64;

/// The most batches, or transactions, one frame carries; together they are as large as one batch may be, at most.
pub const MAX_FRAME_BATCHES: usize = 4096;

/// The longest frame: the largest batch, or the largest part of a snapshot, and what is said of it.
pub const MAX_FRAME_BYTES: usize = MAX_BATCH_BYTES + (1 << 20);

/// The most slots a leader keeps records for.
pub const MAX_SLOTS: usize = 1024;

/// The longest name of a slot, and of a class of slots.
pub const MAX_SLOT_NAME_BYTES: usize = 63;

/// The most events of slots that wait to be fetched. The oldest go first, and are counted.
pub const MAX_SLOT_EVENTS: usize = 4 * MAX_SLOTS;

/// The most followers whose lag is measured.
pub const MAX_LAG_FOLLOWERS: usize = 1024;

/// The fewest notes a history of the log may be told to keep.
pub const MIN_LAG_NOTES: usize = 512;

/// The most notes a history of the log may be told to keep.
pub const MAX_LAG_NOTES: usize = 1 << 20;

/// The most rules alarms over lag are raised by.
pub const MAX_LAG_RULES: usize = 64;

/// The most followers a leader knows, and the most a policy lists.
pub const MAX_FOLLOWERS: usize = 1024;

/// The most commits that wait, or whose outcome nobody has asked for yet.
pub const MAX_WAITING_COMMITS: usize = 64 << 10;

/// How many runs of records committed without their policy a leader tells apart. With more, the two oldest
/// become one: records between them are then said to be such although they were not, never the other way round.
pub const MAX_DEGRADED_RANGES: usize = 1024;

/// How many moments a leader remembers at which records began to wait. With more, the newest of them are
/// taken for younger than they are, so that nothing degrades too early.
pub const MAX_BACKLOG_MARKS: usize = 1024;

/// How many of its reigns a leader remembers, to say what became of their records.
pub const MAX_REMEMBERED_REIGNS: usize = 64;

/// How many events of a leader's commits may wait for being asked for. With more, the oldest are dropped
/// and counted.
pub const MAX_COMMIT_EVENTS: usize = 1024;
