//! Formulas for tests.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::NodeSet;
use super::formula::Formula;

/// So few that every set of them can be looked at.
pub(super) const NODES: usize = 8;

/// Any formula of these nodes: nodes in several places, parts in parts, votes equal or not.
pub(super) fn formula() -> impl Strategy<Value = Formula> {
    (0..NODES).prop_map(Formula::leaf).prop_recursive(3, 24, 4, |part| {
        (prop::collection::vec((1..4_u64, part), 1..5), 0..100_u64).prop_map(|(parts, need)| {
            let total: u64 = parts.iter().map(|(votes, _)| votes).sum();
            let mut formula = Formula { need: need % total + 1, leaves: NodeSet::EMPTY, parts: Vec::new() };
            for (votes, part) in parts {
                formula.push(votes, part);
            }
            formula
        })
    })
}

/// Every set of the nodes.
pub(super) fn sets() -> impl Iterator<Item = NodeSet> {
    (0..1_u32 << NODES).map(|bits| (0..NODES).filter(|node| bits >> node & 1 == 1).collect())
}

/// A row and a column of a square: every node stands in two places.
pub(super) fn row_and_column(side: usize) -> Formula {
    let all = |nodes: NodeSet| Formula { need: nodes.len() as u64, leaves: nodes, parts: Vec::new() };
    let of = |need, lines: Vec<Formula>| {
        let mut formula = Formula { need, leaves: NodeSet::EMPTY, parts: Vec::new() };
        for line in lines {
            formula.push(1, line);
        }
        formula
    };
    let row = |row| all((0..side).map(|column| row * side + column).collect());
    let column = |column| all((0..side).map(|row| row * side + column).collect());
    of(2, [of(1, (0..side).map(row).collect()), of(1, (0..side).map(column).collect())].into())
}
