//! States that rest on dots alone.
//!
//! Where nobody keeps the histories of others there are no frontiers: what a node has applied is a context, with holes
//! for what did not come yet, and nothing follows from a number for those before it. A session then tells of contexts
//! only. What a peer has seen and does not hold was removed, dot by dot; for kinds without dots, and for keys that one
//! side never heard of, nothing can be told from their absence, so they are merged.

use alloc::vec::Vec;

use super::{Coverage, Joined, Partition, Replica, RunError};
use crate::scope::ScopedContext;
use crate::time::WallTime;
use crate::wire::{Standing, StatesPart};

impl Partition {
    /// What this partition has applied, for a peer that knows of no frontiers.
    pub(crate) fn standing_by_dots(&self) -> Standing {
        let root = self.cells.root();
        let (heads, context, scoped) = (Vec::new(), self.context.clone(), ScopedContext::default());
        Standing { heads, context, scoped, root: (root.digest, root.count) }
    }
}

impl Replica {
    /// A peer's context must be bounded, and must not show dots of this node's own that it never issued.
    pub(crate) fn check_standing_by_dots(&self, partition: u16, standing: &Standing) -> Result<(), RunError> {
        if standing.heads.is_empty() && standing.scoped == ScopedContext::default() {
            self.check_standing(partition, standing)
        } else {
            Err(RunError::BadStanding)
        }
    }

    /// Joins a part of a peer's states by their exact dots; all of it or, on an error, nothing.
    pub(crate) fn join_by_dots(
        &mut self,
        number: u16,
        part: &StatesPart,
        standing: &Standing,
        wall: WallTime,
    ) -> Result<Vec<Joined>, RunError> {
        if !part.ahead.is_empty() || !standing.heads.is_empty() {
            return Err(RunError::BadStanding);
        }
        // Two empty frontiers cover each other, which would make every key of one side one that the other forgot.
        self.apply_part(number, part, standing, Coverage::default(), wall)
    }

    /// All states of a peer that differed arrived: what it has seen and they do not show was removed.
    pub(crate) fn raise_context(&mut self, partition: u16, standing: &Standing) {
        self.raise_frontier(partition, Standing { heads: Vec::new(), ..standing.clone() });
    }
}
