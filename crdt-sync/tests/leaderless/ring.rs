//! Nodes that come and go: data moves, and nothing acknowledged is missed meanwhile.

use std::time::Duration;

use crdt_sync::leaderless::RingReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::placement::{Change, Member, Phase};
use crdt_sync::{ItemKey, Reply, Request};

use crate::cluster::{Cluster, id_of, set, titles};

fn keys() -> impl Iterator<Item = ItemKey> {
    (0..40).map(|n| ItemKey { collection: titles().id(), key: format!("key {n}").as_str().into() })
}

fn change(cluster: &mut Cluster, change: Change) {
    let id = cluster.request(0, Request::ChangeRing(change));
    let reply = cluster.any_reply_to(id);
    assert!(matches!(reply, Reply::Ring(RingReply::Begun { .. })), "{reply:?}");
}

fn is_done(cluster: &Cluster, node: usize, version: u64) -> bool {
    let progress = cluster.engine(node).ring_progress().expect("there is a ring");
    progress.phase == Phase::Stable && progress.version == version
}

#[test]
fn a_node_joins_gets_its_share_and_everything_is_read_as_before() {
    let mut cluster = Cluster::of(4);
    for item in keys() {
        cluster.write(0, &item, set("Hello"), WriteOptions::QUORUM);
    }
    let newcomer = cluster.add_newcomer();
    change(&mut cluster, Change::Join(vec![Member::new(id_of(newcomer), "rack 4")]));
    for _ in 0..120 {
        cluster.pass(Duration::from_millis(500));
        for item in keys() {
            assert_eq!(cluster.text(1, &item, ReadOptions::QUORUM).as_deref(), Some("Hello"));
        }
        if (0..5).all(|node| is_done(&cluster, node, 4)) {
            break;
        }
    }
    assert!((0..5).all(|node| is_done(&cluster, node, 4)), "{:?}", cluster.engine(newcomer).ring_progress());
    let held = keys().filter(|item| cluster.held(newcomer, item).is_some()).count();
    let owed = keys().filter(|item| cluster.order(0, item)[..3].contains(&newcomer)).count();
    assert!(owed > 0);
    assert_eq!(held, owed);
}
