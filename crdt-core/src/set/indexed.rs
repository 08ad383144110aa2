//! A list of different elements that knows where each of them is.

use core::borrow::Borrow;
use core::hash::Hash;

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::HeapSize;
use crate::hashing::{fingerprint, hash_one};

/// Lists up to this long are looked through: as fast as hashing, and without a table there is nothing to allocate.
const SCANNED: usize = 8;

/// How many elements have places. Tests go beyond.
const PLACES: usize = if cfg!(test) { 300 } else { u32::MAX as usize };

/// Nothing but its hash tells an element apart.
const SALT: u64 = 0;

/// Different elements in the order they came, the first one inline.
#[derive(Clone)]
pub(super) struct Indexed<T> {
    elements: SmallVec<[T; 1]>,
    /// Where the first `places.len()` elements are, by hash; the rest is looked through.
    ///
    /// In a short list the rest is everything. In a longer one there is none, until there are more elements than
    /// places can number and the list goes on at a snail's pace.
    places: HashTable<u32>,
    /// The sum of what the elements add to it.
    fingerprint: u128,
}

impl<T> Indexed<T> {
    pub(super) fn new() -> Self {
        Self { elements: SmallVec::new(), places: HashTable::new(), fingerprint: 0 }
    }

    pub(super) fn elements(&self) -> &[T] {
        &self.elements
    }

    pub(super) fn heap_size(&self) -> usize
    where
        T: HeapSize,
    {
        self.elements.heap_size() + self.places.allocation_size()
    }

    /// Whether count and fingerprint are the same. If not, the elements differ; if so, they do with a probability of
    /// about 2⁻⁶⁴.
    pub(super) fn seems_equal(&self, other: &Self) -> bool {
        self.elements.len() == other.elements.len() && self.fingerprint == other.fingerprint
    }

    /// Whether every element of a list of that length has its place in a table.
    fn is_indexed(&self) -> bool {
        self.places.len() == self.elements.len()
    }
}

impl<T: Eq + Hash> Indexed<T> {
    pub(super) fn contains<Q: Eq + Hash + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        // A short list is not worth a hash.
        if self.places.is_empty() {
            self.elements.iter().any(|known| known.borrow() == element)
        } else {
            self.find(hash_one(element), element).is_some()
        }
    }

    /// Adds an element, unless it is there; whether it was not, and then also to `delta`.
    pub(super) fn insert(&mut self, element: T, delta: &mut Self)
    where
        T: Clone,
    {
        let hash = hash_one(&element);
        if self.find(hash, &element).is_none() {
            delta.push(hash, element.clone());
            self.push(hash, element);
        }
    }

    /// Adds what is missing, in the other's order. O(1) when the two seem equal, else O(m) expected.
    pub(super) fn merge(&mut self, other: &Self)
    where
        T: Clone,
    {
        if self.elements.is_empty() {
            self.clone_from(other);
            return;
        }
        let missing = self.missing_from(other);
        let theirs = &other.elements[..];
        self.append(&missing, missing.places().map(|place| theirs[place].clone()));
    }

    /// The same, moving the elements.
    pub(super) fn merge_owned(&mut self, other: Self) {
        let missing = self.missing_from(&other);
        self.append(&missing, missing.pick(other.elements.into_iter()));
    }

    /// What the other lacks, in this order.
    pub(super) fn difference(&self, other: &Self) -> Self
    where
        T: Clone,
    {
        let mut difference = Self::new();
        let missing = other.missing_from(self);
        let ours = &self.elements[..];
        difference.append(&missing, missing.places().map(|place| ours[place].clone()));
        difference
    }

    /// Whether the other has all of these elements, for certain.
    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.elements.len() <= other.elements.len()
            && self.walk(other, |_, element| other.find(hash_one(element), element).is_some())
    }

    /// Elements that are known to be different: what is read from an encoding.
    pub(super) fn from_different(elements: impl IntoIterator<Item = T>) -> Self {
        let mut list = Self::new();
        list.elements.extend(elements);
        list.fingerprint = list.sum();
        if list.elements.len() > SCANNED {
            list.index(list.elements.len());
        }
        list
    }

    /// Whether fingerprint and table agree with the elements.
    pub(super) fn is_sound(&self) -> bool {
        let finds_itself = |(place, element)| self.find(hash_one(element), element) == Some(place);
        self.fingerprint == self.sum() && self.elements.iter().enumerate().all(finds_itself)
    }

    fn sum(&self) -> u128 {
        let parts = self.elements.iter().map(|element| fingerprint(hash_one(element), SALT));
        parts.fold(0, u128::wrapping_add)
    }

    fn find<Q: Eq + ?Sized>(&self, hash: u64, element: &Q) -> Option<usize>
    where
        T: Borrow<Q>,
    {
        let elements = &self.elements[..];
        let place = self.places.find(hash, |place| elements[index(*place)].borrow() == element);
        place.map(|place| index(*place)).or_else(|| {
            let looked_through = &elements[self.places.len()..];
            let ahead = looked_through.iter().position(|known| known.borrow() == element)?;
            Some(self.places.len() + ahead)
        })
    }

    /// Adds an element that is not there.
    fn push(&mut self, hash: u64, element: T) {
        self.fingerprint = self.fingerprint.wrapping_add(fingerprint(hash, SALT));
        let place = self.elements.len();
        self.elements.push(element);
        if place == self.places.len() && place > SCANNED {
            self.place(hash, place);
        } else if place >= SCANNED {
            self.index(self.elements.len());
        }
    }

    /// Adds the missing elements, which come in the order of their places, while the hashes may come in any.
    fn append(&mut self, missing: &Missing, elements: impl Iterator<Item = T>) {
        if missing.hashes.is_empty() {
            return;
        }
        let first = self.elements.len();
        let total = first + missing.hashes.len();
        if total > SCANNED {
            // Before the new ones come: they know their hashes.
            self.index(total);
        }
        self.elements.reserve(missing.hashes.len());
        self.elements.extend(elements);
        for (hash, place) in &missing.hashes {
            self.fingerprint = self.fingerprint.wrapping_add(fingerprint(*hash, SALT));
            if total > SCANNED {
                self.place(*hash, first + missing.rank(*place));
            }
        }
    }

    /// Makes room for the places of `total` elements, and enters those that are here and have none.
    fn index(&mut self, total: usize) {
        let Self { elements, places, .. } = self;
        places.reserve(total.min(PLACES) - places.len(), |place| hash_one(&elements[index(*place)]));
        for place in places.len()..elements.len().min(PLACES) {
            self.place(hash_one(&self.elements[place]), place);
        }
    }

    fn place(&mut self, hash: u64, place: usize) {
        let Self { elements, places, .. } = self;
        if let Ok(place) = u32::try_from(place)
            && index(place) < PLACES
        {
            places.insert_unique(hash, place, |place| hash_one(&elements[index(*place)]));
        }
    }

    fn missing_from(&self, other: &Self) -> Missing {
        let mut missing = Missing::default();
        if self.seems_equal(other) {
            return missing;
        }
        other.walk(self, |place, element| {
            let hash = hash_one(element);
            if self.find(hash, element).is_none() {
                missing.hashes.push((hash, place));
            }
            true
        });
        missing.rank_all(other.elements.len());
        missing
    }

    /// Visits the elements, with their places, of which `beside` may not have the same in the same place, until one
    /// does not pass; whether all do.
    ///
    /// Two lists with a common past begin alike, which saves looking anything up. Beyond that they are walked in the
    /// order of the table where both have one: it is the other's order, too, and looking up then reads memory
    /// forwards.
    fn walk(&self, beside: &Self, mut passes: impl FnMut(usize, &T) -> bool) -> bool {
        let elements = &self.elements[..];
        let alike =
            elements.iter().zip(&beside.elements[..]).take_while(|(ours, theirs)| ours == theirs).count();
        let by_table = self.is_indexed() && beside.is_indexed() && alike <= elements.len() / 2;
        if by_table {
            self.places
                .iter()
                .map(|place| index(*place))
                .all(|place| place < alike || passes(place, &elements[place]))
        } else {
            elements.iter().enumerate().skip(alike).all(|(place, element)| passes(place, element))
        }
    }
}

/// Which elements of a list another one lacks.
#[derive(Default)]
struct Missing {
    /// Their hashes and places, in the order they were found.
    hashes: SmallVec<[(u64, usize); 2]>,
    /// One bit for each place in the list, and how many are set in the words before.
    words: SmallVec<[(u64, usize); 1]>,
}

impl Missing {
    /// To be called when all are found.
    fn rank_all(&mut self, len: usize) {
        if self.hashes.is_empty() {
            return;
        }
        self.words.resize(len.div_ceil(64), (0, 0));
        for (_, place) in &self.hashes {
            self.words[place / 64].0 |= 1 << (place % 64);
        }
        let mut before = 0;
        for (word, ones_before) in &mut self.words {
            *ones_before = before;
            before += ones(*word);
        }
    }

    /// How many missing elements have a lower place.
    fn rank(&self, place: usize) -> usize {
        let (word, before) = self.words[place / 64];
        before + ones(word & ((1 << (place % 64)) - 1))
    }

    /// The places of the missing elements, ascending.
    fn places(&self) -> impl Iterator<Item = usize> {
        let words = self.words.iter().zip((0..).step_by(64));
        words.flat_map(|((word, _), first)| bits(*word).map(move |bit| first + bit))
    }

    /// The missing ones among all `items` of the list.
    fn pick<I: Iterator>(&self, items: I) -> impl Iterator<Item = I::Item> {
        let mut places = self.places().peekable();
        items.enumerate().filter_map(move |(place, item)| places.next_if_eq(&place).map(|_| item))
    }
}

/// Which bits are set, ascending.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = word.trailing_zeros() as usize;
        let rest = word.wrapping_sub(1);
        word &= rest;
        (lowest < 64).then_some(lowest)
    })
}

const fn ones(word: u64) -> usize {
    word.count_ones() as usize
}

const fn index(place: u32) -> usize {
    place as usize
}

#[cfg(test)]
mod tests;
