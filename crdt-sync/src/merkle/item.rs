//! What the owner of the data tells a session about it.

use super::prefix::Prefix;
use super::prf::KeyHash;
use crate::sketch::Cell;

/// One item as its owner knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item {
    /// The owner's own name for the item (a slot, a row number); it never leaves this side.
    pub handle: u64,
    /// The keyed hash of the item's key.
    pub key_hash: KeyHash,
    /// The version that was inserted into the tree.
    pub version: u128,
}

/// The items behind a tree.
///
/// A session asks for small parts of the tree, so a source should be ordered by key hash. Its items
/// should be those of the session's snapshot; where they are newer, the session reports what is
/// newer too, and nothing worse.
pub trait ItemSource {
    /// Calls `f` with every item whose key hash lies in `part`, in any order.
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item));

    /// The cells of an [`ItemSketch`](super::ItemSketch) of all items of the tree, if one is kept up.
    ///
    /// Without it a session goes by sketch only between small trees, since making one hashes every
    /// item. Like the items, the cells should be those of the session's snapshot; where they are
    /// newer, the session reports what is newer too, and that it is not sure to have found all.
    fn sketch(&self) -> Option<&[Cell]> {
        None
    }

    /// Calls `f` with every item of the tree that a peer with this horizon has dropped already:
    /// tombstones and expired items from before it, in any order. Returns whether this side can tell
    /// them; if not, `f` was not called, and replicas with different horizons cannot be compared.
    ///
    /// A horizon is any growing number that all replicas agree on, such as the causally stable time.
    fn for_each_below(&self, horizon: u64, f: &mut dyn FnMut(Item)) -> bool {
        let _ = (horizon, f);
        false
    }
}

impl<S: ItemSource + ?Sized> ItemSource for &S {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        (**self).for_each_in(part, f);
    }

    fn sketch(&self) -> Option<&[Cell]> {
        (**self).sketch()
    }

    fn for_each_below(&self, horizon: u64, f: &mut dyn FnMut(Item)) -> bool {
        (**self).for_each_below(horizon, f)
    }
}
