//! Counting acknowledgements: distinct nodes, primaries and fallbacks apart.

use core::num::NonZeroU32;

use super::members::{Members, PerMember};
use crate::AckError;

/// Who answered one request, and whether that is enough.
///
/// What is counted are *distinct nodes*, because a quorum is a set: an acknowledgement that arrives twice counts once,
/// and a node that stands in for two primaries is still one copy. Nodes that were never asked are refused, so
/// foreign answers cannot grow the tally. The outcome depends on who was asked and who answered what, never on the
/// order of arrival.
///
/// Primaries (the replicas of the key) and fallbacks (others that keep a hint for them) are counted apart.
/// Both count towards the total of a *sloppy* quorum; [`requiring_primaries`](Self::requiring_primaries) demands
/// a number of primaries among them, as `pw` and `pr` do in Riak, and restores the overlap.
///
/// Opening is O(n log n), an answer O(log n), the outcome O(1). Up to 16 nodes nothing is allocated, and an answer is
/// one look along them.
///
/// ```
/// use quorum::{AckTally, Outcome, QuorumConfig};
///
/// let mut write = QuorumConfig::new(3, 2, 2)?.write_tally(["a", "b", "c"])?;
/// assert_eq!(write.ack("a")?, Outcome::Pending);
/// assert_eq!(write.ack("a")?, Outcome::Pending); // the same copy, announced twice
/// assert_eq!(write.fail("b")?, Outcome::Pending);
/// assert_eq!(write.ack("c")?, Outcome::Reached);
/// assert!(write.ack("stranger").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckTally<N> {
    required: NonZeroU32,
    required_primaries: u32,
    nodes: Members<N>,
    /// What is known of each node.
    asked: PerMember<Asked>,
    primaries: Count,
    fallbacks: Count,
}

/// Whether the requirement is met, can still be met, or cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "the outcome decides whether to reply, to wait, or to ask a fallback"]
pub enum Outcome {
    /// Not yet enough, but the nodes that still owe an answer could make it so.
    Pending,
    /// Enough distinct nodes acknowledged. This never changes again.
    Reached,
    /// Not enough, even if every node that still owes an answer acknowledges. Waiting is pointless; only asking a
    /// fallback, or a node that was given up and acknowledges after all, can change it.
    Impossible,
}

/// In which capacity a node was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// One of the replicas of the key.
    Primary,
    /// A node that stands in for a replica and keeps a hint for it.
    Fallback,
}

/// What is known of a node that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Nothing yet.
    Waiting,
    /// It acknowledged.
    Acknowledged,
    /// It refused, or the caller gave it up.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    role: Role,
    answer: Answer,
}

/// Kept up to date by every answer, so that the outcome needs no walk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    acknowledged: usize,
    waiting: usize,
}

impl<N: Ord + Copy> AckTally<N> {
    /// A tally that needs `required` acknowledgements and has asked `primaries`. A primary named twice is one node.
    pub fn new(required: NonZeroU32, primaries: impl IntoIterator<Item = N>) -> Self {
        let nodes: Members<N> = primaries.into_iter().collect();
        let asked = PerMember::from_elem(Asked { role: Role::Primary, answer: Answer::Waiting }, nodes.len());
        let primaries = Count { acknowledged: 0, waiting: nodes.len() };
        Self { required, required_primaries: 0, nodes, asked, primaries, fallbacks: Count::default() }
    }

    /// The same tally, demanding that at least `primaries` of the acknowledgements come from primaries.
    ///
    /// The requirements stand side by side: with 1 required in all and 2 from primaries, 2 primaries are needed.
    pub fn requiring_primaries(mut self, primaries: u32) -> Self {
        self.required_primaries = primaries;
        self
    }

    /// Notes that `node` was asked in place of a primary. A node that was already asked, in either role, gains
    /// nothing: it cannot be two copies.
    pub fn ask_fallback(&mut self, node: N) -> Outcome {
        if let Some(place) = self.nodes.insert(node) {
            self.asked.insert(place, Asked { role: Role::Fallback, answer: Answer::Waiting });
            self.fallbacks.waiting += 1;
        }
        self.outcome()
    }

    /// Counts the acknowledgement of `node`, once.
    ///
    /// An acknowledgement is a fact about a copy, so it also counts when the node had been given up, and nothing
    /// takes it back.
    pub fn ack(&mut self, node: N) -> Result<Outcome, AckError<N>> {
        let (asked, count) = self.find(node)?;
        if asked.answer == Answer::Waiting {
            count.waiting -= 1;
        }
        if asked.answer != Answer::Acknowledged {
            count.acknowledged += 1;
        }
        asked.answer = Answer::Acknowledged;
        Ok(self.outcome())
    }

    /// Notes that `node` refused or is not waited for any longer. Changes nothing if it has acknowledged.
    pub fn fail(&mut self, node: N) -> Result<Outcome, AckError<N>> {
        let (asked, count) = self.find(node)?;
        if asked.answer == Answer::Waiting {
            count.waiting -= 1;
            asked.answer = Answer::Failed;
        }
        Ok(self.outcome())
    }

    /// Whether what is required is met, can still be met, or cannot.
    pub fn outcome(&self) -> Outcome {
        let waiting = self.primaries.waiting + self.fallbacks.waiting;
        if self.is_enough(self.acks(), self.primaries.acknowledged) {
            Outcome::Reached
        } else if self.is_enough(self.acks() + waiting, self.primaries.acknowledged + self.primaries.waiting)
        {
            Outcome::Pending
        } else {
            Outcome::Impossible
        }
    }

    /// How many acknowledgements are required in all.
    pub fn required(&self) -> u32 {
        self.required.get()
    }

    /// How many acknowledgements of primaries are required among them.
    pub fn required_primaries(&self) -> u32 {
        self.required_primaries
    }

    /// How many distinct nodes were asked.
    pub fn asked(&self) -> usize {
        self.nodes.len()
    }

    /// How many distinct nodes acknowledged: the physical copies, which is what durability means.
    pub fn acks(&self) -> usize {
        self.primaries.acknowledged + self.fallbacks.acknowledged
    }

    /// How many distinct primaries acknowledged: the part of the copies that other quorums are sure to meet.
    pub fn primary_acks(&self) -> usize {
        self.primaries.acknowledged
    }

    /// How many distinct fallbacks acknowledged: copies that a hint has yet to bring home.
    pub fn fallback_acks(&self) -> usize {
        self.fallbacks.acknowledged
    }

    /// Every node that was asked, in node order.
    pub fn nodes(&self) -> impl Iterator<Item = (N, Role, Answer)> + '_ {
        self.nodes.iter().zip(&self.asked).map(|(node, asked)| (node, asked.role, asked.answer))
    }

    fn is_enough(&self, acks: usize, primary_acks: usize) -> bool {
        at_least(acks, self.required.get()) && at_least(primary_acks, self.required_primaries)
    }

    fn find(&mut self, node: N) -> Result<(&mut Asked, &mut Count), AckError<N>> {
        let place = self.nodes.place(node).ok_or(AckError::NeverAsked { node })?;
        let asked = &mut self.asked[place];
        let count = match asked.role {
            Role::Primary => &mut self.primaries,
            Role::Fallback => &mut self.fallbacks,
        };
        Ok((asked, count))
    }
}

/// A count that does not fit in `u32` is larger than any requirement.
fn at_least(count: usize, required: u32) -> bool {
    u32::try_from(count).map_or(true, |count| count >= required)
}

#[cfg(test)]
mod tests;
