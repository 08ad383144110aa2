#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod clock;
#[cfg(feature = "serde")]
pub mod codec;
pub mod counter;
mod crdt;
mod dot;
mod error;
mod fingerprint;
mod id;
mod limits;
pub mod register;
pub mod set;

pub use clock::{CausalContext, Hlc, HlcClock, Observed, Stamp, VersionVector, WallTime};
pub use counter::{CounterOverflow, GCounter, PnCounter};
pub use crdt::{Change, Crdt, DeltaCrdt, VersionDigest};
pub use dot::Dot;
pub use error::{ClockError, DotsExhausted};
pub use fingerprint::{CanonicalBytes, FingerprintWriter, digest_of};
pub use id::ReplicaId;
pub use limits::Limits;
pub use register::{ClockAhead, LwwRegister};
pub use set::GSet;
