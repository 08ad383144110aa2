//! The arrays behind a tree: one sum and count per node, in pages shared between the tree and its
//! snapshots.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use super::prefix::Prefix;

/// The bits between one stored level and the next: a node has sixteen children.
pub(super) const LEVEL_BITS: u8 = 4;
pub(super) const CHILDREN: u32 = 1 << LEVEL_BITS;
/// Cells per page of 5 KiB, the unit that the first write after a snapshot copies.
const PAGE: usize = 256;

/// A 128-bit digest as two lanes that add without a carry between them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Lanes([u64; 2]);

impl Lanes {
    const ZERO: Self = Self([0; 2]);

    pub(super) const fn new(lanes: [u64; 2]) -> Self {
        Self(lanes)
    }

    /// The lanes as they are.
    pub(crate) const fn words(self) -> [u64; 2] {
        self.0
    }

    pub(crate) fn from_u128(value: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the lanes are the two halves of the number")]
        let halves = [value as u64, (value >> 64) as u64];
        Self(halves)
    }

    pub(crate) fn as_u128(self) -> u128 {
        u128::from(self.0[0]) | u128::from(self.0[1]) << 64
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self([self.0[0].wrapping_add(other.0[0]), self.0[1].wrapping_add(other.0[1])])
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self([self.0[0].wrapping_sub(other.0[0]), self.0[1].wrapping_sub(other.0[1])])
    }
}

/// A node: the sum of its items' digests and their number. Counts cannot overflow: the tree refuses
/// the item that would make the root's count do so, and no node holds more than the root.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Cell {
    pub(crate) lanes: Lanes,
    pub(crate) count: u32,
}

impl Cell {
    /// The cell with one item more, unless the count is used up.
    pub(super) fn with(self, item: Lanes) -> Option<Self> {
        Some(Self { count: self.count.checked_add(1)?, lanes: self.lanes.plus(item) })
    }

    /// The cell with one item less, unless it certainly does not hold that item: an empty cell
    /// holds nothing, and the sum of a single item is that item.
    pub(super) fn without(self, item: Lanes) -> Option<Self> {
        let rest = Self { count: self.count.checked_sub(1)?, lanes: self.lanes.minus(item) };
        (rest.count > 0 || rest.lanes == Lanes::ZERO).then_some(rest)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { lanes: self.lanes.plus(other.lanes), count: self.count.wrapping_add(other.count) }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self { lanes: self.lanes.minus(other.lanes), count: self.count.wrapping_sub(other.count) }
    }
}

/// Every level of a tree from sixteen nodes down to the leaves, and the root.
#[derive(PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) root: Cell,
    /// `levels[i]` holds the nodes at depth `4 * (i + 1)`; the last one holds the leaves.
    levels: Vec<Pages>,
}

impl Levels {
    pub(super) fn new(leaf_bits: u8) -> Self {
        let depths = (1..=leaf_bits / LEVEL_BITS).map(|level| level * LEVEL_BITS);
        Self { root: Cell::default(), levels: depths.map(Pages::at_depth).collect() }
    }

    /// The same levels once more. Both share all pages, and the first write to a page copies it.
    pub(super) fn share(&mut self) -> Self {
        Self { root: self.root, levels: self.levels.iter_mut().map(Pages::share).collect() }
    }

    /// The cell of a node at a stored depth (a multiple of four, at most that of the leaves).
    #[inline]
    pub(super) fn node(&self, node: Prefix) -> Cell {
        match usize::from(node.bits() / LEVEL_BITS) {
            0 => self.root,
            level => self.levels.get(level - 1).map_or(Cell::default(), |pages| pages.get(node.value())),
        }
    }

    /// Overwrites the cell of a node at a stored depth.
    pub(super) fn set_node(&mut self, node: Prefix, cell: Cell) {
        match usize::from(node.bits() / LEVEL_BITS) {
            0 => self.root = cell,
            level => {
                if let Some(pages) = self.levels.get_mut(level - 1) {
                    pages.set(node.value(), cell);
                }
            }
        }
    }

    pub(super) fn leaf(&self, leaf: u32) -> Cell {
        self.levels.last().map_or(Cell::default(), |pages| pages.get(leaf))
    }

    /// Asks for leaves that are about to be changed. Their cache lines come at the same time, because
    /// no load here waits for another.
    #[inline]
    pub(super) fn touch_leaves(&self, leaves: impl Iterator<Item = u32>) {
        if let Some(pages) = self.levels.last() {
            core::hint::black_box(leaves.fold(0, |seen, leaf| seen ^ pages.ends(leaf)));
        }
    }

    pub(super) fn set_leaf(&mut self, leaf: u32, cell: Cell) {
        if let Some(pages) = self.levels.last_mut() {
            pages.set(leaf, cell);
        }
    }

    /// What a node would hold if it were computed from its children.
    pub(super) fn sum_below(&self, node: Prefix) -> Cell {
        let children = self.levels.get(usize::from(node.bits() / LEVEL_BITS));
        children.map_or(Cell::default(), |pages| pages.sum_of_children(node.value()))
    }

    /// Adds a level below the leaves, which become inner nodes.
    pub(super) fn push(&mut self, leaves: Pages) {
        self.levels.push(leaves);
    }

    /// Drops the levels below `leaf_bits`. The nodes there must be exact: they become the leaves.
    pub(super) fn truncate(&mut self, leaf_bits: u8) {
        self.levels.truncate(usize::from(leaf_bits / LEVEL_BITS));
    }

    /// Recomputes the ancestors of the given groups (a group is the parent of sixteen leaves). The
    /// root is exact already. `groups` is used up as working memory.
    pub(super) fn refresh(&mut self, groups: &mut Vec<u32>) {
        // In ascending order, which division keeps: neighbours are read one after the other.
        groups.sort_unstable();
        for child in (1..self.levels.len()).rev() {
            for &group in &*groups {
                let sum = self.levels[child].sum_of_children(group);
                self.levels[child - 1].set(group, sum);
            }
            for group in &mut *groups {
                *group /= CHILDREN;
            }
            groups.dedup();
        }
        groups.clear();
    }
}

/// One level: an array of cells in copy-on-write pages.
pub(super) struct Pages {
    pages: Vec<Arc<Page>>,
    /// A bit per page: nobody else has it. Asking the reference count instead would cost each write
    /// a locked instruction, which no load may overtake, and the cache line that the count is in.
    own: Vec<u64>,
}

/// Words, not numbers, because a page is written through a shared reference: twenty bytes per cell,
/// in one place, on every machine that has an `Arc`. The words are no means of communication: a
/// page is written only while one thread alone can reach it.
struct Page([[AtomicU32; CELL_WORDS]; PAGE]);

const CELL_WORDS: usize = 5;

impl Pages {
    /// All pages are one shared empty page until they are written, so an empty tree costs little at
    /// any size.
    pub(super) fn at_depth(bits: u8) -> Self {
        let count = (1_usize << bits).div_ceil(PAGE);
        let empty = Arc::new(Page(core::array::from_fn(|_| Default::default())));
        Self { pages: vec![empty; count], own: vec![0; count.div_ceil(64)] }
    }

    fn share(&mut self) -> Self {
        self.own.fill(0);
        Self { pages: self.pages.clone(), own: self.own.clone() }
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Cell {
        let (page, slot) = place(index);
        self.pages.get(page).map_or(Cell::default(), |page| page.get(slot))
    }

    pub(super) fn set(&mut self, index: u32, cell: Cell) {
        let (page, slot) = place(index);
        if self.own.get(page / 64).is_some_and(|word| word >> (page % 64) & 1 == 0) {
            self.take_over(page);
        }
        if let Some(page) = self.pages.get(page) {
            page.set(slot, cell);
        }
    }

    /// Makes a page this one's alone, by a copy if somebody else has it.
    #[cold]
    fn take_over(&mut self, page: usize) {
        let (Some(word), Some(shared)) = (self.own.get_mut(page / 64), self.pages.get_mut(page)) else {
            return;
        };
        *word |= 1 << (page % 64);
        if Arc::get_mut(shared).is_none() {
            *shared = Arc::new(shared.copy());
        }
    }

    /// The first and the last word of a cell: it may lie in two cache lines.
    fn ends(&self, index: u32) -> u32 {
        let (page, slot) = place(index);
        self.pages.get(page).map_or(0, |page| {
            let [first, .., last] = &page.0[slot];
            first.load(Ordering::Relaxed) ^ last.load(Ordering::Relaxed)
        })
    }

    fn sum_of_children(&self, parent: u32) -> Cell {
        let (page, slot) = place(parent * CHILDREN);
        let children = self.pages.get(page).and_then(|page| page.0.get(slot..slot + CHILDREN as usize));
        children.unwrap_or_default().iter().map(load).fold(Cell::default(), Cell::plus)
    }
}

impl PartialEq for Pages {
    fn eq(&self, other: &Self) -> bool {
        let cells = |page: &Arc<Page>| core::array::from_fn::<Cell, PAGE, _>(|slot| page.get(slot));
        self.pages.len() == other.pages.len()
            && self.pages.iter().zip(&other.pages).all(|(a, b)| Arc::ptr_eq(a, b) || cells(a) == cells(b))
    }
}

impl Eq for Pages {}

impl Page {
    fn get(&self, slot: usize) -> Cell {
        load(&self.0[slot])
    }

    fn set(&self, slot: usize, cell: Cell) {
        let [first, second] = cell.lanes.0;
        #[expect(clippy::cast_possible_truncation, reason = "the words are the two halves of the lane")]
        let words = [first as u32, (first >> 32) as u32, second as u32, (second >> 32) as u32, cell.count];
        for (place, word) in self.0[slot].iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
    }

    fn copy(&self) -> Self {
        let copy = |word: &AtomicU32| AtomicU32::new(word.load(Ordering::Relaxed));
        Self(core::array::from_fn(|slot| self.0[slot].each_ref().map(copy)))
    }
}

fn load([a, b, c, d, count]: &[AtomicU32; CELL_WORDS]) -> Cell {
    let lane = |low: &AtomicU32, high: &AtomicU32| {
        u64::from(low.load(Ordering::Relaxed)) | u64::from(high.load(Ordering::Relaxed)) << 32
    };
    Cell { lanes: Lanes([lane(a, b), lane(c, d)]), count: count.load(Ordering::Relaxed) }
}

fn place(index: u32) -> (usize, usize) {
    let index = index as usize;
    (index / PAGE, index % PAGE)
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use super::{Cell, Lanes, Pages};

    fn cell(number: u32) -> Cell {
        Cell { lanes: Lanes::from_u128(u128::from(number) << 33 | 1 << 127 | 1), count: number }
    }

    fn places(pages: &Pages) -> Vec<*const super::Page> {
        pages.pages.iter().map(Arc::as_ptr).collect()
    }

    #[test]
    fn a_write_copies_a_page_only_while_a_snapshot_has_it() {
        let mut pages = Pages::at_depth(12);
        pages.set(300, cell(1));
        let snapshot = pages.share();
        assert_eq!(places(&pages), places(&snapshot));

        pages.set(300, cell(2));
        pages.set(301, cell(3));
        let moved = places(&pages).iter().zip(places(&snapshot)).filter(|(own, old)| **own != *old).count();
        assert_eq!(moved, 1, "the one page that both cells are in");
        assert_eq!((snapshot.get(300), snapshot.get(301)), (cell(1), Cell::default()));

        let before = places(&pages);
        drop(pages.share());
        pages.set(300, cell(4));
        assert_eq!(places(&pages), before, "nobody else has it any more");
        assert_eq!((pages.get(300), pages.get(301)), (cell(4), cell(3)));
    }

    /// Each word of a cell, and each cell of a page, in its own place.
    #[test]
    fn a_cell_is_read_as_it_was_written() {
        let mut pages = Pages::at_depth(8);
        for number in 0..256 {
            pages.set(number, cell(number * 0x0101_0101));
        }
        for number in 0..256 {
            assert_eq!(pages.get(number), cell(number * 0x0101_0101));
        }
        let sums: Vec<_> = (0..16).map(|parent| pages.sum_of_children(parent).count).collect();
        let naive = |parent: u32| (parent * 16..parent * 16 + 16).map(|at| at * 0x0101_0101);
        let expected: Vec<_> = (0..16).map(|parent| naive(parent).fold(0, u32::wrapping_add)).collect();
        assert_eq!(sums, expected);
    }
}
