//! Shipping a log to followers, sans-IO: who is sent what, who has got how far, and what that commits.
//!
//! A leader has a [`Sender`] for each follower, a follower has one [`Receiver`]. Neither opens a socket, reads a
//! clock or touches a disk: their host carries the frames, tells the time, and does with the log what it is told.
//! Any node that has the log can send it on, so followers can be chained.
//!
//! ```text
//! follower                                   leader
//!   Hello { name, epoch, ends of epochs } ──────►  where do the two logs part?
//!   promise the epoch, cut  ◄──────  Welcome { leader, epoch, start }
//!   Report { marks } ──────────────────────────►  ready
//!   append, sync, apply  ◄─────────  Batches { commit, end, batches }
//!   Report { received, written, flushed, applied }  ──►  what is committed?
//! ```
//!
//! | module | the question it answers |
//! |---|---|
//! | [`marks`] | how far is a follower, and in what sense? |
//! | [`history`] | where do two logs part? |
//! | [`sender`] | what is a follower sent, and when? |
//! | [`receiver`] | what is appended, asked for again, refused? |
//! | [`policy`] | whose acknowledgements commit a record? |
//! | [`commit`] | what is committed, who is told, and what if followers are missing? |
//! | [`slot`] | what of its log does a leader keep, for whom, and until when? |
//! | [`lag`] | how far behind is a follower, in bytes, records and time, and who should know? |
//! | [`wire`] | what do the two say, in bytes? |

pub mod commit;
pub mod history;
pub mod lag;
pub mod marks;
pub mod policy;
pub mod receiver;
pub mod sender;
pub mod slot;
pub mod wire;

pub use commit::Commits;
pub use history::{History, HistoryView, common_position};
pub use marks::{Marks, Stage};
pub use policy::AckPolicy;
pub use receiver::{Begin, ReceiveError, Receiver, ReceiverOptions, Step, Wants};
pub use sender::{AnswerError, SendError, Sender, SenderEvent, SenderOptions, SnapshotOffer, Want};
