//! Large maps, which have an index, beside the plain walk over all keys; and what a small change to them costs.

mod costs;
mod histories;
mod lent;

use super::*;
use crate::{CausalContext, ReplicaId};

fn replica(number: usize) -> ReplicaId {
    ReplicaId::from_bytes([[0xaa, 0xbb, 0xcc][number]; 16])
}

fn dot(counter: u64) -> Dot {
    Dot::new(replica(0), counter).unwrap()
}

impl<K, S> DotMap<K, S> {
    fn without_index(mut self) -> Self {
        self.kept.index = None;
        self
    }
}

/// So many keys, each under one dot of one replica.
fn elements<K: Ord + Clone>(count: u32, key: impl Fn(u32) -> K) -> Causal<DotMap<K, DotSet>> {
    let entries = (0..count).map(|number| (key(number), DotSet::from(dot(u64::from(number) + 1))));
    Causal::delta(entries.collect(), CausalContext::new())
}
