//! Writes on top of what was read.

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::{Action, Cell, ItemKey, Reply, WriteError};

use crate::cluster::{Cluster, notes};

type Version = conflict_store::VersionId;

fn on(parent: Version, body: &str) -> Action {
    Action::Update { parent, body: Some(body.into()) }
}

fn version(reply: QuorumReply) -> Version {
    match reply {
        QuorumReply::Written { written, .. } => written.versions[0],
        other => panic!("not written: {other:?}"),
    }
}

fn live(cell: Option<&Cell>) -> usize {
    let Some(Cell::Document(note)) = cell else { panic!("there is a document") };
    note.live_leaves().count()
}

/// A missed the second version. Left alone, it takes a write on top of the first one, and there are two versions to
/// choose from.
fn stale_at_a(cluster: &mut Cluster) -> (ItemKey, [usize; 3], Version) {
    let (note, [a, b, c]) = cluster.cast(&notes());
    let first = version(cluster.write(a, &note, Action::Put("one".into()), WriteOptions::ALL));
    cluster.cut(&[a], &[b, c]);
    version(cluster.write(b, &note, on(first, "two"), WriteOptions::QUORUM));
    cluster.heal();
    (note, [a, b, c], first)
}

#[test]
fn a_write_on_a_version_that_is_current_no_more_is_refused_if_read_first() {
    let mut cluster = Cluster::with(3, |config| config.limits.max_hints = 0);
    let (note, [a, b, c], first) = stale_at_a(&mut cluster);
    let asked = cluster.ask_to_write_on_top(a, &note, on(first, "three"));
    let reply = cluster.any_reply_to(asked);
    let Reply::Refused(WriteError::Document { cause: conflict_store::PutError::Conflict { leaves }, .. }) =
        reply
    else {
        panic!("not refused: {reply:?}")
    };
    assert_ne!(leaves, [first]);
    assert!([a, b, c].iter().all(|node| live(cluster.engine(*node).peek(&note)) == 1));
}

#[test]
fn without_a_read_the_same_write_makes_a_second_version() {
    let mut cluster = Cluster::with(3, |config| config.limits.max_hints = 0);
    let (note, [a, ..], first) = stale_at_a(&mut cluster);
    version(cluster.write(a, &note, on(first, "three"), WriteOptions::ALL));
    assert_eq!(live(cluster.cell(a, &note, ReadOptions::ALL).as_ref()), 2);
}

/// Nobody decides between two that read the same at the same time: there is no consensus. Both are kept, side by side,
/// and the next reader sees both.
#[test]
fn of_two_writes_at_the_same_time_both_may_succeed_and_both_are_kept() {
    let mut cluster = Cluster::of(3);
    let (note, [a, b, c]) = cluster.cast(&notes());
    let first = version(cluster.write(a, &note, Action::Put("one".into()), WriteOptions::ALL));
    let one = cluster.ask_to_write_on_top(a, &note, on(first, "two"));
    let other = cluster.ask_to_write_on_top(b, &note, on(first, "deux"));
    let (one, other) = (version(cluster.reply_to(one)), version(cluster.reply_to(other)));
    assert_ne!(one, other);
    assert_eq!(live(cluster.cell(c, &note, ReadOptions::QUORUM).as_ref()), 2);
}
