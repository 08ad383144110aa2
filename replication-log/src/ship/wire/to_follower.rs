//! What leaders say.

use alloc::{string::String, vec::Vec};

use super::{
    Batches, FrameError, Refusal, batches,
    codec::{begin, epoch, lsn, name, open, position, put_epoch, put_lsn, put_name, put_position, seal},
    refusal,
};
use crate::{
    Epoch, Lsn, Malformed, Position,
    bytes::{Input, put_blob, put_count, put_number},
    entry::logical::{EntryError, Transaction},
    limits::{MAX_BATCH_BYTES, MAX_FRAME_BATCHES, MAX_SNAPSHOT_CHUNK_BYTES},
    snapshot::SnapshotIdentity,
};

const WELCOME: u8 = 0x11;
const ALIVE: u8 = 0x13;
const SNAPSHOT_PART: u8 = 0x14;
const TRANSACTIONS: u8 = 0x15;

const AFTER: u8 = 0;
const SNAPSHOT: u8 = 1;

/// What a leader says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToFollower<'a> {
    /// Its answer to a follower's first word.
    Welcome(Welcome),
    /// Batches of its log.
    Batches(Batches<'a>),
    /// Transactions of a logical stream.
    Transactions(Transactions),
    /// That it is there, and how far it is.
    Alive(Alive),
    /// A part of a snapshot.
    SnapshotPart(SnapshotPart<'a>),
    /// It does not go on.
    Refused {
        /// With which conversation.
        stream: u64,
        /// Why.
        refusal: Refusal,
    },
}

/// A leader's answer to a follower's first word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The conversation it belongs to.
    pub stream: u64,
    /// The version of the protocol that is spoken from now on.
    pub version: u8,
    /// The leader's name.
    pub leader: String,
    /// The epoch it leads under.
    pub epoch: Epoch,
    /// Where the stream begins.
    pub start: Start,
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind a position that both have. What the follower has beyond it is not the leader's.
    After(Position),
    /// Behind a snapshot, which is sent first: what the follower needs is no longer in the log.
    Snapshot {
        /// Whose state it is, and at which position.
        identity: SnapshotIdentity,
        /// How many bytes of state it has.
        bytes: u64,
    },
}

/// That a leader is there, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// The conversation it belongs to.
    pub stream: u64,
    /// The epoch it leads under.
    pub epoch: Epoch,
    /// The last record that is committed.
    pub commit: Lsn,
    /// The last record that is durable at the leader.
    pub end: Lsn,
}

/// A part of a snapshot's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPart<'a> {
    /// The conversation it belongs to.
    pub stream: u64,
    /// The epoch of the leader.
    pub epoch: Epoch,
    /// How many bytes of the state come before it.
    pub offset: u64,
    /// What follows them.
    pub bytes: &'a [u8],
}

/// Transactions of a logical stream, or what a filter left of them, in order and without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transactions {
    /// The conversation it belongs to.
    pub stream: u64,
    /// The epoch of the leader.
    pub epoch: Epoch,
    /// The last record that is committed.
    pub commit: Lsn,
    /// The last record that is durable at the leader.
    pub end: Lsn,
    /// The transactions.
    pub transactions: Vec<Transaction>,
}

impl<'a> ToFollower<'a> {
    /// Reads a frame. What it carries is not copied, except for transactions; they take a small multiple of their
    /// bytes.
    pub fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        if frame.first() == Some(&batches::TAG) {
            return Batches::decode(frame).map(Self::Batches);
        }
        let (tag, stream, mut input) = open(frame)?;
        let input = &mut input;
        Ok(match tag {
            WELCOME => Self::Welcome(Welcome::decode(stream, input)?),
            ALIVE => Self::Alive(Alive::decode(stream, input)?),
            SNAPSHOT_PART => Self::SnapshotPart(SnapshotPart::decode(stream, input)?),
            TRANSACTIONS => Self::Transactions(Transactions::decode(stream, input)?),
            refusal::TAG => Self::Refused { stream, refusal: Refusal::decode(input)? },
            tag => return Err(Malformed::Tag(tag).into()),
        })
    }
}

impl Welcome {
    /// The message as a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = begin(WELCOME, self.stream);
        bytes.push(self.version);
        put_name(&mut bytes, &self.leader);
        put_epoch(&mut bytes, self.epoch);
        match self.start {
            Start::After(position) => {
                bytes.push(AFTER);
                put_position(&mut bytes, position);
            }
            Start::Snapshot { identity, bytes: state } => {
                bytes.push(SNAPSHOT);
                bytes.extend_from_slice(&identity.log_id.to_le_bytes());
                put_position(&mut bytes, identity.position);
                put_number(&mut bytes, state);
            }
        }
        seal(bytes)
    }

    fn decode(stream: u64, input: &mut Input<'_>) -> Result<Self, Malformed> {
        let (version, leader, epoch) = (input.byte()?, name(input)?, epoch(input)?);
        let start = match input.byte()? {
            AFTER => Start::After(position(input)?),
            SNAPSHOT => {
                let log_id = u64::from_le_bytes(input.array()?);
                let identity = SnapshotIdentity { log_id, position: position(input)? };
                Start::Snapshot { identity, bytes: input.number()? }
            }
            tag => return Err(Malformed::Tag(tag)),
        };
        input.end()?;
        Ok(Self { stream, version, leader, epoch, start })
    }
}

impl Alive {
    /// The message as a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = begin(ALIVE, self.stream);
        put_epoch(&mut bytes, self.epoch);
        put_lsn(&mut bytes, self.commit);
        put_lsn(&mut bytes, self.end);
        seal(bytes)
    }

    fn decode(stream: u64, input: &mut Input<'_>) -> Result<Self, Malformed> {
        let alive = Self { stream, epoch: epoch(input)?, commit: lsn(input)?, end: lsn(input)? };
        input.end()?;
        Ok(alive)
    }
}

impl<'a> SnapshotPart<'a> {
    /// The message as a frame. O(bytes).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = begin(SNAPSHOT_PART, self.stream);
        put_epoch(&mut bytes, self.epoch);
        put_number(&mut bytes, self.offset);
        put_blob(&mut bytes, self.bytes);
        seal(bytes)
    }

    fn decode(stream: u64, input: &mut Input<'a>) -> Result<Self, Malformed> {
        let (epoch, offset) = (epoch(input)?, input.number()?);
        let bytes = input.blob(MAX_SNAPSHOT_CHUNK_BYTES as usize, "bytes of a part of a snapshot")?;
        input.end()?;
        Ok(Self { stream, epoch, offset, bytes })
    }
}

impl Transactions {
    /// The message as a frame; an error when an entry does not keep to the format. O(bytes).
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let mut bytes = begin(TRANSACTIONS, self.stream);
        put_epoch(&mut bytes, self.epoch);
        put_lsn(&mut bytes, self.commit);
        put_lsn(&mut bytes, self.end);
        put_count(&mut bytes, self.transactions.len());
        for transaction in &self.transactions {
            put_blob(&mut bytes, &transaction.encode()?);
        }
        Ok(seal(bytes))
    }

    fn decode(stream: u64, input: &mut Input<'_>) -> Result<Self, FrameError> {
        let (epoch, commit, end) = (epoch(input)?, lsn(input)?, lsn(input)?);
        let count = input.count(MAX_FRAME_BATCHES, "transactions of a frame")?;
        let mut transactions = Vec::new();
        for _ in 0..count {
            let blob = input.blob(MAX_BATCH_BYTES, "bytes of a transaction")?;
            transactions.push(Transaction::decode(blob).map_err(|_| Malformed::Shape("no transaction"))?);
        }
        input.end()?;
        Ok(Self { stream, epoch, commit, end, transactions })
    }
}
