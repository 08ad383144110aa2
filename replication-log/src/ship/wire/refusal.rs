//! Why one end does not go on.

use alloc::{string::String, vec::Vec};

use super::codec::{begin, epoch, lsn, name, put_epoch, put_lsn, put_name, put_versions, seal, versions};
use crate::{
    Epoch, Lsn, Malformed, bytes::Input, entry::logical::FormatVersions, page::PageFormat,
    ship::wire::codec::flag,
};

pub(super) const TAG: u8 = 0x7f;

/// Why one end does not go on with a conversation, in every version of the protocol in the same form. Who is told
/// has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The two speak no version of the protocol in common.
    #[error("the other end speaks protocol versions {versions}: one of the two has to be upgraded")]
    ProtocolVersion {
        /// Those that the end which refuses speaks.
        versions: FormatVersions,
    },
    /// The leader writes logical entries of versions that the follower does not read.
    #[error("the leader writes entry format versions {formats}: upgrade the follower first")]
    EntryFormat {
        /// Those of the leader.
        formats: FormatVersions,
    },
    /// Pages of the two have different formats: a physical copy is impossible, a logical one is not.
    #[error("the leader's pages are of {pages}, so bytes cannot be copied; a logical stream can")]
    PageFormat {
        /// That of the leader.
        pages: PageFormat,
    },
    /// The node that was asked does not lead, nor pass on a log that can be followed.
    #[error("the node asked does not lead{}", Hint(.leader.as_deref()))]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<String>,
    },
    /// The end that refuses has promised a later epoch: whoever is told leads no more.
    #[error("fenced: the other end has promised epoch {have}, this one leads under {got}")]
    Fenced {
        /// What is promised.
        have: Epoch,
        /// The epoch of whoever is told.
        got: Epoch,
    },
    /// Somebody else leads under the very same epoch: two nodes were granted it.
    #[error("epoch {epoch} already belongs to {leader:?}: two nodes lead under it")]
    RivalLeader {
        /// The epoch.
        epoch: Epoch,
        /// Whose it is.
        leader: String,
    },
    /// The leader does not know the follower by this name.
    #[error("the leader has no slot for this follower, or has dropped it; an operator can create one")]
    NoSlot,
    /// What the follower needs is gone, and there is no snapshot to begin with.
    #[error("the leader has nothing older than record {oldest}, and no snapshot: retry when it has one")]
    NothingToBeginWith {
        /// The oldest record it holds.
        oldest: Lsn,
    },
    /// The follower has records that the leader does not have, and they may not be cut.
    #[error("the logs part after record {common}, and up to {floor} nothing may be cut here")]
    Diverged {
        /// The last record that both have.
        common: Lsn,
        /// What must stay at the follower: it is committed or applied there.
        floor: Lsn,
    },
    /// The leader has as many followers as it takes.
    #[error("the leader has as many followers as it takes; retry later")]
    Overloaded,
    /// What was sent cannot be read, or not here.
    #[error("what was sent makes no sense; damaged on the way: {damaged}")]
    Senseless {
        /// Whether it is the way that is at fault.
        damaged: bool,
    },
}

/// Where to ask instead.
struct Hint<'a>(Option<&'a str>);

impl core::fmt::Display for Hint<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.map_or(Ok(()), |leader| write!(formatter, "; {leader:?} does, as far as it knows"))
    }
}

impl Refusal {
    /// The message as a frame of the conversation `stream`. O(bytes).
    pub fn encode(&self, stream: u64) -> Vec<u8> {
        let mut bytes = begin(TAG, stream);
        match self {
            Self::ProtocolVersion { versions } => {
                bytes.push(0);
                put_versions(&mut bytes, *versions);
            }
            Self::EntryFormat { formats } => {
                bytes.push(1);
                put_versions(&mut bytes, *formats);
            }
            Self::PageFormat { pages } => {
                bytes.push(2);
                bytes.extend_from_slice(&pages.encode());
            }
            Self::NotLeader { leader } => {
                bytes.extend_from_slice(&[3, leader.is_some().into()]);
                if let Some(leader) = leader {
                    put_name(&mut bytes, leader);
                }
            }
            Self::Fenced { have, got } => {
                bytes.push(4);
                put_epoch(&mut bytes, *have);
                put_epoch(&mut bytes, *got);
            }
            Self::RivalLeader { epoch, leader } => {
                bytes.push(5);
                put_epoch(&mut bytes, *epoch);
                put_name(&mut bytes, leader);
            }
            Self::NoSlot => bytes.push(6),
            Self::NothingToBeginWith { oldest } => {
                bytes.push(7);
                put_lsn(&mut bytes, *oldest);
            }
            Self::Diverged { common, floor } => {
                bytes.push(8);
                put_lsn(&mut bytes, *common);
                put_lsn(&mut bytes, *floor);
            }
            Self::Overloaded => bytes.push(9),
            Self::Senseless { damaged } => bytes.extend_from_slice(&[10, (*damaged).into()]),
        }
        seal(bytes)
    }

    pub(super) fn decode(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let refusal = match input.byte()? {
            0 => Self::ProtocolVersion { versions: versions(input)? },
            1 => Self::EntryFormat { formats: versions(input)? },
            2 => Self::PageFormat { pages: PageFormat::decode(input.array()?) },
            3 => Self::NotLeader { leader: if flag(input)? { Some(name(input)?) } else { None } },
            4 => Self::Fenced { have: epoch(input)?, got: epoch(input)? },
            5 => Self::RivalLeader { epoch: epoch(input)?, leader: name(input)? },
            6 => Self::NoSlot,
            7 => Self::NothingToBeginWith { oldest: lsn(input)? },
            8 => Self::Diverged { common: lsn(input)?, floor: lsn(input)? },
            9 => Self::Overloaded,
            10 => Self::Senseless { damaged: flag(input)? },
            tag => return Err(Malformed::Tag(tag)),
        };
        input.end()?;
        Ok(refusal)
    }
}
