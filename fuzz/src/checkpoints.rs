//! Checkpoints that a disk gives back changed.

use crdt_sync::Action;

use crate::cluster::{Cluster, checkpoint, write};
use crate::tamper::Tampering;

/// However the bytes of a checkpoint are changed, a node does not open from them, or it is a node like any other: the
/// checkpoint it makes opens again, to the same.
pub fn a_node_opens_from_a_changed_checkpoint_whole_or_not_at_all(edits: &[u8]) {
    let mut cluster = Cluster::new(2, Tampering::new(&[]));
    cluster.connect(0, 1, None);
    cluster.write(
        0,
        vec![write(0, "note", Action::Put("body".into())), write(1, "list", Action::Add("milk".into()))],
    );
    cluster.write(1, vec![write(2, "count", Action::Increment(3)), write(3, "title", Action::Set(None))]);
    cluster.settle(4);
    let mut changed = checkpoint(&mut cluster.restarted(0));
    // Every three bytes are one edit: where, and the new byte.
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % changed.len();
        changed[at] = edit[2];
    }
    let Some(mut opened) = cluster.opened_from(0, &changed) else { return };
    let status = opened.status();
    let again = cluster.opened_from(0, &checkpoint(&mut opened)).expect("what a node wrote down opens");
    assert_eq!(again.status().partitions, status.partitions);
}
