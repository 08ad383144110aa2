//! Taking keys out of the index, and giving up nodes that have become empty or nearly so.

use alloc::vec::Vec;

use super::{Path, branch_cell, cells_of, child_at, descend, node, set_root};
use crate::{
    page::{
        error::{PageDamage, TableError},
        format::PageId,
        layout::{self, PageKind},
        overlay::Overlay,
        slotted,
        store::damaged,
    },
    storage::StorageFile,
};

/// Removes a key; nothing happens if it is not there.
///
/// A node that is empty is freed, and one that is less than a quarter full is merged with a
/// neighbour if both fit into one page. Between the two limits nothing moves, so that insertions and
/// removals that alternate do not split and merge the same node for ever.
pub(crate) fn remove<F: StorageFile>(pages: &mut Overlay<'_, F>, wanted: &[u8]) -> Result<(), TableError> {
    let Some(root) = pages.directory()?.root else {
        return Ok(());
    };
    let Path { mut steps, leaf, place, .. } = descend(pages, root, wanted)?;
    let Ok(at) = place else {
        return Ok(());
    };
    slotted::remove_at(pages.page_mut(leaf, PageKind::Leaf)?, at);
    let mut id = leaf;
    while let Some((parent, taken)) = steps.pop() {
        let page = node(pages, id, None)?;
        if is_empty(page) {
            remove_child(pages, parent, taken)?;
            pages.free(id)?;
        } else if slotted::live(page) >= slotted::capacity(page.len()) / 4
            || !(merge(pages, parent, taken)? || merge_with_previous(pages, parent, taken)?)
        {
            return Ok(());
        }
        id = parent;
    }
    shrink(pages, id)
}

/// A branch without cells still has a child, unless that is gone too.
fn is_empty(page: &[u8]) -> bool {
    slotted::slots(page) == 0 && (layout::level(page) == 0 || layout::link(page).is_none())
}

/// Gives up a root that does not choose between anything.
fn shrink<F: StorageFile>(pages: &mut Overlay<'_, F>, mut root: PageId) -> Result<(), TableError> {
    loop {
        let page = node(pages, root, None)?;
        if slotted::slots(page) > 0 {
            return set_root(pages, Some(root));
        }
        let below = if layout::level(page) == 0 { None } else { layout::link(page) };
        let level = layout::level(page).checked_sub(1);
        pages.free(root)?;
        set_root(pages, below)?;
        let Some(below) = below else {
            return Ok(());
        };
        node(pages, below, level)?;
        root = below;
    }
}

fn remove_child<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    parent: PageId,
    at: usize,
) -> Result<(), TableError> {
    let page = pages.page_mut(parent, PageKind::Branch)?;
    if at > 0 {
        slotted::remove_at(page, at - 1);
    } else if slotted::slots(page) == 0 {
        layout::set_link(page, None);
    } else {
        let second = super::child(page, 1);
        layout::set_link(page, second);
        slotted::remove_at(page, 0);
    }
    Ok(())
}

fn merge_with_previous<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    parent: PageId,
    at: usize,
) -> Result<bool, TableError> {
    at.checked_sub(1).map_or(Ok(false), |previous| merge(pages, parent, previous))
}

/// Moves all of child `at + 1` into child `at` if there is one and it fits.
fn merge<F: StorageFile>(pages: &mut Overlay<'_, F>, parent: PageId, at: usize) -> Result<bool, TableError> {
    let page = node(pages, parent, None)?;
    if at >= slotted::slots(page) {
        return Ok(false);
    }
    let (left, right) = (child_at(page, parent, at)?, child_at(page, parent, at + 1)?);
    let separator = super::key(page, at).to_vec();
    let level = layout::level(page).checked_sub(1);

    let page = node(pages, right, level)?;
    let mut moved = cells_of(page);
    if level != Some(0) {
        let first = child_at(page, right, 0)?;
        moved.insert(0, branch_cell(&separator, first));
    }
    let kind = if level == Some(0) { PageKind::Leaf } else { PageKind::Branch };
    let page = node(pages, left, level)?;
    let needed = moved.iter().map(|cell| cell.len() + 4).sum::<usize>();
    if left == right || needed > slotted::free(page) {
        return Ok(false);
    }
    let cells: Vec<Vec<u8>> = cells_of(page).into_iter().chain(moved).collect();
    if !slotted::rebuild(pages.page_mut(left, kind)?, &cells) {
        return Err(damaged(left, PageDamage::Content));
    }
    remove_child(pages, parent, at + 1)?;
    pages.free(right)?;
    Ok(true)
}
