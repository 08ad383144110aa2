//! The laws of [`Crdt`] and [`DeltaCrdt`] as code, to hold any type to them (feature `proptest`).
//!
//! Generate three states that replicas can *reach*, by replaying random histories rather than by
//! making up fields, and check:
//!
//! ```
//! use crdt_core::laws::{arb_context, check_laws};
//! use proptest::prelude::*;
//!
//! proptest!(|(a in arb_context(), b in arb_context(), c in arb_context())| {
//!     check_laws(&a, &b, &c)?;
//! });
//! ```

mod arb_maps;
mod arb_small;
mod strategies;

pub use arb_maps::{
    arb_bounded_counters, arb_counter_maps, arb_dotted_maps, arb_histories, arb_lww_maps, arb_map_maps,
    arb_or_maps, arb_reset_counters,
};
pub use arb_small::{
    arb_dw_flag, arb_ew_flag, arb_max_register, arb_min_register, arb_mv_register, arb_replicas, arb_rw_set,
    arb_two_phase_set,
};
pub use strategies::{arb_context, arb_dot, arb_replica};

use alloc::format;
use alloc::string::String;
use core::cmp::Ordering;
use core::fmt::{self, Debug};

use thiserror::Error;

use crate::crdt::order_from;
use crate::{Crdt, DeltaCrdt};

/// A law a mergeable type must obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Law {
    /// `a ⊔ b == b ⊔ a`
    Commutative,
    /// `(a ⊔ b) ⊔ c == a ⊔ (b ⊔ c)`
    Associative,
    /// `a ⊔ a == a`
    Idempotent,
    /// `a <= a ⊔ b`
    Inflationary,
    /// `a ⊔ bottom == a == bottom ⊔ a`, and `is_bottom` knows bottom
    BottomIsIdentity,
    /// `a <= b` exactly when `a ⊔ b == b`
    CompareAgreesWithMerge,
    /// `merge` says `Unchanged` exactly when the state is what it was
    ChangeTellsTheTruth,
    /// `merge_owned` does what `merge` does
    OwnedMergeAgrees,
    /// `b ⊔ a.delta_since(b.digest()) == b ⊔ a`, also when `b` has moved on since its digest
    DeltaComplete,
    /// the delta for a replica in an equal state is bottom
    DeltaExact,
    /// `a.delta_since(_) <= a`
    DeltaHonest,
    /// the merge of all parts of `split` is the whole
    PartsMakeTheWhole,
    /// no part of `split` can be left out, and bottom has none
    PartsIrredundant,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commutative => "a ⊔ b == b ⊔ a",
            Self::Associative => "(a ⊔ b) ⊔ c == a ⊔ (b ⊔ c)",
            Self::Idempotent => "a ⊔ a == a",
            Self::Inflationary => "a <= a ⊔ b",
            Self::BottomIsIdentity => "a ⊔ bottom == a == bottom ⊔ a, and is_bottom knows bottom",
            Self::CompareAgreesWithMerge => "a <= b exactly when a ⊔ b == b",
            Self::ChangeTellsTheTruth => "merge says Unchanged exactly when the state is what it was",
            Self::OwnedMergeAgrees => "merge_owned does what merge does",
            Self::DeltaComplete => "b ⊔ a.delta_since(b.digest()) == b ⊔ a, also for an older digest of b",
            Self::DeltaExact => "the delta for a replica in an equal state is bottom",
            Self::DeltaHonest => "a.delta_since(_) <= a",
            Self::PartsMakeTheWhole => "the merge of all parts is the whole",
            Self::PartsIrredundant => "no part can be left out, and bottom has none",
        })
    }
}

/// A law that does not hold for the states it was checked on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{law:?} does not hold ({law})\n  found:    {found}\n  expected: {expected}")]
pub struct LawViolation {
    /// The law in question.
    pub law: Law,
    /// What came out, in debug form.
    pub found: String,
    /// What the law asks for, in debug form.
    pub expected: String,
}

/// Checks every law of [`Crdt`] on three states, in all three rotations.
///
/// ```
/// use core::cmp::Ordering;
/// use crdt_core::laws::{Law, check_laws};
/// use crdt_core::{Change, Crdt};
///
/// /// A tally that adds on merge: a repeated delivery counts twice.
/// #[derive(Clone, Debug, Default, PartialEq)]
/// struct Tally(u64);
///
/// impl Crdt for Tally {
///     fn merge(&mut self, other: &Self) -> Change {
///         self.0 += other.0;
///         Change::from(other.0 > 0)
///     }
///     fn compare(&self, other: &Self) -> Option<Ordering> {
///         Some(self.0.cmp(&other.0))
///     }
///     fn is_bottom(&self) -> bool {
///         self.0 == 0
///     }
/// }
///
/// let violation = check_laws(&Tally(1), &Tally(2), &Tally(3)).unwrap_err();
/// assert_eq!(violation.law, Law::Idempotent);
/// ```
pub fn check_laws<T: Crdt + Debug + PartialEq>(a: &T, b: &T, c: &T) -> Result<(), LawViolation> {
    for (a, b, c) in [(a, b, c), (b, c, a), (c, a, b)] {
        let ab = join(a, b);
        same(Law::Commutative, &ab, &join(b, a))?;
        same(Law::Associative, &join(&ab, c), &join(a, &join(b, c)))?;
        same(Law::Idempotent, &join(a, a), a)?;
        let at_most = [Some(Ordering::Less), Some(Ordering::Equal)];
        for part in [a, b] {
            holds(Law::Inflationary, at_most.contains(&part.compare(&ab)), &ab, part)?;
        }
        check_bottom(a)?;
        check_compare(a, b)?;
        check_compare(a, &ab)?;
        check_change(a, b)?;
        check_change(&ab, b)?;
    }
    Ok(())
}

/// Checks every law of [`DeltaCrdt`] with `sender` and `receiver`, where the receiver may hear of
/// `meanwhile` between sending its digest and getting the delta.
///
/// The three take turns in all roles. The laws of [`Crdt`] are taken for granted: check them with
/// [`check_laws`].
///
/// ```
/// use crdt_core::dotted::{Causal, DotSet};
/// use crdt_core::laws::check_delta_laws;
/// use crdt_core::{CausalContext, Dot, ReplicaId};
///
/// let dot = Dot::new(ReplicaId::from_bytes([7; 16]), 1).unwrap();
/// let up = Causal::delta(DotSet::from(dot), CausalContext::new());
/// let down = Causal::delta(DotSet::new(), CausalContext::from(dot));
/// check_delta_laws(&down, &up, &Causal::default())?;
/// # Ok::<(), crdt_core::laws::LawViolation>(())
/// ```
pub fn check_delta_laws<T: DeltaCrdt + Debug + PartialEq>(
    sender: &T,
    receiver: &T,
    meanwhile: &T,
) -> Result<(), LawViolation> {
    for (a, b, c) in
        [(sender, receiver, meanwhile), (receiver, meanwhile, sender), (meanwhile, sender, receiver)]
    {
        for (sender, receiver) in [(a, b), (b, a)] {
            check_delta(sender, receiver, c)?;
        }
        let nothing = a.delta_since(&a.digest());
        holds(Law::DeltaExact, nothing.is_bottom(), &nothing, &T::default())?;
        check_split(a)?;
    }
    check_split(&T::default())
}

fn check_bottom<T: Crdt + Debug + PartialEq>(a: &T) -> Result<(), LawViolation> {
    let bottom = T::default();
    same(Law::BottomIsIdentity, &join(a, &bottom), a)?;
    same(Law::BottomIsIdentity, &join(&bottom, a), a)?;
    same(Law::BottomIsIdentity, &a.is_bottom(), &(*a == bottom))
}

fn check_compare<T: Crdt + Debug + PartialEq>(a: &T, b: &T) -> Result<(), LawViolation> {
    let ab = join(a, b);
    let order = order_from(ab == *b, ab == *a);
    same(Law::CompareAgreesWithMerge, &a.compare(b), &order)?;
    same(Law::CompareAgreesWithMerge, &b.compare(a), &order.map(Ordering::reverse))
}

fn check_change<T: Crdt + Debug + PartialEq>(a: &T, b: &T) -> Result<(), LawViolation> {
    let mut ab = a.clone();
    let change = ab.merge(b);
    same(Law::ChangeTellsTheTruth, &change.is_changed(), &(ab != *a))?;
    let mut owned = a.clone();
    same(Law::OwnedMergeAgrees, &owned.merge_owned(b.clone()), &change)?;
    same(Law::OwnedMergeAgrees, &owned, &ab)
}

fn check_delta<T: DeltaCrdt + Debug + PartialEq>(
    sender: &T,
    receiver: &T,
    meanwhile: &T,
) -> Result<(), LawViolation> {
    let delta = sender.delta_since(&receiver.digest());
    same(Law::DeltaComplete, &join(receiver, &delta), &join(receiver, sender))?;
    same(Law::DeltaHonest, &join(sender, &delta), sender)?;
    let later = join(receiver, meanwhile);
    same(Law::DeltaComplete, &join(&later, &delta), &join(&later, sender))
}

fn check_split<T: DeltaCrdt + Debug + PartialEq>(whole: &T) -> Result<(), LawViolation> {
    let parts = whole.split();
    let without = |left_out: Option<usize>| {
        let others = parts.iter().enumerate().filter(|(index, _)| Some(*index) != left_out);
        others.fold(T::default(), |sum, (_, part)| sum.merged(part))
    };
    same(Law::PartsMakeTheWhole, &without(None), whole)?;
    (0..parts.len()).try_for_each(|index| {
        let rest = without(Some(index));
        holds(Law::PartsIrredundant, rest != *whole, &parts, &rest)
    })?;
    holds(Law::PartsIrredundant, parts.iter().all(|part| !part.is_bottom()), &parts, whole)
}

fn join<T: Crdt>(a: &T, b: &T) -> T {
    a.clone().merged(b)
}

fn same<T: Debug + PartialEq>(law: Law, found: &T, expected: &T) -> Result<(), LawViolation> {
    holds(law, found == expected, found, expected)
}

fn holds(law: Law, holds: bool, found: &dyn Debug, expected: &dyn Debug) -> Result<(), LawViolation> {
    if holds {
        return Ok(());
    }
    Err(LawViolation { law, found: format!("{found:?}"), expected: format!("{expected:?}") })
}

#[cfg(test)]
mod tests;
