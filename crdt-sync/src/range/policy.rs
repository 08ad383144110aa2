//! How a side goes on with a range that differs: its own choice, which the peer need not know.

/// What is known about a range that differs. Digests are left out on purpose: a policy that looked
/// at them would do what a peer wants it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// The items of this side.
    pub ours: u64,
    /// The items of the peer, by its own account.
    pub theirs: u64,
}

/// What to do about a range that differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refinement {
    /// List a fingerprint of each item.
    List,
    /// Compare this many parts of it, with as equal numbers of items as can be. At least two, at
    /// most [`MAX_PARTS`](super::MAX_PARTS), and not more than there are items.
    Split(u32),
}

/// Chooses between listing and splitting.
///
/// It is asked only where there is a choice: where either side holds nothing, the range is settled
/// without it.
///
/// ```
/// use crdt_sync::range::{Comparison, Refinement, RefinementPolicy};
///
/// struct FewBytes;
/// impl RefinementPolicy for FewBytes {
///     fn refine(&self, comparison: Comparison) -> Refinement {
///         if comparison.ours <= 8 { Refinement::List } else { Refinement::Split(4) }
///     }
/// }
/// ```
pub trait RefinementPolicy {
    /// What to do about a range.
    fn refine(&self, comparison: Comparison) -> Refinement;
}

/// Splits into a fixed number of parts and lists what is small: by default 16 parts and up to twice as
/// many items, the fewest turns for their bytes as others measured for range-based set
/// reconciliation (Meyer, 2023).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FanOut {
    /// Into how many parts.
    pub parts: u32,
    /// Up to how many items are listed.
    pub list_up_to: u64,
}

impl Default for FanOut {
    fn default() -> Self {
        Self { parts: 16, list_up_to: 32 }
    }
}

impl RefinementPolicy for FanOut {
    fn refine(&self, comparison: Comparison) -> Refinement {
        if comparison.ours <= self.list_up_to { Refinement::List } else { Refinement::Split(self.parts) }
    }
}
