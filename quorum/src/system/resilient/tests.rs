#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::vec::Vec;

use proptest::prelude::*;

use crate::Expr;
use crate::system::NodeSet;
use crate::system::formula::Formula;

const NODES: u8 = 7;

/// Expressions over seven nodes; each stands once if `names` says so.
fn expr(leaves: Vec<u8>) -> BoxedStrategy<Expr<u8>> {
    match leaves.len() {
        0 | 1 => Just(Expr::node(leaves.first().copied().unwrap_or(0))).boxed(),
        len => (1..=len, 1..=3_u64, 0..=len as u64)
            .prop_flat_map(move |(cut, votes, k)| {
                let (left, right) = leaves.split_at(cut.min(len - 1));
                let rest = right.iter().map(|node| Expr::node(*node)).collect::<Vec<_>>();
                expr(left.to_vec()).prop_map(move |first| {
                    let mut parts = std::vec![first];
                    parts.extend(rest.iter().cloned());
                    let k = k.clamp(1, parts.len() as u64);
                    if votes == 3 {
                        let weighted =
                            parts.into_iter().enumerate().map(|(place, part)| (1 + place as u64 % 2, part));
                        Expr::weighted(k, weighted).unwrap()
                    } else {
                        Expr::choose(k, parts).unwrap()
                    }
                })
            })
            .boxed(),
    }
}

fn any_expr() -> impl Strategy<Value = Expr<u8>> {
    prop_oneof![Just((0..NODES).collect::<Vec<u8>>()).prop_shuffle(), prop::collection::vec(0..NODES, 1..9),]
        .prop_flat_map(expr)
}

fn subsets() -> impl Iterator<Item = NodeSet> {
    (0_u32..1 << NODES).map(|bits| (0..usize::from(NODES)).filter(|place| bits >> place & 1 == 1).collect())
}

fn withstands(formula: &Formula, set: NodeSet, failures: usize) -> bool {
    formula.is_quorum(set)
        && subsets()
            .filter(|failed| failed.is_subset(set) && failed.len() == failures.min(set.len()))
            .all(|failed| formula.is_quorum(set.difference(failed)))
}

proptest! {
    #[test]
    fn a_resilient_quorum_is_one_after_any_failures(expr in any_expr(), failures in 0..4_usize) {
        let nodes: Vec<u8> = (0..NODES).collect();
        let formula = Formula::compile(&expr, &nodes);
        let resilient = formula.resilient(failures).unwrap();
        for set in subsets() {
            let found = resilient.as_ref().is_some_and(|resilient| resilient.is_quorum(set));
            prop_assert_eq!(found, withstands(&formula, set, failures), "{} {:?}", &expr, set);
        }
    }
}

#[test]
fn too_many_ways_are_refused() {
    let nodes: Vec<u8> = (0..100).collect();
    let twice = Expr::choose(51, nodes.iter().chain(&nodes).copied()).unwrap();
    let formula = Formula::compile(&twice, &nodes);
    assert!(formula.resilient(1).is_ok());
    assert!(formula.resilient(3).is_err());
}
