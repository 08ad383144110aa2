//! What a follower says first.

use alloc::{string::String, vec::Vec};

use super::codec::{
    begin, epoch, name, position, put_epoch, put_lsn, put_name, put_position, put_versions, seal, versions,
};
use crate::{
    Epoch, Lsn, Malformed, Position,
    bytes::{Input, put_blob, put_count},
    entry::logical::{Filter, FormatVersions},
    limits::{MAX_EPOCH_ENDS, MAX_FRAME_BYTES},
    page::PageFormat,
};

pub(super) const TAG: u8 = 0x01;

const COPY: u8 = 0;
const COPY_OF_PAGES: u8 = 1;
const LOGICAL: u8 = 2;

/// What a follower says first, in every version of the protocol in the same form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The versions of the protocol it speaks.
    pub versions: FormatVersions,
    /// A number it has drawn for this conversation. Frames of an earlier one are told by theirs.
    pub stream: u64,
    /// Its name, which is that of its slot at the leader.
    pub name: String,
    /// The highest epoch its log has promised or accepted. Who leads under a lower one leads no more.
    pub epoch: Epoch,
    /// How many bytes it takes without having said what became of them.
    pub window: u32,
    /// What it wants to be sent.
    pub wants: Stream,
}

/// What a follower wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The batches themselves: its log becomes a copy.
    Copy {
        /// The format of its pages, if records say which bytes of pages became what. Without one it takes
        /// any records, and does not look into them.
        pages: Option<PageFormat>,
        /// Where its durable records of each epoch end, newest first, at most
        /// [`MAX_EPOCH_ENDS`] of them; see [`Log::epoch_ends`](crate::Log::epoch_ends). Never none.
        ends: Vec<Position>,
    },
    /// The transactions of a logical stream, or what a filter leaves of them. Only what is committed is sent.
    Logical {
        /// The versions of the entry format it reads.
        formats: FormatVersions,
        /// What it wants to know of.
        filter: Filter,
        /// The last record it has applied.
        after: Lsn,
    },
}

impl Hello {
    /// The message as a frame. O(bytes).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = begin(TAG, self.stream);
        put_versions(&mut bytes, self.versions);
        put_name(&mut bytes, &self.name);
        put_epoch(&mut bytes, self.epoch);
        bytes.extend_from_slice(&self.window.to_le_bytes());
        match &self.wants {
            Stream::Copy { pages, ends } => {
                bytes.push(if pages.is_some() { COPY_OF_PAGES } else { COPY });
                bytes.extend(pages.iter().flat_map(|pages| pages.encode()));
                put_count(&mut bytes, ends.len());
                for end in ends {
                    put_position(&mut bytes, *end);
                }
            }
            Stream::Logical { formats, filter, after } => {
                bytes.push(LOGICAL);
                put_versions(&mut bytes, *formats);
                put_blob(&mut bytes, &filter.encode());
                put_lsn(&mut bytes, *after);
            }
        }
        seal(bytes)
    }

    pub(super) fn decode(stream: u64, input: &mut Input<'_>) -> Result<Self, Malformed> {
        let (versions, name, epoch) = (versions(input)?, name(input)?, epoch(input)?);
        let window = u32::from_le_bytes(input.array()?);
        let wants = match input.byte()? {
            COPY => Stream::Copy { pages: None, ends: ends(input)? },
            COPY_OF_PAGES => {
                Stream::Copy { pages: Some(PageFormat::decode(input.array()?)), ends: ends(input)? }
            }
            LOGICAL => Stream::Logical {
                formats: super::codec::versions(input)?,
                filter: Filter::decode(input.blob(MAX_FRAME_BYTES, "bytes of a filter")?)?,
                after: super::codec::lsn(input)?,
            },
            tag => return Err(Malformed::Tag(tag)),
        };
        input.end()?;
        Ok(Self { versions, stream, name, epoch, window, wants })
    }
}

/// Newest first, each of an older epoch than the one before and none further.
fn ends(input: &mut Input<'_>) -> Result<Vec<Position>, Malformed> {
    let count = input.count(MAX_EPOCH_ENDS, "ends of epochs")?;
    let mut ends = Vec::new();
    for _ in 0..count {
        ends.push(position(input)?);
    }
    let descending = ends.is_sorted_by(|newer, older| older.epoch < newer.epoch && older.lsn <= newer.lsn);
    if ends.is_empty() || !descending {
        return Err(Malformed::Shape("ends of epochs go back in epochs and in records"));
    }
    Ok(ends)
}
