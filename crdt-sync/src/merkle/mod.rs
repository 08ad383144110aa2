//! Merkle anti-entropy: two replicas find what they hold differently, at a cost that follows the
//! difference.
//!
//! A [`BucketTree`] follows every write at O(1) and keeps no keys. A [`TreeSnapshot`] is the tree
//! at one moment. A [`Session`] compares two snapshots, on two machines, by frames that the caller
//! carries; it does no IO. At its end each side knows which of its own items the other lacks or
//! holds in another version, and [`Outcome::Converged`] means that 128-bit roots and counts agree,
//! nothing less.
//!
//! What it is not: it does not move the items, and does not decide which version wins. Peers that
//! know each other's causal contexts find missing writes more cheaply by comparing those; the tree
//! is for first contact, for long gaps and for what slipped through.
//!
//! ```
//! use crdt_sync::merkle::{BucketTree, TreeKey};
//!
//! # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
//! let key = TreeKey::new([7; 16]); // the cluster's secret
//! let mut here = BucketTree::new(&key, 16)?;
//! let mut there = BucketTree::new(&key, 8)?; // sizes may differ
//! for (name, version) in [("milk", 3), ("bread", 1)] {
//!     here.insert(here.key_hash(name.as_bytes()), version)?;
//! }
//! for (name, version) in [("bread", 1), ("milk", 3)] {
//!     there.insert(there.key_hash(name.as_bytes()), version)?;
//! }
//! assert_eq!(here.root(), there.root());
//! # Ok(()) }
//! ```
//!
//! | module | content |
//! |---|---|
//! | `prf`, `sip`, `universal` | [`TreeKey`], [`KeyHash`], the keyed hashes |
//! | `prefix` | [`Prefix`], a place in the tree |
//! | `cells` | the arrays of sums and counts |
//! | `tree`, `snapshot` | [`BucketTree`], [`TreeSnapshot`] |
//! | `batch` | [`Change`]: many writes at once |
//! | `lazy` | [`LazyTree`], for writes whose old version is unknown |
//! | `resize` | [`BucketTree::grow`], [`BucketTree::fold_to`], [`BucketTree::merge_from`] |
//! | `scrub` | [`Scrub`]: the tree against the data, a slice at a time |
//! | `checkpoint` | [`TreeSnapshot::write_checkpoint`], [`BucketTree::decode_checkpoint`] |
//! | `rotate` | [`Rotating`]: from one key to the next |
//! | `item` | [`Item`], [`ItemSource`]: what the owner of the data provides |
//! | `item_sketch` | [`ItemSketch`], which the owner may keep up |
//! | `session` | [`Session`], its turns and its [`Outcome`] |
//! | `frame` | the bytes of a session, laid down in `docs/formats.md` |
//! | `limits`, `error`, `trace` | [`Limits`], [`TreeError`] and [`ProtocolError`], [`Stats`] and [`Trace`] |
//!
//! The module is `no_std` and knows nothing of the engine.

mod batch;
pub(crate) mod cells;
mod checkpoint;
mod error;
pub(crate) mod frame;
mod item;
mod item_sketch;
mod lazy;
mod limits;
mod prefix;
pub(crate) mod prf;
mod resize;
mod rotate;
mod scrub;
mod session;
mod sip;
mod snapshot;
mod trace;
mod tree;
mod universal;

#[cfg(test)]
mod tests;

pub use batch::Change;
pub use error::{BatchError, CheckpointError, ProtocolError, TreeError};
pub use item::{Item, ItemSource};
pub use item_sketch::ItemSketch;
pub use lazy::LazyTree;
pub use limits::Limits;
pub use prefix::Prefix;
pub use prf::{KeyHash, TreeKey};
pub use resize::{Growth, Resize};
pub use rotate::{BothHashes, Rotating};
pub use scrub::{Mended, Scrub, Scrubbed};
pub use session::{Difference, Outcome, Session};
pub use snapshot::TreeSnapshot;
pub use trace::{Choice, Round, Side, Stats, Step, Trace, Way};
pub use tree::{BucketTree, Root};
