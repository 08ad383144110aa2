//! A lesson: two people give one thing two titles at the same time. What each strategy makes of it.
//!
//! | strategy | what readers see | what is lost |
//! |---|---|---|
//! | last writer wins | `Bonjour`, the one with the later stamp | `Hello`, and nobody is told |
//! | CRDT | both, merged by a law of their type | nothing; the type must have such a law |
//! | custom | what a function of yours makes of both | what the function drops |
//! | keep all | one of them, and that there is another | nothing; somebody has to decide |
//!
//! Read the tests from top to bottom; every number in their texts is computed by them.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::VecDeque;

use conflict_store::{Conflict, CrdtMerge, Custom, Reading, Resolution, Resolver};
use crdt_core::{Limits, OrSet, ReplicaId, Writer, codec};
use crdt_sync::time::{Instant, Now, WallTime};
use crdt_sync::{
    Action, Bytes, Cell, ClusterKey, Collection, Config, Engine, Event, Input, ItemKey, LinkId, NodeId,
    Output, Reply, Request, RequestId, Strategy, Write, WriteError,
};

const ANN: usize = 0;
const BOB: usize = 1;

// ---- One conflict, three strategies, and none ----

#[test]
fn last_writer_wins_shows_the_later_one_and_the_other_is_gone_from_sight() {
    let collection = Collection::documents("titles", Strategy::LastWriterWins);
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.put(ANN, &title, "Hello");
    two.millis += 1;
    two.put(BOB, &title, "Bonjour");
    two.meet();
    assert_eq!(two.shown(&title), "Bonjour");
    assert_eq!(two.reading(&title).conflicts, [], "readers are told of no conflict");
    assert!(!two.events.iter().any(|event| matches!(event, Event::Conflict { .. })));
}

/// Titles that merge: a set of all the titles somebody gave and nobody took back.
#[test]
fn a_crdt_merges_both_by_a_law_of_its_type() {
    let rule = CrdtMerge::<OrSet<String>>::new;
    let name = Resolver::<Bytes>::rule(&rule()).to_owned();
    let collection = Collection::documents("titles", Strategy::Custom(name));
    let title = title_in(&collection);
    let mut two = Two::adjusted(&collection, |config| config.with_rule(rule()));
    let titles = |who: u128, text: &str| {
        let mut titles = OrSet::<String>::default();
        titles.add(Writer::unchecked(ReplicaId::from_u128(who)), text.into()).unwrap();
        Action::Put(codec::to_bytes(&titles).into())
    };
    two.write(ANN, &title, titles(0xa, "Hello"));
    two.write(BOB, &title, titles(0xb, "Bonjour"));
    two.meet();
    let merged = two.reading(&title).value.unwrap();
    let merged: OrSet<String> = codec::from_bytes(&merged, &Limits::default()).unwrap();
    let mut texts: Vec<_> = merged.iter().cloned().collect();
    texts.sort();
    assert_eq!(texts, ["Bonjour", "Hello"]);
}

/// The same without documents: a collection of sets is a CRDT by itself, and there is nothing to resolve.
#[test]
fn a_collection_of_sets_needs_no_rule_at_all() {
    let collection = Collection::sets("titles");
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.write(ANN, &title, Action::Add("Hello".into()));
    two.write(BOB, &title, Action::Add("Bonjour".into()));
    two.meet();
    let Some(Cell::Set(titles)) = two.nodes[ANN].peek(&title) else { panic!("missing") };
    assert_eq!(titles.to_sorted(), [&Bytes::from("Bonjour"), &"Hello".into()]);
}

fn both() -> impl Resolver<Bytes> + Send + Sync {
    Custom::new("both", |conflict: &Conflict<'_, Bytes>| {
        let mut texts: Vec<String> = conflict.bodies().map(ToString::to_string).collect();
        texts.sort();
        Resolution::Merge(texts.join(" / ").as_str().into())
    })
}

#[test]
fn a_custom_rule_shows_what_a_function_makes_of_them_and_keeps_both() {
    let collection = Collection::documents("titles", Strategy::Custom("both".into()));
    let title = title_in(&collection);
    let mut two = Two::adjusted(&collection, |config| config.with_rule(both()));
    two.put(ANN, &title, "Hello");
    two.put(BOB, &title, "Bonjour");
    two.meet();
    assert_eq!(two.shown(&title), "Bonjour / Hello");
    assert_eq!(two.leaves(&title), 2, "nothing was written: another rule would show something else");
}

#[test]
fn a_custom_rule_can_write_what_it_shows_and_the_conflict_is_over() {
    let collection = Collection::documents("titles", Strategy::Custom("both".into()));
    let title = title_in(&collection);
    let mut two = Two::adjusted(&collection, |config| {
        let mut config = config.with_rule(both());
        config.settled = vec![collection.id()];
        config
    });
    two.put(ANN, &title, "Hello");
    two.put(BOB, &title, "Bonjour");
    two.meet();
    assert_eq!(two.shown(&title), "Bonjour / Hello");
    assert_eq!(two.leaves(&title), 1, "both nodes wrote the same, so it is one version");
}

#[test]
fn keep_all_shows_one_and_says_that_there_is_another_until_somebody_decides() {
    let collection = Collection::documents("titles", Strategy::Keep);
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.put(ANN, &title, "Hello");
    two.put(BOB, &title, "Bonjour");
    two.meet();
    let reading = two.reading(&title);
    assert!(reading.value == Some("Hello".into()) || reading.value == Some("Bonjour".into()));
    assert_eq!(reading.conflicts.len(), 1);
    let begun = Event::Conflict { item: title.clone(), versions: 2 };
    assert_eq!(two.events.iter().filter(|event| **event == begun).count(), 2, "each node says so once");
    two.write(BOB, &title, Action::Resolve("Hello, bonjour".into()));
    two.meet();
    assert_eq!(two.shown(&title), "Hello, bonjour");
    assert_eq!(two.reading(&title).conflicts, []);
}

// ---- Clocks ----

/// Ann's clock is 5 ms ahead. She writes first and Bob 4 ms later; his stamp is the lower one all the same.
#[test]
fn a_clock_that_is_5_ms_ahead_wins_against_a_write_that_came_later() {
    let collection = Collection::registers("titles");
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.ahead[ANN] = 5;
    two.millis = 999_999_997;
    two.set(ANN, &title, "Hello");
    two.millis = 1_000_000_001;
    two.set(BOB, &title, "Bonjour");
    assert_eq!(two.register(ANN, &title), ("Hello".into(), 1_000_000_002));
    assert_eq!(two.register(BOB, &title), ("Bonjour".into(), 1_000_000_001));
    two.meet();
    // 1000000002 > 1000000001, and nobody asks which came first: the later write is lost.
    assert_eq!(two.register(BOB, &title), ("Hello".into(), 1_000_000_002));
}

/// A hybrid logical clock never stamps a write below one that its node has seen. It cannot order what happened apart,
/// but what was *seen* and written over stays written over, although Ann's clock is now a minute ahead.
#[test]
fn a_write_on_top_of_what_was_seen_is_never_lost_to_a_fast_clock() {
    let collection = Collection::registers("titles");
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.ahead[ANN] = 59_999;
    two.set(ANN, &title, "Hello");
    let (_, seen) = two.register(ANN, &title);
    two.meet();
    two.set(BOB, &title, "Bonjour");
    let (_, stamp) = two.register(BOB, &title);
    assert!(two.millis < seen, "by the wall, Bob still writes before Ann: {} against {seen}", two.millis);
    assert_eq!(stamp, seen, "so his clock stays where hers is, and counts on within the millisecond");
    two.meet();
    assert_eq!(two.register(ANN, &title).0, "Bonjour");
}

/// A clock that is more than a minute ahead drags no other along: Bob, whose clock is right, cannot write over what
/// Ann wrote with hers, and is told so. That ends when his clock comes within the minute, not only when it gets to
/// where hers was.
#[test]
fn what_was_written_too_far_ahead_can_be_written_over_as_soon_as_it_is_not_any_more() {
    let collection = Collection::registers("titles");
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.ahead[ANN] = 90_000;
    two.set(ANN, &title, "Hello");
    let (_, seen) = two.register(ANN, &title);
    two.meet();
    let refused = two.request(BOB, &title, Action::Set(Some("Bonjour".into())));
    assert!(matches!(refused[..], [Reply::Refused(WriteError::StampBehind { index: 0 })]), "{refused:?}");
    two.millis += 30_000;
    two.set(BOB, &title, "Bonjour");
    assert!(two.millis < seen, "by the wall, Bob still writes before Ann: {} against {seen}", two.millis);
    two.meet();
    assert_eq!(two.register(ANN, &title).0, "Bonjour");
}

/// The same of documents: what Bob writes in place of what he is shown is not lost to what lay below it.
#[test]
fn a_document_written_over_within_the_minute_is_what_readers_see() {
    let collection = Collection::documents("titles", Strategy::LastWriterWins);
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.ahead[ANN] = 90_000;
    two.put(ANN, &title, "Hello");
    two.write(ANN, &title, Action::Insert("Bonjour".into()));
    two.meet();
    assert_eq!(
        (two.leaves(&title), two.shown(&title).as_str()),
        (2, "Bonjour"),
        "two first versions, the later one"
    );
    two.millis += 30_000;
    two.put(BOB, &title, "Salut");
    two.meet();
    assert_eq!((two.leaves(&title), two.shown(&title).as_str()), (2, "Salut"));
}

/// Nor is it acknowledged and then not seen: where a version that lies beside it is stamped too far ahead, Bob is told.
#[test]
fn a_document_is_not_written_beside_a_version_that_would_hide_the_write() {
    let collection = Collection::documents("titles", Strategy::LastWriterWins);
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.ahead[ANN] = 90_000;
    two.put(ANN, &title, "Hello");
    two.write(ANN, &title, Action::Insert("Bonjour".into()));
    two.meet();
    for action in [Action::Put("Salut".into()), Action::Insert("Salut".into())] {
        let refused = two.request(BOB, &title, action);
        assert!(matches!(refused[..], [Reply::Refused(WriteError::StampBehind { index: 0 })]), "{refused:?}");
    }
    assert_eq!(two.leaves(&title), 2, "nothing was written");
    // What takes away all that would hide it is seen.
    two.write(BOB, &title, Action::Resolve("Salut".into()));
    two.meet();
    assert_eq!((two.leaves(&title), two.shown(&title).as_str()), (1, "Salut"));
    two.write(BOB, &title, Action::Delete);
    two.meet();
    assert_eq!(two.reading(&title).value, None);
}

/// Where no clock may decide, none need: versions know what they were written on, so that a later write and a write
/// at the same time can be told apart.
#[test]
fn a_document_that_keeps_all_loses_neither_whatever_the_clocks_say() {
    let collection = Collection::documents("titles", Strategy::Keep);
    let title = title_in(&collection);
    let mut two = Two::new(&collection);
    two.ahead[ANN] = 5;
    two.millis = 999_999_997;
    two.put(ANN, &title, "Hello");
    two.millis = 1_000_000_001;
    two.put(BOB, &title, "Bonjour");
    two.meet();
    assert_eq!(two.leaves(&title), 2, "written apart: a conflict, and both are there");
    two.write(BOB, &title, Action::Resolve("Salut".into()));
    two.meet();
    assert_eq!((two.leaves(&title), two.shown(&title).as_str()), (1, "Salut"), "written on top: no conflict");
}

// ---- Counters ----

/// {A 5, B 0} and {A 3, B 7}: of each node the higher count, 5 and 7, make 12. Adding the totals up would give 15 and
/// count Ann's first three twice; the higher total would give 10 and lose her last two.
#[test]
fn counters_merge_per_node_so_that_5_and_10_are_12() {
    let collection = Collection::counters("visits");
    let visits = ItemKey { collection: collection.id(), key: "/".into() };
    let mut two = Two::new(&collection);
    let value = |two: &Two, node: usize| match two.nodes[node].peek(&visits) {
        Some(Cell::Counter(counter)) => counter.value(),
        _ => 0,
    };
    two.write(ANN, &visits, Action::Increment(3));
    two.meet();
    two.write(ANN, &visits, Action::Increment(2));
    two.write(BOB, &visits, Action::Increment(7));
    assert_eq!(value(&two, ANN), 5, "{{A 5, B 0}}");
    assert_eq!(value(&two, BOB), 10, "{{A 3, B 7}}");
    two.meet();
    assert_eq!((value(&two, ANN), value(&two, BOB)), (12, 12));
    two.meet();
    assert_eq!((value(&two, ANN), value(&two, BOB)), (12, 12), "hearing it again changes nothing");
}

// ---- The two nodes ----

/// Two nodes, and the wire between them when they meet. Their disks are never slow.
struct Two {
    nodes: [Engine; 2],
    /// How far each node's clock is ahead of the true time.
    ahead: [u64; 2],
    /// The true time.
    millis: u64,
    links: u64,
    events: Vec<Event>,
}

/// What a node wants to be sent, and what it replied.
#[derive(Default)]
struct Said {
    frames: Vec<Vec<u8>>,
    replies: Vec<Reply>,
}

impl Two {
    fn new(collection: &Collection) -> Self {
        Self::adjusted(collection, |config| config)
    }

    fn adjusted(collection: &Collection, adjust: impl Fn(Config) -> Config) -> Self {
        let open = |number: u8| {
            let cluster = ClusterKey::from_bytes([7; 16]);
            let config = Config::new(NodeId::from_u128(number.into()), cluster, [number; 32]);
            let config = adjust(config.with_collections([collection.clone()]));
            let now = Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(0) };
            Engine::open(config, Vec::<(_, Vec<u8>)>::new(), now).unwrap()
        };
        let nodes = [open(1), open(2)];
        let mut two = Self { nodes, ahead: [0, 0], millis: 1_000_000_000, links: 0, events: vec![] };
        two.millis = 0;
        for node in [ANN, BOB] {
            two.drain(node);
        }
        two.millis = 1_000_000_000;
        two
    }

    /// Hands a node one input and polls until it has nothing more to do.
    fn tell(&mut self, node: usize, input: Input) -> Said {
        let now = self.now(node);
        self.nodes[node].handle(now, input);
        self.drain(node)
    }

    fn drain(&mut self, node: usize) -> Said {
        let mut said = Said::default();
        let mut durable = None;
        loop {
            while let Some(output) = self.nodes[node].poll_output() {
                match output {
                    Output::Append { .. } => durable = Some(self.nodes[node].status().appended),
                    Output::Send { frame, .. } => said.frames.push(frame),
                    Output::Reply { reply, .. } => said.replies.push(reply),
                    Output::Event(event) => self.events.push(event),
                    _ => {}
                }
            }
            let Some(lsn) = durable.take() else { return said };
            let now = self.now(node);
            self.nodes[node].handle(now, Input::Durable { lsn });
        }
    }

    fn now(&self, node: usize) -> Now {
        let wall = WallTime::from_millis(self.millis + self.ahead[node]);
        Now { instant: Instant::from_micros(self.millis * 1_000), wall }
    }

    fn write(&mut self, node: usize, item: &ItemKey, action: Action) {
        let replies = self.request(node, item, action);
        assert!(matches!(replies[..], [Reply::Written(_)]), "{replies:?}");
    }

    fn request(&mut self, node: usize, item: &ItemKey, action: Action) -> Vec<Reply> {
        let write = Write { collection: item.collection, key: item.key.clone(), action };
        let request = Request::Write(vec![write]);
        self.tell(node, Input::Request { id: RequestId(1), request }).replies
    }

    fn put(&mut self, node: usize, item: &ItemKey, text: &str) {
        self.write(node, item, Action::Put(text.into()));
    }

    fn set(&mut self, node: usize, item: &ItemKey, text: &str) {
        self.write(node, item, Action::Set(Some(text.into())));
    }

    /// The two connect, tell each other everything, and part again.
    fn meet(&mut self) {
        self.links += 1;
        let link = LinkId(self.links);
        let mut travelling = VecDeque::new();
        for node in [ANN, BOB] {
            let frames = self.tell(node, Input::LinkUp { link, dialed: node == ANN }).frames;
            travelling.extend(frames.into_iter().map(|frame| (1 - node, frame)));
        }
        for _ in 0..5 {
            while let Some((node, bytes)) = travelling.pop_front() {
                let frames = self.tell(node, Input::Frame { link, bytes }).frames;
                travelling.extend(frames.into_iter().map(|frame| (1 - node, frame)));
            }
            self.millis += 500;
            for node in [ANN, BOB] {
                let frames = self.tell(node, Input::Timer).frames;
                travelling.extend(frames.into_iter().map(|frame| (1 - node, frame)));
            }
        }
        for node in [ANN, BOB] {
            self.tell(node, Input::LinkDown { link });
        }
        assert_eq!(self.nodes[ANN].status().partitions[0].root, self.nodes[BOB].status().partitions[0].root);
    }

    /// What a reader sees, which is the same on both nodes.
    fn reading(&mut self, item: &ItemKey) -> Reading<Bytes> {
        let [anns, bobs] = [ANN, BOB].map(|node| {
            let deadline = self.now(node).instant;
            let request = Request::Show { item: item.clone(), deadline };
            match self.tell(node, Input::Request { id: RequestId(2), request }).replies.pop() {
                Some(Reply::Shown(reading)) => reading,
                other => panic!("not shown: {other:?}"),
            }
        });
        assert_eq!(anns, bobs);
        anns
    }

    fn shown(&mut self, item: &ItemKey) -> String {
        self.reading(item).value.map(|value| value.to_string()).unwrap_or_default()
    }

    /// A register's value and the milliseconds of its stamp.
    fn register(&self, node: usize, item: &ItemKey) -> (String, u64) {
        match self.nodes[node].peek(item) {
            Some(Cell::Register(register)) => {
                (register.get().unwrap().to_string(), register.stamp().unwrap().time.millis())
            }
            other => panic!("no register: {other:?}"),
        }
    }

    fn leaves(&self, item: &ItemKey) -> usize {
        match self.nodes[ANN].peek(item) {
            Some(Cell::Document(document)) => document.live_leaves().count(),
            _ => 0,
        }
    }
}

fn title_in(collection: &Collection) -> ItemKey {
    ItemKey { collection: collection.id(), key: "title".into() }
}
