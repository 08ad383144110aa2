//! `riblt` 0.1: a rateless invertible Bloom lookup table over 8-byte ids of items.
//!
//! It keeps nothing between sessions: either side encodes its whole set for each, and once more whenever a block of
//! cells was not enough. The type of what it peels is private, and it looks through all cells for each symbol, so the
//! cells are encoded and mapped by the crate and peeled here, in time that follows the difference. Cells travel in
//! pieces of an eighth of what was sent before, as if the other side could stop the stream at once.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use riblt::{CodedSymbol, RandomMapping, RatelessIBLT, Symbol};

use super::cpu::Stopwatch;
use super::{Candidate, Entry, Found, Key};

/// The ids, and the items that they stand for.
pub struct Rateless {
    ids: Ids,
    keys: BTreeMap<u64, Key>,
}

const REQUEST: usize = 1;

impl Candidate for Rateless {
    const NAME: &'static str = "riblt";
    type Summary = ();

    fn summary(_: &[Entry]) {}

    fn load(entries: &[Entry]) -> Self {
        let ids = entries.iter().map(|entry| Id::of(*entry));
        Self {
            ids: Ids(ids.clone().collect()),
            keys: ids.zip(entries).map(|(id, entry)| (id.0, entry.key)).collect(),
        }
    }

    fn reconcile(left: &mut Self, right: &mut Self, _: &mut Stopwatch) -> Found {
        let mut found = Found::default();
        found.turn(REQUEST);
        let mut theirs = RatelessIBLT::new(right.ids.clone());
        let mut ours = RatelessIBLT::new(left.ids.clone());
        let mut decoder = Decoder::default();
        let mut bytes = 0;
        while !decoder.is_done() {
            let from = decoder.cells.len();
            let to = from + (from / 8).max(1);
            let frame = write_cells(cells(&mut theirs, from, to));
            bytes += frame.len();
            let pairs = cells(&mut ours, from, to).iter().zip(read_cells(&frame));
            decoder.add(pairs.map(|(our, their)| our.collapse(&their)));
        }
        found.turn(bytes);
        found.turn(decoder.remote.len() * size_of::<Id>());
        found.sends = [left.keys(&decoder.local), right.keys(&decoder.remote)];
        found
    }
}

impl Rateless {
    fn keys(&self, ids: &[Id]) -> Vec<Key> {
        ids.iter().filter_map(|id| self.keys.get(&id.0)).copied().collect()
    }
}

/// Cells of a table, which is encoded half as far again when they run out.
fn cells(table: &mut RatelessIBLT<Id, Ids>, from: usize, to: usize) -> &[CodedSymbol<Id>] {
    if table.coded_symbols.len() < to {
        table.extend_coded_symbols(to + to / 2);
    }
    &table.coded_symbols[from..to]
}

/// Sum and check of eight bytes each, and the count as a short number.
fn write_cells(cells: &[CodedSymbol<Id>]) -> Vec<u8> {
    let mut frame = Vec::new();
    for cell in cells {
        frame.extend(&cell.sum);
        frame.extend(cell.hash.to_le_bytes());
        let mut count = ((cell.count << 1) ^ (cell.count >> 63)).cast_unsigned();
        while count >= 0x80 {
            frame.push(count.to_le_bytes()[0] | 0x80);
            count >>= 7;
        }
        frame.push(count.to_le_bytes()[0]);
    }
    frame
}

fn read_cells(mut frame: &[u8]) -> impl Iterator<Item = CodedSymbol<Id>> {
    std::iter::from_fn(move || {
        let (sum, rest) = frame.split_first_chunk::<8>()?;
        let (hash, rest) = rest.split_first_chunk::<8>()?;
        let length = rest.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        let (count, rest) = rest.split_at(length);
        let count = count.iter().rev().fold(0, |sum, byte| (sum << 7) | u64::from(byte & 0x7f));
        frame = rest;
        let mut cell = CodedSymbol::new();
        cell.sum = sum.to_vec();
        cell.hash = u64::from_le_bytes(*hash);
        cell.count = (count >> 1).cast_signed() ^ -(count & 1).cast_signed();
        Some(cell)
    })
}

/// Peels the difference of two tables while their cells come in.
#[derive(Default)]
struct Decoder {
    cells: Vec<CodedSymbol<Id>>,
    local: Vec<Id>,
    remote: Vec<Id>,
    /// Where the symbols found so far come next.
    found: Vec<(Id, i64, Peekable<RandomMapping>)>,
}

impl Decoder {
    /// Every symbol is in the first cell.
    fn is_done(&self) -> bool {
        self.cells.first().is_some_and(CodedSymbol::is_empty)
    }

    fn add(&mut self, cells: impl Iterator<Item = CodedSymbol<Id>>) {
        let from = self.cells.len();
        self.cells.extend(cells);
        for (id, count, mapping) in &mut self.found {
            remove(&mut self.cells, *id, *count, mapping, |_| ());
        }
        let mut pure: Vec<usize> = (from..self.cells.len()).collect();
        while let Some(index) = pure.pop() {
            let cell = &self.cells[index];
            if !cell.is_peelable() {
                continue;
            }
            let (id, count) = (Id::decode_from_bytes(&cell.sum), cell.count);
            let mut mapping = RandomMapping::new(&id).peekable();
            remove(&mut self.cells, id, count, &mut mapping, |index| pure.push(index));
            self.found.push((id, count, mapping));
            if count > 0 { self.local.push(id) } else { self.remote.push(id) }
        }
    }
}

/// Takes a symbol out of the cells that there are.
fn remove(
    cells: &mut [CodedSymbol<Id>],
    id: Id,
    count: i64,
    mapping: &mut Peekable<RandomMapping>,
    mut touched: impl FnMut(usize),
) {
    let (bytes, hash) = (id.0.to_le_bytes(), id.hash_());
    while let Some(index) = mapping.next_if(|index| *index < cells.len()) {
        let cell = &mut cells[index];
        cell.sum.iter_mut().zip(bytes).for_each(|(sum, byte)| *sum ^= byte);
        cell.hash ^= hash;
        cell.count -= count;
        touched(index);
    }
}

/// What stands for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id(u64);

impl Id {
    /// Keys and versions are random here, so that folding them makes an id as good as a digest.
    fn of(entry: Entry) -> Self {
        let key = u128::from_le_bytes(entry.key);
        let folded = u64::try_from((key >> 64) ^ (key & u128::from(u64::MAX))).unwrap_or_default();
        Self(folded ^ entry.version.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl Symbol for Id {
    const BYTE_ARRAY_LENGTH: usize = 8;

    fn encode_to_bytes(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn decode_from_bytes(bytes: &Vec<u8>) -> Self {
        Self(bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }

    /// Ids are digests already, so a cheap permutation that is not linear is enough.
    fn hash_(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }
}

/// The ids of a set, to be gone through again and again without a copy.
#[derive(Clone)]
struct Ids(Arc<[Id]>);

impl IntoIterator for Ids {
    type Item = Id;
    type IntoIter = IdsIter;

    fn into_iter(self) -> IdsIter {
        IdsIter { ids: self.0, next: 0 }
    }
}

struct IdsIter {
    ids: Arc<[Id]>,
    next: usize,
}

impl Iterator for IdsIter {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        let id = self.ids.get(self.next).copied();
        self.next += 1;
        id
    }
}
