//! A client's session goes from node to node and never back in time.

use std::time::Duration;

use crdt_sync::{Bytes, Cell, Reply, Request};

use crate::cluster::*;

pub(crate) fn in_session(token: &Bytes, request: Request) -> Request {
    Request::InSession { token: token.clone(), request: request.into() }
}

pub(crate) fn read(cluster: &Cluster, wait: Duration) -> Request {
    Request::Read { item: item("visits"), deadline: cluster.in_time(wait) }
}

pub(crate) fn opened(reply: Option<Reply>) -> (Bytes, Reply) {
    match reply {
        Some(Reply::InSession { token, reply }) => (token, *reply),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn value(reply: &Reply) -> i128 {
    match reply {
        Reply::Value(Some(Cell::Counter(counter))) => counter.value(),
        Reply::Value(None) => 0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn case_48_a_follower_that_is_behind_waits_for_what_the_session_wrote() {
    let mut cluster = Cluster::of_three(&settings(""));
    let asked = cluster.ask(A, in_session(&Bytes::default(), Request::Write(add("visits", 3))));
    // The leader answers alone, and B has not heard of it.
    let (token, _) = opened(cluster.answer(asked));
    let wait = read(&cluster, Duration::from_secs(1));
    let plain = cluster.ask(B, wait.clone());
    assert_eq!(value(&cluster.answer(plain).unwrap()), 0, "without a session it is what B has");
    let asked = cluster.ask(B, in_session(&token, wait));
    assert_eq!(cluster.answer(asked), None);
    cluster.deliver();
    let (_, reply) = opened(cluster.answer(asked));
    assert_eq!(value(&reply), 3);
}

#[test]
fn case_48_one_that_hears_of_nothing_says_so_at_the_deadline() {
    let mut cluster = Cluster::of_three(&settings(""));
    let asked = cluster.ask(A, in_session(&Bytes::default(), Request::Write(add("visits", 3))));
    let (token, _) = opened(cluster.answer(asked));
    cluster.frames.clear();
    for (one, other) in [(A, B), (B, C)] {
        cluster.disconnect(one, other);
    }
    let asked = cluster.ask(B, in_session(&token, read(&cluster, Duration::from_secs(1))));
    cluster.pass(Duration::from_secs(2));
    assert!(matches!(cluster.answer(asked), Some(Reply::NotYetVisible { .. })));
}

#[test]
fn case_48_what_was_read_once_is_not_gone_at_another_node() {
    let mut cluster = Cluster::of_three(&settings(""));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.disconnect(A, C);
    cluster.write(A, add("visits", 1));
    cluster.pass(Duration::from_millis(500));
    let asked = cluster.ask(B, in_session(&Bytes::default(), read(&cluster, Duration::from_secs(1))));
    let (token, reply) = opened(cluster.answer(asked));
    assert_eq!(value(&reply), 2);
    let plain = cluster.ask(C, read(&cluster, Duration::ZERO));
    assert_eq!(value(&cluster.answer(plain).unwrap()), 1, "C is behind");
    let asked = cluster.ask(C, in_session(&token, read(&cluster, Duration::from_secs(60))));
    cluster.connect(A, C);
    cluster.settle();
    assert_eq!(value(&opened(cluster.answer(asked)).1), 2);
}

#[test]
fn a_token_that_somebody_changed_is_refused() {
    let mut cluster = Cluster::of_three(&settings(""));
    let asked = cluster.ask(A, in_session(&Bytes::default(), Request::Write(add("visits", 3))));
    let (token, _) = opened(cluster.answer(asked));
    let mut bytes = token.to_vec();
    bytes[8] ^= 1;
    let asked = cluster.ask(B, in_session(&bytes.into(), read(&cluster, Duration::ZERO)));
    assert!(matches!(cluster.answer(asked), Some(Reply::TokenRefused(_))));
}
