//! The traits every type of this crate implements: what merging promises.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::{BitOr, BitOrAssign};

/// Whether an operation changed the state it ran on.
///
/// A replica that merges what it already knows has nothing to write, send or announce. Combine
/// several with `|`.
///
/// ```
/// use crdt_core::Change;
///
/// assert!((Change::Unchanged | Change::Changed).is_changed());
/// assert!(!(Change::Unchanged | Change::from(false)).is_changed());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "an unchanged state needs no write, no send and no event"]
pub enum Change {
    /// The state is what it was.
    #[default]
    Unchanged,
    /// The state is different now.
    Changed,
}

impl Change {
    /// Whether this is [`Change::Changed`].
    pub const fn is_changed(self) -> bool {
        matches!(self, Self::Changed)
    }
}

impl From<bool> for Change {
    fn from(changed: bool) -> Self {
        if changed { Self::Changed } else { Self::Unchanged }
    }
}

/// Changed when either is.
impl BitOr for Change {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self::from(self.is_changed() || other.is_changed())
    }
}

impl BitOrAssign for Change {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// State that merges: a join semilattice with a least element.
///
/// Replicas change their own copy and exchange copies, or parts of them, in any order, any number
/// of times, over any route. They agree in the end because `merge` obeys these laws for all states
/// `a`, `b`, `c` that replicas can reach (writing `a ⊔ b` for `a` after merging `b`):
///
/// - commutative: `a ⊔ b == b ⊔ a`, so it does not matter who asks whom;
/// - associative: `(a ⊔ b) ⊔ c == a ⊔ (b ⊔ c)`, so it does not matter how updates are grouped;
/// - idempotent: `a ⊔ a == a`, so a repeated delivery is harmless;
/// - inflationary: `a <= a ⊔ b`, so nothing once learned is lost;
/// - bottom is the identity: `a ⊔ T::default() == a`, so a new replica starts from nothing;
/// - `compare` agrees with `merge`: `a <= b` exactly when `a ⊔ b == b`;
/// - [`Change`] tells the truth: `Unchanged` exactly when the state equals what it was.
///
/// The checker in `laws` (feature `proptest`) holds any type, also yours, to them.
///
/// Source: Shapiro, Preguiça, Baquero, Zawirski, "Conflict-free Replicated Data Types" (2011).
///
/// ```
/// use core::cmp::Ordering;
/// use crdt_core::{Change, Crdt};
///
/// /// The highest score ever seen.
/// #[derive(Clone, Debug, Default, PartialEq)]
/// struct HighScore(u64);
///
/// impl Crdt for HighScore {
///     fn merge(&mut self, other: &Self) -> Change {
///         let before = self.0;
///         self.0 = before.max(other.0);
///         Change::from(self.0 != before)
///     }
///     fn compare(&self, other: &Self) -> Option<Ordering> {
///         Some(self.0.cmp(&other.0))
///     }
///     fn is_bottom(&self) -> bool {
///         self.0 == 0
///     }
/// }
///
/// let (a, b, c) = (HighScore(3), HighScore(5), HighScore(4));
/// assert_eq!(a.clone().merged(&b), b.clone().merged(&a));
/// assert_eq!(a.clone().merged(&b).merged(&c), a.clone().merged(&b.clone().merged(&c)));
/// assert_eq!(a.clone().merged(&a), a);
/// assert!(a.compare(&a.clone().merged(&b)).is_some_and(Ordering::is_le));
/// assert_eq!(a.clone().merged(&HighScore::default()), a);
/// assert_eq!(a.compare(&b), Some(Ordering::Less));
/// assert_eq!(b.clone().merge(&a), Change::Unchanged);
/// ```
pub trait Crdt: Clone + Default {
    /// Takes in everything `other` knows, and says whether that changed anything.
    fn merge(&mut self, other: &Self) -> Change;

    /// [`merge`](Self::merge) for a caller that is done with `other`; types override it when
    /// moving is cheaper than copying.
    fn merge_owned(&mut self, other: Self) -> Change {
        self.merge(&other)
    }

    /// The merge of both as a value, for chaining.
    fn merged(mut self, other: &Self) -> Self {
        // What changed is visible in the value handed back.
        let _ = self.merge(other);
        self
    }

    /// The order of knowledge: `Less` when `other` knows all of `self` and more, `None` when each
    /// knows something the other does not.
    fn compare(&self, other: &Self) -> Option<Ordering>;

    /// Whether this is the state that knows nothing, `Self::default()`.
    fn is_bottom(&self) -> bool;
}

/// A [`Crdt`] that can say exactly what another replica lacks.
///
/// A delta is itself a state: merging it is merging, several merge into one, and losing or
/// repeating one is as harmless as losing or repeating a state. Beyond the laws of [`Crdt`]:
///
/// - complete: `b ⊔ a.delta_since(&b.digest()) == b ⊔ a`;
/// - exact: the delta for a replica in an equal state is bottom;
/// - safe when stale: a delta for an older digest of `b` still gives `b ⊔ a`;
/// - honest: the delta is part of its sender, `a.delta_since(_) <= a`;
/// - `split` decomposes: the merge of all parts is the whole, and no part can be left out.
///
/// Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018); Enes, Almeida,
/// Baquero, Leitão, "Efficient Synchronization of State-based CRDTs" (2019).
pub trait DeltaCrdt: Crdt {
    /// What a receiver tells about its state so that a sender can leave out the rest. Much smaller
    /// than the state.
    type Digest;

    /// A summary of everything this state knows.
    fn digest(&self) -> Self::Digest;

    /// The least state that brings the owner of `digest` up to this state.
    fn delta_since(&self, digest: &Self::Digest) -> Self;

    /// Parts that merge to the whole, none of which the others make redundant. Bottom has none.
    fn split(&self) -> Vec<Self>;
}

/// A 128-bit fingerprint of a state: equal exactly for equal states, zero for bottom.
///
/// It is the same on every platform and in every release of a format version, so replicas may
/// compare digests instead of states. It protects against accident, not against an adversary that
/// crafts states: equality of untrusted states is decided by [`Crdt::compare`].
pub trait VersionDigest {
    /// The fingerprint of this state.
    fn version_digest(&self) -> u128;
}

/// The lattice order from its two halves.
pub(crate) const fn order_from(at_most: bool, at_least: bool) -> Option<Ordering> {
    match (at_most, at_least) {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Less),
        (false, true) => Some(Ordering::Greater),
        (false, false) => None,
    }
}
