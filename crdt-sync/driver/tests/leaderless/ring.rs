//! The ring changes while clients write and read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crdt_sync::placement::{ChangeError, Phase};
use crdt_sync_driver::{Node, NodeError};

use crate::cluster::{Cluster, id_of, member, titles, until, visits};

/// Counts and sets pages until told to stop, and reads back each. Says how many pages it were, how often it counted,
/// and how often it may have counted.
async fn client(node: Node, name: usize, over: Arc<AtomicBool>) -> (u64, u64, u64) {
    let (titles, visits) = (node.quorum().registers(&titles()), node.quorum().counters(&visits()));
    let (mut done, mut counted, mut maybe) = (0, 0, 0);
    while !over.load(Ordering::Relaxed) {
        let key = format!("page {name} {done}");
        // To set the same again does no harm.
        until(|| async { titles.set(key.as_str(), "Hello").await.is_ok() }).await;
        match visits.increment("/", 1).await {
            Ok(_) => counted += 1,
            Err(NodeError::Quorum(error)) if error.is_nowhere() => {}
            Err(NodeError::Quorum(_)) => maybe += 1,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(titles.get(key.as_str()).await.unwrap().value, Some("Hello".into()), "{key}");
        done += 1;
    }
    (done, counted, maybe)
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
    let (mut at_least, mut at_most) = (0, 0);
    for (name, client) in clients.into_iter().enumerate() {
        let (done, counted, maybe) = client.await.unwrap();
        assert!(done > 0);
        let titles = cluster.node(newcomer).quorum().registers(&titles());
        for number in 0..done {
            let read = titles.get(format!("page {name} {number}").as_str()).await.unwrap();
            assert_eq!(read.value, Some("Hello".into()), "page {name} {number}");
        }
        at_least += i128::from(counted);
        at_most += i128::from(counted + maybe);
    }
    let counted = cluster.node(3).quorum().counters(&visits()).value("/").await.unwrap().value;
    assert!((at_least..=at_most).contains(&counted), "{counted} is not {at_least} to {at_most}");
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

#[tokio::test]
async fn a_node_is_declared_dead_once_and_only_if_it_is_another_one_on_the_ring() {
    let mut cluster = Cluster::of(4).await;
    cluster.stop(3).await;
    cluster.all_see_each_other().await;
    let ring = cluster.node(0).ring();
    for (nodes, error) in [
        (vec![id_of(9)], ChangeError::Unknown { node: id_of(9) }),
        (vec![id_of(0)], ChangeError::Oneself),
        (vec![], ChangeError::Nothing),
    ] {
        assert_eq!(ring.declare_dead(nodes).await, Err(NodeError::NotChanged(error)));
    }
    let version = ring.progress().await.unwrap().version;
    assert_eq!(ring.declare_dead([id_of(3)]).await, Ok(version));
    let again = ring.declare_dead([id_of(3)]).await;
    assert_eq!(again, Err(NodeError::NotChanged(ChangeError::AlreadyDead { node: id_of(3) })));
    let knows = |node: usize| {
        let ring = cluster.node(node).ring();
        async move { ring.progress().await.unwrap().dead == [id_of(3)] }
    };
    until(|| knows(2)).await;
    ring.remove(id_of(3)).await.unwrap();
    assert_eq!(ring.settled().await.unwrap().dead, []);
}
