//! How the versions of a tree lie in memory.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::slice;

use super::version::Version;

/// The versions of a tree. A document of one version, as most are, is held in place, whatever else
/// costs one pointer.
#[derive(Clone)]
pub(super) enum Held<V> {
    /// One leaf and nothing else.
    Leaf(Version<V>),
    /// Anything else; `None` is nothing at all.
    Branches(Option<Box<Branches<V>>>),
}

/// Leaves and all that lies below them, apart.
#[derive(Clone)]
pub(super) struct Branches<V> {
    /// Versions with content that no known version with content was written on, directly or over
    /// stubs; ascending by id.
    pub(super) leaves: Vec<Version<V>>,
    /// All other known versions, stubs among them; ascending by id.
    pub(super) ancestors: Vec<Version<V>>,
}

impl<V> Default for Branches<V> {
    fn default() -> Self {
        Self { leaves: Vec::new(), ancestors: Vec::new() }
    }
}

impl<V> Held<V> {
    pub(super) const NOTHING: Self = Self::Branches(None);

    pub(super) fn leaves(&self) -> &[Version<V>] {
        match self {
            Self::Leaf(leaf) => slice::from_ref(leaf),
            Self::Branches(branches) => branches.as_ref().map_or(&[], |branches| &branches.leaves),
        }
    }

    pub(super) fn ancestors(&self) -> &[Version<V>] {
        match self {
            Self::Leaf(_) | Self::Branches(None) => &[],
            Self::Branches(Some(branches)) => &branches.ancestors,
        }
    }

    /// Lets `change` change leaves and ancestors, whose order it keeps. O(1) beside that.
    pub(super) fn edit<R>(&mut self, change: impl FnOnce(&mut Branches<V>) -> R) -> R {
        let mut branches = match mem::replace(self, Self::NOTHING) {
            Self::Branches(branches) => branches.unwrap_or_default(),
            leaf @ Self::Leaf(_) => Box::new(leaf.into()),
        };
        let outcome = change(&mut branches);
        *self = match (&*branches.leaves, &*branches.ancestors) {
            ([_], []) => branches.leaves.pop().map_or(Self::NOTHING, Self::Leaf),
            _ => Self::Branches(Some(branches)),
        };
        outcome
    }
}

impl<V> From<Held<V>> for Branches<V> {
    fn from(held: Held<V>) -> Self {
        match held {
            Held::Leaf(leaf) => Self { leaves: Vec::from([leaf]), ancestors: Vec::new() },
            Held::Branches(branches) => branches.map(|branches| *branches).unwrap_or_default(),
        }
    }
}

impl<V> From<Branches<V>> for Held<V> {
    fn from(branches: Branches<V>) -> Self {
        let mut held = Self::NOTHING;
        held.edit(|nothing| *nothing = branches);
        held
    }
}

/// The same versions, wherever they lie.
impl<V: PartialEq> PartialEq for Held<V> {
    fn eq(&self, other: &Self) -> bool {
        self.leaves() == other.leaves() && self.ancestors() == other.ancestors()
    }
}

impl<V: Eq> Eq for Held<V> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_one_version_is_four_words() {
        assert_eq!(size_of::<Held<Vec<u8>>>(), 4 * size_of::<u64>());
    }
}
