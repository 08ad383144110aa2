//! What the owner of the data tells a session about it.

use super::prefix::Prefix;
use super::prf::KeyHash;

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
}

impl<S: ItemSource + ?Sized> ItemSource for &S {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        (**self).for_each_in(part, f);
    }
}
