//! What is left of formulas once some nodes are decided.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use super::NodeSet;
use super::formula::Formula;
use super::sweep::LOOKS_PER_STEP;

/// A formula in a [`Table`], known by its number: equal numbers are equal formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Residual(u32);

impl Residual {
    /// No set of the nodes that are left makes it hold.
    pub(crate) const NEVER: Self = Self(0);
    /// It holds, whatever becomes of the nodes that are left.
    pub(crate) const ALWAYS: Self = Self(1);

    /// Whether it holds, if nothing is left to decide.
    pub(crate) const fn decided(self) -> Option<bool> {
        match self {
            Self::NEVER => Some(false),
            Self::ALWAYS => Some(true),
            _ => None,
        }
    }
}

/// A [`Formula`] whose parts are in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Threshold {
    need: u64,
    leaves: NodeSet,
    /// Ascending, each formula once.
    parts: Vec<(u64, Residual)>,
}

/// Formulas in a normal form, each stored once.
///
/// What is left of a formula is simplified: decided parts are gone, a choice of one or of all is spelt as such and
/// flattened, and parts that say less than their neighbours are left out. Two formulas that mean the same are often,
/// not always, the same afterwards, which saves work where it succeeds and costs no correctness where it does not.
#[derive(Debug)]
pub(crate) struct Table {
    thresholds: Vec<Rc<Threshold>>,
    /// The nodes that each formula depends on.
    nodes: Vec<NodeSet>,
    known: BTreeMap<Rc<Threshold>, Residual>,
    /// What became of each formula with the node that is being decided, up or down.
    assigned: BTreeMap<(Residual, bool), Residual>,
    deciding: Option<usize>,
    steps: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        // Never and always stand for themselves; nobody looks at their thresholds.
        let decided = Rc::new(Threshold { need: 0, leaves: NodeSet::EMPTY, parts: Vec::new() });
        Self {
            thresholds: vec![decided.clone(), decided],
            nodes: vec![NodeSet::EMPTY; 2],
            known: BTreeMap::new(),
            assigned: BTreeMap::new(),
            deciding: None,
            steps: 0,
        }
    }

    /// How many parts have been looked at so far: what all of it has cost.
    pub(crate) const fn steps(&self) -> usize {
        self.steps
    }

    /// The formula in normal form.
    pub(crate) fn insert(&mut self, formula: &Formula) -> Residual {
        let parts = formula.parts.iter().map(|(votes, part)| (*votes, self.insert(part))).collect();
        let nothing = Threshold { need: 0, leaves: NodeSet::EMPTY, parts: Vec::new() };
        self.normalise(Threshold { need: formula.need, leaves: formula.leaves, parts }, &nothing)
    }

    /// What is left of the formula when `node` is up or down.
    pub(crate) fn assign(&mut self, formula: Residual, node: usize, up: bool) -> Residual {
        if self.deciding != Some(node) {
            self.assigned.clear();
            self.deciding = Some(node);
        }
        self.assign_in(formula, node, up)
    }

    fn assign_in(&mut self, formula: Residual, node: usize, up: bool) -> Residual {
        if !self.nodes_of(formula).contains(node) {
            return formula;
        }
        self.steps += 1;
        if let Some(known) = self.assigned.get(&(formula, up)) {
            return *known;
        }
        let before = Rc::clone(&self.thresholds[formula.0 as usize]);
        let mut left = Threshold::clone(&before);
        if left.leaves.contains(node) {
            left.leaves.remove(node);
            left.need = left.need.saturating_sub(u64::from(up));
        }
        for (_, part) in &mut left.parts {
            *part = self.assign_in(*part, node, up);
        }
        let left = self.normalise(left, &before);
        self.assigned.insert((formula, up), left);
        left
    }

    /// Whether the second surely holds whenever the first does. `false` if that cannot be seen at a glance.
    pub(crate) fn implies(&self, first: Residual, second: Residual) -> bool {
        match (first.decided(), second.decided()) {
            _ if first == second => true,
            (Some(false), _) | (_, Some(true)) => true,
            (Some(true), _) | (_, Some(false)) => false,
            (None, None) => {
                let (one, other) = (self.threshold(first), self.threshold(second));
                other.is_any() && other.has_part(first)
                    || one.is_all() && one.has_part(second)
                    || one.implies(other)
            }
        }
    }

    /// The normal form of what is left of `before`.
    fn normalise(&mut self, mut left: Threshold, before: &Threshold) -> Residual {
        self.steps += 1 + left.parts.len() / LOOKS_PER_STEP;
        left.forget_decided();
        if left.need == 0 {
            return Residual::ALWAYS;
        }
        self.gather_leaves(&mut left);
        if left.total() < left.need {
            return Residual::NEVER;
        }
        left.spell_out_all();
        if left.is_any() || left.is_all() {
            self.flatten(&mut left);
            self.absorb(&mut left, before);
        }
        match &left.parts[..] {
            [(_, only)] if left.leaves.is_empty() => *only,
            _ => self.intern(left),
        }
    }

    /// Equal parts become one with the votes of both, and nodes with one vote go where such nodes belong.
    fn gather_leaves(&self, left: &mut Threshold) {
        left.parts.sort_unstable_by_key(|(_, part)| *part);
        left.parts.dedup_by(|(votes, part), (kept_votes, kept)| {
            let same = part == kept;
            if same {
                *kept_votes = kept_votes.saturating_add(*votes);
            }
            same
        });
        let Threshold { need, leaves, parts } = left;
        parts.retain_mut(|(votes, part)| {
            let leaf = self.as_leaf(*part);
            if let Some(node) = leaf.filter(|node| leaves.contains(*node)) {
                leaves.remove(node);
                *votes = votes.saturating_add(1);
            }
            // More votes than are needed are as good as exactly enough.
            *votes = (*votes).min(*need);
            match leaf {
                Some(node) if *votes == 1 => {
                    leaves.insert(node);
                    false
                }
                _ => true,
            }
        });
    }

    /// The parts of an any in an any, or of an all in an all, are parts of the outer one.
    fn flatten(&self, left: &mut Threshold) {
        let any = left.is_any();
        let mut parts = Vec::with_capacity(left.parts.len());
        for &(_, part) in &left.parts {
            let inner = self.threshold(part);
            if if any { inner.is_any() } else { inner.is_all() } {
                left.leaves = left.leaves.union(inner.leaves);
                parts.extend_from_slice(&inner.parts);
            } else {
                parts.push((1, part));
            }
        }
        parts.sort_unstable();
        parts.dedup();
        left.parts = parts;
        left.need = if any { 1 } else { left.count() };
    }

    /// Of two parts of an any, one that implies the other adds nothing; of two parts of an all, one that is implied.
    /// Those that stood side by side in `before` have been compared.
    fn absorb(&mut self, left: &mut Threshold, before: &Threshold) {
        if left.parts.len() > ABSORBING {
            return;
        }
        let any = left.is_any();
        let adds_nothing = |part: &Threshold, beside: &Threshold| {
            if any { part.implies(beside) } else { beside.implies(part) }
        };
        let leaves = Threshold {
            need: if any { 1 } else { left.leaves.len() as u64 },
            leaves: left.leaves,
            parts: Vec::new(),
        };
        if !leaves.leaves.is_empty() {
            left.parts.retain(|(_, part)| !adds_nothing(self.threshold(*part), &leaves));
        }
        let alike = if any { before.is_any() } else { before.is_all() };
        let is_known = |part: &(u64, Residual)| alike && before.parts.binary_search(part).is_ok();
        let (mut kept, fresh): (Vec<_>, Vec<_>) = left.parts.iter().copied().partition(is_known);
        let mut comparisons = 0;
        for part in fresh {
            let looked_at = self.threshold(part.1);
            comparisons += kept.len();
            if !kept.iter().any(|(_, other)| adds_nothing(looked_at, self.threshold(*other))) {
                kept.retain(|(_, other)| !adds_nothing(self.threshold(*other), looked_at));
                kept.push(part);
            }
        }
        kept.sort_unstable();
        left.parts = kept;
        if !any {
            left.need = left.count();
        }
        self.steps += comparisons / LOOKS_PER_STEP;
    }

    fn intern(&mut self, threshold: Threshold) -> Residual {
        if let Some(known) = self.known.get(&threshold) {
            return *known;
        }
        // A table stays far below 2^32 formulas: whoever fills it counts its steps.
        let number = Residual(u32::try_from(self.thresholds.len()).unwrap_or(u32::MAX));
        let nodes = threshold
            .parts
            .iter()
            .fold(threshold.leaves, |nodes, (_, part)| nodes.union(self.nodes_of(*part)));
        let threshold = Rc::new(threshold);
        self.nodes.push(nodes);
        self.thresholds.push(Rc::clone(&threshold));
        self.known.insert(threshold, number);
        number
    }

    fn as_leaf(&self, formula: Residual) -> Option<usize> {
        let threshold = self.threshold(formula);
        match (threshold.leaves.len(), threshold.parts.is_empty()) {
            (1, true) => threshold.leaves.iter().next(),
            _ => None,
        }
    }

    fn threshold(&self, formula: Residual) -> &Threshold {
        &self.thresholds[formula.0 as usize]
    }

    fn nodes_of(&self, formula: Residual) -> NodeSet {
        self.nodes[formula.0 as usize]
    }
}

/// Parts are compared pair by pair only up to so many.
const ABSORBING: usize = 128;
impl Threshold {
    fn forget_decided(&mut self) {
        let Self { need, parts, .. } = self;
        parts.retain(|(votes, part)| match part.decided() {
            Some(true) => {
                *need = need.saturating_sub(*votes);
                false
            }
            Some(false) => false,
            None => true,
        });
    }

    /// If no part can be spared, votes do not matter.
    fn spell_out_all(&mut self) {
        let fewest =
            self.parts.iter().map(|(votes, _)| *votes).chain((!self.leaves.is_empty()).then_some(1)).min();
        if fewest.is_some_and(|fewest| self.total() - fewest < self.need) {
            self.parts.iter_mut().for_each(|(votes, _)| *votes = 1);
            self.need = self.count();
        }
    }

    fn total(&self) -> u64 {
        self.parts.iter().fold(self.leaves.len() as u64, |total, (votes, _)| total.saturating_add(*votes))
    }

    fn count(&self) -> u64 {
        (self.leaves.len() + self.parts.len()) as u64
    }

    const fn is_any(&self) -> bool {
        self.need == 1
    }

    fn is_all(&self) -> bool {
        self.need == self.count() && self.parts.iter().all(|(votes, _)| *votes == 1)
    }

    fn has_part(&self, part: Residual) -> bool {
        self.parts.iter().any(|(_, known)| *known == part)
    }

    /// Looks at leaves only, and takes parts for equal or for unknown. Exact where there are no parts.
    fn implies(&self, other: &Self) -> bool {
        let elsewhere = self.leaves.difference(other.leaves).len() as u64;
        let from_parts = if self.parts == other.parts { 0 } else { self.total() - self.leaves.len() as u64 };
        self.need.saturating_sub(from_parts).saturating_sub(elsewhere) >= other.need
    }
}

#[cfg(test)]
mod tests;
