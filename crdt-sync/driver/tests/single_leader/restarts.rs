//! Nodes go away and come back with what their directories hold.

use std::env;
use std::process::{Child, Command, Stdio};

use crdt_sync::single_leader::Grant;
use crdt_sync_driver::Node;

use crate::cluster::{A, B, C, Cluster, id_of, plain, semi_sync, titles, until, visits};

pub(crate) const HOME: &str = "KILLED_HOME";
pub(crate) const LISTEN: &str = "KILLED_LISTEN";

#[tokio::test]
async fn a_leader_that_is_dropped_goes_on_when_it_is_back_and_its_followers_catch_up() {
    let mut cluster = Cluster::of_three(semi_sync()).await;
    for round in 0..3 {
        for n in 0..10 {
            cluster.node(A).registers(&titles()).set(&*format!("{round} {n}"), "Hello").await.unwrap();
        }
        cluster.kill(A);
        // Nobody else takes over, and everybody shows what is committed.
        cluster.shows(B, &format!("{round} 8"), "Hello").await;
        cluster.start(A).await;
        cluster.all_follow().await;
        let leadership = cluster.leadership(A).await;
        // Under a new epoch each time, of the same grant.
        let times = leadership.epoch.get() - Grant::FIRST.epoch().get();
        assert_eq!((leadership.leader, times), (Some(id_of(A)), round + 1));
    }
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    for node in [B, C] {
        cluster.shows(node, "page", "Hello").await;
        cluster.shows(node, "0 9", "Hello").await;
    }
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_follower_that_was_away_goes_on_where_its_directory_ends() {
    let mut cluster = Cluster::of_three(semi_sync()).await;
    let visit = |cluster: &Cluster| cluster.node(A).counters(&visits());
    visit(&cluster).increment("/", 1).await.unwrap();
    cluster.all_have_everything().await;
    cluster.stop(B).await;
    visit(&cluster).increment("/", 10).await.unwrap();
    cluster.kill(C);
    cluster.start(B).await;
    visit(&cluster).increment("/", 100).await.unwrap();
    cluster.start(C).await;
    for node in [B, C] {
        let visits = cluster.node(node).counters(&visits());
        until(|| async { visits.value("/").await.unwrap() == 111 }).await;
    }
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_cluster_that_was_down_is_up_again_whoever_comes_first() {
    let mut cluster = Cluster::of_three(semi_sync()).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    for order in [[C, B, A], [B, A, C]] {
        for node in order {
            cluster.stop(node).await;
        }
        for node in order {
            cluster.start(node).await;
        }
        cluster.all_follow().await;
        for node in order {
            cluster.shows(node, "page", "Hello").await;
        }
        cluster.node(A).counters(&visits()).increment("/", 1).await.unwrap();
    }
    cluster.logs_are_equal().await;
}

/// Whatever becomes of the test, the process ends with it.
pub(crate) struct Victim(pub(crate) Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The leader until it is killed.
#[tokio::test]
#[ignore = "started by another test, which kills it"]
async fn the_victim() {
    let said = |name: &str| env::var(name).unwrap();
    let listen: std::net::SocketAddr = said(LISTEN).parse().unwrap();
    let options = plain().single_leader(semi_sync()).node(id_of(A)).listen(listen);
    let node = Node::open(said(HOME), options).await.unwrap();
    until(|| async { node.commits().leadership().await.unwrap().mode.is_some() }).await;
    loop {
        // It waits for as long as nobody follows.
        node.counters(&visits()).increment("acknowledged", 1).await.unwrap();
    }
}

#[tokio::test]
async fn what_followers_have_shown_of_a_leader_that_is_killed_it_has_itself() {
    let mut cluster = Cluster::of_three(semi_sync()).await;
    let mut shown = 0;
    for _ in 0..3 {
        cluster.stop(A).await;
        let victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", "restarts::the_victim", "--ignored"])
            .env(HOME, cluster.directory(A))
            .env(LISTEN, cluster.address(A).to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let victim = Victim(victim);
        let counted = cluster.node(B).counters(&visits());
        until(|| async { counted.value("acknowledged").await.unwrap() >= shown + 20 }).await;
        drop(victim);
        shown = counted.value("acknowledged").await.unwrap();
        drop(counted);

        cluster.start(A).await;
        cluster.all_follow().await;
        let counted = cluster.node(A).counters(&visits());
        until(|| async { counted.value("acknowledged").await.unwrap() >= shown }).await;
        cluster.all_have_everything().await;
        shown = counted.value("acknowledged").await.unwrap();
    }
    cluster.logs_are_equal().await;
}
