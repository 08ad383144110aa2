//! Trying quorums and sweeping through nodes come to the same answer.

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::system::samples::{NODES, formula, sets};

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn both_ways_find_a_pair_if_there_is_one(reads in formula(), more in formula(), shape in 0..4) {
        let with_dual = |need| Formula {
            need,
            leaves: NodeSet::EMPTY,
            parts: vec![(1, reads.dual()), (1, more.clone())],
        };
        let writes = match shape {
            0 => more.clone(),
            1 => with_dual(1),
            2 => with_dual(2),
            _ => reads.dual(),
        };
        let everyone = NodeSet::first(NODES);
        let apart = |read: NodeSet| reads.is_quorum(read) && writes.is_quorum(everyone.difference(read));
        let expected = sets().any(apart);

        let swept = sweep(&ReadWithoutWrite, [&reads, &writes.dual()], NodeSet::EMPTY).expect("few nodes");
        prop_assert_eq!(swept.is_some(), expected);
        prop_assert!(swept.is_none_or(apart));
        let tried = beside(&reads, &writes, NODES).expect("few quorums");
        prop_assert_eq!(tried.is_some(), expected);
        prop_assert!(tried.is_none_or(apart));
        let tried = beside(&writes, &reads, NODES).expect("few quorums");
        prop_assert_eq!(tried.is_some(), expected);
        prop_assert!(tried.is_none_or(|write| apart(everyone.difference(write))));
    }
}
