//! Sessions of clients: what one has written and been shown, it finds at every node.
//!
//! A client goes from node to node: a request ends here, the next one there, where its own write may not have
//! arrived. In between it carries a [`SessionToken`], which names per partition and origin the last sequence that
//! the client depends on. A node that is asked within a session answers once it has applied all of that *in the
//! partition of the key*, and advances the token by what it wrote or showed. These are the session guarantees of
//! Terry et al., "Session Guarantees for Weakly Consistent Replicated Data" (1994):
//!
//! | guarantee | how |
//! |---|---|
//! | read your writes | a write adds its own sequence, and a read waits for it |
//! | monotonic reads | a read adds what the state that it showed rests on, and the next one waits for that |
//! | monotonic writes, writes follow reads | a write takes a later stamp than everything the session wrote or saw |
//!
//! Reads wait, writes never do. What a write's stamp decides (registers, documents where the last writer wins) is
//! therefore in the order of the session; a put or a removal acts on what *its* node holds, as every write does, and
//! a client that means to act on what it saw reads first, at that node. Other nodes may show two writes of one
//! session in another order, unless whoever reads there is in a session that saw both.
//!
//! # What a read adds
//!
//! The frontier of the partition at the moment of reading would always be enough, and too much: a key that has
//! not changed for a year would wait elsewhere for what was written a second ago under another key. The engine knows
//! which record changed a key last, so the sequences applied *up to that record* are enough; of a counter only those
//! of the origins it counts, of a register the one that wrote it. A key that is not held, and a scan, take the whole
//! frontier. States that a Merkle session brought may show more than the frontier says until that session is
//! through: a partition knows an upper bound of it, which the token takes over.
//!
//! # Identities that are no more
//!
//! A write of an identity that was given up, or of a node that left, is covered like any other: by a head at or
//! above it. A token may also name what no node can have any more, such as a write that was lost with its machine: a
//! read then ends as `Behind` at its deadline, and the client decides whether to begin a new session.
//!
//! # Forks
//!
//! A forked identity has two histories, and a token names the sequence and not which of the two. So a fork takes from
//! sessions what they wrote and saw above the place where the histories part, as long as they go on with their tokens
//! from before it was known:
//!
//! * A node that does not know of the fork yet counts the entries of the history that it holds. Whoever comes from the
//!   other side is answered although what the session wrote or saw there is missing, and so is a session that wrote on
//!   both sides.
//! * Once the node knows, the identity ends where the histories part. A token from before that names more of it than
//!   that is covered nowhere any more: reads end as `Behind`, and the client begins a new session. New tokens name
//!   branches, each of which has a name of its own, and the guarantees hold again.
//! * Where the two sides stay apart because the fork [cannot be healed](crate::Event::ForkNotHealed), or a node
//!   [lacks entries](crate::Event::BranchNotDivided) to divide its history with, the first holds until that is over.
//!
//! What all histories share, and what other origins wrote, is as safe as ever. Four bytes of the chain value beside
//! each sequence would tell the histories apart at once, and make a token of 100 origins in 64 partitions twice as
//! long, 53 kB in place of 27, in every session of every cluster; nodes see a fork when they meet.

mod answer;
mod covered;
mod error;
mod seal;
#[cfg(test)]
mod tests;
mod token;
mod waits;

pub(crate) use answer::{answer, expire, wake};
pub use covered::Missing;
pub use error::TokenError;
pub use token::{Causal, SessionToken};
pub(crate) use waits::Waits;
