//! How a cluster with one leader is run: `docs/single-leader.md` quotes this.

use std::time::Duration;

use crdt_sync::single_leader::SingleLeaderConfig;
use crdt_sync::{ClusterKey, Collection, NodeId};
use crdt_sync_driver::{CommitError, Node, NodeError, NodeOptions};
use replication_log::ship::AckPolicy;
use replication_log::ship::commit::CommitOptions;

#[tokio::test]
async fn three_nodes_of_which_one_leads() {
    let home = tempfile::tempdir().unwrap();
    let [cellar, attic, shed] = [1, 2, 3].map(NodeId::from_u128);
    let titles = Collection::registers("titles");

    // The same on every node: who leads first, who may count, and what a commit waits for.
    let cluster = SingleLeaderConfig::new(cellar, [attic, shed])
        .with_commits(CommitOptions::new(AckPolicy::semi_sync()));
    let options = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
        .collection(titles.clone())
        .single_leader(cluster)
        .listen(([127, 0, 0, 1], 0));
    let leader = Node::open(home.path().join("cellar"), options.clone().node(cellar)).await.unwrap();
    let first = Node::open(home.path().join("attic"), options.clone().node(attic)).await.unwrap();
    let second = Node::open(home.path().join("shed"), options.node(shed)).await.unwrap();
    for follower in [&first, &second] {
        follower.connect(leader.local_addr().unwrap()).unwrap();
    }
    while leader.commits().leadership().await.unwrap().leader != Some(cellar) {
        tokio::task::yield_now().await;
    }

    // Any handle writes at the leader; it returns when a follower has it on its disk, too.
    let session = leader.session();
    session.registers(&titles).set("profile", "Hello").await.unwrap();
    // Or for so long, and with all that is known of it.
    let batch = leader.batch().set(&titles, "motto", "Onwards");
    let committed = batch.commit_within(Duration::from_secs(60)).await.unwrap();
    assert!(!committed.degraded);

    // Followers are read at any time, and may be behind. A session waits for what it wrote.
    let session = second.session().resume(&session.token()).unwrap();
    assert_eq!(session.registers(&titles).get("profile").await.unwrap(), Some("Hello".into()));

    // A write at a follower is refused, and says who leads.
    let refused = first.registers(&titles).set("profile", "Bonjour").await.unwrap_err();
    let NodeError::Commit(CommitError::NotLeader { leader: who, .. }) = refused else { panic!("{refused}") };
    assert_eq!(who, Some(cellar));

    for node in [first, second, leader] {
        node.shutdown().await;
    }
}
