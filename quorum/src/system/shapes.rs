//! Ready-made quorum systems.

use alloc::vec::Vec;

use super::{Expr, QuorumSystem};
use crate::{ExprError, QuorumConfig, ShapeError};

/// Systems of a known shape. Each refuses a node that is named twice, as the shape would not be what its name says.
impl<N: Ord + Clone> QuorumSystem<N> {
    /// More than half of the nodes, for reads and for writes: any two requests meet.
    ///
    /// Source: Thomas, "A Majority Consensus Approach to Concurrency Control for Multiple Copy Databases", 1979.
    ///
    /// ```
    /// use quorum::QuorumSystem;
    ///
    /// let five = QuorumSystem::majority(1..=5)?;
    /// assert_eq!((five.smallest_write_quorum()?.len(), five.resilience()?), (3, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn majority(nodes: impl IntoIterator<Item = N>) -> Result<Self, ShapeError<N>> {
        let majority = Expr::majority(distinct(nodes)?)?;
        Ok(Self::new(majority.clone(), majority)?)
    }

    /// Any node for a read, every node for a write: the cheapest reads, and one failure stops all writes.
    ///
    /// ```
    /// use quorum::QuorumSystem;
    ///
    /// let three = QuorumSystem::read_one_write_all(["a", "b", "c"])?;
    /// assert_eq!((three.read_resilience()?, three.write_resilience()?), (2, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_one_write_all(nodes: impl IntoIterator<Item = N>) -> Result<Self, ShapeError<N>> {
        Ok(Self::from_reads(Expr::any(distinct(nodes)?)?)?)
    }

    /// Any R nodes for a read and any W for a write, if that is strict. These are N different nodes.
    ///
    /// ```
    /// use quorum::{QuorumConfig, QuorumSystem, ShapeError, SystemError};
    ///
    /// let four = QuorumSystem::from_config(QuorumConfig::new(4, 2, 3)?, ["a", "b", "c", "d"])?;
    /// assert_eq!(four.writes().to_string(), "choose(3, a, b, c, d)");
    ///
    /// let loose = QuorumSystem::from_config(QuorumConfig::new(3, 1, 2)?, ["a", "b", "c"]);
    /// assert!(matches!(loose, Err(ShapeError::System(SystemError::Disjoint { .. }))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_config(
        config: QuorumConfig,
        nodes: impl IntoIterator<Item = N>,
    ) -> Result<Self, ShapeError<N>> {
        let nodes = distinct(nodes)?;
        if u32::try_from(nodes.len()) != Ok(config.n()) {
            return Err(ShapeError::WrongNumber { n: config.n(), given: nodes.len() });
        }
        let reads = Expr::choose(config.r().into(), nodes.clone())?;
        let writes = Expr::choose(config.w().into(), nodes)?;
        Ok(Self::new(reads, writes)?)
    }

    /// Nodes with votes: a read needs `read` of them, a write `write`. Usually `read + write` exceeds all votes there
    /// are, but votes in lumps may also meet with less.
    ///
    /// Source: Gifford, "Weighted Voting for Replicated Data", 1979.
    ///
    /// ```
    /// use quorum::QuorumSystem;
    ///
    /// let offices = QuorumSystem::weighted([(2, "main"), (1, "east"), (1, "west")], 2, 3)?;
    /// assert!(offices.is_read_quorum(offices.set(["main"])));
    /// assert!(!offices.is_write_quorum(offices.set(["east", "west"])));
    /// # Ok::<(), quorum::ShapeError<&str>>(())
    /// ```
    pub fn weighted(
        votes: impl IntoIterator<Item = (u64, N)>,
        read: u64,
        write: u64,
    ) -> Result<Self, ShapeError<N>> {
        let votes: Vec<(u64, N)> = votes.into_iter().collect();
        distinct(votes.iter().map(|(_, node)| node.clone()))?;
        Ok(Self::new(Expr::weighted(read, votes.clone())?, Expr::weighted(write, votes)?)?)
    }

    /// A whole row for a read, one node of each row for a write. Rows may differ in length. Load spreads well over
    /// many nodes, but two writes need not meet.
    ///
    /// Source: the running example of Whittaker et al., "Read-Write Quorum Systems Made Practical", 2021.
    ///
    /// ```
    /// use quorum::QuorumSystem;
    ///
    /// let grid = QuorumSystem::grid([["a", "b", "c"], ["d", "e", "f"]])?;
    /// assert_eq!(grid.reads().to_string(), "a * b * c + d * e * f");
    /// assert_eq!(grid.writes().to_string(), "(a + b + c) * (d + e + f)");
    /// assert!(!grid.is_read_quorum(grid.set(["a", "d"])));
    /// # Ok::<(), quorum::ShapeError<&str>>(())
    /// ```
    pub fn grid<R: IntoIterator<Item = N>>(rows: impl IntoIterator<Item = R>) -> Result<Self, ShapeError<N>> {
        let rows = each(distinct_lines(rows)?, Expr::all)?;
        Ok(Self::from_reads(Expr::any(rows)?)?)
    }

    /// One node of each column for a read; for a write, a whole column and one node of each of the others. Writes
    /// meet, too, as each covers the column that the other has whole.
    ///
    /// Source: Cheung, Ammar, Ahamad, "The Grid Protocol: A High Performance Scheme for Maintaining Replicated Data",
    /// 1990.
    ///
    /// ```
    /// use quorum::QuorumSystem;
    ///
    /// let grid = QuorumSystem::grid_protocol([["a", "b"], ["c", "d"]])?;
    /// assert!(grid.is_read_quorum(grid.set(["a", "c"])));
    /// assert!(!grid.is_write_quorum(grid.set(["a", "c"])));
    /// assert!(grid.is_write_quorum(grid.set(["a", "c", "d"])));
    /// # Ok::<(), quorum::ShapeError<&str>>(())
    /// ```
    pub fn grid_protocol<C: IntoIterator<Item = N>>(
        columns: impl IntoIterator<Item = C>,
    ) -> Result<Self, ShapeError<N>> {
        let columns = distinct_lines(columns)?;
        let cover = Expr::all(each(columns.clone(), Expr::any)?)?;
        let whole = Expr::any(each(columns, Expr::all)?)?;
        Ok(Self::new(cover.clone(), cover * whole)?)
    }

    /// A path from the root of a binary tree to a leaf, for reads and for writes, where the path may go around a node
    /// that is down by going through both of its children. While all is well, a quorum is as small as the tree is high.
    ///
    /// The nodes come level by level from the root on, and each has two children or none: their number is odd.
    ///
    /// Source: Agrawal, El Abbadi, "An Efficient and Fault-Tolerant Solution for Distributed Mutual Exclusion", 1991.
    ///
    /// ```
    /// use quorum::QuorumSystem;
    ///
    /// let tree = QuorumSystem::tree(1..=7)?;
    /// assert!(tree.is_read_quorum(tree.set([1, 2, 4])));
    /// assert!(tree.is_read_quorum(tree.set([2, 4, 3, 6]))); // around the root
    /// assert!(!tree.is_read_quorum(tree.set([1, 2, 3])));
    /// # Ok::<(), quorum::ShapeError<i32>>(())
    /// ```
    pub fn tree(nodes: impl IntoIterator<Item = N>) -> Result<Self, ShapeError<N>> {
        let nodes = distinct(nodes)?;
        if !nodes.is_empty() && nodes.len() % 2 == 0 {
            return Err(ShapeError::HalfAPair { given: nodes.len() });
        }
        let paths = paths(&nodes, 0)?;
        Ok(Self::new(paths.clone(), paths)?)
    }

    /// A majority of the nodes in a majority of the groups, for reads and for writes: with groups of three, nine nodes
    /// agree by four and not five. More levels are made of [`Expr::majority`].
    ///
    /// Source: Kumar, "Hierarchical Quorum Consensus", 1991.
    ///
    /// ```
    /// use quorum::QuorumSystem;
    ///
    /// let nine = QuorumSystem::hierarchical([[1, 2, 3], [4, 5, 6], [7, 8, 9]])?;
    /// assert_eq!(nine.smallest_read_quorum()?.len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hierarchical<G: IntoIterator<Item = N>>(
        groups: impl IntoIterator<Item = G>,
    ) -> Result<Self, ShapeError<N>> {
        let majority = Expr::majority(each(distinct_lines(groups)?, Expr::majority)?)?;
        Ok(Self::new(majority.clone(), majority)?)
    }

    /// A majority of the old members and one of the new, for reads and for writes: what is in force while members
    /// change. A node may be an old and a new member; it may not be twice the same.
    ///
    /// Source: Ongaro, Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014 (joint consensus).
    ///
    /// ```
    /// use quorum::QuorumSystem;
    ///
    /// let changing = QuorumSystem::joint([1, 2, 3], [3, 4, 5])?;
    /// assert!(!changing.is_write_quorum(changing.set([1, 2])));
    /// assert!(changing.is_write_quorum(changing.set([2, 3, 4])));
    /// # Ok::<(), quorum::ShapeError<i32>>(())
    /// ```
    pub fn joint(
        old: impl IntoIterator<Item = N>,
        new: impl IntoIterator<Item = N>,
    ) -> Result<Self, ShapeError<N>> {
        let both = Expr::majority(distinct(old)?)? * Expr::majority(distinct(new)?)?;
        Ok(Self::new(both.clone(), both)?)
    }
}

/// The quorums of the subtree whose root stands at `place`: the root and a path below one child, or a path below both.
fn paths<N: Ord + Clone>(nodes: &[N], place: usize) -> Result<Expr<N>, ShapeError<N>> {
    let root = nodes.get(place).cloned().map(Expr::node);
    let children = place.saturating_mul(2).saturating_add(1);
    if children >= nodes.len() {
        return Ok(Expr::any(root)?);
    }
    let below = [paths(nodes, children)?, paths(nodes, children + 1)?];
    Ok(Expr::choose(2, root.into_iter().chain(below))?)
}

fn each<N: Ord + Clone>(
    lines: Vec<Vec<N>>,
    shape: impl Fn(Vec<N>) -> Result<Expr<N>, ExprError>,
) -> Result<Vec<Expr<N>>, ExprError> {
    lines.into_iter().map(shape).collect()
}

fn distinct_lines<N: Ord + Clone, L: IntoIterator<Item = N>>(
    lines: impl IntoIterator<Item = L>,
) -> Result<Vec<Vec<N>>, ShapeError<N>> {
    let lines: Vec<Vec<N>> = lines.into_iter().map(|line| line.into_iter().collect()).collect();
    distinct(lines.iter().flatten().cloned())?;
    Ok(lines)
}

/// The nodes as they came, unless one came twice.
fn distinct<N: Ord + Clone>(nodes: impl IntoIterator<Item = N>) -> Result<Vec<N>, ShapeError<N>> {
    let nodes: Vec<N> = nodes.into_iter().collect();
    let mut sorted: Vec<&N> = nodes.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ShapeError::Duplicate { node: pair[0].clone() }),
        None => Ok(nodes),
    }
}
