//! The first bytes of a batch.

use super::read_le;
use crate::{
    Epoch, Lsn, checksum,
    limits::MAX_BATCH_BYTES,
    seal::{COMPRESSED, ENCRYPTED, MAX_OVERHEAD_BYTES},
};

/// The size of a batch header.
pub(crate) const BATCH_HEADER_BYTES: usize = 40;

/// The size of the epoch that a copied batch's body begins with. The limit on batches counts the header, so there is
/// room for it.
pub(crate) const COPIED_EPOCH_BYTES: usize = COPIED_EPOCH_BYTES_STATED as usize;

const COPIED_EPOCH_BYTES_STATED: u32 = 8;

/// The longest body there can be.
const MAX_SEALED_BYTES: usize = MAX_BATCH_BYTES + MAX_OVERHEAD_BYTES;

/// What stands in front of the records of a batch.
///
/// The header has a checksum of its own, bound to the segment's identity and to its offset in the
/// file: it can be believed even where the records behind it are torn, and a copy of it anywhere
/// else is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) kind: BatchKind,
    /// How the records are sealed; 0 when they are written as they are.
    pub(crate) flags: u8,
    /// How many bytes of records, sealed or not, follow the header.
    pub(crate) length: u32,
    /// How many records they are; 24 bits.
    pub(crate) count: u32,
    /// The first of the records, or where there are none the record that will come next.
    pub(crate) first: Lsn,
    /// The highest epoch promised or accepted with it: that of the records, unless they are copied.
    pub(crate) epoch: Epoch,
    /// The highest record known to be durable when the batch was written.
    pub(crate) durable: Lsn,
    /// The running checksum over all batches up to and including this one.
    pub(crate) chain: u32,
}

/// What a batch is for. Zero is no kind, so zero bytes are never a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchKind {
    /// It holds records, written under the epoch of the header.
    Records,
    /// It holds records that were written under an older epoch than the header's, which the log had promised by the
    /// time it took them over from another one. The body begins with that epoch.
    Copied,
    /// It holds none: it raises the epoch.
    Promise,
    /// It holds none: the log was closed, and everything before it was durable.
    Close,
    /// Another version of this crate wrote it: the kind, or a flag, is not known.
    Unknown(u8),
}

impl BatchHeader {
    pub(crate) fn encode(&self, identity: u64, offset: u64) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.get().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.get().to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable.get().to_le_bytes());
        bytes[32..36].copy_from_slice(&self.chain.to_le_bytes());
        bytes[36..40]
            .copy_from_slice(&(self.count << 8 | u32::from(self.kind.to_byte() | self.flags)).to_le_bytes());
        let checksum = bound_checksum(identity, offset, &bytes);
        bytes[0..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at `offset` of the segment with this identity, if the bytes are one. O(1).
    pub(crate) fn decode(bytes: &[u8; BATCH_HEADER_BYTES], identity: u64, offset: u64) -> Option<Self> {
        // Before the checksum, because a scan asks at every offset and these few comparisons answer
        // nearly always.
        let tail = read_le!(u32, bytes, 36);
        let (kind, flags) = BatchKind::from_byte(bytes[36])?;
        let count = tail >> 8;
        let length = read_le!(u32, bytes, 4);
        let plausible = match kind {
            BatchKind::Records if flags == 0 => {
                count > 0 && length >= 2 * count && length as usize <= MAX_BATCH_BYTES
            }
            BatchKind::Copied if flags == 0 => {
                count > 0
                    && length >= COPIED_EPOCH_BYTES_STATED + 2 * count
                    && length as usize <= MAX_BATCH_BYTES
            }
            BatchKind::Records | BatchKind::Copied => {
                count > 0 && length > 0 && length as usize <= MAX_SEALED_BYTES
            }
            BatchKind::Promise | BatchKind::Close => count == 0 && length == 0,
            BatchKind::Unknown(_) => length as usize <= MAX_SEALED_BYTES,
        };
        if !plausible || read_le!(u32, bytes, 0) != bound_checksum(identity, offset, bytes) {
            return None;
        }
        let header = Self {
            kind,
            flags,
            length,
            count,
            first: Lsn::new(read_le!(u64, bytes, 8)),
            epoch: Epoch::new(read_le!(u64, bytes, 16)),
            durable: Lsn::new(read_le!(u64, bytes, 24)),
            chain: read_le!(u32, bytes, 32),
        };
        // Numbers start at 1, and nothing can be durable before it is written.
        (header.first > header.durable && header.next().is_some()).then_some(header)
    }

    /// The record after the last one of this batch; `None` when there is no such number.
    pub(crate) fn next(&self) -> Option<Lsn> {
        self.first.advance(u64::from(self.count))
    }

    /// The epoch under which the records were written, and where they begin in the batch's body; `None` when the
    /// body does not begin with an epoch that is older than the header's.
    pub(crate) fn origin(&self, body: &[u8]) -> Option<(Epoch, usize)> {
        if self.kind != BatchKind::Copied {
            return Some((self.epoch, 0));
        }
        let epoch = Epoch::new(u64::from_le_bytes(*body.first_chunk::<COPIED_EPOCH_BYTES>()?));
        (epoch < self.epoch).then_some((epoch, COPIED_EPOCH_BYTES))
    }

    /// The running checksum after a batch of this place, epoch and body.
    ///
    /// It covers what was appended and not how it is stored, so two logs with the same batches
    /// agree on it.
    pub(crate) fn chain_over(before: u32, first: Lsn, epoch: Epoch, body: &[u8]) -> u32 {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&first.get().to_le_bytes());
        place[8..].copy_from_slice(&epoch.get().to_le_bytes());
        checksum::extend(checksum::extend(before, &place), body)
    }
}

impl BatchKind {
    /// The kind and the flags in this byte.
    fn from_byte(byte: u8) -> Option<(Self, u8)> {
        match (byte, byte & (COMPRESSED | ENCRYPTED)) {
            (0, _) => None,
            (2, _) => Some((Self::Promise, 0)),
            (3, _) => Some((Self::Close, 0)),
            (byte, flags) if byte == 1 | flags => Some((Self::Records, flags)),
            (byte, flags) if byte == 4 | flags => Some((Self::Copied, flags)),
            (unknown, _) => Some((Self::Unknown(unknown), 0)),
        }
    }

    const fn to_byte(self) -> u8 {
        match self {
            Self::Records => 1,
            Self::Promise => 2,
            Self::Close => 3,
            Self::Copied => 4,
            Self::Unknown(byte) => byte,
        }
    }
}

fn bound_checksum(identity: u64, offset: u64, header: &[u8; BATCH_HEADER_BYTES]) -> u32 {
    let mut bound = [0; 16 + BATCH_HEADER_BYTES - 4];
    bound[..8].copy_from_slice(&identity.to_le_bytes());
    bound[8..16].copy_from_slice(&offset.to_le_bytes());
    bound[16..].copy_from_slice(&header[4..]);
    checksum::extend(0, &bound)
}
