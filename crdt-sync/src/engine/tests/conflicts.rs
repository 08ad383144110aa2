//! Conflicts are told when they begin and end, and rules that end them come to rest.

use conflict_store::{Conflict, Custom, Resolution, ResolveError, Resolver, SettleError};

use super::*;
use crate::rules::{RuleError, ShowError};

const JOIN: &str = "join";

/// Every word that anybody wrote, once, in order.
fn join() -> impl Resolver<Bytes> + Send + Sync {
    Custom::new(JOIN, |conflict: &Conflict<'_, Bytes>| {
        let bodies: Vec<_> = conflict.bodies().map(alloc::string::ToString::to_string).collect();
        let mut words: Vec<&str> = bodies.iter().flat_map(|body| body.split(' ')).collect();
        words.sort_unstable();
        words.dedup();
        Resolution::Merge(words.join(" ").as_str().into())
    })
}

fn joined() -> Collection {
    Collection::documents("joined", Strategy::Custom(JOIN.into()))
}

fn latest() -> Collection {
    Collection::documents("latest", Strategy::LastWriterWins)
}

fn config_of(node: u8, settle: bool) -> Config {
    let mut config = config(node, 9).with_collections([joined(), latest()]).with_rule(join());
    config.settled = if settle { alloc::vec![joined().id()] } else { Vec::new() };
    config.tell_lost_writes = true;
    config
}

fn cluster(nodes: u8, settle: bool) -> Cluster {
    let mut cluster = Cluster::new(nodes);
    for node in 0..nodes {
        let at = usize::from(node);
        cluster.logs[at].clear();
        let config = config_of(node + 1, settle);
        cluster.engines[at] = Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
        cluster.drain(at);
    }
    cluster
}

fn title(collection: &Collection) -> ItemKey {
    ItemKey { collection: collection.id(), key: "title".into() }
}

fn put(collection: &Collection, text: &str) -> Vec<Write> {
    let ItemKey { collection, key } = title(collection);
    alloc::vec![Write { collection, key, action: Action::Put(text.into()) }]
}

fn show(cluster: &Cluster, node: usize, collection: &Collection) -> alloc::string::String {
    let reading = cluster.engines[node].show(&title(collection)).unwrap();
    reading.value.map(|value| alloc::string::ToString::to_string(&value)).unwrap_or_default()
}

fn leaves(cluster: &Cluster, node: usize, collection: &Collection) -> Vec<VersionId> {
    match cluster.peek(node, &title(collection)) {
        Some(Cell::Document(document)) => document.live_leaves().map(|leaf| *leaf.id()).collect(),
        _ => Vec::new(),
    }
}

/// What was said about conflicts, and by which node.
fn said(cluster: &mut Cluster) -> Vec<(usize, Event)> {
    let about_conflicts = |event: &Event| {
        matches!(
            event,
            Event::Conflict { .. }
                | Event::ConflictResolved { .. }
                | Event::ConcurrentWrite { .. }
                | Event::RuleFailed { .. }
        )
    };
    core::mem::take(&mut cluster.events).into_iter().filter(|(_, event)| about_conflicts(event)).collect()
}

fn conflicts(cluster: &Cluster, node: usize) -> u64 {
    cluster.engines[node].status().partitions[0].conflicts.iter().map(|(_, count)| count).sum()
}

#[test]
fn a_conflict_is_told_when_it_begins_and_when_it_ends_and_not_again_after_a_restart() {
    let mut cluster = cluster(2, false);
    let notes = item(0, "note");
    cluster.write(0, alloc::vec![write(0, "note", Action::Put("one".into()))]);
    cluster.write(1, alloc::vec![write(0, "note", Action::Put("two".into()))]);
    cluster.connect(0, 1);
    cluster.settle();
    let begun = |node| (node, Event::Conflict { item: notes.clone(), versions: 2 });
    let mut told = said(&mut cluster);
    told.sort_by_key(|(node, _)| *node);
    assert_eq!(told, [begun(0), begun(1)]);
    assert_eq!(conflicts(&cluster, 0), 1);

    let records = cluster.logs[0].clone();
    cluster.engines[0] = Engine::open(config_of(1, false), records, cluster.now()).unwrap();
    cluster.drain(0);
    assert_eq!(said(&mut cluster), []);
    assert_eq!(conflicts(&cluster, 0), 1, "it is still there");

    cluster.write(1, alloc::vec![write(0, "note", Action::Resolve("both".into()))]);
    assert_eq!(said(&mut cluster), [(1, Event::ConflictResolved { item: notes })]);
    assert_eq!(conflicts(&cluster, 1), 0);
}

#[test]
fn a_conflict_is_not_told_before_it_is_durable() {
    let mut cluster = cluster(2, false);
    // They have met before, or node 0 would have to make that durable first.
    cluster.connect(0, 1);
    cluster.settle();
    cluster.write(0, put(&joined(), "one"));
    cluster.write(1, put(&joined(), "two"));
    // Node 0 gets the frames, and its disk does nothing.
    let now = cluster.now();
    let mut outputs = Vec::new();
    for _ in 0..20 {
        for (link, bytes) in core::mem::take(&mut cluster.frames) {
            match cluster.links.get(&link) {
                Some(&(1, link, _)) => cluster.handle(1, Input::Frame { link, bytes }),
                Some(&(_, link, _)) => {
                    cluster.engines[0].handle(now, Input::Frame { link, bytes });
                    while let Some(output) = cluster.engines[0].poll_output() {
                        if let Output::Send { link, frame } = &output {
                            cluster.frames.push_back((*link, frame.clone()));
                        }
                        outputs.push(output);
                    }
                }
                None => {}
            }
        }
    }
    let told = |outputs: &[Output]| {
        outputs.iter().any(|output| matches!(output, Output::Event(Event::Conflict { .. })))
    };
    assert_eq!(conflicts(&cluster, 0), 1);
    assert!(!told(&outputs));
    cluster.engines[0].handle(now, Input::Durable { lsn: Lsn::new(99) });
    assert!(told(&core::iter::from_fn(|| cluster.engines[0].poll_output()).collect::<Vec<_>>()));
}

#[test]
fn three_nodes_that_settle_at_the_same_time_write_one_version_and_fall_silent() {
    let mut cluster = cluster(3, true);
    // All three see the conflict in one turn: it was there before any of them settled.
    for (node, text) in [(0, "hello"), (1, "bonjour"), (2, "hola")] {
        let unsettled = config_of(u8::try_from(node + 1).unwrap(), false);
        cluster.engines[node] = Engine::open(unsettled, cluster.logs[node].clone(), cluster.now()).unwrap();
        cluster.drain(node);
        cluster.write(node, put(&joined(), text));
    }
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        cluster.connect(a, b);
    }
    cluster.settle();
    assert_eq!(leaves(&cluster, 0, &joined()).len(), 3);
    cluster.links.clear();
    for node in 0..3 {
        let settling = config_of(u8::try_from(node + 1).unwrap(), true);
        cluster.engines[node] = Engine::open(settling, cluster.logs[node].clone(), cluster.now()).unwrap();
        cluster.drain(node);
    }
    cluster.micros += 300_000;
    for node in 0..3 {
        cluster.handle(node, Input::Timer);
    }
    let versions: Vec<_> = (0..3).map(|node| leaves(&cluster, node, &joined())).collect();
    assert_eq!(versions[0].len(), 1, "each settled before it met anybody");
    assert!(versions.iter().all(|version| *version == versions[0]), "and all wrote one version");
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        cluster.connect(a, b);
    }
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(leaves(&cluster, 2, &joined()), versions[0]);
    assert_eq!(show(&cluster, 2, &joined()), "bonjour hello hola");
    let logged: Vec<usize> = cluster.logs.iter().map(Vec::len).collect();
    for _ in 0..10 {
        cluster.settle();
    }
    assert_eq!(cluster.logs.iter().map(Vec::len).collect::<Vec<_>>(), logged, "nobody writes any more");
}

/// Nodes that see different parts of a conflict write different versions, which are in conflict again. However slow
/// the frames are compared with the rules, that comes to an end.
#[test]
fn rules_do_not_go_on_answering_each_other() {
    for latency in 1..8 {
        let mut cluster = cluster(4, true);
        for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3)] {
            cluster.connect(a, b);
        }
        cluster.settle();
        for (node, text) in [(0, "a"), (1, "b"), (2, "c"), (3, "d")] {
            cluster.write(node, put(&joined(), text));
        }
        let mut travelling = VecDeque::new();
        let mut turns = 0;
        let mut quiet = 0;
        while quiet < 100 {
            let logged: usize = cluster.logs.iter().map(Vec::len).sum();
            travelling.push_back(core::mem::take(&mut cluster.frames));
            let arrived = if travelling.len() > latency { travelling.pop_front() } else { None };
            for (link, bytes) in arrived.into_iter().flatten() {
                if let Some(&(node, link, _)) = cluster.links.get(&link) {
                    cluster.handle(node, Input::Frame { link, bytes });
                }
            }
            cluster.micros += 250_000;
            for node in 0..4 {
                cluster.handle(node, Input::Timer);
            }
            let news = cluster.logs.iter().map(Vec::len).sum::<usize>() > logged;
            quiet = if news { 0 } else { quiet + 1 };
            turns += 1;
            assert!(turns < 400, "with frames that take {latency} heartbeats nodes write for ever");
        }
        cluster.settle();
        cluster.assert_agreement();
        assert_eq!(leaves(&cluster, 0, &joined()).len(), 1);
        assert_eq!(show(&cluster, 0, &joined()), "a b c d");
    }
}

/// Whoever opens a restored backup says so right after; until then nothing may be written under the old identity.
#[test]
fn what_was_in_conflict_before_a_restart_is_not_settled_under_a_doubtful_identity() {
    let mut cluster = cluster(2, false);
    cluster.write(0, put(&joined(), "one"));
    cluster.write(1, put(&joined(), "two"));
    cluster.connect(0, 1);
    cluster.settle();
    let old = cluster.engines[0].status().replica;
    let head = |cluster: &Cluster| {
        let heads = cluster.engines[0].status().partitions[0].heads.clone();
        heads.into_iter().find(|(origin, _)| *origin == old)
    };
    let before = head(&cluster);
    let restored = Config { seed: [99; 32], ..config_of(1, true) };
    cluster.engines[0] = Engine::open(restored, cluster.logs[0].clone(), cluster.now()).unwrap();
    let now = cluster.now();
    cluster.engines[0].distrust_past(now);
    cluster.drain(0);
    cluster.micros += 300_000;
    cluster.handle(0, Input::Timer);
    assert_eq!(show(&cluster, 0, &joined()), "one two");
    assert_eq!(conflicts(&cluster, 0), 0);
    assert_eq!(head(&cluster), before, "it was settled under the new identity");
}

#[test]
fn one_node_that_settles_is_enough() {
    let mut cluster = cluster(2, false);
    let records = cluster.logs[1].clone();
    cluster.engines[1] = Engine::open(config_of(2, true), records, cluster.now()).unwrap();
    cluster.write(0, put(&joined(), "one"));
    cluster.write(1, put(&joined(), "two"));
    cluster.connect(0, 1);
    cluster.settle();
    assert_eq!(show(&cluster, 0, &joined()), "one two");
    assert_eq!(conflicts(&cluster, 0), 0);
    // Not a write of somebody's: it says which rule made it.
    let Some(Cell::Document(document)) = cluster.peek(0, &title(&joined())) else { panic!("missing") };
    assert_eq!(document.winner().unwrap().rule(), Some(JOIN));
}

#[test]
fn a_write_that_was_lost_is_told_by_the_node_whose_own_write_beat_it() {
    let mut cluster = cluster(3, false);
    let set = |text: &str| alloc::vec![write(3, "title", Action::Set(Some(text.into())))];
    cluster.write(0, set("early"));
    cluster.write(0, put(&latest(), "early"));
    cluster.micros += 5_000;
    cluster.write(1, set("late"));
    cluster.write(1, put(&latest(), "late"));
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        cluster.connect(a, b);
    }
    cluster.settle();
    let told = said(&mut cluster);
    let (loser, winner) = (cluster.engines[0].status().replica, cluster.engines[1].status().replica);
    let lost_at_1 = |(node, event): &(usize, Event)| {
        let Event::ConcurrentWrite { lost, kept, .. } = event else { return false };
        *node == 1 && lost.replica == loser && kept.replica == winner
    };
    assert_eq!(told.len(), 2, "once for the register, once for the document: {told:?}");
    assert!(told.iter().all(lost_at_1), "{told:?}");
    // A write on top of what was seen loses nothing.
    cluster.write(2, set("later"));
    cluster.write(2, put(&latest(), "later"));
    cluster.settle();
    assert_eq!(said(&mut cluster), []);
}

#[test]
fn a_document_is_shown_by_the_rule_of_its_collection() {
    let mut cluster = cluster(2, false);
    for collection in [joined(), latest(), collections()[0].clone()] {
        cluster.write(0, put(&collection, "one"));
        cluster.micros += 2_000;
        cluster.write(1, put(&collection, "two"));
    }
    cluster.connect(0, 1);
    cluster.settle();
    for node in 0..2 {
        assert_eq!(show(&cluster, node, &joined()), "one two");
        assert_eq!(show(&cluster, node, &latest()), "two");
        let kept = cluster.engines[node].show(&title(&collections()[0])).unwrap();
        assert_eq!(kept.conflicts.len(), 1);
    }
    let unknown = Collection::documents("nobody declared this", Strategy::Keep);
    let error = ShowError::UnknownCollection { collection: unknown.id() };
    assert_eq!(cluster.engines[0].show(&title(&unknown)), Err(error));
    let error = ShowError::WrongKind { kind: crate::Kind::Counter };
    assert_eq!(cluster.engines[0].show(&item(2, "hits")), Err(error));
}

#[test]
fn what_is_shown_is_durable_or_the_deadline_has_passed() {
    let mut engine = cluster(1, false).engines.remove(0);
    let now = Cluster::new(0).now();
    let outputs = |engine: &mut Engine| core::iter::from_fn(|| engine.poll_output()).collect::<Vec<_>>();
    let replies = |outputs: &[Output]| {
        let of = |output: &Output| match output {
            Output::Reply { reply, .. } => Some(reply.clone()),
            _ => None,
        };
        outputs.iter().filter_map(of).collect::<Vec<_>>()
    };
    engine.handle(now, Input::Request { id: RequestId(1), request: Request::Write(put(&joined(), "one")) });
    outputs(&mut engine);
    let deadline = now.instant + Duration::from_secs(1);
    let request = Request::Show { item: title(&joined()), deadline };
    engine.handle(now, Input::Request { id: RequestId(2), request });
    assert_eq!(replies(&outputs(&mut engine)), []);
    engine.handle(now, Input::Durable { lsn: Lsn::new(99) });
    let told = replies(&outputs(&mut engine));
    assert!(matches!(&told[1], Reply::Shown(reading) if reading.value == Some("one".into())), "{told:?}");
    let request = Request::Show { item: item(2, "hits"), deadline };
    engine.handle(now, Input::Request { id: RequestId(3), request });
    assert!(matches!(replies(&outputs(&mut engine))[..], [Reply::NotShown(ShowError::WrongKind { .. })]));
}

#[test]
fn a_rule_that_breaks_its_contract_is_told_and_changes_nothing() {
    let stray = VersionId::new(1, [0; 16]).unwrap();
    let rule = Custom::new(JOIN, move |_: &Conflict<'_, Bytes>| Resolution::Choose(stray));
    let mut cluster = cluster(2, false);
    let records = cluster.logs[0].clone();
    let config = config_of(1, true).with_rule(rule);
    cluster.engines[0] = Engine::open(config, records, cluster.now()).unwrap();
    cluster.drain(0);
    cluster.write(0, put(&joined(), "one"));
    cluster.write(1, put(&joined(), "two"));
    cluster.connect(0, 1);
    cluster.settle();
    let error = ResolveError::NotInConflict { rule: JOIN.into(), chosen: stray };
    let failed = Event::RuleFailed { item: title(&joined()), error: SettleError::Resolve(error.clone()) };
    assert!(said(&mut cluster).contains(&(0, failed)));
    assert_eq!(cluster.engines[0].show(&title(&joined())), Err(ShowError::Rule(error)));
    assert_eq!(leaves(&cluster, 0, &joined()).len(), 2);
}

#[test]
fn a_node_does_not_open_without_the_rules_of_its_collections() {
    let open = |config: Config| {
        Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), Cluster::new(0).now()).map(|_| ())
    };
    let without = config(1, 0).with_collections([joined()]);
    let (collection, rule) = (joined().name, JOIN.into());
    assert_eq!(open(without), Err(RecoverError::Rules(RuleError::Missing { collection, rule })));

    let by_time = join().or_else(conflict_store::LastWriterWins);
    let name = by_time.rule().to_owned();
    let collection = Collection::documents("by time", Strategy::Custom(name.clone()));
    let by_time = config(1, 0).with_collections([collection.clone()]).with_rule(by_time);
    let error = RuleError::NeedsStamps { collection: collection.name, rule: name };
    assert_eq!(open(by_time), Err(RecoverError::Rules(error)));
}
