//! Handles of a node of a cluster with one leader: what a commit came to, and who leads.

mod commits;
mod error;

pub use commits::{Commits, Committed};
pub use error::CommitError;
pub(crate) use error::{not_committed, not_leading};
