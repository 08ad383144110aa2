//! Watching what changes.

use crdt_sync_driver::{NodeError, WatchError};

use crate::support::{Home, lists, options, until};

#[tokio::test]
async fn a_watcher_is_told_what_others_write_too() {
    let (one, other) = (Home::open(options()).await, Home::open(options()).await);
    let mut changes = one.node.sets(&lists()).watch().await.unwrap();
    other.add("bread").await;
    one.node.connect(other.node.local_addr().unwrap()).unwrap();
    let change = changes.next().await.unwrap();
    assert_eq!((change.key, change.now), ("groceries".into(), vec!["bread".into()]));
    other.node.sets(&lists()).remove("groceries", "bread").await.unwrap();
    assert_eq!(changes.next().await.unwrap().now, [], "a key that is gone shows nothing");
}

#[tokio::test]
async fn a_slow_watcher_sees_the_latest_of_each_key_once() {
    let home = Home::open(options()).await;
    let mut changes = home.node.watch(&lists()).await.unwrap();
    let sets = home.node.sets(&lists());
    for n in 0..50 {
        sets.add(["a", "b"][n % 2], n.to_string().as_str()).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(changes.next().await.unwrap().key);
    }
    assert_eq!(seen, ["a".into(), "b".into()]);
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(20), changes.next()).await;
    assert!(nothing.is_err(), "both were told of once");
}

#[tokio::test]
async fn a_watcher_of_one_key_is_not_told_of_others_and_loses_nothing_by_giving_up() {
    let home = Home::open(options()).await;
    let sets = home.node.sets(&lists());
    let mut changes = sets.watch().await.unwrap().only("b");
    for key in ["a", "b", "c"] {
        sets.add(key, "x").await.unwrap();
    }
    // Polled once and dropped, while the read is under way; unless the node was so fast that it is not.
    let change = tokio::select! {
        biased;
        change = changes.next() => change,
        () = std::future::ready(()) => changes.next().await,
    };
    assert_eq!(change.unwrap().key, "b".into());
}

#[tokio::test]
async fn who_does_not_keep_up_with_very_many_keys_is_told_to_scan() {
    let home = Home::open(options()).await;
    let mut changes = home.node.watch(&lists()).await.unwrap();
    for batch in 0..17 {
        let all = (0..1_000)
            .fold(home.node.batch(), |all, n| all.add(&lists(), format!("{batch}-{n}").as_str(), "x"));
        all.commit().await.unwrap();
    }
    assert_eq!(changes.next().await.err(), Some(WatchError::Lagged));
    assert_eq!(home.node.scan(lists().id()).await.unwrap().len(), 17_000);
    home.add("milk").await;
    assert_eq!(changes.next().await.unwrap().key, "groceries".into());
}

#[tokio::test]
async fn a_watcher_of_a_node_that_is_shut_down_gets_a_typed_error() {
    let home = Home::open(options()).await;
    let mut changes = home.node.watch(&lists()).await.unwrap();
    home.node.clone().shutdown().await;
    assert_eq!(changes.next().await.err(), Some(WatchError::Node(NodeError::Ended)));
}

#[tokio::test]
async fn a_batch_that_is_refused_changes_nothing() {
    let home = Home::open(options()).await;
    let undeclared = crdt_sync::Collection::counters("undeclared");
    let batch = home.node.batch().add(&lists(), "groceries", "milk").increment(&undeclared, "x", 1);
    assert!(matches!(batch.commit().await, Err(NodeError::Refused(_))));
    assert_eq!(home.elements().await, [""; 0]);
}

#[tokio::test]
async fn one_peer_can_be_left_and_the_others_kept() {
    let (one, near, far) =
        (Home::open(options()).await, Home::open(options()).await, Home::open(options()).await);
    let (near_at, far_at) = (near.node.local_addr().unwrap(), far.node.local_addr().unwrap());
    one.node.connect(near_at).unwrap();
    one.node.connect(far_at).unwrap();
    one.node.in_sync_with(2).await.unwrap();
    one.node.disconnect_from(far_at).await;
    until(|| async { one.node.peers().await.unwrap().len() == 1 }).await;
    one.add("milk").await;
    near.has("milk").await;
    assert_eq!(far.elements().await, [""; 0]);
}
