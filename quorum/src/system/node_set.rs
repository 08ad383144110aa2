//! Sets of nodes, in one machine word or two.

use core::fmt;

/// A quorum system has at most so many nodes.
pub const MAX_NODES: usize = 128;

/// A set of nodes of one quorum system, each known by its place in the system's sorted list of nodes.
///
/// A bit per node: union, intersection and counting are single instructions, and nothing is allocated.
///
/// ```
/// use quorum::NodeSet;
///
/// let mut set: NodeSet = [0, 2, 5].into_iter().collect();
/// assert_eq!(set.len(), 3);
/// set.remove(2);
/// assert_eq!(set.iter().collect::<Vec<_>>(), [0, 5]);
/// assert!(set.is_disjoint(NodeSet::first(0).with(1)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeSet(u128);

impl NodeSet {
    /// No node.
    pub const EMPTY: Self = Self(0);

    /// The nodes at the first `count` places; all there can be if that is more than [`MAX_NODES`].
    pub const fn first(count: usize) -> Self {
        if count >= MAX_NODES { Self(u128::MAX) } else { Self((1 << count) - 1) }
    }

    /// The set with the node at `place`, too. Places from [`MAX_NODES`] on do not exist and change nothing.
    #[must_use]
    pub const fn with(self, place: usize) -> Self {
        if place < MAX_NODES { Self(self.0 | 1 << place) } else { self }
    }

    /// The set without the node at `place`.
    #[must_use]
    pub const fn without(self, place: usize) -> Self {
        if place < MAX_NODES { Self(self.0 & !(1 << place)) } else { self }
    }

    /// Adds the node at `place`.
    pub const fn insert(&mut self, place: usize) {
        *self = self.with(place);
    }

    /// Takes the node at `place` out.
    pub const fn remove(&mut self, place: usize) {
        *self = self.without(place);
    }

    /// Whether the node at `place` is in the set.
    pub const fn contains(self, place: usize) -> bool {
        place < MAX_NODES && self.0 >> place & 1 == 1
    }

    /// How many nodes are in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether no node is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The nodes of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The nodes of both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The nodes of this one that the other lacks.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the other has all of these nodes.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the two have no node in common.
    pub const fn is_disjoint(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }

    /// A bit for each place.
    pub(crate) const fn bits(self) -> u128 {
        self.0
    }

    /// The places of the nodes, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> + Clone {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            (rest != 0).then(|| {
                let place = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                place
            })
        })
    }
}

impl FromIterator<usize> for NodeSet {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        places.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
