//! What nodes say to each other, and how it looks in bytes.
//!
//! A frame is one [`Message`] behind a four-byte head: two magic bytes, the protocol version and a message
//! tag. Its body is the canonical encoding of the message. Everything a peer can send is decoded within
//! [`Limits`](crate::Limits); a frame that is not exactly what an honest encoder would have produced is
//! refused with a [`WireError`], whole. `docs/formats.md` describes the bytes.

mod excerpt;
mod fork;
mod frame;
mod message;
mod quorum;
#[cfg(test)]
mod quorum_samples;
mod ship;
#[cfg(test)]
mod tests;

pub(crate) use excerpt::sequenced;
pub use excerpt::{Excerpt, Piece};
pub use fork::{Branch, Ceiling, Cut, Fork, ForkWord, KnownForks};
pub use frame::{PROTOCOL_VERSION, WireError, decode, encode};
pub use message::{
    Farewell, Frontier, Greeting, ItemState, Members, Message, OriginStatus, Rows, Run, Session, SessionStep,
    Standing, StatesPart,
};
pub use quorum::{
    CarriedOut, Died, Fetch, Filling, Found, KeyState, MergedState, Mint, Minted, Mutate, Quorum, Removal,
    Tombstones, Unminted,
};
pub use ship::{Beat, LogEnd, PromiseAnswer, PromiseAsked, RenewAsked, Ship, ShipStanding};
