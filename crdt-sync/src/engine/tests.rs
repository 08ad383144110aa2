//! Clusters of engines in one thread: frames arrive at once and in order, the disk is never slow.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use conflict_store::VersionId;
use replication_log::Lsn;

use super::*;
use crate::collection::{Collection, Strategy};
use crate::node::ClusterKey;
use crate::replica::Action;
use crate::time::WallTime;
use crate::wire::Farewell;

/// Engines, their logs and the wires between them.
struct Cluster {
    engines: Vec<Engine>,
    logs: Vec<Vec<(Lsn, Vec<u8>)>>,
    links: BTreeMap<LinkId, (usize, LinkId, usize)>,
    frames: VecDeque<(LinkId, Vec<u8>)>,
    replies: BTreeMap<u64, Reply>,
    events: Vec<(usize, Event)>,
    micros: u64,
    next: u64,
    sent_bytes: usize,
}

fn collections() -> [Collection; 4] {
    [
        Collection::documents("notes", Strategy::Keep),
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
    ]
}

fn config(node: u8, incarnation: u8) -> Config {
    let mut seed = [node; 32];
    seed[0] = incarnation;
    let cluster = ClusterKey::from_bytes([9; 16]);
    let mut config =
        Config::new(NodeId::from_u128(node.into()), cluster, seed).with_collections(collections());
    config.leaf_bits = 8;
    config
}

fn item(collection: usize, key: &str) -> ItemKey {
    ItemKey { collection: collections()[collection].id(), key: key.into() }
}

fn write(collection: usize, key: &str, action: Action) -> Write {
    Write { collection: collections()[collection].id(), key: key.into(), action }
}

impl Cluster {
    fn new(nodes: u8) -> Self {
        let mut cluster = Self {
            engines: Vec::new(),
            logs: Vec::new(),
            links: BTreeMap::new(),
            frames: VecDeque::new(),
            replies: BTreeMap::new(),
            events: Vec::new(),
            micros: 0,
            next: 0,
            sent_bytes: 0,
        };
        for node in 0..nodes {
            cluster.logs.push(Vec::new());
            let engine =
                Engine::open(config(node + 1, 0), Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
            cluster.engines.push(engine);
            cluster.drain(node.into());
        }
        cluster
    }

    fn now(&self) -> Now {
        let wall = WallTime::from_millis(1_700_000_000_000 + self.micros / 1_000);
        Now { instant: Instant::from_micros(self.micros), wall }
    }

    fn handle(&mut self, node: usize, input: Input) {
        let now = self.now();
        self.engines[node].handle(now, input);
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        let mut durable = None;
        while let Some(output) = self.engines[node].poll_output() {
            match output {
                Output::Append { first, records } => {
                    for (lsn, record) in (first.get()..).map(Lsn::new).zip(records) {
                        self.logs[node].push((lsn, record));
                        durable = Some(lsn);
                    }
                }
                Output::Send { link, frame } => {
                    self.sent_bytes += frame.len();
                    self.frames.push_back((link, frame));
                }
                Output::Reply { id, reply } => {
                    self.replies.insert(id.0, reply);
                }
                Output::Close { link, .. } => {
                    if let Some((other, far, _)) = self.links.remove(&link) {
                        self.links.remove(&far);
                        self.handle(other, Input::LinkDown { link: far });
                    }
                }
                Output::Event(event) => self.events.push((node, event)),
                Output::SetTimer { .. } => {}
            }
        }
        if let Some(lsn) = durable {
            self.handle(node, Input::Durable { lsn });
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let (near, far) = (LinkId(self.next), LinkId(self.next + 1));
        self.next += 2;
        self.links.insert(near, (b, far, a));
        self.links.insert(far, (a, near, b));
        self.handle(a, Input::LinkUp { link: near, dialed: true });
        self.handle(b, Input::LinkUp { link: far, dialed: false });
    }

    fn deliver(&mut self) {
        while let Some((link, bytes)) = self.frames.pop_front() {
            if let Some(&(node, link, _)) = self.links.get(&link) {
                self.handle(node, Input::Frame { link, bytes });
            }
        }
    }

    /// Lets half a second pass in heartbeats, with everything delivered in between.
    fn settle(&mut self) {
        self.deliver();
        for _ in 0..10 {
            self.micros += 300_000;
            for node in 0..self.engines.len() {
                self.handle(node, Input::Timer);
            }
            self.deliver();
        }
    }

    fn write(&mut self, node: usize, writes: Vec<Write>) -> Reply {
        self.next += 1;
        let id = RequestId(self.next);
        self.handle(node, Input::Request { id, request: Request::Write(writes) });
        self.replies.remove(&id.0).expect("the disk is never slow")
    }

    fn peek(&self, node: usize, item: &ItemKey) -> Option<&Cell> {
        self.engines[node].peek(item)
    }

    fn assert_agreement(&self) {
        let first = &self.engines[0].status().partitions;
        for engine in &self.engines[1..] {
            assert_eq!(&engine.status().partitions, first);
        }
        for collection in collections() {
            let cells = |engine: &Engine| -> Vec<_> {
                engine.scan(collection.id(), Bytes::default()).map(|(k, c)| (k.clone(), c.clone())).collect()
            };
            for engine in &self.engines[1..] {
                assert_eq!(cells(engine), cells(&self.engines[0]));
            }
        }
    }

    fn restart(&mut self, node: usize) {
        let gone: Vec<LinkId> =
            self.links.iter().filter(|(_, end)| end.2 == node).map(|(link, _)| *link).collect();
        for link in gone {
            let Some((other, far, _)) = self.links.remove(&link) else {
                continue;
            };
            self.links.remove(&far);
            self.handle(other, Input::LinkDown { link: far });
        }
        let records = self.logs[node].clone();
        let number = u8::try_from(node + 1).unwrap();
        self.engines[node] = Engine::open(config(number, 1), records, self.now()).unwrap();
        self.drain(node);
    }

    fn finished_sessions(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::SessionFinished { .. })).count()
    }
}

fn insert_many(from: u32, to: u32, body: &str) -> Vec<Write> {
    (from..to).map(|n| write(0, &alloc::format!("key-{n:05}"), Action::Insert(body.into()))).collect()
}

fn version_of(reply: &Reply) -> VersionId {
    match reply {
        Reply::Written(written) => written.versions[0],
        other => panic!("not written: {other:?}"),
    }
}

#[test]
fn a_write_reaches_a_connected_peer_entry_by_entry() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.write(0, alloc::vec![write(1, "groceries", Action::Add("milk".into()))]);
    cluster.write(1, alloc::vec![write(2, "visits", Action::Increment(3))]);
    cluster.settle();
    cluster.assert_agreement();
    assert!(cluster.peek(1, &item(1, "groceries")).is_some());
    assert_eq!(cluster.finished_sessions(), 0, "a short gap needs no tree");
}

#[test]
fn first_contact_of_large_replicas_goes_through_a_session_that_sends_only_what_differs() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, insert_many(0, 6_000, "same"));
    cluster.write(1, insert_many(0, 6_000, "same"));
    cluster.write(1, insert_many(6_000, 6_010, "more"));
    cluster.write(0, alloc::vec![write(0, "key-00007", Action::Put("changed".into()))]);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(cluster.finished_sessions(), 2, "one on each side");
    assert!(cluster.sent_bytes < 12_000, "{} bytes for 11 differing keys", cluster.sent_bytes);
    let Some(Cell::Document(document)) = cluster.peek(1, &item(0, "key-00007")) else { panic!("missing") };
    assert_eq!(document.conflicts().count(), 0, "the same import on two nodes is one version");
    assert_eq!(document.winner().unwrap().body(), Some(&"changed".into()));
}

#[test]
fn edits_after_a_session_flow_by_frontier_and_cursor() {
    let mut cluster = Cluster::new(3);
    for node in 0..3 {
        let from = u32::try_from(node).unwrap() * 2_000;
        cluster.write(node, insert_many(from, from + 6_000, "body"));
    }
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        cluster.connect(a, b);
    }
    cluster.settle();
    cluster.assert_agreement();
    let sessions = cluster.finished_sessions();
    cluster.write(1, alloc::vec![write(0, "key-00001", Action::Put("edited".into()))]);
    cluster.write(2, alloc::vec![write(0, "key-00001", Action::Put("edited too".into()))]);
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(cluster.finished_sessions(), sessions);
    let Some(Cell::Document(document)) = cluster.peek(0, &item(0, "key-00001")) else { panic!("missing") };
    assert_eq!(document.live_leaves().count(), 2, "concurrent edits are both kept");
}

#[test]
fn in_a_ring_entries_are_passed_on_by_whoever_has_them() {
    let mut cluster = Cluster::new(4);
    for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        cluster.connect(a, b);
    }
    for node in 0..4 {
        cluster.write(node, alloc::vec![write(2, "visits", Action::Increment(1 << node))]);
    }
    cluster.settle();
    cluster.assert_agreement();
    let Some(Cell::Counter(counter)) = cluster.peek(2, &item(2, "visits")) else { panic!("missing") };
    assert_eq!(counter.value(), 15);
}

#[test]
fn a_removal_reaches_a_peer_through_a_session_and_leaves_nothing_behind() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("milk".into()))]);
    cluster.connect(0, 1);
    cluster.settle();
    assert!(cluster.peek(1, &item(1, "list")).is_some());
    let lost: Vec<LinkId> = cluster.links.keys().copied().collect();
    cluster.links.clear();
    cluster.handle(0, Input::LinkDown { link: lost[0] });
    cluster.handle(1, Input::LinkDown { link: lost[1] });
    cluster.write(0, alloc::vec![write(1, "list", Action::Remove("milk".into()))]);
    cluster.write(0, insert_many(0, 5_000, "makes the gap long"));
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    assert!(cluster.finished_sessions() > 0);
    assert_eq!(cluster.peek(1, &item(1, "list")), None);
}

#[test]
fn a_restart_rebuilds_the_same_replica_and_sync_goes_on() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, insert_many(0, 5_000, "a"));
    cluster.write(1, insert_many(2_500, 7_500, "b"));
    cluster.write(1, alloc::vec![write(3, "title", Action::Set(Some("Hello".into())))]);
    cluster.connect(0, 1);
    cluster.settle();
    let before = cluster.engines[1].status();
    cluster.restart(1);
    let after = cluster.engines[1].status();
    assert_eq!(after.partitions, before.partitions);
    assert_eq!(after.replica, before.replica);
    cluster.write(1, alloc::vec![write(2, "visits", Action::Decrement(2))]);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
}

#[test]
fn a_restored_backup_writes_under_a_new_identity() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("before".into()))]);
    cluster.settle();
    let backup = cluster.logs[0].clone();
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("after".into()))]);
    cluster.settle();
    let old = cluster.engines[0].status().replica;
    cluster.logs[0] = backup;
    cluster.restart(0);
    cluster.connect(0, 1);
    cluster.settle();
    assert_ne!(cluster.engines[0].status().replica, old);
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("anew".into()))]);
    cluster.settle();
    cluster.assert_agreement();
    let Some(Cell::Set(elements)) = cluster.peek(0, &item(1, "list")) else { panic!("missing") };
    assert_eq!(elements.len(), 3);
}

#[test]
fn a_command_with_one_bad_write_changes_nothing() {
    let mut cluster = Cluster::new(1);
    let before = cluster.engines[0].status();
    let reply = cluster.write(
        0,
        alloc::vec![write(2, "visits", Action::Increment(1)), write(2, "visits", Action::Add("milk".into()))],
    );
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    assert_eq!(cluster.engines[0].status(), before);
}

#[test]
fn an_update_of_a_version_that_is_no_longer_current_is_refused() {
    let mut cluster = Cluster::new(1);
    let first = version_of(&cluster.write(0, alloc::vec![write(0, "note", Action::Put("one".into()))]));
    cluster.write(0, alloc::vec![write(0, "note", Action::Put("two".into()))]);
    let late = Action::Update { parent: first, body: Some("three".into()) };
    assert!(matches!(cluster.write(0, alloc::vec![write(0, "note", late)]), Reply::Refused(_)));
}

#[test]
fn effects_wait_for_the_disk() {
    let mut engine = Engine::open(config(1, 0), Vec::<(Lsn, Vec<u8>)>::new(), Cluster::new(0).now()).unwrap();
    let now = Cluster::new(0).now();
    let outputs = |engine: &mut Engine| core::iter::from_fn(|| engine.poll_output()).collect::<Vec<_>>();
    outputs(&mut engine);
    let request = Request::Write(alloc::vec![write(2, "visits", Action::Increment(1))]);
    engine.handle(now, Input::Request { id: RequestId(1), request });
    let before = outputs(&mut engine);
    assert!(before.iter().any(|output| matches!(output, Output::Append { .. })));
    assert!(!before.iter().any(|output| matches!(output, Output::Reply { .. })), "{before:?}");
    let deadline = now.instant + Duration::from_secs(1);
    let read = Request::Read { item: item(2, "visits"), deadline };
    engine.handle(now, Input::Request { id: RequestId(2), request: read });
    assert!(!outputs(&mut engine).iter().any(|output| matches!(output, Output::Reply { .. })));
    engine.handle(now, Input::Durable { lsn: Lsn::new(99) });
    let replies = outputs(&mut engine).iter().filter(|output| matches!(output, Output::Reply { .. })).count();
    assert_eq!(replies, 2);
}

#[test]
fn garbage_ends_one_link_and_the_others_go_on() {
    let mut cluster = Cluster::new(3);
    cluster.connect(0, 1);
    cluster.connect(0, 2);
    cluster.settle();
    let link = *cluster.links.iter().find(|(_, end)| end.2 == 0 && end.0 == 1).unwrap().0;
    cluster.handle(0, Input::Frame { link, bytes: b"GET / HTTP/1.1\r\n\r\n".to_vec() });
    cluster.deliver();
    assert!(
        cluster.events.iter().any(|(node, event)| *node == 0 && matches!(event, Event::Violation { .. }))
    );
    let peers = cluster.engines[0].status().peers;
    assert_eq!(peers, [PeerStatus { node: NodeId::from_u128(3), in_sync: true }]);
    cluster.write(2, alloc::vec![write(2, "visits", Action::Increment(1))]);
    cluster.settle();
    assert!(cluster.peek(0, &item(2, "visits")).is_some());
}

#[test]
fn nodes_with_other_declarations_do_not_mix() {
    let mut cluster = Cluster::new(2);
    let mut other = config(2, 0);
    other.collections[0].strategy = Strategy::LastWriterWins;
    cluster.engines[1] = Engine::open(other, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    cluster.drain(1);
    cluster.connect(0, 1);
    cluster.deliver();
    let refused = |(_, event): &(usize, Event)| {
        matches!(event, Event::LinkRefused { reason: Farewell::OtherCollections, .. })
    };
    assert!(cluster.events.iter().any(refused));
    assert!(cluster.engines[0].status().peers.is_empty());
}

#[test]
fn a_log_of_another_strategy_is_refused() {
    let mut cluster = Cluster::new(1);
    cluster.write(0, insert_many(0, 1, "body"));
    let mut other = config(1, 1);
    other.collections[0].strategy = Strategy::LastWriterWins;
    let refused = Engine::open(other, cluster.logs[0].clone(), cluster.now());
    assert_eq!(refused.err(), Some(RecoverError::OtherCollections));
}
