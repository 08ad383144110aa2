//! Reads and writes together.

use alloc::vec::Vec;
use core::borrow::Borrow;

use super::formula::Formula;
use super::rule::Rule;
use super::{Expr, MAX_NODES, NodeSet};
use crate::SystemError;

/// Which sets of nodes may serve a read, and which a write.
///
/// ```
/// use quorum::{Expr, QuorumSystem};
///
/// let [a, b, c, d] = ["a", "b", "c", "d"].map(Expr::from);
/// let grid = QuorumSystem::from_reads(a * b + c * d)?;
/// assert!(grid.is_read_quorum(grid.set(["a", "b"])));
/// assert!(grid.is_write_quorum(grid.set(["a", "d"])));
/// assert!(!grid.is_write_quorum(grid.set(["a", "b"])));
/// # Ok::<(), quorum::SystemError<&str>>(())
/// ```
#[derive(Debug, Clone)]
pub struct QuorumSystem<N> {
    /// Ascending, each once.
    nodes: Vec<N>,
    reads: Side<N>,
    writes: Side<N>,
}

/// As written, and as compiled.
#[derive(Debug, Clone)]
struct Side<N> {
    expr: Expr<N>,
    formula: Formula,
    rule: Rule,
}

impl<N: Ord + Clone> QuorumSystem<N> {
    /// These reads, with the smallest writes that all of them meet.
    pub fn from_reads(reads: Expr<N>) -> Result<Self, SystemError<N>> {
        let writes = reads.dual();
        Self::compile(reads, writes)
    }

    /// These writes, with the smallest reads that meet all of them.
    pub fn from_writes(writes: Expr<N>) -> Result<Self, SystemError<N>> {
        let reads = writes.dual();
        Self::compile(reads, writes)
    }

    pub(super) fn compile(reads: Expr<N>, writes: Expr<N>) -> Result<Self, SystemError<N>> {
        let mut nodes: Vec<N> = reads.nodes().chain(writes.nodes()).cloned().collect();
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.len() > MAX_NODES {
            return Err(SystemError::TooManyNodes { given: nodes.len() });
        }
        let compiled = |expr: Expr<N>| {
            let formula = Formula::compile(&expr, &nodes);
            Side { rule: Rule::new(&formula), formula, expr }
        };
        let (reads, writes) = (compiled(reads), compiled(writes));
        Ok(Self { nodes, reads, writes })
    }

    /// The nodes, ascending. A [`NodeSet`] of this system means places in this list.
    pub fn nodes(&self) -> &[N] {
        &self.nodes
    }

    /// The set of these nodes. Nodes that the system does not know count for nothing and are left out.
    pub fn set<Q: Borrow<N>>(&self, nodes: impl IntoIterator<Item = Q>) -> NodeSet {
        nodes.into_iter().filter_map(|node| self.nodes.binary_search(node.borrow()).ok()).collect()
    }

    /// The nodes of a set, ascending.
    pub fn members(&self, set: NodeSet) -> impl Iterator<Item = &N> {
        set.iter().filter_map(|place| self.nodes.get(place))
    }

    /// Which sets may serve a read, as written.
    pub fn reads(&self) -> &Expr<N> {
        &self.reads.expr
    }

    /// Which sets may serve a write, as written.
    pub fn writes(&self) -> &Expr<N> {
        &self.writes.expr
    }

    /// Whether these nodes contain a read quorum. O(size of the expression), for flat ones O(1); allocates nothing.
    pub fn is_read_quorum(&self, set: NodeSet) -> bool {
        self.reads.rule.is_quorum(set)
    }

    /// Whether these nodes contain a write quorum. O(size of the expression), for flat ones O(1); allocates nothing.
    pub fn is_write_quorum(&self, set: NodeSet) -> bool {
        self.writes.rule.is_quorum(set)
    }

    pub(crate) fn read_formula(&self) -> &Formula {
        &self.reads.formula
    }

    pub(crate) fn write_formula(&self) -> &Formula {
        &self.writes.formula
    }
}
