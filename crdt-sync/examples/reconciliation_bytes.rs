//! What finding the differences of two replicas with a million items costs in bytes and messages, by
//! the tree alone and by the way that the sessions choose.
//!
//! `cargo run --release -p crdt-sync --example reconciliation_bytes`

#![expect(clippy::print_stdout, reason = "the figures are for reading")]

use std::collections::BTreeMap;

use crdt_sync::merkle::{
    BucketTree, Item, ItemSketch, ItemSource, KeyHash, Limits, Outcome, Prefix, ProtocolError, Session,
    TreeError, TreeKey,
};
use crdt_sync::sketch::Cell;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

const ITEMS: u64 = 1_000_000;
const SEEDS: u32 = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tree_only = Limits { max_sketch_cells: 0, ..Limits::default() };
    println!("way   differing  mean bytes  most bytes  messages");
    for differing in [0, 1, 100, 10_000] {
        let mut pair = Pair::new(differing)?;
        for (way, limits) in [("tree", tree_only), ("free", Limits::default())] {
            let (mut sum, mut most, mut messages) = (0, 0, 0);
            for seed in 0..SEEDS {
                let cost = pair.compare(seed, limits)?;
                sum += cost.bytes;
                most = most.max(cost.bytes);
                messages = messages.max(cost.messages);
            }
            let mean = sum / SEEDS as usize;
            println!("{way}  {differing:>9}  {mean:>10}  {most:>10}  {messages:>8}");
        }
    }
    Ok(())
}

struct Replica {
    tree: BucketTree,
    sketch: ItemSketch,
    cells: Vec<Cell>,
    items: BTreeMap<KeyHash, Item>,
}

impl Replica {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let tree = BucketTree::new(&TreeKey::new([7; 16]), BucketTree::leaf_bits_for(ITEMS))?;
        let sketch = ItemSketch::new(&TreeKey::new([7; 16]), 1 << 14)?;
        Ok(Self { tree, sketch, cells: Vec::new(), items: BTreeMap::new() })
    }

    fn insert(&mut self, handle: u64, key: &[u8], version: u128) -> Result<(), TreeError> {
        let key_hash = self.tree.key_hash(key);
        self.tree.insert(key_hash, version)?;
        self.sketch.note(key_hash, None, Some(version));
        self.items.insert(key_hash, Item { handle, key_hash, version });
        Ok(())
    }
}

impl ItemSource for Replica {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        self.items.range(part.start()..=part.end()).for_each(|(_, item)| f(*item));
    }

    fn sketch(&self) -> Option<&[Cell]> {
        Some(&self.cells)
    }
}

/// Two replicas; of the differing keys half are changed and a quarter is missing on each side.
struct Pair {
    here: Replica,
    there: Replica,
    /// How many items each side has to send.
    to_send: [usize; 2],
}

struct Cost {
    bytes: usize,
    messages: usize,
}

impl Pair {
    fn new(differing: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let (mut here, mut there) = (Replica::new()?, Replica::new()?);
        let mut random = ChaCha8Rng::seed_from_u64(differing);
        let mut to_send = [0, 0];
        for handle in 0..ITEMS {
            let mut key = [0; 16];
            random.fill_bytes(&mut key);
            let fate = (handle < differing).then_some(handle % 4);
            if fate != Some(1) {
                here.insert(handle, &key, 1)?;
                to_send[0] += usize::from(fate.is_some());
            }
            if fate != Some(3) {
                there.insert(handle, &key, if matches!(fate, Some(0 | 2)) { 2 } else { 1 })?;
                to_send[1] += usize::from(fate.is_some());
            }
        }
        for side in [&mut here, &mut there] {
            side.cells = side.sketch.cells().to_vec();
        }
        Ok(Self { here, there, to_send })
    }

    fn compare(&mut self, seed: u32, limits: Limits) -> Result<Cost, ProtocolError> {
        let [one, other] = [2 * seed, 2 * seed + 1].map(|nonce| u128::from(nonce).to_le_bytes());
        let mut initiator = Session::initiate(self.here.tree.snapshot(), one, limits);
        let mut acceptor = Session::accept(self.there.tree.snapshot(), other, limits);
        let mut frames = Vec::new();
        loop {
            if let Some(frame) = initiator.poll_frame() {
                acceptor.handle(&frame, &self.there)?;
                frames.push((0, frame.len()));
            } else if let Some(frame) = acceptor.poll_frame() {
                initiator.handle(&frame, &self.here)?;
                frames.push((1, frame.len()));
            } else {
                break;
            }
        }
        for (side, to_send) in [&initiator, &acceptor].into_iter().zip(self.to_send) {
            let found = match side.outcome() {
                Some(Outcome::Differs(difference)) => difference.send.len(),
                Some(Outcome::SendAll) => to_send,
                Some(Outcome::Converged) | None => 0,
            };
            if found != to_send {
                println!("a session found {found} of {to_send} items to send:\n{}", side.trace());
            }
        }
        let bytes = frames.iter().map(|(_, bytes)| bytes).sum();
        Ok(Cost { bytes, messages: frames.chunk_by(|a, b| a.0 == b.0).count() })
    }
}
