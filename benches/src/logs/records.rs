//! What is written to every log, and how it is told that the same came back.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

const POOL_BYTES: usize = 1 << 20;

/// Records of one size with random contents, made before any clock runs.
#[derive(Debug)]
pub struct Records {
    pool: Vec<u8>,
    size: usize,
    count: u64,
}

impl Records {
    /// `count` records of `size` bytes.
    pub fn new(size: usize, count: u64) -> Self {
        let mut pool = vec![0; POOL_BYTES + size];
        ChaCha8Rng::seed_from_u64(7).fill_bytes(&mut pool);
        Self { pool, size, count }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes each has.
    pub fn size(&self) -> usize {
        self.size
    }

    /// One of them; more can be had than there are.
    pub fn payload(&self, number: u64) -> &[u8] {
        let place = usize::try_from(number).unwrap_or(0).wrapping_mul(8) % POOL_BYTES;
        &self.pool[place..place + self.size]
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|number| self.payload(number))
    }

    /// What a reader of the records from `first` on has to find.
    pub fn digest_from(&self, first: u64) -> Digest {
        let mut digest = Digest::default();
        (first..self.count).for_each(|number| digest.add(self.payload(number)));
        digest
    }
}

/// A checksum over every byte of every record, light enough to be calculated while a clock runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// How many records there were.
    pub count: u64,
    /// Depends on their order.
    pub ordered: u64,
    /// Does not depend on their order, which threads do not agree on.
    pub unordered: u64,
}

impl Digest {
    /// Takes note of one record.
    pub fn add(&mut self, payload: &[u8]) {
        // Fletcher's two sums, over words of 8 bytes.
        let (mut sum, mut sums) = (payload.len() as u64, 0_u64);
        let mut words = payload.chunks_exact(8);
        for word in &mut words {
            sum = sum.wrapping_add(word.try_into().map_or(0, u64::from_le_bytes));
            sums = sums.wrapping_add(sum);
        }
        for byte in words.remainder() {
            sum = sum.wrapping_add(u64::from(*byte));
            sums = sums.wrapping_add(sum);
        }
        let record = (sum ^ sums.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.count += 1;
        self.ordered = self.ordered.rotate_left(5).wrapping_add(record);
        self.unordered = self.unordered.wrapping_add(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(payloads: &[&[u8]]) -> Digest {
        let mut digest = Digest::default();
        for payload in payloads {
            digest.add(payload);
        }
        digest
    }

    #[test]
    fn a_digest_tells_what_is_missing_changed_swapped_or_cut() {
        let whole = digest(&[b"one record", b"another one"]);
        assert_ne!(whole, digest(&[b"one record"]));
        assert_ne!(whole, digest(&[b"one record", b"another onf"]));
        assert_ne!(whole, digest(&[b"one record", b"another on"]));
        assert_ne!(digest(&[b"12345678abcdefgh"]), digest(&[b"abcdefgh12345678"]));

        let swapped = digest(&[b"another one", b"one record"]);
        assert_ne!(whole, swapped);
        assert_eq!((whole.count, whole.unordered), (swapped.count, swapped.unordered));
    }

    #[test]
    fn neighbouring_records_differ() {
        let records = Records::new(100, 1_000);
        assert!((1..1_000).all(|number| records.payload(number - 1) != records.payload(number)));
        assert_eq!(records.digest_from(990).count, 10);
    }
}
