//! What wires do to messages, and what clients must not notice of it.

use std::time::Duration;

use crdt_sync::leaderless::coordinate::WriteOptions;
use crdt_sync::{Action, Cell};

use crate::cluster::{Cluster, counts, set, titles};

/// D asks A to carry out a count, and the wire doubles the request: A counts once.
#[test]
fn a_doubled_request_to_carry_out_a_write_is_one_write() {
    let mut cluster = Cluster::of(5);
    let (likes, [a, _, _, d]) = cluster.cast(&counts());
    let id = cluster.ask_to_write(d, &likes, Action::Increment(5), WriteOptions::ALL);
    cluster.deliver_twice();
    cluster.reply_to(id);
    let Some(Cell::Counter(counter)) = cluster.engine(a).peek(&likes) else { panic!("A has it") };
    assert_eq!(counter.value(), 5);
}

/// D loses B and C, so that a quorum is out of reach and the client is told. Then it loses A, too, which was to carry
/// out the write: whether it did nobody knows, but the client was told already.
#[test]
fn a_write_that_failed_and_then_lost_its_coordinator_is_answered_once() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, c, d]) = cluster.cast(&titles());
    let id = cluster.ask_to_write(d, &title, set("Hello"), WriteOptions::QUORUM);
    cluster.lose_frames();
    cluster.cut(&[d], &[b, c]);
    assert_eq!(cluster.answers_to(id), 1);
    cluster.cut(&[d], &[a]);
    cluster.pass(Duration::from_secs(6));
    assert_eq!(cluster.answers_to(id), 1);
}

/// Nobody asks A for its entries, so it does not keep them: a node that writes for a year must not fill its memory.
#[test]
fn a_node_keeps_no_entries_of_what_it_wrote() {
    let mut cluster = Cluster::of(5);
    let (likes, [a]) = cluster.cast(&counts());
    for _ in 0..50 {
        cluster.write(a, &likes, Action::Increment(1), WriteOptions::ALL);
    }
    assert_eq!(cluster.engine(a).memory().retained, 0);
}
