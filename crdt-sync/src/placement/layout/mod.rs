//! The state of the ring that nodes tell each other.

mod bits;
mod change;
mod decode;
mod state;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Ordering;

use crdt_core::{Change as Changed, Crdt, codec, digest_of};
use serde::{Deserialize, Serialize};

pub(super) use bits::Bits;
pub use change::{Change, ChangeError};
pub use state::Phase;
pub(super) use state::{State, Step, Transition};

use super::member::{Member, Members, RingError, Shape};
use crate::node::NodeId;

/// What a node knows of the ring: the version, who acknowledged it, what was copied, and who was declared dead.
///
/// It is a join-semilattice. The versions form a chain (see [`Placement`](super::Placement) for why two nodes never
/// take different steps from one version but by proposing at the same time, and how that is decided); what was
/// acknowledged and copied belongs to one version and is dropped with it; who was declared dead is remembered for ever.
/// The default is that nothing is known yet: what a node starts with that is to join.
///
/// Encoded by [`crdt_core::codec`]; what is decoded is checked, and of each layout there is one encoding. Size: about
/// 20 bytes and a label for each member of each ring, 18 for each acknowledgement, 16 for each node that was ever
/// declared dead, and one bit for each copy that is moving.
///
/// ```
/// use crdt_core::{Limits, codec};
/// use crdt_sync::NodeId;
/// use crdt_sync::placement::{Layout, Member, Shape};
///
/// let members = vec![Member::new(NodeId::from_u128(1), "attic"), Member::new(NodeId::from_u128(2), "cellar")];
/// let layout = Layout::found(members, Shape { partitions: 128, replicas: 2, write_quorum: 2 })?;
/// let bytes = codec::encode_payload(&layout);
/// assert_eq!(codec::decode_payload::<Layout>(&bytes, &Limits::DEFAULT)?, layout);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "decode::Unchecked")]
pub struct Layout {
    pub(super) state: State,
    /// Who lives by the version, and how many of those declared dead it knew then. Sets that grow at one node are told
    /// apart by their sizes, and an acknowledgement never travels without the set it was made in.
    pub(super) acknowledged: BTreeMap<NodeId, u32>,
    /// Which of the partitions that a node gains it copied, as places in the ascending list of those.
    pub(super) copied: BTreeMap<NodeId, Bits>,
    pub(super) fenced: BTreeSet<NodeId>,
}

impl Layout {
    /// The first version. All nodes that begin with it must be given the same members and shape; layouts founded with
    /// others are those of another cluster and never join.
    pub fn found(members: Vec<Member>, shape: Shape) -> Result<Self, RingError> {
        shape.check()?;
        let members = Members::new(members)?;
        if members.is_empty() {
            return Err(RingError::Empty);
        }
        let founded = digest_of(&codec::encode_payload(&(&members, shape)));
        Ok(Self { state: State { version: 1, founded, shape, members, transition: None }, ..Self::default() })
    }

    /// The number of the version; 0 where nothing is known yet.
    pub fn version(&self) -> u64 {
        self.state.version
    }

    /// How far a change is.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// What never changes.
    pub fn shape(&self) -> Shape {
        self.state.shape
    }

    /// The members; while a change is in progress those of before it. Ascending.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.state.members.iter()
    }

    /// The members after the change in progress, if there is one.
    pub fn next_members(&self) -> Option<impl ExactSizeIterator<Item = &Member>> {
        self.state.transition.as_ref().map(|change| change.next.iter())
    }

    /// All nodes that were ever declared dead. Nothing of them is accepted again.
    pub fn fenced(&self) -> impl ExactSizeIterator<Item = NodeId> {
        self.fenced.iter().copied()
    }

    /// Whether the node was declared dead. O(log nodes).
    pub fn is_fenced(&self, node: NodeId) -> bool {
        self.fenced.contains(&node)
    }

    /// A version was left behind, and with it what was told about it.
    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.acknowledged.clear();
        self.copied.clear();
    }
}

/// O(size of both).
impl Crdt for Layout {
    fn merge(&mut self, other: &Self) -> Changed {
        let mut changed = false;
        match self.state.compare(&other.state) {
            Ordering::Less => {
                self.state = other.state.clone();
                self.acknowledged.clone_from(&other.acknowledged);
                self.copied.clone_from(&other.copied);
                changed = true;
            }
            Ordering::Equal => {
                for (node, known) in &other.acknowledged {
                    let mine = self.acknowledged.entry(*node).or_insert_with(|| {
                        changed = true;
                        *known
                    });
                    changed |= *mine < *known;
                    *mine = (*mine).max(*known);
                }
                for (node, bits) in &other.copied {
                    changed |= self.copied.entry(*node).or_default().union(bits);
                }
            }
            Ordering::Greater => {}
        }
        let before = self.fenced.len();
        self.fenced.extend(&other.fenced);
        Changed::from(changed || self.fenced.len() != before)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.is_within(other), other.is_within(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }

    fn is_bottom(&self) -> bool {
        *self == Self::default()
    }
}

impl Layout {
    fn is_within(&self, other: &Self) -> bool {
        let told = match self.state.compare(&other.state) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => {
                let heard = |(node, known): (&NodeId, &u32)| {
                    other.acknowledged.get(node).is_some_and(|theirs| known <= theirs)
                };
                let copied = |(node, bits): (&NodeId, &Bits)| {
                    other.copied.get(node).is_some_and(|theirs| bits.is_subset(theirs))
                };
                self.acknowledged.iter().all(heard) && self.copied.iter().all(copied)
            }
        };
        told && self.fenced.is_subset(&other.fenced)
    }
}
