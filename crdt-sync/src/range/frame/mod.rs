//! The frames of a session as bytes. `docs/formats.md` owns the layout; this module is its reading
//! and its writing.
//!
//! Every frame is `tag, sequence, body, check`. The bounds of a split travel, since either side
//! chooses its own; which range is split does not, since both sides know which questions are open.

mod bound;
mod hello;

pub(super) use self::bound::{read_bound, write_bound};
pub(super) use self::hello::{Hello, check as hello_check, is_genuine};
use super::ProtocolError;
use crate::merkle::ProtocolError as Form;
use crate::merkle::frame::reader::Reader;
use crate::merkle::frame::varint;

/// The version of the session protocol; there is one.
pub(super) const PROTOCOL_VERSION: u8 = 1;
/// The length of the check at the end of each frame.
pub(super) const CHECK: usize = 4;
/// Room for everything of a frame but wants, positions and entries, each at its longest: tag,
/// sequence, flags, two counts, width and check.
pub(super) const OVERHEAD: usize = 1 + varint::MAX + 1 + 2 * varint::MAX + 1 + CHECK;
/// Room for the numbers of a frame's wants.
pub(super) const WANTS_HEAD: usize = 3 * varint::MAX;
/// A bound on what a set spends on one of its positions.
pub(super) const MEMBER: usize = 5;
/// A bound on the positions whose wanted ones fit into a byte: a set never takes more than 1.25
/// bits per position.
pub(super) const POSITIONS_PER_BYTE: usize = 6;
/// The longest head of a list: its kind and the number of fingerprints.
pub(super) const LIST_HEAD: usize = 1 + varint::MAX;
/// The length of a digest.
pub(super) const DIGEST: usize = 4;

/// The last list of the frame goes on in the next frame.
pub(super) const FLAG_MORE: u8 = 1;
/// The sender leaves some differences to a later session.
pub(super) const FLAG_PARTIAL: u8 = 2;
/// The frame says what its sender wants of the lists it got.
pub(super) const FLAG_WANTS: u8 = 4;

/// The kinds of answer to a question about a range that differs. Two and above is the number of
/// parts of a split.
pub(super) const KIND_LIST: u32 = 0;
/// The asker has nothing in the range and gets all that the sender has.
pub(super) const KIND_ALL: u32 = 1;

/// The most parts that a range is split into at once.
pub const MAX_PARTS: u32 = 256;

/// The kinds of frames. The numbers are not those of a [`merkle::Session`](crate::merkle::Session),
/// so that neither kind of session takes a frame of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tag {
    /// The initiator's first frame.
    Hello = 0x11,
    /// The acceptor's first frame, of the same layout.
    Welcome = 0x12,
    /// The initiator's sum and count over a range that the acceptor narrowed.
    Root = 0x13,
    /// Which of the asked ranges differ, and for each its parts or its items; and which of the
    /// listed items are wanted.
    Answers = 0x14,
}

impl Tag {
    fn from_byte(tag: u8) -> Option<Self> {
        [Self::Hello, Self::Welcome, Self::Root, Self::Answers].into_iter().find(|known| known.byte() == tag)
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
    pub(super) checked: &'a [u8],
    pub(super) check: [u8; CHECK],
}

/// Takes a frame apart into its envelope.
pub(super) fn open(frame: &[u8]) -> Result<Envelope<'_>, ProtocolError> {
    let (checked, check) = frame.split_last_chunk().ok_or(Form::Truncated)?;
    let mut reader = Reader::new(checked);
    let tag = reader.byte()?;
    let tag = Tag::from_byte(tag).ok_or(ProtocolError::UnknownTag { tag })?;
    let sequence = reader.number()?;
    Ok(Envelope { tag, sequence, body: reader.rest(), checked, check: *check })
}

/// The difference of two counts as a number that is small when they are close.
pub(super) fn count_delta(previous: u32, count: u32) -> u32 {
    let delta = count.wrapping_sub(previous);
    delta << 1 ^ if delta >> 31 == 1 { u32::MAX } else { 0 }
}

/// Undoes [`count_delta`].
pub(super) fn count_of(previous: u32, delta: u32) -> u32 {
    previous.wrapping_add(delta >> 1 ^ if delta & 1 == 1 { u32::MAX } else { 0 })
}
