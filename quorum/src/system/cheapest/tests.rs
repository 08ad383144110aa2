//! The cheapest quorum against a look at every set of nodes.

use proptest::prelude::*;

use super::*;
use crate::system::samples::{NODES, formula, row_and_column, sets};

/// Small whole numbers, so that sums are exact, and nodes that are out of the question.
fn costs() -> impl Strategy<Value = Vec<f64>> {
    let cost = prop_oneof![8 => (0..20_u32).prop_map(f64::from), 1 => Just(f64::INFINITY)];
    prop::collection::vec(cost, NODES)
}

fn cost_of(set: NodeSet, costs: &[f64]) -> f64 {
    set.iter().map(|node| costs[node]).sum()
}

fn by_looking_everywhere(formula: &Formula, costs: &[f64]) -> Option<f64> {
    sets()
        .filter(|set| formula.is_quorum(*set))
        .map(|set| cost_of(set, costs))
        .filter(|cost| cost.is_finite())
        .min_by(f64::total_cmp)
}

fn swept(formula: &Formula, costs: &[f64]) -> Option<Priced> {
    sweep(&Cheaper { costs, to_beat: f64::INFINITY }, [formula], Priced::NOTHING).expect("few nodes")
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn nothing_is_cheaper_than_the_cheapest(formula in formula(), costs in costs()) {
        let expected = by_looking_everywhere(&formula, &costs);
        for found in [cheapest(&formula, &costs).expect("few cases"), swept(&formula, &costs)] {
            prop_assert_eq!(found.map(|found| found.cost), expected);
            if let Some(found) = found {
                prop_assert!(formula.is_quorum(found.set));
                prop_assert!(cost_of(found.set, &costs) <= found.cost);
            }
        }
    }
}

#[test]
fn tries_that_do_not_end_give_way_to_a_sweep() {
    let grid = row_and_column(8);
    let found = cheapest(&grid, &[1.0; 64]).expect("a sweep settles it").expect("there is one");
    assert!((found.cost - 15.0).abs() < 1e-9);
    assert_eq!(found.set.len(), 15);
    assert!(grid.is_quorum(found.set));
}

#[test]
fn a_node_in_two_places_is_paid_once() {
    let found =
        cheapest(&row_and_column(2), &[5.0, 1.0, 1.0, 5.0]).expect("few cases").expect("there is one");
    assert!((found.cost - 7.0).abs() < 1e-9);
    assert_eq!(found.set, [0, 1, 2].into_iter().collect());
}

#[test]
fn no_quorum_without_nodes_that_are_out_of_the_question() {
    assert_eq!(cheapest(&row_and_column(2), &[f64::INFINITY, 1.0, 1.0, f64::INFINITY]), Ok(None));
}
