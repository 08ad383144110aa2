//! Quorums that stay quorums when some of their nodes fail.

use alloc::vec::Vec;

use super::NodeSet;
use super::formula::Formula;

/// So many ways to fail are written out, where there is no shorter formula.
const MOST_FAILURES: usize = 4_096;

impl Formula {
    /// The formula of the sets that are still quorums after any `failures` of their nodes have failed.
    ///
    /// `None` if there is no such set. `Err` if it would take too large a formula: some node stands in several
    /// places or has several votes, and there are more than 4,096 ways for so many nodes to fail.
    pub(crate) fn resilient(&self, failures: usize) -> Result<Option<Self>, TooManyWays> {
        if failures == 0 {
            return Ok(Some(self.clone()));
        }
        if self.repeated().is_empty() && self.has_equal_votes() {
            return Ok(self.costing_more_than(failures as u64));
        }
        self.after_each_failure(failures)
    }

    fn has_equal_votes(&self) -> bool {
        self.parts.iter().all(|(votes, part)| *votes == 1 && part.has_equal_votes())
    }

    /// The sets of which more than `failures` nodes must fail before they are no quorum, for independent parts.
    ///
    /// Breaking `k` of `m` parts means breaking the `m - k + 1` that break most easily. Let `r` failures not
    /// suffice for that, and let part `i` break at `r_i`: the smallest `m - k + 1` of the `r_i` must add up to `r`
    /// or more. Their sum is the largest value, over all `t`, of `(m - k + 1) t` minus what each `r_i` lacks to
    /// `t`; hence for some `t` the sum of `min(t, r_i)` must reach `(k - 1) t + r`. And `min(t, r_i)` counts for
    /// how many `j` up to `t` part `i` withstands `j - 1` failures, which makes a threshold again.
    fn costing_more_than(&self, failures: u64) -> Option<Self> {
        if failures == 0 {
            return Some(self.clone());
        }
        let required = failures + 1;
        let total = self.total();
        if let Some(place) = self.as_leaf() {
            return (required == 1).then(|| Self::leaf(place));
        }
        if self.parts.is_empty() {
            let need = self.need + failures;
            return (need <= total).then(|| Self { need, ..self.clone() });
        }
        if self.need == total {
            // Every part must withstand them all.
            let mut all = Self { need: total, leaves: NodeSet::EMPTY, parts: Vec::new() };
            if !self.leaves.is_empty() {
                return None;
            }
            for (_, part) in &self.parts {
                all.push(1, part.costing_more_than(failures)?);
            }
            return Some(all);
        }
        // What withstands j - 1 failures: for nodes only j = 1.
        let levels: Vec<Vec<Option<Self>>> = self
            .parts
            .iter()
            .map(|(_, part)| (0..required).map(|failures| part.costing_more_than(failures)).collect())
            .collect();
        let mut choices: Vec<Self> = Vec::new();
        for t in 1..=required {
            let need = (self.need - 1).saturating_mul(t).saturating_add(required);
            let mut choice = Self { need, leaves: self.leaves, parts: Vec::new() };
            for part in &levels {
                for level in part.iter().take(usize::try_from(t).unwrap_or(usize::MAX)).flatten() {
                    choice.parts.push((1, level.clone()));
                }
            }
            let is_implied = choices
                .iter()
                .any(|other| other.need <= choice.need && other.parts.len() >= choice.parts.len());
            if choice.total() >= need && !is_implied {
                choices.retain(|other| other.need < choice.need || other.parts.len() > choice.parts.len());
                choices.push(choice);
            }
        }
        match choices.len() {
            0 | 1 => choices.pop(),
            _ => Some(Self {
                need: 1,
                leaves: NodeSet::EMPTY,
                parts: choices.into_iter().map(|choice| (1, choice)).collect(),
            }),
        }
    }

    /// All of what is left after each way to fail.
    fn after_each_failure(&self, failures: usize) -> Result<Option<Self>, TooManyWays> {
        let nodes: Vec<usize> = self.nodes().iter().collect();
        if binomial_exceeds(nodes.len(), failures, MOST_FAILURES) {
            return Err(TooManyWays);
        }
        let mut all = Self { need: 0, leaves: NodeSet::EMPTY, parts: Vec::new() };
        let mut ways = Ways { nodes: &nodes, failures, failed: NodeSet::EMPTY };
        let mut is_possible = true;
        ways.each(0, &mut |failed| match self.without(failed) {
            Some(rest) => all.parts.push((1, rest)),
            None => is_possible = false,
        });
        all.need = all.parts.len() as u64;
        Ok((is_possible && all.need > 0).then_some(all))
    }

    /// The formula when these nodes are gone; `None` if nothing is a quorum any more.
    pub(crate) fn without(&self, gone: NodeSet) -> Option<Self> {
        let mut rest = Self { need: self.need, leaves: self.leaves.difference(gone), parts: Vec::new() };
        for (votes, part) in &self.parts {
            if let Some(part) = part.without(gone) {
                rest.parts.push((*votes, part));
            }
        }
        (rest.total() >= rest.need).then_some(rest)
    }
}

/// There are more ways to fail than a formula should have parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyWays;

struct Ways<'a> {
    nodes: &'a [usize],
    failures: usize,
    failed: NodeSet,
}

impl Ways<'_> {
    fn each(&mut self, from: usize, way: &mut impl FnMut(NodeSet)) {
        if self.failed.len() == self.failures || from == self.nodes.len() {
            way(self.failed);
            return;
        }
        let missing = self.failures - self.failed.len();
        let last = self.nodes.len().saturating_sub(missing);
        for place in from..=last {
            let Some(&node) = self.nodes.get(place) else {
                return;
            };
            self.failed.insert(node);
            self.each(place + 1, way);
            self.failed.remove(node);
        }
    }
}

fn binomial_exceeds(n: usize, k: usize, limit: usize) -> bool {
    let mut ways = 1_usize;
    for chosen in 0..k.min(n) {
        // Exact: after each step it is a binomial coefficient.
        ways = ways.saturating_mul(n - chosen) / (chosen + 1);
        if ways > limit {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
