//! Members that are cut off, killed and started again, with what they keep on disk.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::{Answer, Ask, Coordinator, Grant, Tenure};
use crdt_sync_raft::{CallFailed, Member, RaftCoordinator, Timing, Transport};
use replication_log::storage::FileStorage;
use tempfile::TempDir;

const TIMING: Timing = Timing { heartbeat: Duration::from_millis(50), election: Duration::from_millis(300) };
const LONG: Duration = Duration::from_secs(600);
/// Long enough for an election, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Lines {
    members: BTreeMap<u64, Member<Line>>,
    cut_off: BTreeSet<u64>,
}

/// The way from one member to the others, in one process.
#[derive(Clone)]
struct Line {
    from: u64,
    lines: Arc<Mutex<Lines>>,
}

impl Transport for Line {
    async fn call(&self, to: u64, request: Vec<u8>) -> Result<Vec<u8>, CallFailed> {
        let connected = || {
            let lines = self.lines.lock().unwrap();
            let apart = lines.cut_off.contains(&self.from) != lines.cut_off.contains(&to);
            lines.members.get(&to).filter(|_| !apart).cloned().ok_or(CallFailed { why: "cut off".into() })
        };
        let answer = connected()?.answer(&request).await;
        // The answer is lost if they were parted meanwhile.
        connected().map(|_| answer)
    }
}

struct Cluster {
    lines: Arc<Mutex<Lines>>,
    homes: BTreeMap<u64, TempDir>,
}

impl Cluster {
    async fn of_three() -> Self {
        let homes = (1..=3).map(|id| (id, tempfile::tempdir().unwrap())).collect();
        let cluster = Self { lines: Arc::default(), homes };
        for id in 1..=3 {
            cluster.start(id).await;
        }
        cluster.member(1).found([1, 2, 3]).await.unwrap();
        cluster
    }

    async fn start(&self, id: u64) {
        let storage = FileStorage::open(self.homes[&id].path()).unwrap();
        let line = Line { from: id, lines: Arc::clone(&self.lines) };
        let member = Member::open(id, storage, line, TIMING).await.unwrap();
        self.lines.lock().unwrap().members.insert(id, member);
    }

    async fn stop(&self, id: u64) {
        let member = self.lines.lock().unwrap().members.remove(&id).unwrap();
        member.shut_down().await;
    }

    fn member(&self, id: u64) -> Member<Line> {
        self.lines.lock().unwrap().members[&id].clone()
    }

    fn coordinator(&self, id: u64) -> RaftCoordinator<Line> {
        self.member(id).coordinator().deadline(PATIENCE)
    }
}

fn tenure(number: u64, holder: u128) -> Tenure {
    Tenure { holder: NodeId::from_u128(holder), grant: grant(number) }
}

fn grant(number: u64) -> Grant {
    Grant::new(number).unwrap()
}

fn acquire(candidate: u128, lease: Duration) -> Ask {
    Ask::Acquire { candidate: NodeId::from_u128(candidate), lease, above: None }
}

#[tokio::test]
async fn whichever_member_is_asked_one_candidate_is_granted_the_right() {
    let cluster = Cluster::of_three().await;
    let mut asked = tokio::task::JoinSet::new();
    for id in 1..=3 {
        let mut coordinator = cluster.coordinator(id);
        asked.spawn(async move { coordinator.ask(acquire(id.into(), LONG)).await });
    }
    let answers = asked.join_all().await;
    let granted = answers.iter().filter(|answer| **answer == Answer::Granted(grant(1))).count();
    let held = answers.iter().filter(|answer| matches!(answer, Answer::Held(Some(_)))).count();
    assert_eq!((granted, held), (1, 2), "{answers:?}");
}

#[tokio::test]
async fn grants_go_on_growing_when_members_are_stopped_and_started_again() {
    let cluster = Cluster::of_three().await;
    for round in 1..=3 {
        let mut coordinator = cluster.coordinator(round % 3 + 1);
        assert_eq!(coordinator.ask(acquire(1, LONG)).await, Answer::Granted(grant(round)));
        let released = coordinator.ask(Ask::Release { tenure: tenure(round, 1), to: None }).await;
        assert_eq!(released, Answer::Released);
        for id in 1..=3 {
            cluster.stop(id).await;
        }
        for id in 1..=3 {
            cluster.start(id).await;
        }
    }
    let above = Ask::Acquire { candidate: NodeId::from_u128(1), lease: LONG, above: Some(grant(41)) };
    assert_eq!(cluster.coordinator(1).ask(above).await, Answer::Granted(grant(42)));
}

#[tokio::test]
async fn without_a_majority_nothing_is_decided_and_with_one_leases_go_on_and_end() {
    let cluster = Cluster::of_three().await;
    let lease = Duration::from_secs(1);
    assert_eq!(cluster.coordinator(1).ask(acquire(1, lease)).await, Answer::Granted(grant(1)));
    cluster.lines.lock().unwrap().cut_off.insert(1);
    let mut hurried = cluster.member(1).coordinator().deadline(Duration::from_millis(800));
    let alone = hurried.ask(Ask::Renew { tenure: tenure(1, 1), lease }).await;
    assert!(matches!(alone, Answer::Unavailable { .. }), "{alone:?}");

    // The others elect another leader of the Raft if it was the first, let the lease end, and grant the next.
    let mut second = cluster.coordinator(2);
    assert_eq!(second.changed(Some(tenure(1, 1))).await, None);
    assert_eq!(second.ask(acquire(2, LONG)).await, Answer::Granted(grant(2)));

    cluster.lines.lock().unwrap().cut_off.clear();
    let late = cluster.coordinator(1).ask(Ask::Renew { tenure: tenure(1, 1), lease }).await;
    assert_eq!(late, Answer::Held(Some(tenure(2, 2))));
}

#[tokio::test]
async fn the_right_lasts_as_long_as_it_is_renewed_through_elections() {
    let cluster = Cluster::of_three().await;
    let lease = Duration::from_secs(20);
    let mut coordinator = cluster.coordinator(1);
    assert_eq!(coordinator.ask(acquire(1, lease)).await, Answer::Granted(grant(1)));
    for id in [2, 3, 2] {
        cluster.stop(id).await;
        assert_eq!(
            coordinator.ask(Ask::Renew { tenure: tenure(1, 1), lease }).await,
            Answer::Renewed(grant(1))
        );
        cluster.start(id).await;
    }
    let mut other = cluster.coordinator(3);
    assert_eq!(other.ask(acquire(2, lease)).await, Answer::Held(Some(tenure(1, 1))));
}

#[tokio::test]
async fn a_member_that_was_away_for_long_catches_up_by_a_snapshot() {
    let cluster = Cluster::of_three().await;
    let mut coordinator = cluster.coordinator(1);
    assert_eq!(coordinator.ask(acquire(1, LONG)).await, Answer::Granted(grant(1)));
    cluster.stop(3).await;
    for _ in 0..1_200 {
        assert_eq!(
            coordinator.ask(Ask::Renew { tenure: tenure(1, 1), lease: LONG }).await,
            Answer::Renewed(grant(1))
        );
    }
    cluster.start(3).await;
    // Only with the third there is a majority now.
    cluster.stop(2).await;
    let held = cluster.coordinator(3).ask(Ask::Look).await;
    assert_eq!(held, Answer::Held(Some(tenure(1, 1))));
}

#[tokio::test]
async fn nonsense_is_answered_with_nothing() {
    let cluster = Cluster::of_three().await;
    for nonsense in [&b""[..], b"{}", b"{\"Vote\":1}", &[0xff; 100]] {
        assert!(cluster.member(1).answer(nonsense).await.is_empty());
    }
}
