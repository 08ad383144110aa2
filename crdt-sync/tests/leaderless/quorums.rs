//! Why R + W > N lets a read see a write, and what is left of that when fallbacks may answer.

use crdt_sync::leaderless::QuorumReply;
use std::time::Duration;

use crdt_sync::leaderless::coordinate::{Cause, Fallbacks, ReadOptions, WriteOptions};
use quorum::Level;

use crate::cluster::{Cluster, id_of, set, sloppy, sloppy_read, titles};

/// N = 3, W = 2, R = 2. The write reaches A and B; C is away and stale. The read asks B and C: B is in both.
#[test]
fn a_read_of_two_meets_a_write_of_two_in_b_while_c_is_stale() {
    let mut cluster = Cluster::of(3);
    let (title, [a, _, c]) = cluster.cast(&titles());
    cluster.write(a, &title, set("Hello"), WriteOptions::ALL);
    cluster.crash(c);

    let QuorumReply::Written { report, .. } = cluster.write(a, &title, set("Bonjour"), WriteOptions::QUORUM)
    else {
        panic!("A and B are enough")
    };
    assert_eq!((report.copies(), report.overlap_with(Level::Quorum)), (2, 1));

    cluster.crash(a);
    cluster.start(c);
    assert_eq!(cluster.held(c, &title).as_deref(), Some("Hello"));
    assert_eq!(cluster.text(c, &title, ReadOptions::QUORUM).as_deref(), Some("Bonjour"));
}

/// W = N lets R = 1 read anywhere, as long as everybody is up for the write.
#[test]
fn to_write_to_all_lets_any_one_be_read_and_fails_with_one_node_down() {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    cluster.write(a, &title, set("Hello"), WriteOptions::ALL);
    for node in [a, b, c] {
        assert_eq!(cluster.held(node, &title).as_deref(), Some("Hello"));
    }
    cluster.crash(c);
    let QuorumReply::NotBegun(unmet) = cluster.write(a, &title, set("Bonjour"), WriteOptions::ALL) else {
        panic!("C is known to be down, so that nothing is begun")
    };
    assert_eq!(unmet.report().copies(), 0);
    assert_eq!(cluster.text(b, &title, ReadOptions::ONE).as_deref(), Some("Hello"));
}

/// W = 1 lets a write end anywhere; then only R = N is sure to meet it, and fails with a node down.
#[test]
fn to_write_to_one_takes_a_read_of_all_to_be_seen_for_sure() {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    cluster.cut(&[a], &[b, c]);
    let one = WriteOptions { fallbacks: Fallbacks::Strict, ..WriteOptions::ONE };
    let QuorumReply::Written { report, .. } = cluster.write(a, &title, set("Hello"), one) else {
        panic!("A alone is enough")
    };
    assert!(report.is_eventual());
    assert_eq!((report.overlap_with(Level::Quorum), report.overlap_with(Level::All)), (0, 1));
    assert_eq!(cluster.text(b, &title, ReadOptions::QUORUM), None);
    assert!(matches!(cluster.read(b, &title, ReadOptions::ALL), QuorumReply::Unmet(_)));
    cluster.heal();
    assert_eq!(cluster.text(b, &title, ReadOptions::ALL).as_deref(), Some("Hello"));
}

/// A write that did not reach its level is not taken back: who reads later may see it.
#[test]
fn a_write_that_missed_its_level_is_reported_and_may_be_seen_later() {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    let asked = cluster.ask_to_write(a, &title, set("Hello"), WriteOptions::QUORUM);
    cluster.cut(&[a], &[b, c]);
    let QuorumReply::Unmet(unmet) = cluster.reply_to(asked) else { panic!("A is alone") };
    assert_eq!((unmet.cause(), unmet.report().copies()), (Cause::Impossible, 1));
    cluster.heal();
    cluster.pass(Duration::from_secs(2));
    assert_eq!(cluster.text(b, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
}

/// The usual way with sloppy quorums goes well: writes at B, C and D in place of A, reads of A, B and C. That they
/// share B *and* C, two nodes and not one, is more than the theory's R + W > N says; but it rests on who happened to be
/// asked.
#[test]
fn a_sloppy_write_to_b_c_and_d_and_a_read_of_a_b_and_c_share_b_and_c() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b]) = cluster.cast(&titles());
    cluster.crash(a);
    let all = sloppy(WriteOptions { level: Level::All, ..WriteOptions::ONE });
    let QuorumReply::Written { report, .. } = cluster.write(b, &title, set("Hello"), all) else {
        panic!("three nodes are up")
    };
    assert_eq!((report.copies(), report.primaries().len(), report.fallbacks().len()), (3, 2, 1));
    assert_eq!(report.fallbacks()[0].1, id_of(a)); // a fallback keeps a hint for A
    assert_eq!(report.overlap_with(Level::All), 2);
}

/// Where a sloppy quorum really misses: W = 2 is met by D and E, R = 2 by B and C, and R + W > N does not help. The
/// report says so: what is sure to be shared is 0.
#[test]
fn a_sloppy_write_on_two_fallbacks_is_missed_by_a_read_of_two_primaries() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, c, d, e]) = cluster.cast(&titles());
    cluster.cut(&[d, e], &[a, b, c]);
    let two = sloppy(WriteOptions { level: Level::Quorum, ..WriteOptions::ONE });
    let QuorumReply::Written { report, .. } = cluster.write(d, &title, set("Hello"), two) else {
        panic!("two fallbacks are up on this side")
    };
    assert_eq!((report.copies(), report.overlap_with(Level::Quorum)), (2, 0));
    assert_eq!(cluster.text(b, &title, ReadOptions::QUORUM), None);

    // With two primaries demanded, the same write fails instead, and nothing is begun.
    let strict = WriteOptions { primaries: 2, ..two };
    assert!(matches!(cluster.write(d, &title, set("Bonjour"), strict), QuorumReply::NotBegun(_)));

    cluster.heal();
    cluster.pass(Duration::from_secs(2));
    assert_eq!(cluster.text(b, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
    assert_eq!(cluster.text(b, &title, sloppy_read(ReadOptions::QUORUM)).as_deref(), Some("Hello"));
}

/// Whoever is asked and holds no copy has the first live replica carry out the write.
#[test]
fn a_node_that_is_no_replica_passes_the_write_on_and_reads_from_those_that_are() {
    let mut cluster = Cluster::of(5);
    let (title, [_, _, _, d]) = cluster.cast(&titles());
    let QuorumReply::Written { report, .. } = cluster.write(d, &title, set("Hello"), WriteOptions::QUORUM)
    else {
        panic!("all are up")
    };
    assert_eq!(report.fallbacks(), []);
    assert_eq!(cluster.held(d, &title), None);
    assert_eq!(cluster.text(d, &title, ReadOptions::ALL).as_deref(), Some("Hello"));
}
