//! Shipping a log to followers, sans-IO: who is sent what, who has got how far, and what that commits.
//!
//! | module | the question it answers |
//! |---|---|
//! | [`marks`] | how far is a follower, and in what sense? |

pub mod marks;

pub use marks::{Marks, Stage};
