//! Small universes: random values that meet, overlap and touch often.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{CausalContext, Dot, ReplicaId};

/// One of four replicas.
pub fn arb_replica() -> impl Strategy<Value = ReplicaId> {
    (0xa_u8..=0xd).prop_map(|digit| ReplicaId::from_bytes([digit << 4 | digit; 16]))
}

/// One of the first 16 dots of one of the four replicas.
pub fn arb_dot() -> impl Strategy<Value = Dot> {
    (arb_replica(), 1_u64..=16)
        .prop_filter_map("counters start at 1", |(replica, counter)| Dot::new(replica, counter))
}

/// Up to a dozen short ranges of the four replicas, with gaps; empty now and then.
pub fn arb_context() -> impl Strategy<Value = CausalContext> {
    vec((arb_replica(), 1_u64..=24, 0_u64..=5), 0..12).prop_map(|ranges| {
        let mut context = CausalContext::new();
        for (replica, start, more) in ranges {
            context.insert_range(replica, start..=start + more);
        }
        context
    })
}
