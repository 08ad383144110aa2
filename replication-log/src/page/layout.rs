//! The header every page but page 0 begins with.

use super::{
    error::PageDamage,
    format::{PAGE_FORMAT_VERSION, PageId},
};
use crate::{Lsn, checksum, segment::read_le};

/// The bytes in front of a page's content.
pub(crate) const HEADER_BYTES: usize = 40;

/// Where the checksum and the LSN stand: bytes that are no part of a change but follow from it.
pub(crate) const CHECKSUM_END: usize = 4;
pub(crate) const LSN_START: usize = 16;
pub(crate) const LSN_END: usize = 24;

const MAGIC: [u8; 2] = *b"PG";

/// What a page is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Directory = 1,
    Heap = 2,
    Leaf = 3,
    Branch = 4,
    Overflow = 5,
    Free = 6,
}

impl PageKind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Directory, Self::Heap, Self::Leaf, Self::Branch, Self::Overflow, Self::Free]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Makes zeros, or a page that was in use before, a page of this kind without content. Old content
/// stays as bytes that mean nothing: what is written over it changes fewer of them than zeros would.
pub(crate) fn format(page: &mut [u8], id: PageId, kind: PageKind, level: u8) {
    page[4..6].copy_from_slice(&MAGIC);
    page[6] = PAGE_FORMAT_VERSION;
    page[7] = kind as u8;
    page[8..12].copy_from_slice(&id.get().to_le_bytes());
    page[12..14].fill(0);
    page[14] = level;
    page[15] = 0;
    page[LSN_END..HEADER_BYTES].fill(0);
}

/// Stamps a changed page with the record that changed it.
pub(crate) fn seal(page: &mut [u8], lsn: Lsn) {
    page[LSN_START..LSN_END].copy_from_slice(&lsn.get().to_le_bytes());
    let checksum = checksum::extend(0, &page[CHECKSUM_END..]);
    page[..CHECKSUM_END].copy_from_slice(&checksum.to_le_bytes());
}

/// Whether these bytes were written as page `id`. What they hold is another question.
pub(crate) fn verify(page: &[u8], id: PageId) -> Result<PageKind, PageDamage> {
    let checksum = read_le!(u32, page, 0);
    if page[4..6] != MAGIC || checksum != checksum::extend(0, &page[CHECKSUM_END..]) {
        return Err(PageDamage::Checksum);
    }
    if page[6] != PAGE_FORMAT_VERSION {
        return Err(PageDamage::Version(page[6]));
    }
    if read_le!(u32, page, 8) != id.get() {
        return Err(PageDamage::Misplaced);
    }
    kind(page).ok_or(PageDamage::Kind)
}

pub(crate) fn checksum(page: &[u8]) -> u32 {
    read_le!(u32, page, 0)
}

pub(crate) fn kind(page: &[u8]) -> Option<PageKind> {
    PageKind::of(page[7])
}

pub(crate) fn lsn(page: &[u8]) -> Lsn {
    Lsn::new(read_le!(u64, page, LSN_START))
}

/// The height of an index node above the leaves.
pub(crate) fn level(page: &[u8]) -> u8 {
    page[14]
}

/// Whether a heap page is in the list of pages with room.
pub(crate) fn is_listed(page: &[u8]) -> bool {
    page[15] != 0
}

pub(crate) fn set_listed(page: &mut [u8], listed: bool) {
    page[15] = listed.into();
}

/// A reference to another page in the header: what it means depends on the kind.
pub(crate) fn link(page: &[u8]) -> Option<PageId> {
    reference(page, 28)
}

pub(crate) fn set_link(page: &mut [u8], to: Option<PageId>) {
    set_reference(page, 28, to);
}

/// The page before this one in the list of pages with room.
pub(crate) fn back(page: &[u8]) -> Option<PageId> {
    reference(page, 32)
}

pub(crate) fn set_back(page: &mut [u8], to: Option<PageId>) {
    set_reference(page, 32, to);
}

/// A page number; 0, which is no page to refer to, stands for none.
pub(crate) fn reference(page: &[u8], at: usize) -> Option<PageId> {
    let number = read_le!(u32, page, at);
    (number != 0).then_some(PageId::new(number))
}

pub(crate) fn set_reference(page: &mut [u8], at: usize, to: Option<PageId>) {
    page[at..at + 4].copy_from_slice(&to.map_or(0, PageId::get).to_le_bytes());
}

pub(crate) fn get_u16(page: &[u8], at: usize) -> usize {
    read_le!(u16, page, at).into()
}

/// Numbers inside a page are below 2^16: offsets and sizes within at most 64 KiB less a header.
pub(crate) fn set_u16(page: &mut [u8], at: usize, value: usize) {
    let bytes = value.to_le_bytes();
    page[at..at + 2].copy_from_slice(&bytes[..2]);
}
