//! The sketch of a partition's items, made when it is first asked for.

use alloc::vec::Vec;

use crate::merkle::{ItemSketch, KeyHash, TreeKey};
use crate::sketch;

/// How many cells of a sketch are kept up: 24 KiB, which show about 1,500 differences. What differs more goes
/// by the tree, at a cost per difference that hardly matters then.
const SKETCH_CELLS: usize = 2_048;
/// Of fewer items a sketch is made anew each time.
const MANY: usize = 256;

/// What became of an item: its hash, its digest then and its digest now. `None` stands for one that is not there.
pub(super) type Change = (KeyHash, Option<u128>, Option<u128>);

/// Shows few differences without a walk of the tree, to whoever asks for it: sessions do.
///
/// Keeping it up costs every change about as much as the tree does. So it is kept up only once somebody asked for it
/// while there were many items: a node that catches up by entries, or that is filled by its first session, does not
/// pay for it. Whoever asks first waits until it is made of all items: about two fifths of a microsecond for each.
#[derive(Debug)]
pub(super) struct LazySketch {
    key: TreeKey,
    kept: Option<ItemSketch>,
}

impl LazySketch {
    pub(super) fn new(key: &TreeKey) -> Self {
        Self { key: key.clone(), kept: None }
    }

    /// Whether it is kept up, so that its cells are at hand.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// An item changed: `None` stands for one that is not there.
    pub(super) fn note(&mut self, hash: KeyHash, old: Option<u128>, new: Option<u128>) {
        if let Some(kept) = &mut self.kept {
            kept.note(hash, old, new);
        }
    }

    /// The cells of all items as they were before these changes; `items` are those of now, with their digests.
    /// O(noted changes), or O(items) the first time and for few.
    ///
    /// There is a sketch of every size that is allowed, and without one sessions go by the tree.
    pub(super) fn cells(
        &mut self,
        items: impl ExactSizeIterator<Item = (KeyHash, u128)>,
        since: &[Change],
    ) -> Option<Vec<sketch::Cell>> {
        let is_kept = self.kept.is_some() || items.len() >= MANY;
        let mut sketch = if let Some(kept) = self.kept.take() {
            kept
        } else {
            let mut made = ItemSketch::new(&self.key, SKETCH_CELLS).ok()?;
            items.for_each(|(hash, digest)| made.note(hash, None, Some(digest)));
            made
        };
        // A sketch is a sum: what is taken back can be put on top again.
        for (hash, then, now) in since {
            sketch.note(*hash, *now, *then);
        }
        let cells = sketch.cells().to_vec();
        for (hash, then, now) in since {
            sketch.note(*hash, *then, *now);
        }
        self.kept = is_kept.then_some(sketch);
        Some(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many items as are asked for, and a sketch of them.
    struct Items {
        all: Vec<(KeyHash, u128)>,
        sketch: LazySketch,
    }

    impl Items {
        fn new() -> Self {
            Self { all: Vec::new(), sketch: LazySketch::new(&TreeKey::new([7; 16])) }
        }

        fn add(&mut self, numbers: core::ops::Range<u64>) {
            for number in numbers {
                let hash = KeyHash::from_u128(u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64);
                self.sketch.note(hash, None, Some(number.into()));
                self.all.push((hash, number.into()));
            }
        }

        fn cells(&mut self) -> Vec<sketch::Cell> {
            self.sketch.cells(self.all.iter().copied(), &[]).expect("a sketch of an allowed size")
        }
    }

    #[test]
    fn a_sketch_that_was_kept_up_is_the_one_that_is_made_at_once() {
        let (mut kept, mut made) = (Items::new(), Items::new());
        let steps = [0, 10, MANY as u64 - 1, MANY as u64, 3_000];
        for step in steps.windows(2) {
            kept.add(step[0]..step[1]);
            kept.cells();
        }
        made.add(0..3_000);
        assert!(kept.sketch.kept.is_some() && made.sketch.kept.is_none());
        assert_eq!(kept.cells(), made.cells());
    }

    #[test]
    fn nothing_is_kept_up_for_few_items_or_before_somebody_asks() {
        let mut items = Items::new();
        items.add(0..MANY as u64 - 1);
        items.cells();
        assert!(items.sketch.kept.is_none(), "few items");
        items.add(MANY as u64 - 1..MANY as u64);
        assert!(items.sketch.kept.is_none(), "nobody asked");
        items.cells();
        assert!(items.sketch.kept.is_some());
    }

    #[test]
    fn a_sketch_of_before_leaves_the_kept_one_as_it_is() {
        let (mut items, mut then, mut now) = (Items::new(), Items::new(), Items::new());
        then.add(0..3_000);
        now.add(10..3_100);
        items.add(0..3_000);
        items.cells();
        items.all.drain(..10);
        items.add(3_000..3_100);
        let gone = then.all[..10].iter().map(|(hash, digest)| (*hash, Some(*digest), None));
        let came = now.all[2_990..].iter().map(|(hash, digest)| (*hash, None, Some(*digest)));
        gone.clone().for_each(|(hash, old, new)| items.sketch.note(hash, old, new));
        let since: Vec<Change> = gone.chain(came).collect();
        for _ in 0..2 {
            let before = items.sketch.cells(items.all.iter().copied(), &since);
            assert_eq!(before.expect("a sketch of an allowed size"), then.cells());
            assert_eq!(items.cells(), now.cells());
        }
    }
}
