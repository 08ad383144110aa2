//! A node's process is killed without warning.

use std::env;
use std::process::{Child, Command, Stdio};

use crdt_sync::leaderless::coordinate::{Fallbacks, WriteOptions};
use crdt_sync_driver::Node;

use crate::cluster::{Cluster, founded, named, titles, until};

const NODES: usize = 5;
const VICTIM: usize = 4;
const HOME: &str = "KILLED_HOME";
const LISTEN: &str = "KILLED_LISTEN";
const PEERS: &str = "KILLED_PEERS";

/// Whatever becomes of the test, the process ends with it.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node until it is killed.
#[tokio::test]
#[ignore = "started by another test, which kills it"]
async fn the_victim() {
    let said = |name: &str| env::var(name).unwrap();
    let options = named(VICTIM, founded(NODES)).listen(said(LISTEN).parse::<std::net::SocketAddr>().unwrap());
    let node = Node::open(said(HOME), options).await.unwrap();
    said(PEERS).split(' ').for_each(|peer| node.connect(peer.parse().unwrap()).unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_node_that_is_killed_keeps_what_it_acknowledged_and_gets_what_it_missed() {
    let mut cluster = Cluster::of(NODES).await;
    cluster.stop(VICTIM).await;
    let (home, listen, peers) = cluster.home_of(VICTIM);
    let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
    let victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed::the_victim", "--ignored"])
        .env(HOME, home)
        .env(LISTEN, listen.to_string())
        .env(PEERS, peers.join(" "))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let victim = Victim(victim);
    let all = cluster.node(0).quorum().writes(WriteOptions::ALL).registers(&titles());
    for number in 0..20 {
        let key = format!("before {number}");
        until(|| async { all.set(key.as_str(), "Hello").await.is_ok() }).await;
    }
    drop(victim);

    let sloppy = WriteOptions { fallbacks: Fallbacks::Sloppy, ..WriteOptions::ALL };
    let sloppy = cluster.node(0).quorum().writes(sloppy).registers(&titles());
    for number in 0..20 {
        let key = format!("after {number}");
        until(|| async { sloppy.set(key.as_str(), "Hello").await.is_ok() }).await;
    }
    cluster.start(VICTIM).await;
    let mut held = 0;
    for key in
        ["before", "after"].iter().flat_map(|when| (0..20).map(move |number| format!("{when} {number}")))
    {
        let replicas: [usize; 3] = cluster.cast(&titles(), &key).await;
        if replicas.contains(&VICTIM) {
            until(|| async { cluster.held(VICTIM, &key).await.as_deref() == Some("Hello") }).await;
            held += 1;
        }
    }
    assert!(held > 0);
}
