//! Questions about whole quorum systems: what they survive, which quorums they have, and how best to ask them.

pub use quorum::Metric;
use quorum::NodeSet;

/// Which nodes decide together. No two nodes can do equally much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// More than half of so many.
    Majority(u64),
    /// All of a row for reads, one of each row for writes; so many rows of so many.
    Grid(u64),
}

impl Layout {
    /// Those that the peer can plan in reasonable time, as it lists all quorums.
    pub const LISTED: [(Self, &'static str); 6] = [
        (Self::Majority(5), "majority of 5"),
        (Self::Majority(9), "majority of 9"),
        (Self::Majority(11), "majority of 11"),
        (Self::Majority(13), "majority of 13"),
        (Self::Grid(3), "grid of 3 x 3"),
        (Self::Grid(4), "grid of 4 x 4"),
    ];

    /// Those that nobody can list.
    pub const LARGE: [(Self, &'static str); 3] = [
        (Self::Majority(31), "majority of 31"),
        (Self::Majority(64), "majority of 64"),
        (Self::Grid(8), "grid of 8 x 8"),
    ];

    /// The rows of nodes; a majority is one.
    pub fn rows(self) -> Vec<Vec<u64>> {
        match self {
            Self::Majority(nodes) => vec![(0..nodes).collect()],
            Self::Grid(side) => (0..side).map(|row| (row * side..(row + 1) * side).collect()).collect(),
        }
    }
}

/// How many operations a node can do, per second.
pub fn capacity(node: u64) -> u32 {
    1_000 + 10 * u32::try_from(node).unwrap_or(0)
}

/// How long a node takes, in seconds.
pub fn latency(node: u64) -> u32 {
    1 + u32::try_from(node % 5).unwrap_or(0)
}

/// A library that plans.
pub trait Planning: 'static {
    /// The system, nodes being able to do what [`capacity`] and [`latency`] say.
    fn lay_out(layout: Layout) -> Self;

    /// The least value there is, with so many reads among the operations.
    fn least(&self, metric: Metric, reads: f64) -> f64;

    /// How many failures it survives.
    fn survived(&self) -> usize;

    /// How many minimal read quorums it has, by listing them.
    fn listed(&self) -> usize;
}

/// How likely nodes that fail one time in ten leave a quorum. All sets of them are looked at: no peer does better.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "at most 20 nodes")]
pub fn availability_by_looking(nodes: u32, is_quorum: impl Fn(NodeSet) -> bool) -> f64 {
    let mut available = 0.0;
    for bits in 0..1_u32 << nodes {
        let up: NodeSet = (0..nodes as usize).filter(|node| bits >> node & 1 == 1).collect();
        if is_quorum(up) {
            let up = up.len() as i32;
            available += 0.9_f64.powi(up) * 0.1_f64.powi(nodes as i32 - up);
        }
    }
    available
}
