//! What a node that receives cannot do without, each part by itself and over the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use crdt_core::{VersionDigest, codec};
use crdt_sync::merkle::{BucketTree, ItemSketch, KeyHash, TreeKey};
use crdt_sync::wire::{self, Message, SessionStep};
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

/// Does the parts of receiving what crossed.
///
/// # Panics
///
/// When anything fails.
pub fn measure(kind: Kind, way: Way, crossing: &Crossing, folder: &Path) -> Parts {
    let mut parts = Parts::default();
    let start = Watch::start();
    let cells = decode(kind, way, &crossing.frames);
    parts.decode = start.read();
    parts.chain = chain(way, &crossing.frames);

    let (log, _) =
        Log::open(FileStorage::open(folder).expect("a folder"), LogOptions::new(7)).expect("a log");
    let log = LogHandle::start(log, FsyncPolicy::Group).expect("a thread");
    let start = Watch::start();
    let mut batch = Batch::new(Epoch::ZERO);
    for records in &crossing.batches {
        batch.clear();
        for record in records {
            batch.push(RecordKind(1), record).expect("a record fits");
        }
        let _ = log.append(&batch).expect("appended");
    }
    log.sync().expect("synced");
    parts.append = start.read();
    log.close().expect("closed");

    let start = Watch::start();
    let mut map: BTreeMap<ItemKey, Cell> = BTreeMap::new();
    for (key, cell) in cells {
        map.insert(key, cell);
    }
    parts.insert = start.read();

    let start = Watch::start();
    let mut tree = BucketTree::new(&TreeKey::new([7; 16]), way.config(1, kind).leaf_bits).expect("a tree");
    let mut hashes = Vec::with_capacity(map.len());
    for (key, cell) in &map {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(key.collection.as_bytes());
        bytes[8..].copy_from_slice(&key.key);
        let (hash, digest) = (tree.key_hash(&bytes), digest(cell));
        tree.insert(hash, digest).expect("few keys");
        hashes.push((hash, digest));
    }
    let root = tree.root();
    parts.tree = start.read();
    assert_eq!(root.count, map.len() as u64);
    parts.index = index(&hashes, &map);
    parts
}

fn decode(kind: Kind, way: Way, frames: &[Vec<u8>]) -> Vec<(ItemKey, Cell)> {
    let (limits, codec_limits) = (way.limits(), crdt_core::Limits::DEFAULT);
    let mut cells = Vec::new();
    // A state that goes on in the next part.
    let mut begun = Vec::new();
    for frame in frames {
        match wire::decode(frame, &limits).expect("a message") {
            Message::Run(run) => cells.extend(run.entries.iter().map(|bytes| {
                let entry: Entry = codec::decode_payload(bytes, &codec_limits).expect("an entry");
                let cell = kind.cell_of_entry(&entry, run.origin);
                (ItemKey { collection: entry.collection, key: entry.key }, cell)
            })),
            Message::Session(session) => {
                if let SessionStep::States(part) = session.step {
                    for item in part.items {
                        if item.more || !begun.is_empty() {
                            begun.extend_from_slice(&item.state);
                        }
                        if item.more {
                            continue;
                        }
                        let state = if begun.is_empty() { &item.state[..] } else { &begun };
                        let cell = kind.cell_of_state(&item.key, state);
                        begun.clear();
                        cells.push((ItemKey { collection: part.collection, key: item.key }, cell));
                    }
                }
            }
            _ => {}
        }
    }
    cells
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

fn index(hashes: &[(KeyHash, u128)], map: &BTreeMap<ItemKey, Cell>) -> Spent {
    let start = Watch::start();
    let mut sketch = ItemSketch::new(&TreeKey::new([7; 16]), 2_048).expect("a sketch");
    let mut keys = BTreeMap::new();
    for ((hash, digest), key) in hashes.iter().zip(map.keys()) {
        sketch.note(*hash, None, Some(*digest));
        keys.insert(*hash, key.clone());
    }
    let _ = sketch.cells();
    start.read()
}

fn digest(cell: &Cell) -> u128 {
    match cell {
        Cell::Document(document) => document.version_digest(),
        Cell::Counter(counter) => counter.version_digest(),
        Cell::Register(register) => register.version_digest(),
        _ => 0,
    }
}
