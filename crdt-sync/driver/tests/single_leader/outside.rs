//! What failover asks of the world outside: a coordinator, and a command that stops old leaders.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crdt_sync::failover::model::Model;
use crdt_sync::failover::stonith::{NotFenced, Stonith};
use crdt_sync::failover::{Answer, Ask, Coordinator, FailoverConfig, GrantedBy, Tenure, supervisor};
use crdt_sync::leaderless::LeaderlessConfig;
use crdt_sync::placement::Layout;
use crdt_sync::single_leader::SingleLeaderConfig;
use crdt_sync::time;
use crdt_sync::{Event, NodeId};
use crdt_sync_driver::{FailoverContradiction, Node, NodeOptions, OpenError, StonithCommand, StonithHook};

use crate::cluster::{A, B, C, id_of, plain, semi_sync, until};
use crate::trio::{PATIENCE, Trio, rules, told};

/// How a coordinator is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Today {
    Answers,
    Refuses,
    Hangs,
}

/// A store that one node asks over a line of its own.
#[derive(Clone)]
struct Etcd {
    store: Arc<Mutex<(Model, Today)>>,
    since: Instant,
}

impl Etcd {
    fn new() -> Self {
        let model = Model::new(Duration::from_secs(60));
        Self { store: Arc::new(Mutex::new((model, Today::Answers))), since: Instant::now() }
    }

    fn is(&self, today: Today) {
        self.store.lock().unwrap().1 = today;
    }
}

impl Coordinator for Etcd {
    async fn ask(&mut self, ask: Ask) -> Answer {
        let today = self.store.lock().unwrap().1;
        match today {
            Today::Answers => {
                let now = u64::try_from(self.since.elapsed().as_micros()).unwrap();
                self.store.lock().unwrap().0.handle(time::Instant::from_micros(now), ask)
            }
            Today::Refuses => Answer::Unavailable { why: "it is restarting".to_owned() },
            Today::Hangs => std::future::pending().await,
        }
    }

    async fn changed(&mut self, _: Option<Tenure>) -> Option<Tenure> {
        std::future::pending().await
    }
}

fn coordinated() -> FailoverConfig {
    FailoverConfig { granted_by: GrantedBy::Coordinator { failsafe: false }, ..rules() }
}

fn by(rules: FailoverConfig) -> SingleLeaderConfig {
    semi_sync().with_failover(rules)
}

#[tokio::test]
async fn a_leader_stops_when_its_coordinator_does_not_answer_and_one_leads_when_that_is_back() {
    let etcd = Etcd::new();
    let asked = etcd.clone();
    let trio = Trio::with(by(coordinated()), move |_, options| options.coordinator(asked.clone())).await;
    for today in [Today::Refuses, Today::Hangs] {
        let leader = trio.leader().await;
        trio.add().await;
        etcd.is(today);
        until(|| async { !trio.leads(leader).await }).await;
        for node in [A, B, C] {
            // Neither the engine nor anybody else waits for the coordinator.
            trio.node(node).failover().acknowledge().await.unwrap();
            assert!(!trio.leads(node).await);
        }
        etcd.is(Today::Answers);
    }
    trio.leader().await;
    trio.add().await;
    trio.agreed().await;
    trio.logs_are_equal().await;
}

#[tokio::test]
async fn a_planned_change_goes_by_the_coordinator_as_well() {
    let etcd = Etcd::new();
    let trio = Trio::with(by(coordinated()), move |_, options| options.coordinator(etcd.clone())).await;
    let leader = trio.leader().await;
    trio.add().await;
    let to = (leader + 1) % 3;
    let epoch = trio.node(leader).failover().switch_over(id_of(to), PATIENCE).await.unwrap();
    assert_eq!(trio.leadership(to).await.leader, Some(id_of(to)));
    assert!(trio.leadership(to).await.epoch >= epoch);
    trio.add().await;
    trio.logs_are_equal().await;
}

#[tokio::test]
async fn a_node_whose_coordinator_hangs_can_be_shut_down_and_opened_again() {
    let etcd = Etcd::new();
    etcd.is(Today::Hangs);
    let home = tempfile::tempdir().unwrap();
    // Alone it is a majority, and asks at once.
    let alone = SingleLeaderConfig::new(id_of(A), []).with_failover(coordinated());
    let options = plain().single_leader(alone).node(id_of(A)).coordinator(etcd.clone());
    for _ in 0..2 {
        let node = Node::open(home.path(), options.clone()).await.unwrap();
        let mut events = node.events();
        told(&mut events, |event| {
            let refused = supervisor::Event::Refused(supervisor::Refused::Unavailable);
            (*event == Event::Failover(refused)).then_some(())
        })
        .await;
        node.shutdown().await;
    }
    etcd.is(Today::Answers);
    let node = Node::open(home.path(), options).await.unwrap();
    until(|| async { node.failover().leadership().await.unwrap().mode.is_some() }).await;
    node.shutdown().await;
}

/// A script, the first argument of which is the node.
fn script(text: &str) -> StonithCommand {
    StonithCommand::new("/bin/sh").arg("-c").arg(text).arg("stonith")
}

/// Does not confirm anything before there is a file that says so, and notes whom it was to stop.
fn confirms_when(allowed: &std::path::Path) -> StonithCommand {
    script(&format!("test -e {0} && echo $1 >> {0}", allowed.display()))
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_leads_before_it_is_confirmed_that_the_old_leader_stopped() {
    let stonith = Some(Stonith::Required { timeout: Duration::from_secs(20) });
    let home = tempfile::tempdir().unwrap();
    let allowed = home.path().join("allowed");
    let hook = confirms_when(&allowed);
    let config = by(FailoverConfig { stonith, ..rules() });
    let mut trio = Trio::with(config, move |_, options| options.stonith(hook.clone())).await;
    let old = trio.leader().await;
    trio.add().await;
    trio.agreed().await;
    let others: Vec<_> = [A, B, C].into_iter().filter(|node| *node != old).collect();
    let mut events: Vec<_> = others.iter().map(|node| trio.node(*node).events()).collect();
    trio.kill(old);
    let (one, other) = events.split_at_mut(1);
    let not_fenced = |event: &Event| match event {
        Event::Failover(supervisor::Event::NotFenced(why)) => Some(*why),
        _ => None,
    };
    let why = tokio::select! {
        why = told(&mut one[0], not_fenced) => why,
        why = told(&mut other[0], not_fenced) => why,
    };
    assert_eq!(why, NotFenced::Failed);
    for node in &others {
        assert!(!trio.leads(*node).await);
    }
    std::fs::write(&allowed, "").unwrap();
    trio.leader_among(&others).await;
    let stopped = std::fs::read_to_string(&allowed).unwrap();
    assert_eq!(stopped.lines().next(), Some(&*id_of(old).to_string()));
    trio.add().await;
    trio.restart(old).await;
    trio.logs_are_equal().await;
}

#[cfg(unix)]
#[tokio::test]
async fn where_it_is_only_tried_the_next_one_leads_and_says_that_nobody_confirmed_anything() {
    let stonith = Some(Stonith::BestEffort { timeout: Duration::from_millis(300) });
    let config = by(FailoverConfig { stonith, ..rules() });
    let mut trio = Trio::with(config, |_, options| options.stonith(script("sleep 1000"))).await;
    let old = trio.leader().await;
    trio.add().await;
    trio.agreed().await;
    let others: Vec<_> = [A, B, C].into_iter().filter(|node| *node != old).collect();
    let mut events: Vec<_> = others.iter().map(|node| trio.node(*node).events()).collect();
    trio.kill(old);
    let (one, other) = events.split_at_mut(1);
    let leads = |event: &Event| match event {
        Event::Failover(supervisor::Event::Leads { unfenced, .. }) => Some(*unfenced),
        _ => None,
    };
    let unfenced = tokio::select! {
        unfenced = told(&mut one[0], leads) => unfenced,
        unfenced = told(&mut other[0], leads) => unfenced,
    };
    assert_eq!(unfenced, Some(NotFenced::TimedOut));
    trio.add().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_confirms_by_its_exit_code_and_is_told_whom_to_stop_and_how_long_it_has() {
    let home = tempfile::tempdir().unwrap();
    let noted = home.path().join("noted");
    let node = NodeId::from_u128(0xab);
    let noting = script(&format!("echo $1 $CRDT_SYNC_STONITH_TIMEOUT_MS > {}", noted.display()));
    assert_eq!(noting.stop(node, PATIENCE).await, Ok(()));
    assert_eq!(std::fs::read_to_string(noted).unwrap(), format!("{node} 120000\n"));
    assert_eq!(script("exit 3").stop(node, PATIENCE).await, Err(NotFenced::Failed));
    assert_eq!(script("kill -9 $$").stop(node, PATIENCE).await, Err(NotFenced::Failed));
    assert_eq!(StonithCommand::new("/no/such/program").stop(node, PATIENCE).await, Err(NotFenced::Failed));
}

/// Nobody is stopped late, by something that a command has left behind.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_it_has_started() {
    let home = tempfile::tempdir().unwrap();
    let pids = home.path().join("pids");
    let hangs = script(&format!("sleep 1000 & echo $! > {0}; echo $$ >> {0}; wait", pids.display()));
    let are_gone = || {
        let pids = std::fs::read_to_string(&pids).unwrap();
        let is_gone = |pid: &str| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            // Nobody may have asked yet how it ended.
            Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
            Err(_) => true,
        };
        pids.lines().count() == 2 && pids.lines().all(is_gone)
    };
    let has_begun = || std::fs::read_to_string(&pids).is_ok_and(|pids| pids.lines().count() == 2);

    let mut timeout = Duration::from_millis(100);
    while !has_begun() {
        timeout *= 2;
        assert_eq!(hangs.stop(id_of(A), timeout).await, Err(NotFenced::TimedOut));
    }
    until(|| async { are_gone() }).await;

    // The same where whoever waits for it goes away.
    std::fs::remove_file(&pids).unwrap();
    tokio::select! {
        ended = hangs.stop(id_of(A), PATIENCE) => panic!("{ended:?}"),
        () = until(|| async { has_begun() }) => {}
    }
    until(|| async { are_gone() }).await;
}

#[tokio::test]
async fn options_that_contradict_each_other_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let refused = async |options: NodeOptions| match Node::open(home.path(), options.node(id_of(A))).await {
        Err(OpenError::Failover(why)) => why,
        other => panic!("{:?}", other.map(|_| "opened")),
    };
    let stonith = Some(Stonith::Required { timeout: Duration::from_secs(1) });
    let stops = FailoverConfig { stonith, ..rules() };
    let hook = || script("exit 0");

    let of = |config| plain().single_leader(config);
    assert_eq!(refused(of(by(coordinated()))).await, FailoverContradiction::NoCoordinator);
    assert_eq!(
        refused(of(by(rules())).coordinator(Etcd::new())).await,
        FailoverContradiction::UnusedCoordinator
    );
    assert_eq!(
        refused(of(semi_sync()).coordinator(Etcd::new())).await,
        FailoverContradiction::UnusedCoordinator
    );
    assert_eq!(refused(of(by(stops))).await, FailoverContradiction::NoStonith);
    assert_eq!(refused(of(by(rules())).stonith(hook())).await, FailoverContradiction::UnusedStonith);
    assert_eq!(refused(plain().stonith(hook())).await, FailoverContradiction::UnusedStonith);
    let leaderless = plain().leaderless(LeaderlessConfig::new(Layout::default()));
    assert_eq!(refused(leaderless.coordinator(Etcd::new())).await, FailoverContradiction::UnusedCoordinator);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing was written");
}
