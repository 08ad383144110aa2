//! The key index: a B+tree whose nodes are pages. Leaves hold keys and addresses of rows, branches
//! hold separators and children: child 0 in the header's link, child `i` in cell `i - 1`, behind the
//! least key that may be below it.
//!
//! After Bayer and `McCreight`, *Organization and maintenance of large ordered indexes* (1972), and
//! Comer, *The ubiquitous B-tree* (1979). There are no links between leaves: a scan comes down from
//! the root again for every leaf, so that it can neither loop nor miss a split.

pub(crate) mod remove;
pub(crate) mod scan;

use alloc::vec::Vec;

use super::{
    error::{PageDamage, TableError},
    format::PageId,
    heap::Address,
    layout::{self, PageKind},
    overlay::Overlay,
    slotted,
    store::{Source, damaged},
};
use crate::{segment::read_le, storage::StorageFile};

/// What stands before the key in a cell: a row's page and slot, or a child.
pub(crate) const LEAF_PREFIX: usize = 6;
pub(crate) const BRANCH_PREFIX: usize = 4;

/// No tree gets this high: a node splits only when it is full, so every level takes at least twice
/// the insertions of the one below.
pub(crate) const MAX_LEVEL: u8 = 63;

/// The key in a cell of a leaf or branch.
pub(crate) fn key(page: &[u8], at: usize) -> &[u8] {
    let prefix = if layout::level(page) == 0 { LEAF_PREFIX } else { BRANCH_PREFIX };
    slotted::cell(page, at).get(prefix..).unwrap_or_default()
}

/// Child `at` of a branch.
pub(crate) fn child(page: &[u8], at: usize) -> Option<PageId> {
    match at.checked_sub(1) {
        None => layout::link(page),
        Some(cell) => layout::reference(slotted::cell(page, cell).get(..BRANCH_PREFIX)?, 0),
    }
}

/// The row that cell `at` of a leaf names.
pub(crate) fn address(page: &[u8], at: usize) -> Option<Address> {
    let cell = slotted::cell(page, at).get(..LEAF_PREFIX)?;
    Some(Address { page: layout::reference(cell, 0)?, slot: read_le!(u16, cell, 4) })
}

fn leaf_cell(key: &[u8], row: Address) -> Vec<u8> {
    [&row.page.get().to_le_bytes()[..], &row.slot.to_le_bytes(), key].concat()
}

fn branch_cell(key: &[u8], child: PageId) -> Vec<u8> {
    [&child.get().to_le_bytes()[..], key].concat()
}

/// Where a key is among the cells of a page, or where it belongs.
fn search(page: &[u8], wanted: &[u8]) -> Result<usize, usize> {
    let (mut low, mut high) = (0, slotted::slots(page));
    while low < high {
        let middle = low.midpoint(high);
        match key(page, middle).cmp(wanted) {
            core::cmp::Ordering::Less => low = middle + 1,
            core::cmp::Ordering::Equal => return Ok(middle),
            core::cmp::Ordering::Greater => high = middle,
        }
    }
    Err(low)
}

/// The child under which a key belongs.
fn child_of(page: &[u8], wanted: &[u8]) -> usize {
    search(page, wanted).map_or_else(|at| at, |at| at + 1)
}

/// The node `id`, which stands at `level`; at the root any level will do. As levels fall towards the
/// leaves, no descent is longer than [`MAX_LEVEL`].
fn node<S: Source>(source: &mut S, id: PageId, level: Option<u8>) -> Result<&[u8], TableError> {
    let page = source.page(id)?;
    let right_kind = matches!(layout::kind(page), Some(PageKind::Leaf | PageKind::Branch));
    if right_kind && level.is_none_or(|level| level == layout::level(page)) {
        Ok(page)
    } else {
        Err(damaged(id, PageDamage::Kind))
    }
}

fn child_at(page: &[u8], id: PageId, at: usize) -> Result<PageId, TableError> {
    child(page, at).ok_or_else(|| damaged(id, PageDamage::Content))
}

/// The row of a key. O(log rows) comparisons.
pub(crate) fn find<S: Source>(
    source: &mut S,
    root: Option<PageId>,
    wanted: &[u8],
) -> Result<Option<Address>, TableError> {
    let Some(mut id) = root else {
        return Ok(None);
    };
    let mut level = None;
    loop {
        let page = node(source, id, level)?;
        let Some(below) = layout::level(page).checked_sub(1) else {
            let Ok(at) = search(page, wanted) else {
                return Ok(None);
            };
            return address(page, at).map(Some).ok_or_else(|| damaged(id, PageDamage::Content));
        };
        id = child_at(page, id, child_of(page, wanted))?;
        level = Some(below);
    }
}

/// The way from the root to the leaf where a key is or belongs.
struct Path {
    /// Branches from the root down, and which child was taken.
    steps: Vec<(PageId, usize)>,
    leaf: PageId,
    place: Result<usize, usize>,
    /// Whether the leaf is the last of the tree.
    is_last: bool,
}

fn descend<S: Source>(source: &mut S, root: PageId, wanted: &[u8]) -> Result<Path, TableError> {
    let (mut id, mut level) = (root, None);
    let (mut steps, mut is_last) = (Vec::new(), true);
    loop {
        let page = node(source, id, level)?;
        let Some(below) = layout::level(page).checked_sub(1) else {
            return Ok(Path { steps, leaf: id, place: search(page, wanted), is_last });
        };
        let at = child_of(page, wanted);
        is_last &= at == slotted::slots(page);
        let next = child_at(page, id, at)?;
        steps.push((id, at));
        (id, level) = (next, Some(below));
    }
}

/// Points a key at a row; a key that is new gets a cell, which may split nodes up to the root.
pub(crate) fn insert<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    wanted: &[u8],
    row: Address,
) -> Result<(), TableError> {
    let mut cell = leaf_cell(wanted, row);
    let Some(root) = pages.directory()?.root else {
        let root = pages.allocate(PageKind::Leaf, 0)?;
        insert_cell(pages, root, PageKind::Leaf, 0, &cell)?;
        return set_root(pages, Some(root));
    };
    let Path { mut steps, leaf, place, is_last } = descend(pages, root, wanted)?;
    let mut at = match place {
        Ok(at) => {
            slotted::cell_mut(pages.page_mut(leaf, PageKind::Leaf)?, at)[..LEAF_PREFIX]
                .copy_from_slice(&cell[..LEAF_PREFIX]);
            return Ok(());
        }
        Err(at) => at,
    };
    let (mut id, mut kind) = (leaf, PageKind::Leaf);
    loop {
        if slotted::insert_at(pages.page_mut(id, kind)?, at, &cell) {
            return Ok(());
        }
        let (separator, right) = split(pages, id, kind, at, cell, is_last)?;
        cell = branch_cell(&separator, right);
        match steps.pop() {
            Some((parent, taken)) => (id, kind, at) = (parent, PageKind::Branch, taken),
            None => return grow(pages, id, &cell),
        }
    }
}

/// Puts a new root above the old one.
fn grow<F: StorageFile>(pages: &mut Overlay<'_, F>, old: PageId, cell: &[u8]) -> Result<(), TableError> {
    let level = layout::level(pages.page(old)?) + 1;
    if level > MAX_LEVEL {
        return Err(TableError::Full);
    }
    let root = pages.allocate(PageKind::Branch, level)?;
    layout::set_link(pages.page_mut(root, PageKind::Branch)?, Some(old));
    insert_cell(pages, root, PageKind::Branch, 0, cell)?;
    set_root(pages, Some(root))
}

/// Moves the upper part of a full node, with `cell` in its place, to a new page; returns the least
/// key of that part and its page.
fn split<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    id: PageId,
    kind: PageKind,
    at: usize,
    cell: Vec<u8>,
    is_last: bool,
) -> Result<(Vec<u8>, PageId), TableError> {
    let page = pages.page_of(id, kind)?;
    let (level, mut cells) = (layout::level(page), cells_of(page));
    let appended = is_last && at == cells.len();
    cells.insert(at.min(cells.len()), cell);
    // Keys that only grow fill their pages to the end; others leave room on both sides.
    let cut = if appended { cells.len() - 1 } else { middle_of(&cells) };
    let upper = cells.split_off(cut);
    let corrupt = || damaged(id, PageDamage::Content);

    let right = pages.allocate(kind, level)?;
    let page = pages.page_mut(right, kind)?;
    let (separator, fits) = if kind == PageKind::Branch {
        let (first, rest) = upper.split_first().ok_or_else(corrupt)?;
        layout::set_link(page, layout::reference(first, 0));
        (first[BRANCH_PREFIX..].to_vec(), slotted::rebuild(page, rest))
    } else {
        let first = upper.first().ok_or_else(corrupt)?;
        (first[LEAF_PREFIX..].to_vec(), slotted::rebuild(page, &upper))
    };
    if fits && slotted::rebuild(pages.page_mut(id, kind)?, &cells) {
        Ok((separator, right))
    } else {
        Err(corrupt())
    }
}

/// How many cells make up half of the bytes. There are at least two.
fn middle_of(cells: &[Vec<u8>]) -> usize {
    let half = cells.iter().map(Vec::len).sum::<usize>() / 2;
    let mut bytes = 0;
    let before = cells.iter().take_while(|cell| {
        bytes += cell.len();
        bytes < half
    });
    (before.count() + 1).min(cells.len() - 1)
}

fn cells_of(page: &[u8]) -> Vec<Vec<u8>> {
    (0..slotted::slots(page)).map(|at| slotted::cell(page, at).to_vec()).collect()
}

fn insert_cell<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    id: PageId,
    kind: PageKind,
    at: usize,
    cell: &[u8],
) -> Result<(), TableError> {
    let fits = slotted::insert_at(pages.page_mut(id, kind)?, at, cell);
    if fits { Ok(()) } else { Err(damaged(id, PageDamage::Content)) }
}

fn set_root<F: StorageFile>(pages: &mut Overlay<'_, F>, root: Option<PageId>) -> Result<(), TableError> {
    let mut directory = pages.directory()?;
    directory.root = root;
    pages.set_directory(&directory)
}
