//! Questions about quorums, written down once: every candidate is asked the same.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Which nodes decide together. Nodes are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// More than half of so many.
    Majority(u64),
    /// All of a row, of eight rows of eight.
    Grid,
    /// Two of three groups, of each two of three.
    Hierarchy,
    /// More than half of the first so many, and more than half of as many of which every other is new.
    Joint(u64),
}

impl Shape {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Majority(9), "majority of 9"),
        (Self::Majority(33), "majority of 33"),
        (Self::Majority(64), "majority of 64"),
        (Self::Grid, "grid of 8 x 8"),
        (Self::Hierarchy, "hierarchy of 3 x 3"),
        (Self::Joint(9), "joint majorities of 9"),
        (Self::Joint(33), "joint majorities of 33"),
    ];

    /// The nodes that are counted together.
    pub fn groups(self) -> Vec<Vec<u64>> {
        match self {
            Self::Majority(nodes) => vec![(0..nodes).collect()],
            Self::Grid => (0..8).map(|row| (row * 8..row * 8 + 8).collect()).collect(),
            Self::Hierarchy => (0..3).map(|group| (group * 3..group * 3 + 3).collect()).collect(),
            Self::Joint(nodes) => {
                vec![(0..nodes).collect(), (0..nodes).map(|node| node + (node % 2) * nodes).collect()]
            }
        }
    }

    /// Every node, once.
    pub fn nodes(self) -> Vec<u64> {
        let mut nodes: Vec<u64> = self.groups().into_iter().flatten().collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Random sets of nodes in random orders, of which some are quorums and some are not.
    pub fn questions(self, count: usize) -> Vec<Vec<u64>> {
        let in_eight = if self == Self::Grid { 6 } else { 4 };
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut question = || -> Vec<u64> {
            let nodes = self.nodes().into_iter();
            let mut chosen: Vec<u64> = nodes.filter(|_| rng.next_u64() % 8 < in_eight).collect();
            shuffle(&mut rng, &mut chosen);
            chosen
        };
        (0..count).map(|_| question()).collect()
    }

    /// All nodes, in random orders.
    pub fn orders(self, count: usize) -> Vec<Vec<u64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let mut order = || {
            let mut nodes = self.nodes();
            shuffle(&mut rng, &mut nodes);
            nodes
        };
        (0..count).map(|_| order()).collect()
    }
}

/// A rule that says which sets are quorums.
pub trait Quorums: 'static {
    /// A set of nodes as the candidate likes it best.
    type Set: 'static;

    /// The rule of a shape.
    fn build(shape: Shape) -> Self;
    /// These nodes as a set.
    fn set(&self, nodes: &[u64]) -> Self::Set;
    /// Whether they contain a quorum.
    fn is_quorum(&self, set: &Self::Set) -> bool;

    /// Whether any two quorums have a node in common.
    fn meets_itself(&self) -> bool;
}

/// Answers that come in one by one, with the question after each whether they are enough.
pub trait Decision {
    /// How many had come before the one that was enough, counting from a fresh start.
    fn decided_after(&self, answers: &[u64]) -> Option<usize>;
}

/// More than half of so many nodes.
#[derive(Clone, Copy, Debug)]
pub struct Majority(pub u32);

/// A system whose nodes are known by their places, as they are to an engine that keeps a place with each connection.
pub struct ByPlace<S>(pub S);

/// A log of which each member acknowledges positions, and a majority commits.
pub trait Positions: Clone + 'static {
    /// Nobody has anything.
    fn build(members: u64) -> Self;
    /// Notes how far a member is and says how far a majority is.
    fn acknowledge(&mut self, node: u64, position: u64) -> u64;
}

/// In which order members acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Entry after entry, each by all members in a random order.
    InStep,
    /// A random member catches up with the leader, who is a little further each time.
    Batches,
}

impl Pace {
    /// Both, with their names.
    pub const ALL: [(Self, &'static str); 2] = [(Self::InStep, "in step"), (Self::Batches, "in batches")];

    /// So many acknowledgements.
    pub fn acknowledgements(self, members: u64, count: usize) -> Vec<(u64, u64)> {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        match self {
            Self::InStep => {
                let mut round: Vec<u64> = (0..members).collect();
                let mut steps = Vec::new();
                for position in 1.. {
                    if steps.len() >= count {
                        break;
                    }
                    shuffle(&mut rng, &mut round);
                    steps.extend(round.iter().map(|node| (*node, position)));
                }
                steps.truncate(count);
                steps
            }
            Self::Batches => (1..).map(|head| (rng.next_u64() % members, head)).take(count).collect(),
        }
    }
}

fn shuffle(rng: &mut ChaCha8Rng, nodes: &mut [u64]) {
    nodes.sort_by_cached_key(|_| rng.next_u64());
}
