//! Quorums as columns of a linear program: found when a price calls for them, never all written down.

use alloc::vec::Vec;

use super::NodeProfile;
use super::chosen::quorum_latency;
use crate::system::cheapest::cheapest;
use crate::system::formula::Formula;
use crate::system::minimal::minimal;
use crate::{NodeSet, TooComplex};

/// So few quorums are quicker listed than found one by one.
const FEW: usize = 40;

/// A quorum that a strategy may ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column {
    pub(super) set: NodeSet,
    /// Until its nodes that have answered are a quorum.
    pub(super) latency: f64,
}

/// What prices say about the best quorum.
pub(super) struct Offer {
    pub(super) column: Column,
    pub(super) cost: f64,
}

/// The read quorums or the write quorums, seen by whoever must choose among them.
pub(super) struct Columns<'a> {
    /// What is a quorum.
    quorum: &'a Formula,
    /// What may be asked: a quorum after failures, without the nodes to avoid.
    asked: Formula,
    survives_failures: bool,
    profiles: &'a [NodeProfile],
}

impl<'a> Columns<'a> {
    pub(super) fn new(
        quorum: &'a Formula,
        asked: Formula,
        survives_failures: bool,
        profiles: &'a [NodeProfile],
    ) -> Self {
        Self { quorum, asked, survives_failures, profiles }
    }

    /// All that a best strategy could ask, if they are few. Larger ones cost more nodes and are no sooner complete,
    /// unless they have to be larger for the failures that they survive.
    pub(super) fn listed(&self, does_latency_matter: bool) -> Option<Vec<Column>> {
        if self.survives_failures && does_latency_matter {
            return None;
        }
        let sets = minimal(&self.asked, FEW).ok()?;
        Some(sets.into_iter().map(|set| self.column(set)).collect())
    }

    /// Quorums to begin with. From threshold to threshold, each begins its choice one part further than the one
    /// before: where nodes are alike, these are all that an optimal strategy needs.
    pub(super) fn rotated(&self) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for turn in 0..self.profiles.len().max(1) {
            let set = rotated(&self.asked, turn);
            if columns.iter().all(|column| column.set != set) {
                columns.push(self.column(set));
            }
        }
        columns
    }

    /// The quorum that costs least at these prices of nodes and of latency.
    pub(super) fn cheapest(&self, prices: &[f64], latency_price: f64) -> Result<Option<Offer>, TooComplex> {
        if latency_price == 0.0 {
            let offer = cheapest(&self.asked, prices)?;
            return Ok(offer.map(|offer| Offer { column: self.column(offer.set), cost: offer.cost }));
        }
        let mut deadlines: Vec<f64> = self.profiles.iter().map(NodeProfile::latency).collect();
        deadlines.sort_by(f64::total_cmp);
        deadlines.dedup();
        let mut best: Option<Offer> = None;
        for deadline in deadlines {
            let Some(offer) = self.cheapest_by(deadline, prices)? else {
                continue;
            };
            let column = self.column(offer);
            let nodes: f64 = offer.iter().filter_map(|place| prices.get(place)).sum();
            let cost = nodes + latency_price * column.latency;
            if best.as_ref().is_none_or(|best| cost < best.cost) {
                best = Some(Offer { column, cost });
            }
        }
        Ok(best)
    }

    /// The cheapest of those that have answered by `deadline`.
    fn cheapest_by(&self, deadline: f64, prices: &[f64]) -> Result<Option<NodeSet>, TooComplex> {
        let late: NodeSet = (0..self.profiles.len())
            .filter(|place| self.profiles.get(*place).is_some_and(|profile| profile.latency() > deadline))
            .collect();
        let Some(in_time) = self.quorum.without(late) else {
            return Ok(None);
        };
        let both = if self.asked == *self.quorum {
            in_time
        } else {
            // Those that answer late are there for the failures; those to avoid are not there.
            Formula { need: 2, leaves: NodeSet::EMPTY, parts: [(1, in_time), (1, self.asked.clone())].into() }
        };
        Ok(cheapest(&both, prices)?.map(|offer| offer.set))
    }

    fn column(&self, set: NodeSet) -> Column {
        Column { set, latency: quorum_latency(self.quorum, set, self.profiles) }
    }
}

fn rotated(formula: &Formula, turn: usize) -> NodeSet {
    let choices = formula.leaves.len() + formula.parts.len();
    let takes_all = formula.total() == formula.need;
    // Where all must be taken nothing is chosen, and the turn is for what is inside.
    let (first, turn_inside) = if takes_all { (0, turn) } else { (turn % choices, turn / choices) };
    let leaf = |place: usize| (1, NodeSet::EMPTY.with(place));
    let part = |(votes, part): &(u64, Formula)| {
        // A choice of one among several passes the whole turn on: rows of one grid turn together.
        let turn = if formula.parts.len() == choices { turn_inside } else { turn };
        (*votes, rotated(part, turn))
    };
    let parts: Vec<(u64, NodeSet)> =
        formula.leaves.iter().map(leaf).chain(formula.parts.iter().map(part)).collect();
    let mut votes = 0;
    let mut set = NodeSet::EMPTY;
    for (weight, part) in parts.iter().cycle().skip(first).take(choices) {
        if votes >= formula.need {
            break;
        }
        votes += weight;
        set = set.union(*part);
    }
    set
}
