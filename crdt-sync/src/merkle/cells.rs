//! The arrays behind a tree: one sum and count per node, in pages shared between the tree and its
//! snapshots.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::prefix::Prefix;

/// The bits between one stored level and the next: a node has sixteen children.
pub(super) const LEVEL_BITS: u8 = 4;
const CHILDREN: u32 = 1 << LEVEL_BITS;
/// Cells per page: 4 KiB of sums and 1 KiB of counts, the unit that the first write after a
/// snapshot copies.
const PAGE: usize = 256;

/// A 128-bit digest as two lanes that add without a carry between them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Lanes([u64; 2]);

impl Lanes {
    const ZERO: Self = Self([0; 2]);

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
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) root: Cell,
    /// `levels[i]` holds the nodes at depth `4 * (i + 1)`; the last one holds the leaves.
    levels: Vec<Pages>,
}

impl Levels {
    pub(super) fn new(leaf_bits: u8) -> Self {
        let depths = (1..=leaf_bits / LEVEL_BITS).map(|level| level * LEVEL_BITS);
        Self { root: Cell::default(), levels: depths.map(|bits| Pages::empty(1 << bits)).collect() }
    }

    /// The cell of a node at a stored depth (a multiple of four, at most that of the leaves).
    pub(super) fn node(&self, node: Prefix) -> Cell {
        match usize::from(node.bits() / LEVEL_BITS) {
            0 => self.root,
            level => self.levels.get(level - 1).map_or(Cell::default(), |pages| pages.get(node.value())),
        }
    }

    pub(super) fn leaf(&self, leaf: u32) -> Cell {
        self.levels.last().map_or(Cell::default(), |pages| pages.get(leaf))
    }

    pub(super) fn set_leaf(&mut self, leaf: u32, cell: Cell) {
        if let Some(pages) = self.levels.last_mut() {
            pages.set(leaf, cell);
        }
    }

    /// Recomputes the ancestors of the given groups (a group is the parent of sixteen leaves). The
    /// root is exact already. `groups` is used up as working memory.
    pub(super) fn refresh(&mut self, groups: &mut Vec<u32>) {
        for child in (1..self.levels.len()).rev() {
            for &group in &*groups {
                let sum = self.levels[child].sum_of_children(group);
                self.levels[child - 1].set(group, sum);
            }
            for group in &mut *groups {
                *group /= CHILDREN;
            }
            groups.sort_unstable();
            groups.dedup();
        }
        groups.clear();
    }
}

/// One level: an array of cells in copy-on-write pages.
#[derive(Clone, PartialEq, Eq)]
struct Pages(Vec<Arc<Page>>);

#[derive(Clone, PartialEq, Eq)]
struct Page {
    lanes: [Lanes; PAGE],
    counts: [u32; PAGE],
}

impl Pages {
    /// All pages are one shared empty page until they are written, so an empty tree costs little at
    /// any size.
    fn empty(cells: usize) -> Self {
        let page = Arc::new(Page { lanes: [Lanes::ZERO; PAGE], counts: [0; PAGE] });
        Self(vec![page; cells.div_ceil(PAGE)])
    }

    fn get(&self, index: u32) -> Cell {
        let (page, slot) = place(index);
        self.0
            .get(page)
            .map_or(Cell::default(), |page| Cell { lanes: page.lanes[slot], count: page.counts[slot] })
    }

    fn set(&mut self, index: u32, cell: Cell) {
        let (page, slot) = place(index);
        if let Some(page) = self.0.get_mut(page) {
            let page = Arc::make_mut(page);
            page.lanes[slot] = cell.lanes;
            page.counts[slot] = cell.count;
        }
    }

    fn sum_of_children(&self, parent: u32) -> Cell {
        let first = parent * CHILDREN;
        (first..first + CHILDREN).map(|child| self.get(child)).fold(Cell::default(), Cell::plus)
    }
}

fn place(index: u32) -> (usize, usize) {
    let index = index as usize;
    (index / PAGE, index % PAGE)
}
