//! The first bytes of a segment.

use super::read_le;
use crate::{Epoch, Lsn, SegmentId, checksum, mix::mix};

/// The version of the format this build reads and writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// The size of a segment header. It is smaller than any disk's sector, so it is never torn.
pub(crate) const HEADER_BYTES: usize = HEADER_BYTES_STATED as usize;

const HEADER_BYTES_STATED: u32 = 80;

const MAGIC: [u8; 8] = *b"REPLOG\r\n";
const CHECKSUM_OFFSET: usize = 76;

/// What a segment says about itself and about everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: u64,
    pub(crate) segment: SegmentId,
    /// The first record that belongs here.
    pub(crate) first: Lsn,
    /// The highest epoch promised or accepted when the segment was created.
    pub(crate) epoch: Epoch,
    /// The highest record known to be durable when the segment was created.
    pub(crate) durable: Lsn,
    /// The running checksum before the first record.
    pub(crate) chain: u32,
    /// The epoch under which the record before the first one was written.
    pub(crate) reign: Epoch,
}

/// Why the first bytes of a file are no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    /// The number bound into every checksum of this segment.
    pub(crate) fn identity(&self) -> u64 {
        identity_of(self.log_id, self.segment)
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&HEADER_BYTES_STATED.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.identity().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.segment.get().to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first.get().to_le_bytes());
        bytes[48..56].copy_from_slice(&self.epoch.get().to_le_bytes());
        bytes[56..64].copy_from_slice(&self.durable.get().to_le_bytes());
        bytes[64..68].copy_from_slice(&self.chain.to_le_bytes());
        bytes[68..76].copy_from_slice(&self.reign.get().to_le_bytes());
        let checksum = checksum::extend(0, &bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        if bytes[0..8] != MAGIC {
            return Err(HeaderError::Damaged);
        }
        let intact = read_le!(u32, bytes, CHECKSUM_OFFSET) == checksum::extend(0, &bytes[..CHECKSUM_OFFSET]);
        let version = read_le!(u32, bytes, 8);
        // Another version may keep its checksum elsewhere, so its word is taken for it: either way
        // nothing is opened.
        if version != FORMAT_VERSION {
            return Err(HeaderError::Version(version));
        }
        let header = Self {
            log_id: read_le!(u64, bytes, 16),
            segment: SegmentId::new(read_le!(u64, bytes, 32)),
            first: Lsn::new(read_le!(u64, bytes, 40)),
            epoch: Epoch::new(read_le!(u64, bytes, 48)),
            durable: Lsn::new(read_le!(u64, bytes, 56)),
            chain: read_le!(u32, bytes, 64),
            reign: Epoch::new(read_le!(u64, bytes, 68)),
        };
        let canonical = *bytes == header.encode();
        if intact && canonical { Ok(header) } else { Err(HeaderError::Damaged) }
    }
}

/// A segment's identity: distinct for every segment of a log, and the same wherever it is computed.
pub(crate) fn identity_of(log_id: u64, segment: SegmentId) -> u64 {
    mix(log_id, segment.get())
}
