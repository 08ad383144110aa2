//! The live dots of one replica, 64 to a word, and where each one's element is.

use smallvec::SmallVec;

use crate::clock::Range;

/// 64 consecutive counters, `key * 64 ..`, one bit each.
#[derive(Clone, Copy, Debug)]
struct Page {
    key: u64,
    /// Which dots are alive.
    live: u64,
    /// Which dots have a place among the slots: all live ones, some that died, some that may yet come.
    place: u64,
    /// The place of the lowest of them.
    base: u32,
}

/// A map from live counter to slot: pages in ascending order, four bytes per dot behind them.
///
/// A comparison of two replicas' dots is one word per 64 of them, which is what makes merging equal and nearly equal
/// sets cheap. Dots in order are appended. A late dot, in the middle of history, does not move what comes after it: the
/// block of its page is copied to the end of the slots, once, with places for the dots still missing.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveDots {
    pages: SmallVec<[Page; 1]>,
    slots: SmallVec<[u32; 4]>,
    live: usize,
    /// Pages without a live dot.
    empty: usize,
    /// The key of the page whose block is at the end of the slots and can grow.
    growing: u64,
}

/// From this many dots on a page that is copied gets places for all 64: they cost 256 bytes then.
const DENSE: u32 = 16;

impl LiveDots {
    /// How many dots are alive.
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    pub(super) fn slot(&self, counter: u64) -> Option<u32> {
        let (key, bit) = split(counter);
        let page = &self.pages[self.search(key).ok()?];
        (page.live >> bit & 1 == 1).then(|| self.slots[page.position(bit)])
    }

    /// Files a slot under a counter that is not alive.
    pub(super) fn insert(&mut self, counter: u64, slot: u32) {
        let (key, bit) = split(counter);
        let index = self.page_for(key);
        let page = &mut self.pages[index];
        self.empty -= usize::from(page.live == 0);
        self.live += 1;
        page.live |= 1 << bit;
        if page.place >> bit == 0 && self.growing == key {
            page.place |= 1 << bit;
            grow_by_half(&mut self.slots);
            self.slots.push(slot);
        } else if page.place >> bit & 1 == 1 {
            self.slots[page.position(bit)] = slot;
        } else {
            self.move_to_end(index);
            let position = self.pages[index].position(bit);
            self.slots[position] = slot;
        }
    }

    /// Makes room for counters that are about to be filed, ascending: each page in the middle moves those behind it, so
    /// many are better put in all at once.
    pub(super) fn make_room(&mut self, counters: impl Iterator<Item = u64>) {
        let Some(last) = self.pages.last().map(|last| last.key) else { return };
        let known = self.pages.len();
        for key in counters.map(|counter| split(counter).0).take_while(|key| *key < last) {
            let met = self.pages[known..].last().is_some_and(|new| new.key == key);
            if !met && search(&self.pages[..known], key).is_err() {
                self.pages.push(Page { key, live: 0, place: 0, base: 0 });
            }
        }
        if self.pages.len() > known {
            self.empty += self.pages.len() - known;
            // Two sorted runs, which a merge sort joins in linear time.
            self.pages.sort_by_key(|page| page.key);
        }
    }

    /// Takes a live counter out.
    pub(super) fn remove(&mut self, counter: u64) {
        let (key, bit) = split(counter);
        if let Ok(index) = self.search(key) {
            let page = &mut self.pages[index];
            page.live &= !(1 << bit);
            self.live -= 1;
            self.empty += usize::from(page.live == 0);
            if self.live == 0 {
                *self = Self::default();
            } else if self.slots.len() > 2 * self.live + 64 || self.empty > self.pages.len() / 2 + 8 {
                self.compact();
            }
        }
    }

    /// Gives every live counter the new number of its slot.
    pub(super) fn renumber(&mut self, new: impl Fn(u32) -> u32) {
        for page in &self.pages {
            for bit in bits_of(page.live) {
                let slot = &mut self.slots[page.position(bit)];
                *slot = new(*slot);
            }
        }
    }

    /// Live counters and their slots, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.pages.iter().flat_map(|page| View { page, slots: &self.slots }.slots_of(page.live))
    }

    /// Live counters as ranges, ascending; a step per page, not per dot, where there are no holes.
    pub(super) fn ranges(&self) -> SmallVec<[Range; 1]> {
        let mut ranges: SmallVec<[Range; 1]> = SmallVec::new();
        let mut push = |start: u64, end: u64| match ranges.last_mut() {
            Some(last) if last.end + 1 == start => last.end = end,
            _ => ranges.push(Range { start, end }),
        };
        for page in &self.pages {
            let (first, mut rest) = (page.key << 6, page.live);
            while rest != 0 {
                let start = rest.trailing_zeros();
                let length = (!(rest >> start)).trailing_zeros();
                push(first + u64::from(start), first + u64::from(start + length - 1));
                rest &= u64::MAX.checked_shl(start + length).unwrap_or(0);
            }
        }
        ranges
    }

    /// Walks the pages of both sides that meet `ranges`, ascending: key, which of its counters are in the range, and
    /// which of those are alive on either side. Pages far from any range cost nothing.
    pub(super) fn beside<'a>(&'a self, other: &'a Self, ranges: &[Range], mut visit: impl FnMut(Beside<'a>)) {
        let (mut ours, mut theirs) = (&self.pages[..], &other.pages[..]);
        for &range in ranges {
            ours = reaching(ours, range.start >> 6);
            theirs = reaching(theirs, range.start >> 6);
            let last_key = range.end >> 6;
            let (mut our_rest, mut their_rest) = (ours, theirs);
            loop {
                let our_key = our_rest.first().map_or(u64::MAX, |page| page.key);
                let their_key = their_rest.first().map_or(u64::MAX, |page| page.key);
                let key = our_key.min(their_key);
                if key > last_key {
                    break;
                }
                // The last page stays in front of the walk: the next range may begin in it.
                let mask = bits_in(range, key);
                let mut step = Beside { key, mask, ours: None, theirs: None };
                if our_key == key {
                    step.ours = Some(View { page: &our_rest[0], slots: &self.slots });
                    ours = our_rest;
                    our_rest = &our_rest[1..];
                }
                if their_key == key {
                    step.theirs = Some(View { page: &their_rest[0], slots: &other.slots });
                    theirs = their_rest;
                    their_rest = &their_rest[1..];
                }
                visit(step);
            }
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let pages = if self.pages.spilled() { self.pages.capacity() * size_of::<Page>() } else { 0 };
        let slots = if self.slots.spilled() { self.slots.capacity() * size_of::<u32>() } else { 0 };
        pages + slots
    }

    pub(super) fn same_dots(&self, other: &Self) -> bool {
        self.live == other.live && self.words().eq(other.words())
    }

    /// The index of a page, a new one if need be; the last one is the usual case.
    fn page_for(&mut self, key: u64) -> usize {
        match self.pages.last() {
            Some(last) if last.key == key => return self.pages.len() - 1,
            _ => {}
        }
        self.search(key).unwrap_or_else(|index| {
            let base = narrow(self.slots.len());
            self.pages.insert(index, Page { key, live: 0, place: 0, base });
            self.empty += 1;
            self.growing = key;
            index
        })
    }

    fn words(&self) -> impl Iterator<Item = (u64, u64)> {
        self.pages.iter().filter(|page| page.live != 0).map(|page| (page.key, page.live))
    }

    fn search(&self, key: u64) -> Result<usize, usize> {
        search(&self.pages, key)
    }

    /// Gives a page a block of its own at the end, with a place for every live dot.
    fn move_to_end(&mut self, index: usize) {
        let old = self.pages[index];
        let wanted = old.live;
        let place = if wanted.count_ones() < DENSE { wanted } else { u64::MAX };
        let base = narrow(self.slots.len());
        for bit in bits_of(place) {
            let slot = if old.place >> bit & 1 == 1 { self.slots[old.position(bit)] } else { VACANT };
            self.slots.push(slot);
        }
        self.pages[index] = Page { place, base, ..old };
        self.growing = old.key;
    }

    /// Drops the places of the dead, and pages without a live dot.
    fn compact(&mut self) {
        let mut slots = SmallVec::with_capacity(self.live);
        self.pages.retain(|page| page.live != 0);
        for page in &mut self.pages {
            let base = narrow(slots.len());
            slots.extend(bits_of(page.live).map(|bit| self.slots[page.position(bit)]));
            *page = Page { place: page.live, base, ..*page };
        }
        self.pages.shrink_to_fit();
        self.slots = slots;
        self.empty = 0;
        self.growing = self.pages.last().map_or(0, |page| page.key);
    }
}

/// A place that is kept for a dot which may yet come.
const VACANT: u32 = u32::MAX;

impl Page {
    /// The index among the slots of a counter that has a place.
    fn position(&self, bit: u32) -> usize {
        let before = self.place & ((1 << bit) - 1);
        self.base as usize + before.count_ones() as usize
    }
}

/// One page of two replicas' dots.
pub(super) struct Beside<'a> {
    pub(super) key: u64,
    /// The counters asked for.
    pub(super) mask: u64,
    ours: Option<View<'a>>,
    theirs: Option<View<'a>>,
}

#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    page: &'a Page,
    slots: &'a [u32],
}

impl<'a> Beside<'a> {
    /// Alive here, among the counters asked for.
    pub(super) fn ours(&self) -> u64 {
        self.ours.map_or(0, |view| view.page.live & self.mask)
    }

    /// Alive there, among the counters asked for.
    pub(super) fn theirs(&self) -> u64 {
        self.theirs.map_or(0, |view| view.page.live & self.mask)
    }

    /// Counters and slots of some dots alive here.
    pub(super) fn our_slots(&self, bits: u64) -> impl Iterator<Item = (u64, u32)> + use<'a> {
        self.ours.into_iter().flat_map(move |view| view.slots_of(bits))
    }

    /// Counters and slots of some dots alive there.
    pub(super) fn their_slots(&self, bits: u64) -> impl Iterator<Item = (u64, u32)> + use<'a> {
        self.theirs.into_iter().flat_map(move |view| view.slots_of(bits))
    }
}

impl<'a> View<'a> {
    /// Counters and slots of live dots, ascending.
    fn slots_of(self, bits: u64) -> impl Iterator<Item = (u64, u32)> + use<'a> {
        let Self { page, slots } = self;
        let first = page.key << 6;
        // Where all that have a place are wanted, places need not be counted.
        let dense = bits == page.place;
        bits_of(bits).enumerate().map(move |(index, bit)| {
            let position = if dense { page.base as usize + index } else { page.position(bit) };
            (first | u64::from(bit), slots[position])
        })
    }
}

/// Which counters of a page lie in any of the ranges; for keys that ascend from call to call.
pub(super) struct Masks<'a> {
    ranges: &'a [Range],
}

impl<'a> Masks<'a> {
    pub(super) const fn new(ranges: &'a [Range]) -> Self {
        Self { ranges }
    }

    pub(super) fn of(&mut self, key: u64) -> u64 {
        let first = key << 6;
        if self.ranges.first().is_some_and(|range| range.end < first) {
            let below = self.ranges.partition_point(|range| range.end < first);
            self.ranges = &self.ranges[below..];
        }
        let meeting = self.ranges.iter().take_while(|range| range.start <= first | 63);
        meeting.fold(0, |mask, &range| mask | bits_in(range, key))
    }
}

/// The counters of a page that lie in the range, which meets it.
fn bits_in(range: Range, key: u64) -> u64 {
    let (first, last) = (key << 6, key << 6 | 63);
    let low = range.start.max(first) - first;
    let high = range.end.min(last) - first;
    u64::MAX << low & u64::MAX >> (63 - high)
}

/// The place of a page among ascending ones, or where it would go.
fn search(pages: &[Page], key: u64) -> Result<usize, usize> {
    let Some(first) = pages.first().filter(|first| first.key <= key) else { return Err(0) };
    // Keys ascend, so the page is where it would be without missing ones, or before that.
    let guess = usize::try_from(key - first.key).unwrap_or(usize::MAX);
    match pages.get(guess) {
        Some(page) if page.key == key => Ok(guess),
        _ => {
            let end = guess.saturating_add(1).min(pages.len());
            if pages[end - 1].key < key {
                return Err(end);
            }
            pages[..end].binary_search_by_key(&key, |page| page.key)
        }
    }
}

/// The pages from `key` on, found by steps that double, as the next range is usually near.
fn reaching(pages: &[Page], key: u64) -> &[Page] {
    let mut step = 1;
    while pages.get(step - 1).is_some_and(|page| page.key < key) {
        step *= 2;
    }
    let (from, to) = (step / 2, (step - 1).min(pages.len()));
    &pages[from + pages[from..to].partition_point(|page| page.key < key)..]
}

fn bits_of(mut word: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        // Clears the lowest bit, and is 0 for 0.
        word &= word.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}

const fn split(counter: u64) -> (u64, u32) {
    (counter >> 6, (counter & 63) as u32)
}

/// Slots and places are 32 bits: as with `Vec`, more elements than the type can hold is a panic, reached with more
/// than 100 GB of entries.
pub(super) fn narrow(index: usize) -> u32 {
    assert!(index < VACANT as usize, "capacity overflow: a set holds fewer than 2^32 - 1 dots of a replica");
    #[expect(clippy::cast_possible_truncation, reason = "just checked")]
    let narrow = index as u32;
    narrow
}

/// Makes room for one more, in long lists for half as many again and not for twice as many: spare room is what a large
/// set wastes most memory on.
pub(super) fn grow_by_half<A: smallvec::Array>(list: &mut SmallVec<A>) {
    const LONG: usize = 1_024;
    if list.len() == list.capacity() && list.len() >= LONG {
        list.reserve_exact(list.len() / 2);
    }
}
