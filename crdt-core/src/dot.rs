//! The name of one change.

use core::fmt;
use core::num::NonZeroU64;

use crate::ReplicaId;

/// The globally unique name of one change: the replica that made it and that replica's counter.
///
/// A replica numbers its changes 1, 2, 3 and never uses a number twice, so what a dot stands for
/// never changes. Everything causal in this crate (which writes were seen, which adds a removal
/// covers) is said in dots. Dots order by replica, then counter.
///
/// Source: Preguiça, Baquero, Almeida, Fonte, Gonçalves, "Dotted Version Vectors" (2010).
///
/// ```
/// use crdt_core::{Dot, ReplicaId};
///
/// let replica = ReplicaId::from_bytes([7; 16]);
/// let dot = Dot::new(replica, 1).unwrap();
/// assert_eq!(dot.next().unwrap().counter(), 2);
/// assert!(Dot::new(replica, 0).is_none(), "counters start at 1");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Dot {
    /// Who made the change.
    pub replica: ReplicaId,
    counter: NonZeroU64,
}

impl Dot {
    /// The dot with this counter, or `None` for counter 0, which stands for "nothing yet".
    pub const fn new(replica: ReplicaId, counter: u64) -> Option<Self> {
        match NonZeroU64::new(counter) {
            Some(counter) => Some(Self { replica, counter }),
            None => None,
        }
    }

    /// Which change of its replica this is, counted from 1.
    pub const fn counter(self) -> u64 {
        self.counter.get()
    }

    /// The same replica's next dot, or `None` after the last counter: numbers never wrap.
    pub fn next(self) -> Option<Self> {
        let counter = self.counter.checked_add(1)?;
        Some(Self { counter, ..self })
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replica, self.counter)
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.replica, self.counter)
    }
}
