//! The quorums that cannot spare a node.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::ControlFlow;

use super::cheapest::cheapest;
use super::formula::Formula;
use super::sweep::{LOOKS_PER_STEP, MOST_STEPS};
use super::{NodeSet, QuorumSystem};
use crate::{MinimalError, TooComplex};

impl<N: Ord + Clone> QuorumSystem<N> {
    /// The read quorums that cannot spare a node, if there are at most `limit`: the smaller ones first.
    ///
    /// O(quorums × size) where nodes stand once in the reads. Otherwise sets come up that can spare a node, or come
    /// up twice; after a quarter of a million sets at most [`MinimalError::TooComplex`] gives up.
    ///
    /// ```
    /// use quorum::{Expr, MinimalError, QuorumSystem};
    ///
    /// let [a, b, c, d] = ["a", "b", "c", "d"].map(Expr::from);
    /// let grid = QuorumSystem::from_reads(a * b + c * d)?;
    /// assert_eq!(grid.minimal_read_quorums(10)?, [grid.set(["a", "b"]), grid.set(["c", "d"])]);
    /// assert_eq!(grid.minimal_write_quorums(3), Err(MinimalError::TooMany { limit: 3 }));
    /// assert_eq!(grid.count_minimal_write_quorums()?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn minimal_read_quorums(&self, limit: usize) -> Result<Vec<NodeSet>, MinimalError> {
        minimal(self.read_formula(), limit)
    }

    /// The same for writes.
    pub fn minimal_write_quorums(&self, limit: usize) -> Result<Vec<NodeSet>, MinimalError> {
        minimal(self.write_formula(), limit)
    }

    /// How many read quorums there are that cannot spare a node. They are not listed for it where nodes stand once in
    /// the reads: O(size × need), and with unequal votes O(parts × different sums of votes).
    pub fn count_minimal_read_quorums(&self) -> Result<u128, TooComplex> {
        count(self.read_formula())
    }

    /// The same for writes.
    pub fn count_minimal_write_quorums(&self) -> Result<u128, TooComplex> {
        count(self.write_formula())
    }

    /// A read quorum of the fewest nodes.
    pub fn smallest_read_quorum(&self) -> Result<NodeSet, TooComplex> {
        self.smallest(self.read_formula())
    }

    /// A write quorum of the fewest nodes.
    pub fn smallest_write_quorum(&self) -> Result<NodeSet, TooComplex> {
        self.smallest(self.write_formula())
    }

    /// A quorum of the fewest nodes; all of them are one, so there is always a smallest.
    pub(super) fn smallest(&self, formula: &Formula) -> Result<NodeSet, TooComplex> {
        let nodes = self.nodes().len();
        let found = cheapest(formula, &vec![1.0; nodes])?;
        Ok(found.map_or(NodeSet::first(nodes), |quorum| quorum.set))
    }
}

/// The minimal quorums, if there are at most `limit`.
pub(crate) fn minimal(formula: &Formula, limit: usize) -> Result<Vec<NodeSet>, MinimalError> {
    let surely_minimal = formula.repeated().is_empty();
    let mut found = BTreeSet::new();
    // To keep a set takes memory besides.
    let steps_per_set = LOOKS_PER_STEP + formula.size();
    let mut steps = 0;
    let visited = visit(formula, NodeSet::EMPTY, &mut |set| {
        steps += steps_per_set;
        if steps > MOST_STEPS {
            return ControlFlow::Break(MinimalError::TooComplex(TooComplex { steps }));
        }
        if surely_minimal || is_minimal(formula, set) {
            found.insert((set.len(), set));
        }
        if found.len() > limit {
            return ControlFlow::Break(MinimalError::TooMany { limit });
        }
        ControlFlow::Continue(())
    });
    match visited {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(found.into_iter().map(|(_, set)| set).collect()),
    }
}

fn is_minimal(formula: &Formula, quorum: NodeSet) -> bool {
    quorum.iter().all(|node| !formula.is_quorum(quorum.without(node)))
}

/// Calls `found` with sets among which every minimal quorum is, each together with `so_far`. Where nodes stand once,
/// these are all, each comes once, and no more work is done than they need.
pub(super) fn visit<B>(
    formula: &Formula,
    so_far: NodeSet,
    found: &mut dyn FnMut(NodeSet) -> ControlFlow<B>,
) -> ControlFlow<B> {
    pick(&choices(formula), formula.need, so_far, found)
}

#[derive(Clone, Copy)]
enum Choice<'a> {
    Node(usize),
    Part(&'a Formula),
}

/// Most votes first: then whatever has just enough votes cannot spare a part, as the last was the smallest.
fn choices(formula: &Formula) -> Vec<(u64, Choice<'_>)> {
    let leaves = formula.leaves.iter().map(|node| (1, Choice::Node(node)));
    let parts = formula.parts.iter().map(|(votes, part)| (*votes, Choice::Part(part)));
    let mut choices: Vec<_> = parts.chain(leaves).collect();
    choices.sort_by_key(|(votes, _)| Reverse(*votes));
    choices
}

fn pick<B>(
    mut choices: &[(u64, Choice<'_>)],
    mut need: u64,
    so_far: NodeSet,
    found: &mut dyn FnMut(NodeSet) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut on_offer: u64 = choices.iter().map(|(votes, _)| votes).sum();
    // Where there is not enough on offer, nothing comes of it: so every path taken leads to a set.
    while need > 0 && on_offer >= need {
        let Some((&(votes, choice), rest)) = choices.split_first() else {
            break;
        };
        choices = rest;
        on_offer -= votes;
        match choice {
            Choice::Node(node) if so_far.contains(node) => need = need.saturating_sub(votes),
            Choice::Part(part) if part.is_quorum(so_far) => need = need.saturating_sub(votes),
            Choice::Node(node) => pick(rest, need.saturating_sub(votes), so_far.with(node), found)?,
            Choice::Part(part) => {
                visit(part, so_far, &mut |set| pick(rest, need.saturating_sub(votes), set, found))?;
            }
        }
    }
    if need == 0 { found(so_far) } else { ControlFlow::Continue(()) }
}

fn count(formula: &Formula) -> Result<u128, TooComplex> {
    if formula.repeated().is_empty() {
        return count_independent(formula);
    }
    match minimal(formula, usize::MAX) {
        Ok(quorums) => Ok(quorums.len() as u128),
        Err(MinimalError::TooComplex(error)) => Err(error),
        Err(MinimalError::TooMany { limit }) => Err(TooComplex { steps: limit }),
    }
}

/// Parts share no nodes, so a quorum is any choice of quorums of enough parts.
fn count_independent(formula: &Formula) -> Result<u128, TooComplex> {
    // By the votes still needed: in how many ways parts seen so far leave that need. No number overflows: sets none
    // of which contains another are at most as many as those of 64 out of 128 nodes (Sperner, 1928), fewer than 2^125.
    let mut open = BTreeMap::from([(formula.need, 1_u128)]);
    let (mut enough, mut steps) = (0_u128, 0);
    for (votes, choice) in choices(formula) {
        let quorums = match choice {
            Choice::Node(_) => 1,
            Choice::Part(part) => count_independent(part)?,
        };
        for (need, ways) in open.clone() {
            let ways = ways.saturating_mul(quorums);
            match need.checked_sub(votes) {
                None | Some(0) => enough = enough.saturating_add(ways),
                Some(need) => {
                    let known = open.entry(need).or_default();
                    *known = known.saturating_add(ways);
                }
            }
        }
        steps += open.len();
        if steps > MOST_STEPS {
            return Err(TooComplex { steps });
        }
    }
    Ok(enough)
}
