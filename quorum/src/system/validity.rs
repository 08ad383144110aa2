//! Must every read meet every write?

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::formula::Formula;
use super::minimal::visit;
use super::residual::{Residual, Table};
use super::sweep::{Sweep, sweep};
use super::{Expr, NodeSet, QuorumSystem};
use crate::{SystemError, TooComplex};

impl<N: Ord + Clone> QuorumSystem<N> {
    /// These reads and these writes, if every read quorum has a node in common with every write quorum.
    ///
    /// If not, [`SystemError::Disjoint`] names two quorums that do not meet, neither of which can spare a node.
    ///
    /// The answer is exact. Where reads or writes have few minimal quorums, each is tried. Otherwise the nodes are
    /// divided between a read and a write one by one, all ways side by side, and ways of which the same is left are
    /// one: for thresholds of the same nodes, and where the writes are the dual of the reads, that ends where it
    /// begins. [`SystemError::TooComplex`] says that it does not end within four million steps.
    ///
    /// ```
    /// use quorum::{Expr, QuorumSystem, SystemError};
    ///
    /// let nodes = ["a", "b", "c", "d"];
    /// let half = || Expr::choose(2, nodes);
    /// assert!(QuorumSystem::new(Expr::choose(3, nodes)?, half()?).is_ok());
    /// assert_eq!(
    ///     QuorumSystem::new(half()?, half()?).err(),
    ///     Some(SystemError::Disjoint { read: vec!["a", "b"], write: vec!["c", "d"] }),
    /// );
    /// # Ok::<(), quorum::ExprError>(())
    /// ```
    pub fn new(reads: Expr<N>, writes: Expr<N>) -> Result<Self, SystemError<N>> {
        let system = Self::compile(reads, writes)?;
        match disjoint(system.read_formula(), system.write_formula(), system.nodes().len()) {
            Ok(None) => Ok(system),
            Ok(Some((read, write))) => {
                let named = |set| system.members(set).cloned().collect::<Vec<N>>();
                Err(SystemError::Disjoint { read: named(read), write: named(write) })
            }
            Err(error) => Err(SystemError::TooComplex { steps: error.steps }),
        }
    }
}

/// A read quorum and a write quorum of the same `nodes` that do not meet.
fn disjoint(
    reads: &Formula,
    writes: &Formula,
    nodes: usize,
) -> Result<Option<(NodeSet, NodeSet)>, TooComplex> {
    let read = match (beside(reads, writes, nodes), beside(writes, reads, nodes)) {
        (Ok(read), _) => read,
        (_, Ok(write)) => write.map(|write| NodeSet::first(nodes).difference(write)),
        // What a read took is lost to a write, and the dual of the writes holds just where no write is left.
        _ => sweep(&ReadWithoutWrite, [reads, &writes.dual()], NodeSet::EMPTY)?,
    };
    Ok(read.map(|read| (spare(reads, read), spare(writes, NodeSet::first(nodes).difference(read)))))
}

/// A quorum of the first that leaves one of the second, if the first has so few that they can be tried.
fn beside(first: &Formula, second: &Formula, nodes: usize) -> Result<Option<NodeSet>, TooComplex> {
    let mut looked_at = 0;
    let visited = visit(first, NodeSet::EMPTY, &mut |quorum| {
        looked_at += 1;
        if second.is_quorum(NodeSet::first(nodes).difference(quorum)) {
            ControlFlow::Break(Ok(Some(quorum)))
        } else if looked_at == FEW_QUORUMS {
            ControlFlow::Break(Err(TooComplex { steps: FEW_QUORUMS }))
        } else {
            ControlFlow::Continue(())
        }
    });
    match visited {
        ControlFlow::Break(stopped) => stopped,
        ControlFlow::Continue(()) => Ok(None),
    }
}

/// So many quorums are tried before the nodes are swept through.
const FEW_QUORUMS: usize = 1 << 12;

/// The set without whatever it can spare.
fn spare(formula: &Formula, set: NodeSet) -> NodeSet {
    // The last first, so that quorums are named by the first nodes there are.
    let places: Vec<usize> = set.iter().collect();
    places.into_iter().rev().fold(set, |set, place| {
        let without = set.without(place);
        if formula.is_quorum(without) { without } else { set }
    })
}

/// The sweep for a set that may serve a read while the other nodes may serve a write.
struct ReadWithoutWrite;

impl Sweep<2> for ReadWithoutWrite {
    type Carried = NodeSet;

    fn decide(&self, read: NodeSet, node: usize, up: bool) -> Option<NodeSet> {
        Some(if up { read.with(node) } else { read })
    }

    fn join(&self, one: NodeSet, _: NodeSet) -> NodeSet {
        one
    }

    fn is_hopeless(&self, table: &Table, [read, no_write_left]: [Residual; 2]) -> bool {
        table.implies(read, no_write_left)
    }
}

#[cfg(test)]
mod tests;
