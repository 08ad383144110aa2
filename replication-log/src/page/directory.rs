//! Page 1: where the table keeps its roots and counts.

use super::{
    format::PageId,
    layout::{self, HEADER_BYTES},
};
use crate::segment::read_le;

const ROOT: usize = HEADER_BYTES;
const FREE: usize = HEADER_BYTES + 4;
const ROOMY: usize = HEADER_BYTES + 8;
const PAGES: usize = HEADER_BYTES + 12;
const ROWS: usize = HEADER_BYTES + 16;

/// What the directory page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    /// The top of the index.
    pub(crate) root: Option<PageId>,
    /// The first page nobody uses; each links to the next one.
    pub(crate) free: Option<PageId>,
    /// The first heap page with room for any row.
    pub(crate) roomy: Option<PageId>,
    /// How many pages the file has, pages 0 and 1 included.
    pub(crate) pages: u32,
    /// How many rows the table has.
    pub(crate) rows: u64,
}

impl Directory {
    /// Of an empty table.
    pub(crate) const EMPTY: Self = Self { root: None, free: None, roomy: None, pages: 2, rows: 0 };

    pub(crate) fn read(page: &[u8]) -> Self {
        Self {
            root: layout::reference(page, ROOT),
            free: layout::reference(page, FREE),
            roomy: layout::reference(page, ROOMY),
            pages: read_le!(u32, page, PAGES),
            rows: read_le!(u64, page, ROWS),
        }
    }

    pub(crate) fn write(&self, page: &mut [u8]) {
        layout::set_reference(page, ROOT, self.root);
        layout::set_reference(page, FREE, self.free);
        layout::set_reference(page, ROOMY, self.roomy);
        page[PAGES..PAGES + 4].copy_from_slice(&self.pages.to_le_bytes());
        page[ROWS..ROWS + 8].copy_from_slice(&self.rows.to_le_bytes());
    }

    pub(crate) fn is_sound(&self) -> bool {
        let inside = |page: Option<PageId>| page.is_none_or(|page| page.get() > 1 && page.get() < self.pages);
        self.pages >= 2 && [self.root, self.free, self.roomy].into_iter().all(inside)
    }
}
