//! The quorum that costs least.
//!
//! One question answers many: with equal costs it is the size of the smallest quorum; asked of the dual, how many
//! failures leave no quorum; with the prices of a linear program, which quorum a better strategy would use.

use alloc::vec;
use alloc::vec::Vec;

use super::NodeSet;
use super::formula::Formula;
use super::residual::{Residual, Table};
use super::sweep::{Sweep, sweep};
use crate::TooComplex;

/// A quorum and what its nodes cost together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Priced {
    pub(crate) cost: f64,
    pub(crate) set: NodeSet,
}

impl Priced {
    const NOTHING: Self = Self { cost: 0.0, set: NodeSet::EMPTY };

    fn and(self, other: Self) -> Self {
        Self { cost: self.cost + other.cost, set: self.set.union(other.set) }
    }
}

/// What the nodes cost. A node that is out of the question costs [`f64::INFINITY`]; nothing costs less than 0.
///
/// Where nodes stand once, O(size log size), and with unequal votes O(parts × different sums of votes). Nodes that
/// stand in several places are tried both in and out, with what the formula would cost if each place paid its share
/// as the bound below which no try can come. `None` if no quorum has a finite cost.
///
/// A few tries settle most formulas. Where they do not, the nodes are swept through instead, with the best quorum
/// that was found as the price to beat; where even that has too many cases, it is given up.
pub(crate) fn cheapest(formula: &Formula, costs: &[f64]) -> Result<Option<Priced>, TooComplex> {
    let search = try_both_ways(formula, costs, FEW_TRIES);
    if search.tries_left > 0 {
        return Ok(search.best);
    }
    let to_beat = search.best.map_or(f64::INFINITY, |best| best.cost);
    let better = sweep(&Cheaper { costs, to_beat }, [formula], Priced::NOTHING)?;
    Ok(better.or(search.best))
}

/// After so many tries the other way is likely shorter.
const FEW_TRIES: usize = 1 << 10;

fn try_both_ways<'a>(formula: &'a Formula, costs: &[f64], tries: usize) -> Search<'a> {
    let repeated: Vec<(usize, f64)> = {
        let places = count_places(formula, costs.len());
        formula.repeated().iter().map(|node| (node, places[node])).collect()
    };
    let mut search = Search { formula, best: None, tries_left: tries };
    search.decide(&repeated, &mut costs.to_vec(), Priced::NOTHING);
    search
}

struct Search<'a> {
    formula: &'a Formula,
    best: Option<Priced>,
    tries_left: usize,
}

impl Search<'_> {
    /// Decides about the repeated nodes one by one; `paid` is what those in the quorum cost, which cost nothing more.
    fn decide(&mut self, undecided: &[(usize, f64)], costs: &mut Vec<f64>, paid: Priced) {
        let Some(tries_left) = self.tries_left.checked_sub(1) else {
            return;
        };
        self.tries_left = tries_left;
        let Some((&(node, _), rest)) = undecided.split_first() else {
            let total = independent(self.formula, costs).map(|quorum| quorum.and(paid));
            self.keep(total);
            return;
        };
        let shares: Vec<f64> = share(costs, undecided);
        let Some(bound) = independent(self.formula, &shares) else {
            return;
        };
        if self.best.is_some_and(|best| bound.cost + paid.cost >= best.cost) {
            return;
        }
        let cost = costs[node];
        // What the bound uses is likely in the quorum.
        let likely = bound.set.contains(node);
        for present in [likely, !likely] {
            if present && cost.is_infinite() {
                continue;
            }
            let paid = if present { paid.and(Priced { cost, set: NodeSet::EMPTY.with(node) }) } else { paid };
            costs[node] = if present { 0.0 } else { f64::INFINITY };
            self.decide(rest, costs, paid);
        }
        costs[node] = cost;
    }

    fn keep(&mut self, candidate: Option<Priced>) {
        if let Some(candidate) = candidate
            && self.best.is_none_or(|best| candidate.cost < best.cost)
        {
            self.best = Some(candidate);
        }
    }
}

/// The sweep for quorums that cost less than another.
struct Cheaper<'a> {
    costs: &'a [f64],
    to_beat: f64,
}

impl Sweep<1> for Cheaper<'_> {
    type Carried = Priced;

    fn decide(&self, carried: Priced, node: usize, up: bool) -> Option<Priced> {
        if !up {
            return Some(carried);
        }
        let with = carried.and(Priced { cost: self.costs[node], set: NodeSet::EMPTY.with(node) });
        (with.cost < self.to_beat).then_some(with)
    }

    fn join(&self, one: Priced, other: Priced) -> Priced {
        if other.cost < one.cost { other } else { one }
    }

    fn is_hopeless(&self, _: &Table, [formula]: [Residual; 1]) -> bool {
        formula == Residual::NEVER
    }
}

fn share(costs: &[f64], undecided: &[(usize, f64)]) -> Vec<f64> {
    let mut shares = costs.to_vec();
    for &(node, places) in undecided {
        shares[node] /= places;
    }
    shares
}

fn count_places(formula: &Formula, nodes: usize) -> Vec<f64> {
    fn walk(formula: &Formula, places: &mut [f64]) {
        for node in formula.leaves.iter() {
            places[node] += 1.0;
        }
        for (_, part) in &formula.parts {
            walk(part, places);
        }
    }
    let mut places = vec![0.0; nodes];
    walk(formula, &mut places);
    places
}

/// The cheapest quorum if every place in the formula pays for itself.
fn independent(formula: &Formula, costs: &[f64]) -> Option<Priced> {
    let leaves =
        formula.leaves.iter().map(|node| (1, Priced { cost: costs[node], set: NodeSet::EMPTY.with(node) }));
    let parts = formula.parts.iter().filter_map(|(votes, part)| Some((*votes, independent(part, costs)?)));
    let mut choices: Vec<(u64, Priced)> =
        leaves.chain(parts).filter(|(_, choice)| choice.cost < f64::INFINITY).collect();
    if choices.iter().all(|(votes, _)| *votes == 1) {
        cheapest_of_equal(&mut choices, formula.need)
    } else {
        cheapest_of_unequal(&choices, formula.need)
    }
}

fn cheapest_of_equal(choices: &mut [(u64, Priced)], need: u64) -> Option<Priced> {
    let need = usize::try_from(need).ok()?;
    if choices.len() < need {
        return None;
    }
    choices.sort_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost));
    Some(choices[..need].iter().fold(Priced::NOTHING, |sum, (_, choice)| sum.and(*choice)))
}

/// All sums worth having, part after part: those for which no other has as many votes for as little.
fn cheapest_of_unequal(choices: &[(u64, Priced)], need: u64) -> Option<Priced> {
    // Ascending in votes and in cost.
    let mut sums = vec![(0_u64, Priced::NOTHING)];
    for &(votes, choice) in choices {
        let with: Vec<_> =
            sums.iter().map(|&(sum, cost)| (sum.saturating_add(votes).min(need), cost.and(choice))).collect();
        sums.extend(with);
        sums.sort_by(|(a_votes, a), (b_votes, b)| b_votes.cmp(a_votes).then(a.cost.total_cmp(&b.cost)));
        let mut cheapest = f64::INFINITY;
        sums.retain(|(_, sum)| {
            let better = sum.cost < cheapest;
            cheapest = cheapest.min(sum.cost);
            better
        });
    }
    sums.into_iter().find(|(votes, _)| *votes >= need).map(|(_, sum)| sum)
}

#[cfg(test)]
mod tests;
