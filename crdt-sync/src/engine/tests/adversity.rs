//! Forks, hostile frames, unlucky orders and sizes: nothing acknowledged is lost, nobody waits for ever.

use core::ops::Range;

use super::*;
use crate::entry::{Chain, Position};
use crate::wire::{
    self, Frontier, Greeting, Message, OriginStatus, Run, Session, SessionStep, Standing, StatesPart,
};

fn elements(cluster: &Cluster, node: usize, key: &str) -> Vec<Bytes> {
    match cluster.peek(node, &item(1, key)) {
        Some(Cell::Set(elements)) => elements.to_sorted().into_iter().cloned().collect(),
        _ => Vec::new(),
    }
}

fn add(key: &str, element: &str) -> Vec<Write> {
    alloc::vec![write(1, key, Action::Add(element.into()))]
}

fn increment() -> Vec<Write> {
    alloc::vec![write(2, "hits", Action::Increment(1))]
}

fn insert_bodies(range: Range<u32>, body: &str) -> Vec<Write> {
    range.map(|n| write(0, &alloc::format!("key-{n:05}"), Action::Insert(body.into()))).collect()
}

/// A node is restored from a backup and writes before it meets anybody.
fn restored_and_written(writes: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.write(0, add("list", "before"));
    cluster.settle();
    let backup = cluster.logs[0].clone();
    cluster.write(0, add("list", "after"));
    cluster.settle();
    cluster.logs[0] = backup;
    cluster.restart(0);
    for element in writes {
        cluster.write(0, add("list", element));
    }
    cluster.connect(0, 1);
    cluster.settle();
    cluster
}

/// A connection to node 0 from somebody who knows how to greet.
fn stranger(cluster: &mut Cluster) -> LinkId {
    let link = LinkId(1_000_000);
    cluster.handle(0, Input::LinkUp { link, dialed: false });
    let mut collections: Vec<_> = collections().iter().map(Collection::id).collect();
    collections.sort();
    let greeting = Greeting {
        node: NodeId::from_u128(77),
        cluster_check: config(1, 0).cluster.check(),
        partitions: 1,
        collections,
        incarnation: 77,
        scope: Scope::everything(),
    };
    say(cluster, link, &Message::Greeting(greeting));
    link
}

fn say(cluster: &mut Cluster, link: LinkId, message: &Message) {
    cluster.handle(0, Input::Frame { link, bytes: wire::encode(message) });
}

fn violations(cluster: &Cluster) -> usize {
    cluster.events.iter().filter(|(_, event)| matches!(event, Event::Violation { .. })).count()
}

/// Two pasts under one identity are never merged as if they were one: the dots of either would pass for removals
/// of the other's.
#[test]
fn a_fork_costs_neither_side_an_acknowledged_write() {
    for writes in [&["other"][..], &["other", "another"]] {
        let cluster = restored_and_written(writes);
        let mut all: Vec<Bytes> = writes.iter().map(|element| Bytes::from(*element)).collect();
        all.extend(["after".into(), "before".into()]);
        all.sort();
        cluster.assert_agreement();
        for node in 0..2 {
            assert_eq!(elements(&cluster, node, "list"), all);
            let told =
                |(at, event): &(usize, Event)| *at == node && matches!(event, Event::ForkedReplica { .. });
            assert!(cluster.events.iter().any(told), "node {node} was not told");
        }
    }
}

#[test]
fn after_a_fork_new_writes_of_both_sides_still_flow() {
    let mut cluster = restored_and_written(&["other"]);
    cluster.write(0, add("second list", "from here"));
    cluster.write(1, add("second list", "from there"));
    cluster.settle();
    for node in 0..2 {
        assert_eq!(elements(&cluster, node, "second list").len(), 2);
    }
}

#[test]
fn a_set_larger_than_a_frame_is_sent_in_pieces() {
    let mut cluster = Cluster::new(2);
    for part in 0..3 {
        let element = |n| alloc::format!("element-{part}-{n:06}");
        let writes = (0..15_000).map(|n| write(1, "list", Action::Add(element(n).as_str().into())));
        cluster.write(0, writes.collect());
    }
    cluster.connect(0, 1);
    cluster.settle();
    assert_eq!(violations(&cluster), 0);
    assert_eq!(elements(&cluster, 1, "list").len(), 45_000);
    cluster.assert_agreement();
}

#[test]
fn a_long_history_of_large_bodies_does_not_keep_other_keys_from_arriving() {
    let mut cluster = Cluster::new(2);
    for n in 0..300 {
        let body = alloc::format!("{n:04096}");
        cluster.write(0, alloc::vec![write(0, "note", Action::Put(body.as_str().into()))]);
    }
    cluster.write(0, insert_many(0, 4_200, "x"));
    cluster.connect(0, 1);
    cluster.settle();
    assert_eq!(violations(&cluster), 0);
    assert_eq!(cluster.engines[1].status().partitions[0].keys, 4_201);
}

#[test]
fn impossible_sequences_end_the_link_that_named_them() {
    let mut cluster = Cluster::new(1);
    let link = stranger(&mut cluster);
    let status = |n| OriginStatus {
        origin: ReplicaId::from_u128(n),
        floor: 0,
        head: Position { sequence: u64::MAX, chain: Chain::START },
        whole: true,
    };
    let origins = alloc::vec![status(1), status(2)];
    let frontier = Frontier {
        partition: 0,
        rewind: false,
        open: false,
        ask: false,
        writer: ReplicaId::from_u128(1),
        origins,
        refused: Vec::new(),
        root: None,
        forks: [0; 16],
    };
    say(&mut cluster, link, &Message::Frontier(frontier));
    assert_eq!(violations(&cluster), 1);
    assert!(cluster.engines[0].status().peers.is_empty());
}

#[test]
fn a_false_past_of_an_origin_ends_the_link_and_nothing_else() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.write(1, increment());
    cluster.settle();
    let victim = cluster.engines[1].status().replica;
    let link = stranger(&mut cluster);
    let chain = Chain::START.then(victim, 0, b"junk");
    let after = Position { sequence: 0, chain };
    let run = Run { partition: 0, origin: victim, after, entries: Vec::new(), chain };
    say(&mut cluster, link, &Message::Run(run));
    cluster.write(1, increment());
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(violations(&cluster), 1);
}

#[test]
fn nodes_with_other_ideas_of_a_long_gap_still_meet() {
    let mut cluster = Cluster::new(2);
    for (node, catch_up_entries) in [(0, 100_000), (1, 10)] {
        let mut config = config(u8::try_from(node + 1).unwrap(), 7);
        config.timing.catch_up_entries = catch_up_entries;
        cluster.logs[node].clear();
        cluster.engines[node] = Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
        cluster.drain(node);
    }
    cluster.write(1, insert_many(0, 50, "x"));
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(cluster.engines[0].status().partitions[0].keys, 50);
}

#[test]
fn a_key_that_is_written_all_the_time_does_not_keep_a_session_from_its_end() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, insert_many(0, 6_000, "a"));
    cluster.write(0, increment());
    cluster.write(1, increment());
    cluster.connect(0, 1);
    let mut frames = 0;
    while let Some((link, bytes)) = cluster.frames.pop_front() {
        if let Some(&(node, link, _)) = cluster.links.get(&link) {
            cluster.handle(node, Input::Frame { link, bytes });
        }
        frames += 1;
        if frames % 2 == 0 && frames < 400 {
            cluster.write(0, increment());
        }
    }
    assert_eq!(cluster.finished_sessions(), 2, "one session, as both sides see it");
    cluster.settle();
    cluster.assert_agreement();
}

#[test]
fn a_session_with_much_to_send_both_ways_is_complete_at_once() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, insert_many(0, 6_000, "small"));
    for part in 0..3 {
        cluster.write(1, insert_bodies(part * 2_000..(part + 1) * 2_000, &"y".repeat(3_000)));
    }
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(cluster.finished_sessions(), 2, "one session, as both sides see it");
}

#[test]
fn one_lost_run_of_many_costs_little_more_than_sending_them_again() {
    let lost_first = |runs: u64| {
        let mut cluster = Cluster::new(2);
        cluster.connect(0, 1);
        cluster.settle();
        for _ in 0..runs {
            cluster.write(0, increment());
        }
        let first = cluster.frames.iter().position(|(_, bytes)| bytes[3] == 3).unwrap();
        cluster.frames.remove(first);
        let before = cluster.sent_bytes;
        cluster.settle();
        cluster.assert_agreement();
        cluster.sent_bytes - before
    };
    let (few, many) = (lost_first(50), lost_first(400));
    assert!(many < few * 12, "{few} bytes for 50 runs, {many} for 400");
}

#[test]
fn a_stamp_that_arrives_by_session_moves_the_clock_like_one_that_arrives_by_entry() {
    let mut cluster = Cluster::new(2);
    let mut ahead = cluster.now();
    ahead.wall = WallTime::from_millis(ahead.wall.as_millis() + 30_000);
    let title = |text: &str| alloc::vec![write(3, "title", Action::Set(Some(text.into())))];
    let request = Request::Write(title("from a fast clock"));
    cluster.engines[1].handle(ahead, Input::Request { id: RequestId(9_999), request });
    cluster.drain(1);
    cluster.write(1, insert_many(0, 5_000, "x"));
    cluster.connect(0, 1);
    cluster.settle();
    assert!(cluster.finished_sessions() > 0);
    let stamp_of = |cluster: &Cluster, key: &str| match cluster.peek(0, &item(3, key)) {
        Some(Cell::Register(register)) => register.stamp().map(|stamp| stamp.time),
        other => panic!("no register: {other:?}"),
    };
    let arrived = stamp_of(&cluster, "title");
    // Also after a restart, and whatever is written next.
    cluster.restart(0);
    cluster.write(0, alloc::vec![write(3, "another", Action::Set(Some("later".into())))]);
    assert!(stamp_of(&cluster, "another") > arrived);
    let reply = cluster.write(0, title("later"));
    assert!(matches!(reply, Reply::Written(_)), "{reply:?}");
}

/// A session that had to leave something out must not pass for a whole one: what was not sent would count as removed.
#[test]
fn a_state_that_is_too_large_to_be_sent_is_never_taken_for_removed() {
    let mut cluster = Cluster::new(2);
    for node in 0..2 {
        let mut config = config(u8::try_from(node + 1).unwrap(), 7);
        config.limits.max_state = 2_000;
        config.limits.max_retained = 0;
        cluster.logs[node].clear();
        cluster.engines[node] = Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
        cluster.drain(node);
    }
    for n in 0..200 {
        cluster.write(0, add("list", &alloc::format!("element {n}")));
    }
    cluster.connect(0, 1);
    cluster.settle();
    cluster.write(1, add("list", "one more"));
    cluster.settle();
    assert_eq!(elements(&cluster, 0, "list").len(), 201);
    let told = |(_, event): &(usize, Event)| matches!(event, Event::StateTooLarge { .. });
    let times = cluster.events.iter().filter(|event| told(event)).count();
    assert!((1..50).contains(&times), "said {times} times");
    let in_sync = |(_, event): &(usize, Event)| matches!(event, Event::InSync { .. });
    assert!(!cluster.events.iter().any(in_sync));
}

#[test]
fn a_session_cut_half_way_leaves_nothing_that_keeps_the_next_from_its_end() {
    let mut cluster = Cluster::new(2);
    // Keys in another order than their writes, so that what arrives first is scattered over the sequences.
    let keys = |n: u32| alloc::format!("key-{:05}", n.wrapping_mul(7_919) % 40_009);
    for part in 0..4 {
        let adds =
            (part * 10_000..(part + 1) * 10_000).map(|n| write(1, &keys(n), Action::Add("element".into())));
        cluster.write(0, adds.collect());
    }
    cluster.connect(0, 1);
    while cluster.engines[1].status().partitions[0].keys < 20_000 {
        let (link, bytes) = cluster.frames.pop_front().unwrap();
        if let Some(&(node, link, _)) = cluster.links.get(&link) {
            cluster.handle(node, Input::Frame { link, bytes });
        }
    }
    cluster.restart(1);
    cluster.frames.clear();
    cluster.connect(0, 1);
    cluster.settle();
    assert_eq!(violations(&cluster), 0);
    cluster.assert_agreement();
}

/// Two sides that both wrote every key: the states of one go one way, and only the versions it lacks come back.
#[test]
fn whoever_holds_back_sends_only_what_the_other_lacks() {
    let mut cluster = Cluster::new(2);
    let (keys, body) = (2_000, 500);
    cluster.write(0, insert_bodies(0..keys, &"x".repeat(body)));
    cluster.write(1, insert_bodies(0..keys, &"y".repeat(body)));
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    let once_each_way = 2 * keys as usize * body;
    let sent = cluster.sent_bytes;
    assert!(sent < once_each_way * 6 / 5, "{sent} bytes where {once_each_way} differ");
}

/// A stranger asks node 0, which is the lower one, to open a session, and says this of what it holds.
pub(super) fn offer(cluster: &mut Cluster, link: LinkId, standing: Standing, part: StatesPart) {
    let frontier = Frontier {
        partition: 0,
        rewind: false,
        open: true,
        ask: false,
        writer: ReplicaId::from_u128(5),
        origins: Vec::new(),
        refused: Vec::new(),
        root: None,
        forks: [0; 16],
    };
    say(cluster, link, &Message::Frontier(frontier));
    for step in [SessionStep::Accept(standing), SessionStep::States(part)] {
        say(cluster, link, &Message::Session(Session { partition: 0, id: 1, step }));
    }
}

/// Else a few bytes now and then would hold the partition for ever.
#[test]
fn a_part_without_states_does_not_hold_a_session_open() {
    let mut cluster = Cluster::new(1);
    cluster.write(0, add("another list", "element"));
    let link = stranger(&mut cluster);
    let standing = Standing { root: (7, 1), ..cluster.engines[0].replica.partition(0).standing() };
    let collection = item(1, "").collection;
    let part = StatesPart { index: 0, collection, items: Vec::new(), ahead: Vec::new() };
    offer(&mut cluster, link, standing, part);
    assert_eq!(violations(&cluster), 1);
}
