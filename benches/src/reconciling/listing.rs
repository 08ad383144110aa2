//! Items by key, for candidates that keep digests only, and what lists of items look like in a frame.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut, RangeBounds};

use super::{Entry, Key};

/// Items by key.
#[derive(Clone)]
pub(super) struct Listing(BTreeMap<Key, u64>);

impl Listing {
    pub(super) fn new(entries: &[Entry]) -> Self {
        Self(entries.iter().map(|entry| (entry.key, entry.version)).collect())
    }

    pub(super) fn list(&self, range: impl RangeBounds<Key>) -> impl Iterator<Item = Entry> {
        self.0.range(range).map(|(key, version)| Entry { key: *key, version: *version })
    }
}

impl Deref for Listing {
    type Target = BTreeMap<Key, u64>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Listing {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Writes an item: its key and its version.
pub(super) fn write_entry(frame: &mut Vec<u8>, entry: Entry) {
    frame.extend(entry.key);
    frame.extend(entry.version.to_le_bytes());
}

/// Reads the next item.
pub(super) fn read_entry(frame: &mut &[u8]) -> Entry {
    Entry { key: read(frame), version: u64::from_le_bytes(read(frame)) }
}

/// Reads the next `N` bytes.
pub(super) fn read<const N: usize>(frame: &mut &[u8]) -> [u8; N] {
    let (bytes, rest) = frame.split_first_chunk().expect("frames are made in this process");
    *frame = rest;
    *bytes
}

/// Writes positions, such as those of the wanted items in a list.
pub(super) fn write_positions(positions: &[u32]) -> Vec<u8> {
    positions.iter().flat_map(|position| position.to_le_bytes()).collect()
}

/// Reads positions to the end of the frame.
pub(super) fn read_positions(mut frame: &[u8]) -> Vec<u32> {
    let mut positions = Vec::with_capacity(frame.len() / 4);
    while !frame.is_empty() {
        positions.push(u32::from_le_bytes(read(&mut frame)));
    }
    positions
}
