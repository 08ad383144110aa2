//! Values too large for a heap page, in a chain of pages of their own.

use alloc::vec::Vec;

use super::{
    directory,
    error::{PageDamage, TableError},
    format::PageId,
    layout::{self, HEADER_BYTES, PageKind},
    overlay::Overlay,
    slotted,
    store::{Source, damaged},
};
use crate::{limits::MAX_ROW_VALUE_BYTES, segment::read_le, storage::StorageFile};

/// A value's length and its first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    length: u32,
    first: PageId,
}

impl Chain {
    pub(crate) fn encode(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..].copy_from_slice(&self.first.get().to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 8] = bytes.try_into().ok()?;
        let length = read_le!(u32, bytes, 0);
        let first = layout::reference(bytes, 4)?;
        (length as usize <= MAX_ROW_VALUE_BYTES).then_some(Self { length, first })
    }
}

/// The value. O(bytes), and never more than the file has.
pub(crate) fn read<S: Source>(source: &mut S, chain: Chain) -> Result<Vec<u8>, TableError> {
    let mut value = Vec::new();
    walk(source, chain, |_, content| value.extend_from_slice(content))?;
    Ok(value)
}

/// Writes a value that is not empty to new pages.
pub(crate) fn write<F: StorageFile>(pages: &mut Overlay<'_, F>, value: &[u8]) -> Result<Chain, TableError> {
    let capacity = slotted::capacity(pages.format().page_bytes());
    let length = u32::try_from(value.len())
        .map_err(|_| TableError::ValueTooLong { bytes: value.len(), limit: MAX_ROW_VALUE_BYTES })?;
    let (mut first, mut last) = (None, None);
    for content in value.chunks(capacity) {
        let id = pages.allocate(PageKind::Overflow, 0)?;
        let page = pages.page_mut(id, PageKind::Overflow)?;
        slotted::set_cells(page, content.len());
        page[HEADER_BYTES..HEADER_BYTES + content.len()].copy_from_slice(content);
        match last {
            None => first = Some(id),
            Some(last) => layout::set_link(pages.page_mut(last, PageKind::Overflow)?, Some(id)),
        }
        last = Some(id);
    }
    first.map(|first| Chain { length, first }).ok_or(TableError::Broken)
}

/// Frees a value's pages, the first one last: a new value of the same length gets the same pages in
/// the same order, and the log only what differs.
pub(crate) fn free<F: StorageFile>(pages: &mut Overlay<'_, F>, chain: Chain) -> Result<(), TableError> {
    let mut ids = Vec::new();
    walk(pages, chain, |id, _| ids.push(id))?;
    ids.into_iter().rev().try_for_each(|id| pages.free(id))
}

/// Visits the pages of a chain. All but the last are full, and there are no more than the file has: a
/// chain that is a circle ends before it has cost more than an honest one.
fn walk<S: Source>(
    source: &mut S,
    chain: Chain,
    mut visit: impl FnMut(PageId, &[u8]),
) -> Result<(), TableError> {
    let capacity = slotted::capacity(source.format().page_bytes());
    let (mut next, mut left) = (Some(chain.first), chain.length as usize);
    let mut at = chain.first;
    if left.div_ceil(capacity) > directory(source)?.pages as usize {
        return Err(damaged(at, PageDamage::Content));
    }
    while left > 0 {
        at = next.ok_or_else(|| damaged(at, PageDamage::Content))?;
        let page = source.page_of(at, PageKind::Overflow)?;
        let content = &page[HEADER_BYTES..HEADER_BYTES + slotted::cells(page)];
        if content.len() != left.min(capacity) {
            return Err(damaged(at, PageDamage::Content));
        }
        left -= content.len();
        next = layout::link(page);
        visit(at, content);
    }
    if next.is_some() { Err(damaged(at, PageDamage::Content)) } else { Ok(()) }
}
