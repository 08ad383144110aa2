//! Shipping a log to followers, sans-IO: who is sent what, who has got how far, and what that commits.
//!
//! | module | the question it answers |
//! |---|---|
//! | [`marks`] | how far is a follower, and in what sense? |
//! | [`slot`] | what of its log does a leader keep, for whom, and until when? |
//! | [`lag`] | how far behind is a follower, in bytes, records and time, and who should know? |

pub mod lag;
pub mod marks;
pub mod slot;

pub use marks::{Marks, Stage};
