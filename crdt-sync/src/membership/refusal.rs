//! What an administrator is told who retires a node that cannot be retired.

use thiserror::Error;

use crate::node::NodeId;

/// Why a node was not retired. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RetireError {
    /// Nobody of this name was ever seen here; a misspelt name must not retire a node to come.
    #[error("{node} was never seen by this node; nobody was retired")]
    Unknown {
        /// The name given.
        node: NodeId,
    },
    /// The node asked is the one to be retired. What it wrote last may be known to nobody else, so another must say
    /// how much of it is valid.
    #[error("a node cannot retire itself; ask another one")]
    Myself,
    /// The node asked is retired itself: it speaks for nobody any more.
    #[error("this node is retired; nobody was retired")]
    Evicted,
}
