//! The bounds of a tree and of a session.

/// The longest key, and the longest bound of a range.
pub(super) const MAX_KEY_BYTES: usize = 1 << 10;

/// What one session may cost. The first three are announced in the hello and the smaller of the two
/// sides' values binds both, so an honest peer never exceeds them; it leaves the rest of the
/// differences to a later session instead.
///
/// ```
/// use crdt_sync::range::Limits;
///
/// let limits = Limits { max_frame: 1_200, ..Limits::default() }; // one frame per datagram
/// assert_eq!(limits.max_open_ranges, 1 << 14);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The largest frame in bytes, sent or received. 64 KiB by default, at least
    /// [`Limits::MIN_FRAME`]. Only the first frame of a side may be longer, when it names a range
    /// whose bounds are long.
    pub max_frame: usize,
    /// How many differing ranges may be pursued at once. 16,384 by default, at most 2^20. Each is
    /// split into parts, by default 16, and each part remembered by its bounds, in about a hundred
    /// bytes where keys are short.
    pub max_open_ranges: u32,
    /// How many items one side may list. 1,048,576 by default: 4 MiB of fingerprints. At least
    /// [`Limits::MIN_ITEMS`].
    pub max_items: u32,
    /// How many turns a session may take, both sides together. 32 by default; trees of a million
    /// items take at most 14.
    pub max_rounds: u16,
    /// The sum of all frames, both ways. 64 MiB by default.
    pub max_session_bytes: u64,
    /// How many bytes this side sends for each byte that it got, beyond the first
    /// [`Limits::FREE_BYTES`]. 64 by default, at least 1. What would exceed it is left to a later
    /// session.
    pub max_amplification: u32,
}

impl Limits {
    /// The smallest frame size: a range split in two at the longest bound must fit. Smaller values
    /// are taken as this one.
    pub const MIN_FRAME: usize = 1_200;
    /// The fewest items that may be listed: one small range must fit. Smaller values are taken as
    /// this one.
    pub const MIN_ITEMS: u32 = 64;
    /// What a side may send without having received anything.
    pub const FREE_BYTES: u64 = 8 << 10;

    /// The same limits with every value that could not work brought into its bounds.
    pub(super) fn workable(self) -> Self {
        Self {
            max_frame: self.max_frame.max(Self::MIN_FRAME),
            max_open_ranges: self.max_open_ranges.clamp(1, 1 << 20),
            max_items: self.max_items.max(Self::MIN_ITEMS),
            max_amplification: self.max_amplification.max(1),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 64 << 10,
            max_open_ranges: 1 << 14,
            max_items: 1 << 20,
            max_rounds: 32,
            max_session_bytes: 64 << 20,
            max_amplification: 64,
        }
    }
}
