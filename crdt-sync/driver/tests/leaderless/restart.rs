//! Everybody goes down, and what was acknowledged is there again.

use crate::cluster::{Cluster, titles, visits};

#[tokio::test]
async fn all_five_come_back_from_their_checkpoints_and_logs_and_go_on() {
    let mut cluster = Cluster::with(5, |options| options.checkpoint_every(4 << 10)).await;
    for number in 0..100 {
        let quorum = cluster.node(number % 5).quorum();
        quorum.registers(&titles()).set(format!("page {number}").as_str(), "Hello").await.unwrap();
        quorum.counters(&visits()).increment("/", 1).await.unwrap();
    }
    cluster.stop_all().await;
    cluster.start_all().await;
    for number in 0..100 {
        let quorum = cluster.node((number + 1) % 5).quorum();
        let read = quorum.registers(&titles()).get(format!("page {number}").as_str()).await.unwrap();
        assert_eq!(read.value, Some("Hello".into()), "page {number}");
    }
    let counters = cluster.node(2).quorum().counters(&visits());
    assert_eq!(counters.value("/").await.unwrap().value, 100);
    counters.increment("/", 1).await.unwrap();
    assert_eq!(counters.value("/").await.unwrap().value, 101);
}
