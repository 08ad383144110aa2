//! Documents of which a replica missed many versions in a row: more than a write tells of its past.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::wire::{Message, Quorum};
use crdt_sync::{Action, Bytes, Cell, Config, ItemKey};

use crate::cluster::{Cluster, notes};

/// Neither hints nor comparisons bring what a message did not, unless something calls for it.
fn left_to_themselves(config: &mut Config) {
    config.limits.max_hints = 0;
    config.timing.compare_every = Duration::from_secs(24 * 60 * 60);
}

fn is_live(cell: Option<&Cell>) -> bool {
    matches!(cell, Some(Cell::Document(note)) if note.live_leaves().next().is_some())
}

/// A wrote so many versions that B and C know nothing of, on one that B knows, and maybe C. Comparisons are lost for
/// now.
fn written_at_a_alone(
    cluster: &mut Cluster,
    c_has_the_first: bool,
    versions: usize,
) -> (ItemKey, [usize; 3]) {
    let (note, [a, b, c]) = cluster.cast(&notes());
    cluster.lose(|_, _, message| matches!(message, Message::Session(_)));
    if !c_has_the_first {
        cluster.cut(&[c], &[a, b]);
    }
    cluster.write(a, &note, Action::Put("first".into()), WriteOptions::QUORUM);
    cluster.deliver();
    cluster.cut(&[a], &[b, c]);
    for n in 0..versions {
        let body = format!("version {n}");
        cluster.write(a, &note, Action::Put(body.as_str().into()), WriteOptions::ONE);
    }
    assert_eq!([b, c].map(|node| is_live(cluster.engine(node).peek(&note))), [true, c_has_the_first]);
    (note, [a, b, c])
}

/// A deletes it, and C is told; B is not. What B and C show together afterwards, without A, is what was acknowledged.
#[test]
fn an_acknowledged_deletion_is_not_undone_by_a_version_from_before_what_a_replica_missed() {
    for missed in [5, 16, 17, 40] {
        let mut cluster = Cluster::with(3, left_to_themselves);
        let (note, [a, b, c]) = written_at_a_alone(&mut cluster, true, missed);
        cluster.lose(move |_, to, message| match message {
            Message::Session(_) | Message::Quorum(Quorum::Mutate(_)) => to == b,
            _ => false,
        });
        cluster.heal();
        let asked = cluster.ask_to_write(a, &note, Action::Delete, WriteOptions::QUORUM);
        let deleted = cluster.early_reply_to(asked);
        assert!(matches!(deleted, QuorumReply::Written { .. }), "{missed}: {deleted:?}");
        cluster.cut(&[a], &[b, c]);
        assert!(is_live(cluster.engine(b).peek(&note)));
        assert!(!is_live(cluster.engine(c).peek(&note)), "after {missed}");
        assert!(!is_live(cluster.cell(b, &note, ReadOptions::QUORUM).as_ref()), "after {missed}");
    }
}

/// C never heard of the document, so that it has nothing to wonder about. It takes the deletion, and not what B holds
/// for its past, until one of the two is compared with A.
#[test]
fn a_replica_that_never_had_a_document_does_not_know_all_that_its_deletion_deletes() {
    let mut cluster = Cluster::with(3, left_to_themselves);
    let (note, [a, b, c]) = written_at_a_alone(&mut cluster, false, 40);
    cluster.lose(move |_, to, message| match message {
        Message::Session(_) => true,
        Message::Quorum(Quorum::Mutate(_)) => to == b,
        _ => false,
    });
    cluster.heal();
    let deleted = cluster.write(a, &note, Action::Delete, WriteOptions::QUORUM);
    assert!(matches!(deleted, QuorumReply::Written { .. }), "{deleted:?}");
    cluster.cut(&[a], &[b, c]);
    assert!(is_live(cluster.cell(b, &note, ReadOptions::QUORUM).as_ref()));
    cluster.lose_nothing();
    cluster.heal();
    cluster.pass(Duration::from_secs(5));
    assert!([a, b, c].iter().all(|node| !is_live(cluster.engine(*node).peek(&note))));
}

/// Before it is compared with A, C has the deletion and does not know that it was written on what C holds. Nobody may
/// count it.
#[test]
fn a_replica_that_missed_too_much_does_not_vouch_for_a_deletion() {
    let mut cluster = Cluster::with(3, left_to_themselves);
    let (note, [a, _, c]) = written_at_a_alone(&mut cluster, true, 40);
    cluster.heal();
    let deleted = cluster.write(a, &note, Action::Delete, WriteOptions::QUORUM);
    assert!(matches!(deleted, QuorumReply::Unmet(_)), "{deleted:?}");
    assert!(is_live(cluster.engine(c).peek(&note)));
    cluster.lose_nothing();
    cluster.pass(Duration::from_secs(5));
    assert!(!is_live(cluster.engine(c).peek(&note)));
}

/// Nobody keeps more than so many generations. Of a version from before them nobody can say that it is the past of one
/// that is there, and it is kept beside that: rather something too much than something lost.
#[test]
fn a_version_that_is_older_than_all_that_is_kept_comes_back() {
    let mut cluster = Cluster::with(3, |config| {
        left_to_themselves(config);
        config.limits.max_revisions = 20;
    });
    let (note, [a, b, _]) = written_at_a_alone(&mut cluster, true, 100);
    cluster.lose_nothing();
    cluster.heal();
    cluster.write(a, &note, Action::Delete, WriteOptions::ALL);
    cluster.pass(Duration::from_secs(5));
    let Some(Cell::Document(note)) = cluster.cell(b, &note, ReadOptions::ALL) else { panic!("a note") };
    let bodies: Vec<_> = note.live_leaves().filter_map(|version| version.body()).collect();
    assert_eq!(bodies, [&Bytes::from("first")]);
}
