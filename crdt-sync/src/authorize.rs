//! Who may write what, and who may read what: asked before anything a peer sent is merged.
//!
//! The engine decides nothing here itself; it asks an [`Authorize`] that the application wrote. What it adds is where
//! the question is asked and what becomes of a *no*, because a frontier has no holes: an entry cannot be left out of
//! an origin's history and the ones after it be taken.
//!
//! - **An entry of the sender's own, in a run**: nothing of the run is merged, and the link ends with
//!   [`PeerError::Unauthorized`](crate::PeerError::Unauthorized).
//! - **An entry that the sender relays**: nothing of the run is merged, [`Event::Unauthorized`] says so, and the
//!   sender is told to send no more of that origin. The link stays: a relay may have got the entry while its author was
//!   allowed to write it.
//! - **The state of a key, in a session**: the key is left as it is, [`Event::Unauthorized`] says so, and the sender's
//!   frontier is not taken over.
//! - **The sender's standing**: its frontier is not taken over. What it may write is merged, and entries flow as far as
//!   they are held.
//! - **Reading, of any declared collection in the peer's [scope](crate::Scope)**: the link is refused with
//!   [`Farewell::Unauthorized`](crate::wire::Farewell::Unauthorized).
//! - **A member that is retired, as the sender says**: unless it is [believed](Authorize::believes_retired), nothing it
//!   says of that member is taken over, and [`Event::RetirementRefused`](crate::Event::RetirementRefused) says so.
//! - **A write of this node's own clients**: [`WriteError::Unauthorized`](crate::WriteError::Unauthorized). Once it had
//!   an entry that nobody takes, nothing it writes later would get anywhere.
//!
//! [`Event::Unauthorized`]: crate::Event::Unauthorized
//!
//! # What it can and cannot tell
//!
//! The sender is the node at the other end of the link, which is who it says it is if the *transport* authenticated
//! it: the engine does not. Entries are not signed. A relay that lies can pass off what it wrote itself as somebody
//! else's, so whoever must defend against members grants [`Author::Relayed`] and [`Author::Unknown`] only to nodes
//! trusted to relay. The hash chain makes such a lie show as a fork as soon as the true author is met.

use alloc::sync::Arc;
use core::fmt;

use crdt_core::ReplicaId;

use crate::collection::CollectionId;
use crate::node::NodeId;

/// Who wrote what a peer sends, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The sender itself, as it says.
    Sender,
    /// Another identity, or one that the sender gave up; the sender only passes its entries on.
    Relayed(ReplicaId),
    /// Anybody: a state is the work of all who wrote to its key, and does not say which of them wrote what.
    Unknown,
}

/// What a peer wants to do to a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Be sent the collection.
    Read,
    /// Change a key.
    Write {
        /// The key.
        key: &'a [u8],
        /// Who did.
        author: Author,
    },
    /// Say how far it is in all histories, and what of the collection was removed, without showing the entries: after
    /// a session its frontier is taken over. Asked of every declared collection.
    Vouch,
}

/// Decides who may do what.
///
/// It must be deterministic, the same on every node and for every copy of a write: a node that refuses what others
/// accepted stays behind on that origin until its answer changes. No clock, no randomness. It is asked for every entry
/// and every state that arrives, so it should be quick.
///
/// ```
/// use crdt_sync::{Author, Authorize, Collection, CollectionId, NodeId, Op};
///
/// /// Prices are written by the office; everybody reads them, and passes them on.
/// struct PriceList {
///     prices: CollectionId,
///     office: NodeId,
/// }
///
/// impl Authorize for PriceList {
///     fn authorize(&self, peer: NodeId, collection: CollectionId, op: Op<'_>) -> bool {
///         let writes_prices = collection == self.prices && matches!(op, Op::Write { author: Author::Sender, .. });
///         peer == self.office || !writes_prices
///     }
/// }
///
/// let (office, shop) = (NodeId::from_u128(1), NodeId::from_u128(2));
/// let prices = Collection::registers("prices").id();
/// let rules = PriceList { prices, office };
/// let write = Op::Write { key: b"milk", author: Author::Sender };
/// assert!(rules.authorize(office, prices, write) && !rules.authorize(shop, prices, write));
/// assert!(rules.authorize(shop, prices, Op::Read));
/// ```
pub trait Authorize: Send + Sync {
    /// Whether `peer`, the node at the other end of a link or this node itself, may do `op` to `collection`.
    fn authorize(&self, peer: NodeId, collection: CollectionId, op: Op<'_>) -> bool;

    /// Whether `peer` is believed when it says that `node`, which may be this one, is retired, wherever that was asked
    /// for. Everybody is, unless this says otherwise: a member can then lock out any other for good.
    ///
    /// Peers pass on what they know of members, so whoever is believed speaks for all who are believed by it. A
    /// retirement reaches those nodes to which a path of believed peers leads from where it was asked for. Until then
    /// a node and a peer that differ tell each other with every heartbeat, and hold no sessions once one of them took
    /// more of `node` than the other calls valid. What this node's own application
    /// [asks for](crate::Request::Retire) is done without asking.
    ///
    /// Asked as well of a peer that gives an identity of `node` to another member, with which it could be retired. Not
    /// asked of how much a member wrote before it was retired: each member says what it had applied, so one that lies
    /// can have more of it taken.
    ///
    /// ```
    /// # use crdt_sync::{Authorize, CollectionId, NodeId, Op};
    /// /// Lost phones are retired at the office.
    /// struct Office(NodeId);
    ///
    /// impl Authorize for Office {
    ///     fn authorize(&self, _: NodeId, _: CollectionId, _: Op<'_>) -> bool {
    ///         true
    ///     }
    ///
    ///     fn believes_retired(&self, peer: NodeId, _node: NodeId) -> bool {
    ///         peer == self.0
    ///     }
    /// }
    ///
    /// let (office, phone) = (NodeId::from_u128(1), NodeId::from_u128(2));
    /// assert!(Office(office).believes_retired(office, phone));
    /// assert!(!Office(office).believes_retired(phone, office));
    /// ```
    fn believes_retired(&self, peer: NodeId, node: NodeId) -> bool {
        let _ = (peer, node);
        true
    }
}

/// The [`Authorize`] of a node; without one everything is allowed.
#[derive(Clone, Default)]
pub struct Authorization(Option<Arc<dyn Authorize>>);

impl Authorization {
    /// Asks this.
    pub fn by(authorize: impl Authorize + 'static) -> Self {
        Self(Some(Arc::new(authorize)))
    }

    /// Whether everything is allowed, so that nothing need be asked.
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn believes_retired(&self, peer: NodeId, node: NodeId) -> bool {
        self.0.as_ref().is_none_or(|authorize| authorize.believes_retired(peer, node))
    }

    pub(crate) fn allows(&self, peer: NodeId, collection: CollectionId, op: Op<'_>) -> bool {
        self.0.as_ref().is_none_or(|authorize| authorize.authorize(peer, collection, op))
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_open() { "Authorization(open)" } else { "Authorization(..)" })
    }
}
