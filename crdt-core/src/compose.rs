//! Several types as one: structs and tuples whose fields merge each for itself.
//!
//! A product of semilattices is a semilattice, so a struct of mergeable fields merges field by field, and a change of
//! one field is a delta of the whole in which the other fields are bottom. [`composite!`](crate::composite) writes the
//! impls; tuples of two to four have them already.

use core::cmp::Ordering;

use crate::{Crdt, FingerprintWriter, HeapSize, NotStable, Retire, Retirement, TryMerge, VersionDigest};

/// What the macros name, so that it is found wherever they are used.
#[doc(hidden)]
pub use alloc::vec::Vec;

/// The order of a product from the orders of its factors: they must not disagree.
///
/// ```
/// use core::cmp::Ordering::{Equal, Greater, Less};
/// use crdt_core::compose::product_order;
///
/// assert_eq!(product_order([Some(Equal), Some(Less)]), Some(Less));
/// assert_eq!(product_order([Some(Greater), Some(Less)]), None);
/// ```
pub fn product_order(orders: impl IntoIterator<Item = Option<Ordering>>) -> Option<Ordering> {
    orders.into_iter().try_fold(Ordering::Equal, |all, order| match (all, order?) {
        (Ordering::Equal, order) | (order, Ordering::Equal) => Some(order),
        (all, order) => (all == order).then_some(all),
    })
}

/// The part of a version digest that a field contributes: nothing when it is bottom, so that bottom has digest 0.
#[doc(hidden)]
pub fn field_digest<T: Crdt + VersionDigest>(name: &str, field: &T) -> u128 {
    if field.is_bottom() {
        return 0;
    }
    let mut part = FingerprintWriter::new(*b"field...");
    part.write(name);
    part.write(&field.version_digest());
    part.finish()
}

/// A field after a retirement of the whole, by the numbers of the field.
#[doc(hidden)]
pub fn field_retired<T: TryMerge + Retire>(field: &T, whole: &Retirement) -> Result<T, NotStable> {
    let mut field = field.clone();
    let part = whole.part(|replica| field.changes_to_retire(replica))?;
    field.retire(&part)?;
    Ok(field)
}

/// Defines a struct whose fields merge, and implements for it what they all have: [`Crdt`](crate::Crdt),
/// [`DeltaCrdt`](crate::DeltaCrdt), [`TryMerge`](crate::TryMerge), [`Retire`](crate::Retire),
/// [`VersionDigest`](crate::VersionDigest) and [`HeapSize`](crate::HeapSize).
///
/// The struct must be `Clone` and `Default`; attributes, visibilities and docs go through as they are written, so that
/// serde's derives and whatever else are added as usual. Types with parameters are not supported.
///
/// Fields are changed in place by their own mutators, and their deltas are wrapped with the other fields left at
/// bottom:
///
/// ```
/// use crdt_core::{Hlc, LwwRegister, OrSet, PnCounter, Replica, ReplicaId, Stamp, composite};
///
/// composite! {
///     /// A note that many may edit.
///     #[derive(Clone, Debug, Default, PartialEq)]
///     struct Note {
///         title: LwwRegister<String>,
///         tags: OrSet<String>,
///         likes: PnCounter,
///     }
/// }
///
/// let mut anns = Replica::new(ReplicaId::from_u128(1), Note::default())?;
/// let mut bobs = Replica::new(ReplicaId::from_u128(2), Note::default())?;
///
/// let stamp = Stamp { time: Hlc::new(5, 0), replica: anns.id() };
/// let title = anns.edit(|note, _| note.title.set(stamp, "Plum cake".into()))?;
/// let tags = bobs.edit(|note, me| note.tags.add(me, "cake".into()))?;
/// let likes = bobs.edit(|note, me| note.likes.increment(me, 1))?;
///
/// assert!(bobs.merge(&Note { title, ..Note::default() })?.is_changed());
/// assert!(anns.merge(&Note { tags, likes, ..Note::default() })?.is_changed());
/// assert_eq!(anns.state(), bobs.state());
/// assert_eq!((anns.title.get().map(String::as_str), anns.likes.value()), (Some("Plum cake"), 1));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// What holds for the whole:
///
/// - the digest is the tuple of the fields' digests, and `split` gives each field's parts;
/// - `try_merge` checks every field before it merges any;
/// - `changes_of` is the sum over all fields. A retirement names the sum of
///   [`changes_to_retire`](crate::Retire::changes_to_retire), which leaves out fields in which names stay, and gives
///   all fields one archive. It changes all fields or none;
/// - the names of fields are part of the version digest: renaming a field is a change of format.
#[macro_export]
macro_rules! composite {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type,)+
        }

        $crate::__composite_impls! { $name, [] [$(($field, $field, $type)),+] }

        impl $crate::HeapSize for $name {
            fn heap_size(&self) -> usize {
                0 $(+ $crate::HeapSize::heap_size(&self.$field))+
            }
        }
    };
}

/// The impls for a product: the type, its parameters, and for each field how to reach it, a name for it and its type.
#[doc(hidden)]
#[macro_export]
macro_rules! __composite_impls {
    ($name:ty, [$($parameter:ident)*] [$(($field:tt, $binding:ident, $type:ty)),+]) => {
        impl<$($parameter: $crate::Crdt),*> $crate::Crdt for $name {
            fn merge(&mut self, other: &Self) -> $crate::Change {
                $crate::Change::Unchanged $(| $crate::Crdt::merge(&mut self.$field, &other.$field))+
            }

            fn merge_owned(&mut self, other: Self) -> $crate::Change {
                $crate::Change::Unchanged $(| $crate::Crdt::merge_owned(&mut self.$field, other.$field))+
            }

            fn compare(&self, other: &Self) -> Option<core::cmp::Ordering> {
                $crate::compose::product_order([$($crate::Crdt::compare(&self.$field, &other.$field)),+])
            }

            fn is_bottom(&self) -> bool {
                true $(&& $crate::Crdt::is_bottom(&self.$field))+
            }
        }

        impl<$($parameter: $crate::DeltaCrdt),*> $crate::DeltaCrdt for $name {
            type Digest = ($(<$type as $crate::DeltaCrdt>::Digest,)+);

            fn digest(&self) -> Self::Digest {
                ($($crate::DeltaCrdt::digest(&self.$field),)+)
            }

            fn delta_since(&self, digest: &Self::Digest) -> Self {
                let ($($binding,)+) = digest;
                let mut delta = Self::default();
                $(delta.$field = $crate::DeltaCrdt::delta_since(&self.$field, $binding);)+
                delta
            }

            fn split(&self) -> $crate::compose::Vec<Self> {
                let mut parts = $crate::compose::Vec::new();
                $(parts.extend($crate::DeltaCrdt::split(&self.$field).into_iter().map(|part| {
                    let mut whole = Self::default();
                    whole.$field = part;
                    whole
                }));)+
                parts
            }
        }

        impl<$($parameter: $crate::TryMerge),*> $crate::TryMerge for $name {
            fn changes_of(&self, replica: $crate::ReplicaId) -> u128 {
                0_u128 $(.saturating_add($crate::TryMerge::changes_of(&self.$field, replica)))+
            }

            fn check_merge(&self, other: &Self, me: $crate::ReplicaId) -> Result<(), $crate::MergeError> {
                $($crate::TryMerge::check_merge(&self.$field, &other.$field, me)?;)+
                Ok(())
            }
        }

        impl<$($parameter: $crate::TryMerge + $crate::Retire),*> $crate::Retire for $name {
            fn retire(&mut self, retirement: &$crate::Retirement) -> Result<(), $crate::NotStable> {
                retirement.check(|replica| $crate::Retire::changes_to_retire(self, replica))?;
                $(let $binding = $crate::compose::field_retired(&self.$field, retirement)?;)+
                $(self.$field = $binding;)+
                Ok(())
            }

            fn changes_to_retire(&self, replica: $crate::ReplicaId) -> u128 {
                0_u128 $(.saturating_add($crate::Retire::changes_to_retire(&self.$field, replica)))+
            }
        }

        impl<$($parameter: $crate::Crdt + $crate::VersionDigest),*> $crate::VersionDigest for $name {
            fn version_digest(&self) -> u128 {
                0_u128 $(.wrapping_add($crate::compose::field_digest(stringify!($field), &self.$field)))+
            }
        }
    };
}

__composite_impls! { (A, B), [A B] [(0, a, A), (1, b, B)] }
__composite_impls! { (A, B, C), [A B C] [(0, a, A), (1, b, B), (2, c, C)] }
__composite_impls! { (A, B, C, D), [A B C D] [(0, a, A), (1, b, B), (2, c, C), (3, d, D)] }

impl<A: HeapSize, B: HeapSize, C: HeapSize> HeapSize for (A, B, C) {
    const OWNS_HEAP: bool = A::OWNS_HEAP || B::OWNS_HEAP || C::OWNS_HEAP;

    fn heap_size(&self) -> usize {
        self.0.heap_size() + self.1.heap_size() + self.2.heap_size()
    }
}

impl<A: HeapSize, B: HeapSize, C: HeapSize, D: HeapSize> HeapSize for (A, B, C, D) {
    const OWNS_HEAP: bool = A::OWNS_HEAP || B::OWNS_HEAP || C::OWNS_HEAP || D::OWNS_HEAP;

    fn heap_size(&self) -> usize {
        self.0.heap_size() + self.1.heap_size() + self.2.heap_size() + self.3.heap_size()
    }
}
