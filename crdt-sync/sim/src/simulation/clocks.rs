//! What the operator does when a node that takes a retired one's place refuses the writes because of its clock.
//!
//! A node gives out no stamp further ahead of its wall clock than
//! [`Timing::max_drift`](crdt_sync::Timing::max_drift), and refuses what would need one: a clock is wrong, its own, or
//! that of whoever wrote what it holds. The operator sets its clock right. What was written by a clock that was far
//! ahead cannot be written over even then, for a while. Runs do not wait for that: the operator sets the clock to what
//! it shows when that is over.
//!
//! The node must take the writes then. If it does not, the nodes never agree.

use conflict_store::Version;
use crdt_core::ClockError;
use crdt_sync::{Cell, ItemKey, Write, WriteError};

use super::Simulation;

impl Simulation<'_> {
    /// Sees to it that a node's clock is no reason any more to refuse these writes, if that is why they were refused.
    pub(super) fn mind_clock(&mut self, node: usize, writes: &[Write], refused: &WriteError) {
        if let Some(stamp_millis) = self.stamp_in_the_way(node, writes, refused) {
            self.course.world.set_clock_right(node, stamp_millis);
        }
    }

    /// The milliseconds of the stamp that is too far ahead of a node's clock.
    fn stamp_in_the_way(&self, node: usize, writes: &[Write], refused: &WriteError) -> Option<u64> {
        match refused {
            WriteError::Clock(ClockError::ClockAhead { stamp, .. }) => Some(stamp.millis()),
            WriteError::StampBehind { index } => {
                let Write { collection, key, .. } = writes.get(*index)?;
                let item = ItemKey { collection: *collection, key: key.clone() };
                match self.course.world.engine(node)?.peek(&item)? {
                    Cell::Register(register) => register.stamp().map(|stamp| stamp.time.millis()),
                    // The latest of all versions may be the one.
                    Cell::Document(document) => {
                        let stamps = document.leaves().iter().filter_map(Version::stamp);
                        stamps.max().map(|stamp| stamp.time.millis())
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}
