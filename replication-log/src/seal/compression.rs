//! LZ4, block format, with a length and a checksum in front.

use alloc::vec::Vec;

use super::{COMPRESSED, Layer, NotUnsealed, Sealing, Site};
use crate::{checksum, limits::MAX_BATCH_BYTES, segment::read_le, storage::StorageError};

/// The plain length and a checksum stand in front of the block.
const PREFIX_BYTES: usize = 8;

/// No byte of a block stands for more than this many plain ones.
const MAX_RATIO: usize = 255;

/// What the feature adds.
pub(super) const LAYER: Layer =
    Layer { flag: COMPRESSED, overhead_bytes: |_| 0, seal: compress, open: decompress };

#[expect(clippy::cast_possible_truncation, reason = "a body is smaller than MAX_BATCH_BYTES")]
#[expect(clippy::unnecessary_wraps, reason = "other layers can fail")]
fn compress(sealing: &Sealing, sealed: &mut Vec<u8>, body: &[u8], site: &Site) -> Result<bool, StorageError> {
    if !sealing.compress {
        return Ok(false);
    }
    sealed.resize(PREFIX_BYTES + lz4_flex::block::get_maximum_output_size(body.len()), 0);
    let compressed = lz4_flex::block::compress_into(body, &mut sealed[PREFIX_BYTES..]);
    let Some(bytes) = compressed.ok().filter(|&bytes| PREFIX_BYTES + bytes < body.len()) else {
        return Ok(false);
    };
    sealed.truncate(PREFIX_BYTES + bytes);
    sealed[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    let checksum = block_checksum(site.header.chain, sealed);
    sealed[4..PREFIX_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Ok(true)
}

/// Allocates no more than the smaller of [`MAX_BATCH_BYTES`] and 255 times the body.
fn decompress(_: &Sealing, plain: &mut Vec<u8>, body: &[u8], site: &Site) -> Result<(), NotUnsealed> {
    let block = body.get(PREFIX_BYTES..).ok_or(NotUnsealed::Damaged)?;
    // Before anything is decompressed: other encodings of the same records are damage too.
    if read_le!(u32, body, 4) != block_checksum(site.header.chain, body) {
        return Err(NotUnsealed::Damaged);
    }
    let bytes = read_le!(u32, body, 0) as usize;
    let most = MAX_BATCH_BYTES.min(block.len().saturating_mul(MAX_RATIO));
    if bytes <= body.len() || bytes > most {
        return Err(NotUnsealed::Damaged);
    }
    plain.resize(bytes, 0);
    match lz4_flex::block::decompress_into(block, plain) {
        Ok(count) if count == bytes => Ok(()),
        _ => Err(NotUnsealed::Damaged),
    }
}

/// Of the plain length and the block; it continues the running checksum behind the batch.
fn block_checksum(chain: u32, body: &[u8]) -> u32 {
    checksum::extend(checksum::extend(chain, &body[..4]), &body[PREFIX_BYTES..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Epoch, Lsn,
        segment::{BatchHeader, BatchKind},
    };

    fn site() -> Site {
        let header = BatchHeader {
            kind: BatchKind::Records,
            flags: COMPRESSED,
            length: 0,
            count: 1,
            first: Lsn::FIRST,
            epoch: Epoch::ZERO,
            durable: Lsn::ZERO,
            chain: 7,
        };
        Site { header, identity: 1, offset: 80, number: 0, before_writing: false }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]
    fn sealed(plain_bytes: usize, block: &[u8]) -> Vec<u8> {
        let mut body = [&(plain_bytes as u32).to_le_bytes()[..], &[0; 4], block].concat();
        let checksum = block_checksum(7, &body);
        body[4..8].copy_from_slice(&checksum.to_le_bytes());
        body
    }

    fn open(body: &[u8]) -> (Result<(), NotUnsealed>, Vec<u8>) {
        let mut plain = Vec::new();
        (decompress(&Sealing::plain(), &mut plain, body, &site()), plain)
    }

    #[test]
    fn a_bomb_is_refused_before_anything_is_allocated_for_it() {
        for claimed in [MAX_BATCH_BYTES + 1, u32::MAX as usize, 16 * MAX_RATIO + 1] {
            let (outcome, plain) = open(&sealed(claimed, &[0xff; 16]));
            assert_eq!((outcome, plain.capacity()), (Err(NotUnsealed::Damaged), 0), "{claimed}");
        }
    }

    #[test]
    fn a_block_that_holds_less_or_more_than_its_length_is_refused() {
        let mut whole = Vec::new();
        let sealing = Sealing::plain().compressed();
        assert_eq!(compress(&sealing, &mut whole, &[b'x'; 1000], &site()), Ok(true));
        for claimed in [999, 1000, 1001] {
            let (outcome, _) = open(&sealed(claimed, &whole[PREFIX_BYTES..]));
            assert_eq!(outcome.is_ok(), claimed == 1000, "{claimed}");
        }
        for length in 0..whole.len() {
            assert!(open(&whole[..length]).0.is_err(), "{length} bytes");
        }
        assert_eq!(open(&whole), (Ok(()), alloc::vec![b'x'; 1000]));
    }

    #[test]
    fn what_does_not_become_shorter_stays_as_it_is() {
        let noise: Vec<u8> = (0..200_u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        for body in [&noise[..], b""] {
            let sealing = Sealing::plain().compressed();
            assert_eq!(compress(&sealing, &mut Vec::new(), body, &site()), Ok(false));
        }
    }
}
