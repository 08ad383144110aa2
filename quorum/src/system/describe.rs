//! Quorum systems, and what has been asked of them, as pictures.

use alloc::vec::Vec;
use core::fmt;

use super::cheapest::cheapest;
use super::formula::Formula;
use super::{Expr, NodeSet, QuorumSystem, Shape};
use crate::TooComplex;

impl<N: Ord + Clone + fmt::Display> QuorumSystem<N> {
    /// The system as a picture: what reads and writes are made of, the smallest of them, and what they survive.
    ///
    /// ```
    /// let text = quorum::QuorumSystem::grid([["a", "b"], ["c", "d"]])?.describe().to_string();
    /// assert!(text.contains("any of\n|- all of a b\n`- all of c d\n"));
    /// assert!(text.contains("smallest: 2 (a b)\nsurvive any 1 failure, stopped by: a c\n"));
    /// # Ok::<(), quorum::ShapeError<&str>>(())
    /// ```
    pub const fn describe(&self) -> SystemDescription<'_, N> {
        SystemDescription { system: self }
    }

    /// How far a read and a write have come, as a picture: the nodes in `acknowledged` are marked `#`, all others `.`,
    /// and so is every part that has or has not come to hold.
    ///
    /// ```
    /// let grid = quorum::QuorumSystem::grid([["a", "b"], ["c", "d"]])?;
    /// let picture = grid.picture(grid.set(["a", "c"])).to_string();
    /// assert!(picture.starts_with("read: missing b\n. any of\n|- . all of a# b.\n`- . all of c# d.\n"));
    /// assert!(picture.contains("write: reached\n# all of\n"));
    /// # Ok::<(), quorum::ShapeError<&str>>(())
    /// ```
    pub const fn picture(&self, acknowledged: NodeSet) -> SystemPicture<'_, N> {
        SystemPicture { system: self, acknowledged }
    }
}

/// The picture of [`QuorumSystem::describe`], ready to be displayed.
#[derive(Debug, Clone, Copy)]
pub struct SystemDescription<'a, N> {
    system: &'a QuorumSystem<N>,
}

impl<N: Ord + Clone + fmt::Display> fmt::Display for SystemDescription<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = self.system;
        let count = system.nodes().len();
        writeln!(
            f,
            "{count} {}: {}",
            if count == 1 { "node" } else { "nodes" },
            Members(system, NodeSet::first(count))
        )?;
        writeln!(f, "every read meets every write")?;
        sides(system, ["reads and writes", "reads", "writes"])
            .try_for_each(|(title, expr, formula)| self.side(f, title, expr, formula))
    }
}

impl<N: Ord + Clone + fmt::Display> SystemDescription<'_, N> {
    fn side(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        expr: &Expr<N>,
        formula: &Formula,
    ) -> fmt::Result {
        let system = self.system;
        writeln!(f, "{title}: {expr}")?;
        Drawing { system, acknowledged: None }.draw(f, expr)?;
        match self.facts(formula) {
            Err(error) => writeln!(f, "{error}"),
            Ok((smallest, blocking)) => {
                writeln!(f, "smallest: {} ({})", smallest.len(), Members(system, smallest))?;
                match blocking.len() {
                    0 | 1 => f.write_str("survive no failure")?,
                    2 => f.write_str("survive any 1 failure")?,
                    more => write!(f, "survive any {} failures", more - 1)?,
                }
                writeln!(f, ", stopped by: {}", Members(system, blocking))
            }
        }
    }

    fn facts(&self, formula: &Formula) -> Result<(NodeSet, NodeSet), TooComplex> {
        Ok((self.system.smallest(formula)?, self.system.smallest(&formula.dual())?))
    }
}

/// The picture of [`QuorumSystem::picture`], ready to be displayed.
#[derive(Debug, Clone, Copy)]
pub struct SystemPicture<'a, N> {
    system: &'a QuorumSystem<N>,
    acknowledged: NodeSet,
}

impl<N: Ord + Clone + fmt::Display> fmt::Display for SystemPicture<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sides(self.system, ["read and write", "read", "write"])
            .try_for_each(|(title, expr, formula)| self.side(f, title, expr, formula))
    }
}

impl<N: Ord + Clone + fmt::Display> SystemPicture<'_, N> {
    fn side(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        expr: &Expr<N>,
        formula: &Formula,
    ) -> fmt::Result {
        let Self { system, acknowledged } = *self;
        if formula.is_quorum(acknowledged) {
            writeln!(f, "{title}: reached")?;
        } else {
            match self.missing(formula) {
                Ok(missing) => writeln!(f, "{title}: missing {}", Members(system, missing))?,
                Err(_) => writeln!(f, "{title}: missing")?,
            }
        }
        Drawing { system, acknowledged: Some(acknowledged) }.draw(f, expr)
    }

    /// The fewest nodes that would be enough.
    fn missing(&self, formula: &Formula) -> Result<NodeSet, TooComplex> {
        let nodes = self.system.nodes().len();
        let costs: Vec<f64> =
            (0..nodes).map(|node| if self.acknowledged.contains(node) { 0.0 } else { 1.0 }).collect();
        let quorum = cheapest(formula, &costs)?.map_or(NodeSet::first(nodes), |quorum| quorum.set);
        Ok(quorum.difference(self.acknowledged))
    }
}

/// Reads and writes under their titles; under one, if they are the same.
fn sides<'a, N: Ord + Clone>(
    system: &'a QuorumSystem<N>,
    [both, reads, writes]: [&'a str; 3],
) -> impl Iterator<Item = (&'a str, &'a Expr<N>, &'a Formula)> {
    let are_same = system.reads() == system.writes();
    let first = (if are_same { both } else { reads }, system.reads(), system.read_formula());
    let second = (writes, system.writes(), system.write_formula());
    core::iter::once(first).chain((!are_same).then_some(second))
}

/// An expression as a tree, one line per part that is not a mere list of nodes.
struct Drawing<'a, N> {
    system: &'a QuorumSystem<N>,
    acknowledged: Option<NodeSet>,
}

impl<N: Ord + Clone + fmt::Display> Drawing<'_, N> {
    fn draw(&self, f: &mut fmt::Formatter<'_>, expr: &Expr<N>) -> fmt::Result {
        // What is still to be drawn, with what stands before it: on its own line, and on the lines below.
        let mut rest = Vec::from([(expr, 1, Margin::default())]);
        while let Some((expr, votes, margin)) = rest.pop() {
            write!(f, "{margin}")?;
            match expr.shape() {
                Shape::Node(_) => self.nodes(f, &[(votes, expr.clone())])?,
                Shape::Threshold { need, parts } => {
                    if votes > 1 {
                        write!(f, "{votes} votes: ")?;
                    }
                    if self.acknowledged.is_some() {
                        write!(f, "{} ", mark(self.holds(expr)))?;
                    }
                    choice(f, need, parts)?;
                    if parts.iter().all(|(_, part)| matches!(part.shape(), Shape::Node(_))) {
                        f.write_str(" ")?;
                        self.nodes(f, parts)?;
                    } else {
                        let last = parts.len() - 1;
                        let below = parts.iter().enumerate().rev();
                        rest.extend(
                            below.map(|(place, (votes, part))| (part, *votes, margin.below(place == last))),
                        );
                    }
                }
            }
            f.write_str("\n")?;
        }
        Ok(())
    }

    fn nodes(&self, f: &mut fmt::Formatter<'_>, parts: &[(u64, Expr<N>)]) -> fmt::Result {
        for (place, (votes, part)) in parts.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            if *votes > 1 {
                write!(f, "{votes}:")?;
            }
            write!(f, "{part}")?;
            if self.acknowledged.is_some() {
                write!(f, "{}", mark(self.holds(part)))?;
            }
        }
        Ok(())
    }

    fn holds(&self, expr: &Expr<N>) -> bool {
        match expr.shape() {
            Shape::Node(node) => {
                let place = self.system.nodes().binary_search(node);
                place.is_ok_and(|place| self.acknowledged.is_some_and(|set| set.contains(place)))
            }
            Shape::Threshold { need, parts } => {
                let holding = parts.iter().filter(|(_, part)| self.holds(part));
                holding.map(|(votes, _)| votes).sum::<u64>() >= need
            }
        }
    }
}

fn choice<N>(f: &mut fmt::Formatter<'_>, need: u64, parts: &[(u64, Expr<N>)]) -> fmt::Result {
    let votes: u64 = parts.iter().map(|(votes, _)| votes).sum();
    match need {
        _ if votes > parts.len() as u64 => write!(f, "{need} of {votes} votes:"),
        1 => f.write_str("any of"),
        _ if need == votes => f.write_str("all of"),
        _ => write!(f, "{need} of {votes}:"),
    }
}

const fn mark(holds: bool) -> char {
    if holds { '#' } else { '.' }
}

/// The lines that lead from a part to the parts it belongs to.
#[derive(Clone, Default)]
struct Margin {
    /// For each level, whether it ends here.
    ends: Vec<bool>,
}

impl Margin {
    fn below(&self, ends: bool) -> Self {
        Self { ends: self.ends.iter().copied().chain([ends]).collect() }
    }
}

impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((own, outer)) = self.ends.split_last() else {
            return Ok(());
        };
        for ended in outer {
            f.write_str(if *ended { "   " } else { "|  " })?;
        }
        f.write_str(if *own { "`- " } else { "|- " })
    }
}

/// The names of a set.
struct Members<'a, N>(&'a QuorumSystem<N>, NodeSet);

impl<N: Ord + Clone + fmt::Display> fmt::Display for Members<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, node) in self.0.members(self.1).enumerate() {
            write!(f, "{}{node}", if place > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}
