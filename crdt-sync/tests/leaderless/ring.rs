//! Nodes that come and go: data moves, and nothing acknowledged is missed meanwhile.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::placement::{Change, Member};
use crdt_sync::{Event, ItemKey};

use crate::cluster::{Cluster, id_of, set, text_of, titles};

fn keys() -> impl Iterator<Item = ItemKey> {
    (0..40).map(|n| ItemKey { collection: titles().id(), key: format!("key {n}").as_str().into() })
}

fn write_all(cluster: &mut Cluster, node: usize, text: &str) {
    for item in keys() {
        let written = cluster.write(node, &item, set(text), WriteOptions::QUORUM);
        assert!(matches!(written, QuorumReply::Written { .. }), "{written:?}");
    }
}

fn read_all(cluster: &mut Cluster, node: usize, text: &str) {
    for item in keys() {
        assert_eq!(cluster.text(node, &item, ReadOptions::QUORUM).as_deref(), Some(text));
    }
}

/// Writes and reads, while all that the change takes happens in between, frame by frame, until a version of the ring
/// has come to rest. Whatever was written at a quorum is read at a quorum later, maybe phases later and at another
/// node.
fn live_through(cluster: &mut Cluster, nodes: &[usize], version: u64) {
    let items: Vec<ItemKey> = keys().collect();
    let mut last = vec![None; items.len()];
    let mut to_go = items.len();
    for n in 0..20_000 {
        let (written, read) = (n % items.len(), (n + 13) % items.len());
        last[written] = Some(write_at_last(cluster, nodes[n % nodes.len()], &items[written], n));
        if let Some(text) = &last[read] {
            assert_eq!(&read_at_last(cluster, nodes[(n / 2) % nodes.len()], &items[read]), text);
        }
        if n % 10 == 0 {
            cluster.run_until(Duration::from_millis(50), |_| true);
        }
        if cluster.is_stable(nodes, version) {
            to_go -= 1;
        }
        if to_go == 0 {
            return;
        }
    }
    panic!("{:?}", cluster.engine(nodes[0]).ring_progress());
}

/// Two nodes may know different versions for a moment, and refuse each other. The client does not hear of it.
fn write_at_last(cluster: &mut Cluster, node: usize, item: &ItemKey, n: usize) -> String {
    let text = format!("write {n}");
    let asked = cluster.ask_to_write(node, item, set(&text), WriteOptions::QUORUM);
    let written = cluster.early_reply_to(asked);
    assert!(matches!(written, QuorumReply::Written { .. }), "{node} cannot write {item:?}: {written:?}");
    text
}

fn read_at_last(cluster: &mut Cluster, node: usize, item: &ItemKey) -> String {
    let asked = cluster.ask_to_read(node, item, ReadOptions::QUORUM);
    match cluster.early_reply_to(asked) {
        QuorumReply::Read { cell, .. } => text_of(cell.as_ref()).expect("it was written"),
        other => panic!("{node} cannot read {item:?}: {other:?}"),
    }
}

/// Every node holds exactly what the ring says, once it had time to drop the rest.
fn each_holds_its_share(cluster: &mut Cluster, nodes: &[usize]) {
    cluster.pass(Duration::from_secs(5));
    for item in keys() {
        let mut owners = cluster.order(nodes[0], &item);
        owners.truncate(3);
        for node in nodes {
            assert_eq!(cluster.held(*node, &item).is_some(), owners.contains(node), "at {node}");
        }
    }
}

#[test]
fn a_node_joins_gets_its_share_and_everything_is_read_as_before() {
    let mut cluster = Cluster::of(4);
    write_all(&mut cluster, 0, "Hello");
    let newcomer = cluster.add_newcomer();
    cluster.change_ring(0, Change::Join(vec![Member::new(id_of(newcomer), "rack 4")]));
    live_through(&mut cluster, &[0, 1, 2, 3, newcomer], 4);
    each_holds_its_share(&mut cluster, &[0, 1, 2, 3, newcomer]);
}

#[test]
fn a_node_leaves_others_take_its_share_and_it_keeps_nothing() {
    let mut cluster = Cluster::of(5);
    write_all(&mut cluster, 0, "Hello");
    cluster.change_ring(0, Change::Leave(vec![id_of(4)]));
    live_through(&mut cluster, &[0, 1, 2, 3], 4);
    each_holds_its_share(&mut cluster, &[0, 1, 2, 3]);
    assert!(keys().all(|item| cluster.held(4, &item).is_none()));
}

/// The dead node is not waited for, and what it would say if it came back is not listened to.
#[test]
fn a_dead_node_is_replaced_by_a_new_one_that_copies_from_the_others() {
    let mut cluster = Cluster::of(5);
    write_all(&mut cluster, 0, "Hello");
    cluster.crash(4);
    let newcomer = cluster.add_newcomer();
    let by = Member::new(id_of(newcomer), "rack 4");
    cluster.change_ring(0, Change::Replace { dead: id_of(4), by });
    live_through(&mut cluster, &[0, 1, 2, 3, newcomer], 4);
    each_holds_its_share(&mut cluster, &[0, 1, 2, 3, newcomer]);
    cluster.start(4);
    write_all(&mut cluster, 1, "Bonjour");
    let item = keys().next().unwrap();
    let stale = cluster.write(4, &item, set("I was away"), WriteOptions::QUORUM);
    let QuorumReply::NotOnRing { ask } = stale else { panic!("it was declared dead: {stale:?}") };
    assert_eq!(ask, [0, 1, 2, 3, newcomer].map(id_of));
    read_all(&mut cluster, 2, "Bonjour");
}

/// Two administrators speak to two nodes at the same time. One change wins, and the other is asked for again.
#[test]
fn of_two_rival_changes_one_is_made_and_the_other_one_is_reported_as_lost() {
    let mut cluster = Cluster::of(4);
    write_all(&mut cluster, 0, "Hello");
    let rivals = [cluster.add_newcomer(), cluster.add_newcomer()];
    let join = |node: usize| Change::Join(vec![Member::new(id_of(node), format!("rack {node}"))]);
    cluster.change_ring(0, join(rivals[0]));
    cluster.change_ring(3, join(rivals[1]));
    live_through(&mut cluster, &[0, 1, 2, 3], 4);
    assert!(cluster.count_events(|_, event| matches!(event, Event::RingProposalLost { .. })) > 0);
    let ring = cluster.order(0, &keys().next().unwrap());
    let lost = rivals.into_iter().find(|node| !ring.contains(node)).expect("one of the two");
    assert_eq!(ring.len(), 5);

    cluster.change_ring(0, join(lost));
    live_through(&mut cluster, &[0, 1, 2, 3, 4, 5], 7);
    each_holds_its_share(&mut cluster, &[0, 1, 2, 3, 4, 5]);
}
