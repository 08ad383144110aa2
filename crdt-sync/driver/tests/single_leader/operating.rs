//! How a cluster whose nodes take over by themselves is run: `docs/failover.md` quotes this.

use std::time::Duration;

use crdt_sync::failover::FailoverConfig;
use crdt_sync::failover::stonith::Stonith;
use crdt_sync::single_leader::SingleLeaderConfig;
use crdt_sync::{ClusterKey, Collection, Event, NodeId};
use crdt_sync_driver::{Node, NodeOptions, StonithCommand};
use replication_log::ship::AckPolicy;
use replication_log::ship::commit::CommitOptions;

use crate::trio::rules;

#[tokio::test]
async fn three_nodes_one_of_which_is_to_be_switched_off() {
    let home = tempfile::tempdir().unwrap();
    let [cellar, attic, shed] = [1, 2, 3].map(NodeId::from_u128);
    let titles = Collection::registers("titles");

    // The same on every node. `rules` is a `FailoverConfig`; `FailoverConfig::new([])` has the defaults.
    let cluster = SingleLeaderConfig::new(cellar, [attic, shed])
        .with_commits(CommitOptions::new(AckPolicy::semi_sync()))
        .with_failover(rules());
    let options = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
        .collection(titles.clone())
        .single_leader(cluster)
        .listen(([127, 0, 0, 1], 0));

    let names = [("cellar", cellar), ("attic", attic), ("shed", shed)];
    let mut nodes = Vec::new();
    for (directory, name) in names {
        let node = Node::open(home.path().join(directory), options.clone().node(name)).await.unwrap();
        // Everybody is connected to everybody.
        for earlier in &nodes {
            node.connect(Node::local_addr(earlier).unwrap()).unwrap();
        }
        nodes.push(node);
    }

    // Somebody leads, after a lease at first.
    let leader = loop {
        let leadership = nodes[0].failover().leadership().await.unwrap();
        match names.iter().position(|(_, name)| leadership.leader == Some(*name)) {
            Some(leader) => break leader,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let next = (leader + 1) % 3;
    let (leader, next, to) = (&nodes[leader], &nodes[next], names[next].1);

    // Before its machine is switched off, a leader hands over. No write is lost, and none waits for a lease.
    let mut events = leader.events();
    leader.registers(&titles).set("profile", "Hello").await.unwrap();
    let epoch = leader.failover().switch_over(to, Duration::from_secs(60)).await.unwrap();
    next.registers(&titles).set("profile", "Bonjour").await.unwrap();
    let leadership = next.failover().leadership().await.unwrap();
    assert_eq!((leadership.leader, leadership.epoch), (Some(to), epoch));

    // What happened, for a log or an alarm.
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Failover(event) = event {
            told.push(event);
        }
    }
    assert!(!told.is_empty());

    for node in nodes {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn an_old_leader_that_is_stopped_by_a_command() {
    let home = tempfile::tempdir().unwrap();
    let [cellar, attic, shed] = [1, 2, 3].map(NodeId::from_u128);

    let rules = FailoverConfig {
        stonith: Some(Stonith::Required { timeout: Duration::from_secs(20) }),
        ..FailoverConfig::new([])
    };
    let options = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
        .single_leader(SingleLeaderConfig::new(cellar, [attic, shed]).with_failover(rules))
        .stonith(StonithCommand::new("/usr/local/sbin/power-off").arg("--rack").arg("7"));

    let node = Node::open(home.path(), options.node(cellar)).await.unwrap();
    node.shutdown().await;
}
