//! The frames of a session as bytes. `docs/formats.md` owns the layout; this module is its reading
//! and its writing.
//!
//! Every frame is `tag, sequence, body, check`. Nothing in a body names a node: both sides know
//! which questions are open and in what order, so a frame says how many of them it answers and
//! which of those differ.

mod bits;
mod decode;
mod encode;
pub(crate) mod index_set;
mod lists;
pub(crate) mod reader;
pub(crate) mod varint;

#[cfg(test)]
mod tests;

pub(super) use bits::gap_len;
pub(super) use decode::{check_of, decode_more, open};
pub(super) use encode::{FrameWriter, hello};
pub(super) use index_set::IndexSet;
pub(super) use lists::{List, ListReader, Lists, parameter as list_parameter, write_list};

use super::Limits;
use crate::sketch::CellRun;

/// The version of the session protocol; there is one.
pub(super) const PROTOCOL_VERSION: u8 = 2;
/// The length of the check at the end of each frame.
pub(super) const CHECK: usize = 4;
/// Room for everything of a frame but the set and what follows it: tag, sequence, flags, two
/// counts, fan-out or parameter, width and check, each at its longest.
pub(super) const OVERHEAD: usize = 1 + 5 + 1 + 5 + 5 + 1 + 1 + CHECK;

/// A bound on what a set spends on one of fewer than 2^20 nodes: the parameter (at most 20 bits),
/// the end of the unary part, and at most two steps of it on average because `universe /
/// 2^parameter < 2 * len`.
pub(super) const MEMBER: usize = 3;
/// A bound on the positions whose wanted ones fit into a byte: a set never takes more than 1.25
/// bits per position.
pub(super) const POSITIONS_PER_BYTE: usize = 6;
/// The longest number of entries before a list, and the byte that may be needed to fill up its bits.
pub(super) const LIST_HEAD: usize = varint::MAX + 1;
/// The widths of a fingerprint in bits.
pub(super) const WIDTHS: core::ops::RangeInclusive<u8> = 16..=64;
/// The largest fan-out in bits, of digests and of an estimate.
pub(super) const MAX_FANOUT: u8 = 12;

/// Flag of an items frame: its last list goes on in the next frame.
pub(super) const FLAG_MORE: u8 = 1;
/// Flag of digests and items frames: the sender leaves some differences to a later session.
pub(super) const FLAG_PARTIAL: u8 = 2;
/// Flag of an items frame: its last list was cut short, and says nothing about fingerprints above
/// its last one.
pub(super) const FLAG_CUT: u8 = 4;

/// Flag of a hello: a horizon other than zero follows.
const HELLO_HORIZON: u8 = 1;
/// Flag of a hello: the first limit is not the default one, and follows; the flags of the others
/// are the next higher bits.
const HELLO_LIMIT: u8 = 2;
/// All flags of a hello.
const HELLO_FLAGS: u8 = 0x1f;
/// Flag of a sketch frame: the sketch is one that is kept up, under the tree's salt.
pub(super) const SKETCH_KEPT: u8 = 1;
/// Flag of a frame that asks again: its sender waits for frames that may not have been made yet.
const AGAIN_REPLY: u8 = 1;
/// Flag of a found frame: more ids follow in the next frame.
pub(super) const FOUND_MORE: u8 = 1;
/// Room for everything of a found frame but its gaps.
pub(super) const FOUND_HEAD: usize = 1 + 5 + 1 + 5 + 16 + 1 + LIST_HEAD + CHECK;
/// Room for everything of a sketch frame but its cells.
pub(super) const SKETCH_HEAD: usize = 1 + 5 + 1 + 5 + CellRun::MAX_HEAD + CHECK;
/// The bits of a symbol's id.
pub(super) const ID_BITS: u8 = 32;

/// The kinds of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tag {
    /// The initiator's first frame.
    Hello = 1,
    /// The acceptor's first frame, of the same layout: another tag, so that an echo is not mistaken
    /// for a peer.
    Welcome = 2,
    /// Which of the asked nodes differ, and the digests of their descendants.
    Digests = 3,
    /// Which of the asked nodes differ, and the sender's items below them.
    Items = 4,
    /// Which of the listed items the sender wants.
    Wants = 5,
    /// Frames of the receiver that the sender misses. It stands outside the sequence.
    Again = 6,
    /// The sender's root as of the later of both horizons.
    Root = 7,
    /// One-byte digests of all nodes at a depth, from which the receiver estimates the difference.
    Estimate = 8,
    /// Cells of a sketch of the sender's items.
    Sketch = 9,
    /// How many cells the sender needs.
    More = 10,
    /// What the sender read from a sketch.
    Found = 11,
}

impl Tag {
    const ALL: [Self; 11] = [
        Self::Hello,
        Self::Welcome,
        Self::Digests,
        Self::Items,
        Self::Wants,
        Self::Again,
        Self::Root,
        Self::Estimate,
        Self::Sketch,
        Self::More,
        Self::Found,
    ];

    fn from_byte(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.byte() == tag)
    }

    pub(super) fn byte(self) -> u8 {
        self as u8
    }

    pub(super) fn is_greeting(self) -> bool {
        matches!(self, Self::Hello | Self::Welcome)
    }
}

/// A frame's envelope, checked as far as its form goes; the check itself needs the session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub(super) tag: Tag,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// The body of `Hello` and `Welcome`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hello {
    pub(super) leaf_bits: u8,
    pub(super) key_check: [u8; 8],
    pub(super) count: u32,
    pub(super) digest: u128,
    pub(super) nonce: [u8; 16],
    pub(super) horizon: u64,
    pub(super) max_frame: u32,
    pub(super) max_open_nodes: u32,
    pub(super) max_items: u32,
    pub(super) max_sketch_cells: u32,
}

impl Hello {
    fn announced(&self) -> [u32; Limits::ANNOUNCED] {
        [self.max_frame, self.max_open_nodes, self.max_items, self.max_sketch_cells]
    }

    /// What stands in the hello because it is not the default.
    fn flags(&self) -> u8 {
        let limits = self.announced().into_iter().zip(Limits::default().announced());
        let differ = limits.map(|(limit, default)| u8::from(limit != default)).zip([
            HELLO_LIMIT,
            HELLO_LIMIT << 1,
            HELLO_LIMIT << 2,
            HELLO_LIMIT << 3,
        ]);
        differ.fold(u8::from(self.horizon > 0) * HELLO_HORIZON, |flags, (differs, flag)| {
            flags | (differs * flag)
        })
    }
}

/// The body of `Digests`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digests<'a> {
    pub(super) partial: bool,
    pub(super) differing: IndexSet<'a>,
    /// Absent when nothing differs.
    pub(super) level: Option<DigestLevel<'a>>,
}

/// The digests of one frame, `2^fanout` per differing node, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct DigestLevel<'a> {
    pub(super) fanout: u8,
    pub(super) width: u8,
    pub(super) digests: &'a [u8],
}

/// The body of `Items`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items<'a> {
    pub(super) more: bool,
    pub(super) partial: bool,
    pub(super) cut: bool,
    pub(super) differing: IndexSet<'a>,
    /// The bits of a fingerprint.
    pub(super) width: u8,
    pub(super) lists: Lists<'a>,
}

/// The body of `Wants`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants<'a> {
    pub(super) wanted: IndexSet<'a>,
    /// How many items the sender of this frame will send in turn.
    pub(super) sending: u32,
}

/// The body of `Again`. The envelope's sequence is that of the first frame that the sender misses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again<'a> {
    /// Whether a side that has nothing to repeat should say what it misses itself.
    pub(super) reply: bool,
    /// The frames after the missing one that the sender does have, by distance.
    pub(super) held: IndexSet<'a>,
}

/// The body of `Estimate`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeBytes<'a> {
    /// The depth; at depth 0 the sender compares nothing and only gives the turn away.
    pub(super) bits: u8,
    /// One byte per node.
    pub(super) digests: &'a [u8],
}

/// The body of `Sketch`.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// Whether the sketch is one that is kept up.
    pub(super) kept: bool,
    /// How many cells there are with the last frame of this turn, from the first turn on.
    pub(super) total: u32,
    pub(super) run: CellRun,
}

/// The body of `Found`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// Ids of which the sender wants the items.
    pub(super) wanted: List<'a>,
    /// What ends the turn; absent if more ids follow in the next frame.
    pub(super) end: Option<FoundEnd>,
}

/// The end of a turn of `Found`.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundEnd {
    /// How many items the sender will send.
    pub(super) sending: u32,
    /// The digest of its items without those.
    pub(super) rest: [u8; 16],
}

/// The body of `Root`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RootAtHorizon {
    /// The sender cannot tell which of its items lie below the later horizon.
    Unknown,
    /// The items at or above the later horizon.
    Known { count: u32, digest: u128 },
}
