//! Range mode: key-ordered partial replication. Two replicas find what they hold differently within
//! a range of keys, and speak of nothing else.
//!
//! A [`RangeTree`] keeps application keys in their own order, with the sum and the number of the
//! items in any range at O(log n). A [`RangeSnapshot`] is the tree at one moment. A
//! [`RangeSession`] compares two snapshots over a [`KeyRange`], on two machines, by frames that the
//! caller carries; it does no IO. At its end each side knows which of its own items the other lacks
//! or holds in another version, and [`Outcome::Converged`](crate::merkle::Outcome::Converged) means
//! that 128-bit sums and counts over the agreed range agree.
//!
//! Choose [`merkle`](crate::merkle) where all is replicated, differences lie anywhere and writes are
//! hot: a write there is O(1), and the tree keeps no keys. Choose `range` where only a part is
//! replicated, or where differences lie together in the order of keys, as they do in time series and
//! after an outage: they then cost one path of the tree, not one each.
//!
//! What it is not: it does not move the items, does not decide which version wins, and does not
//! encrypt. The bounds that a session sends are prefixes of keys.
//!
//! ```
//! use crdt_sync::merkle::TreeKey;
//! use crdt_sync::range::{KeyRange, RangeTree};
//!
//! # fn main() -> Result<(), crdt_sync::range::TreeError> {
//! let key = TreeKey::new([7; 16]); // the cluster's secret
//! let mut warehouse = RangeTree::new(&key);
//! let mut office = RangeTree::new(&key);
//! warehouse.insert(b"orders/2026-11/0001", 1)?;
//! office.insert(b"orders/2026-11/0001", 1)?;
//! office.insert(b"salaries/2026-11", 1)?;
//!
//! let shared = KeyRange::prefix(b"orders/2026-11/")?;
//! assert_eq!(warehouse.aggregate(&shared), office.aggregate(&shared));
//! assert_ne!(warehouse.root(), office.root());
//! # Ok(()) }
//! ```
//!
//! | module | content |
//! |---|---|
//! | `key_range` | [`KeyRange`]: bounds and prefixes |
//! | `tree` | [`RangeTree`], [`RangeSnapshot`], [`Items`] |
//! | `policy` | [`RefinementPolicy`]: when to list and into how many parts to split, local to a side |
//! | `session` | [`RangeSession`] |
//! | `frame` | the bytes of a session, laid down in `docs/formats.md` |
//! | `limits`, `error` | [`Limits`], [`TreeError`] and [`ProtocolError`] |
//!
//! Keyed hashes, their sums, outcomes and statistics are those of [`merkle`](crate::merkle). The
//! module is `no_std` and knows nothing of the engine.

mod error;
mod frame;
mod key_range;
mod limits;
mod policy;
mod session;
mod tree;

#[cfg(test)]
mod tests;

pub use error::{ProtocolError, TreeError};
pub use frame::MAX_PARTS;
pub use key_range::KeyRange;
pub use limits::Limits;
pub use policy::{Comparison, FanOut, Refinement, RefinementPolicy};
pub use session::RangeSession;
pub use tree::{Items, RangeSnapshot, RangeTree};
