//! What can go wrong with a tree over keys, and with a session over a range of them.

use crate::merkle;

/// Why a tree refused a change, or a range could not be made. The tree is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The caller gave a key or a bound that is too long.
    #[error("a key of {len} bytes is longer than the 1024 that a tree takes; nothing was changed")]
    KeyTooLong {
        /// Its length.
        len: usize,
    },
    /// The tree cannot count further.
    #[error("the tree holds 2^32 - 1 items already; the item was not added")]
    Full,
    /// The caller replaced a version that the tree does not hold under that key: tree and data have
    /// gone apart.
    #[error("the tree does not hold that key in that version; nothing was replaced")]
    Absent,
    /// The caller gave a range that ends before it starts.
    #[error("the range ends before it starts")]
    Reversed,
}

/// Why a session ended without a result. The peer, or the way to it, is at fault unless the variant
/// says otherwise; trees are untouched, and a new session may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The peer speaks another version of this protocol.
    #[error("the peer speaks version {theirs} of the range protocol, this side version {ours}")]
    Version {
        /// The version of this side.
        ours: u8,
        /// The version in the peer's hello.
        theirs: u8,
    },
    /// The peer's tree is keyed with another cluster key, or its hello was forged. If the keys do
    /// differ, nobody's frame is at fault: the two cannot be compared.
    #[error("the peer's hello is not made with this cluster's key")]
    KeyMismatch,
    /// A hello with a field that no honest peer sends.
    #[error("the hello is impossible: {field} is out of range")]
    Hello {
        /// The field.
        field: &'static str,
    },
    /// The two sides have no range in common: the acceptor shares nothing of what was asked for.
    /// Nobody's frame is at fault; nothing was said about any key.
    #[error("nothing of the range that was asked for is shared")]
    NotAuthorized,
    /// The acceptor agreed to keys that were not asked for.
    #[error("the peer agreed to a range that was not asked for")]
    Widened,

    /// The frame is malformed: cut short, too long, or not in the one form that its content has.
    #[error(transparent)]
    Form(#[from] merkle::ProtocolError),
    /// A frame of an unknown kind.
    #[error("there is no frame with tag {tag}")]
    UnknownTag {
        /// The tag.
        tag: u8,
    },
    /// A frame with flags that this version does not know, or that its content contradicts.
    #[error("flags {flags:#04x} do not fit this frame")]
    Flags {
        /// The flags.
        flags: u8,
    },
    /// The frame was damaged, or belongs to another session, or was sent back to its sender.
    #[error("the frame's check does not fit this session")]
    Corrupt,
    /// A frame is missing before this one.
    #[error("frame {found} arrived, frame {expected} is still missing")]
    OutOfOrder {
        /// The frame that should have come.
        expected: u32,
        /// The frame that came.
        found: u32,
    },

    /// A frame that does not belong at this point of the session.
    #[error("a frame with tag {tag} cannot come now")]
    Unexpected {
        /// The tag.
        tag: u8,
    },
    /// An answer to more than was asked, or about more items than were listed.
    #[error("the frame answers {answered} questions, {open} are open")]
    NeverAsked {
        /// How many questions the frame answers.
        answered: u32,
        /// How many there are.
        open: u32,
    },
    /// A frame that answers nothing and tells nothing.
    #[error("the frame does not move the session on")]
    Idle,
    /// A bound that is longer than a key may be.
    #[error("a bound of {len} bytes is longer than a key may be")]
    BoundTooLong {
        /// Its length.
        len: usize,
    },
    /// Bounds that do not ascend: the ranges would be empty or overlap.
    #[error("the bounds of a split are out of order")]
    BoundsOutOfOrder,
    /// A bound outside the range that it should split, hence perhaps outside what was agreed.
    #[error("a bound lies outside the range that it should split")]
    BoundOutside,
    /// A range split into more parts than are allowed.
    #[error("a range is split into {parts} parts, more than the allowed {max}")]
    Parts {
        /// Into how many.
        parts: u32,
        /// The bound.
        max: u32,
    },
    /// The peer takes a range for empty that this side said to hold items in.
    #[error("the peer says that this side holds nothing in a range where it holds {held} items")]
    NotEmpty {
        /// How many it holds.
        held: u32,
    },
    /// A fingerprint width that this version does not know.
    #[error("a width of {width} bytes is not allowed here")]
    Width {
        /// The width.
        width: u8,
    },
    /// The frames of one turn disagree about the width of fingerprints.
    #[error("the frames of one turn differ in the width of fingerprints")]
    MixedTurn,
    /// A list whose fingerprints are not in ascending order.
    #[error("a list of fingerprints is not sorted")]
    Unsorted,

    /// A frame above the announced size.
    #[error("a frame of {len} bytes exceeds the agreed {max}")]
    FrameTooLarge {
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// More differing ranges than the announced bound.
    #[error("more than the agreed {max} ranges were opened")]
    TooManyRanges {
        /// The bound.
        max: u32,
    },
    /// More items than the announced bound.
    #[error("more than the agreed {max} items were listed")]
    TooManyItems {
        /// The bound.
        max: u32,
    },
    /// The session takes longer than this side allows. Not necessarily the peer's fault: the bound
    /// is not announced.
    #[error("the session took more than {max} turns")]
    TooManyRounds {
        /// The bound.
        max: u16,
    },
    /// The session costs more than this side allows. Not necessarily the peer's fault: the bound is
    /// not announced.
    #[error("the session took more than {max} bytes")]
    TooManyBytes {
        /// The bound.
        max: u64,
    },
    /// The session is over, and this frame came after its last one.
    #[error("the session is over")]
    Over,
}
