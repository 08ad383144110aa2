//! Sessions of clients: what one wrote and was shown, it finds at every node, or is told that it cannot.

use super::*;
use crate::limits::Limits;
use crate::session::{Missing, SessionToken, TokenError};

/// A client that goes from node to node with its token.
#[derive(Clone, Default)]
pub(super) struct Client {
    token: Bytes,
}

impl Client {
    /// Asks, and returns the number of the request: the answer may take a while.
    pub(super) fn ask(&self, cluster: &mut Cluster, node: usize, request: Request) -> u64 {
        cluster.next += 1;
        let id = RequestId(cluster.next);
        let request = Request::InSession { token: self.token.clone(), request: request.into() };
        cluster.handle(node, Input::Request { id, request });
        id.0
    }

    /// The answer, if there is one, and with it the token from now on.
    pub(super) fn answer(&mut self, cluster: &mut Cluster, id: u64) -> Option<Reply> {
        match cluster.replies.remove(&id)? {
            Reply::InSession { token, reply } => {
                self.token = token;
                Some(*reply)
            }
            bare => Some(bare),
        }
    }

    pub(super) fn now(&mut self, cluster: &mut Cluster, node: usize, request: Request) -> Option<Reply> {
        let id = self.ask(cluster, node, request);
        self.answer(cluster, id)
    }

    pub(super) fn write(&mut self, cluster: &mut Cluster, node: usize, write: Write) {
        let reply = self.now(cluster, node, Request::Write(alloc::vec![write]));
        assert!(matches!(reply, Some(Reply::Written(_))), "{reply:?}");
    }

    pub(super) fn named(&self) -> Vec<(u16, ReplicaId, u64)> {
        let cluster = config(1, 0).cluster;
        match SessionToken::decode(&self.token, &cluster, &Limits::default()) {
            Ok(SessionToken::Causal(causal)) => {
                let all = causal.partitions();
                all.flat_map(|(p, origins)| origins.map(move |(origin, last)| (p, origin, last))).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn read(cluster: &Cluster, item: ItemKey) -> Request {
    Request::Read { item, deadline: cluster.now().instant + Duration::from_secs(3) }
}

pub(super) fn title(text: &str) -> Write {
    write(3, "profile", Action::Set(Some(text.into())))
}

/// What a reply shows of the register.
pub(super) fn shown(reply: Option<Reply>) -> Option<Bytes> {
    match reply {
        Some(Reply::Value(Some(Cell::Register(register)))) => register.get().cloned(),
        Some(Reply::Value(None)) => None,
        other => panic!("{other:?}"),
    }
}

pub(super) fn replica_of(cluster: &Cluster, node: usize) -> ReplicaId {
    cluster.engines[node].status().replica
}

/// Two connected nodes that agree on a profile picture.
fn two_with_a_picture() -> Cluster {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.write(0, alloc::vec![title("old picture")]);
    cluster.settle();
    cluster
}

/// Lets a second pass without anything being delivered.
fn wait(cluster: &mut Cluster, node: usize) {
    cluster.micros += 1_000_000;
    cluster.handle(node, Input::Timer);
}

pub(super) fn cut(cluster: &mut Cluster) {
    for (link, (_, _, node)) in core::mem::take(&mut cluster.links) {
        cluster.handle(node, Input::LinkDown { link });
    }
    cluster.frames.clear();
}

#[test]
fn whoever_changes_a_picture_here_sees_it_there_as_soon_as_it_arrives() {
    let mut cluster = two_with_a_picture();
    let mut client = Client::default();
    client.write(&mut cluster, 0, title("new picture"));
    // The write is on its way. Without the session the other node shows what it has.
    let profile = item(3, "profile");
    let request = read(&cluster, profile.clone());
    assert_eq!(shown(Client::default().now(&mut cluster, 1, request.clone())), Some("old picture".into()));
    let waiting = client.ask(&mut cluster, 1, request);
    assert_eq!(client.answer(&mut cluster, waiting), None);
    cluster.deliver();
    assert_eq!(shown(client.answer(&mut cluster, waiting)), Some("new picture".into()));
}

#[test]
fn what_was_shown_once_is_not_gone_at_an_older_node() {
    let mut cluster = two_with_a_picture();
    cut(&mut cluster);
    cluster.write(0, alloc::vec![title("new picture")]);
    let mut client = Client::default();
    let profile = item(3, "profile");
    let request = read(&cluster, profile.clone());
    assert_eq!(shown(client.now(&mut cluster, 0, request.clone())), Some("new picture".into()));
    let waiting = client.ask(&mut cluster, 1, request);
    wait(&mut cluster, 1);
    assert_eq!(client.answer(&mut cluster, waiting), None, "it waits, and does not go back");
    cluster.connect(0, 1);
    cluster.deliver();
    assert_eq!(shown(client.answer(&mut cluster, waiting)), Some("new picture".into()));
}

#[test]
fn a_removal_that_was_seen_stays_seen() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("milk".into()))]);
    cluster.settle();
    cut(&mut cluster);
    cluster.write(0, alloc::vec![write(1, "list", Action::Remove("milk".into()))]);
    let mut client = Client::default();
    let request = read(&cluster, item(1, "list"));
    assert_eq!(client.now(&mut cluster, 0, request.clone()), Some(Reply::Value(None)));
    let waiting = client.ask(&mut cluster, 1, request);
    assert_eq!(client.answer(&mut cluster, waiting), None);
    cluster.connect(0, 1);
    cluster.deliver();
    assert_eq!(client.answer(&mut cluster, waiting), Some(Reply::Value(None)));
}

#[test]
fn a_deadline_that_passes_says_what_is_missing() {
    let mut cluster = two_with_a_picture();
    cut(&mut cluster);
    let mut client = Client::default();
    for picture in ["new picture", "newer picture"] {
        client.write(&mut cluster, 0, title(picture));
    }
    let before = client.token.clone();
    let request = read(&cluster, item(3, "profile"));
    let waiting = client.ask(&mut cluster, 1, request);
    for _ in 0..2 {
        wait(&mut cluster, 1);
        assert_eq!(client.answer(&mut cluster, waiting), None);
    }
    wait(&mut cluster, 1);
    let missing = alloc::vec![Missing { partition: 0, origin: replica_of(&cluster, 0), entries: 2 }];
    assert_eq!(client.answer(&mut cluster, waiting), Some(Reply::Behind { missing }));
    assert_eq!(client.token, before, "nothing was shown");
    // A client that cannot wait begins anew.
    let request = read(&cluster, item(3, "profile"));
    assert_eq!(shown(Client::default().now(&mut cluster, 1, request)), Some("old picture".into()));
}

#[test]
fn the_engine_wakes_at_the_deadline_of_a_read() {
    let mut cluster = two_with_a_picture();
    cut(&mut cluster);
    let mut client = Client::default();
    client.write(&mut cluster, 0, title("new picture"));
    let deadline = cluster.now().instant + Duration::from_millis(1);
    let request = Request::Read { item: item(3, "profile"), deadline };
    let asked = Request::InSession { token: client.token.clone(), request: request.into() };
    let now = cluster.now();
    cluster.engines[1].handle(now, Input::Request { id: RequestId(7_777), request: asked });
    let timer = core::iter::from_fn(|| cluster.engines[1].poll_output())
        .find_map(|output| if let Output::SetTimer { at } = output { Some(at) } else { None });
    assert_eq!(timer, Some(deadline));
}

#[test]
fn a_read_does_not_wait_for_another_partition() {
    let mut cluster = Cluster::new(2);
    for node in 0..2 {
        cluster.logs[node].clear();
        let mut config = config(u8::try_from(node + 1).unwrap(), 7);
        config.partitions = 8;
        cluster.engines[node] = Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
        cluster.drain(node);
    }
    let number = |key: &str| cluster.engines[0].replica.partition_of(item(3, key).collection, key.as_bytes());
    let keys: Vec<_> = (0..20).map(|n| alloc::format!("key-{n}")).collect();
    let (one, other) = (&keys[0], keys.iter().find(|key| number(key) != number(&keys[0])).unwrap());
    let set = |key: &str| write(3, key, Action::Set(Some("x".into())));
    let mut client = Client::default();
    client.write(&mut cluster, 0, set(one));
    let request = read(&cluster, item(3, other));
    assert_eq!(client.now(&mut cluster, 1, request), Some(Reply::Value(None)));
    let request = read(&cluster, item(3, one));
    assert_eq!(client.now(&mut cluster, 1, request), None);
    let deadline = cluster.now().instant + Duration::from_secs(3);
    let scan =
        Request::Scan { collection: item(3, "").collection, from: Bytes::default(), limit: 9, deadline };
    let scanning = client.ask(&mut cluster, 1, scan);
    assert_eq!(client.answer(&mut cluster, scanning), None, "a scan looks at all partitions");
    cluster.connect(0, 1);
    cluster.deliver();
    assert!(matches!(client.answer(&mut cluster, scanning), Some(Reply::Cells(cells)) if cells.len() == 1));
}

#[test]
fn a_read_depends_on_what_wrote_the_key_and_not_on_what_came_later() {
    let mut cluster = two_with_a_picture();
    cluster.write(0, insert_many(0, 50, "something else"));
    cluster.write(1, insert_many(50, 60, "something else"));
    cluster.settle();
    let writer = replica_of(&cluster, 0);
    let mut client = Client::default();
    let request = read(&cluster, item(3, "profile"));
    client.now(&mut cluster, 1, request);
    assert_eq!(client.named(), [(0, writer, 1)]);
    let mut client = Client::default();
    let request = read(&cluster, item(3, "nobody's"));
    client.now(&mut cluster, 1, request);
    assert_eq!(client.named().len(), 2, "a key that is not held may have been removed by anybody");
}

#[test]
fn a_write_that_found_its_work_done_depends_on_whoever_did_it() {
    let mut cluster = Cluster::new(3);
    cluster.connect(0, 1);
    cluster.write(0, insert_many(0, 1, "the same"));
    cluster.settle();
    let mut client = Client::default();
    client.write(&mut cluster, 1, insert_many(0, 1, "the same").remove(0));
    assert_eq!(client.named(), [(0, replica_of(&cluster, 0), 1)]);
    let request = read(&cluster, item(0, "key-00000"));
    assert_eq!(client.now(&mut cluster, 2, request), None, "the third node has neither");
}

/// What decides between two writes of a register is their stamps, and clocks differ.
#[test]
fn a_write_comes_after_what_its_session_wrote_elsewhere() {
    let mut cluster = two_with_a_picture();
    cut(&mut cluster);
    let mut client = Client::default();
    let mut fast = cluster.now();
    fast.wall = WallTime::from_millis(fast.wall.as_millis() + 30_000);
    let request = Request::Write(alloc::vec![title("by a fast clock")]);
    let request = Request::InSession { token: Bytes::default(), request: request.into() };
    cluster.engines[0].handle(fast, Input::Request { id: RequestId(7_777), request });
    cluster.drain(0);
    assert!(matches!(client.answer(&mut cluster, 7_777), Some(Reply::Written(_))));
    client.write(&mut cluster, 1, title("by a slow clock, later"));
    cluster.connect(0, 1);
    cluster.settle();
    let request = read(&cluster, item(3, "profile"));
    assert_eq!(shown(client.now(&mut cluster, 0, request)), Some("by a slow clock, later".into()));
}

/// States arrive one by one, and show writes that the frontier does not name before the session is through.
#[test]
fn what_half_a_merkle_session_showed_is_not_gone_elsewhere() {
    let mut cluster = Cluster::new(3);
    cluster.write(0, insert_many(0, 6_000, "body"));
    cluster.connect(0, 1);
    while cluster.engines[1].status().partitions[0].keys < 2_000 {
        let (link, bytes) = cluster.frames.pop_front().unwrap();
        if let Some(&(node, link, _)) = cluster.links.get(&link) {
            cluster.handle(node, Input::Frame { link, bytes });
        }
    }
    assert_eq!(cluster.engines[1].status().partitions[0].heads, [], "nothing is raised yet");
    // The session breaks off, and the node starts again: its log knows as much.
    cluster.restart(1);
    cluster.frames.clear();
    let mut client = Client::default();
    let request = read(&cluster, item(0, "key-00000"));
    assert!(matches!(client.now(&mut cluster, 1, request), Some(Reply::Value(Some(_)))));
    assert_eq!(client.named(), [(0, replica_of(&cluster, 0), 6_000)]);
    let request = read(&cluster, item(0, "key-00000"));
    let waiting = client.ask(&mut cluster, 2, request);
    assert_eq!(client.answer(&mut cluster, waiting), None);
    cluster.connect(0, 2);
    cluster.deliver();
    assert!(matches!(client.answer(&mut cluster, waiting), Some(Reply::Value(Some(_)))));
}

/// A state is encoded when its turn comes, and by then it may show more than the sender's frontier did at the start.
#[test]
fn a_state_that_changed_while_a_merkle_session_ran_names_the_change() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, insert_many(0, 6_000, &"body".repeat(100)));
    cluster.connect(0, 1);
    let mut changed = false;
    while let Some((link, bytes)) = cluster.frames.pop_front() {
        if let Some(&(node, link, _)) = cluster.links.get(&link) {
            cluster.handle(node, Input::Frame { link, bytes });
        }
        if !changed && cluster.engines[1].status().partitions[0].keys > 500 {
            cluster.write(0, alloc::vec![write(0, "key-05999", Action::Put("changed".into()))]);
            changed = true;
        }
        if cluster.engines[1].status().partitions[0].keys == 6_000 {
            break;
        }
    }
    let mut client = Client::default();
    let request = read(&cluster, item(0, "key-05999"));
    let Some(Reply::Value(Some(Cell::Document(document)))) = client.now(&mut cluster, 1, request) else {
        panic!("not shown")
    };
    assert_eq!(document.winner().unwrap().body(), Some(&"changed".into()));
    assert_eq!(client.named(), [(0, replica_of(&cluster, 0), 6_001)]);
}

#[test]
fn a_token_of_another_cluster_is_refused() {
    let mut cluster = two_with_a_picture();
    let foreign = SessionToken::default().encode(&ClusterKey::from_bytes([1; 16]));
    let mut client = Client { token: foreign.into() };
    for request in [read(&cluster, item(3, "profile")), Request::Write(alloc::vec![title("x")])] {
        let reply = client.now(&mut cluster, 0, request);
        assert_eq!(reply, Some(Reply::TokenRefused(TokenError::OtherCluster)));
    }
    assert!(cluster.engines[0].peek(&item(3, "profile")) == cluster.engines[1].peek(&item(3, "profile")));
}

#[test]
fn a_token_of_another_topology_and_a_session_in_a_session_are_refused() {
    let mut cluster = two_with_a_picture();
    let token = SessionToken::SingleLeader { epoch: 1, lsn: 1 }.encode(&config(1, 0).cluster);
    let mut client = Client { token: token.into() };
    let request = read(&cluster, item(3, "profile"));
    let reply = client.now(&mut cluster, 0, request.clone());
    assert_eq!(reply, Some(Reply::TokenRefused(TokenError::OtherTopology)));
    let nested = Request::InSession { token: Bytes::default(), request: request.into() };
    let reply = Client::default().now(&mut cluster, 0, nested);
    assert_eq!(reply, Some(Reply::TokenRefused(TokenError::Nested)));
}

#[test]
fn a_restart_in_between_changes_nothing_for_a_session() {
    let mut cluster = two_with_a_picture();
    cut(&mut cluster);
    let mut client = Client::default();
    client.write(&mut cluster, 0, title("new picture"));
    cluster.restart(0);
    cluster.restart(1);
    let request = read(&cluster, item(3, "profile"));
    assert_eq!(shown(client.now(&mut cluster, 0, request.clone())), Some("new picture".into()));
    let waiting = client.ask(&mut cluster, 1, request);
    assert_eq!(client.answer(&mut cluster, waiting), None);
    cluster.connect(0, 1);
    cluster.deliver();
    assert_eq!(shown(client.answer(&mut cluster, waiting)), Some("new picture".into()));
}

#[test]
fn writes_of_an_identity_that_was_given_up_are_covered_like_others() {
    let mut cluster = two_with_a_picture();
    let mut client = Client::default();
    client.write(&mut cluster, 0, title("new picture"));
    let now = cluster.now();
    cluster.engines[0].distrust_past(now);
    cluster.drain(0);
    client.write(&mut cluster, 0, title("newer picture"));
    assert_eq!(client.named().len(), 2);
    let request = read(&cluster, item(3, "profile"));
    let waiting = client.ask(&mut cluster, 1, request);
    cluster.settle();
    assert_eq!(shown(client.answer(&mut cluster, waiting)), Some("newer picture".into()));
}

/// Under a weaker policy than waiting for the disk a machine may lose what it acknowledged.
#[test]
fn a_write_that_no_node_has_any_more_ends_a_wait_at_its_deadline() {
    let mut cluster = two_with_a_picture();
    cut(&mut cluster);
    let backup = cluster.logs[0].clone();
    let mut client = Client::default();
    client.write(&mut cluster, 0, title("lost picture"));
    let lost = replica_of(&cluster, 0);
    cluster.logs[0] = backup;
    cluster.restart(0);
    let now = cluster.now();
    cluster.engines[0].distrust_past(now);
    cluster.drain(0);
    cluster.connect(0, 1);
    let request = read(&cluster, item(3, "profile"));
    let waiting = [client.ask(&mut cluster, 0, request.clone()), client.ask(&mut cluster, 1, request)];
    cluster.settle();
    let missing = alloc::vec![Missing { partition: 0, origin: lost, entries: 1 }];
    for id in waiting {
        assert_eq!(client.answer(&mut cluster, id), Some(Reply::Behind { missing: missing.clone() }));
    }
}

#[test]
fn a_failed_log_answers_the_reads_that_wait() {
    let mut cluster = two_with_a_picture();
    cut(&mut cluster);
    let mut client = Client::default();
    client.write(&mut cluster, 0, title("new picture"));
    let request = read(&cluster, item(3, "profile"));
    let waiting = client.ask(&mut cluster, 1, request);
    cluster.handle(1, Input::LogFailed);
    assert_eq!(client.answer(&mut cluster, waiting), Some(Reply::Ended));
}

#[test]
fn reads_that_wait_are_bounded() {
    let mut cluster = Cluster::new(1);
    let mut config = config(2, 7);
    config.limits.max_waiting = 3;
    let engine = Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    cluster.engines.push(engine);
    cluster.logs.push(Vec::new());
    cluster.drain(1);
    let mut client = Client::default();
    client.write(&mut cluster, 0, title("new picture"));
    let request = read(&cluster, item(3, "profile"));
    let waiting: Vec<u64> = (0..5).map(|_| client.ask(&mut cluster, 1, request.clone())).collect();
    let replies: Vec<_> = waiting.iter().map(|id| client.answer(&mut cluster, *id)).collect();
    let overloaded = Some(Reply::Overloaded);
    assert_eq!(replies, [None, None, None, overloaded.clone(), overloaded]);
}

#[test]
fn a_session_that_depends_on_too_many_origins_is_told_before_anything_is_written() {
    let mut cluster = two_with_a_picture();
    let mut config = config(2, 1);
    config.limits.max_token = 80;
    cluster.engines[1] = Engine::open(config, cluster.logs[1].clone(), cluster.now()).unwrap();
    cluster.drain(1);
    let mut client = Client::default();
    let request = read(&cluster, item(3, "profile"));
    client.now(&mut cluster, 1, request);
    let keys = cluster.engines[1].status();
    let reply =
        client.now(&mut cluster, 1, Request::Write(alloc::vec![write(2, "visits", Action::Increment(1))]));
    assert!(matches!(reply, Some(Reply::TokenRefused(TokenError::Overflow { limit: 80, .. }))), "{reply:?}");
    assert_eq!(cluster.engines[1].status(), keys);
    // Nor is anything shown that the token could not name.
    cluster.write(1, alloc::vec![write(2, "visits", Action::Increment(1))]);
    let request = read(&cluster, item(3, "nobody's"));
    let reply = Client::default().now(&mut cluster, 1, request);
    assert!(matches!(reply, Some(Reply::TokenRefused(TokenError::Overflow { limit: 80, .. }))), "{reply:?}");
}
