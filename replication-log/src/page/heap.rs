//! Rows in pages: a row keeps its address while it fits into its page.
//!
//! Pages with room for any row form a list, so that an insertion looks at one page, however many
//! there are. A page leaves it when less than a quarter is free and comes back when half of it is.

use alloc::vec::Vec;

use super::{
    error::{PageDamage, TableError},
    format::PageId,
    layout::{self, PageKind},
    overflow::{self, Chain},
    overlay::Overlay,
    slotted,
    store::{Source, damaged},
};
use crate::storage::StorageFile;

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) page: PageId,
    pub(crate) slot: u16,
}

/// The first byte of a row's cell.
const INLINE: u8 = 0;
const OUTSIDE: u8 = 1;

/// What a row's cell holds.
enum Row<'p> {
    Inline(&'p [u8]),
    Outside(Chain),
}

pub(crate) fn read<S: Source>(source: &mut S, at: Address) -> Result<Vec<u8>, TableError> {
    match row(source, at)? {
        Row::Inline(value) => Ok(value.to_vec()),
        Row::Outside(chain) => overflow::read(source, chain),
    }
}

pub(crate) fn insert<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    value: &[u8],
) -> Result<Address, TableError> {
    let cell = new_cell(pages, value)?;
    put_cell(pages, &cell)
}

/// Gives a row another value and returns where it is now: where it was, if it fits there.
pub(crate) fn update<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    at: Address,
    value: &[u8],
) -> Result<Address, TableError> {
    free_outside(pages, at)?;
    let cell = new_cell(pages, value)?;
    if slotted::replace(pages.page_mut(at.page, PageKind::Heap)?, at.slot.into(), &cell) {
        settle(pages, at.page)?;
        return Ok(at);
    }
    remove_cell(pages, at)?;
    put_cell(pages, &cell)
}

pub(crate) fn remove<F: StorageFile>(pages: &mut Overlay<'_, F>, at: Address) -> Result<(), TableError> {
    free_outside(pages, at)?;
    remove_cell(pages, at)
}

fn row<S: Source>(source: &mut S, at: Address) -> Result<Row<'_>, TableError> {
    let page = source.page_of(at.page, PageKind::Heap)?;
    match slotted::cell(page, at.slot.into()).split_first() {
        Some((&INLINE, value)) => Ok(Row::Inline(value)),
        Some((&OUTSIDE, chain)) => {
            Chain::decode(chain).map(Row::Outside).ok_or_else(|| damaged(at.page, PageDamage::Content))
        }
        _ => Err(damaged(at.page, PageDamage::Content)),
    }
}

/// The cell of a value, which is written to overflow pages first if it is too large for one.
fn new_cell<F: StorageFile>(pages: &mut Overlay<'_, F>, value: &[u8]) -> Result<Vec<u8>, TableError> {
    let mut cell = Vec::new();
    if value.len() < slotted::max_cell(pages.format().page_bytes()) {
        cell.push(INLINE);
        cell.extend_from_slice(value);
    } else {
        cell.push(OUTSIDE);
        cell.extend_from_slice(&overflow::write(pages, value)?.encode());
    }
    Ok(cell)
}

fn free_outside<F: StorageFile>(pages: &mut Overlay<'_, F>, at: Address) -> Result<(), TableError> {
    match row(pages, at)? {
        Row::Inline(_) => Ok(()),
        Row::Outside(chain) => overflow::free(pages, chain),
    }
}

fn put_cell<F: StorageFile>(pages: &mut Overlay<'_, F>, cell: &[u8]) -> Result<Address, TableError> {
    let id = if let Some(id) = pages.directory()?.roomy {
        id
    } else {
        let id = pages.allocate(PageKind::Heap, 0)?;
        list(pages, id)?;
        id
    };
    let slot = slotted::put(pages.page_mut(id, PageKind::Heap)?, cell);
    let slot = slot.and_then(|slot| u16::try_from(slot).ok());
    let slot = slot.ok_or_else(|| damaged(id, PageDamage::Content))?;
    settle(pages, id)?;
    Ok(Address { page: id, slot })
}

fn remove_cell<F: StorageFile>(pages: &mut Overlay<'_, F>, at: Address) -> Result<(), TableError> {
    slotted::clear(pages.page_mut(at.page, PageKind::Heap)?, at.slot.into());
    settle(pages, at.page)
}

/// Brings the lists in line with what is in a page now: free, with room, or neither.
fn settle<F: StorageFile>(pages: &mut Overlay<'_, F>, id: PageId) -> Result<(), TableError> {
    let page = pages.page_of(id, PageKind::Heap)?;
    let (empty, listed) = (slotted::slots(page) == 0, layout::is_listed(page));
    let (free, capacity) = (slotted::free(page), slotted::capacity(page.len()));
    if listed && (empty || free < capacity / 4) {
        unlist(pages, id)?;
    }
    if empty {
        pages.free(id)
    } else if !listed && free >= capacity / 2 {
        list(pages, id)
    } else {
        Ok(())
    }
}

/// Puts a page in front of the list of pages with room.
fn list<F: StorageFile>(pages: &mut Overlay<'_, F>, id: PageId) -> Result<(), TableError> {
    let mut directory = pages.directory()?;
    let first = directory.roomy;
    if let Some(first) = first {
        layout::set_back(pages.page_mut(first, PageKind::Heap)?, Some(id));
    }
    let page = pages.page_mut(id, PageKind::Heap)?;
    layout::set_listed(page, true);
    layout::set_link(page, first);
    layout::set_back(page, None);
    directory.roomy = Some(id);
    pages.set_directory(&directory)
}

/// Takes a page out of the list of pages with room.
fn unlist<F: StorageFile>(pages: &mut Overlay<'_, F>, id: PageId) -> Result<(), TableError> {
    let page = pages.page_mut(id, PageKind::Heap)?;
    let (back, link) = (layout::back(page), layout::link(page));
    layout::set_listed(page, false);
    layout::set_link(page, None);
    layout::set_back(page, None);
    if let Some(back) = back {
        layout::set_link(pages.page_mut(back, PageKind::Heap)?, link);
    } else {
        let mut directory = pages.directory()?;
        directory.roomy = link;
        pages.set_directory(&directory)?;
    }
    if let Some(link) = link {
        layout::set_back(pages.page_mut(link, PageKind::Heap)?, back);
    }
    Ok(())
}
