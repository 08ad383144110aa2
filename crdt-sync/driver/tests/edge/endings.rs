//! How a node ends, told to or not.

use std::time::Duration;

use crdt_sync::Event;
use crdt_sync::wire::Farewell;
use crdt_sync_driver::{NetworkLimits, Node, NodeError, OpenError, WatchError};

use crate::support::{ANY_PORT, Home, lists, options, until};

#[tokio::test]
async fn a_node_that_shuts_down_lets_its_peers_have_what_it_wrote_and_says_farewell() {
    let (leaver, stayer) = (Home::open(options()).await, Home::open(options()).await);
    leaver.node.connect(stayer.node.local_addr().unwrap()).unwrap();
    leaver.node.in_sync_with(1).await.unwrap();
    let mut events = stayer.node.events();
    for n in 0..100 {
        leaver.add(&n.to_string()).await;
    }
    leaver.node.shutdown_within(Duration::from_secs(3_600)).await;
    assert_eq!(stayer.elements().await.len(), 100);
    while !matches!(events.recv().await.unwrap(), Event::PeerLeaves { reason: Farewell::Leaving, .. }) {}
}

#[tokio::test]
async fn a_peer_that_takes_nothing_does_not_keep_a_node_from_shutting_down() {
    let leaver = Home::open(options()).await;
    let silent = tokio::net::TcpStream::connect(leaver.node.local_addr().unwrap()).await.unwrap();
    leaver.add("milk").await;
    leaver.node.clone().shutdown_within(Duration::ZERO).await;
    assert_eq!(leaver.node.connections().open, 0);
    drop(silent);
}

/// Nobody makes another segment in a directory that is gone.
#[tokio::test]
async fn a_node_whose_log_fails_is_over_for_everybody() {
    let home = Home::open(options().segment_bytes(1 << 20)).await;
    let mut changes = home.node.sets(&lists()).watch().await.unwrap();
    std::fs::remove_dir_all(home.path()).unwrap();
    let mut failed = None;
    for n in 0..=u8::MAX {
        failed = home.node.sets(&lists()).add("groceries", vec![n; 64 << 10]).await.err();
        if failed.is_some() {
            break;
        }
    }
    assert!(matches!(failed, Some(NodeError::Unknown { .. } | NodeError::Ended)), "{failed:?}");
    until(|| async { home.node.status().await.is_err() }).await;
    assert_eq!(home.node.status().await.err(), Some(NodeError::Ended));
    assert_eq!(home.node.connect(([127, 0, 0, 1], 9).into()), Err(NodeError::Ended));
    while changes.next().await != Err(WatchError::Node(NodeError::Ended)) {}
    home.node.shutdown_within(Duration::MAX).await;
}

#[tokio::test]
async fn no_limit_at_all_is_as_good_as_a_long_one() {
    let limits = NetworkLimits {
        handshake_deadline: Duration::MAX,
        idle_timeout: Duration::MAX,
        frame_deadline: Duration::MAX,
        stall_timeout: Duration::MAX,
        ..NetworkLimits::default()
    };
    let (leaver, stayer) = (
        Home::open(options().network_limits(limits.clone())).await,
        Home::open(options().network_limits(limits)).await,
    );
    leaver.node.connect(stayer.node.local_addr().unwrap()).unwrap();
    leaver.add("milk").await;
    stayer.has("milk").await;
    leaver.node.clone().shutdown_within(Duration::MAX).await;
    assert_eq!(leaver.node.status().await.err(), Some(NodeError::Ended));
}

#[tokio::test]
async fn after_a_shutdown_other_handles_get_a_typed_error_and_the_directory_can_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::open(directory.path(), options()).await.unwrap();
    let handle = node.clone();
    let writers: Vec<_> = (0..200)
        .map(|n| {
            let sets = handle.sets(&lists());
            tokio::spawn(async move { sets.add("groceries", n.to_string().as_str()).await })
        })
        .collect();
    node.shutdown().await;
    let mut acknowledged = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(()) => acknowledged += 1,
            Err(error) => assert_eq!(error, NodeError::Ended),
        }
    }
    assert_eq!(handle.status().await.err(), Some(NodeError::Ended));
    assert_eq!(handle.connect(([127, 0, 0, 1], 9).into()), Err(NodeError::Ended));
    assert!(matches!(handle.listen(ANY_PORT).await, Err(OpenError::Ended)));
    assert_eq!(handle.local_addr(), None);
    let again = Node::open(directory.path(), options()).await.unwrap();
    let held = again.sets(&lists()).elements("groceries").await.unwrap().len();
    assert!(held >= acknowledged, "{held} of {acknowledged} that were acknowledged");
}

/// One thread only: a drop that waited for the node would stop everything.
#[tokio::test(flavor = "current_thread")]
async fn dropping_the_last_handle_ends_the_node_and_keeps_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let stayer = Home::open(options()).await;
    let node = Node::open(directory.path(), options()).await.unwrap();
    node.connect(stayer.node.local_addr().unwrap()).unwrap();
    node.in_sync_with(1).await.unwrap();
    node.sets(&lists()).add("groceries", "milk").await.unwrap();
    let mut events = stayer.node.events();
    let sets = node.sets(&lists());
    drop(node);
    sets.add("groceries", "bread").await.unwrap();
    drop(sets);
    while !matches!(events.recv().await.unwrap(), Event::PeerLeaves { reason: Farewell::Leaving, .. }) {}
    until(|| async {
        match Node::open(directory.path(), options()).await {
            Ok(again) => again.sets(&lists()).elements("groceries").await.unwrap().len() == 2,
            Err(_) => false,
        }
    })
    .await;
}
