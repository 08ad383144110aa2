//! After a failover: what becomes of what only the old leader had, and of those who had read or written there.

use std::time::Duration;

use crdt_sync::{Bytes, Event, Reply, Request};
use replication_log::Lsn;
use replication_log::ship::commit;

use crate::cluster::*;
use crate::failover::{is_committed, led, rules, until_one_leads};
use crate::sessions::{in_session, opened, read, value};

/// An asynchronous leader is cut off, and goes on to acknowledge for as long as its lease runs. What it wrote then is
/// what a failover costs: it is cut off its log when it comes back, reported with its place, and kept, not merged.
#[test]
fn scenario_53_what_only_the_old_leader_has_is_cut_off_reported_and_kept() {
    let mut cluster = led("", 3, rules());
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    cluster.settle();
    let shared = cluster.leadership(B).end.lsn;
    cluster.isolate(A);
    for _ in 0..3 {
        assert!(is_committed(&cluster.write(A, add("visits", 10))), "its own disk is enough");
    }
    let alone = cluster.leadership(A).end.lsn;

    let next = until_one_leads(&mut cluster, &[B, C], 15);
    assert!(!is_committed(&cluster.write(A, add("visits", 10))), "its lease has ended");
    assert!(is_committed(&cluster.write(next, add("visits", 100))));
    cluster.connect(A, B);
    cluster.connect(A, C);
    cluster.settle();

    let lost =
        Event::Commit(commit::Event::CommittedCut { first: Lsn::new(shared + 1), last: Lsn::new(alone) });
    assert!(cluster.events.contains(&(A, lost)), "{:?}", cluster.events);
    let kept: Vec<Lsn> = cluster.nodes[A].cut_off.iter().map(|batch| batch.lend().end().lsn).collect();
    assert_eq!((kept.len(), kept.last()), (3, Some(&Lsn::new(alone))), "each write, up to the last");
    for node in [A, B, C] {
        assert_eq!(cluster.count(node, "visits"), 101, "at {node}");
    }
    assert!(cluster.logs_are_equal());
}

/// A session goes from the old leader to a replica that is behind, over a failover: it waits there or hears that it
/// cannot be served in time, and what it has read once it reads everywhere.
#[test]
fn scenario_57_a_session_never_goes_back_when_another_one_leads() {
    let mut cluster = led("ANY 1 (*)", 3, rules());
    cluster.settle();
    cluster.disconnect(A, C);
    cluster.disconnect(B, C);
    let asked = cluster.ask(A, in_session(&Bytes::default(), Request::Write(add("visits", 1))));
    cluster.deliver();
    let (token, reply) = opened(cluster.answer(asked));
    assert!(matches!(reply, Reply::Commit(reply) if is_committed(&reply)), "B has it");

    // C has not heard of it, and says so when the time is up.
    let asked = cluster.ask(C, in_session(&token, read(&cluster, Duration::from_millis(500))));
    cluster.pass(Duration::from_secs(1));
    assert!(matches!(cluster.answer(asked), Some(Reply::NotYetVisible { .. })));

    // B leads, for C lacks what was acknowledged. The write is there, and another session reads it.
    cluster.isolate(A);
    cluster.connect(B, C);
    cluster.frames.clear();
    let waiting = cluster.ask(C, in_session(&token, read(&cluster, Duration::from_secs(30))));
    assert_eq!(cluster.answer(waiting), None);
    assert_eq!(until_one_leads(&mut cluster, &[B], 15), B);
    cluster.settle();
    assert_eq!(value(&opened(cluster.answer(waiting)).1), 1, "it was worth waiting");

    // What was read at B is not gone at C, which misses the next write.
    cluster.disconnect(B, C);
    cluster.connect(A, B);
    cluster.settle();
    assert!(is_committed(&cluster.write(B, add("visits", 1))));
    let asked = cluster.ask(B, in_session(&token, read(&cluster, Duration::ZERO)));
    let (token, reply) = opened(cluster.answer(asked));
    assert_eq!(value(&reply), 2);
    let plain = cluster.ask(C, read(&cluster, Duration::ZERO));
    assert_eq!(value(&cluster.answer(plain).unwrap()), 1, "without a session it is what C has");
    let asked = cluster.ask(C, in_session(&token, read(&cluster, Duration::from_secs(60))));
    assert_eq!(cluster.answer(asked), None);
    cluster.connect(B, C);
    cluster.settle();
    assert_eq!(value(&opened(cluster.answer(asked)).1), 2);
}
