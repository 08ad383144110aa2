//! A value under each live dot.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::DotStore;
use crate::{CausalContext, Change, Dot};

/// A value under each live dot: one per write that no other write has yet replaced.
///
/// Two live dots are two concurrent writes, and both values are kept. A dot names one write, so
/// the value under it never changes: joining keeps what is there. Input from replicas that are
/// not trusted to keep this rule is checked first, with [`find_fork`](DotStore::find_fork).
///
/// Lookups and single updates O(log n), joins O(n + m log n) context lookups.
///
/// ```
/// use crdt_core::dotted::DotFun;
/// use crdt_core::{Dot, ReplicaId};
///
/// let dot = Dot::new(ReplicaId::from_bytes([7; 16]), 1).unwrap();
/// let mut values = DotFun::new();
/// assert!(values.insert(dot, "draft"));
/// assert!(!values.insert(dot, "final"), "a dot keeps its value; a new value takes a new dot");
/// assert_eq!(values.get(dot), Some(&"draft"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "V: serde::Serialize", deserialize = "V: serde::Deserialize<'de>"))
)]
pub struct DotFun<V> {
    #[cfg_attr(feature = "serde", serde(with = "super::ascending"))]
    values: BTreeMap<Dot, V>,
}

impl<V> DotFun<V> {
    /// The store without values.
    pub const fn new() -> Self {
        Self { values: BTreeMap::new() }
    }

    /// Whether no dot is alive.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many dots are alive.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The value this dot brought, if it is alive.
    pub fn get(&self, dot: Dot) -> Option<&V> {
        self.values.get(&dot)
    }

    /// Files a value under a new dot. `false`, and no change, when the dot has a value already.
    pub fn insert(&mut self, dot: Dot, value: V) -> bool {
        let vacant = !self.values.contains_key(&dot);
        if vacant {
            self.values.insert(dot, value);
        }
        vacant
    }

    /// Drops a dot and hands back its value.
    pub fn remove(&mut self, dot: Dot) -> Option<V> {
        self.values.remove(&dot)
    }

    /// Live dots and their values, ascending by dot.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Dot, &V)> {
        self.values.iter().map(|(dot, value)| (*dot, value))
    }
}

/// As for [`DotSet`](super::DotSet), each dot carrying its value along.
impl<V: Clone + Eq> DotStore for DotFun<V> {
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change {
        let before = self.len();
        self.values.retain(|dot, _| other.values.contains_key(dot) || !other_context.contains(*dot));
        let mut change = Change::from(self.len() < before);
        for (dot, value) in other.iter().filter(|(dot, _)| !context.contains(*dot)) {
            change |= Change::from(self.insert(dot, value.clone()));
        }
        change
    }

    /// Other than `join`, this tells different values under one dot apart: such states do not
    /// absorb each other.
    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool {
        let keeps = |(dot, ours): (Dot, &V)| match other.get(dot) {
            Some(theirs) => ours == theirs,
            None => !other_context.contains(dot),
        };
        self.iter().all(keeps)
            && other.iter().all(|(dot, _)| context.contains(dot) || self.values.contains_key(&dot))
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot)) {
        self.values.keys().copied().for_each(visit);
    }

    fn unseen_by(&self, context: &CausalContext) -> Self {
        let unseen = self.iter().filter(|(dot, _)| !context.contains(*dot));
        unseen.map(|(dot, value)| (dot, value.clone())).collect()
    }

    /// Different values under one dot. O(n + m).
    fn find_fork(&self, _: &CausalContext, other: &Self) -> Option<Dot> {
        let mut theirs = other.iter().peekable();
        self.iter().find_map(|(dot, ours)| {
            while theirs.next_if(|(other, _)| *other < dot).is_some() {}
            let (_, same) = theirs.next_if(|(other, _)| *other == dot)?;
            (ours != same).then_some(dot)
        })
    }

    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self {
        self.iter().map(|(dot, value)| (rename(dot), value.clone())).collect()
    }

    fn split(&self) -> Vec<(Dot, Self)> {
        self.iter().map(|(dot, value)| (dot, [(dot, value.clone())].into_iter().collect())).collect()
    }
}

impl<V> Default for DotFun<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// The first value given for a dot stays.
impl<V> FromIterator<(Dot, V)> for DotFun<V> {
    fn from_iter<I: IntoIterator<Item = (Dot, V)>>(values: I) -> Self {
        let mut fun = Self::new();
        for (dot, value) in values {
            fun.insert(dot, value);
        }
        fun
    }
}

impl<V: fmt::Debug> fmt::Debug for DotFun<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
