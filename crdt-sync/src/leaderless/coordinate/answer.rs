//! What a read compares and unites.

/// What a replica holds of one key, as a read sees it: a state that can be compared by digest and united.
///
/// What is *not found* is an answer like any other: the state of a replica that never saw the key, or that saw it
/// removed. So a state says more than its value: it also tells what was removed, and a replica that removed a value
/// wins over one that still has it.
///
/// Laws, for states of one key:
///
/// - `unite` is commutative, associative and idempotent;
/// - equal digests mean equal visible states: to unite two states of equal digest leaves that digest as it is. What
///   they know of removals may differ;
/// - the union of `theirs` and `ours.lacking(theirs)` has the digest of the union of `theirs` and `ours`.
///
/// ```
/// use crdt_sync::leaderless::coordinate::{Answer, Digest};
///
/// /// A register that only grows.
/// #[derive(Clone)]
/// struct Highest(Option<u64>);
///
/// impl Answer for Highest {
///     fn digest(&self) -> Digest {
///         self.0.map_or(Digest::NotFound, |value| Digest::Of(value.into()))
///     }
///     fn unite(&mut self, other: &Self) {
///         self.0 = self.0.max(other.0);
///     }
///     fn lacking(&self, theirs: &Self) -> Option<Self> {
///         (self.0 > theirs.0).then(|| self.clone())
///     }
/// }
///
/// let (mut mine, theirs) = (Highest(None), Highest(Some(7)));
/// assert_eq!(mine.digest(), Digest::NotFound);
/// assert!(theirs.lacking(&mine).is_some() && mine.lacking(&theirs).is_none());
/// mine.unite(&theirs);
/// assert_eq!(mine.digest(), theirs.digest());
/// ```
pub trait Answer: Clone {
    /// The digest of what is visible. It is computed here, from the state itself, and never taken from the wire.
    fn digest(&self) -> Digest;

    /// Takes in what `other` knows.
    fn unite(&mut self, other: &Self);

    /// What `theirs` lacks of this state, as a state; `None` if to unite it would not change what is visible there.
    fn lacking(&self, theirs: &Self) -> Option<Self>;
}

/// What stands for a state when it is compared: two replicas whose digests are equal show the same.
///
/// ```
/// use crdt_sync::leaderless::coordinate::Digest;
/// assert_ne!(Digest::NotFound, Digest::Of(0)); // nothing is not the same as anything
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// There is nothing under the key. It is the same at every replica.
    NotFound,
    /// The digest of what there is.
    Of(u128),
}
