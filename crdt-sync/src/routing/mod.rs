//! Whom to ask in a cluster with one leader: writes go to it, reads to followers that lag behind it.
//!
//! A [`Router`] is held by whoever asks: an application with connections to several nodes, or a driver in front of
//! them. It is told what is known of the nodes (the [`Fleet`]) and says for each read and write which node to send it
//! to. A [`Session`] is what it remembers of one client, so that this client never sees time go back.
//!
//! ```
//! use crdt_sync::NodeId;
//! use crdt_sync::routing::{Answer, Audience, Fleet, ReadPattern, Reason, Regions, Router};
//! use crdt_sync::routing::{Seen, Session, Tags, Version};
//! use crdt_sync::time::Instant;
//! use replication_log::{Epoch, Lsn};
//!
//! let [leader, near, far] = [1, 2, 3].map(NodeId::from_u128);
//! let version = |epoch, lsn| Version::new(Epoch::new(epoch), Lsn::new(lsn));
//! let millis = |ms: u64| Instant::from_micros(ms * 1_000);
//!
//! let mut fleet = Fleet::default();
//! fleet.add(leader, Tags::in_region("us"));
//! fleet.add(near, Tags::in_region("eu"));
//! fleet.add(far, Tags::in_region("ap"));
//! fleet.leads(leader, Epoch::new(1), None);
//! let mut router = Router::new(fleet, Regions::nearest_first(["eu", "us", "ap"]));
//! let mut user = Session::new(42);
//!
//! // Reads go to what is near. This user is promised never to see anything older than before.
//! const VERSIONED: ReadPattern = ReadPattern::Versioned { waits: true };
//! let route = router.route(&mut user, VERSIONED, Audience::Default, millis(0))?;
//! assert_eq!((route.node, route.at_least), (near, None));
//! assert_eq!(router.answered(&mut user, &route, Answer::of(version(1, 6)), millis(1)), Seen::Kept);
//!
//! // The user writes, at the leader, which says that it was record 7.
//! assert_eq!(router.route_write(&user)?.node, leader);
//! let ack = Answer::of(version(1, 7));
//! assert_eq!(router.acknowledged(&mut user, leader, ack, millis(5)), Seen::Kept);
//!
//! // The near node was last heard to have 6 records. It is asked to wait for the seventh.
//! let route = router.route(&mut user, VERSIONED, Audience::Default, millis(6))?;
//! assert_eq!((route.node, route.at_least, route.why), (near, Some(version(1, 7)), Reason::Waits));
//! // Had it answered all the same, that would not have been shown to the user.
//! let old = Answer::of(version(1, 6));
//! assert_eq!(router.answered(&mut user, &route, old, millis(9)), Seen::Behind { needed: version(1, 7) });
//! # Ok::<(), crdt_sync::routing::NoRoute>(())
//! ```
//!
//! # The patterns
//!
//! | [`ReadPattern`] | the session never loses sight of | whom it asks | what it costs |
//! |---|---|---|---|
//! | `Any` | nothing | the nearest followers in turn | old answers |
//! | `LeaderAfterOwnWrite` | its writes, for a window | the leader, or who is known to have them | load on the leader |
//! | `Monotonic` | what it wrote and saw | one follower, by a hash of the session | after a write it may wait |
//! | `Versioned` | what it wrote and saw | the nearest followers in turn | as before; tokens travel with the client |
//!
//! Of equally near nodes a follower is asked before the leader. Nodes for analytics are asked only for reports
//! ([`Audience::Analytics`]), and reports ask nobody else unless that is allowed.
//!
//! # What rests on what
//!
//! - **What the router knows is late.** It decides whom to ask, never whether an answer is good enough. A node that is
//!   told [`at_least`](Route::at_least) looks in its own log, waits, or refuses: it is the authority.
//! - **Each answer names its version**, and [`Session::saw`] compares it once more. So the promises hold, too, where
//!   nodes compare nothing, and where a node came back with less than it was heard to have. Then a read may be answered
//!   in vain ([`Seen::Behind`]), and has to be asked again.
//! - **A session has one [`Version`]**: all that it wrote and was shown is in it. It grows only by answers that contain
//!   it, so it is a token, small enough for a cookie, for any router of the cluster ([`Session::resume`]).
//!
//! # When the leader changes
//!
//! A new leader may lack records which the old one had acknowledged, unless a policy of acknowledgement prevents it. A
//! greater record number then says nothing: record 10 of the new log is not what record 10 of the old one was. What
//! decides is where the logs part, and that is known if the new leader [says](Fleet::leads) with what log it began, one
//! version. Then the router tells for every token whether it survived, before it asks anybody: [`NoRoute::Lost`] with
//! the [`Loss`]. The session goes on once that was [accepted](Session::accept), and is then promised what is left.
//!
//! Where nobody said it, a router cannot tell. It asks all the same, with the token; the node finds out by its own log
//! whether it has that ([`Lineage::learn_log`]), and vouches for it in its answer, or refuses. The answer of a node
//! that does neither is [`Seen::Unsure`], never silently taken for good.
//!
//! A loss is one of the log as it is led now. Should the next leader be a node that still has the lost records, they
//! are back, and what the last one wrote is lost in their place; sessions are told of that in the same way.
//!
//! | module | content |
//! |---|---|
//! | `tags` | [`Tags`], [`Regions`], [`Audience`]: what an operator and a caller say |
//! | `lineage` | [`Version`], and which contain which: [`Lineage`] |
//! | `fleet` | [`Fleet`], what is known of the nodes |
//! | `client` | [`Session`], what a client rests on, and what an answer is worth to it |
//! | `pattern` | [`ReadPattern`], [`Route`], [`Answer`] |
//! | `choice` | which of several nodes: nearness, and rendezvous hashing |
//! | `router` | [`Router`], which puts them together |
//!
//! The guarantees are those of Terry et al., *Session Guarantees for Weakly Consistent Replicated Data* (1994). The
//! module is `no_std` and knows nothing of the engine.

mod choice;
mod client;
mod error;
mod fleet;
mod lineage;
mod pattern;
mod router;
mod tags;

#[cfg(test)]
mod tests;

pub use client::{Seen, Session};
pub use error::NoRoute;
pub use fleet::{Fleet, Heard, Lag};
pub use lineage::{Holds, Lineage, Loss, MAX_EPOCHS, Version};
pub use pattern::{Answer, Freshness, ReadPattern, Reason, Route, WriteRoute};
pub use router::Router;
pub use tags::{Audience, Regions, Tags};
