//! How much memory a value holds beyond itself.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::size_of;

use smallvec::SmallVec;

use crate::{Dot, Hlc, ReplicaId, Stamp};

/// The bytes a value keeps on the heap, not counting the value itself.
///
/// Counts what was asked of the allocator, spare capacity included, and not what the allocator adds. Meant for
/// budgets and dashboards: a walk over the elements for elements that own memory, O(1) for those that do not.
///
/// ```
/// use crdt_core::HeapSize;
///
/// assert_eq!(7_u64.heap_size(), 0);
/// assert!("plum".to_string().heap_size() >= 4);
/// ```
pub trait HeapSize {
    /// Whether values of this type can own memory at all; containers skip the walk where not.
    const OWNS_HEAP: bool = true;

    /// Bytes on the heap.
    fn heap_size(&self) -> usize;
}

/// What the items themselves own.
pub(crate) fn owned_by<'a, T: HeapSize + 'a>(items: impl Iterator<Item = &'a T>) -> usize {
    if T::OWNS_HEAP { items.map(HeapSize::heap_size).sum() } else { 0 }
}

macro_rules! plain {
    ($($plain:ty),*) => {$(
        impl HeapSize for $plain {
            const OWNS_HEAP: bool = false;

            fn heap_size(&self) -> usize {
                0
            }
        }
    )*};
}

plain!((), bool, char, u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);
plain!(&'static str, Dot, Hlc, ReplicaId, Stamp);

impl HeapSize for String {
    fn heap_size(&self) -> usize {
        self.capacity()
    }
}

impl<T: HeapSize> HeapSize for Vec<T> {
    fn heap_size(&self) -> usize {
        self.capacity() * size_of::<T>() + owned_by(self.iter())
    }
}

impl<T: HeapSize> HeapSize for Box<[T]> {
    fn heap_size(&self) -> usize {
        self.len() * size_of::<T>() + owned_by(self.iter())
    }
}

impl<T: HeapSize, const N: usize> HeapSize for SmallVec<[T; N]> {
    fn heap_size(&self) -> usize {
        let spilled = if self.spilled() { self.capacity() * size_of::<T>() } else { 0 };
        spilled + owned_by(self.iter())
    }
}

impl<T: HeapSize> HeapSize for Option<T> {
    const OWNS_HEAP: bool = T::OWNS_HEAP;

    fn heap_size(&self) -> usize {
        self.as_ref().map_or(0, HeapSize::heap_size)
    }
}

impl<A: HeapSize, B: HeapSize> HeapSize for (A, B) {
    const OWNS_HEAP: bool = A::OWNS_HEAP || B::OWNS_HEAP;

    fn heap_size(&self) -> usize {
        self.0.heap_size() + self.1.heap_size()
    }
}
