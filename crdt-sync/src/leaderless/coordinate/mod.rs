//! One coordinated operation: whom to ask, how to count, when to reply, what is left to do afterwards.
//!
//! [`WriteOp`] and [`ReadOp`] are state machines without IO. They are told what arrived and what time it is, and are
//! polled for actions until there are none. They know nothing of links, disks or cells: nodes are any `Ord + Copy`
//! type, and the data that a read compares is behind the trait [`Answer`].
//!
//! | part | what it says |
//! |---|---|
//! | [`Replicas`] | who holds the key: one set of primaries, or two while the ring changes; fallbacks; who is down |
//! | [`WriteOptions`], [`ReadOptions`] | what the client asks for |
//! | [`WriteOp`], [`ReadOp`] | what to do next |
//! | [`Report`], [`Unmet`] | what was reached: distinct copies, real overlap, staleness, in words |
//! | [`Repairs`] | how many repairs reads may cause |
//!
//! Three rules hold for both operations.
//!
//! - **Distinct nodes count.** A node is one copy, however often and in whatever role it answers. Answers of primaries
//!   and of fallbacks are counted apart, by [`quorum::AckTally`].
//! - **While the ring changes, the quorum is met in both sets of primaries.** A fallback counts in the sets that the
//!   primary belongs to for which it stands in.
//! - **One reply, and then the rest.** An operation replies as soon as its outcome is known, and goes on listening
//!   until everybody who was asked has answered or its time is up: so hints and repairs are exact.
//!
//! The coordinator is asked like all others, first of all: an `Ask` that names it is carried out by its own replica,
//! and its acknowledgement is told to the operation once its record is durable.

mod answer;
mod options;
mod panel;
mod read;
mod repairs;
mod replicas;
mod report;
mod write;

pub use answer::{Answer, Digest};
pub use options::{Fallbacks, OptionsError, ReadOptions, Repair, WriteOptions};
pub use read::{Read, ReadAction, ReadOp, Wanted};
pub use repairs::{Permit, Repairs, RepairsLimit};
pub use replicas::Replicas;
pub use report::{Cause, Failure, Operation, Refusal, Report, Staleness, Unmet};
pub use write::{WriteAction, WriteOp};
