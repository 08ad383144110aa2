//! Cells of any length in a page: a directory of slots grows from the header up, the cells grow from
//! the end of the page down.
//!
//! Heap pages name a cell by its slot, which never moves; index pages keep their slots in the order
//! of the keys. The scheme is that of every relational engine since System R.

use alloc::vec::Vec;

use super::layout::{HEADER_BYTES, get_u16, set_u16};

const SLOT_BYTES: usize = 4;
const SLOTS: usize = 12;
const CELLS: usize = 24;
const DEAD: usize = 26;

/// The bytes of a page behind its header.
pub(crate) fn capacity(page_bytes: usize) -> usize {
    page_bytes - HEADER_BYTES
}

/// The largest cell: with its slot it takes a quarter of the page.
pub(crate) fn max_cell(page_bytes: usize) -> usize {
    capacity(page_bytes) / 4 - SLOT_BYTES
}

/// The number of slots, free ones included.
pub(crate) fn slots(page: &[u8]) -> usize {
    get_u16(page, SLOTS)
}

/// The bytes at the end of the page that hold cells, dead ones included. An overflow page counts its
/// content here.
pub(crate) fn cells(page: &[u8]) -> usize {
    get_u16(page, CELLS)
}

pub(crate) fn set_cells(page: &mut [u8], bytes: usize) {
    set_u16(page, CELLS, bytes);
}

pub(crate) fn dead(page: &[u8]) -> usize {
    get_u16(page, DEAD)
}

/// What cells and slots take, without what compaction would win.
pub(crate) fn live(page: &[u8]) -> usize {
    (slots(page) * SLOT_BYTES + cells(page)).saturating_sub(dead(page))
}

/// What is free, for cells and their slots, after compaction.
pub(crate) fn free(page: &[u8]) -> usize {
    capacity(page.len()).saturating_sub(live(page))
}

/// Where the cell of a slot is: offset and length. The offset of a free slot is 0.
pub(crate) fn slot(page: &[u8], index: usize) -> (usize, usize) {
    let at = HEADER_BYTES + index * SLOT_BYTES;
    (get_u16(page, at), get_u16(page, at + 2))
}

fn set_slot(page: &mut [u8], index: usize, offset: usize, length: usize) {
    let at = HEADER_BYTES + index * SLOT_BYTES;
    set_u16(page, at, offset);
    set_u16(page, at + 2, length);
}

/// The cell of a slot; empty for a free slot or one that does not exist.
pub(crate) fn cell(page: &[u8], index: usize) -> &[u8] {
    if index >= slots(page) {
        return &[];
    }
    let (offset, length) = slot(page, index);
    &page[offset..offset + length]
}

pub(crate) fn cell_mut(page: &mut [u8], index: usize) -> &mut [u8] {
    if index >= slots(page) {
        return &mut [];
    }
    let (offset, length) = slot(page, index);
    &mut page[offset..offset + length]
}

/// Inserts a cell as slot `index` and moves later slots up by one; false when there is no room.
#[must_use]
pub(crate) fn insert_at(page: &mut [u8], index: usize, bytes: &[u8]) -> bool {
    if free(page) < SLOT_BYTES + bytes.len() || index > slots(page) {
        return false;
    }
    make_contiguous(page, SLOT_BYTES + bytes.len());
    let count = slots(page);
    let at = HEADER_BYTES + index * SLOT_BYTES;
    page.copy_within(at..HEADER_BYTES + count * SLOT_BYTES, at + SLOT_BYTES);
    set_u16(page, SLOTS, count + 1);
    place(page, index, bytes);
    true
}

/// Removes slot `index` and moves later slots down by one.
pub(crate) fn remove_at(page: &mut [u8], index: usize) {
    let count = slots(page);
    if index < count {
        release(page, index);
        let at = HEADER_BYTES + index * SLOT_BYTES;
        page.copy_within(at + SLOT_BYTES..HEADER_BYTES + count * SLOT_BYTES, at);
        set_u16(page, SLOTS, count - 1);
    }
}

/// Puts a cell into the first free slot and returns the slot; `None` when there is no room.
pub(crate) fn put(page: &mut [u8], bytes: &[u8]) -> Option<usize> {
    let count = slots(page);
    match (0..count).find(|&index| slot(page, index).0 == 0) {
        None => insert_at(page, count, bytes).then_some(count),
        Some(_) if free(page) < bytes.len() => None,
        Some(index) => {
            make_contiguous(page, bytes.len());
            place(page, index, bytes);
            Some(index)
        }
    }
}

/// Frees a slot without moving others. Free slots at the end of the directory disappear.
pub(crate) fn clear(page: &mut [u8], index: usize) {
    if index >= slots(page) {
        return;
    }
    release(page, index);
    set_slot(page, index, 0, 0);
    let mut count = slots(page);
    while count > 0 && slot(page, count - 1).0 == 0 {
        count -= 1;
    }
    set_u16(page, SLOTS, count);
}

/// Gives a slot another cell: over the old one if it is as long. False, and nothing changed, when
/// there is no room.
#[must_use]
pub(crate) fn replace(page: &mut [u8], index: usize, bytes: &[u8]) -> bool {
    let old = cell(page, index).len();
    if old == bytes.len() {
        cell_mut(page, index).copy_from_slice(bytes);
        return true;
    }
    if free(page) + old < bytes.len() {
        return false;
    }
    release(page, index);
    set_slot(page, index, 0, 0);
    make_contiguous(page, bytes.len());
    place(page, index, bytes);
    true
}

/// Writes a cell below all others and points the slot at it. There is room.
fn place(page: &mut [u8], index: usize, bytes: &[u8]) {
    let used = cells(page) + bytes.len();
    let offset = page.len() - used;
    page[offset..offset + bytes.len()].copy_from_slice(bytes);
    set_slot(page, index, offset, bytes.len());
    set_cells(page, used);
}

/// Gives a cell's bytes up: at once if it is the lowest one, else as dead bytes.
fn release(page: &mut [u8], index: usize) {
    let (offset, length) = slot(page, index);
    if offset == 0 {
        return;
    }
    let used = cells(page);
    if offset == page.len() - used {
        set_cells(page, used - length);
    } else {
        set_u16(page, DEAD, dead(page) + length);
    }
}

/// Compacts the page if there is not that much room between slots and cells.
fn make_contiguous(page: &mut [u8], wanted: usize) {
    let gap = capacity(page.len()) - slots(page) * SLOT_BYTES - cells(page);
    if gap >= wanted {
        return;
    }
    let kept: Vec<Vec<u8>> = (0..slots(page)).map(|index| cell(page, index).to_vec()).collect();
    set_cells(page, 0);
    set_u16(page, DEAD, 0);
    for (index, bytes) in kept.iter().enumerate().filter(|(_, bytes)| !bytes.is_empty()) {
        place(page, index, bytes);
    }
}

/// Replaces all cells. They fit.
#[must_use]
pub(crate) fn rebuild<B: AsRef<[u8]>>(page: &mut [u8], cells: &[B]) -> bool {
    set_u16(page, SLOTS, 0);
    set_cells(page, 0);
    set_u16(page, DEAD, 0);
    cells.iter().enumerate().all(|(index, bytes)| insert_at(page, index, bytes.as_ref()))
}
