//! What can go wrong with a tree and with a session.

use super::prefix::Prefix;
use crate::sketch::RunError;

/// Why a tree refused a change. The tree is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The caller asked for a size that trees do not come in.
    #[error("a tree has 4, 8, 12, 16 or 20 leaf bits, not {leaf_bits}")]
    LeafBits {
        /// What was asked for.
        leaf_bits: u8,
    },
    /// The tree cannot count further.
    #[error("the tree holds 2^32 - 1 items already; the item was not added")]
    Full,
    /// The caller took out an item that the leaf does not hold: tree and data have gone apart, and
    /// the leaf should be rebuilt from the data.
    #[error("leaf {leaf} does not hold that item; nothing was removed")]
    Absent {
        /// The leaf to rebuild.
        leaf: Prefix,
    },
    /// The caller gave items of one leaf for another, or named a leaf that this tree does not have.
    #[error("{leaf} is not the leaf of these items; nothing was rebuilt")]
    WrongLeaf {
        /// The leaf that was named.
        leaf: Prefix,
    },
    /// The source shows other items than the tree was told of. Either may be wrong: a scrub takes
    /// the source for the truth.
    #[error("the items of leaf {leaf} are not those that the tree was told of")]
    Stale {
        /// The first such leaf.
        leaf: Prefix,
    },
    /// Leaves are set aside, and nobody may see the tree before they are recomputed.
    #[error("{leaves} leaves are set aside and must be settled first")]
    Unsettled {
        /// How many.
        leaves: usize,
    },
    /// Trees under different keys have nothing in common.
    #[error("the other tree has another key; nothing was merged")]
    OtherKey,
    /// A tree cannot take in one with fewer leaves: its sums cannot be taken apart.
    #[error("the other tree has only {leaf_bits} leaf bits; nothing was merged")]
    Coarser {
        /// The leaf bits of the other tree.
        leaf_bits: u8,
    },
}

/// Why a tree refused a batch of changes. The tree is as it was before the batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("change {at} of the batch was refused; none was made")]
pub struct BatchError {
    /// The position of the change in the batch.
    pub at: usize,
    /// What was wrong with it.
    #[source]
    pub error: TreeError,
}

/// Why bytes are no checkpoint of this tree. Nothing was loaded; the tree can be built from its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The checksum does not fit: the bytes were damaged, cut off, or never written whole.
    #[error("the checkpoint is damaged or incomplete; nothing was loaded")]
    Corrupt,
    /// Intact bytes of another kind.
    #[error("this is no checkpoint of a tree")]
    NotOne,
    /// An intact checkpoint in a form of another release.
    #[error("the checkpoint has format version {found}, this release reads {ours}")]
    Version {
        /// The version that this release reads and writes.
        ours: u8,
        /// The version of the checkpoint.
        found: u8,
    },
    /// An intact checkpoint of a tree under another key.
    #[error("the checkpoint belongs to a tree with another key")]
    OtherKey,
    /// The checksum fits, but no release writes such bytes: somebody made them up.
    #[error("the checkpoint is impossible: {what} is wrong")]
    Malformed {
        /// The part that is wrong.
        what: &'static str,
    },
}

/// Why a session ended without a result. The peer, or the way to it, is at fault unless the variant
/// says otherwise; trees and data are untouched, and a new session may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The peer speaks another version of this protocol.
    #[error("the peer speaks version {theirs} of the session protocol, this side version {ours}")]
    Version {
        /// The version of this side.
        ours: u8,
        /// The version in the peer's hello.
        theirs: u8,
    },
    /// The peer's tree is keyed with another cluster key. Nobody's frame is at fault: the two
    /// cannot be compared.
    #[error("the peer's tree has another cluster key")]
    KeyMismatch,
    /// The two sides dropped tombstones or expired items up to different points, and the side that
    /// dropped fewer cannot tell which they are. Nobody's frame is at fault: the two cannot be
    /// compared before both have the same horizon.
    #[error("this side dropped items up to horizon {ours}, the peer up to {theirs}")]
    HorizonMismatch {
        /// The horizon of this side.
        ours: u64,
        /// The horizon of the peer.
        theirs: u64,
    },
    /// A hello with a field that no honest peer sends.
    #[error("the hello is impossible: {field} is out of range")]
    Hello {
        /// The field.
        field: &'static str,
    },

    /// The frame ends inside a field.
    #[error("the frame ends before its content does")]
    Truncated,
    /// The frame goes on after its content.
    #[error("{count} bytes follow the content of the frame")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A number or a set is not written in its one shortest form.
    #[error("the frame holds a number or set that is not in its shortest form")]
    NotCanonical,
    /// A frame of an unknown kind.
    #[error("there is no frame with tag {tag}")]
    UnknownTag {
        /// The tag.
        tag: u8,
    },
    /// A frame with flags that this version does not know, or not for this kind of frame.
    #[error("flags {flags:#04x} are not known for this frame")]
    UnknownFlags {
        /// The flags.
        flags: u8,
    },
    /// The frame was damaged, or belongs to another session, or was sent back to its sender.
    #[error("the frame's check does not fit this session")]
    Corrupt,
    /// A frame so far ahead of the next one that no loss explains it.
    #[error("frame {found} arrived, frame {expected} is still missing")]
    OutOfOrder {
        /// The frame that should have come.
        expected: u32,
        /// The frame that came.
        found: u32,
    },
    /// The peer asks for frames behind one that this side has not sent.
    #[error("the peer has frames up to {found}, {sent} were sent")]
    NeverSent {
        /// The frame that the peer says is the first it misses.
        found: u32,
        /// How many there are.
        sent: u32,
    },

    /// A frame that does not belong at this point of the session.
    #[error("a frame with tag {tag} cannot come now")]
    Unexpected {
        /// The tag.
        tag: u8,
    },
    /// An answer to more than was asked.
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
    /// A set names a position beyond its universe.
    #[error("a set names a position that does not exist")]
    PositionOutOfRange,
    /// A fan-out of no bits, or of more than 12.
    #[error("a fan-out of {fanout} bits does not exist")]
    Fanout {
        /// The fan-out.
        fanout: u8,
    },
    /// Digests below the leaves of the smaller tree.
    #[error("digests at depth {bits}, below the leaves at {leaf_bits}")]
    TooDeep {
        /// The depth of the digests.
        bits: u8,
        /// The depth of the leaves.
        leaf_bits: u8,
    },
    /// A digest width (in bytes) or fingerprint width (in bits) that this version does not know.
    #[error("a width of {width} is not allowed here")]
    Width {
        /// The width.
        width: u8,
    },
    /// The gaps of a list cannot be coded with this parameter.
    #[error("a parameter of {parameter} bits does not suit fingerprints of {width} bits")]
    Parameter {
        /// The parameter.
        parameter: u8,
        /// The width of the fingerprints.
        width: u8,
    },
    /// The frames of one turn disagree about its fan-out or width.
    #[error("the frames of one turn differ in fan-out or width")]
    MixedTurn,
    /// The number of lists is not the number of differing nodes.
    #[error("the frame has {found} lists for {expected} nodes")]
    ListCount {
        /// One per differing node, and one if a list goes on from the frame before.
        expected: u32,
        /// How many came.
        found: u32,
    },
    /// A list with a fingerprint of more bits than it may have.
    #[error("a list holds a fingerprint of more than {width} bits")]
    FingerprintOutOfRange {
        /// The width of the fingerprints.
        width: u8,
    },

    /// The cells of a sketch are not in their form.
    #[error("the cells of a sketch cannot be read: {0}")]
    Cells(#[from] RunError),
    /// Cells that do not follow those before, or that are none.
    #[error("the frame has cells from {from} on, those from {expected} on are missing")]
    CellOrder {
        /// The cell that should have come.
        expected: u32,
        /// The first that came.
        from: u32,
    },
    /// A sketch of more cells than the announced bound.
    #[error("a sketch of {cells} cells exceeds the agreed {max}")]
    TooManyCells {
        /// How many there are to be.
        cells: u32,
        /// The bound.
        max: u32,
    },
    /// A frame above the announced size.
    #[error("a frame of {len} bytes exceeds the agreed {max}")]
    FrameTooLarge {
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// More nodes than the announced bound.
    #[error("more than the agreed {max} nodes were opened")]
    TooManyNodes {
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
