//! What followers say.

use alloc::vec::Vec;

use super::{
    FrameError, Hello, Refusal,
    codec::{begin, flag, marks, open, put_marks, seal},
    hello, refusal,
};
use crate::{
    Malformed,
    bytes::{Input, put_number},
    ship::Marks,
};

const REPORT: u8 = 0x02;
const SNAPSHOT_REPORT: u8 = 0x03;

/// What a follower says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToLeader {
    /// Its first word.
    Hello(Hello),
    /// How far it is.
    Report(Report),
    /// How far it is with a snapshot.
    SnapshotReport(SnapshotReport),
    /// It does not go on.
    Refused {
        /// With which conversation.
        stream: u64,
        /// Why.
        refusal: Refusal,
    },
}

/// How far a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The conversation it belongs to.
    pub stream: u64,
    /// How far it is at each stage.
    pub marks: Marks,
    /// Whether what comes after what it has received is to be sent again: it came damaged, or something
    /// before it is missing.
    pub again: bool,
    /// How many more bytes it takes now.
    pub window: u32,
}

/// How far a follower is with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotReport {
    /// The conversation it belongs to.
    pub stream: u64,
    /// How many bytes of its state it has.
    pub received: u64,
    /// Whether what comes after them is to be sent again.
    pub again: bool,
    /// Whether all of it is there, durable, and in use.
    pub installed: bool,
}

impl ToLeader {
    /// Reads a frame. Allocates at most a small multiple of the bytes that are there.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let (tag, stream, mut input) = open(frame)?;
        let input = &mut input;
        Ok(match tag {
            hello::TAG => Self::Hello(Hello::decode(stream, input)?),
            REPORT => Self::Report(Report::decode(stream, input)?),
            SNAPSHOT_REPORT => Self::SnapshotReport(SnapshotReport::decode(stream, input)?),
            refusal::TAG => Self::Refused { stream, refusal: Refusal::decode(input)? },
            tag => return Err(Malformed::Tag(tag).into()),
        })
    }

    /// The message as a frame. O(bytes).
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => hello.encode(),
            Self::Report(report) => report.encode(),
            Self::SnapshotReport(report) => report.encode(),
            Self::Refused { stream, refusal } => refusal.encode(*stream),
        }
    }
}

impl Report {
    /// The message as a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = begin(REPORT, self.stream);
        put_marks(&mut bytes, self.marks);
        bytes.push(self.again.into());
        bytes.extend_from_slice(&self.window.to_le_bytes());
        seal(bytes)
    }

    fn decode(stream: u64, input: &mut Input<'_>) -> Result<Self, Malformed> {
        let (marks, again) = (marks(input)?, flag(input)?);
        let window = u32::from_le_bytes(input.array()?);
        input.end()?;
        Ok(Self { stream, marks, again, window })
    }
}

impl SnapshotReport {
    /// The message as a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = begin(SNAPSHOT_REPORT, self.stream);
        put_number(&mut bytes, self.received);
        bytes.extend_from_slice(&[self.again.into(), self.installed.into()]);
        seal(bytes)
    }

    fn decode(stream: u64, input: &mut Input<'_>) -> Result<Self, Malformed> {
        let report = Self { stream, received: input.number()?, again: flag(input)?, installed: flag(input)? };
        input.end()?;
        Ok(report)
    }
}
