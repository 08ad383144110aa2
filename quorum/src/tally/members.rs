//! Distinct nodes, each in its place.

use smallvec::SmallVec;

/// More replicas than this per key are rare enough to pay for an allocation.
pub(super) const INLINE_NODES: usize = 16;

/// One value for each member, by its place.
pub(super) type PerMember<T> = SmallVec<[T; INLINE_NODES]>;

/// Nodes in ascending order, each once. What is known of them is kept beside them, at the same places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Members<N>(PerMember<N>);

impl<N: Ord + Copy> Members<N> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = N> + '_ {
        self.0.iter().copied()
    }

    /// Where `node` is.
    ///
    /// Few members are all compared, the right one or not: who answers next is not to be guessed, and a loop that
    /// ends at a hit is guessed wrong each time. One of 9 members is found so in 4 ns, by halving in 4 ns and by a
    /// loop with an exit in 12 ns; if names are 16 bytes, in 6, 22 to 28 and 14 ns.
    pub(super) fn place(&self, node: N) -> Option<usize> {
        if self.0.len() > INLINE_NODES {
            return self.0.binary_search(&node).ok();
        }
        let nowhere = self.0.len();
        let mut found = nowhere;
        for (place, member) in self.0.iter().enumerate() {
            if *member == node {
                found = place;
            }
        }
        (found < nowhere).then_some(found)
    }

    /// Adds `node` and says at which place what is known of it is to be inserted. `None` if it is a member already.
    pub(super) fn insert(&mut self, node: N) -> Option<usize> {
        let place = self.0.binary_search(&node).err()?;
        self.0.insert(place, node);
        Some(place)
    }

    #[cfg(test)]
    pub(super) fn spilled(&self) -> bool {
        self.0.spilled()
    }
}

/// O(n log n), O(n) if they come in order. A node named twice is one member.
impl<N: Ord + Copy> FromIterator<N> for Members<N> {
    fn from_iter<I: IntoIterator<Item = N>>(nodes: I) -> Self {
        let mut members: PerMember<N> = nodes.into_iter().collect();
        if !members.is_sorted_by(|a, b| a < b) {
            members.sort_unstable();
            members.dedup();
        }
        Self(members)
    }
}
