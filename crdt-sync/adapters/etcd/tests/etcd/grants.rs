//! Who is granted the right to lead, and when.

use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::{Answer, Ask, Coordinator, Directory, Follow, Grant, Tenure};
use crdt_sync_etcd::{EtcdCoordinator, EtcdDirectory};

use crate::server::Etcd;

/// As short as etcd allows, so that a test does not take long.
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);
const LOG: &str = "/log";

fn node(number: u128) -> NodeId {
    NodeId::from_u128(number)
}

fn grant(number: u64) -> Grant {
    Grant::new(number).unwrap()
}

fn tenure(number: u64, holder: u128) -> Tenure {
    Tenure { holder: node(holder), grant: grant(number) }
}

async fn coordinator(etcd: &Etcd, address: &str) -> EtcdCoordinator {
    EtcdCoordinator::new(etcd.client().await, LOG, address)
}

async fn acquire(coordinator: &mut EtcdCoordinator, candidate: u128, lease: Duration) -> Answer {
    coordinator.ask(Ask::Acquire { candidate: node(candidate), lease, above: None }).await
}

#[tokio::test]
async fn of_all_who_ask_at_once_one_is_granted_the_right_and_the_others_learn_who() {
    let Some(etcd) = Etcd::start().await else { return };
    for round in 1..=5 {
        let mut candidates = tokio::task::JoinSet::new();
        for candidate in 1..=6 {
            let mut coordinator = coordinator(&etcd, "somewhere").await;
            candidates.spawn(async move { (candidate, acquire(&mut coordinator, candidate, LONG).await) });
        }
        let mut answers = candidates.join_all().await;
        let granted = answers.iter().position(|(_, answer)| matches!(answer, Answer::Granted(_))).unwrap();
        let (winner, answer) = answers.swap_remove(granted);
        assert_eq!(answer, Answer::Granted(grant(round)));
        let held = Answer::Held(Some(tenure(round, winner)));
        assert!(answers.iter().all(|(_, answer)| *answer == held), "{answers:?}");
        let mut coordinator = coordinator(&etcd, "somewhere").await;
        let released = coordinator.ask(Ask::Release { tenure: tenure(round, winner), to: None }).await;
        assert_eq!(released, Answer::Released);
    }
}

#[tokio::test]
async fn a_holder_that_is_gone_is_followed_by_a_later_grant_once_its_lease_has_ended() {
    let Some(etcd) = Etcd::start().await else { return };
    let (mut first, mut second) = (coordinator(&etcd, "a:1").await, coordinator(&etcd, "b:1").await);
    assert_eq!(acquire(&mut first, 1, SHORT).await, Answer::Granted(grant(1)));
    drop(first);
    assert_eq!(acquire(&mut second, 2, SHORT).await, Answer::Held(Some(tenure(1, 1))));
    assert_eq!(second.changed(Some(tenure(1, 1))).await, None);
    assert_eq!(acquire(&mut second, 2, SHORT).await, Answer::Granted(grant(2)));
}

#[tokio::test]
async fn the_right_lasts_while_it_is_renewed_and_whoever_lost_it_learns_so() {
    let Some(etcd) = Etcd::start().await else { return };
    let (mut first, mut second) = (coordinator(&etcd, "a:1").await, coordinator(&etcd, "b:1").await);
    assert_eq!(acquire(&mut first, 1, SHORT).await, Answer::Granted(grant(1)));
    for _ in 0..8 {
        tokio::time::sleep(SHORT / 4).await;
        let renewed = first.ask(Ask::Renew { tenure: tenure(1, 1), lease: LONG }).await;
        assert_eq!(renewed, Answer::Renewed(grant(1)));
    }
    assert_eq!(
        acquire(&mut second, 2, SHORT).await,
        Answer::Held(Some(tenure(1, 1))),
        "longer than its first lease"
    );

    let shortened = first.ask(Ask::Renew { tenure: tenure(1, 1), lease: SHORT }).await;
    assert_eq!(shortened, Answer::Renewed(grant(1)));
    assert_eq!(second.changed(Some(tenure(1, 1))).await, None);
    let late = first.ask(Ask::Renew { tenure: tenure(1, 1), lease: SHORT }).await;
    assert_eq!(late, Answer::Held(None));
    assert_eq!(acquire(&mut second, 2, LONG).await, Answer::Granted(grant(2)));
    let later = first.ask(Ask::Renew { tenure: tenure(1, 1), lease: SHORT }).await;
    assert_eq!(later, Answer::Held(Some(tenure(2, 2))));
    let released = first.ask(Ask::Release { tenure: tenure(1, 1), to: None }).await;
    assert_eq!(released, Answer::Released);
    assert_eq!(
        first.ask(Ask::Look).await,
        Answer::Held(Some(tenure(2, 2))),
        "what others hold is not released"
    );
}

#[tokio::test]
async fn grants_go_on_growing_after_etcd_was_killed() {
    let Some(mut etcd) = Etcd::start().await else { return };
    let mut coordinator = coordinator(&etcd, "a:1").await.deadline(Duration::from_millis(500));
    assert_eq!(acquire(&mut coordinator, 1, LONG).await, Answer::Granted(grant(1)));
    for round in 1..=3 {
        etcd.kill().await;
        let down = coordinator.ask(Ask::Look).await;
        assert!(matches!(down, Answer::Unavailable { .. }), "{down:?}");
        etcd.start_again().await;
        let mut again = coordinator.clone().deadline(Duration::from_secs(10));
        let renewed = again.ask(Ask::Renew { tenure: tenure(round, 1), lease: LONG }).await;
        assert_eq!(renewed, Answer::Renewed(grant(round)), "the same client finds it again");
        again.ask(Ask::Release { tenure: tenure(round, 1), to: None }).await;
        assert_eq!(acquire(&mut again, 1, LONG).await, Answer::Granted(grant(round + 1)));
    }
}

#[tokio::test]
async fn the_right_is_reserved_for_whom_it_was_released_to_for_the_length_of_a_lease() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut coordinator = coordinator(&etcd, "a:1").await;
    acquire(&mut coordinator, 1, LONG).await;
    let released = coordinator.ask(Ask::Release { tenure: tenure(1, 1), to: Some(node(2)) }).await;
    assert_eq!(released, Answer::Released);
    assert_eq!(acquire(&mut coordinator, 3, LONG).await, Answer::Held(None));
    assert_eq!(acquire(&mut coordinator, 2, SHORT).await, Answer::Granted(grant(2)));

    coordinator.ask(Ask::Release { tenure: tenure(2, 2), to: Some(node(4)) }).await;
    let waited = async {
        while acquire(&mut coordinator, 3, LONG).await != Answer::Granted(grant(3)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited).await.expect("the fourth has not come");
}

#[tokio::test]
async fn a_grant_is_later_than_any_the_candidate_has_heard_of() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut coordinator = coordinator(&etcd, "a:1").await;
    let mut ask = async |above| {
        let asked = Ask::Acquire { candidate: node(1), lease: LONG, above: Some(above) };
        let answer = coordinator.ask(asked).await;
        if let Answer::Granted(grant) = answer {
            coordinator.ask(Ask::Release { tenure: tenure(grant.number(), 1), to: None }).await;
        }
        answer
    };
    assert_eq!(ask(grant(41)).await, Answer::Granted(grant(42)));
    assert_eq!(ask(grant(7)).await, Answer::Granted(grant(43)));
    let exhausted = ask(grant(u64::from(u32::MAX))).await;
    assert!(matches!(exhausted, Answer::Unavailable { .. }), "{exhausted:?}");
}

#[tokio::test]
async fn an_etcd_that_hangs_is_unavailable_and_so_is_one_that_holds_nonsense() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut coordinator = coordinator(&etcd, "a:1").await;
    acquire(&mut coordinator, 1, LONG).await;
    etcd.signal("-STOP").await;
    let mut hurried = coordinator.clone().deadline(Duration::from_millis(100));
    // It may still answer what comes before the signal does.
    while !matches!(hurried.ask(Ask::Look).await, Answer::Unavailable { .. }) {}
    let renewed = hurried.ask(Ask::Renew { tenure: tenure(1, 1), lease: LONG }).await;
    assert!(matches!(renewed, Answer::Unavailable { .. }), "{renewed:?}");
    etcd.signal("-CONT").await;
    assert_eq!(coordinator.ask(Ask::Look).await, Answer::Held(Some(tenure(1, 1))));

    etcd.client().await.put(format!("{LOG}/leader"), "me", None).await.unwrap();
    let Answer::Unavailable { why } = coordinator.ask(Ask::Look).await else { panic!("it makes no sense") };
    assert!(why.contains("/log/leader"), "{why}");
}

#[tokio::test]
async fn a_client_follows_the_leader_by_watching() {
    let Some(etcd) = Etcd::start().await else { return };
    let mut client = Follow::new(EtcdDirectory::new(etcd.client().await, LOG));
    assert_eq!(client.look().await, Ok(None));
    let (mut first, mut second) = (coordinator(&etcd, "a:1").await, coordinator(&etcd, "b:1").await);
    let (found, granted) = tokio::join!(client.next(), acquire(&mut first, 1, LONG));
    assert_eq!((found.unwrap().address.as_str(), granted), ("a:1", Answer::Granted(grant(1))));

    // A renewal is nothing new.
    let mut directory = EtcdDirectory::new(etcd.client().await, LOG);
    let known = client.leader().cloned();
    tokio::select! {
        changed = directory.changed(known.as_ref()) => panic!("{changed:?}"),
        () = async {
            for _ in 0..5 {
                first.ask(Ask::Renew { tenure: tenure(1, 1), lease: LONG }).await;
            }
        } => {}
    }
    first.ask(Ask::Release { tenure: tenure(1, 1), to: Some(node(2)) }).await;
    assert_eq!(client.next().await, None);
    acquire(&mut second, 2, LONG).await;
    assert_eq!(client.next().await.unwrap().address, "b:1");
    assert_eq!(first.changed(None).await, Some(tenure(2, 2)));
}
