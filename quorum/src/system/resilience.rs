//! How many failures leave a quorum, and which leave none.

use alloc::vec::Vec;

use super::cheapest::cheapest;
use super::formula::Formula;
use super::{NodeSet, QuorumSystem};
use crate::TooComplex;

/// Each question is the one for the cheapest quorum of the dual: nodes whose failure leaves no quorum are nodes that
/// meet every quorum. O(size log size) where nodes stand once; otherwise see [`TooComplex`].
impl<N: Ord + Clone> QuorumSystem<N> {
    /// However many nodes fail, up to this number, the others can still serve a read.
    ///
    /// ```
    /// use quorum::{Expr, QuorumSystem};
    ///
    /// let [a, b, c, d, e, f] = ["a", "b", "c", "d", "e", "f"].map(Expr::from);
    /// let grid = QuorumSystem::from_reads(a * b * c + d * e * f)?;
    /// assert_eq!(grid.read_resilience()?, 1);  // one node of either row, and no row is complete
    /// assert_eq!(grid.write_resilience()?, 2); // only a whole row leaves no node of it
    /// assert_eq!(grid.resilience()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_resilience(&self) -> Result<usize, TooComplex> {
        Ok(self.smallest_read_blocking_set()?.len().saturating_sub(1))
    }

    /// However many nodes fail, up to this number, the others can still serve a write.
    pub fn write_resilience(&self) -> Result<usize, TooComplex> {
        Ok(self.smallest_write_blocking_set()?.len().saturating_sub(1))
    }

    /// However many nodes fail, up to this number, the others can still serve reads and writes.
    pub fn resilience(&self) -> Result<usize, TooComplex> {
        Ok(self.read_resilience()?.min(self.write_resilience()?))
    }

    /// The fewest nodes whose failure leaves no read quorum: where [`read_resilience`](Self::read_resilience) ends.
    pub fn smallest_read_blocking_set(&self) -> Result<NodeSet, TooComplex> {
        self.smallest(&self.read_formula().dual())
    }

    /// The fewest nodes whose failure leaves no write quorum.
    pub fn smallest_write_blocking_set(&self) -> Result<NodeSet, TooComplex> {
        self.smallest(&self.write_formula().dual())
    }

    /// Whether these nodes may serve a read even when any `failures` of them have failed. Who asks such a set needs not
    /// ask again after so many failures.
    ///
    /// ```
    /// use quorum::{Expr, NodeSet, QuorumSystem};
    ///
    /// let five = QuorumSystem::from_reads(Expr::majority([1, 2, 3, 4, 5])?)?;
    /// assert!(five.is_resilient_read_quorum(NodeSet::first(4), 1)?);
    /// assert!(!five.is_resilient_read_quorum(NodeSet::first(4), 2)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_resilient_read_quorum(&self, set: NodeSet, failures: usize) -> Result<bool, TooComplex> {
        self.is_resilient(self.read_formula(), set, failures)
    }

    /// Whether these nodes may serve a write even when any `failures` of them have failed.
    pub fn is_resilient_write_quorum(&self, set: NodeSet, failures: usize) -> Result<bool, TooComplex> {
        self.is_resilient(self.write_formula(), set, failures)
    }

    fn is_resilient(&self, formula: &Formula, set: NodeSet, failures: usize) -> Result<bool, TooComplex> {
        // Nodes outside the set are as good as failed, so only those inside cost anything.
        let costs: Vec<f64> =
            (0..self.nodes().len()).map(|node| if set.contains(node) { 1.0 } else { 0.0 }).collect();
        let fewest = cheapest(&formula.dual(), &costs)?;
        // Fewer than 2^53 nodes: the sum of their costs is exact.
        #[expect(clippy::cast_precision_loss, reason = "no set has more than 128 nodes")]
        Ok(fewest.is_none_or(|fewest| fewest.cost > failures as f64))
    }
}
