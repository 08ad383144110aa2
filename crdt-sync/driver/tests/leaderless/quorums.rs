//! What was written at any node is read at any other one.

use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync_driver::{NodeError, QuorumError};

use crate::cluster::{Cluster, titles, visits};

#[tokio::test]
async fn five_nodes_take_writes_anywhere_and_show_them_everywhere() {
    let cluster = Cluster::of(5).await;
    for at in 0..5 {
        let key = format!("page {at}");
        let written =
            cluster.node(at).quorum().registers(&titles()).set(key.as_str(), "Hello").await.unwrap();
        assert!(written.report.copies() >= 2 && written.report.fallbacks().is_empty());
        assert_eq!(written.report.overlap_with(ReadOptions::QUORUM.level), 1);
        cluster.node(at).quorum().counters(&visits()).increment("/", 1).await.unwrap();
    }
    for at in 0..5 {
        let quorum = cluster.node(at).quorum();
        for page in 0..5 {
            let read = quorum.registers(&titles()).get(format!("page {page}").as_str()).await.unwrap();
            assert_eq!(read.value, Some("Hello".into()));
        }
        assert_eq!(quorum.counters(&visits()).value("/").await.unwrap().value, 5);
    }
    // Three copies are held, not five.
    let cast: [usize; 5] = cluster.cast(&titles(), "page 0").await;
    let all = cluster.node(cast[0]).quorum().writes(WriteOptions::ALL);
    all.registers(&titles()).set("page 0", "All").await.unwrap();
    for (place, node) in cast.into_iter().enumerate() {
        assert_eq!(cluster.held(node, "page 0").await.is_some(), place < 3);
    }
}

#[tokio::test]
async fn with_too_few_nodes_up_a_write_is_not_begun_and_a_read_is_not_met() {
    let mut cluster = Cluster::of(3).await;
    cluster.node(0).quorum().registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.stop(1).await;
    cluster.stop(2).await;
    cluster.all_see_each_other().await;
    let quorum = cluster.node(0).quorum();
    let refused = quorum.registers(&titles()).set("page", "Bonjour").await;
    let Err(NodeError::Quorum(error @ QuorumError::NotBegun(_))) = refused else { panic!("{refused:?}") };
    assert!(error.is_nowhere());
    assert_eq!(error.report().unwrap().failed().len(), 2);
    let unmet = quorum.registers(&titles()).get("page").await;
    assert!(matches!(unmet, Err(NodeError::Quorum(QuorumError::Unmet(_)))), "{unmet:?}");
    let eventual = quorum.reads(ReadOptions::ONE).registers(&titles()).get("page").await.unwrap();
    assert_eq!(eventual.value, Some("Hello".into()));
}
