//! The bytes of a snapshot: a header, chunks of one size, a footer. `docs/formats.md` draws them.

use super::SnapshotIdentity;
use crate::{
    Epoch, Lsn, Position, checksum, limits::MAX_SNAPSHOT_CHUNK_BYTES, segment::HeaderError, segment::read_le,
};

/// The version of the format this build reads and writes.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The size of a header. It is smaller than any disk's sector.
pub(super) const HEADER_BYTES: usize = HEADER_BYTES_STATED as usize;

/// The size of a footer.
pub(super) const FOOTER_BYTES: usize = 24;

/// The size of the checksum in front of each chunk.
pub(super) const CHUNK_HEADER_BYTES: usize = 4;

const HEADER_BYTES_STATED: u32 = 56;
const MAGIC: [u8; 8] = *b"REPSNP\r\n";
const CHECKSUM_OFFSET: usize = 52;

/// What a snapshot says about itself before its first chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) identity: SnapshotIdentity,
    /// The size of every chunk but the last.
    pub(super) chunk_bytes: u32,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let Position { lsn, epoch, checksum } = self.identity.position;
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&HEADER_BYTES_STATED.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.identity.log_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&lsn.get().to_le_bytes());
        bytes[32..40].copy_from_slice(&epoch.get().to_le_bytes());
        bytes[40..44].copy_from_slice(&checksum.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.chunk_bytes.to_le_bytes());
        let checksum = checksum::extend(0, &bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        if bytes[0..8] != MAGIC {
            return Err(HeaderError::Damaged);
        }
        // Another version may keep its checksum elsewhere, so its word is taken for it: either way
        // nothing is read.
        let version = read_le!(u32, bytes, 8);
        if version != FORMAT_VERSION {
            return Err(HeaderError::Version(version));
        }
        let header = Self {
            identity: SnapshotIdentity {
                log_id: read_le!(u64, bytes, 16),
                position: Position {
                    lsn: Lsn::new(read_le!(u64, bytes, 24)),
                    epoch: Epoch::new(read_le!(u64, bytes, 32)),
                    checksum: read_le!(u32, bytes, 40),
                },
            },
            chunk_bytes: read_le!(u32, bytes, 44),
        };
        // The checksum is part of what is encoded, so this verifies it too.
        let bounded = (1..=MAX_SNAPSHOT_CHUNK_BYTES).contains(&header.chunk_bytes);
        if bounded && *bytes == header.encode() { Ok(header) } else { Err(HeaderError::Damaged) }
    }

    /// The checksum of the header, which that of the first chunk continues.
    pub(super) fn checksum(&self) -> u32 {
        read_le!(u32, self.encode(), CHECKSUM_OFFSET)
    }

    /// The checksum of chunk `number`, counted from 0: it continues that of the chunk before.
    pub(super) fn chunk_checksum(&self, before: u32, number: u64, chunk: &[u8]) -> u32 {
        let mut bound = [0; 24];
        bound[..8].copy_from_slice(&self.identity.log_id.to_le_bytes());
        bound[8..16].copy_from_slice(&self.identity.position.lsn.get().to_le_bytes());
        bound[16..].copy_from_slice(&number.to_le_bytes());
        checksum::extend(checksum::extend(before, &bound), chunk)
    }

    /// How many chunks hold this many bytes of state.
    pub(super) fn chunks(&self, state_bytes: u64) -> u64 {
        state_bytes.div_ceil(u64::from(self.chunk_bytes))
    }

    /// How long the file is that holds this many bytes of state; `None` when no file can be.
    pub(super) fn file_bytes(&self, state_bytes: u64) -> Option<u64> {
        let checksums = self.chunks(state_bytes).checked_mul(CHUNK_HEADER_BYTES as u64)?;
        (HEADER_BYTES as u64 + FOOTER_BYTES as u64).checked_add(checksums)?.checked_add(state_bytes)
    }
}

/// What a snapshot says about itself behind its last chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) state_bytes: u64,
    pub(super) chunks: u64,
    /// The checksum of the last chunk, and so of all of them; that of the header if there is none.
    pub(super) last: u32,
}

impl Footer {
    pub(super) fn encode(&self, header: &Header) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[0..8].copy_from_slice(&self.state_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.chunks.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.last.to_le_bytes());
        let checksum = checksum::extend(header.checksum(), &bytes[..20]);
        bytes[20..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; FOOTER_BYTES], header: &Header) -> Option<Self> {
        let footer = Self {
            state_bytes: read_le!(u64, bytes, 0),
            chunks: read_le!(u64, bytes, 8),
            last: read_le!(u32, bytes, 16),
        };
        let consistent = footer.chunks == header.chunks(footer.state_bytes);
        (consistent && *bytes == footer.encode(header)).then_some(footer)
    }
}
