//! Somebody outside says who leads, and until when.

use std::time::Duration;

use crdt_sync::Event;
use crdt_sync::single_leader::{Grant, Takeover};
use crdt_sync_driver::{CommitError, NodeError};

use crate::cluster::{A, B, C, Cluster, asynchronous, id_of, semi_sync, titles, until};

const LONG: Duration = Duration::from_secs(120);

fn grant(number: u64) -> Grant {
    Grant::new(number).unwrap()
}

#[tokio::test]
async fn a_lead_for_a_time_ends_by_itself_unless_it_is_made_longer() {
    let cluster = Cluster::of_three(asynchronous()).await;
    let commits = cluster.node(A).commits();
    let mut events = cluster.node(A).events();
    let long = commits.now() + LONG;
    commits.lead_until(grant(2), long).await.unwrap();
    assert_eq!(cluster.leadership(A).await.leads_until, Some(long));
    commits.extend(grant(2), long + LONG).await.unwrap();
    assert_eq!(cluster.leadership(A).await.leads_until, Some(long + LONG));
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    let other = commits.extend(grant(1), long).await;
    assert!(matches!(other, Err(NodeError::Commit(CommitError::Fenced { .. }))), "{other:?}");

    let (epoch, _) = commits.lead_until(grant(3), commits.now() + Duration::from_millis(20)).await.unwrap();
    while events.recv().await.unwrap() != (Event::LeadEnded { epoch }) {}
    let late = cluster.node(A).registers(&titles()).set("page", "late").await;
    assert!(matches!(late, Err(NodeError::Commit(CommitError::NotLeader { leader: None, .. }))), "{late:?}");
}

#[tokio::test]
async fn a_lead_that_is_handed_over_leaves_nothing_behind() {
    let mut cluster = Cluster::of_three(semi_sync()).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    let none = cluster.node(B).commits().hand_over(id_of(C), LONG).await;
    assert!(matches!(none, Err(NodeError::Commit(CommitError::Fenced { .. }))), "{none:?}");
    let to_itself = cluster.node(A).commits().hand_over(id_of(A), LONG).await;
    assert_eq!(to_itself, Err(NodeError::Commit(CommitError::Busy)));

    // It is not there, and lacks something.
    cluster.stop(B).await;
    cluster.node(A).registers(&titles()).set("page", "Salut").await.unwrap();
    let handing = cluster.node(A).commits();
    let still = handing.hand_over(id_of(B), Duration::from_millis(50)).await;
    assert_eq!(still, Err(NodeError::Commit(CommitError::StillLeads { lacks: id_of(B) })));
    let handing = tokio::spawn(async move { handing.hand_over(id_of(B), LONG).await });
    until(|| async {
        let refused = cluster.node(A).registers(&titles()).set("page", "Hello").await;
        refused == Err(NodeError::Commit(CommitError::HandingOver { to: id_of(B) }))
    })
    .await;
    cluster.start(B).await;
    cluster.connect(C);
    let (_, last) = handing.await.unwrap().unwrap();
    let (_, first) = cluster.node(B).commits().lead(grant(2)).await.unwrap();
    assert_eq!(first.get(), last.get() + 1, "it begins with everything");
    cluster.node(B).registers(&titles()).set("page", "Bonjour").await.unwrap();
    cluster.shows(A, "page", "Bonjour").await;
}

#[tokio::test]
async fn whom_too_few_promise_does_not_lead_and_says_how_many_did() {
    let within = Duration::from_millis(200);
    let mut cluster = Cluster::of_three(semi_sync().with_takeover(Takeover::Promised { within })).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.stop(C).await;
    cluster.stop(A).await;
    let alone = cluster.node(B).commits().lead(grant(2)).await;
    assert_eq!(alone, Err(NodeError::Commit(CommitError::TooFewPromised { promised: 1, of: 3 })));
}
