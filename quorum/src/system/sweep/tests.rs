//! Sweeps against a look at every set of nodes.

use proptest::prelude::*;

use super::*;
use crate::system::samples::{formula, sets};

/// Counts the sets of nodes for which the first formula holds and the second does not.
struct Count;

impl Sweep<2> for Count {
    /// Sets of decided nodes, and how many nodes that is: nodes that are not decided double the sets.
    type Carried = (usize, usize);

    fn decide(&self, (sets, decided): (usize, usize), _: usize, _: bool) -> Option<(usize, usize)> {
        Some((sets, decided + 1))
    }

    fn join(&self, (one, decided): (usize, usize), (other, also_decided): (usize, usize)) -> (usize, usize) {
        let most = decided.max(also_decided);
        ((one << (most - decided)) + (other << (most - also_decided)), most)
    }

    fn is_hopeless(&self, _: &Table, [first, second]: [Residual; 2]) -> bool {
        first == Residual::NEVER || second == Residual::ALWAYS
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn every_set_is_in_one_case(first in formula(), second in formula()) {
        let nodes = first.nodes().union(second.nodes());
        let expected = sets()
            .filter(|set| set.is_subset(nodes))
            .filter(|set| first.is_quorum(*set) && !second.is_quorum(*set))
            .count();
        let counted = sweep(&Count, [&first, &second], (1, 0)).expect("few nodes");
        let counted = counted.map_or(0, |(sets, decided)| sets << (nodes.len() - decided));
        prop_assert_eq!(counted, expected);
    }
}

#[test]
fn nodes_come_in_the_order_in_which_they_are_named() {
    let mut first = Formula { need: 2, leaves: [3, 5].into_iter().collect(), parts: Vec::new() };
    first.push(1, Formula { need: 2, leaves: [1, 3, 4].into_iter().collect(), parts: Vec::new() });
    assert_eq!(order_of_writing(&[&first, &Formula::leaf(0)]), [3, 5, 1, 4, 0]);
}
