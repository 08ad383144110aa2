//! How a set of elements is written: per replica the live dots as ranges, then the elements in that order.
//!
//! So a dot without neighbours costs two bytes, and one among many nothing. The order is that of the dots and does not
//! depend on how a set keeps its elements.

use alloc::vec::Vec;
use core::fmt;
use core::hash::Hash;
use core::marker::PhantomData;

use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ElementStore;
use super::rows::Row;
use crate::ReplicaId;
use crate::clock::Ranges;
use crate::hashing::hash_one;

impl<T: Serialize> Serialize for ElementStore<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<_> = self.rows.iter().map(|row| RowForm { store: self, row }).collect();
        serializer.collect_seq(rows)
    }
}

/// (replica, ranges, elements)
struct RowForm<'a, T> {
    store: &'a ElementStore<T>,
    row: &'a Row,
}

impl<T: Serialize> Serialize for RowForm<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_tuple(3)?;
        parts.serialize_element(&self.row.id)?;
        parts.serialize_element(&Ranges::from_canonical(self.row.pages.ranges()))?;
        parts.serialize_element(&Elements(self))?;
        parts.end()
    }
}

struct Elements<'a, T>(&'a RowForm<'a, T>);

impl<T: Serialize> Serialize for Elements<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;

        let RowForm { store, row } = self.0;
        let mut elements = serializer.serialize_seq(Some(row.pages.len()))?;
        for (_, slot) in row.pages.iter() {
            elements.serialize_element(store.arena.element(slot))?;
        }
        elements.end()
    }
}

impl<'de, T: Eq + Hash + Deserialize<'de>> Deserialize<'de> for ElementStore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ReplicasAscending(PhantomData))
    }
}

struct ReplicasAscending<T>(PhantomData<T>);

impl<'de, T: Eq + Hash + Deserialize<'de>> Visitor<'de> for ReplicasAscending<T> {
    type Value = ElementStore<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("replicas, strictly ascending, each with ranges of counters and as many elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut reading = Reading { store: ElementStore::new(), hashes: Vec::new(), last: None };
        while seq.next_element_seed(&mut reading)?.is_some() {}
        let Reading { mut store, hashes, .. } = reading;
        store.link_appended(0, &hashes);
        Ok(store)
    }
}

/// A store being read: elements go where they will stay, and are indexed when all are there.
struct Reading<T> {
    store: ElementStore<T>,
    hashes: Vec<u64>,
    last: Option<ReplicaId>,
}

impl<'de, T: Eq + Hash + Deserialize<'de>> DeserializeSeed<'de> for &mut Reading<T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_tuple(3, self)
    }
}

/// One replica's row.
impl<'de, T: Eq + Hash + Deserialize<'de>> Visitor<'de> for &mut Reading<T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a replica, its live counters as ranges, and as many elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let replica: ReplicaId = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        if self.last.is_some_and(|last| last >= replica) {
            return Err(A::Error::custom("replicas are not strictly ascending"));
        }
        self.last = Some(replica);
        let ranges: Ranges = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        let row = self.store.rows.number_of(replica);
        let elements = InCounterOrder { reading: &mut *self, row, ranges };
        seq.next_element_seed(elements)?.ok_or_else(|| A::Error::invalid_length(2, &self))
    }
}

struct InCounterOrder<'a, T> {
    reading: &'a mut Reading<T>,
    row: u32,
    ranges: Ranges,
}

impl<'de, T: Eq + Hash + Deserialize<'de>> DeserializeSeed<'de> for InCounterOrder<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Eq + Hash + Deserialize<'de>> Visitor<'de> for InCounterOrder<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one element for each live dot")
    }

    /// Grows with what arrives, whatever number of dots the ranges claim.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { reading, row, ranges } = self;
        for range in ranges.as_slice() {
            for counter in range.start..=range.end {
                let Some(element) = seq.next_element::<T>()? else {
                    return Err(A::Error::custom("fewer elements than live dots"));
                };
                reading.hashes.push(hash_one(&element));
                reading.store.arena.push(element, (row, counter));
            }
        }
        match seq.next_element::<T>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("more elements than live dots")),
        }
    }
}
