//! Reading the index in order of the keys.

use alloc::{collections::VecDeque, vec::Vec};
use core::ops::Bound;

use super::{address, child_at, child_of, key, node};
use crate::page::{
    error::{PageDamage, TableError},
    format::PageId,
    heap::Address,
    layout, slotted,
    store::{Source, damaged},
};

/// The keys of one leaf that are in the range, and where to go on.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) rows: VecDeque<(Vec<u8>, Address)>,
    /// The least key that may be in the next leaf; `None` when this is the last one.
    pub(crate) next: Option<Vec<u8>>,
}

/// The leaf in which `from` is or belongs, from there on.
///
/// Separators must stay between those above them, so `next` is above `from`: a scan passes every
/// separator at most once, whatever the pages hold.
pub(crate) fn stretch<S: Source>(
    source: &mut S,
    root: PageId,
    from: &Bound<Vec<u8>>,
) -> Result<Stretch, TableError> {
    let start: &[u8] = match from {
        Bound::Included(start) | Bound::Excluded(start) => start,
        Bound::Unbounded => &[],
    };
    let (mut id, mut level) = (root, None);
    let (mut low, mut high): (Vec<u8>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let page = node(source, id, level)?;
        let keys = slotted::slots(page);
        let inside = |key: &[u8]| key >= &low[..] && high.as_deref().is_none_or(|high| key < high);
        // The keys of a page ascend, so the outermost tell for all.
        if keys > 0 && !(inside(key(page, 0)) && inside(key(page, keys - 1))) {
            return Err(damaged(id, PageDamage::Content));
        }
        let Some(below) = layout::level(page).checked_sub(1) else {
            let mut rows = VecDeque::new();
            for at in 0..keys {
                let found = key(page, at);
                let included = match from {
                    Bound::Excluded(start) => found > &start[..],
                    Bound::Included(_) | Bound::Unbounded => found >= start,
                };
                if included {
                    let row = address(page, at).ok_or_else(|| damaged(id, PageDamage::Content))?;
                    rows.push_back((found.to_vec(), row));
                }
            }
            return Ok(Stretch { rows, next: high });
        };
        let at = child_of(page, start);
        if at > 0 {
            low = key(page, at - 1).to_vec();
        }
        if at < keys {
            high = Some(key(page, at).to_vec());
        }
        let next = child_at(page, id, at)?;
        (id, level) = (next, Some(below));
    }
}
