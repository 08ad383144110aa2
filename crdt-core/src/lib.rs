#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

extern crate alloc;

mod baseline;
pub mod clock;
#[cfg(feature = "serde")]
pub mod codec;
pub mod compose;
pub mod counter;
mod crdt;
mod dot;
pub mod dotted;
mod error;
mod fingerprint;
pub mod flag;
mod foreign;
mod hashing;
mod heap;
mod id;
mod journal;
#[cfg(any(test, feature = "proptest"))]
pub mod laws;
mod limits;
pub mod map;
pub mod register;
mod replica;
pub mod set;
mod writer;

pub use baseline::{InvalidRetirement, NotStable, Retire, Retirement};
pub use clock::{CausalContext, Hlc, HlcClock, Observed, Stamp, VersionVector, WallTime, stable_cut};
pub use counter::{BoundedCounter, CounterOverflow, GCounter, PnCounter, ResetCounter, SpendError};
pub use crdt::{Change, Crdt, DeltaCrdt, VersionDigest};
pub use dot::Dot;
pub use error::{ClockError, DotsExhausted, InvalidCausal};
pub use fingerprint::{CanonicalBytes, FingerprintWriter, digest_of};
pub use flag::{DwFlag, EwFlag};
pub use foreign::{MergeError, TryMerge};
pub use heap::HeapSize;
pub use id::ReplicaId;
pub use journal::{Cursor, CursorOutOfReach, Journaled};
pub use limits::Limits;
pub use map::{LwwMap, LwwMapDigest, OrMap};
pub use register::{ClockAhead, LwwRegister, MaxRegister, MinRegister, MvRegister};
#[cfg(feature = "serde")]
pub use replica::ReceiveError;
pub use replica::{IdentityInUse, Replica, RetireError, Seal, SealBroken};
pub use set::{GSet, OrSet, RwMarks, RwSet, TwoPhaseSet};
pub use writer::Writer;
