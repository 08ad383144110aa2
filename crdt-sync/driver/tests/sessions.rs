//! A client that goes from one real node to another.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crdt_sync::{ClusterKey, Collection, TokenError};
use crdt_sync_driver::{Node, NodeError, NodeOptions};
use tempfile::TempDir;

fn titles() -> Collection {
    Collection::registers("titles")
}

async fn open(directory: &TempDir, cluster: u8) -> Node {
    let options = NodeOptions::new(ClusterKey::from_bytes([cluster; 16])).collection(titles());
    Node::open(directory.path(), options.listen(([127, 0, 0, 1], 0))).await.unwrap()
}

#[tokio::test]
async fn a_client_finds_what_it_wrote_at_whatever_node_it_asks_next() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let nodes = [open(&here, 7).await, open(&there, 7).await];
    nodes[0].connect(nodes[1].local_addr().unwrap()).unwrap();
    let mut token = nodes[0].session().token();
    for n in 0..100_u32 {
        let (one, other) = if n % 2 == 0 { (&nodes[0], &nodes[1]) } else { (&nodes[1], &nodes[0]) };
        let session = one.session().resume(&token).unwrap();
        session.registers(&titles()).set("profile", n.to_string().as_str()).await.unwrap();
        let session = other.session().resume(&session.token()).unwrap();
        let title = session.registers(&titles()).get("profile").await.unwrap();
        assert_eq!(title, Some(n.to_string().as_str().into()));
        token = session.token();
    }
    let counters = nodes[0].metrics().await.unwrap().counters;
    assert_eq!((counters.write_requests, counters.session_requests), (50, 100));
    assert_eq!(counters.refusals.len(), 0, "{:?}", counters.refusals);
    for node in nodes {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn handles_of_one_session_that_write_at_once_depend_on_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(&directory, 7).await;
    let session = node.session();
    let write = |n: u32| {
        let titles = session.registers(&titles());
        tokio::spawn(async move { titles.set(n.to_string().as_str(), "x").await.unwrap() })
    };
    let writing: Vec<_> = (0..20).map(write).collect();
    for written in writing {
        written.await.unwrap();
    }
    let one_more = node.session();
    one_more.registers(&titles()).set("one more", "x").await.unwrap();
    let both = session.resume(&one_more.token()).unwrap();
    assert_eq!(both.token(), one_more.token(), "the last write of a node stands for those before");
    node.shutdown().await;
}

#[tokio::test]
async fn a_token_of_another_cluster_is_refused() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, stranger) = (open(&here, 7).await, open(&there, 8).await);
    let session = stranger.session();
    session.registers(&titles()).set("profile", "Hello").await.unwrap();
    let refused = one.session().resume(&session.token()).err();
    assert_eq!(refused, Some(TokenError::OtherCluster));
    assert_eq!(NodeError::from(TokenError::OtherCluster).to_string(), TokenError::OtherCluster.to_string());
    one.shutdown().await;
    stranger.shutdown().await;
}
