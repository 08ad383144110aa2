//! How [`DotRuns`] is written: per replica its runs in order, each as (counters skipped, dots - 1, amount).
//!
//! Unsorted, overlapping and empty runs have no such form. What is left to refuse: a run past the last counter, an
//! amount of zero, two runs that are one, and amounts that no sum can hold.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroI64;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::DotRuns;
use super::dot_runs::Run;
use crate::ReplicaId;

impl Serialize for DotRuns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let replicas: Vec<_> = self.runs().chunk_by(|a, b| a.replica == b.replica).collect();
        serializer.collect_seq(replicas.into_iter().map(|runs| (runs[0].replica, OfOneReplica(runs))))
    }
}

struct OfOneReplica<'a>(&'a [Run]);

impl Serialize for OfOneReplica<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut last = 0;
        serializer.collect_seq(self.0.iter().map(|run| {
            let skipped = run.first - last - 1;
            last = run.last;
            (skipped, run.last - run.first, run.amount)
        }))
    }
}

impl<'de> Deserialize<'de> for DotRuns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let runs: Self = deserializer.deserialize_seq(ReplicasAscending)?;
        if runs.magnitude() > Self::MAX_MAGNITUDE {
            return Err(D::Error::custom("the amounts add up to more than a counter holds"));
        }
        Ok(runs)
    }
}

struct ReplicasAscending;

impl<'de> Visitor<'de> for ReplicasAscending {
    type Value = DotRuns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("replicas, strictly ascending, each with at least one run of amounts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<DotRuns, A::Error> {
        let mut runs = DotRuns::new();
        while let Some((replica, spans)) = seq.next_element::<(ReplicaId, Spans)>()? {
            for Span { first, last, amount } in spans.0 {
                if !runs.push(Run { replica, first, last, amount }) {
                    return Err(A::Error::custom("replicas are not strictly ascending"));
                }
            }
        }
        Ok(runs)
    }
}

struct Span {
    first: u64,
    last: u64,
    amount: NonZeroI64,
}

/// One replica's runs, in order.
struct Spans(Vec<Span>);

impl<'de> Deserialize<'de> for Spans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SkipsAndRuns)
    }
}

struct SkipsAndRuns;

impl<'de> Visitor<'de> for SkipsAndRuns {
    type Value = Spans;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("at least one run as (counters skipped, dots - 1, amount)")
    }

    /// Grows with what arrives, whatever length the input claims.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Spans, A::Error> {
        let mut spans: Vec<Span> = Vec::new();
        while let Some((skipped, more, amount)) = seq.next_element::<(u64, u64, NonZeroI64)>()? {
            let before = spans.last().map_or(0, |span| span.last);
            if skipped == 0 && spans.last().is_some_and(|span| span.amount == amount) {
                return Err(A::Error::custom("two runs that are one"));
            }
            let first = before.checked_add(skipped).and_then(|last| last.checked_add(1));
            let last = first.and_then(|first| first.checked_add(more));
            let (Some(first), Some(last)) = (first, last) else {
                return Err(A::Error::custom("a run passes the last counter"));
            };
            spans.push(Span { first, last, amount });
        }
        if spans.is_empty() {
            return Err(A::Error::invalid_length(0, &self));
        }
        Ok(Spans(spans))
    }
}
