//! How a set of elements is written: per replica the live dots as ranges, then the elements in that order.
//!
//! So a dot without neighbours costs two bytes, and one among many nothing. The order is that of the dots and does not
//! depend on how a set keeps its elements.

use alloc::vec::Vec;
use core::fmt;
use core::hash::Hash;
use core::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
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
        let mut rows: Vec<(ReplicaId, Ranges)> = Vec::new();
        let mut elements: Vec<T> = Vec::new();
        while let Some((replica, ranges, row)) = seq.next_element::<(ReplicaId, Ranges, Vec<T>)>()? {
            if rows.last().is_some_and(|(last, _)| *last >= replica) {
                return Err(A::Error::custom("replicas are not strictly ascending"));
            }
            let count = |range: &crate::clock::Range| u128::from(range.end - range.start) + 1;
            if ranges.as_slice().iter().map(count).sum::<u128>() != row.len() as u128 {
                return Err(A::Error::custom("not as many elements as live dots"));
            }
            rows.push((replica, ranges));
            if elements.is_empty() {
                elements = row;
            } else {
                elements.extend(row);
            }
        }
        Ok(ElementStore::from_rows(&rows, elements))
    }
}

impl<T: Eq + Hash> ElementStore<T> {
    /// The set of these elements under these dots, both in order and as many.
    fn from_rows(rows: &[(ReplicaId, Ranges)], elements: Vec<T>) -> Self {
        let mut store = Self::new();
        let dots = rows.iter().flat_map(|(replica, ranges)| {
            let counters = ranges.as_slice().iter().flat_map(|range| range.start..=range.end);
            counters.map(|counter| (*replica, counter))
        });
        let hashes: Vec<u64> = elements.iter().map(hash_one).collect();
        store.arena.reserve(elements.len());
        let mut row = None;
        for (element, (replica, counter)) in elements.into_iter().zip(dots.clone()) {
            let number = match row {
                Some((known, number)) if known == replica => number,
                _ => store.rows.number_of(replica),
            };
            row = Some((replica, number));
            store.arena.push(element, (number, counter));
        }
        store.link_appended(0, &hashes, dots);
        store
    }
}
