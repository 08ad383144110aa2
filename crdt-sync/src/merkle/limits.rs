//! The bounds of a session.

/// What one session may cost. The first three are announced in the hello and the smaller of the two
/// sides' values binds both, so an honest peer never exceeds them; it leaves the rest of the
/// differences to a later session instead.
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
    /// How many items one side may list. 1,048,576 by default: 4 to 8 MiB of fingerprints.
    pub max_items: u32,
    /// How many turns a session may take, both sides together. 16 by default; the deepest tree
    /// needs 9.
    pub max_rounds: u16,
    /// The sum of all frames, both ways. 64 MiB by default, above what the other defaults allow.
    pub max_session_bytes: u64,
}

impl Limits {
    /// The smallest frame size: a hello, or sixteen digests, must fit. Smaller values are taken as
    /// this one.
    pub const MIN_FRAME: usize = 128;

    /// The same limits with every value that could not work raised to the least that does.
    pub(super) fn workable(self) -> Self {
        Self {
            max_frame: self.max_frame.max(Self::MIN_FRAME),
            max_open_nodes: self.max_open_nodes.max(1),
            max_items: self.max_items.max(1),
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
            max_rounds: 16,
            max_session_bytes: 64 << 20,
        }
    }
}
