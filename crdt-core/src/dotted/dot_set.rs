//! Live dots and nothing else.

use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

use super::DotStore;
use crate::{CausalContext, Change, Dot};

/// A set of live dots: present while any dot is alive.
///
/// What it says is one bit, "some add is not yet removed", in a form that merges: the content of
/// a flag, or of one element of an add-wins set. Usually it holds a single dot, which lives
/// inline; it grows only by concurrent adds. Lookups O(log n), insertion and removal O(n), joins
/// O((n + m) log) of both sides.
///
/// ```
/// use crdt_core::dotted::DotSet;
/// use crdt_core::{Dot, ReplicaId};
///
/// let dot = Dot::new(ReplicaId::from_bytes([7; 16]), 1).unwrap();
/// let mut live = DotSet::new();
/// assert!(live.insert(dot));
/// assert!(live.contains(dot));
/// assert_eq!(live.iter().collect::<Vec<_>>(), [dot]);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct DotSet {
    /// Strictly ascending.
    dots: SmallVec<[Dot; 1]>,
}

impl DotSet {
    /// The set without dots.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no dot is alive.
    pub fn is_empty(&self) -> bool {
        self.dots.is_empty()
    }

    /// How many dots are alive.
    pub fn len(&self) -> usize {
        self.dots.len()
    }

    /// Whether this dot is alive.
    pub fn contains(&self, dot: Dot) -> bool {
        self.dots.binary_search(&dot).is_ok()
    }

    /// Adds a dot; whether it was new.
    pub fn insert(&mut self, dot: Dot) -> bool {
        let place = self.dots.binary_search(&dot);
        if let Err(index) = place {
            self.dots.insert(index, dot);
        }
        place.is_err()
    }

    /// Drops a dot; whether it was there.
    pub fn remove(&mut self, dot: Dot) -> bool {
        let place = self.dots.binary_search(&dot);
        if let Ok(index) = place {
            self.dots.remove(index);
        }
        place.is_ok()
    }

    /// Bytes on the heap, for dots beyond the one inline.
    pub(super) fn spilled_bytes(&self) -> usize {
        if self.dots.spilled() { self.dots.capacity() * size_of::<Dot>() } else { 0 }
    }

    /// The live dots, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Dot> {
        self.dots.iter().copied()
    }
}

/// `(ours ∩ theirs) ∪ (ours \ their context) ∪ (theirs \ our context)`.
impl DotStore for DotSet {
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change {
        let before = self.len();
        self.dots.retain(|dot| other.contains(*dot) || !other_context.contains(*dot));
        let mut change = Change::from(self.len() < before);
        let kept = self.len();
        // All at once: each by itself would move those behind it.
        self.dots.extend(other.iter().filter(|dot| !context.contains(*dot)));
        if self.len() > kept {
            self.dots.sort_unstable();
            self.dots.dedup();
            change |= Change::from(self.len() > kept);
        }
        change
    }

    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool {
        self.iter().all(|dot| other.contains(dot) || !other_context.contains(dot))
            && other.iter().all(|dot| context.contains(dot) || self.contains(dot))
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot)) {
        self.iter().for_each(visit);
    }

    fn unseen_by(&self, context: &CausalContext) -> Self {
        self.iter().filter(|dot| !context.contains(*dot)).collect()
    }

    /// Never: a dot without content has nothing to differ in.
    fn find_fork(&self, _: &CausalContext, _: &Self) -> Option<Dot> {
        None
    }

    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self {
        self.iter().map(rename).collect()
    }

    fn split(&self) -> Vec<(Dot, Self)> {
        self.iter().map(|dot| (dot, Self::from(dot))).collect()
    }
}

impl From<Dot> for DotSet {
    fn from(dot: Dot) -> Self {
        Self { dots: SmallVec::from_buf([dot]) }
    }
}

impl FromIterator<Dot> for DotSet {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut dots: SmallVec<[Dot; 1]> = dots.into_iter().collect();
        dots.sort_unstable();
        dots.dedup();
        Self { dots }
    }
}

impl fmt::Debug for DotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A sequence of strictly ascending dots.
#[cfg(feature = "serde")]
mod serde_impls {
    use core::fmt;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::DotSet;
    use crate::Dot;

    impl Serialize for DotSet {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.iter())
        }
    }

    impl<'de> Deserialize<'de> for DotSet {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(AscendingDots)
        }
    }

    struct AscendingDots;

    impl<'de> Visitor<'de> for AscendingDots {
        type Value = DotSet;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("strictly ascending dots")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<DotSet, A::Error> {
            let mut set = DotSet::new();
            while let Some(dot) = seq.next_element::<Dot>()? {
                if set.dots.last().is_some_and(|last| *last >= dot) {
                    return Err(A::Error::custom("dots are not strictly ascending"));
                }
                set.dots.push(dot);
            }
            Ok(set)
        }
    }
}
