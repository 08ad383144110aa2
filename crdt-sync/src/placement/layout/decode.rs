//! Layouts from foreign bytes.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use thiserror::Error;

use super::super::limits::MAX_FENCED;
use super::super::member::RingError;
use super::{Bits, Layout, Phase, State};
use crate::node::NodeId;

/// The fields as they come.
#[derive(Deserialize)]
pub(super) struct Unchecked {
    state: State,
    acknowledged: BTreeMap<NodeId, u32>,
    copied: BTreeMap<NodeId, Bits>,
    fenced: BTreeSet<NodeId>,
}

/// Why no node could have told such a layout.
#[derive(Debug, Error)]
pub(super) enum Impossible {
    #[error("something is said of a ring of which nothing is known")]
    Unknown,
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("the change in progress was proposed by a stranger, changes nothing, or leaves nobody")]
    Transition,
    #[error("somebody acknowledged who has no part in it, or who knew of more dead nodes than there are")]
    Acknowledged,
    #[error("copies are reported that nobody makes in this phase, or not in their one form")]
    Copied,
    #[error("more than {MAX_FENCED} nodes were declared dead")]
    TooManyFenced,
}

impl TryFrom<Unchecked> for Layout {
    type Error = Impossible;

    fn try_from(unchecked: Unchecked) -> Result<Self, Impossible> {
        let Unchecked { state, acknowledged, copied, fenced } = unchecked;
        let layout = Self { state, acknowledged, copied, fenced };
        if layout.state.version == 0 {
            return if layout == Self::default() { Ok(layout) } else { Err(Impossible::Unknown) };
        }
        layout.check_state()?;
        layout.check_told()?;
        Ok(layout)
    }
}

impl Layout {
    fn check_state(&self) -> Result<(), Impossible> {
        let state = &self.state;
        state.shape.check()?;
        if state.members.is_empty() {
            return Err(RingError::Empty.into());
        }
        let sound = state.transition.as_ref().is_none_or(|change| {
            !change.next.is_empty() && change.next != state.members && state.members.contains(change.by)
        });
        sound.then_some(()).ok_or(Impossible::Transition)
    }

    fn check_told(&self) -> Result<(), Impossible> {
        if self.fenced.len() > MAX_FENCED {
            return Err(Impossible::TooManyFenced);
        }
        let knew = |known: u32| usize::try_from(known).is_ok_and(|known| known <= self.fenced.len());
        if !self.acknowledged.iter().all(|(node, known)| self.state.takes_part(*node) && knew(*known)) {
            return Err(Impossible::Acknowledged);
        }
        let gains =
            |node: NodeId| self.state.transition.as_ref().is_some_and(|change| change.next.contains(node));
        let limit = usize::from(self.state.shape.partitions);
        let sound = self.copied.iter().all(|(node, bits)| gains(*node) && bits.is_canonical(limit))
            && (self.copied.is_empty() || self.phase() == Phase::Writing);
        sound.then_some(()).ok_or(Impossible::Copied)
    }
}
