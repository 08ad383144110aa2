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

    /// Whether every element has its place in the table.
    fn is_indexed(&self) -> bool {
        self.places.len() == self.elements.len()
    }
}

/// In one piece where elements are plain bytes.
impl<T: Clone> Clone for Indexed<T> {
    fn clone(&self) -> Self {
        let elements = if self.elements.spilled() {
            SmallVec::from_vec(self.elements.to_vec())
        } else {
            self.elements.clone()
        };
        Self { elements, places: self.places.clone(), fingerprint: self.fingerprint }
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
        } else if !self.seems_equal(other) {
            let theirs = &other.elements[..];
            let add = |ours: &mut Self, hash, place: usize| {
                ours.push(hash, theirs[place].clone());
                true
            };
            if let Progress::Strangers { from } = Self::look_up(self, other, add) {
                let missing = self.missing_from(other, from);
                self.append(missing.count(), missing.places().map(|place| theirs[place].clone()));
            }
        }
    }

    /// The same, moving the elements.
    pub(super) fn merge_owned(&mut self, other: Self) {
        let missing = self.all_missing_from(&other);
        self.append(missing.count(), missing.pick(other.elements.into_iter()));
    }

    /// What the other lacks, in this order.
    pub(super) fn difference(&self, other: &Self) -> Self
    where
        T: Clone,
    {
        let mut difference = Self::new();
        let missing = other.all_missing_from(self);
        let ours = &self.elements[..];
        difference.append(missing.count(), missing.places().map(|place| ours[place].clone()));
        difference
    }

    /// Whether the other has all of these elements, for certain.
    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.elements.len() <= other.elements.len()
            && match Self::look_up(&mut &*other, self, |_, _, _| false) {
                Progress::Done => true,
                Progress::Stopped => false,
                Progress::Strangers { from } => other.look_up_by_table(self, from, |_| false),
            }
    }

    /// Elements that are known to be different: what is read from an encoding.
    #[cfg(any(feature = "serde", test))]
    pub(super) fn from_different(elements: impl IntoIterator<Item = T>) -> Self {
        let mut list = Self::new();
        list.elements.extend(elements);
        list.fingerprint = sum(&list.elements);
        if list.elements.len() > SCANNED {
            list.index(list.elements.len());
        }
        list
    }

    /// Whether fingerprint and table agree with the elements.
    pub(super) fn is_sound(&self) -> bool {
        let finds_itself = |(place, element)| self.find(hash_one(element), element) == Some(place);
        self.fingerprint == sum(&self.elements) && self.elements.iter().enumerate().all(finds_itself)
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

    /// Adds `count` elements that are not there.
    fn append(&mut self, count: usize, elements: impl Iterator<Item = T>) {
        if count == 0 {
            return;
        }
        let first = self.elements.len();
        self.elements.reserve(count);
        self.elements.extend(elements);
        if first + count > SCANNED {
            self.index(first + count);
        }
        let new = &self.elements[first..];
        self.fingerprint = self.fingerprint.wrapping_add(sum(new));
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

    /// What is missing here of all the other's elements.
    fn all_missing_from(&self, other: &Self) -> Places {
        let mut missing = Places::among(&other.elements);
        if !self.seems_equal(other) {
            let note = |_: &mut &Self, _, place| {
                missing.insert(place);
                true
            };
            if let Progress::Strangers { from } = Self::look_up(&mut &*self, other, note) {
                missing.extend(&self.missing_from(other, from));
            }
        }
        missing
    }

    /// What is missing here of the other's elements from a place on; both must have tables.
    fn missing_from(&self, other: &Self, from: usize) -> Places {
        let mut missing = Places::among(&other.elements);
        self.look_up_by_table(other, from, |place| {
            missing.insert(place);
            true
        });
        missing
    }

    /// Looks for the other's elements, one after another, and hands over the hash and place of each that is missing,
    /// until told to stop.
    ///
    /// Replicas mostly learn things in runs of the same order, so an element is first compared with the one behind the
    /// last that was found, which takes no hash. Where too few are found so, the lists are strangers, and there is a
    /// better order to go on in.
    fn look_up<L: Borrow<Self>>(
        this: &mut L,
        other: &Self,
        mut missing: impl FnMut(&mut L, u64, usize) -> bool,
    ) -> Progress {
        let theirs = &other.elements[..];
        let (mut next, mut place, mut looked_up) = (0, 0, 0);
        loop {
            let ours: &Self = (*this).borrow();
            let pairs = ours.elements[next..].iter().zip(&theirs[place..]);
            let run = pairs.take_while(|(our, their)| our == their).count();
            next += run;
            place += run;
            let Some(element) = theirs.get(place) else {
                return Progress::Done;
            };
            if looked_up > 32 + place / 4 && ours.is_indexed() && other.is_indexed() {
                return Progress::Strangers { from: place };
            }
            let hash = hash_one(element);
            if let Some(found) = ours.find(hash, element) {
                looked_up += 1;
                next = found + 1;
            } else if !missing(this, hash, place) {
                return Progress::Stopped;
            }
            place += 1;
        }
    }

    /// Looks for the other's elements from a place on, in the order of its table, which must hold all, and hands over
    /// the place of each that is missing until told to stop; whether it never was.
    ///
    /// The order of the other's table is the order of this one, so that looking up reads memory forwards.
    fn look_up_by_table(&self, other: &Self, from: usize, mut missing: impl FnMut(usize) -> bool) -> bool {
        let (ours, theirs) = (&self.elements[..], &other.elements[..]);
        other.places.iter().map(|place| index(*place)).filter(|place| *place >= from).all(|place| {
            let element = &theirs[place];
            let found = self.places.find(hash_one(element), |place| ours[index(*place)] == *element);
            found.is_some() || missing(place)
        })
    }
}

/// How far looking up came.
enum Progress {
    Done,
    Stopped,
    /// From this place on, the other's elements are still to be looked for.
    Strangers {
        from: usize,
    },
}

/// Some of the places in a list: a bit for each.
struct Places {
    words: SmallVec<[u64; 2]>,
}

impl Places {
    fn among<T>(elements: &[T]) -> Self {
        Self { words: SmallVec::from_elem(0, elements.len().div_ceil(64)) }
    }

    fn extend(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, more)| *word |= more);
    }

    fn insert(&mut self, place: usize) {
        self.words[place / 64] |= 1 << (place % 64);
    }

    fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Ascending.
    fn places(&self) -> impl Iterator<Item = usize> {
        let words = self.words.iter().zip((0..).step_by(64));
        words.flat_map(|(word, first)| bits(*word).map(move |bit| first + bit))
    }

    /// The items of the list that are in these places.
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

/// The fingerprint of these elements.
fn sum<T: Hash>(elements: &[T]) -> u128 {
    let parts = elements.iter().map(|element| fingerprint(hash_one(element), SALT));
    parts.fold(0, u128::wrapping_add)
}

const fn index(place: u32) -> usize {
    place as usize
}

#[cfg(test)]
mod tests;
