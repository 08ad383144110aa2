//! What a cluster of honest engines agrees on, and how.

use super::*;

#[test]
fn a_write_reaches_a_connected_peer_entry_by_entry() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.write(0, alloc::vec![write(1, "groceries", Action::Add("milk".into()))]);
    cluster.write(1, alloc::vec![write(2, "visits", Action::Increment(3))]);
    cluster.settle();
    cluster.assert_agreement();
    assert!(cluster.peek(1, &item(1, "groceries")).is_some());
    assert_eq!(cluster.finished_sessions(), 0, "a short gap needs no tree");
}

#[test]
fn first_contact_of_large_replicas_goes_through_a_session_that_sends_only_what_differs() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, insert_many(0, 6_000, "same"));
    cluster.write(1, insert_many(0, 6_000, "same"));
    cluster.write(1, insert_many(6_000, 6_010, "more"));
    cluster.write(0, alloc::vec![write(0, "key-00007", Action::Put("changed".into()))]);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(cluster.finished_sessions(), 2, "one on each side");
    assert!(cluster.sent_bytes < 12_000, "{} bytes for 11 differing keys", cluster.sent_bytes);
    let Some(Cell::Document(document)) = cluster.peek(1, &item(0, "key-00007")) else { panic!("missing") };
    assert_eq!(document.conflicts().count(), 0, "the same import on two nodes is one version");
    assert_eq!(document.winner().unwrap().body(), Some(&"changed".into()));
}

#[test]
fn edits_after_a_session_flow_by_frontier_and_cursor() {
    let mut cluster = Cluster::new(3);
    for node in 0..3 {
        let from = u32::try_from(node).unwrap() * 2_000;
        cluster.write(node, insert_many(from, from + 6_000, "body"));
    }
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        cluster.connect(a, b);
    }
    cluster.settle();
    cluster.assert_agreement();
    let sessions = cluster.finished_sessions();
    cluster.write(1, alloc::vec![write(0, "key-00001", Action::Put("edited".into()))]);
    cluster.write(2, alloc::vec![write(0, "key-00001", Action::Put("edited too".into()))]);
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(cluster.finished_sessions(), sessions);
    let Some(Cell::Document(document)) = cluster.peek(0, &item(0, "key-00001")) else { panic!("missing") };
    assert_eq!(document.live_leaves().count(), 2, "concurrent edits are both kept");
}

#[test]
fn in_a_ring_entries_are_passed_on_by_whoever_has_them() {
    let mut cluster = Cluster::new(4);
    for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        cluster.connect(a, b);
    }
    for node in 0..4 {
        cluster.write(node, alloc::vec![write(2, "visits", Action::Increment(1 << node))]);
    }
    cluster.settle();
    cluster.assert_agreement();
    let Some(Cell::Counter(counter)) = cluster.peek(2, &item(2, "visits")) else { panic!("missing") };
    assert_eq!(counter.value(), 15);
}

#[test]
fn a_removal_reaches_a_peer_through_a_session_and_leaves_nothing_behind() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("milk".into()))]);
    cluster.connect(0, 1);
    cluster.settle();
    assert!(cluster.peek(1, &item(1, "list")).is_some());
    let lost: Vec<LinkId> = cluster.links.keys().copied().collect();
    cluster.links.clear();
    cluster.handle(0, Input::LinkDown { link: lost[0] });
    cluster.handle(1, Input::LinkDown { link: lost[1] });
    cluster.write(0, alloc::vec![write(1, "list", Action::Remove("milk".into()))]);
    cluster.write(0, insert_many(0, 5_000, "makes the gap long"));
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    assert!(cluster.finished_sessions() > 0);
    assert_eq!(cluster.peek(1, &item(1, "list")), None);
}

#[test]
fn a_restart_rebuilds_the_same_replica_and_sync_goes_on() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, insert_many(0, 5_000, "a"));
    cluster.write(1, insert_many(2_500, 7_500, "b"));
    cluster.write(1, alloc::vec![write(3, "title", Action::Set(Some("Hello".into())))]);
    cluster.connect(0, 1);
    cluster.settle();
    let before = cluster.engines[1].status();
    cluster.restart(1);
    let after = cluster.engines[1].status();
    assert_eq!(after.partitions, before.partitions);
    assert_eq!(after.replica, before.replica);
    cluster.write(1, alloc::vec![write(2, "visits", Action::Decrement(2))]);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
}

#[test]
fn a_restored_backup_writes_under_a_new_identity() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("before".into()))]);
    cluster.settle();
    let backup = cluster.logs[0].clone();
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("after".into()))]);
    cluster.settle();
    let old = cluster.engines[0].status().replica;
    cluster.logs[0] = backup;
    cluster.restart(0);
    cluster.connect(0, 1);
    cluster.settle();
    assert_ne!(cluster.engines[0].status().replica, old);
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("anew".into()))]);
    cluster.settle();
    cluster.assert_agreement();
    let Some(Cell::Set(elements)) = cluster.peek(0, &item(1, "list")) else { panic!("missing") };
    assert_eq!(elements.len(), 3);
}

#[test]
fn a_command_with_one_bad_write_changes_nothing() {
    let mut cluster = Cluster::new(1);
    let before = cluster.engines[0].status();
    let reply = cluster.write(
        0,
        alloc::vec![write(2, "visits", Action::Increment(1)), write(2, "visits", Action::Add("milk".into()))],
    );
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    assert_eq!(cluster.engines[0].status(), before);
}

#[test]
fn an_update_of_a_version_that_is_no_longer_current_is_refused() {
    let mut cluster = Cluster::new(1);
    let first = version_of(&cluster.write(0, alloc::vec![write(0, "note", Action::Put("one".into()))]));
    cluster.write(0, alloc::vec![write(0, "note", Action::Put("two".into()))]);
    let late = Action::Update { parent: first, body: Some("three".into()) };
    assert!(matches!(cluster.write(0, alloc::vec![write(0, "note", late)]), Reply::Refused(_)));
}

#[test]
fn effects_wait_for_the_disk() {
    let mut engine = Engine::open(config(1, 0), Vec::<(Lsn, Vec<u8>)>::new(), Cluster::new(0).now()).unwrap();
    let now = Cluster::new(0).now();
    let outputs = |engine: &mut Engine| core::iter::from_fn(|| engine.poll_output()).collect::<Vec<_>>();
    outputs(&mut engine);
    let request = Request::Write(alloc::vec![write(2, "visits", Action::Increment(1))]);
    engine.handle(now, Input::Request { id: RequestId(1), request });
    let before = outputs(&mut engine);
    assert!(before.iter().any(|output| matches!(output, Output::Append { .. })));
    assert!(!before.iter().any(|output| matches!(output, Output::Reply { .. })), "{before:?}");
    let deadline = now.instant + Duration::from_secs(1);
    let read = Request::Read { item: item(2, "visits"), deadline };
    engine.handle(now, Input::Request { id: RequestId(2), request: read });
    assert!(!outputs(&mut engine).iter().any(|output| matches!(output, Output::Reply { .. })));
    engine.handle(now, Input::Durable { lsn: Lsn::new(99) });
    let replies = outputs(&mut engine).iter().filter(|output| matches!(output, Output::Reply { .. })).count();
    assert_eq!(replies, 2);
}

#[test]
fn garbage_ends_one_link_and_the_others_go_on() {
    let mut cluster = Cluster::new(3);
    cluster.connect(0, 1);
    cluster.connect(0, 2);
    cluster.settle();
    let link = *cluster.links.iter().find(|(_, end)| end.2 == 0 && end.0 == 1).unwrap().0;
    cluster.handle(0, Input::Frame { link, bytes: b"GET / HTTP/1.1\r\n\r\n".to_vec() });
    cluster.deliver();
    assert!(
        cluster.events.iter().any(|(node, event)| *node == 0 && matches!(event, Event::Violation { .. }))
    );
    let peers = cluster.engines[0].status().peers;
    assert_eq!(peers, [PeerStatus { node: NodeId::from_u128(3), in_sync: true }]);
    cluster.write(2, alloc::vec![write(2, "visits", Action::Increment(1))]);
    cluster.settle();
    assert!(cluster.peek(0, &item(2, "visits")).is_some());
}

#[test]
fn nodes_with_other_declarations_do_not_mix() {
    let mut cluster = Cluster::new(2);
    let mut other = config(2, 0);
    other.collections[0].strategy = Strategy::LastWriterWins;
    cluster.engines[1] = Engine::open(other, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    cluster.drain(1);
    cluster.connect(0, 1);
    cluster.deliver();
    let refused = |(_, event): &(usize, Event)| {
        matches!(event, Event::LinkRefused { reason: Farewell::OtherCollections, .. })
    };
    assert!(cluster.events.iter().any(refused));
    assert!(cluster.engines[0].status().peers.is_empty());
}

#[test]
fn a_log_of_another_strategy_is_refused() {
    let mut cluster = Cluster::new(1);
    cluster.write(0, insert_many(0, 1, "body"));
    let mut other = config(1, 1);
    other.collections[0].strategy = Strategy::LastWriterWins;
    let refused = Engine::open(other, cluster.logs[0].clone(), cluster.now());
    assert_eq!(refused.err(), Some(RecoverError::OtherCollections));
}
