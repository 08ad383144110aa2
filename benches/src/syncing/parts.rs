//! What a node that receives cannot do without, part by part and over the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use crdt_core::{VersionDigest, codec};
use crdt_sync::merkle::{BucketTree, ItemSketch, KeyHash, TreeKey};
use crdt_sync::wire::{self, Message, Session, SessionStep, StatesPart};
use crdt_sync::{Cell, Entry, ItemKey};
use replication_log::storage::FileStorage;
use replication_log::{Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, RecordKind};

use super::data::{Kind, Way};
use super::pair::Crossing;
use super::process::{Spent, Watch};

/// How long each part took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// Frames to messages, and entries or states to cells, checked as canonical.
    pub decode: Spent,
    /// The records to a log with group commit, and at last one sync.
    pub append: Spent,
    /// The cells into a map by key.
    pub insert: Spent,
    /// Digests, keyed hashes, and the tree over them, up to its root.
    pub tree: Spent,
    /// Not in the sum: the hash chain that proves what entries follow one another.
    pub chain: Spent,
    /// Not in the sum: the sketch that finds few differences, and the index of keys by hash.
    pub index: Spent,
}

impl Parts {
    /// What a sync is compared with.
    pub fn sum(&self) -> Spent {
        self.decode + self.append + self.insert + self.tree
    }
}

/// Does the parts of receiving what crossed: all of them for one frame, then for the next, as a node does.
///
/// For the same reason it is to be asked for in a process that did nothing before. A node that begins to receive has no
/// memory of its own yet, and gets it from the kernel.
///
/// # Panics
///
/// When anything fails.
pub fn measure(kind: Kind, way: Way, crossing: &Crossing, folder: &Path) -> Parts {
    let mut parts = Parts::default();
    let (log, _) =
        Log::open(FileStorage::open(folder).expect("a folder"), LogOptions::new(7)).expect("a log");
    let log = LogHandle::start(log, FsyncPolicy::Group).expect("a thread");
    let mut batches = crossing.batches.iter().peekable();
    let mut batch = Batch::new(Epoch::ZERO);
    let mut append = |records: &[Vec<u8>]| {
        batch.clear();
        for record in records {
            batch.push(RecordKind(1), record).expect("a record fits");
        }
        let _ = log.append(&batch).expect("appended");
    };
    let mut decoder = Decoder::default();
    let mut map: BTreeMap<ItemKey, Cell> = BTreeMap::new();
    let mut tree = BucketTree::new(&TreeKey::new([7; 16]), way.config(1, kind).leaf_bits).expect("a tree");
    for frame in &crossing.frames {
        let start = Watch::start();
        let cells = decoder.decode(kind, way, frame);
        parts.decode = parts.decode + start.read();

        let start = Watch::start();
        if let Some(records) = batches.next_if(|_| !cells.is_empty()) {
            append(records);
        }
        parts.append = parts.append + start.read();

        let start = Watch::start();
        let items: Vec<_> = cells.iter().map(|(key, cell)| (hash_of(&tree, key), digest(cell))).collect();
        for (hash, digest) in items {
            tree.insert(hash, digest).expect("few keys");
        }
        parts.tree = parts.tree + start.read();

        let start = Watch::start();
        map.extend(cells);
        parts.insert = parts.insert + start.read();
    }
    let start = Watch::start();
    batches.for_each(|records| append(records));
    log.sync().expect("synced");
    parts.append = parts.append + start.read();
    log.close().expect("closed");
    let start = Watch::start();
    let root = tree.root();
    parts.tree = parts.tree + start.read();
    assert_eq!(root.count, map.len() as u64);
    parts.chain = chain(way, &crossing.frames);
    parts.index = index(&tree, &map);
    parts
}

/// What is left of a state that goes on in the next part.
#[derive(Default)]
struct Decoder {
    begun: Vec<u8>,
}

impl Decoder {
    fn decode(&mut self, kind: Kind, way: Way, frame: &[u8]) -> Vec<(ItemKey, Cell)> {
        match wire::decode(frame, &way.limits()).expect("a message") {
            Message::Run(run) => {
                let cells = run.entries.iter().map(|bytes| {
                    let entry: Entry =
                        codec::decode_payload(bytes, &crdt_core::Limits::DEFAULT).expect("an entry");
                    let cell = kind.cell_of_entry(&entry, run.origin);
                    (ItemKey { collection: entry.collection, key: entry.key }, cell)
                });
                cells.collect()
            }
            Message::Session(Session { step: SessionStep::States(part), .. }) => {
                self.cells_of_states(kind, part)
            }
            _ => Vec::new(),
        }
    }

    fn cells_of_states(&mut self, kind: Kind, part: StatesPart) -> Vec<(ItemKey, Cell)> {
        let mut cells = Vec::with_capacity(part.items.len());
        for item in part.items {
            if item.more || !self.begun.is_empty() {
                self.begun.extend_from_slice(&item.state);
            }
            if item.more {
                continue;
            }
            let state = if self.begun.is_empty() { &item.state[..] } else { &self.begun };
            let cell = kind.cell_of_state(&item.key, state);
            self.begun.clear();
            cells.push((ItemKey { collection: part.collection, key: item.key }, cell));
        }
        cells
    }
}

fn chain(way: Way, frames: &[Vec<u8>]) -> Spent {
    let mut spent = Spent::default();
    for frame in frames {
        if let Message::Run(run) = wire::decode(frame, &way.limits()).expect("a message") {
            let start = Watch::start();
            let chained = run
                .entries
                .iter()
                .fold(run.after.chain, |at, entry| at.then(run.origin, run.partition, entry));
            spent = spent + start.read();
            assert_eq!(chained, run.chain);
        }
    }
    spent
}

fn index(tree: &BucketTree, map: &BTreeMap<ItemKey, Cell>) -> Spent {
    let items: Vec<_> = map.iter().map(|(key, cell)| (hash_of(tree, key), digest(cell), key)).collect();
    let start = Watch::start();
    let mut sketch = ItemSketch::new(&TreeKey::new([7; 16]), 2_048).expect("a sketch");
    let mut keys = BTreeMap::new();
    for (hash, digest, key) in items {
        sketch.note(hash, None, Some(digest));
        keys.insert(hash, key.clone());
    }
    let _ = sketch.cells();
    start.read()
}

fn hash_of(tree: &BucketTree, key: &ItemKey) -> KeyHash {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(key.collection.as_bytes());
    bytes[8..].copy_from_slice(&key.key);
    tree.key_hash(&bytes)
}

fn digest(cell: &Cell) -> u128 {
    match cell {
        Cell::Document(document) => document.version_digest(),
        Cell::Counter(counter) => counter.version_digest(),
        Cell::Register(register) => register.version_digest(),
        _ => 0,
    }
}
