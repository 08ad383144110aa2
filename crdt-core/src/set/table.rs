//! Different elements, found by hash.

#[cfg(feature = "serde")]
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use smallvec::SmallVec;

use crate::HeapSize;
use crate::hashing::{fingerprint, hash_one};
use crate::heap::owned_by;

/// So many elements are looked through one by one: as fast as hashing, and one element needs no memory of its own.
const SCANNED: usize = 8;

/// One in so many elements is looked at to guess how many are new.
const SAMPLED_OF: usize = 32;

/// More elements than these tell no more.
const MAX_SAMPLE: usize = 1_024;

/// Nothing but its hash tells an element apart.
const SALT: u64 = 0;

/// A set that keeps its elements in the table itself.
///
/// All tables of the process hash alike, so a walk over one of two finds its way through the other from the beginning
/// to the end: merging large sets reads memory forwards, which is most of its speed. A list of the elements beside the
/// table would keep the order of their arrival, and was tried: it costs a cache miss on either side for nearly every
/// element.
#[derive(Clone)]
pub(super) struct Table<T> {
    /// All elements while there are at most [`SCANNED`].
    few: SmallVec<[T; 1]>,
    /// All elements once there are more.
    many: HashTable<T>,
    /// The sum of what the elements add to it.
    fingerprint: u128,
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self { few: SmallVec::new(), many: HashTable::new(), fingerprint: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.few.len() + self.many.len()
    }

    /// The elements in an order that differs from process to process and must not show.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.few.iter().chain(&self.many)
    }

    pub(super) fn heap_size(&self) -> usize
    where
        T: HeapSize,
    {
        let few = if self.few.spilled() { self.few.capacity() * size_of::<T>() } else { 0 };
        few + self.many.allocation_size() + owned_by(self.iter())
    }

    /// Whether count and fingerprint are the same. If not, the elements differ; if so, they do with a probability of
    /// about 2⁻⁶⁴.
    pub(super) fn seems_equal(&self, other: &Self) -> bool {
        self.len() == other.len() && self.fingerprint == other.fingerprint
    }
}

impl<T: Eq + Hash> Table<T> {
    pub(super) fn contains<Q: Eq + Hash + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        // Few elements are not worth a hash.
        if self.many.is_empty() {
            self.few.iter().any(|known| known.borrow() == element)
        } else {
            self.many.find(hash_one(element), |known| known.borrow() == element).is_some()
        }
    }

    /// Adds an element unless it is there; whether it was not.
    pub(super) fn insert(&mut self, element: T) -> bool {
        let hash = hash_one(&element);
        let new = !self.has(hash, &element);
        if new {
            self.add(hash, element);
        }
        new
    }

    /// Adds what is missing, and tells of each. O(1) when the two seem equal, else O(m) expected.
    pub(super) fn merge(&mut self, other: &Self, mut added: impl FnMut(&T))
    where
        T: Clone,
    {
        if self.seems_equal(other) {
            return;
        }
        if self.len() == 0 {
            other.iter().for_each(added);
            self.clone_from(other);
            return;
        }
        self.reserve(self.lacking(other));
        for element in other.iter() {
            self.add_if_new(element, |new| {
                added(new);
                new.clone()
            });
        }
    }

    /// The same, moving the elements.
    pub(super) fn merge_owned(&mut self, other: Self, mut added: impl FnMut(&T)) {
        if !self.seems_equal(&other) {
            self.reserve(self.lacking(&other));
            for element in other.few.into_iter().chain(other.many) {
                self.add_if_new(element, |new| {
                    added(&new);
                    new
                });
            }
        }
    }

    /// What the other lacks.
    pub(super) fn difference(&self, other: &Self) -> Self
    where
        T: Clone,
    {
        let mut difference = Self::new();
        if !self.seems_equal(other) {
            difference.reserve(other.lacking(self));
            for element in self.iter() {
                let hash = hash_one(element);
                if !other.has(hash, element) {
                    difference.add(hash, element.clone());
                }
            }
        }
        difference
    }

    /// Whether the other has all of these elements, for certain.
    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.len() <= other.len() && self.iter().all(|element| other.has(hash_one(element), element))
    }

    /// Elements that are known to be different: what is read from an encoding.
    #[cfg(feature = "serde")]
    pub(super) fn from_different(elements: Vec<T>) -> Self {
        let mut table = Self::new();
        table.reserve(elements.len());
        for element in elements {
            table.add(hash_one(&element), element);
        }
        table
    }

    /// Whether fingerprint and table agree with the elements.
    pub(super) fn is_sound(&self) -> bool {
        let parts = self.iter().map(|element| fingerprint(hash_one(element), SALT));
        self.fingerprint == parts.fold(0, u128::wrapping_add)
            && self.iter().all(|element| self.contains(element))
    }

    /// About how many of the other's elements are not here, judged by those that come first.
    ///
    /// Room for them is made beforehand. To fill a table in the order of another while it grows would crowd all of
    /// them into its lower half, over and over; what is missing here and there does no such harm, so that a guess
    /// will do.
    fn lacking(&self, other: &Self) -> usize {
        let sample = (other.len() / SAMPLED_OF).clamp(1, MAX_SAMPLE);
        let missing = other.iter().take(sample).filter(|element| !self.has(hash_one(*element), element));
        missing.count() * (other.len() / sample)
    }

    fn has(&self, hash: u64, element: &T) -> bool {
        if self.many.is_empty() {
            self.few.contains(element)
        } else {
            self.many.find(hash, |known| known == element).is_some()
        }
    }

    /// Adds what `owned` makes of an element, unless that is there.
    fn add_if_new<Q: Borrow<T>>(&mut self, element: Q, owned: impl FnOnce(Q) -> T) {
        let hash = hash_one(element.borrow());
        if self.many.is_empty() {
            if !self.few.contains(element.borrow()) {
                self.add(hash, owned(element));
            }
        } else if let Entry::Vacant(place) =
            self.many.entry(hash, |known| known == element.borrow(), hash_one)
        {
            place.insert(owned(element));
            self.fingerprint = self.fingerprint.wrapping_add(fingerprint(hash, SALT));
        }
    }

    /// Adds an element that is not there.
    fn add(&mut self, hash: u64, element: T) {
        self.fingerprint = self.fingerprint.wrapping_add(fingerprint(hash, SALT));
        if self.many.is_empty() && self.few.len() < SCANNED {
            self.few.push(element);
        } else {
            self.reserve(1);
            self.many.insert_unique(hash, element, hash_one);
        }
    }

    /// Makes room, and moves into the table what will no longer be few.
    fn reserve(&mut self, additional: usize) {
        if self.len() + additional > SCANNED {
            self.many.reserve(self.few.len() + additional, hash_one);
            for element in self.few.drain(..) {
                self.many.insert_unique(hash_one(&element), element, hash_one);
            }
        }
    }
}
