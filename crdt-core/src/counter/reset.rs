//! The counter that can be reset, also under a key of a map.

use core::num::NonZeroI64;

use crate::dotted::{Causal, DotRuns, causal_type};
use crate::{CausalContext, DotsExhausted, Writer};

/// A counter that every replica may increment, decrement and reset, and that may be a value of an
/// [`OrMap`](crate::OrMap).
///
/// Each increment is a change of its own, under a dot of its own. A reset, or the removal of its key, removes exactly
/// the increments it has seen: what others count meanwhile stays and counts on from zero. A counter that keeps a total
/// per replica cannot do that; there the total comes back with the next increment.
///
/// Increments of equal amount in a row are kept as one (see [`DotRuns`]), so a million increments by one take as much
/// room as one. Increments of different amounts take an entry each, until a reset: with amounts that alternate, a
/// counter grows with each. Where nothing is ever reset, [`PnCounter`](crate::PnCounter) is smaller.
///
/// The value, every change and every merge cost O(entries), merging besides the ranges of the contexts.
///
/// Source: the causal counter of Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018), with one amount
/// per dot in place of a running total.
///
/// ```
/// use crdt_core::{Crdt, ReplicaId, ResetCounter, Writer};
///
/// let [ann, bob] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut a = ResetCounter::default();
/// a.increment(ann, 5)?;
/// let mut b = a.clone();
///
/// let counted = a.increment(ann, 2)?;
/// let reset = b.reset();
/// let _ = a.merge(&reset);
/// let _ = b.merge(&counted);
/// assert_eq!((a.value(), b.value()), (2, 2), "the 5 were seen by the reset, the 2 were not");
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct ResetCounter {
    causal: Causal<DotRuns>,
}

impl ResetCounter {
    /// Adds `amount` and returns the delta.
    ///
    /// Amount 0 changes nothing and gives the bottom delta. Takes one dot, and one more for each further 2⁶³ - 1.
    pub fn increment(&mut self, me: Writer<'_>, amount: u64) -> Result<Self, DotsExhausted> {
        self.count(me, amount, NonZeroI64::new)
    }

    /// Takes `amount` away; otherwise like [`increment`](Self::increment).
    pub fn decrement(&mut self, me: Writer<'_>, amount: u64) -> Result<Self, DotsExhausted> {
        self.count(me, amount, |step| NonZeroI64::new(-step))
    }

    /// Adds `amount`, which may be negative, under one dot and returns the delta. Amount 0 gives the bottom delta.
    pub fn add(&mut self, me: Writer<'_>, amount: i64) -> Result<Self, DotsExhausted> {
        let mut delta = Self::default();
        if let Some(amount) = NonZeroI64::new(amount) {
            self.write(me, amount, &mut delta)?;
        }
        Ok(delta)
    }

    /// Removes every increment and decrement seen here and returns the delta, whose context is exactly these: bottom
    /// if there are none.
    pub fn reset(&mut self) -> Self {
        let removed = self.causal.live();
        let (store, _) = self.causal.parts_mut();
        *store = DotRuns::new();
        Causal::delta(DotRuns::new(), removed).into()
    }

    /// The sum of all that was counted and not reset. O(entries).
    ///
    /// Exact: see [`DotRuns::total`].
    pub fn value(&self) -> i128 {
        self.store().total()
    }

    /// The amounts under their live dots.
    pub const fn store(&self) -> &DotRuns {
        self.causal.store()
    }

    /// Every increment and decrement seen, whether or not it was reset.
    pub const fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// Counts `amount` in steps that fit an entry.
    fn count(
        &mut self,
        me: Writer<'_>,
        amount: u64,
        entry: impl Fn(i64) -> Option<NonZeroI64>,
    ) -> Result<Self, DotsExhausted> {
        const GREATEST: u64 = i64::MAX.unsigned_abs();
        if u64::MAX - self.context().highest(me.id()) < amount.div_ceil(GREATEST) {
            return Err(DotsExhausted { replica: me.id() });
        }
        let mut delta = Self::default();
        let mut left = amount;
        while let Some(step) = entry(i64::try_from(left).unwrap_or(i64::MAX)) {
            self.write(me, step, &mut delta)?;
            left -= step.get().unsigned_abs();
        }
        Ok(delta)
    }

    /// Changes this counter as merging the delta would, and adds to the delta.
    fn write(&mut self, me: Writer<'_>, amount: NonZeroI64, delta: &mut Self) -> Result<(), DotsExhausted> {
        let dot = self.context().next_dot(me.id())?;
        for counter in [self, delta] {
            let (store, context) = counter.causal.parts_mut();
            store.insert(dot, amount);
            context.insert(dot);
        }
        Ok(())
    }
}

causal_type!(impl[] ResetCounter over DotRuns, tagged 0x0010);
