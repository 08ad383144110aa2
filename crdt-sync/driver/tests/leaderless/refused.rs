//! What one topology does and the other does not is refused by name.

use crdt_sync::WriteError;
use crdt_sync::leaderless::LeaderlessConfig;
use crdt_sync::placement::Layout;
use crdt_sync_driver::{Node, NodeError, NotRejoined, QuorumError};

use crate::cluster::{Cluster, id_of, plain, titles, visits};

#[tokio::test]
async fn batches_sessions_rejoining_and_waiting_for_agreement_are_refused() {
    let cluster = Cluster::of(3).await;
    let node = cluster.node(0);
    let batch = node.batch().set(&titles(), "page", "Hello").increment(&visits(), "/", 1).commit().await;
    assert_eq!(batch, Err(NodeError::Refused(WriteError::OneAtATime)));
    // One write is a write at the default level.
    node.batch().set(&titles(), "page", "Hello").commit().await.unwrap();

    assert_eq!(node.session().registers(&titles()).set("page", "x").await, Err(NodeError::OtherTopology));
    assert_eq!(node.session().registers(&titles()).get("page").await, Err(NodeError::OtherTopology));
    assert_eq!(node.in_sync_with(1).await, Err(NodeError::OtherTopology));
    let rejoined = node.rejoin_from("nowhere", &titles()).await;
    assert!(matches!(rejoined, Err(NotRejoined::Node(NodeError::OtherTopology))), "{rejoined:?}");
    let read = node.quorum().registers(&titles()).get("page").await.unwrap();
    assert_eq!(read.value, Some("Hello".into()));
}

#[tokio::test]
async fn where_every_node_holds_everything_there_are_no_quorums_and_no_ring() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::open(home.path(), plain()).await.unwrap();
    let written = node.quorum().registers(&titles()).set("page", "Hello").await;
    assert_eq!(written, Err(NodeError::OtherTopology));
    assert_eq!(node.quorum().read(&titles(), "page").await, Err(NodeError::OtherTopology));
    assert_eq!(node.ring().progress().await, Err(NodeError::OtherTopology));
    assert_eq!(node.ring().leave(id_of(0)).await, Err(NodeError::OtherTopology));
    assert_eq!(node.ring().nodes_for(&titles(), "page").await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_node_that_is_on_no_ring_coordinates_nothing() {
    let mut cluster = Cluster::of(3).await;
    let home = tempfile::tempdir().unwrap();
    let unknown = LeaderlessConfig::new(Layout::default());
    let alone = Node::open(home.path(), plain().leaderless(unknown).partitions(16)).await.unwrap();
    let refused = alone.quorum().registers(&titles()).set("page", "Hello").await;
    assert_eq!(refused, Err(NodeError::Quorum(QuorumError::NoRing)));

    // One that learned of a ring from its peers is still a stranger to them.
    let newcomer = cluster.add_newcomer().await;
    cluster.node(newcomer).ring().settled().await.unwrap();
    let refused = cluster.node(newcomer).quorum().registers(&titles()).set("page", "Hello").await;
    let Err(NodeError::Quorum(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error, QuorumError::NotOnRing { ask: (0..3).map(id_of).collect() });
    assert!(error.is_nowhere());
}
