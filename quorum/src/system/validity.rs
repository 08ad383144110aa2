//! Must every read meet every write?

use alloc::vec::Vec;

use super::formula::Formula;
use super::residual::{Residual, Table};
use super::sweep::{Sweep, sweep};
use super::{Expr, NodeSet, QuorumSystem};
use crate::{SystemError, TooComplex};

impl<N: Ord + Clone> QuorumSystem<N> {
    /// These reads and these writes, if every read quorum has a node in common with every write quorum.
    ///
    /// If not, [`SystemError::Disjoint`] names two quorums that do not meet, neither of which can spare a node. The
    /// answer is exact. It is immediate for thresholds of the same nodes and wherever the writes are the dual of the
    /// reads; otherwise the nodes are divided between a read and a write one by one, all ways side by side, and ways
    /// of which the same is left are one. [`SystemError::TooComplex`] says that there are more than a million.
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
    // What a read took is lost to a write, and the dual of the writes holds just where no write is left.
    let read = sweep(&ReadWithoutWrite, [reads, &writes.dual()], NodeSet::EMPTY)?;
    Ok(read.map(|read| (spare(reads, read), spare(writes, NodeSet::first(nodes).difference(read)))))
}

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
