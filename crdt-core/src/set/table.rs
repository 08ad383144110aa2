//! Different elements, found by hash.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::HeapSize;
use crate::hashing::{fingerprint, hash_one};
use crate::heap::owned_by;

/// So many elements are looked through one by one: as fast as hashing, and one element needs no memory of its own.
const SCANNED: usize = 8;

/// One in so many that is missing is few enough to remember, rather than to walk the whole table again.
const FEW_OF: usize = 8;

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
        let missing = self.missing(other);
        self.reserve(missing.count);
        if let Some(few) = missing.few() {
            for &(hash, element) in few {
                added(element);
                self.add(hash, element.clone());
            }
        } else {
            for element in missing.bits.pick(other.iter()) {
                added(element);
                self.add(hash_one(element), element.clone());
            }
        }
    }

    /// The same, moving the elements.
    pub(super) fn merge_owned(&mut self, other: Self, mut added: impl FnMut(&T)) {
        if !self.seems_equal(&other) {
            let Missing { bits, count, .. } = self.missing(&other);
            self.reserve(count);
            for element in bits.pick(other.few.into_iter().chain(other.many)) {
                added(&element);
                self.add(hash_one(&element), element);
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
            let missing = other.missing(self);
            difference.reserve(missing.count);
            missing
                .bits
                .pick(self.iter())
                .for_each(|element| difference.add(hash_one(element), element.clone()));
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

    /// Which of the other's elements are not here.
    ///
    /// All are found before any is added: to fill a table in the order of another while it grows would crowd them into
    /// its lower half, over and over.
    fn missing<'a>(&self, other: &'a Self) -> Missing<'a, T> {
        let limit = SCANNED.max(other.len() / FEW_OF);
        let mut missing = Missing { few: Vec::new(), bits: Bits::of(other.len()), count: 0 };
        for (place, element) in other.iter().enumerate() {
            let hash = hash_one(element);
            if !self.has(hash, element) {
                missing.bits.set(place);
                missing.count += 1;
                if missing.few.len() < limit {
                    missing.few.push((hash, element));
                }
            }
        }
        missing
    }

    fn has(&self, hash: u64, element: &T) -> bool {
        if self.many.is_empty() {
            self.few.contains(element)
        } else {
            self.many.find(hash, |known| known == element).is_some()
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

/// Elements of one table that another lacks.
struct Missing<'a, T> {
    /// With their hashes, as long as they were few.
    few: Vec<(u64, &'a T)>,
    /// Which ones, in the order of the table.
    bits: Bits,
    count: usize,
}

impl<'a, T> Missing<'a, T> {
    /// All of them, if there are few.
    fn few(&self) -> Option<&[(u64, &'a T)]> {
        (self.few.len() == self.count).then_some(&self.few[..])
    }
}

/// Some of the places in a table: a bit for each.
struct Bits(SmallVec<[u64; 2]>);

impl Bits {
    fn of(places: usize) -> Self {
        Self(SmallVec::from_elem(0, places.div_ceil(64)))
    }

    fn set(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    /// Those of the table's items that are in these places.
    fn pick<I: Iterator>(&self, items: I) -> impl Iterator<Item = I::Item> {
        items
            .enumerate()
            .filter(|(place, _)| self.0[place / 64] >> (place % 64) & 1 == 1)
            .map(|(_, item)| item)
    }
}
