//! Every system in which each node stands once, nodes that are alike counted once.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// An expression over kinds of nodes: which of several equal nodes stands where makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Candidate {
    Node(usize),
    Choose(u64, Vec<Candidate>),
}

/// How many nodes there are of each kind.
type Counts = Vec<usize>;

/// Shows every candidate of exactly this height over all these nodes, until `visit` breaks off.
///
/// Height 1 is a choice among nodes, height 2 a choice among such choices and nodes, and so on. A choice of one among
/// choices of one is left out, as is one of all among choices of all: each says the same as a flatter one.
pub(super) fn each_of_height(
    counts: &[usize],
    height: usize,
    visit: &mut dyn FnMut(&Candidate) -> ControlFlow<()>,
) -> ControlFlow<()> {
    each(counts, height, &mut |candidate| {
        if candidate.height() == height { visit(candidate) } else { ControlFlow::Continue(()) }
    })
}

fn each(
    counts: &[usize],
    height: usize,
    visit: &mut dyn FnMut(&Candidate) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if let Some(kind) = only(counts) {
        return visit(&Candidate::Node(kind));
    }
    if height == 0 {
        return ControlFlow::Continue(());
    }
    let total: usize = counts.iter().sum();
    let mut choices = |parts: &[Counts]| {
        fill(parts, height - 1, &mut Vec::new(), &mut |filled| {
            let all = filled.len() as u64;
            for need in 1..=all {
                let is_flat = filled.iter().all(|part| !part.is_like(need, all));
                if is_flat {
                    visit(&Candidate::Choose(need, filled.to_vec()))?;
                }
            }
            ControlFlow::Continue(())
        })
    };
    // Even parts first: grids and hierarchies are what is most often best. No part is the whole: it would never end.
    for size in (1..=total / 2).filter(|size| total.is_multiple_of(*size)) {
        partitions(counts, Some(size), &mut Vec::new(), &mut choices)?;
    }
    partitions(counts, None, &mut Vec::new(), &mut |parts| {
        if parts.len() < 2 || are_even(parts) { ControlFlow::Continue(()) } else { choices(parts) }
    })
}

fn are_even(parts: &[Counts]) -> bool {
    let mut sizes = parts.iter().map(|part| part.iter().sum::<usize>());
    let first = sizes.next();
    sizes.all(|size| Some(size) == first)
}

/// The ways to deal out `rest` to parts, of one size if that is given, each way once: every part is at most as large as
/// the one before, and the more there is of the kinds of lower number, the larger is a part.
fn partitions(
    rest: &[usize],
    size: Option<usize>,
    parts: &mut Vec<Counts>,
    visit: &mut dyn FnMut(&[Counts]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(first) = rest.iter().position(|count| *count > 0) else {
        return visit(parts);
    };
    let mut part: Counts = vec![0; rest.len()];
    each_part(rest, first, first, size, &mut part, &mut |part| {
        if parts.last().is_some_and(|before| part > &before[..]) {
            return ControlFlow::Continue(());
        }
        let left: Counts = rest.iter().zip(part).map(|(rest, part)| rest - part).collect();
        parts.push(part.to_vec());
        let went_on = partitions(&left, size, parts, visit);
        parts.pop();
        went_on
    })
}

/// Every part of `rest` that has one of the first kind, large ones first: what to take of `kind` and those after it.
fn each_part(
    rest: &[usize],
    first: usize,
    kind: usize,
    size: Option<usize>,
    part: &mut Counts,
    visit: &mut dyn FnMut(&[usize]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(&there) = rest.get(kind) else {
        return if size.is_none_or(|left| left == 0) { visit(part) } else { ControlFlow::Continue(()) };
    };
    let after: usize = rest.iter().skip(kind + 1).sum();
    let most = size.map_or(there, |left| left.min(there));
    let least = size.map_or(0, |left| left.saturating_sub(after)).max(usize::from(kind == first));
    for count in (least..=most).rev() {
        part[kind] = count;
        each_part(rest, first, kind + 1, size.map(|left| left - count), part, visit)?;
    }
    part[kind] = 0;
    ControlFlow::Continue(())
}

/// Every choice of a candidate for each part. Equal parts take theirs in descending order.
fn fill(
    parts: &[Counts],
    height: usize,
    filled: &mut Vec<Candidate>,
    visit: &mut dyn FnMut(&[Candidate]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(part) = parts.get(filled.len()) else {
        return visit(filled);
    };
    let before = filled.len().checked_sub(1).filter(|before| parts[*before] == *part);
    let most = before.map(|before| filled[before].clone());
    each(part, height, &mut |candidate| {
        if most.as_ref().is_some_and(|most| candidate > most) {
            return ControlFlow::Continue(());
        }
        filled.push(candidate.clone());
        let went_on = fill(parts, height, filled, visit);
        filled.pop();
        went_on
    })
}

fn only(counts: &[usize]) -> Option<usize> {
    (counts.iter().sum::<usize>() == 1).then(|| counts.iter().position(|count| *count == 1))?
}

impl Candidate {
    fn height(&self) -> usize {
        match self {
            Self::Node(_) => 0,
            Self::Choose(_, parts) => 1 + parts.iter().map(Self::height).max().unwrap_or(0),
        }
    }

    /// Whether it could be dissolved in a choice of `need` out of `all`.
    fn is_like(&self, need: u64, all: u64) -> bool {
        match self {
            Self::Node(_) => false,
            Self::Choose(own, parts) => {
                (need == 1 && *own == 1) || (need == all && *own == parts.len() as u64)
            }
        }
    }
}

#[cfg(test)]
mod tests;
