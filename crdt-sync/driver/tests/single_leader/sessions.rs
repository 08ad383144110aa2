//! A client that writes at the leader and reads at followers.

use crdt_sync_driver::{CommitError, NodeError};

use crate::cluster::{A, B, C, Cluster, asynchronous, semi_sync, titles};

#[tokio::test]
async fn a_client_finds_at_every_follower_what_it_wrote_at_the_leader() {
    let cluster = Cluster::of_three(asynchronous()).await;
    let mut token = cluster.node(A).session().token();
    for n in 0..100 {
        let value = n.to_string();
        let session = cluster.node(A).session().resume(&token).unwrap();
        session.registers(&titles()).set("profile", &*value).await.unwrap();
        let at = if n % 2 == 0 { B } else { C };
        let session = cluster.node(at).session().resume(&session.token()).unwrap();
        assert_eq!(session.registers(&titles()).get("profile").await, Ok(Some(value.as_str().into())));
        token = session.token();
    }
}

#[tokio::test]
async fn a_read_waits_until_its_node_has_what_the_session_wrote() {
    let mut cluster = Cluster::of_three(semi_sync()).await;
    cluster.stop(C).await;
    let session = cluster.node(A).session();
    session.registers(&titles()).set("profile", "Hello").await.unwrap();

    cluster.start_with(C, |options| options).await;
    assert_eq!(cluster.title(C, "profile").await, None, "nobody has told it");
    let session = cluster.node(C).session().resume(&session.token()).unwrap();
    let reading = tokio::spawn(async move { session.registers(&titles()).get("profile").await });
    cluster.connect(C);
    assert_eq!(reading.await.unwrap(), Ok(Some("Hello".into())));
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_write_of_a_session_at_a_follower_is_refused_and_the_session_goes_on() {
    let cluster = Cluster::of_three(semi_sync()).await;
    let session = cluster.node(A).session();
    session.registers(&titles()).set("profile", "Hello").await.unwrap();
    let session = cluster.node(B).session().resume(&session.token()).unwrap();
    let refused = session.registers(&titles()).set("profile", "Bonjour").await;
    assert!(matches!(refused, Err(NodeError::Commit(CommitError::NotLeader { .. }))), "{refused:?}");
    assert_eq!(session.registers(&titles()).get("profile").await, Ok(Some("Hello".into())));
}
