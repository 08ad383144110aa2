//! The rules that come with the crate, one by one: what they decide, what they leave open, and why.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]
#![expect(clippy::unnecessary_wraps, reason = "a body is optional: a version without one deletes")]

use conflict_store::limits::MAX_PARENTS;
use conflict_store::{
    AskUser, Conflict, CrdtMerge, Custom, Document, KeepAll, LastWriterWins, PutError, Resolution, Resolver,
    SuspendReason, VersionId,
};
use crdt_core::{Crdt, GCounter, GSet, Hlc, Limits, OrSet, ReplicaId, Stamp, Writer, codec};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

type Text = Vec<u8>;

const KEY: &[u8] = b"key";

fn stamp(millis: u64) -> Option<Stamp> {
    Some(Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_u128(1) })
}

fn text(text: &str) -> Option<Text> {
    Some(text.into())
}

/// First versions with these bodies, beside each other.
fn beside<const N: usize>(bodies: [Option<Text>; N]) -> (Document<Text>, [VersionId; N]) {
    let mut document = Document::default();
    let ids = bodies.map(|body| document.put_branch(KEY, None, body, None).0);
    (document, ids)
}

fn likes(who: u128, amount: u64) -> Option<Text> {
    let mut likes = GCounter::default();
    likes.increment(Writer::unchecked(ReplicaId::from_u128(who)), amount).unwrap();
    Some(codec::to_bytes(&likes))
}

fn reason<R: Resolver<Text>>(document: &Document<Text>, rule: &R) -> SuspendReason {
    document.read(KEY, rule).unwrap().suspended.unwrap()
}

proptest! {
    #[test]
    fn bodies_that_merge_are_merged(sets in vec(btree_set(0..20_u8, 0..6), 1..5)) {
        let sets: Vec<GSet<u8>> = sets.into_iter().map(GSet::from_iter).collect();
        let mut here = Document::<Text>::default();
        let mut there = Document::default();
        for set in &sets {
            here.put_branch(KEY, None, Some(codec::to_bytes(set)), None);
        }
        for set in sets.iter().rev() {
            there.put_branch(KEY, None, Some(codec::to_bytes(set)), None);
        }
        let rule = CrdtMerge::<GSet<u8>>::new();
        let expected = sets.iter().fold(GSet::default(), Crdt::merged);
        prop_assert_eq!(here.read(KEY, &rule).unwrap().value, Some(codec::to_bytes(&expected)));
        prop_assert_eq!(here.settle(KEY, &rule), there.settle(KEY, &rule));
        prop_assert_eq!(here.leaves().len(), 1);
    }
}

#[test]
fn a_body_that_knows_all_the_others_is_chosen_as_it_is() {
    let set = |items: &[&str]| {
        let set: GSet<String> = items.iter().map(ToString::to_string).collect();
        Some(codec::to_bytes(&set))
    };
    let rule = CrdtMerge::<GSet<String>>::new();
    let (document, [_, both]) = beside([set(&["a"]), set(&["a", "b"])]);
    assert_eq!(document.read(KEY, &rule).unwrap().version, Some(both));
}

#[test]
fn whoever_wrote_a_body_it_merges() {
    let rule = CrdtMerge::<GCounter>::new();
    let (document, _) = beside([likes(0, 1), likes(u128::MAX, 2)]);
    let merged = document.read(KEY, &rule).unwrap().value.unwrap();
    assert_eq!(codec::from_bytes::<GCounter>(&merged, &Limits::default()).unwrap().value(), 3);
}

#[test]
fn a_body_that_does_not_decode_is_named_and_kept() {
    let rule = CrdtMerge::<GCounter>::new();
    for strange in [text("no counter"), Some(codec::to_bytes(&GSet::from_iter(["plum".to_string()])))] {
        let (mut document, [strange, _]) = beside([strange, likes(1, 1)]);
        let reason = reason(&document, &rule);
        assert!(
            matches!(reason, SuspendReason::Undecodable { version, .. } if version == strange),
            "{reason}"
        );
        assert_eq!(document.settle(KEY, &rule), Ok(None));
        assert_eq!(document.live_leaves().count(), 2);
    }
}

#[test]
fn bodies_and_results_over_the_limits_suspend() {
    let (document, [one, two]) = beside([likes(1, 1), likes(2, 1)]);
    let longest = |bytes| Limits { max_bytes: bytes, ..Limits::default() };
    let length = likes(1, 1).unwrap().len();
    let rule = |bytes| CrdtMerge::<GCounter>::new().with_limits(longest(bytes));
    let body = reason(&document, &rule(length - 1));
    assert!(matches!(body, SuspendReason::Undecodable { version, .. } if version == one.max(two)), "{body}");
    let result = reason(&document, &rule(length));
    assert!(matches!(result, SuspendReason::Unencodable { .. }), "{result}");
    assert!(document.read(KEY, &rule(2 * length)).unwrap().suspended.is_none());
}

#[test]
fn bodies_of_another_baseline_do_not_merge_with_these() {
    let (document, _) = beside([likes(1, 1), likes(2, 1)]);
    let rule = CrdtMerge::<GCounter>::new().with_baseline(1);
    assert!(matches!(reason(&document, &rule), SuspendReason::Undecodable { .. }));

    let rewritten = |who| {
        let likes: GCounter = codec::from_bytes(&likes(who, 1).unwrap(), &Limits::default()).unwrap();
        Some(codec::try_to_bytes_at(1, &likes).unwrap())
    };
    let (document, _) = beside([rewritten(1), rewritten(2)]);
    let merged = document.read(KEY, &rule).unwrap().value.unwrap();
    let merged: GCounter = codec::from_bytes_at(1, &merged, &Limits::default()).unwrap();
    assert_eq!(merged.value(), 2);
}

#[test]
fn bodies_of_a_forked_replica_are_not_merged_silently() {
    // Two copies of one device add different things under one dot: merging would lose one.
    let set = |item: &'static str| {
        let mut set = OrSet::default();
        set.add(Writer::unchecked(ReplicaId::from_u128(1)), item.to_string()).unwrap();
        Some(codec::to_bytes(&set))
    };
    let (document, [one, two]) = beside([set("milk"), set("rice")]);
    let reason = reason(&document, &CrdtMerge::<OrSet<String>>::new());
    assert!(
        matches!(reason, SuspendReason::Unmergeable { version, .. } if version == one.min(two)),
        "{reason}"
    );
}

/// A rule that says the same of every conflict.
fn says(name: &str, resolution: Resolution<Text>) -> impl Resolver<Text> + use<> {
    Custom::new(name, move |_: &Conflict<'_, Text>| resolution.clone())
}

#[test]
fn a_chain_asks_the_next_rule_about_what_the_first_leaves_open() {
    let (document, _) = beside([text("a"), text("b")]);
    let merge = |name| says(name, Resolution::Merge(name.into()));
    let suspend = |name: &str| says(name, Resolution::Suspend(SuspendReason::Other(name.into())));
    let value = |rule: &dyn Resolver<Text>| document.read(KEY, rule).unwrap().value.unwrap();
    assert_eq!(value(&merge("first").or_else(merge("next"))), b"first");
    assert_eq!(value(&KeepAll.or_else(merge("next"))), b"next");
    assert_eq!(value(&suspend("first").or_else(merge("next"))), b"next");
    assert_eq!(value(&KeepAll.or_else(AskUser).or_else(merge("last"))), b"last");
    assert_eq!(value(&KeepAll.or_else(AskUser.or_else(merge("last")))), b"last");

    let open = |rule: &dyn Resolver<Text>| document.read(KEY, rule).unwrap().suspended;
    assert_eq!(open(&KeepAll.or_else(KeepAll)), None);
    assert_eq!(open(&KeepAll.or_else(AskUser)), Some(SuspendReason::LeftToPeople));
    assert_eq!(open(&AskUser.or_else(KeepAll)), Some(SuspendReason::LeftToPeople));
    assert_eq!(open(&suspend("first").or_else(suspend("next"))), Some(SuspendReason::Other("first".into())));
    assert_eq!(
        open(&suspend("first").or_else(KeepAll).or_else(suspend("last"))).unwrap().to_string(),
        "first"
    );
}

#[test]
fn the_name_of_a_chain_names_its_rules() {
    let rule = KeepAll.or_else(AskUser).or_else(LastWriterWins);
    let (mut document, _) = beside([text("a"), text("b")]);
    let (settled, _) = document.settle(KEY, &rule).unwrap().unwrap();
    let name = document.get(&settled).and_then(|version| version.rule());
    assert_eq!(name, Some("keep-all, else ask-user, else last-writer-wins"));
    let other_brackets = KeepAll.or_else(AskUser.or_else(LastWriterWins));
    assert_eq!(Resolver::<Text>::rule(&other_brackets), rule.rule());
}

#[test]
fn a_chain_orders_by_time_if_any_of_its_rules_does() {
    let by_time = |rule: &dyn Resolver<Text>| rule.orders_by_time();
    assert!(by_time(&KeepAll.or_else(LastWriterWins)));
    assert!(by_time(&LastWriterWins.or_else(KeepAll)));
    assert!(by_time(&KeepAll.or_else(KeepAll.or_else(LastWriterWins))));
    assert!(!by_time(&KeepAll.or_else(AskUser)));
}

#[test]
fn in_a_chain_deletions_compete_only_before_rules_that_order_by_time() {
    let longest = Custom::new("longest", |conflict: &Conflict<'_, Text>| {
        let versions = conflict.versions();
        assert!(versions.len() > 1 && versions.iter().all(|version| !version.is_deleted()));
        let longest = conflict.bodies().max_by_key(|body| body.len()).unwrap();
        if longest.is_empty() { Resolution::Keep } else { Resolution::Merge(longest.clone()) }
    });
    let rule = longest.or_else(LastWriterWins);
    let read = |bodies: &[Option<Text>]| {
        let mut document = Document::default();
        for (body, time) in bodies.iter().zip(1..) {
            document.put_branch(KEY, None, body.clone(), stamp(time));
        }
        document.read(KEY, &rule).unwrap().value
    };
    assert_eq!(read(&[text("short"), text("longest"), None]), text("longest"), "among the live ones");
    assert_eq!(read(&[text("only"), None]), None, "one live version is nothing to choose from");
    assert_eq!(read(&[None, text("only")]), text("only"));
    let unstamped = |time| {
        let mut document = Document::default();
        document.put_branch(KEY, None, text(""), stamp(1));
        document.put_branch(KEY, None, text(""), stamp(2));
        document.put_branch(KEY, None, None, stamp(time));
        document.read(KEY, &rule).unwrap().value
    };
    assert_eq!(unstamped(3), None, "what the first rule keeps is ordered by time, deletions among it");
    assert_eq!(unstamped(0), text(""));
}

#[test]
fn a_question_has_all_that_is_needed_to_answer_it() {
    let mut document = Document::default();
    let (base, _) = document.put(KEY, None, text("bread"), None).unwrap();
    let (one, _) = document.put_branch(KEY, Some(&base), text("bread, milk"), None);
    let (two, _) = document.put_branch(KEY, Some(&base), text("bread, eggs"), None);
    let question = document.suspended(KEY, &AskUser).unwrap().unwrap();
    assert_eq!(question.reason, SuspendReason::LeftToPeople);
    assert_eq!(question.seen, [one.min(two), one.max(two)]);
    assert_eq!(*question.versions[0].id(), one.max(two));
    assert_eq!(question.common_ancestor.map(|version| *version.id()), Some(base));
    assert!(question.is_history_complete);
    assert!(document.suspended(KEY, &KeepAll).unwrap().is_none());
    assert!(document.suspended(KEY, &LastWriterWins).unwrap().is_none());
}

#[test]
fn an_answer_stands_beside_what_was_written_on_meanwhile() {
    let (mut document, [one, two]) = beside([text("a"), text("b")]);
    let seen = [one, two];
    let (edited, _) = document.put(KEY, Some(&one), text("a, edited"), None).unwrap();
    assert!(matches!(document.supersede(KEY, &seen, text("both"), None), Err(PutError::Conflict { .. })));

    let (answer, delta) = document.resolve_suspended(KEY, &seen, text("both"), None).unwrap();
    assert_eq!(delta.len(), 1);
    let leaves: Vec<_> = document.leaves().iter().map(|leaf| *leaf.id()).collect();
    assert_eq!(leaves, [edited.min(answer), edited.max(answer)], "neither is lost");

    // Sent again after a lost reply, it is the same version.
    let (again, delta) = document.resolve_suspended(KEY, &seen, text("both"), None).unwrap();
    assert_eq!((again, delta.len()), (answer, 0));
}

#[test]
fn an_answer_to_a_question_that_no_longer_exists_is_refused() {
    let (mut document, [one, two]) = beside([text("a"), text("b")]);
    let (decided, _) = document.supersede(KEY, &[one, two], text("decided"), None).unwrap();
    let refused = document.resolve_suspended(KEY, &[one, two], text("late"), None);
    assert_eq!(refused, Err(PutError::Conflict { leaves: vec![decided] }));

    let unknown = VersionId::new(1, [7; 16]).unwrap();
    let refused = document.resolve_suspended(KEY, &[decided, unknown], text("made up"), None);
    assert_eq!(refused, Err(PutError::Conflict { leaves: vec![decided] }));

    let ids = (0..=MAX_PARENTS as u64).map(|n| VersionId::new(n + 1, [7; 16]).unwrap());
    let refused = document.resolve_suspended(KEY, &ids.collect::<Vec<_>>(), text("too many"), None);
    assert_eq!(refused, Err(PutError::TooManyParents { given: MAX_PARENTS + 1, limit: MAX_PARENTS }));
    assert_eq!(document.len(), 3);
}

#[test]
fn the_trail_tells_rules_from_writers_and_what_became_of_each_version() {
    let (mut document, [one, two]) = beside([text("a"), text("b")]);
    let loser = one.min(two);
    let winner = one.max(two);
    let (settled, _) = document.settle(KEY, &LastWriterWins).unwrap().unwrap();
    let (aside, _) = document.put_branch(KEY, Some(&winner), text("c"), None);
    let (written, _) = document.supersede(KEY, &[settled, aside], text("a and c"), None).unwrap();
    let (other, _) = document.put_branch(KEY, Some(&settled), text("d"), None);
    let (deleted, _) = document.supersede(KEY, &[written, other], None, None).unwrap();

    let short = |id: VersionId| id.short().to_string();
    let both = |a: VersionId, b: VersionId| format!("{}, {}", short(a.min(b)), short(a.max(b)));
    let trail: Vec<_> = document.audit().map(|entry| entry.to_string()).collect();
    let [settled_s, written_s, deleted_s] = [settled, written, deleted].map(short);
    assert_eq!(
        trail,
        [
            format!(
                "{settled_s}: the rule \"last-writer-wins\" kept {} and dropped {}",
                short(winner),
                short(loser)
            ),
            format!("{written_s}: a writer wrote a new value in place of {}", both(settled, aside)),
            format!("{deleted_s}: a writer deleted the document and dropped {}", both(written, other)),
        ]
    );

    // What has been forgotten is said to be; what was resolved remains as far as it is known.
    document.stem(1);
    let trail: Vec<_> = document.audit().map(|entry| entry.to_string()).collect();
    assert_eq!(trail.len(), 2);
    assert!(trail[0].ends_with(&format!("; no longer known: {}", both(settled, aside))), "{trail:?}");
}

#[test]
fn the_trail_names_who_wrote_where_stamps_are_kept() {
    let mut document = Document::default();
    let ids = [1, 2].map(|time| document.put_branch(KEY, None, text(&time.to_string()), stamp(time)).0);
    let (kept, _) = document.supersede(KEY, &ids, text("2"), stamp(3)).unwrap();
    let (deleted, _) = document.put_branch(KEY, Some(&kept), None, stamp(4));
    let (aside, _) = document.put_branch(KEY, Some(&kept), text("3"), stamp(4));
    document.supersede(KEY, &[deleted, aside], None, stamp(5)).unwrap();
    let trail: Vec<_> = document.audit().map(|entry| entry.to_string()).collect();
    let writer = ReplicaId::from_u128(1).to_string();
    assert!(trail[0].contains(&format!("{writer} kept {} and dropped {}", ids[1].short(), ids[0].short())));
    assert!(trail[1].contains(&format!("kept the deletion {}", deleted.short())), "{trail:?}");
}
