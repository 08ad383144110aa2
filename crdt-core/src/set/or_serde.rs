//! How an [`OrSet`] is written: elements under their dots, per replica in counter order.
//!
//! Dots in order cost a byte each instead of a replica and a counter, and the order does not depend
//! on how a set keeps its elements.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::OrSet;
use crate::dotted::{Causal, DotMap, DotSet};
use crate::{CausalContext, Dot, InvalidCausal, ReplicaId};

impl<T: Serialize> Serialize for OrSet<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let elements = self.store().iter();
        let mut live: Vec<(Dot, &T)> =
            elements.flat_map(|(element, dots)| dots.iter().map(move |dot| (dot, element))).collect();
        live.sort_unstable_by_key(|(dot, _)| *dot);

        let mut parts = serializer.serialize_struct("OrSet", 2)?;
        parts.serialize_field("context", self.context())?;
        parts.serialize_field("live", &PerReplica(&live))?;
        parts.end()
    }
}

/// A sequence of (replica, its elements in counter order).
struct PerReplica<'a, T>(&'a [(Dot, &'a T)]);

impl<T: Serialize> Serialize for PerReplica<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let runs: Vec<_> = self.0.chunk_by(|(a, _), (b, _)| a.replica == b.replica).collect();
        serializer.collect_seq(runs.into_iter().map(|run| (run[0].0.replica, InCounterOrder(run))))
    }
}

/// A sequence of (counters skipped since the least possible one, element).
struct InCounterOrder<'a, T>(&'a [(Dot, &'a T)]);

impl<T: Serialize> Serialize for InCounterOrder<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut last = 0;
        serializer.collect_seq(self.0.iter().map(|(dot, element)| {
            let skipped = dot.counter() - last - 1;
            last = dot.counter();
            (skipped, element)
        }))
    }
}

impl<'de, T: Ord + Clone + Deserialize<'de>> Deserialize<'de> for OrSet<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// What the input claims, before the halves are held against each other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
struct Parts<T> {
    context: CausalContext,
    live: Live<T>,
}

impl<T: Ord + Clone> TryFrom<Parts<T>> for OrSet<T> {
    type Error = InvalidCausal;

    fn try_from(parts: Parts<T>) -> Result<Self, InvalidCausal> {
        let mut store = DotMap::new();
        for (dot, element) in parts.live.0 {
            let mut dots: DotSet = store.take(&element);
            dots.insert(dot);
            store.insert(element, dots);
        }
        Causal::from_parts(store, parts.context).map(Self::from)
    }
}

/// Elements under strictly ascending dots.
struct Live<T>(Vec<(Dot, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Live<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ReplicasAscending(PhantomData))
    }
}

struct ReplicasAscending<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ReplicasAscending<T> {
    type Value = Live<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("replicas, strictly ascending, each with at least one element")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Live<T>, A::Error> {
        let mut live: Vec<(Dot, T)> = Vec::new();
        while let Some((replica, elements)) = seq.next_element::<(ReplicaId, CountersAscending<T>)>()? {
            if live.last().is_some_and(|(last, _)| last.replica >= replica) {
                return Err(A::Error::custom("replicas are not strictly ascending"));
            }
            let dots = elements.0.into_iter();
            live.extend(dots.filter_map(|(counter, element)| Some((Dot::new(replica, counter)?, element))));
        }
        Ok(Live(live))
    }
}

/// One replica's elements under strictly ascending counters from 1.
struct CountersAscending<T>(Vec<(u64, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for CountersAscending<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Skips(PhantomData))
    }
}

struct Skips<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Skips<T> {
    type Value = CountersAscending<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("at least one pair of counters skipped and element")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        let mut last = 0_u64;
        while let Some((skipped, element)) = seq.next_element::<(u64, T)>()? {
            let counter = last.checked_add(skipped).and_then(|before| before.checked_add(1));
            last = counter.ok_or_else(|| A::Error::custom("a dot passes the last counter"))?;
            elements.push((last, element));
        }
        if elements.is_empty() {
            return Err(A::Error::invalid_length(0, &self));
        }
        Ok(CountersAscending(elements))
    }
}
