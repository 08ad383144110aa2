//! The steps of a change: proposing, acknowledging, copying, advancing.

use alloc::vec::Vec;

use thiserror::Error;

use super::super::layout::{Change, ChangeError, Phase, Step, Transition};
use super::super::limits::MAX_FENCED;
use super::Placement;
use crate::node::NodeId;

/// This node may begin to copy a partition that it gains: no write that only the old owners saw can be acknowledged any
/// more. A copy that began earlier does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPermit {
    generation: u64,
    partition: u16,
    sources: Vec<NodeId>,
    needed: usize,
}

impl CopyPermit {
    /// The partition.
    pub fn partition(&self) -> u16 {
        self.partition
    }

    /// Its old owners that are not known to be dead. This node may be one of them: it then counts as copied from.
    pub fn sources(&self) -> &[NodeId] {
        &self.sources
    }

    /// From how many of them to copy everything: from N - W + 1, or from all that are left.
    pub fn needed(&self) -> usize {
        self.needed
    }
}

/// Why a copy does not count.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The layout is another one than when the copy began.
    #[error("the copy began under another layout")]
    Outdated,
    /// Too few old owners were copied from.
    #[error("copied from {found} old owners, {needed} are needed")]
    TooFew {
        /// How many of the sources were copied from.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
}

impl Placement {
    /// Begins a change: its first phase is the next version. Refused while another is in progress.
    pub fn propose(&mut self, change: &Change) -> Result<(), ChangeError> {
        self.check_member()?;
        if self.phase() != Phase::Stable {
            return Err(ChangeError::InProgress { version: self.version() });
        }
        let (next, dead) = change.apply(&self.layout)?;
        self.check_dead(dead.iter().copied())?;
        let mut state = self.layout.state.clone();
        state.version = state.version.checked_add(1).ok_or(ChangeError::NoVersion)?;
        state.transition = Some(Transition { step: Step::Writing, by: self.me, next });
        self.layout.fenced.extend(dead);
        self.layout.enter(state);
        self.entered();
        Ok(())
    }

    /// Fences nodes for ever: nothing waits for them, and nothing of them is accepted. Possible at any time, since a
    /// node may die while a change waits for it. They stay on the ring until [`Change::Remove`] or
    /// [`Change::Replace`] takes them out. Whether any was new.
    ///
    /// Dead means that the process will not speak again. Of dead primaries a partition can bear W - 1 without losing
    /// an acknowledged write; [`Progress::uncovered`](super::Progress::uncovered) counts those with more.
    pub fn declare_dead(&mut self, nodes: &[NodeId]) -> Result<bool, ChangeError> {
        self.check_member()?;
        if let Some(node) = nodes.iter().find(|node| !self.layout.state.takes_part(**node)) {
            return Err(ChangeError::Unknown { node: *node });
        }
        self.check_dead(nodes.iter().copied())?;
        let before = self.layout.fenced.len();
        self.layout.fenced.extend(nodes);
        Ok(self.layout.fenced.len() != before)
    }

    /// Says that this node lives by the layout it knows, if it does: `oldest` is the
    /// [`generation`](Self::generation) in which the oldest of its operations began that may still be reported as done.
    /// While one is of another generation nothing is acknowledged: it could be reported done after others have gone
    /// two phases further. Finish it, give it up or begin it anew. Whether anything was new; it is to be called
    /// whenever operations end or something is learned.
    pub fn acknowledge(&mut self, oldest: Option<u64>) -> bool {
        let old = oldest.is_some_and(|generation| generation != self.generation);
        if old || !self.layout.state.takes_part(self.me) {
            return false;
        }
        let known = self.known_dead();
        self.layout.acknowledged.insert(self.me, known) != Some(known)
    }

    /// Whether every participant that is not dead acknowledged this version, and knows who is dead.
    pub fn is_settled(&self) -> bool {
        self.unacknowledged().next().is_none()
    }

    /// Who has not acknowledged this version yet, or does not know all that are dead.
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = NodeId> {
        let known = self.known_dead();
        let living = self.layout.state.participants().filter(|node| !self.layout.is_fenced(*node));
        living.filter(move |node| self.layout.acknowledged.get(node) != Some(&known))
    }

    fn known_dead(&self) -> u32 {
        u32::try_from(self.layout.fenced.len()).unwrap_or(u32::MAX)
    }

    /// Leave to copy a partition, if this node gains it, did not copy it yet, and the time has come.
    pub fn copy_permit(&self, partition: u16) -> Option<CopyPermit> {
        let gained = self.gained.get(&self.me)?.binary_search(&partition).ok()?;
        let copied = self.layout.copied.get(&self.me).is_some_and(|bits| bits.contains(gained));
        if copied || self.phase() != Phase::Writing || !self.is_settled() {
            return None;
        }
        let (sources, needed) = self.sources(partition);
        Some(CopyPermit {
            generation: self.generation,
            partition,
            needed: needed.min(sources.len()),
            sources,
        })
    }

    /// The partitions that this node gains and did not copy yet, ascending.
    pub fn to_copy(&self) -> impl Iterator<Item = u16> {
        self.not_copied(self.me)
    }

    /// Old owners of a partition that live, and from how many one has to copy to meet every acknowledged write.
    pub(super) fn sources(&self, partition: u16) -> (Vec<NodeId>, usize) {
        let Some(old) = &self.old else { return (Vec::new(), 0) };
        let owners = old.ring.primaries(partition);
        let quorum = usize::from(self.layout.shape().write_quorum).min(owners.len());
        let needed = owners.len() - quorum + 1;
        (owners.filter(|node| !self.layout.is_fenced(*node)).collect(), needed)
    }

    /// This node copied everything that those old owners hold of the partition, each from a point in time after the
    /// permit was given, and the copy is durable. Whether it was new.
    pub fn report_copied(&mut self, permit: &CopyPermit, from: &[NodeId]) -> Result<bool, CopyError> {
        let place = self.gained.get(&self.me).and_then(|gained| gained.binary_search(&permit.partition).ok());
        let Some(place) =
            place.filter(|_| permit.generation == self.generation && self.phase() == Phase::Writing)
        else {
            return Err(CopyError::Outdated);
        };
        let found = permit.sources.iter().filter(|node| from.contains(node)).count();
        if found < permit.needed {
            return Err(CopyError::TooFew { found, needed: permit.needed });
        }
        Ok(self.layout.copied.entry(self.me).or_default().insert(place))
    }

    /// Which partitions the node gains and did not report yet, ascending.
    pub(super) fn not_copied(&self, node: NodeId) -> impl Iterator<Item = u16> {
        let bits = self.layout.copied.get(&node);
        let writing = self.phase() == Phase::Writing;
        let gained = self.gained.get(&node).filter(|_| writing).into_iter().flatten().enumerate();
        let missing = gained.filter(move |(place, _)| !bits.is_some_and(|bits| bits.contains(*place)));
        missing.map(|(_, partition)| *partition)
    }

    /// Begins the next phase, if it may begin: every node would begin the same. Any node that takes part may do it.
    /// Whether it did.
    ///
    /// A change that gives partitions to a node that meanwhile died is given up while nobody reads from it: from
    /// [`Phase::Writing`] the layout goes back to the ring as it was.
    pub fn advance(&mut self) -> bool {
        let takes_part = self.layout.state.takes_part(self.me) && !self.layout.is_fenced(self.me);
        if !takes_part || !self.is_settled() {
            return false;
        }
        let mut state = self.layout.state.clone();
        let (Some(mut change), Some(version)) = (state.transition.take(), state.version.checked_add(1))
        else {
            return false;
        };
        state.version = version;
        match change.step {
            Step::Writing if change.next.nodes().any(|node| self.layout.is_fenced(node)) => {}
            Step::Writing if self.gained.keys().any(|node| self.not_copied(*node).next().is_some()) => {
                return false;
            }
            Step::Writing => {
                change.step = Step::Reading;
                state.transition = Some(change);
            }
            Step::Reading => state.members = change.next,
        }
        self.layout.enter(state);
        self.entered();
        true
    }

    fn check_member(&self) -> Result<(), ChangeError> {
        let member = self.layout.state.members.contains(self.me) && !self.layout.is_fenced(self.me);
        member.then_some(()).ok_or(ChangeError::NotAMember)
    }

    fn check_dead(&self, nodes: impl Iterator<Item = NodeId>) -> Result<(), ChangeError> {
        let mut all = self.layout.fenced.clone();
        all.extend(nodes);
        if all.contains(&self.me) {
            return Err(ChangeError::Oneself);
        }
        if all.len() > MAX_FENCED {
            return Err(ChangeError::TooManyFenced);
        }
        Ok(())
    }
}
