//! Shipping a log to followers, sans-IO: who is sent what, who has got how far, and what that commits.
//!
//! | module | the question it answers |
//! |---|---|
//! | [`marks`] | how far is a follower, and in what sense? |
//! | [`policy`] | whose acknowledgements commit a record? |
//! | [`commit`] | what is committed, who is told, and what if followers are missing? |

pub mod commit;
pub mod marks;
pub mod policy;

pub use commit::Commits;
pub use marks::{Marks, Stage};
pub use policy::AckPolicy;
