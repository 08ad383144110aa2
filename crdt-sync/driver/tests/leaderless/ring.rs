//! The ring changes while clients write and read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crdt_sync::placement::{ChangeError, Phase};
use crdt_sync_driver::{Node, NodeError};

use crate::cluster::{Cluster, id_of, member, titles, until, visits};

/// Counts and sets pages until told to stop, reads back each write, and says how many it were.
async fn client(node: Node, name: usize, over: Arc<AtomicBool>) -> u64 {
    let (titles, visits) = (node.quorum().registers(&titles()), node.quorum().counters(&visits()));
    let mut done = 0;
    while !over.load(Ordering::Relaxed) {
        let key = format!("page {name} {done}");
        titles.set(key.as_str(), "Hello").await.unwrap();
        visits.increment("/", 1).await.unwrap();
        assert_eq!(titles.get(key.as_str()).await.unwrap().value, Some("Hello".into()), "{key}");
        done += 1;
    }
    done
}

#[tokio::test]
async fn a_sixth_node_joins_and_another_leaves_while_clients_write() {
    let mut cluster = Cluster::of(5).await;
    let over = Arc::new(AtomicBool::new(false));
    let clients = [0, 1, 2].map(|at| tokio::spawn(client(cluster.node(at).clone(), at, Arc::clone(&over))));

    let newcomer = cluster.add_newcomer().await;
    let ring = cluster.node(0).ring();
    ring.join(member(newcomer)).await.unwrap();
    let second = ring.leave(id_of(4)).await;
    assert!(matches!(second, Err(NodeError::NotChanged(ChangeError::InProgress { .. }))), "{second:?}");
    let joined = ring.settled().await.unwrap();
    assert_eq!(joined.phase, Phase::Stable);
    assert!(ring.nodes_for(&titles(), "page").await.unwrap().contains(&id_of(newcomer)));

    ring.leave(id_of(4)).await.unwrap();
    ring.settled().await.unwrap();
    let left = ring.progress().await.unwrap().version;
    for node in [1, 2, 3, newcomer] {
        let follows = || async { cluster.node(node).ring().progress().await.unwrap().version == left };
        until(follows).await;
    }
    cluster.stop(4).await;
    over.store(true, Ordering::Relaxed);
    let mut written = 0;
    for (name, client) in clients.into_iter().enumerate() {
        let done = client.await.unwrap();
        let titles = cluster.node(newcomer).quorum().registers(&titles());
        for number in 0..done {
            let read = titles.get(format!("page {name} {number}").as_str()).await.unwrap();
            assert_eq!(read.value, Some("Hello".into()), "page {name} {number}");
        }
        written += done;
    }
    let counted = cluster.node(3).quorum().counters(&visits()).value("/").await.unwrap();
    assert_eq!(counted.value, i128::from(written));
}

#[tokio::test]
async fn a_node_that_died_is_replaced() {
    let mut cluster = Cluster::of(4).await;
    for number in 0..20 {
        let titles = cluster.node(number % 4).quorum().registers(&titles());
        titles.set(format!("page {number}").as_str(), "Hello").await.unwrap();
    }
    cluster.stop(3).await;
    cluster.all_see_each_other().await;
    let newcomer = cluster.add_newcomer().await;
    let ring = cluster.node(0).ring();
    ring.replace(id_of(3), member(newcomer)).await.unwrap();
    ring.settled().await.unwrap();
    assert!(!ring.nodes_for(&titles(), "page").await.unwrap().contains(&id_of(3)));
    for number in 0..20 {
        let titles = cluster.node(newcomer).quorum().registers(&titles());
        let read = titles.get(format!("page {number}").as_str()).await.unwrap();
        assert_eq!(read.value, Some("Hello".into()));
    }
}
