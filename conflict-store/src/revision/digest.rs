//! The digests ids are made of.

use smallvec::SmallVec;

/// The length of the digest in bytes.
pub const DIGEST_BYTES: usize = 16;

/// What a version says, or what its content says, as 16 bytes.
pub type Digest = [u8; DIGEST_BYTES];

/// Up to here input is gathered and hashed at once.
const GATHERED_BYTES: usize = 512;

/// BLAKE3 in keyed mode over all that is written to it, cut to 16 bytes.
///
/// Most documents are small, and for them setting up the incremental hasher costs more than hashing.
/// So input is gathered, and only what grows long goes through that hasher, without being copied.
pub(super) struct Digester {
    key: &'static [u8; 32],
    gathered: SmallVec<[u8; GATHERED_BYTES]>,
    long: Option<blake3::Hasher>,
}

impl Digester {
    pub(super) fn new(key: &'static [u8; 32]) -> Self {
        Self { key, gathered: SmallVec::new(), long: None }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.long.is_none() && self.gathered.len() + bytes.len() <= GATHERED_BYTES {
            self.gathered.extend_from_slice(bytes);
            return;
        }
        let long = self.long.get_or_insert_with(|| {
            let mut hasher = blake3::Hasher::new_keyed(self.key);
            hasher.update(&self.gathered);
            hasher
        });
        long.update(bytes);
    }

    pub(super) fn write_length(&mut self, bytes: usize) {
        self.write(&(bytes as u64).to_le_bytes());
    }

    pub(super) fn finish(self) -> Digest {
        let hash = match self.long {
            Some(hasher) => hasher.finalize(),
            None => blake3::keyed_hash(self.key, &self.gathered),
        };
        let [digest @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *hash.as_bytes();
        digest
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn gathered_or_not_the_digest_is_that_of_the_whole_input() {
        const KEY: &[u8; 32] = b"conflict-store version content 1";
        for length in [0, 1, 63, 64, 65, 511, 512, 513, 1_024, 5_000] {
            let input = vec![7; length];
            let whole = *blake3::keyed_hash(KEY, &input).as_bytes();
            for piece in [1, 13, 512, 10_000] {
                let mut digester = Digester::new(KEY);
                input.chunks(piece).for_each(|piece| digester.write(piece));
                assert_eq!(digester.finish(), whole[..DIGEST_BYTES], "{length} bytes by {piece}");
            }
        }
    }
}
