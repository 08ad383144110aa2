//! What all causal types have in common, written once.

use crate::Crdt;

use super::{Causal, DotStore};

/// A type that is a [`Causal`] value under another name, with mutators of its own.
///
/// It converts from and to its two halves, so it can stand alone with a context of its own or be nested under a key of
/// a map whose context it shares ([`OrMap`](crate::OrMap)).
///
/// ```
/// use crdt_core::dotted::{Causal, CausalCrdt, DotSet, DotStore};
///
/// fn live_dots<C: CausalCrdt>(value: C) -> usize {
///     let causal: Causal<C::Store> = value.into();
///     causal.store().dots().dots().count()
/// }
///
/// assert_eq!(live_dots(Causal::<DotSet>::default()), 0);
/// ```
pub trait CausalCrdt: Crdt + From<Causal<Self::Store>> + Into<Causal<Self::Store>> {
    /// What is alive of it.
    type Store: DotStore;
}

impl<S: DotStore> CausalCrdt for Causal<S> {
    type Store = S;
}

/// Implements the traits of a causal type for a struct with the one field `causal: Causal<Store>`.
///
/// The struct itself derives `Clone`, `PartialEq`, `Eq` and, if the store's serde form is the type's, serde's traits
/// transparently. A type without a tag has no envelope of its own.
macro_rules! causal_type {
    (impl[$($generics:tt)*] $name:ident $([$($parameter:ident),+])? over $store:ty $(, tagged $tag:literal)?) => {
        /// Bottom: nothing happened yet.
        impl<$($generics)*> Default for $name $(<$($parameter),+>)? {
            fn default() -> Self {
                Self { causal: $crate::dotted::Causal::default() }
            }
        }

        impl<$($generics)*> From<$crate::dotted::Causal<$store>> for $name $(<$($parameter),+>)? {
            fn from(causal: $crate::dotted::Causal<$store>) -> Self {
                Self { causal }
            }
        }

        impl<$($generics)*> From<$name $(<$($parameter),+>)?> for $crate::dotted::Causal<$store> {
            fn from(value: $name $(<$($parameter),+>)?) -> Self {
                value.causal
            }
        }

        impl<$($generics)*> $crate::dotted::CausalCrdt for $name $(<$($parameter),+>)? {
            type Store = $store;
        }

        impl<$($generics)*> $crate::Crdt for $name $(<$($parameter),+>)? {
            fn merge(&mut self, other: &Self) -> $crate::Change {
                self.causal.merge(&other.causal)
            }

            fn merge_owned(&mut self, other: Self) -> $crate::Change {
                self.causal.merge_owned(other.causal)
            }

            fn compare(&self, other: &Self) -> Option<core::cmp::Ordering> {
                self.causal.compare(&other.causal)
            }

            fn is_bottom(&self) -> bool {
                self.causal.is_bottom()
            }
        }

        impl<$($generics)*> $crate::DeltaCrdt for $name $(<$($parameter),+>)? {
            type Digest = $crate::dotted::CausalDigest;

            fn digest(&self) -> Self::Digest {
                self.causal.digest()
            }

            fn delta_since(&self, digest: &Self::Digest) -> Self {
                self.causal.delta_since(digest).into()
            }

            fn split(&self) -> alloc::vec::Vec<Self> {
                self.causal.split().into_iter().map(Self::from).collect()
            }
        }

        impl<$($generics)*> $crate::TryMerge for $name $(<$($parameter),+>)? {
            fn changes_of(&self, replica: $crate::ReplicaId) -> u128 {
                self.causal.changes_of(replica)
            }

            fn check_merge(&self, other: &Self, me: $crate::ReplicaId) -> Result<(), $crate::MergeError> {
                self.causal.check_merge(&other.causal, me)
            }
        }

        impl<$($generics)*> $crate::Retire for $name $(<$($parameter),+>)? {
            fn retire(&mut self, retirement: &$crate::Retirement) -> Result<(), $crate::NotStable> {
                self.causal.retire(retirement)
            }
        }

        impl<$($generics)*> $crate::VersionDigest for $name $(<$($parameter),+>)?
        where
            $store: $crate::dotted::StoreDigest,
        {
            fn version_digest(&self) -> u128 {
                self.causal.version_digest()
            }
        }

        impl<$($generics)*> $crate::HeapSize for $name $(<$($parameter),+>)?
        where
            $store: $crate::HeapSize,
        {
            fn heap_size(&self) -> usize {
                self.causal.heap_size()
            }
        }

        impl<$($generics)*> core::fmt::Debug for $name $(<$($parameter),+>)?
        where
            $store: core::fmt::Debug,
        {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.causal.debug_as(stringify!($name), f)
            }
        }

        $crate::dotted::causal_type! { @envelope [$($generics)*] $name $([$($parameter),+])? $(, $tag)? }
    };
    (@envelope [$($generics:tt)*] $name:ident $([$($parameter:ident),+])?) => {};
    (@envelope [$($generics:tt)*] $name:ident $([$($parameter:ident),+])?, $tag:literal) => {
        #[cfg(feature = "serde")]
        impl<$($generics)*> $crate::codec::Encoded for $name $(<$($parameter),+>)?
        where
            Self: serde::Serialize + serde::de::DeserializeOwned,
        {
            const TYPE_TAG: u16 = $tag;
            const NAME: &str = stringify!($name);
        }
    };
}

pub(crate) use causal_type;
