//! What the test files share.

use crdt_core::{ReplicaId, Writer};

/// Tests number their replicas themselves.
pub(crate) fn by(id: ReplicaId) -> Writer<'static> {
    Writer::unchecked(id)
}
