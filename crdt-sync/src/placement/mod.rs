//! Where data is: a ring that divides partitions among nodes, and how it changes while everybody writes and reads.
//!
//! A [`Ring`] says for each partition which nodes hold it, its *primaries*, and who stands in for them. A [`Layout`] is
//! what nodes tell each other of it: the members, the version, and a change in progress. A [`Placement`] is one node's
//! view of that, which answers whom to ask and takes the steps of a change. A [`Detector`] says who seems to be alive.
//! None of them does IO.
//!
//! ```
//! use crdt_sync::NodeId;
//! use crdt_sync::placement::{Admission, Change, Layout, Member, Phase, Placement, Shape};
//!
//! let node = |n: u8| NodeId::from_u128(n.into());
//! let member = |n: u8| Member::new(node(n), ["north", "south", "west"][usize::from(n % 3)]);
//!
//! // Three nodes begin with the same layout, and each keeps a view of it.
//! let shape = Shape { partitions: 64, replicas: 3, write_quorum: 2 };
//! let founded = Layout::found(vec![member(1), member(2), member(3)], shape)?;
//! let mut views: Vec<Placement> = (1..=3).map(|n| Placement::new(node(n), founded.clone())).collect();
//! assert_eq!(views[0].read_set(7).count(), 3);
//!
//! // A fourth comes. It knows nothing yet; a member proposes it.
//! views.push(Placement::new(node(4), Layout::default()));
//! views[0].propose(&Change::Join(vec![member(4)]))?;
//! assert_eq!(views[0].phase(), Phase::Writing);
//!
//! // Whatever a node learns or does it writes down and tells the others, here everybody everything.
//! let gossip = |views: &mut Vec<Placement>| {
//!     for from in 0..4 {
//!         let (teller, layout) = (views[from].me(), views[from].layout().clone());
//!         views.iter_mut().for_each(|view| drop(view.learn(teller, &layout)));
//!     }
//! };
//! gossip(&mut views);
//!
//! // Writes now reach their quorum in the old and in the new primaries; reads ask the old ones. No copy counts before
//! // all nodes write like that.
//! let moved = views[3].to_copy().next().expect("it gains something");
//! assert!(views[0].write_sets(moved).second.expect("a second set").any(|primary| primary == node(4)));
//! assert!(views[0].read_set(moved).all(|primary| primary != node(4)));
//! assert_eq!(views[3].copy_permit(moved), None);
//! views.iter_mut().for_each(|view| assert!(view.acknowledge(None)));
//! gossip(&mut views);
//!
//! // The newcomer copies its partitions, each from N - W + 1 = 2 of the old owners.
//! for partition in views[3].to_copy().collect::<Vec<u16>>() {
//!     let permit = views[3].copy_permit(partition).expect("all nodes acknowledged");
//!     views[3].report_copied(&permit, &permit.sources()[..2])?;
//! }
//! gossip(&mut views);
//!
//! // Any node may take the next step. Then reads ask the new primaries, and at last only those are left.
//! assert!(views[1].advance());
//! assert_eq!((views[1].phase(), views[1].version()), (Phase::Reading, 3));
//! assert_eq!(views[0].admits(node(2), 3), Admission::Ahead);
//! gossip(&mut views);
//! views.iter_mut().for_each(|view| assert!(view.acknowledge(None)));
//! gossip(&mut views);
//! assert!(views[2].advance());
//! assert_eq!((views[2].phase(), views[2].layout().members().len()), (Phase::Stable, 4));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a change is safe
//!
//! A change goes through phases, each a version of its own:
//!
//! | phase | writes reach their quorum in | reads ask | the next begins when |
//! |---|---|---|---|
//! | stable, before | old | old | somebody proposes |
//! | writing | old and new | old | all acknowledged, and all copies are made |
//! | reading | old and new | new | all acknowledged |
//! | stable, after | new | new | |
//!
//! Nodes are never in more than two neighbouring phases that matter to each other, and in any two neighbours every
//! write reaches the set that any read asks. What rests on what:
//!
//! - **An acknowledgement is a promise about operations, not about knowledge.** A node acknowledges a version when none
//!   of its operations that began under another one can be reported as done any more. So a phase that all have
//!   acknowledged is one that every later reply rests on.
//! - **Copies begin when all acknowledged** [`Phase::Writing`]. It is not enough that the old owner which is copied
//!   from did: it still takes requests of the version before, and with them a write that only the old primaries see
//!   could be acknowledged after the copy. A write from before reached W old owners, a new owner copies from N - W + 1:
//!   they meet. Where fewer nodes than N remain, those that stay copy as well.
//! - **Proposals at the same time** decide by digest, and the loser is reported. Until one is acknowledged by all
//!   members of the old ring, the proposers among them, nobody reads by either, and under both the old primaries see
//!   every write. After that nobody is left who could propose another.
//! - **A dead node** blocks a phase, and [`Progress`] says so. Declared dead it is not waited for, but everybody else
//!   has to have acknowledged *that it is fenced*: otherwise its requests by an older version would still find takers.
//!   From then on its requests, its layouts and all that a stranger relays are refused; this is why
//!   [`Placement::learn`] and [`Placement::admits`] ask who speaks.
//! - **A new owner that dies** while it copies ends the change: the layout goes back to the ring as it was, since
//!   nobody has read from the new one. Were the change completed instead, old owners would drop the only copies.
//! - **One step from each version.** A step is a function of the state and of who is dead, and begins when all living
//!   participants acknowledged just that. Two nodes that step from one version knew the same dead, or one of them was
//!   itself declared dead by all that the other counted, and nobody listens to it.
//! - **Dropping** waits until no participant can be at a version in which the node held the partition.
//!
//! What it does not protect from: an operator who declares W or more primaries of one partition dead (counted in
//! [`Progress::uncovered`]); a node that restarts from an older layout than it acknowledged; writes below the write
//! quorum of the [`Shape`], which are promised to nobody; replies that count fallbacks.
//!
//! Sources: joint quorums are those of Ongaro, "Consensus: Bridging Theory and Practice" (2014), §4.3; writing to the
//! sets of all live versions, and moving reads after a sync, is how Garage changes its layouts.
//!
//! | module | content |
//! |---|---|
//! | `member` | [`Member`], [`Shape`] |
//! | `ring` | [`Ring`], consistent hashing with bounded loads |
//! | `layout` | [`Layout`], what is told and written down; [`Change`] |
//! | `view` | [`Placement`], the steps of a change and what follows from it |
//! | `liveness` | [`Detector`], who seems to be alive |
//! | `limits` | the bounds on all of them |
//!
//! The module is `no_std` and knows nothing of the engine.

mod layout;
mod limits;
mod liveness;
mod member;
mod ring;
mod view;

#[cfg(test)]
mod tests;

pub use layout::{Change, ChangeError, Layout, Phase};
pub use limits::{MAX_FENCED, MAX_MEMBERS, MAX_RACK, MAX_REPLICAS, MAX_WEIGHT};
pub use liveness::{Detector, Patience};
pub use member::{Member, RingError, Shape};
pub use ring::{Nodes, Ring};
pub use view::{
    Admission, CopyError, CopyPermit, LearnError, Learned, Lost, Move, Placement, Progress, Refill, WriteSets,
};
