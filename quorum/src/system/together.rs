//! Two formulas of one structure, and how likely both hold.

use alloc::vec;
use alloc::vec::Vec;

use super::formula::Formula;

/// How likely two formulas hold together, and each without the other.
///
/// Reads and the best writes for them have the same structure with other thresholds: one is the dual of the other. Then
/// the parts of one and of the other depend on the same nodes, and different parts on different ones, so that counting
/// how many parts hold of either is all that is needed, from the inside out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Together {
    pub(super) both: f64,
    only_first: f64,
    only_second: f64,
}

impl Together {
    /// For a first formula in which each node stands once; `None` if parts have several votes or the second is built
    /// otherwise.
    /// O(parts × what the first needs × what the second needs).
    pub(super) fn of(first: &Formula, second: &Formula, up: &[f64]) -> Option<Self> {
        let is_alike = first.leaves == second.leaves && first.parts.len() == second.parts.len();
        if !is_alike {
            return None;
        }
        let [first_need, second_need] = [first.need, second.need].map(|need| usize::try_from(need).ok());
        let (first_need, second_need) = (first_need?, second_need?);
        if first.parts.is_empty() {
            let up: Vec<f64> = first.leaves.iter().map(|node| up[node]).collect();
            return Some(Self::of_nodes(&up, first_need, second_need));
        }
        let node = |node: usize| Self { both: up[node], only_first: 0.0, only_second: 0.0 };
        let mut parts: Vec<Self> = first.leaves.iter().map(node).collect();
        for ((votes, part), (other_votes, other)) in first.parts.iter().zip(&second.parts) {
            if (*votes, *other_votes) != (1, 1) || part.nodes() != other.nodes() {
                return None;
            }
            parts.push(Self::of(part, other, up)?);
        }
        Some(Self::of_parts(&parts, first_need, second_need))
    }

    /// A node says the same to both, so that what needs more is never alone.
    fn of_nodes(up: &[f64], first: usize, second: usize) -> Self {
        let (less, more) = (first.min(second), first.max(second));
        // By how many are up, up to what is needed.
        let mut counted = vec![0.0; more + 1];
        counted[0] = 1.0;
        for up in up {
            counted[more] += counted[more - 1] * up;
            for count in (1..more).rev() {
                counted[count] = counted[count] * (1.0 - up) + counted[count - 1] * up;
            }
            counted[0] *= 1.0 - up;
        }
        let alone = counted.iter().take(more).skip(less).sum();
        let (only_first, only_second) = if first < second { (alone, 0.0) } else { (0.0, alone) };
        Self { both: counted[more], only_first, only_second }
    }

    fn of_parts(parts: &[Self], first: usize, second: usize) -> Self {
        // By how many parts either still needs: a row for each number of the first.
        let width = second + 1;
        let mut missing = vec![0.0; width * (first + 1)];
        missing[width * (first + 1) - 1] = 1.0;
        for part in parts {
            let neither = 1.0 - part.both - part.only_first - part.only_second;
            // What needs less comes first, and is reached from what needs more, which is not yet overwritten.
            for of_first in 0..=first {
                for of_second in 0..=second {
                    let at = of_first * width + of_second;
                    let (done_first, done_second) = (of_first == 0, of_second == 0);
                    let when = |holds: bool, likelihood: f64| if holds { likelihood } else { 0.0 };
                    // Whoever needs nothing more does not care.
                    let to_first = part.only_first + when(done_second, part.both);
                    let to_second = part.only_second + when(done_first, part.both);
                    let stay = neither
                        + when(done_first, part.only_first)
                        + when(done_second, part.only_second)
                        + when(done_first && done_second, part.both);
                    let mut likelihood = missing[at] * stay;
                    if of_first < first {
                        likelihood += missing[at + width] * to_first;
                    }
                    if of_second < second {
                        likelihood += missing[at + 1] * to_second;
                    }
                    if of_first < first && of_second < second {
                        likelihood += missing[at + width + 1] * part.both;
                    }
                    missing[at] = likelihood;
                }
            }
        }
        Self {
            both: missing[0],
            only_first: missing[1..width].iter().sum(),
            only_second: missing.iter().step_by(width).skip(1).sum(),
        }
    }
}
