//! A sketch of a tree's items that is kept up from one session to the next.

use alloc::vec::Vec;
use core::fmt;

use super::prf::{KeyHash, Symbols, TreeKey, TreePrf};
use crate::sketch::{Cell, Sketch, SketchError};

/// How many changes may wait to be applied.
const NOTED: usize = 256;

/// The sketch of all items of a [`BucketTree`](super::BucketTree), for
/// [`ItemSource::sketch`](super::ItemSource::sketch).
///
/// It serves every peer and every session, under a salt that follows from the cluster's key. A write
/// is only noted; the cells are brought up to date when they are asked for, or when many writes wait.
///
/// Two versions of an item whose weights agree by chance (2^-32) stay hidden from it until either
/// changes again. The session's roots still differ then, and when all else is repaired the sketch
/// shows nothing, so the session goes by the tree.
///
/// ```
/// use crdt_sync::merkle::{BucketTree, ItemSketch, TreeKey};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = TreeKey::new([7; 16]);
/// let mut tree = BucketTree::new(&key, 16)?;
/// let mut sketch = ItemSketch::new(&key, 256)?; // for about 170 differences
///
/// let milk = tree.key_hash(b"milk");
/// tree.insert(milk, 1)?;
/// sketch.note(milk, None, Some(1));
/// tree.replace(milk, 1, 2)?;
/// sketch.note(milk, Some(1), Some(2));
/// let photograph = (tree.snapshot(), sketch.cells().to_vec());
/// # let _ = photograph;
/// # Ok(()) }
/// ```
pub struct ItemSketch {
    symbols: Symbols,
    sketch: Sketch,
    noted: Vec<Change>,
}

struct Change {
    key_hash: KeyHash,
    old: Option<u128>,
    new: Option<u128>,
}

impl ItemSketch {
    /// The sketch of no items. It takes about 1.4 cells of 12 bytes per difference; a session that
    /// needs more of them goes by the tree. Fails above [`MAX_CELLS`](crate::sketch::MAX_CELLS).
    pub fn new(key: &TreeKey, cells: usize) -> Result<Self, SketchError> {
        let symbols = TreePrf::new(key).symbols().clone();
        Ok(Self { sketch: Sketch::new(symbols.salt(), cells)?, symbols, noted: Vec::new() })
    }

    /// Notes that an item changed: `None` stands for an item that is not there. O(1), and O(log
    /// cells) later.
    pub fn note(&mut self, key_hash: KeyHash, old: Option<u128>, new: Option<u128>) {
        self.noted.push(Change { key_hash, old, new });
        if self.noted.len() >= NOTED {
            self.apply();
        }
    }

    /// The cells of the items as they are now. O(noted changes x log cells).
    pub fn cells(&mut self) -> &[Cell] {
        self.apply();
        self.sketch.cells()
    }

    fn apply(&mut self) {
        for Change { key_hash, old, new } in self.noted.drain(..) {
            let [old, new] = [old, new].map(|version| Some(self.symbols.symbol(key_hash, version?)));
            let Some(id) = new.or(old).map(|symbol| symbol.id) else { continue };
            self.sketch.replace(id, old.map(|symbol| symbol.weight), new.map(|symbol| symbol.weight));
        }
    }
}

impl fmt::Debug for ItemSketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemSketch")
            .field("cells", &self.sketch.cells().len())
            .field("noted", &self.noted.len())
            .finish_non_exhaustive()
    }
}
