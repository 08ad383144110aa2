//! A node is away, and gets what it missed.

use std::time::Duration;

use crdt_sync::Event;
use crdt_sync::leaderless::coordinate::{Fallbacks, WriteOptions};
use crdt_sync_driver::NodeError;

use crate::cluster::{Cluster, id_of, titles, until};

/// Every copy counts, and others may keep one for those that are away.
const ALL_SLOPPY: WriteOptions = WriteOptions { fallbacks: Fallbacks::Sloppy, ..WriteOptions::ALL };

#[tokio::test]
async fn what_a_node_missed_is_kept_by_another_and_handed_over_when_it_is_back() {
    let mut cluster = Cluster::of(5).await;
    let [a, b, _, d, _] = cluster.cast(&titles(), "page").await;
    cluster.stop(a).await;
    cluster.all_see_each_other().await;

    let mut events = cluster.node(d).events();
    let quorum = cluster.node(b).quorum().writes(ALL_SLOPPY);
    let written = quorum.registers(&titles()).set("page", "Hello").await.unwrap();
    assert_eq!(written.report.fallbacks(), [(id_of(d), id_of(a))]);
    assert_eq!(cluster.held(d, "page").await.as_deref(), Some("Hello"));

    let waits = cluster.node(d).ring().hints_delivered(Duration::ZERO).await;
    assert!(matches!(waits, Err(NodeError::HintsWaiting { count: 1, .. })), "{waits:?}");

    // The one that keeps it goes away and comes back, too.
    drop(events);
    cluster.stop(d).await;
    cluster.all_see_each_other().await;
    cluster.start(d).await;
    events = cluster.node(d).events();
    cluster.start(a).await;
    while events.recv().await.unwrap() != (Event::HintsDelivered { owner: id_of(a), hints: 1 }) {}
    assert_eq!(cluster.held(a, "page").await.as_deref(), Some("Hello"));
    until(|| async { cluster.held(d, "page").await.is_none() }).await;
    assert_eq!(cluster.node(d).ring().hints_delivered(Duration::from_secs(60)).await, Ok(()));
}
