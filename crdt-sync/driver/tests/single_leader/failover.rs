//! Nodes that take over by themselves: when a leader dies, and when it is asked to hand over.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crdt_sync::Event;
use crdt_sync::failover::supervisor;
use crdt_sync::single_leader::Grant;
use crdt_sync_driver::{CommitError, Node, NodeError};
use tokio::sync::watch;

use crate::cluster::{A, B, C, id_of, plain, until, visits};
use crate::restarts::{HOME, LISTEN, Victim};
use crate::trio::{Client, PATIENCE, Trio, supervised, told};

/// The others, in any order.
fn others(node: usize) -> [usize; 2] {
    [(node + 1) % 3, (node + 2) % 3]
}

#[tokio::test]
async fn a_leader_that_goes_away_is_followed_by_one_that_has_all_that_was_acknowledged() {
    let mut trio = Trio::start(supervised()).await;
    let (mut acknowledged, mut unknown) = (0, 0);
    for is_dropped in [true, false] {
        let old = trio.leader().await;
        for _ in 0..20 {
            unknown += trio.add().await;
            acknowledged += 1;
        }
        if is_dropped {
            trio.kill(old);
        } else {
            trio.stop(old).await;
        }
        let new = trio.leader_among(&others(old)).await;
        unknown += trio.add().await;
        acknowledged += 1;
        let count = trio.count(new).await;
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&count),
            "{acknowledged} + {unknown}: {count}"
        );
        // It comes back, and follows. The next one may die at once, too, for somebody has looked.
        trio.restart(old).await;
        until(|| async { trio.leadership(old).await.follows == Some(id_of(new)) }).await;
        for node in [A, B, C] {
            trio.node(node).failover().acknowledge().await.unwrap();
        }
    }
    let count = trio.agreed().await;
    assert!((acknowledged..=acknowledged + unknown).contains(&count), "{acknowledged} + {unknown}: {count}");
    trio.logs_are_equal().await;
}

const DIALS: &str = "KILLED_DIALS";

/// One of three, which says how many of its writes were acknowledged while it leads, until it is killed.
#[tokio::test]
#[ignore = "started by another test, which kills it"]
async fn the_victim() {
    let said = |name: &str| env::var(name).unwrap();
    let listen: std::net::SocketAddr = said(LISTEN).parse().unwrap();
    let options = plain().single_leader(supervised()).node(id_of(C)).listen(listen);
    let node = Node::open(said(HOME), options).await.unwrap();
    for peer in said(DIALS).split(' ') {
        node.connect(peer.parse().unwrap()).unwrap();
    }
    let mut acknowledged = 0_u64;
    loop {
        if node.counters(&visits()).increment("victim", 1).await.is_ok() {
            acknowledged += 1;
            writeln!(std::io::stderr(), "acknowledged {acknowledged}").unwrap();
        } else {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn what_a_killed_leader_has_acknowledged_its_successor_has() {
    let mut trio = Trio::start(supervised()).await;
    trio.leader().await;
    trio.stop(C).await;
    let dials: Vec<_> = trio.dialed_by(C).iter().map(ToString::to_string).collect();
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "failover::the_victim", "--ignored", "--nocapture"])
        .env(HOME, trio.directory(C))
        .env(LISTEN, trio.address(C).to_string())
        .env(DIALS, dials.join(" "))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map(Victim)
        .unwrap();
    let mut said = BufReader::new(victim.0.stderr.take().unwrap()).lines();
    let counting = tokio::task::spawn_blocking(move || {
        let counted = said.by_ref().map_while(Result::ok);
        counted.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<i128>().ok()).last()
    });
    // It is made to lead.
    loop {
        let leader = trio.leader_among(&[A, B]).await;
        trio.node(leader).failover().acknowledge().await.unwrap();
        if trio.node(leader).failover().switch_over(id_of(C), PATIENCE).await.is_ok() {
            break;
        }
    }
    let shown = trio.node(A).counters(&visits());
    until(|| async { shown.value("victim").await.unwrap() >= 20 }).await;
    drop(victim);
    let acknowledged = counting.await.unwrap().expect("it wrote");
    let new = trio.leader_among(&[A, B]).await;
    trio.add().await;
    let counted = trio.node(new).counters(&visits()).value("victim").await.unwrap();
    assert!(counted >= acknowledged, "{counted} of {acknowledged}");
    trio.restart(C).await;
    trio.agreed().await;
    assert_eq!(trio.node(C).counters(&visits()).value("victim").await.unwrap(), counted);
    trio.logs_are_equal().await;
}

#[tokio::test]
async fn a_planned_change_under_writes_loses_none() {
    let trio = Trio::start(supervised()).await;
    let (stop, stopped) = watch::channel(false);
    let nodes = [A, B, C].map(|node| trio.node(node).clone()).to_vec();
    let mut leader = trio.leader().await;
    let writing = tokio::spawn(Client::of(nodes).add_until(stopped));
    for _ in 0..3 {
        let before = trio.count(leader).await;
        until(|| async { trio.count(leader).await >= before + 20 }).await;
        let [to, other] = others(leader);
        let epoch = trio.node(leader).failover().switch_over(id_of(to), PATIENCE).await.unwrap();
        assert_eq!(Grant::of(epoch), Grant::of(trio.leadership(to).await.epoch));
        until(|| async { trio.leadership(other).await.leader == Some(id_of(to)) }).await;
        leader = to;
    }
    let before = trio.count(leader).await;
    until(|| async { trio.count(leader).await >= before + 20 }).await;
    stop.send_replace(true);
    let client = writing.await.unwrap();
    let count = trio.agreed().await;
    let most = client.acknowledged + client.unknown;
    assert!((client.acknowledged..=most).contains(&count), "{} to {most}: {count}", client.acknowledged);
    drop(client);
    trio.logs_are_equal().await;
}

#[tokio::test]
async fn a_change_that_comes_to_nothing_says_who_leads() {
    let trio = Trio::start(supervised()).await;
    let leader = trio.leader().await;
    trio.add().await;
    trio.agreed().await;
    let [follower, other] = others(leader);
    let refused = trio.node(follower).failover().switch_over(id_of(other), PATIENCE).await.unwrap_err();
    let NodeError::Commit(CommitError::NotLeader { leader: hint, .. }) = refused else { panic!("{refused}") };
    assert_eq!(hint, Some(id_of(leader)));
    for nobody in [leader, 7] {
        let refused = trio.node(leader).failover().switch_over(id_of(nobody), PATIENCE).await;
        let goes_on = CommitError::NotSwitched { leader: Some(id_of(leader)) };
        assert_eq!(refused, Err(NodeError::Commit(goes_on)));
    }
    let supervised = trio.node(leader).commits().lead(Grant::new(99).unwrap()).await;
    assert_eq!(supervised, Err(NodeError::Commit(CommitError::Supervised)));
}

#[tokio::test]
async fn nodes_that_are_paused_do_not_take_over_until_they_go_on() {
    let mut trio = Trio::start(supervised()).await;
    let old = trio.leader().await;
    trio.add().await;
    trio.agreed().await;
    let [one, other] = others(old);
    for node in [one, other] {
        trio.node(node).failover().pause().await.unwrap();
    }
    let mut events = trio.node(one).events();
    trio.kill(old);
    told(&mut events, |event| {
        matches!(event, Event::Failover(supervisor::Event::Suspects { .. })).then_some(())
    })
    .await;
    // As long as it takes to become the leader, and more.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!trio.leads(one).await && !trio.leads(other).await);
    trio.node(other).failover().resume().await.unwrap();
    assert_eq!(trio.leader().await, other);
}
