#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod clock;
mod crdt;
mod dot;
mod error;
mod id;

pub use clock::{Hlc, HlcClock, Observed, Stamp, WallTime};
pub use crdt::{Change, Crdt, DeltaCrdt, VersionDigest};
pub use dot::Dot;
pub use error::{ClockError, DotsExhausted};
pub use id::ReplicaId;
