//! What is left of a formula against the formula itself.

use proptest::prelude::*;

use super::*;
use crate::system::samples::{NODES, formula, row_and_column, sets};

fn decided(table: &mut Table, formula: Residual, up: NodeSet) -> Option<bool> {
    (0..NODES).fold(formula, |left, node| table.assign(left, node, up.contains(node))).decided()
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn what_is_left_in_the_end_is_the_answer(formula in formula()) {
        let mut table = Table::new();
        let normal = table.insert(&formula);
        for up in sets() {
            prop_assert_eq!(decided(&mut table, normal, up), Some(formula.is_quorum(up)));
        }
    }

    #[test]
    fn nodes_may_be_decided_in_any_order(
        formula in formula(),
        order in Just((0..NODES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut table = Table::new();
        let normal = table.insert(&formula);
        for up in sets().step_by(7) {
            let left = order.iter().fold(normal, |left, node| table.assign(left, *node, up.contains(*node)));
            prop_assert_eq!(left.decided(), Some(formula.is_quorum(up)));
        }
    }

    #[test]
    fn what_is_implied_holds_as_well(one in formula(), other in formula(), up in 0..3_usize) {
        let mut table = Table::new();
        let (normal, dual) = (table.insert(&one), table.insert(&one.dual()));
        let mut formulas = vec![(normal, one.clone()), (dual, one.dual()), (table.insert(&other), other.clone())];
        // Neighbours are what formulas are compared with in earnest.
        for need in [one.need - 1, one.need + 1] {
            if need >= 1 && need <= one.total() {
                let neighbour = Formula { need, ..one.clone() };
                formulas.push((table.insert(&neighbour), neighbour));
            }
        }
        let up: NodeSet = (0..up).collect();
        for (first, one) in &formulas {
            for (second, other) in &formulas {
                if table.implies(*first, *second) {
                    prop_assert!(sets().all(|set| !one.is_quorum(set) || other.is_quorum(set)));
                }
            }
        }
        prop_assert_eq!(decided(&mut table, normal, up), Some(one.is_quorum(up)));
    }
}

#[test]
fn formulas_that_mean_the_same_are_the_same() {
    let mut table = Table::new();
    let all = |nodes: &[usize]| Formula {
        need: nodes.len() as u64,
        leaves: nodes.iter().copied().collect(),
        parts: Vec::new(),
    };
    let any = |parts: &[Formula]| {
        let mut any = Formula { need: 1, leaves: NodeSet::EMPTY, parts: Vec::new() };
        for part in parts {
            any.push(1, part.clone());
        }
        any
    };
    let plain = table.insert(&any(&[all(&[0, 1]), all(&[2])]));
    // A choice of one in a choice of one, in any order, and what adds nothing.
    for said_otherwise in [
        any(&[any(&[all(&[2]), all(&[0, 1])]), all(&[1, 0])]),
        any(&[all(&[2]), all(&[2, 3]), all(&[0, 1]), all(&[0, 1, 5])]),
    ] {
        assert_eq!(table.insert(&said_otherwise), plain);
    }
    // Three of the votes 2, 2 and 1 are any two.
    let mut lumps = Formula { need: 3, leaves: NodeSet::EMPTY.with(2), parts: Vec::new() };
    lumps.push(2, Formula::leaf(0));
    lumps.push(2, Formula::leaf(1));
    let lumps = table.insert(&lumps);
    let [first, second, third] = [0, 1, 2].map(|up| {
        let left = table.assign(lumps, up, true);
        table.assign(left, (up + 1) % 3, true).decided()
    });
    assert_eq!([first, second, third], [Some(true); 3]);
}

#[test]
fn a_grid_leaves_few_cases() {
    let mut table = Table::new();
    let mut layer = vec![table.insert(&row_and_column(6))];
    for node in 0..36 {
        layer = layer.iter().flat_map(|case| [true, false].map(|up| table.assign(*case, node, up))).collect();
        layer.sort_unstable();
        layer.dedup();
        assert!(layer.len() <= 1 << 8, "{} cases after node {node}", layer.len());
    }
    layer.sort_unstable();
    assert_eq!(layer, [Residual::NEVER, Residual::ALWAYS]);
}
