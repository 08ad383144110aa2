//! What goes wrong when conflicts are resolved, one lesson per test.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]
#![expect(clippy::unnecessary_wraps, reason = "a body is optional: a version without one deletes")]

use std::sync::atomic::{AtomicU8, Ordering};

use conflict_store::{
    AskUser, Conflict, CrdtMerge, Custom, Document, FieldMap, FieldMerge, FieldRule, Fields, LastWriterWins,
    Lines, Resolution, ResolveError, Resolver, Store, Strategy, SuspendReason, VersionId, WriteError,
};
use crdt_core::{Crdt, Hlc, Limits, OrSet, ReplicaId, Stamp, Writer, codec};

type Text = Vec<u8>;

const KEY: &[u8] = b"card";

fn stamp(millis: u64, who: u128) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_u128(who) }
}

fn text(text: &str) -> Option<Text> {
    Some(text.into())
}

fn card() -> FieldMerge<Lines> {
    FieldMerge::new("card", Lines)
}

/// A version with the first body, and versions with the others on top of it.
fn on_one_base(bodies: &[&str]) -> (Document<Text>, Vec<VersionId>) {
    let mut document = Document::default();
    let (base, _) = document.put_branch(KEY, None, text(bodies[0]), None);
    let ids = bodies[1..].iter().map(|body| document.put_branch(KEY, Some(&base), text(body), None).0);
    let ids = ids.collect();
    (document, ids)
}

fn read<R: Resolver<Text>>(document: &Document<Text>, rule: &R) -> Result<String, SuspendReason> {
    let reading = document.read(KEY, rule).unwrap();
    match reading.suspended {
        Some(reason) => Err(reason),
        None => Ok(String::from_utf8(reading.value.unwrap_or_default()).unwrap()),
    }
}

fn in_question(fields: &[&str]) -> SuspendReason {
    SuspendReason::Fields { fields: fields.iter().map(ToString::to_string).collect() }
}

/// Lets `nodes` edit the document of `KEY` apart from each other, meet, and settle, again and again.
/// `edit` makes the body that a node writes in a round out of the one it reads.
fn settle_for_100_rounds(
    nodes: usize,
    strategy: &Strategy<Text>,
    edit: impl Fn(usize, usize, Option<Text>) -> Text,
) -> Vec<Store<Text>> {
    let mut stores: Vec<_> = (0..nodes).map(|_| Store::in_memory(strategy.clone())).collect();
    for round in 0..100 {
        for (node, store) in stores.iter_mut().enumerate() {
            let reading = store.get(KEY).unwrap();
            let millis = u64::try_from(round).unwrap();
            let stamp = strategy.orders_by_time().then(|| stamp(millis, node as u128 + 1));
            store.resolve(KEY, &reading.seen, Some(edit(round, node, reading.value)), stamp).unwrap();
        }
        let documents: Vec<_> =
            stores.iter().map(|store| store.document(KEY).unwrap().unwrap().into_owned()).collect();
        for store in &mut stores {
            for document in &documents {
                let _ = store.merge(KEY, document.clone()).unwrap();
            }
        }
        let settled: Vec<_> = stores.iter_mut().map(|store| store.settle(KEY).unwrap().unwrap()).collect();
        assert!(settled.iter().all(|written| *written == settled[0]), "round {round}");
        // What the others settled is known already.
        for store in &mut stores {
            assert!(!store.merge(KEY, settled[0].1.clone()).unwrap().is_changed());
            assert_eq!(store.conflicts(KEY).unwrap(), []);
        }
    }
    stores
}

#[test]
fn nodes_that_settle_write_one_version_for_each_conflict() {
    let card_rule = Strategy::custom(card().otherwise(FieldRule::Max));
    let merging = Strategy::custom(CrdtMerge::<OrSet<String>>::new());
    for nodes in [2, 3] {
        let by_time = settle_for_100_rounds(nodes, &Strategy::LastWriterWins, |round, node, _| {
            format!("{round} by {node}").into()
        });
        let by_field = settle_for_100_rounds(nodes, &card_rule, |round, node, body| {
            let mut fields = body.map_or_else(FieldMap::new, |body| Lines.decode(&body).unwrap());
            fields.insert("shared".into(), format!("{round} by {node}").into());
            fields.insert(format!("own {node}"), round.to_string().into());
            Lines.encode(&fields).unwrap()
        });
        let by_crdt = settle_for_100_rounds(nodes, &merging, |round, node, body| {
            let mut set: OrSet<String> =
                body.map(|body| codec::from_bytes(&body, &Limits::default()).unwrap()).unwrap_or_default();
            set.add(Writer::unchecked(ReplicaId::from_u128(node as u128 + 1)), format!("{round} {node}"))
                .unwrap();
            codec::to_bytes(&set)
        });
        for store in by_time.iter().chain(&by_field).chain(&by_crdt) {
            let document = store.document(KEY).unwrap().unwrap();
            assert_eq!(document.len(), 100 * (nodes + 1), "one version for each edit, one for each conflict");
            assert_eq!(document.audit().filter(|entry| entry.rule.is_some()).count(), 100);
        }
        let fields = Lines.decode(&by_field[0].get(KEY).unwrap().value.unwrap()).unwrap();
        assert!(
            (0..nodes).all(|node| fields[&format!("own {node}")] == b"99"),
            "what only one changes is kept"
        );
        let set: OrSet<String> =
            codec::from_bytes(&by_crdt[0].get(KEY).unwrap().value.unwrap(), &Limits::default()).unwrap();
        assert_eq!(set.len(), 100 * nodes, "what anybody added is in");
    }
}

#[test]
fn nodes_that_settle_before_they_have_heard_all_agree_in_the_end() {
    let (whole, _) =
        on_one_base(&["a=0\nb=0\nc=0\n", "a=1\nb=0\nc=0\n", "a=0\nb=1\nc=0\n", "a=0\nb=0\nc=1\n"]);
    let versions: Vec<_> = crdt_core::DeltaCrdt::split(&whole);
    for left_out in 1..4 {
        let mut early = Document::default();
        for (_, version) in versions.iter().enumerate().filter(|(place, _)| *place != left_out) {
            let _ = early.merge(version);
        }
        early.settle(KEY, &card()).unwrap().unwrap();
        let mut late = whole.clone();
        late.settle(KEY, &card()).unwrap().unwrap();
        let mut met = early.merged(&late);
        assert_eq!(read(&met, &card()).unwrap(), "a=1\nb=1\nc=1\n");
        met.settle(KEY, &card()).unwrap();
        assert_eq!(met.leaves().len(), 1);
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_rule_that_answers_differently_each_time_is_caught_before_it_does_harm() {
    let calls = AtomicU8::new(0);
    let moody = Custom::new("moody", move |_: &Conflict<'_, Text>| {
        Resolution::Merge(vec![calls.fetch_add(1, Ordering::Relaxed)])
    });
    let mut store = Store::in_memory(Strategy::custom(moody.or_else(AskUser)));
    for body in ["a=1\n", "a=2\n"] {
        let (_, delta) = Document::default().put(KEY, None, text(body), None).unwrap();
        let _ = store.merge(KEY, delta).unwrap();
    }
    let caught = ResolveError::NotDeterministic { rule: "moody, else ask-user".into() };
    assert_eq!(store.settle(KEY), Err(WriteError::Resolve(caught)));
    assert_eq!(store.document(KEY).unwrap().unwrap().len(), 2, "nothing was written");
    assert!(
        store.document(KEY).unwrap().unwrap().read(KEY, &AskUser).is_ok(),
        "another rule can still be asked"
    );
}

#[test]
fn the_last_writer_is_the_same_everywhere_also_where_stamps_are_equal() {
    let live = [text("a"), text("b"), text("c")];
    for bodies in [live.to_vec(), [live.to_vec(), vec![None]].concat()] {
        let mut orders = Vec::new();
        for turn in 0..bodies.len() {
            let mut document = Document::default();
            let mut turned = bodies.clone();
            turned.rotate_left(turn);
            for body in turned {
                document.put_branch(KEY, None, body, Some(stamp(7, 1)));
            }
            orders.push(document.read(KEY, &LastWriterWins).unwrap());
        }
        assert!(orders.iter().all(|reading| *reading == orders[0]));
        assert!(
            orders[0].value.is_some(),
            "of one live version and one deletion with one stamp the live one wins"
        );
    }
}

#[test]
fn a_later_stamp_beats_a_higher_replica_and_a_later_deletion_beats_a_live_version() {
    let read = |versions: [(Option<Text>, Stamp); 2]| {
        let mut document = Document::default();
        for (body, stamp) in versions {
            document.put_branch(KEY, None, body, Some(stamp));
        }
        document.read(KEY, &LastWriterWins).unwrap().value
    };
    assert_eq!(read([(text("late"), stamp(2, 1)), (text("early"), stamp(1, 9))]), text("late"));
    assert_eq!(read([(text("low"), stamp(1, 1)), (text("high"), stamp(1, 9))]), text("high"));
    assert_eq!(read([(None, stamp(2, 1)), (text("early"), stamp(1, 9))]), None);
}

#[test]
fn what_was_removed_and_what_was_not_touched_is_gone() {
    let (document, _) = on_one_base(&["name=Ann\nphone=1\n", "name=Ann\n", "name=Anne\nphone=1\n"]);
    assert_eq!(read(&document, &card()).unwrap(), "name=Anne\n");
}

#[test]
fn what_was_removed_here_and_changed_there_is_in_question() {
    let (document, _) = on_one_base(&["name=Ann\nphone=1\n", "name=Ann\n", "name=Ann\nphone=2\n"]);
    assert_eq!(read(&document, &card()), Err(in_question(&["phone"])));
    let highest = card().field("phone", FieldRule::Max);
    assert_eq!(read(&document, &highest).unwrap(), "name=Ann\nphone=2\n", "a value beats a removal");
}

#[test]
fn what_both_changed_alike_is_not_in_question() {
    let (document, _) = on_one_base(&["phone=1\n", "a=1\nphone=2\n", "b=1\nphone=2\n"]);
    assert_eq!(read(&document, &card()).unwrap(), "a=1\nb=1\nphone=2\n");
    let (document, _) = on_one_base(&["a=1\nphone=1\n", "a=2\n", "a=1\n"]);
    assert_eq!(read(&document, &card()).unwrap(), "a=2\n");
}

#[test]
fn a_change_taken_back_is_a_change() {
    // On the branch of two, the city became Kiel, and one of them took that back. Compared with the
    // oldest version only, Kiel would look like the one change there was.
    let (mut document, moved) = on_one_base(&["city=Bonn\n", "city=Kiel\n", "city=Bonn\nphone=1\n"]);
    document.put_branch(KEY, Some(&moved[0]), text("city=Bonn\nemail=a\n"), None);
    document.put_branch(KEY, Some(&moved[0]), text("city=Kiel\nfax=1\n"), None);
    assert_eq!(read(&document, &card()).unwrap(), "city=Bonn\nemail=a\nfax=1\nphone=1\n");
}

#[test]
fn a_change_of_a_change_is_no_second_opinion() {
    // The third version knows nothing of the city. The second was written on the first's.
    let (mut document, moved) = on_one_base(&["city=Bonn\n", "city=Kiel\n", "city=Bonn\nphone=1\n"]);
    document.put_branch(KEY, Some(&moved[0]), text("city=Kiel\nemail=a\n"), None);
    document.put_branch(KEY, Some(&moved[0]), text("city=Jena\n"), None);
    assert_eq!(read(&document, &card()).unwrap(), "city=Jena\nemail=a\nphone=1\n");
}

#[test]
fn forgotten_history_does_not_bring_back_what_was_removed() {
    // Ann removed the phone, Bob did not touch it. What both started from is forgotten.
    let mut document = Document::default();
    let (base, _) = document.put(KEY, None, text("name=Ann\nphone=1\n"), None).unwrap();
    document.put_branch(KEY, Some(&base), text("name=Ann\n"), None);
    document.put_branch(KEY, Some(&base), text("name=Anne\nphone=1\n"), None);
    assert_eq!(read(&document, &card()).unwrap(), "name=Anne\n");
    let whole = document.clone();
    document.stem(0);

    let question = document.suspended(KEY, &card()).unwrap().unwrap();
    assert_eq!(question.reason, SuspendReason::HistoryIncomplete);
    assert!(!question.is_history_complete);

    // Told to guess, the rule takes the versions for unrelated: the phone is back, the name asked for.
    let guess = card().otherwise(FieldRule::Max).guessing_over_lost_history();
    assert_eq!(read(&document, &guess).unwrap(), "name=Anne\nphone=1\n");

    // Whoever still knows the history answers the question.
    assert_eq!(read(&document.merged(&whole), &card()).unwrap(), "name=Anne\n");
}

#[test]
fn fields_ordered_by_time_follow_the_stamps_of_their_versions() {
    let rule = card().field("phone", FieldRule::LastWriterWins);
    assert!(Resolver::<Text>::orders_by_time(&rule));
    let mut document = Document::default();
    let (base, _) = document.put(KEY, None, text("name=Ann\nphone=1\n"), Some(stamp(1, 1))).unwrap();
    document.put_branch(KEY, Some(&base), text("name=Anne\nphone=2\n"), Some(stamp(3, 1)));
    document.put_branch(KEY, Some(&base), text("name=Ann\nphone=3\n"), Some(stamp(2, 2)));
    assert_eq!(read(&document, &rule).unwrap(), "name=Anne\nphone=2\n");

    // A deletion gives way to what is live, however late it is.
    document.put_branch(KEY, Some(&base), None, Some(stamp(9, 3)));
    assert_eq!(read(&document, &rule).unwrap(), "name=Anne\nphone=2\n");
    let mut one_left = Document::default();
    one_left.put_branch(KEY, None, text("name=Ann\n"), Some(stamp(1, 1)));
    one_left.put_branch(KEY, None, None, Some(stamp(9, 3)));
    assert_eq!(read(&one_left, &rule).unwrap(), "name=Ann\n");
}

#[test]
fn merging_bodies_that_are_sets_does_not_bring_back_what_was_removed() {
    let (ann, bob) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
    let mut list = OrSet::<String>::default();
    list.add(Writer::unchecked(ann), "milk".into()).unwrap();
    let (mut anns, mut bobs) = (list.clone(), list.clone());
    anns.add(Writer::unchecked(ann), "plums".into()).unwrap();
    bobs.remove("milk");
    bobs.add(Writer::unchecked(bob), "rice".into()).unwrap();

    let mut document = Document::<Text>::default();
    let (base, _) = document.put(KEY, None, Some(codec::to_bytes(&list)), None).unwrap();
    document.put_branch(KEY, Some(&base), Some(codec::to_bytes(&anns)), None);
    document.put_branch(KEY, Some(&base), Some(codec::to_bytes(&bobs)), None);
    let merged = document.read(KEY, &CrdtMerge::<OrSet<String>>::new()).unwrap().value.unwrap();
    let merged: OrSet<String> = codec::from_bytes(&merged, &Limits::default()).unwrap();
    assert!(merged.contains("plums") && merged.contains("rice") && !merged.contains("milk"));
}

#[test]
fn what_a_rule_cannot_read_is_asked_about_and_not_lost() {
    let (mut document, _) = on_one_base(&["name=Ann\n", "name=Anne\n", "torn in the midd"]);
    let question = document.suspended(KEY, &card()).unwrap().unwrap();
    assert!(question.reason.to_string().contains("all versions are kept"), "{}", question.reason);
    let seen = question.seen;
    assert!(question.versions.iter().any(|version| version.body() == text("torn in the midd").as_ref()));
    document.resolve_suspended(KEY, &seen, text("name=Anne\n"), None).unwrap();
    assert_eq!(read(&document, &card()).unwrap(), "name=Anne\n");
}

#[test]
fn an_answer_does_not_decide_about_what_arrived_while_somebody_thought() {
    let (mut document, _) = on_one_base(&["a=1\n", "a=2\n", "a=3\n"]);
    let seen = document.suspended(KEY, &card()).unwrap().unwrap().seen;
    let (late, _) = document.put_branch(KEY, None, text("a=4\n"), None);
    let (later, _) = document.put(KEY, Some(&seen[0]), text("a=5\n"), None).unwrap();
    let (answer, _) = document.resolve_suspended(KEY, &seen, text("a=2\n"), None).unwrap();
    let mut open = [late, later, answer];
    open.sort();
    assert_eq!(document.suspended(KEY, &card()).unwrap().unwrap().seen, open);
}

#[test]
fn the_page_on_conflicts_is_the_example_that_runs() {
    let block = |text: &str, fence: &str| {
        let start = text.find(fence).unwrap() + fence.len();
        let end = text[start..].find("```").unwrap();
        text[start..start + end].trim().to_string()
    };
    let source: Vec<_> = include_str!("../src/resolve/mod.rs")
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let example = block(&source.join("\n"), "```\n").replace("# Ok::<(), Failure>(())", "");
    let page = include_str!("../../docs/conflicts.md");
    assert_eq!(block(page, "```rust\n"), example.trim());
    assert!(example.contains(&block(page, "```text\n")), "the output is the one that is asserted");
}
