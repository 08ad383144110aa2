//! Byte strings in ascending order, end to end in one allocation: a node is copied by copying two
//! arrays, and a short key costs little more than its bytes.

use alloc::vec::Vec;

#[derive(Clone, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// Where each key ends; it starts where the one before ends.
    ends: Vec<u32>,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.start(at)..self.start(at + 1)]
    }

    /// The position of `key`, or the one where it belongs.
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(key) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Equal => return Ok(middle),
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    pub(super) fn insert(&mut self, at: usize, key: &[u8]) {
        let start = self.start(at);
        let old_len = self.bytes.len();
        make_room(&mut self.bytes, key.len(), 8 * key.len());
        make_room(&mut self.ends, 1, 8);
        self.bytes.extend_from_slice(key);
        if start < old_len {
            self.bytes.copy_within(start..old_len, start + key.len());
            self.bytes[start..start + key.len()].copy_from_slice(key);
        }
        self.ends.insert(at, offset(start));
        for end in &mut self.ends[at..] {
            *end += offset(key.len());
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        let (start, end) = (self.start(at), self.start(at + 1));
        self.bytes.drain(start..end);
        self.ends.remove(at);
        for later in &mut self.ends[at..] {
            *later -= offset(end - start);
        }
    }

    /// Keeps the first `at` keys and returns the others.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let start = self.start(at);
        let bytes = self.bytes.split_off(start);
        let mut ends = self.ends.split_off(at);
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        for end in &mut ends {
            *end -= offset(start);
        }
        Self { bytes, ends }
    }

    pub(super) fn push(&mut self, key: &[u8]) {
        self.insert(self.len(), key);
    }

    pub(super) fn append(&mut self, other: &Self) {
        let shift = offset(self.bytes.len());
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| end + shift));
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }
}

/// Makes room for as many more elements as are needed, and a step at least. Doubling, as vectors do
/// by themselves, would leave a third of the tree's memory unused.
pub(super) fn make_room<T>(elements: &mut Vec<T>, needed: usize, step: usize) {
    if elements.capacity() - elements.len() < needed {
        elements.reserve_exact(needed.max(step));
    }
}

/// A node holds at most 65 keys of at most 1 KiB.
fn offset(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The shortest byte string above `left` and not above `right`, given that `left < right`: what
/// separates two neighbours need not name either.
pub(super) fn shortest_separator<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    let shared = common_prefix(left, right);
    &right[..right.len().min(shared + 1)]
}

pub(in crate::range) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
