//! What a remove-wins set knows of one element.

use alloc::vec::Vec;

use crate::dotted::{DotSet, DotStore, StoreDigest};
use crate::{CausalContext, Change, Dot, FingerprintWriter, HeapSize};

/// The live adds and the live removals of one element of a [`RwSet`](super::RwSet).
///
/// Two dot sets side by side. A map from a `bool` to dot sets would do the same with an allocation for every
/// element; this way the usual single dot lives inline.
///
/// ```
/// use crdt_core::set::RwMarks;
/// use crdt_core::{RwSet, ReplicaId, Writer};
///
/// let ann = Writer::unchecked(ReplicaId::from_u128(1));
/// let mut guests = RwSet::default();
/// guests.add(ann, "eve")?;
/// assert!(guests.marks("eve").is_some_and(RwMarks::is_present));
/// guests.remove(ann, "eve")?;
/// assert_eq!(guests.marks("eve").map(|marks| marks.removals().len()), Some(1));
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct RwMarks {
    adds: DotSet,
    /// Has no dot in common with `adds`.
    removals: DotSet,
}

impl RwMarks {
    /// The adds that nothing seen here has replaced.
    pub const fn adds(&self) -> &DotSet {
        &self.adds
    }

    /// The removals that nothing seen here has replaced.
    pub const fn removals(&self) -> &DotSet {
        &self.removals
    }

    /// Whether the element is in the set: it was added, and no removal is concurrent to that.
    pub fn is_present(&self) -> bool {
        self.removals.is_empty() && !self.adds.is_empty()
    }

    pub(super) fn new(dot: Dot, added: bool) -> Self {
        let mut marks = Self::default();
        marks.insert(dot, added);
        marks
    }

    pub(super) fn insert(&mut self, dot: Dot, added: bool) {
        if added {
            self.adds.insert(dot);
        } else {
            self.removals.insert(dot);
        }
    }

    /// Every dot with whether it stands for an add, adds first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Dot, bool)> {
        self.adds.iter().map(|dot| (dot, true)).chain(self.removals.iter().map(|dot| (dot, false)))
    }
}

/// Adds and removals each by themselves; a dot that is one here and the other there is a fork.
impl DotStore for RwMarks {
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change {
        self.adds.join(context, &other.adds, other_context)
            | self.removals.join(context, &other.removals, other_context)
    }

    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool {
        self.adds.absorbs(context, &other.adds, other_context)
            && self.removals.absorbs(context, &other.removals, other_context)
    }

    fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.removals.is_empty()
    }

    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot)) {
        self.iter().for_each(|(dot, _)| visit(dot));
    }

    fn unseen_by(&self, context: &CausalContext) -> Self {
        Self { adds: self.adds.unseen_by(context), removals: self.removals.unseen_by(context) }
    }

    fn find_fork(&self, _: &CausalContext, other: &Self) -> Option<Dot> {
        let added_here = self.adds.iter().find(|dot| other.removals.contains(*dot));
        added_here.or_else(|| self.removals.iter().find(|dot| other.adds.contains(*dot)))
    }

    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self {
        Self { adds: self.adds.renamed(rename), removals: self.removals.renamed(rename) }
    }

    fn split(&self) -> Vec<(Dot, Self)> {
        self.iter().map(|(dot, added)| (dot, Self::new(dot, added))).collect()
    }
}

/// Dots are filed under whether they are adds.
impl StoreDigest for RwMarks {
    fn digest_parts(&self, path: &FingerprintWriter) -> u128 {
        let under = |added: bool, dots: &DotSet| {
            let mut inner = path.clone();
            inner.write(&added);
            dots.digest_parts(&inner)
        };
        under(true, &self.adds).wrapping_add(under(false, &self.removals))
    }
}

impl HeapSize for RwMarks {
    fn heap_size(&self) -> usize {
        self.adds.heap_size() + self.removals.heap_size()
    }
}
