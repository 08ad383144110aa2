//! Deciding the nodes of formulas one by one, all cases side by side.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::NodeSet;
use super::formula::Formula;
use super::residual::{Residual, Table};
use crate::TooComplex;

/// What is asked of an expression gives up after so many steps: a few seconds at the most.
pub(crate) const MOST_STEPS: usize = 1 << 22;

/// A step changes a part and finds what became of it. Only to look at one is some instructions.
pub(crate) const LOOKS_PER_STEP: usize = 16;

/// What a sweep carries along, and which cases it follows.
pub(crate) trait Sweep<const K: usize> {
    /// What is known about the decisions that led to a case: their probability, their price, one of them.
    type Carried: Copy;

    /// What is carried on when `node` is decided, or `None` if that case need not be looked at.
    fn decide(&self, carried: Self::Carried, node: usize, up: bool) -> Option<Self::Carried>;

    /// What is carried on from two cases that have become the same.
    fn join(&self, one: Self::Carried, other: Self::Carried) -> Self::Carried;

    /// Whether nothing that is looked for can come of a case.
    fn is_hopeless(&self, table: &Table, case: [Residual; K]) -> bool;
}

/// What is carried by all cases that are not hopeless once every formula is decided; `None` if there are none.
///
/// Node after node is decided both ways. A case is what is then left of the formulas, and cases of which the same is
/// left are one: this builds a decision diagram layer by layer, and keeps only one layer. Nodes come in the order in
/// which the formulas name them, so that what is written together is decided together.
///
/// A step is a part of a case that is looked at: cases × size of them, each O(log cases). Of a grid whose quorums are a
/// row and a column, that is some 2^columns cases per node and not 2^nodes in all.
///
/// Source: frontier-based construction of binary decision diagrams; Bryant, "Graph-Based Algorithms for Boolean
/// Function Manipulation", 1986.
pub(crate) fn sweep<const K: usize, S: Sweep<K>>(
    rules: &S,
    formulas: [&Formula; K],
    nothing_decided: S::Carried,
) -> Result<Option<S::Carried>, TooComplex> {
    let mut table = Table::new();
    let mut outcome = None;
    let mut layer = BTreeMap::new();
    let start = formulas.map(|formula| table.insert(formula));
    settle(rules, &table, start, nothing_decided, &mut layer, &mut outcome);
    for node in order_of_writing(&formulas) {
        let mut next = BTreeMap::new();
        for (case, carried) in layer {
            if table.steps() > MOST_STEPS {
                return Err(TooComplex { steps: table.steps() });
            }
            for up in [true, false] {
                if let Some(carried) = rules.decide(carried, node, up) {
                    let left = case.map(|formula| table.assign(formula, node, up));
                    settle(rules, &table, left, carried, &mut next, &mut outcome);
                }
            }
        }
        layer = next;
    }
    Ok(outcome)
}

/// Puts a case where it belongs: with those that hold, with those to be looked at, or away.
fn settle<const K: usize, S: Sweep<K>>(
    rules: &S,
    table: &Table,
    case: [Residual; K],
    carried: S::Carried,
    layer: &mut BTreeMap<[Residual; K], S::Carried>,
    outcome: &mut Option<S::Carried>,
) {
    if rules.is_hopeless(table, case) {
        return;
    }
    if case.iter().all(|formula| formula.decided().is_some()) {
        *outcome = Some(outcome.map_or(carried, |known| rules.join(known, carried)));
        return;
    }
    layer.entry(case).and_modify(|known| *known = rules.join(*known, carried)).or_insert(carried);
}

/// Every node once, where it is first named.
fn order_of_writing(formulas: &[&Formula]) -> Vec<usize> {
    fn walk(formula: &Formula, seen: &mut NodeSet, order: &mut Vec<usize>) {
        order.extend(formula.leaves.difference(*seen).iter());
        *seen = seen.union(formula.leaves);
        for (_, part) in &formula.parts {
            walk(part, seen, order);
        }
    }
    let (mut seen, mut order) = (NodeSet::EMPTY, Vec::new());
    for formula in formulas {
        walk(formula, &mut seen, &mut order);
    }
    order
}

#[cfg(test)]
mod tests;
