//! What must hold inside a page before anything in it is believed.
//!
//! A checksum says that bytes are as they were written, not by whom. Every page passes here once,
//! when it comes from a file or a peer; code behind it follows offsets without looking again.
//! References to other pages are checked where they are followed.

use super::{
    directory::Directory, error::PageDamage, format::PageId, index, layout, layout::PageKind, slotted,
};

/// Whether `page` is intact, is page `id` and holds what its kind holds. O(bytes).
pub(crate) fn check(page: &[u8], id: PageId) -> Result<PageKind, PageDamage> {
    let kind = layout::verify(page, id)?;
    let sound = match kind {
        PageKind::Directory => id == PageId::DIRECTORY && Directory::read(page).is_sound(),
        PageKind::Heap => cells_are_sound(page, 1, true),
        PageKind::Leaf => {
            layout::level(page) == 0 && cells_are_sound(page, index::LEAF_PREFIX, false) && is_ordered(page)
        }
        PageKind::Branch => {
            (1..=index::MAX_LEVEL).contains(&layout::level(page))
                && cells_are_sound(page, index::BRANCH_PREFIX, false)
                && is_ordered(page)
        }
        PageKind::Overflow => (1..=slotted::capacity(page.len())).contains(&slotted::cells(page)),
        PageKind::Free => true,
    };
    if sound { Ok(kind) } else { Err(PageDamage::Content) }
}

fn cells_are_sound(page: &[u8], shortest: usize, may_be_free: bool) -> bool {
    let (count, used) = (slotted::slots(page), slotted::cells(page));
    if count * 4 + used > slotted::capacity(page.len()) {
        return false;
    }
    let (start, longest) = (page.len() - used, slotted::max_cell(page.len()));
    let mut live = 0;
    for index in 0..count {
        let (offset, length) = slotted::slot(page, index);
        if offset == 0 {
            // A free slot at the end would have been given up.
            if !may_be_free || length != 0 || index + 1 == count {
                return false;
            }
        } else if offset < start || offset + length > page.len() || !(shortest..=longest).contains(&length) {
            return false;
        }
        live += length;
    }
    live + slotted::dead(page) == used
}

fn is_ordered(page: &[u8]) -> bool {
    (1..slotted::slots(page)).all(|at| index::key(page, at - 1) < index::key(page, at))
}
