//! The algebra of quorums.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Add, Mul};

use crate::ExprError;

/// Which sets of nodes are quorums, written as a formula.
///
/// A node is a quorum by itself. `a * b` needs a quorum of both sides, `a + b` one of either;
/// [`choose`](Self::choose), [`majority`](Self::majority) and [`weighted`](Self::weighted) need as many of their parts
/// (or as many votes) as they say. A node may stand in several places: it is one node and fails as one.
///
/// Source: Whittaker, Charapko, Hellerstein, Howard, Stoica, "Read-Write Quorum Systems Made Practical", 2021; weighted
/// votes are Gifford's, 1979.
///
/// ```
/// use quorum::Expr;
///
/// let [a, b, c, d] = ["a", "b", "c", "d"].map(Expr::from);
/// let grid = a * b + c * d;
/// assert_eq!(grid.to_string(), "a * b + c * d");
/// assert_eq!(grid.dual().to_string(), "(a + b) * (c + d)");
/// assert_eq!(Expr::majority(["x", "y", "z"])?.to_string(), "choose(2, x, y, z)");
/// # Ok::<(), quorum::ExprError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expr<N> {
    shape: Owned<N>,
}

/// A threshold says it all: `+` needs one of its parts, `*` all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owned<N> {
    Node(N),
    Threshold { need: u64, parts: Vec<(u64, Expr<N>)> },
}

/// What an expression is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape<'a, N> {
    /// One node.
    Node(&'a N),
    /// Parts of which so many must be quorums that their votes add up to `need`.
    Threshold {
        /// How many votes are needed: at least 1, at most what all parts have together.
        need: u64,
        /// Each part with its votes, which are at least 1. There is at least one.
        parts: &'a [(u64, Expr<N>)],
    },
}

impl<N> Expr<N> {
    /// One node, which is a quorum by itself. `Expr::from(node)` says the same.
    pub const fn node(node: N) -> Self {
        Self { shape: Owned::Node(node) }
    }

    /// A quorum of any one part: `+` over many.
    pub fn any<E: Into<Self>>(parts: impl IntoIterator<Item = E>) -> Result<Self, ExprError> {
        Self::choose(1, parts)
    }

    /// A quorum of every part: `*` over many.
    pub fn all<E: Into<Self>>(parts: impl IntoIterator<Item = E>) -> Result<Self, ExprError> {
        let parts = one_vote_each(parts);
        Self::threshold(parts.len() as u64, parts)
    }

    /// Quorums of `k` different parts.
    pub fn choose<E: Into<Self>>(k: u64, parts: impl IntoIterator<Item = E>) -> Result<Self, ExprError> {
        Self::threshold(k, one_vote_each(parts))
    }

    /// Quorums of more than half of the parts.
    pub fn majority<E: Into<Self>>(parts: impl IntoIterator<Item = E>) -> Result<Self, ExprError> {
        let parts = one_vote_each(parts);
        Self::threshold(parts.len() as u64 / 2 + 1, parts)
    }

    /// Quorums of parts whose votes add up to at least `need`.
    ///
    /// A part with no votes is refused: it could be left out, and whoever wrote it may have meant something else.
    pub fn weighted<E: Into<Self>>(
        need: u64,
        parts: impl IntoIterator<Item = (u64, E)>,
    ) -> Result<Self, ExprError> {
        Self::threshold(need, parts.into_iter().map(|(votes, part)| (votes, part.into())).collect())
    }

    fn threshold(need: u64, mut parts: Vec<(u64, Self)>) -> Result<Self, ExprError> {
        if parts.is_empty() {
            return Err(ExprError::NoParts);
        }
        let mut total = 0_u64;
        for &(votes, _) in &parts {
            if votes == 0 {
                return Err(ExprError::NoVotes);
            }
            total = total.checked_add(votes).ok_or(ExprError::TooManyVotes)?;
        }
        if need == 0 {
            return Err(ExprError::NeedsNothing);
        }
        if need > total {
            return Err(ExprError::NeedsTooMuch { need, total });
        }
        if let [_] = &parts[..]
            && let Some((_, only)) = parts.pop()
        {
            return Ok(only);
        }
        Ok(Self { shape: Owned::Threshold { need, parts } })
    }

    /// What it is made of.
    pub fn shape(&self) -> Shape<'_, N> {
        match &self.shape {
            Owned::Node(node) => Shape::Node(node),
            Owned::Threshold { need, parts } => Shape::Threshold { need: *need, parts },
        }
    }

    /// The expression whose quorums are the smallest sets that meet every quorum of this one, and all that contain
    /// them. The dual of the dual is the expression itself. O(size).
    ///
    /// With these reads, these are the best writes: the smallest that every read is sure to meet.
    #[must_use]
    pub fn dual(&self) -> Self
    where
        N: Clone,
    {
        let shape = match &self.shape {
            Owned::Node(node) => Owned::Node(node.clone()),
            Owned::Threshold { need, parts } => {
                let total: u64 = parts.iter().map(|(votes, _)| votes).sum();
                let parts = parts.iter().map(|(votes, part)| (*votes, part.dual())).collect();
                Owned::Threshold { need: total - need + 1, parts }
            }
        };
        Self { shape }
    }

    /// Every node, in the order of writing, as often as it stands there.
    pub fn nodes(&self) -> impl Iterator<Item = &N> {
        let mut rest = vec![self];
        core::iter::from_fn(move || {
            loop {
                match &rest.pop()?.shape {
                    Owned::Node(node) => return Some(node),
                    Owned::Threshold { parts, .. } => rest.extend(parts.iter().rev().map(|(_, part)| part)),
                }
            }
        })
    }

    /// `+` over at least two at once. O(parts), where one after the other takes the square of that.
    pub(super) fn sum(terms: Vec<Self>) -> Self {
        let parts = Self::flattened(terms, |need, _| need == 1);
        Self { shape: Owned::Threshold { need: 1, parts } }
    }

    /// `*` over at least two at once.
    pub(super) fn product(factors: Vec<Self>) -> Self {
        let parts = Self::flattened(factors, |need, parts| need == parts.len() as u64);
        Self { shape: Owned::Threshold { need: parts.len() as u64, parts } }
    }

    fn flattened(parts: Vec<Self>, of: impl Fn(u64, &[(u64, Self)]) -> bool) -> Vec<(u64, Self)> {
        parts.into_iter().flat_map(|part| part.into_parts(&of)).collect()
    }

    /// The parts of a `+` or of a `*`, so that `a + b + c` is one choice and not two; anything else is one part.
    fn into_parts(self, of: impl Fn(u64, &[(u64, Self)]) -> bool) -> Vec<(u64, Self)> {
        match self.shape {
            Owned::Threshold { need, parts } if one_vote(&parts) && of(need, &parts) => parts,
            shape => vec![(1, Self { shape })],
        }
    }
}

fn one_vote_each<N, E: Into<Expr<N>>>(parts: impl IntoIterator<Item = E>) -> Vec<(u64, Expr<N>)> {
    parts.into_iter().map(|part| (1, part.into())).collect()
}

fn one_vote<N>(parts: &[(u64, Expr<N>)]) -> bool {
    parts.iter().all(|(votes, _)| *votes == 1)
}

impl<N> From<N> for Expr<N> {
    fn from(node: N) -> Self {
        Self::node(node)
    }
}

/// A quorum of either.
impl<N> Add for Expr<N> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let any = |need, _: &[_]| need == 1;
        let mut parts = self.into_parts(any);
        parts.extend(other.into_parts(any));
        Self { shape: Owned::Threshold { need: 1, parts } }
    }
}

/// A quorum of both.
impl<N> Mul for Expr<N> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let all = |need, parts: &[_]| need == parts.len() as u64;
        let mut parts = self.into_parts(all);
        parts.extend(other.into_parts(all));
        Self { shape: Owned::Threshold { need: parts.len() as u64, parts } }
    }
}

/// As it is written in code, with `choose` and `weighted` where neither `+` nor `*` will do.
impl<N: fmt::Display> fmt::Display for Expr<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Owned::Node(node) => write!(f, "{node}"),
            Owned::Threshold { need, parts } if !one_vote(parts) => {
                write!(f, "weighted({need}")?;
                parts.iter().try_for_each(|(votes, part)| write!(f, ", {votes}: {part}"))?;
                f.write_str(")")
            }
            Owned::Threshold { need: 1, parts } => join(f, parts, " + ", |_| false),
            Owned::Threshold { need, parts } if *need == parts.len() as u64 => join(
                f,
                parts,
                " * ",
                |part| matches!(&part.shape, Owned::Threshold { need: 1, parts } if one_vote(parts)),
            ),
            Owned::Threshold { need, parts } => {
                write!(f, "choose({need}")?;
                parts.iter().try_for_each(|(_, part)| write!(f, ", {part}"))?;
                f.write_str(")")
            }
        }
    }
}

fn join<N: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    parts: &[(u64, Expr<N>)],
    between: &str,
    in_brackets: impl Fn(&Expr<N>) -> bool,
) -> fmt::Result {
    for (place, (_, part)) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(between)?;
        }
        if in_brackets(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}
