//! The bounds of a session.

use crate::sketch::MAX_CELLS;

/// What one session may cost. The first four are announced in the hello (unless they are the default
/// ones) and the smaller of the two sides' values binds both, so an honest peer never exceeds them; it
/// leaves the rest of the differences to a later session instead.
///
/// ```
/// use crdt_sync::merkle::Limits;
///
/// let limits = Limits { max_frame: 1_200, ..Limits::default() }; // one frame per datagram
/// assert_eq!(limits.max_items, 1 << 20);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The largest frame in bytes, sent or received. 64 KiB by default, at least
    /// [`Limits::MIN_FRAME`].
    pub max_frame: usize,
    /// How many differing nodes may be pursued at once. 65,536 by default: 4 MiB of digests per turn.
    pub max_open_nodes: u32,
    /// How many items one side may list. 1,048,576 by default: 4 to 8 MiB of frames, which the side that lists
    /// keeps until they are answered, and up to 13 MiB on the other side, if they are one list.
    pub max_items: u32,
    /// How many cells a sketch may have, at 12 bytes each. 32,768 by default, for about 23,000
    /// differences; 0 does without sketches, and without the estimate that goes before them.
    pub max_sketch_cells: u32,
    /// How many turns a session may take, both sides together. 24 by default; the deepest tree
    /// needs 16 when frames are smallest.
    pub max_rounds: u16,
    /// The sum of all frames, both ways, repeated ones included. 64 MiB by default, above what the
    /// other defaults allow.
    pub max_session_bytes: u64,
    /// The bytes of frames that are kept while one before them is missing. 4 MiB by default; what
    /// comes beyond that is dropped, as if it had been lost. 0 keeps none.
    pub max_ahead_bytes: usize,
}

impl Limits {
    /// The smallest frame size: a hello, or sixteen digests, must fit. Smaller values are taken as
    /// this one.
    pub const MIN_FRAME: usize = 128;
    /// What an acceptor sends at most, welcome included, before the peer showed that it holds the
    /// key now: one datagram. A hello alone may be a recorded one.
    pub const MAX_FIRST_ANSWER: usize = 1_400;

    pub(super) const ANNOUNCED: usize = 4;

    /// What a hello announces.
    pub(super) fn announced(&self) -> [u32; Self::ANNOUNCED] {
        let max_frame = u32::try_from(self.max_frame).unwrap_or(u32::MAX);
        [max_frame, self.max_open_nodes, self.max_items, self.max_sketch_cells]
    }

    /// The same limits with every value that could not work moved to the nearest that does.
    pub(super) fn workable(self) -> Self {
        Self {
            max_frame: self.max_frame.max(Self::MIN_FRAME),
            max_open_nodes: self.max_open_nodes.max(1),
            max_items: self.max_items.max(1),
            max_sketch_cells: self.max_sketch_cells.min(u32::try_from(MAX_CELLS).unwrap_or(u32::MAX)),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 64 << 10,
            max_open_nodes: 1 << 16,
            max_items: 1 << 20,
            max_sketch_cells: 1 << 15,
            max_rounds: 24,
            max_session_bytes: 64 << 20,
            max_ahead_bytes: 4 << 20,
        }
    }
}
