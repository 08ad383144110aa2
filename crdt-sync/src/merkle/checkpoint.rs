//! A tree as bytes, so that a restart loads it and replays a log instead of reading all items.

use alloc::vec::Vec;

use super::cells::{Cell, Lanes};
use super::error::CheckpointError;
use super::prefix::Prefix;
use super::prf::{Checksum, TreeKey};
use super::snapshot::TreeSnapshot;
use super::tree::BucketTree;

const MAGIC: &[u8; 8] = b"CSYNTREE";
const VERSION: u8 = 1;
/// Magic, version and size, key id, LSN, root.
const HEADER: usize = 64;
const CHECKSUM: usize = 16;
/// Leaves per block: one bit each in a word.
const BLOCK: u32 = 64;

impl TreeSnapshot {
    /// The snapshot as one vector, see [`TreeSnapshot::write_checkpoint`].
    pub fn encode_checkpoint(&self, lsn: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_checkpoint(lsn, |part| bytes.extend_from_slice(part));
        bytes
    }

    /// Gives the snapshot to `sink` in parts of at most 1,296 bytes, to be written one after the
    /// other. O(leaves). `lsn` says up to which record of the caller's log the snapshot has the
    /// writes.
    ///
    /// That makes 20 bytes per leaf and 16 to 20 per 64 leaves: 83 KB at 2^12 leaves, 1.3 MB at
    /// 2^16, 21 MB at 2^20. Empty leaves take none. The bytes hold no secret: the key is named, not
    /// told. They are laid down in `docs/formats.md`.
    ///
    /// ```
    /// use crdt_sync::merkle::{BucketTree, TreeKey};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let key = TreeKey::new([7; 16]);
    /// let mut tree = BucketTree::new(&key, 8)?;
    /// tree.insert(tree.key_hash(b"milk"), 1)?;
    /// let bytes = tree.snapshot().encode_checkpoint(41);
    ///
    /// let (mut tree, lsn) = BucketTree::decode_checkpoint(&key, &bytes)?;
    /// assert_eq!(lsn, 41);
    /// // Replay the log from there on:
    /// tree.replace(tree.key_hash(b"milk"), 1, 2)?;
    /// # Ok(()) }
    /// ```
    pub fn write_checkpoint(&self, lsn: u64, sink: impl FnMut(&[u8])) {
        let blocks = self.blocks();
        let mut out = Checked { sum: Checksum::new(), sink };
        out.put(&self.header(lsn, blocks.clone().count()));
        let mut block = Vec::new();
        for number in blocks {
            block.clear();
            self.encode_block(number, &mut block);
            out.put(&block);
        }
        let sum = out.sum.finish();
        (out.sink)(&sum);
    }

    fn header(&self, lsn: u64, blocks: usize) -> Vec<u8> {
        let root = self.node(Prefix::ALL);
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&[VERSION, self.leaf_bits(), 0, 0]);
        // At most 2^14 blocks.
        header.extend_from_slice(&u32::try_from(blocks).unwrap_or(u32::MAX).to_le_bytes());
        header.extend_from_slice(&self.prf().key_id());
        header.extend_from_slice(&lsn.to_le_bytes());
        header.extend_from_slice(&root.lanes.as_u128().to_le_bytes());
        header.extend_from_slice(&root.count.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        header
    }

    /// The numbers of the blocks that are not empty.
    fn blocks(&self) -> impl Iterator<Item = u32> + Clone {
        let all = (1_u32 << self.leaf_bits()).div_ceil(BLOCK);
        (0..all).filter(|number| self.block(*number).next().is_some())
    }

    /// The leaves of a block that are not empty, by their place in it.
    fn block(&self, number: u32) -> impl Iterator<Item = (u32, Cell)> {
        let leaves = (1_u32 << self.leaf_bits()).min(BLOCK);
        (0..leaves)
            .map(move |at| (at, self.node(Prefix::new(self.leaf_bits(), number * BLOCK + at))))
            .filter(|(_, cell)| *cell != Cell::default())
    }

    fn encode_block(&self, number: u32, out: &mut Vec<u8>) {
        let present = self.block(number).fold(0_u64, |bits, (at, _)| bits | 1 << at);
        out.extend_from_slice(&u64::from(number).to_le_bytes());
        out.extend_from_slice(&present.to_le_bytes());
        for (_, cell) in self.block(number) {
            out.extend_from_slice(&cell.lanes.as_u128().to_le_bytes());
        }
        for (_, cell) in self.block(number) {
            out.extend_from_slice(&cell.count.to_le_bytes());
        }
        if present.count_ones() % 2 == 1 {
            out.extend_from_slice(&[0; 4]);
        }
    }
}

impl BucketTree {
    /// The tree and the LSN that [`TreeSnapshot::write_checkpoint`] wrote. O(bytes).
    ///
    /// The whole is checked before any of it is believed: a damaged, cut or half-written checkpoint
    /// is [`CheckpointError::Corrupt`], and nothing is lost by that but the time to build the tree
    /// from its items. The checksum is no signature: whoever can write the file can make a tree
    /// that says anything, which a [scrub](BucketTree::scrub) finds.
    ///
    /// Memory: at most 5 KiB per 36 bytes read, plus 100 KiB.
    pub fn decode_checkpoint(key: &TreeKey, bytes: &[u8]) -> Result<(Self, u64), CheckpointError> {
        let (mut reader, version) = Reader::of_intact(bytes)?;
        if version != VERSION {
            return Err(CheckpointError::Version { ours: VERSION, found: version });
        }
        let leaf_bits = u8::from_le_bytes(reader.take()?);
        reader.zeros::<2>()?;
        let blocks = u32::from_le_bytes(reader.take()?);
        let size = CheckpointError::Malformed { what: "the number of leaf bits" };
        let mut tree = Self::new(key, leaf_bits).map_err(|_| size)?;
        if reader.take::<16>()? != tree.prf.key_id() {
            return Err(CheckpointError::OtherKey);
        }
        let lsn = u64::from_le_bytes(reader.take()?);
        let root = Cell {
            lanes: Lanes::from_u128(u128::from_le_bytes(reader.take()?)),
            count: u32::from_le_bytes(reader.take()?),
        };
        reader.zeros::<4>()?;
        let mut next = 0;
        for _ in 0..blocks {
            next = tree.load_block(&mut reader, next)?;
        }
        if !reader.0.is_empty() {
            return Err(CheckpointError::Malformed { what: "the number of blocks" });
        }
        if tree.levels.root != root {
            return Err(CheckpointError::Malformed { what: "the root" });
        }
        Ok((tree, lsn))
    }

    /// Reads a block whose number is at least `next`, and returns what the one after it must be at
    /// least.
    fn load_block(&mut self, reader: &mut Reader<'_>, next: u32) -> Result<u32, CheckpointError> {
        let leaves = 1_u32 << self.leaf_bits;
        let number = u64::from_le_bytes(reader.take()?);
        let in_order = (u64::from(next)..u64::from(leaves.div_ceil(BLOCK))).contains(&number);
        let number = u32::try_from(number).ok().filter(|_| in_order);
        let number = number.ok_or(CheckpointError::Malformed { what: "the order of blocks" })?;
        let present = u64::from_le_bytes(reader.take()?);
        if present == 0 || (leaves < BLOCK && present >> leaves != 0) {
            return Err(CheckpointError::Malformed { what: "the leaves of a block" });
        }
        let places = (0..BLOCK).filter(|at| present >> at & 1 == 1);
        let mut sums = Vec::with_capacity(present.count_ones() as usize);
        for _ in places.clone() {
            sums.push(Lanes::from_u128(u128::from_le_bytes(reader.take()?)));
        }
        for (at, lanes) in places.zip(sums) {
            let cell = Cell { lanes, count: u32::from_le_bytes(reader.take()?) };
            self.load_leaf(number * BLOCK + at, cell)?;
        }
        if present.count_ones() % 2 == 1 {
            reader.zeros::<4>()?;
        }
        Ok(number + 1)
    }

    /// No leaf has a sum without items, and no tree more than 2^32 - 1 of them.
    fn load_leaf(&mut self, leaf: u32, cell: Cell) -> Result<(), CheckpointError> {
        let root = self.levels.root;
        if cell.count == 0 || root.count.checked_add(cell.count).is_none() {
            return Err(CheckpointError::Malformed { what: "the count of a leaf" });
        }
        self.write(leaf, cell, root.plus(cell));
        Ok(())
    }
}

/// A sink that is told the checksum of what went through it.
struct Checked<F> {
    sum: Checksum,
    sink: F,
}

impl<F: FnMut(&[u8])> Checked<F> {
    fn put(&mut self, part: &[u8]) {
        self.sum.add(part);
        (self.sink)(part);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// What stands between the version and the checksum, which every version has in these places.
    fn of_intact(bytes: &'a [u8]) -> Result<(Self, u8), CheckpointError> {
        let (content, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(CheckpointError::Corrupt)?;
        let mut found = Checksum::new();
        found.add(content);
        if found.finish() != *sum {
            return Err(CheckpointError::Corrupt);
        }
        let content = content.strip_prefix(MAGIC).ok_or(CheckpointError::NotOne)?;
        let (version, content) = content.split_first().ok_or(CheckpointError::NotOne)?;
        Ok((Self(content), *version))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let cut = CheckpointError::Malformed { what: "the length" };
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(cut)?;
        self.0 = rest;
        Ok(*first)
    }

    fn zeros<const N: usize>(&mut self) -> Result<(), CheckpointError> {
        if self.take::<N>()? == [0; N] {
            Ok(())
        } else {
            Err(CheckpointError::Malformed { what: "the filling" })
        }
    }
}
