//! Counting answers where not every set of the same size is a quorum.

use core::ops::Deref;

use crate::{AckError, NodeSet, Outcome, QuorumSystem};

/// Who answered one request to a quorum system, and whether that is enough.
///
/// Reached when those who acknowledged contain a quorum, impossible when they would not even if everyone who still owes
/// an answer acknowledged. This holds for any expression: weighted, grids, trees, two memberships at once. As in an
/// [`AckTally`](crate::AckTally), a node counts once, an acknowledgement counts even from a node that was given up, and
/// nothing takes it back.
///
/// The system is held by whatever points to one: a reference for a request on the stack, an `Arc` for one that outlives
/// it. An answer is one question to the expression: O(size), for flat ones O(1). Nothing is allocated.
///
/// ```
/// use quorum::{Expr, Outcome, QuorumSystem, SystemTally};
///
/// let [a, b, c, d] = ["a", "b", "c", "d"].map(Expr::from);
/// let grid = QuorumSystem::from_reads(a * b + c * d)?;
/// let mut read = SystemTally::read(&grid);
/// assert_eq!(read.fail(&"a")?, Outcome::Pending);
/// assert_eq!(read.ack(&"b")?, Outcome::Pending); // useless without "a"
/// assert_eq!(read.ack(&"c")?, Outcome::Pending);
/// assert_eq!(read.ack(&"d")?, Outcome::Reached);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SystemTally<S> {
    system: S,
    side: Side,
    asked: NodeSet,
    acknowledged: NodeSet,
    waiting: NodeSet,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Read,
    Write,
}

impl<N: Ord + Clone, S: Deref<Target = QuorumSystem<N>>> SystemTally<S> {
    /// A read that has asked every node.
    pub fn read(system: S) -> Self {
        Self::open(system, Side::Read)
    }

    /// A write that has asked every node.
    pub fn write(system: S) -> Self {
        Self::open(system, Side::Write)
    }

    fn open(system: S, side: Side) -> Self {
        let asked = NodeSet::first(system.nodes().len());
        // Nobody is no quorum and everybody is one, whatever the expression.
        Self { system, side, asked, acknowledged: NodeSet::EMPTY, waiting: asked, outcome: Outcome::Pending }
    }

    /// The same request, of which only the nodes in `asked` know: the quorum that a strategy chose, say.
    ///
    /// ```
    /// use quorum::{Expr, Outcome, QuorumSystem, SystemTally};
    ///
    /// let system = QuorumSystem::from_reads(Expr::majority([1, 2, 3])?)?;
    /// let mut read = SystemTally::read(&system).asking_only(system.set([1, 2]));
    /// assert_eq!(read.fail(&2)?, Outcome::Impossible);
    /// assert_eq!(read.ask(system.set([3])), Outcome::Pending);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn asking_only(mut self, asked: NodeSet) -> Self {
        self.asked = self.asked.intersection(asked);
        self.acknowledged = self.acknowledged.intersection(asked);
        self.waiting = self.waiting.intersection(asked);
        self.decide();
        self
    }

    /// Notes that these nodes were asked, too. Those that were asked before gain nothing.
    pub fn ask(&mut self, more: NodeSet) -> Outcome {
        let more = more.intersection(NodeSet::first(self.system.nodes().len()));
        self.waiting = self.waiting.union(more.difference(self.asked));
        self.asked = self.asked.union(more);
        self.decide();
        self.outcome
    }

    /// Counts the acknowledgement of `node`, once.
    pub fn ack(&mut self, node: &N) -> Result<Outcome, AckError<N>> {
        let place = self.place(node)?;
        self.ack_at(place).map_err(|_| AckError::NeverAsked { node: node.clone() })
    }

    /// Notes that `node` refused or is not waited for any longer. Changes nothing if it has acknowledged.
    pub fn fail(&mut self, node: &N) -> Result<Outcome, AckError<N>> {
        let place = self.place(node)?;
        self.fail_at(place).map_err(|_| AckError::NeverAsked { node: node.clone() })
    }

    /// [`ack`](Self::ack) for the node at `place` in [`QuorumSystem::nodes`], which need not be looked for.
    pub fn ack_at(&mut self, place: usize) -> Result<Outcome, AckError<usize>> {
        if !self.asked.contains(place) {
            return Err(AckError::NeverAsked { node: place });
        }
        let was_given_up = !self.waiting.contains(place);
        self.acknowledged.insert(place);
        self.waiting.remove(place);
        if self.outcome == Outcome::Reached || self.is_quorum(self.acknowledged) {
            self.outcome = Outcome::Reached;
        } else if was_given_up {
            self.decide();
        }
        // Else those who acknowledged or still may are the same as before.
        Ok(self.outcome)
    }

    /// [`fail`](Self::fail) for the node at `place` in [`QuorumSystem::nodes`].
    pub fn fail_at(&mut self, place: usize) -> Result<Outcome, AckError<usize>> {
        if !self.asked.contains(place) {
            return Err(AckError::NeverAsked { node: place });
        }
        self.waiting.remove(place);
        if self.outcome == Outcome::Pending && !self.is_quorum(self.acknowledged.union(self.waiting)) {
            self.outcome = Outcome::Impossible;
        }
        Ok(self.outcome)
    }

    /// Whether a quorum acknowledged, still can, or cannot. O(1).
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The system asked.
    pub fn system(&self) -> &QuorumSystem<N> {
        &self.system
    }

    /// Whether it is a read; otherwise it is a write.
    pub fn is_read(&self) -> bool {
        self.side == Side::Read
    }

    /// Who was asked.
    pub fn asked(&self) -> NodeSet {
        self.asked
    }

    /// Who acknowledged.
    pub fn acknowledged(&self) -> NodeSet {
        self.acknowledged
    }

    /// Who still owes an answer.
    pub fn waiting(&self) -> NodeSet {
        self.waiting
    }

    fn decide(&mut self) {
        self.outcome = if self.is_quorum(self.acknowledged) {
            Outcome::Reached
        } else if self.is_quorum(self.acknowledged.union(self.waiting)) {
            Outcome::Pending
        } else {
            Outcome::Impossible
        };
    }

    fn is_quorum(&self, set: NodeSet) -> bool {
        match self.side {
            Side::Read => self.system.is_read_quorum(set),
            Side::Write => self.system.is_write_quorum(set),
        }
    }

    fn place(&self, node: &N) -> Result<usize, AckError<N>> {
        self.system.nodes().binary_search(node).map_err(|_| AckError::NeverAsked { node: node.clone() })
    }
}
