//! Partial replicas: a phone holds one project of many.

use super::*;
use crate::checkpoint::CheckpointPiece;
use crate::collection::Kind;
use crate::replica::{RecoverError, RunError, WriteError};
use crate::wire::{self, Greeting, Message};

pub(super) fn lists() -> CollectionId {
    collections()[1].id()
}

pub(super) fn project(name: &str) -> Scope {
    let counts = collections()[2].id();
    Scope::nothing().only(lists(), name).only(counts, name)
}

/// A cluster in which these nodes hold no more than this.
pub(super) fn with_scopes(nodes: u8, scopes: &[(u8, Scope)], adjust: impl Fn(&mut Config)) -> Cluster {
    let mut cluster = Cluster::new(nodes);
    for node in 0..nodes {
        let at = usize::from(node);
        let mut config = config(node + 1, 50 + node);
        adjust(&mut config);
        for (_, scope) in scopes.iter().filter(|(scoped, _)| *scoped == node) {
            config.scope = scope.clone();
        }
        cluster.logs[at].clear();
        cluster.engines[at] = Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
        cluster.drain(at);
    }
    cluster
}

pub(super) fn no_entries_kept(config: &mut Config) {
    config.limits.max_retained = 0;
}

pub(super) fn add(key: &str, element: &str) -> Vec<Write> {
    alloc::vec![write(1, key, Action::Add(element.into()))]
}

pub(super) fn remove(key: &str, element: &str) -> Vec<Write> {
    alloc::vec![write(1, key, Action::Remove(element.into()))]
}

pub(super) fn disconnect(cluster: &mut Cluster, a: usize, b: usize) {
    let between = cluster.links.iter().find(|(_, end)| (end.2, end.0) == (a, b));
    let Some((near, far)) = between.map(|(near, end)| (*near, end.1)) else { return };
    for (node, link) in [(a, near), (b, far)] {
        cluster.links.remove(&link);
        cluster.handle(node, Input::LinkDown { link });
    }
}

/// Lets time pass; what is sent to `phone` must not hold these bytes.
pub(super) fn settle_watching(cluster: &mut Cluster, phone: usize, secrets: &[&str]) {
    for _ in 0..20 {
        while let Some((link, bytes)) = cluster.frames.pop_front() {
            let Some(&(node, link, _)) = cluster.links.get(&link) else { continue };
            for secret in secrets.iter().filter(|_| node == phone) {
                let shown = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!shown, "{secret} was sent to the phone");
            }
            cluster.handle(node, Input::Frame { link, bytes });
        }
        cluster.micros += 300_000;
        for node in 0..cluster.engines.len() {
            cluster.handle(node, Input::Timer);
        }
    }
}

pub(super) fn keys(cluster: &Cluster, node: usize) -> Vec<Bytes> {
    cluster.engines[node].scan(lists(), Bytes::default()).map(|(key, _)| key.clone()).collect()
}

pub(super) fn is_in_sync(cluster: &Cluster, node: usize) -> bool {
    let peers = cluster.engines[node].status().peers;
    !peers.is_empty() && peers.iter().all(|peer| peer.in_sync)
}

fn violations(cluster: &Cluster) -> Vec<&Event> {
    let events = cluster.events.iter().map(|(_, event)| event);
    events.filter(|event| matches!(event, Event::Violation { .. })).collect()
}

#[test]
fn a_phone_holds_one_project_of_three_and_never_sees_a_byte_of_the_others() {
    for adjust in [|_: &mut Config| (), no_entries_kept] {
        let mut cluster = with_scopes(3, &[(2, project("apollo/"))], adjust);
        cluster.connect(0, 1);
        for element in ["rocket", "capsule"] {
            cluster.write(0, add("apollo/todo", element));
            cluster.write(0, add("gemini/classified", "warhead"));
            cluster.write(1, add("vostok/classified", "warhead"));
        }
        cluster.settle();
        let secrets = ["gemini", "vostok", "classified", "warhead"];
        cluster.connect(2, 0);
        settle_watching(&mut cluster, 2, &secrets);
        // And while it stays connected.
        cluster.write(0, add("apollo/done", "pad"));
        cluster.write(1, add("gemini/classified", "warhead two"));
        settle_watching(&mut cluster, 2, &secrets);
        assert_eq!(keys(&cluster, 2), [Bytes::from("apollo/done"), "apollo/todo".into()]);
        let todo = item(1, "apollo/todo");
        assert_eq!(cluster.peek(2, &todo), cluster.peek(0, &todo));
        assert_eq!(violations(&cluster), Vec::<&Event>::new());
        for node in 0..3 {
            assert!(is_in_sync(&cluster, node), "node {node}");
        }
    }
}

#[test]
fn what_a_phone_writes_reaches_everybody() {
    for adjust in [|_: &mut Config| (), no_entries_kept] {
        let mut cluster = with_scopes(4, &[(2, project("apollo/")), (3, project(""))], adjust);
        cluster.write(2, add("apollo/todo", "rocket"));
        cluster.connect(0, 1);
        cluster.connect(2, 0);
        cluster.connect(3, 1);
        cluster.settle();
        cluster.write(2, add("apollo/todo", "capsule"));
        cluster.write(2, remove("apollo/todo", "rocket"));
        cluster.settle();
        cluster.settle();
        let todo = item(1, "apollo/todo");
        for node in 0..4 {
            let Some(Cell::Set(elements)) = cluster.peek(node, &todo) else { panic!("node {node} lacks it") };
            assert_eq!(elements.to_sorted(), [&Bytes::from("capsule")], "node {node}");
            assert!(is_in_sync(&cluster, node), "node {node}");
        }
    }
}

#[test]
fn two_phones_that_meet_part_and_take_no_harm() {
    let mut cluster = with_scopes(3, &[(1, project("apollo/")), (2, project("gemini/"))], |_| ());
    cluster.write(1, add("apollo/todo", "rocket"));
    cluster.write(2, add("gemini/todo", "capsule"));
    cluster.connect(1, 2);
    cluster.settle();
    assert!(cluster.closed.contains(&Farewell::PartialReplica));
    assert_eq!(keys(&cluster, 1), [Bytes::from("apollo/todo")]);
    assert_eq!(keys(&cluster, 2), [Bytes::from("gemini/todo")]);
    cluster.connect(0, 1);
    cluster.connect(0, 2);
    cluster.settle();
    assert_eq!(keys(&cluster, 0), [Bytes::from("apollo/todo"), "gemini/todo".into()]);
}

#[test]
fn a_whole_node_behind_a_phone_gets_everything_when_it_meets_a_whole_one() {
    for adjust in [|_: &mut Config| (), no_entries_kept] {
        let mut cluster = with_scopes(3, &[(1, project("apollo/"))], adjust);
        cluster.connect(0, 1);
        for element in ["one", "two"] {
            cluster.write(0, add("gemini/todo", element));
            cluster.write(0, add("apollo/todo", element));
        }
        cluster.write(0, remove("apollo/todo", "one"));
        cluster.settle();
        cluster.write(1, add("apollo/todo", "three"));
        cluster.settle();
        disconnect(&mut cluster, 0, 1);
        // The phone's heads say more than this node may believe.
        cluster.connect(1, 2);
        cluster.settle();
        let author = cluster.engines[0].status().replica;
        let heads = cluster.engines[2].status().partitions[0].heads.clone();
        assert!(heads.iter().all(|(origin, _)| *origin != author), "nothing of it is held whole");
        cluster.connect(0, 2);
        cluster.settle();
        cluster.settle();
        assert_eq!(cluster.engines[0].status().partitions, cluster.engines[2].status().partitions);
        assert_eq!(keys(&cluster, 2), [Bytes::from("apollo/todo"), "gemini/todo".into()]);
        assert_eq!(cluster.peek(2, &item(1, "apollo/todo")), cluster.peek(1, &item(1, "apollo/todo")));
    }
}

#[test]
fn a_session_with_a_phone_removes_what_it_removed_and_nothing_else() {
    let mut cluster = with_scopes(2, &[(1, project("apollo/"))], no_entries_kept);
    cluster.write(0, add("apollo/todo", "rocket"));
    cluster.write(0, add("gemini/todo", "capsule"));
    cluster.connect(0, 1);
    cluster.settle();
    disconnect(&mut cluster, 0, 1);
    cluster.write(1, remove("apollo/todo", "rocket"));
    cluster.write(0, add("gemini/todo", "pad"));
    cluster.connect(0, 1);
    cluster.settle();
    assert!(cluster.finished_sessions() >= 4, "both sides, twice");
    assert_eq!(keys(&cluster, 0), [Bytes::from("gemini/todo")]);
    assert_eq!(keys(&cluster, 1), Vec::<Bytes>::new());
}

#[test]
fn outside_its_scope_a_phone_neither_writes_nor_answers() {
    let mut cluster = with_scopes(1, &[(0, project("apollo/"))], |_| ());
    let reply = cluster.write(0, add("gemini/todo", "capsule"));
    assert_eq!(reply, Reply::Refused(WriteError::OutOfScope { index: 0 }));
    let mixed = [add("apollo/todo", "rocket"), add("gemini/todo", "capsule")].concat();
    assert_eq!(cluster.write(0, mixed), Reply::Refused(WriteError::OutOfScope { index: 1 }));
    assert_eq!(keys(&cluster, 0), Vec::<Bytes>::new());
    let deadline = Instant::from_micros(u64::MAX);
    let read = Request::Read { item: item(1, "gemini/todo"), deadline };
    let in_session =
        |request: Request| Request::InSession { token: Bytes::default(), request: request.into() };
    let scan = Request::Scan { collection: lists(), from: Bytes::default(), limit: 9, deadline };
    for (id, request) in [(1, read.clone()), (2, in_session(read)), (3, in_session(scan.clone()))] {
        cluster.handle(0, Input::Request { id: RequestId(id), request });
        assert_eq!(cluster.replies.remove(&id), Some(Reply::OutOfScope));
    }
    cluster.handle(0, Input::Request { id: RequestId(4), request: scan });
    assert_eq!(cluster.replies.remove(&4), Some(Reply::Cells(Vec::new())));
}

#[test]
fn a_phone_is_the_same_after_a_restart_and_from_a_checkpoint() {
    let mut cluster = with_scopes(2, &[(1, project("apollo/"))], |_| ());
    cluster.connect(0, 1);
    for round in ["one", "two", "three"] {
        cluster.write(0, add("gemini/todo", round));
        cluster.write(0, add("apollo/todo", round));
        cluster.write(1, add("apollo/todo", &alloc::format!("my {round}")));
        cluster.settle();
        let now = cluster.now();
        cluster.engines[1].distrust_past(now);
        cluster.drain(1);
    }
    cluster.settle();
    let config = config(2, 99).with_scope(project("apollo/"));
    let now = cluster.now();
    let phone = &mut cluster.engines[1];
    phone.begin_checkpoint();
    let mut checkpoint = Vec::new();
    while let CheckpointPiece::Bytes(piece) = phone.next_piece(64).unwrap() {
        checkpoint.push(piece);
    }
    let own = |engine: &Engine| engine.replica.partition(0).histories.own_of_partial().collect::<Vec<_>>();
    assert_eq!(own(phone).len(), 4);
    let replayed = Engine::open(config.clone(), cluster.logs[1].clone(), now).unwrap();
    let loaded = Engine::open_from(config, &checkpoint, Vec::<(Lsn, Vec<u8>)>::new(), now).unwrap();
    for other in [&replayed, &loaded] {
        assert_eq!(other.status().partitions, cluster.engines[1].status().partitions);
        assert_eq!(own(other), own(&cluster.engines[1]));
        assert_eq!(other.replica.partition(0).context, cluster.engines[1].replica.partition(0).context);
    }
}

#[test]
fn a_scope_is_for_life() {
    let cluster = with_scopes(1, &[(0, project("apollo/"))], |_| ());
    for scope in [Scope::everything(), project("gemini/"), project("")] {
        let config = config(1, 99).with_scope(scope);
        let opened = Engine::open(config, cluster.logs[0].clone(), cluster.now());
        assert_eq!(opened.err(), Some(RecoverError::OtherScope));
    }
}

#[test]
fn who_may_read_one_project_may_hold_it_and_nothing_else() {
    use crate::authorize::{Authorization, Authorize, Op};
    struct ListsOnly;
    impl Authorize for ListsOnly {
        fn authorize(&self, _: NodeId, collection: CollectionId, op: Op<'_>) -> bool {
            !matches!(op, Op::Read) || collection == lists()
        }
    }
    let only = Scope::nothing().only(lists(), "apollo/");
    for (scope, told) in [(only, None), (project("apollo/"), Some(Farewell::Unauthorized))] {
        let mut cluster = with_scopes(2, &[(1, scope)], |config| {
            if config.node == NodeId::from_u128(1) {
                config.authorization = Authorization::by(ListsOnly);
            }
        });
        cluster.connect(0, 1);
        cluster.settle();
        assert_eq!(cluster.closed.first().copied(), told);
    }
}

#[test]
fn a_peer_with_too_many_selectors_is_refused() {
    let mut cluster = with_scopes(1, &[], |config| config.limits.max_selectors = 2);
    stranger(&mut cluster, Scope::nothing().only(lists(), "a").only(lists(), "b").only(lists(), "c"));
    assert_eq!(cluster.closed, [Farewell::Full]);
}

/// A state outside the scope would pass for a removal of what is held there: the peer's context covers what it skipped.
#[test]
fn states_outside_the_scope_of_the_peer_are_refused_and_remove_nothing() {
    use crate::wire::{ItemState, Standing, StatesPart};
    let mut cluster = with_scopes(1, &[], |_| ());
    cluster.write(0, add("gemini/todo", "capsule"));
    let link = stranger(&mut cluster, project("apollo/"));
    let partition = cluster.engines[0].replica.partition(0);
    let standing = Standing { root: (0, 0), ..partition.standing() };
    let items = alloc::vec![ItemState {
        key: "gemini/todo".into(),
        state: Bytes::default(),
        more: false,
        old: false
    }];
    let part = StatesPart { index: 0, collection: lists(), items, ahead: Vec::new() };
    super::adversity::offer(&mut cluster, link, standing, part);
    let error = PeerError::Data(RunError::OutOfScope { collection: lists() });
    assert_eq!(violations(&cluster), [&Event::Violation { link, error }]);
    assert_eq!(keys(&cluster, 0), [Bytes::from("gemini/todo")]);
}

/// A connection to node 0 from somebody who says that this is all it holds.
fn stranger(cluster: &mut Cluster, scope: Scope) -> LinkId {
    let link = LinkId(1_000_000);
    cluster.handle(0, Input::LinkUp { link, dialed: false });
    let mut collections: Vec<_> = collections().iter().map(Collection::id).collect();
    collections.sort();
    let (node, cluster_check) = (NodeId::from_u128(77), config(1, 0).cluster.check());
    let greeting = Greeting { node, cluster_check, partitions: 1, collections, incarnation: 77, scope };
    say(cluster, link, &Message::Greeting(greeting));
    link
}

fn say(cluster: &mut Cluster, link: LinkId, message: &Message) {
    cluster.handle(0, Input::Frame { link, bytes: wire::encode(message) });
}

fn excerpt_of(delta: &[(&str, bool)]) -> wire::Excerpt {
    use crate::entry::{Chain, Delta, Entry, Position};
    use wire::Piece;
    let (origin, mut at) = (ReplicaId::from_u128(5), Position::default());
    let mut pieces = Vec::new();
    for (key, shown) in delta {
        let delta = Delta::SetAdd { element: "x".into(), superseded: Vec::new() };
        let entry = Entry { stamp: crdt_core::Hlc::ZERO, collection: lists(), key: (*key).into(), delta };
        let piece = Piece::Entry(crdt_core::codec::encode_payload(&entry).into());
        let behind = piece.behind(at, (0, origin)).unwrap();
        pieces.push(if *shown { piece } else { Piece::Skipped { count: 1, chain: behind.chain } });
        at = behind;
    }
    let after = Position { sequence: 0, chain: Chain::START };
    wire::Excerpt { partition: 0, origin, after, pieces, chain: at.chain }
}

#[test]
fn entries_outside_the_scope_are_refused_and_end_the_link() {
    let mut cluster = with_scopes(1, &[(0, project("apollo/"))], |_| ());
    let link = stranger(&mut cluster, Scope::everything());
    say(&mut cluster, link, &Message::Excerpt(excerpt_of(&[("apollo/a", true), ("gemini/b", true)])));
    let error = PeerError::Data(RunError::OutOfScope { collection: lists() });
    assert_eq!(violations(&cluster), [&Event::Violation { link, error }]);
    assert_eq!(keys(&cluster, 0), Vec::<Bytes>::new(), "nothing of it was taken");
}

#[test]
fn an_excerpt_is_taken_once_however_it_is_cut_and_a_false_chain_is_seen_where_it_can_be() {
    let mut cluster = with_scopes(1, &[(0, project("apollo/"))], |_| ());
    let whole = excerpt_of(&[("apollo/a", true), ("", false), ("", false), ("apollo/b", true)]);
    let wall = cluster.now().wall;
    let replica = &mut cluster.engines[0].replica;
    let cut = |pieces: usize| {
        let mut cut = wire::Excerpt { pieces: whole.pieces[..pieces].to_vec(), ..whole.clone() };
        cut.chain = cut.last().chain;
        cut
    };
    let mut broken = whole.clone();
    broken.chain = whole.after.chain;
    let error = RunError::BrokenChain { origin: whole.origin, after: 0 };
    assert_eq!(replica.apply_excerpt(&broken, wall), Err(error));
    for (pieces, news) in [(2, 2), (1, 0), (3, 1), (4, 1), (4, 0)] {
        assert_eq!(replica.apply_excerpt(&cut(pieces), wall), Ok(crate::replica::RunOutcome::Applied(news)));
    }
    let mut other = cut(4);
    other.pieces[3] = whole.pieces[0].clone();
    other.chain = other.last().chain;
    let error = RunError::Forked { origin: whole.origin, sequence: 4 };
    assert_eq!(replica.apply_excerpt(&other, wall), Err(error));
    assert_eq!(replica.partition(0).heads(), [(whole.origin, whole.last())]);
    assert_eq!(replica.partition(0).context.highest(whole.origin), 4);
    assert_eq!(replica.kind_of(lists()), Ok(Kind::Set));
}

#[test]
fn a_run_is_no_message_for_a_phone_nor_an_excerpt_for_a_whole_node() {
    let excerpt = excerpt_of(&[("apollo/a", true)]);
    let entries = alloc::vec!["entry".into()];
    let (after, chain) = (excerpt.after, excerpt.chain);
    let run = wire::Run { partition: 0, origin: excerpt.origin, after, entries, chain };
    for (scope, message) in
        [(Scope::everything(), Message::Excerpt(excerpt)), (project("apollo/"), Message::Run(run))]
    {
        let mut cluster = with_scopes(1, &[(0, scope)], |_| ());
        let link = stranger(&mut cluster, Scope::everything());
        say(&mut cluster, link, &message);
        assert!(matches!(
            violations(&cluster)[..],
            [Event::Violation { error: PeerError::Unexpected { .. }, .. }]
        ));
    }
}

#[test]
fn a_fork_among_whole_nodes_fences_the_phones_that_cannot_divide_it() {
    let mut cluster = with_scopes(3, &[(2, project("apollo/"))], |_| ());
    cluster.connect(0, 1);
    cluster.connect(2, 1);
    cluster.write(0, add("apollo/todo", "before"));
    cluster.settle();
    let backup = cluster.logs[0].clone();
    cluster.write(0, add("apollo/todo", "after"));
    cluster.write(0, add("gemini/classified", "after"));
    cluster.settle();
    cluster.logs[0] = backup;
    cluster.restart(0);
    cluster.write(0, add("apollo/todo", "other"));
    cluster.connect(0, 1);
    cluster.settle();
    cluster.settle();
    let told =
        |cluster: &Cluster, what: fn(&Event) -> bool| cluster.events.iter().filter(|(_, e)| what(e)).count();
    assert!(told(&cluster, |event| matches!(event, Event::ForkHealed { .. })) > 0);
    assert_eq!(cluster.engines[0].status().partitions, cluster.engines[1].status().partitions);
    let fenced = |event: &Event| matches!(event, Event::PartialFenced { .. });
    assert_eq!(told(&cluster, fenced), 2, "both sides, once");
    // What the phone writes goes on to reach the others, and nothing that was written is lost.
    cluster.write(2, add("apollo/todo", "phone"));
    cluster.settle();
    for node in 0..2 {
        let Some(Cell::Set(elements)) = cluster.peek(node, &item(1, "apollo/todo")) else { panic!() };
        assert_eq!(elements.to_sorted().len(), 4);
    }
    assert_eq!(violations(&cluster), Vec::<&Event>::new());
    assert_eq!(told(&cluster, fenced), 2);
}
