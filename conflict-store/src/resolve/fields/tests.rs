use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::Crdt;
use proptest::collection::{btree_map, vec as vec_of};
use proptest::prelude::*;

use super::bases::bases;
use super::contest::{FieldBase, standing};
use super::rule::{FieldConflict, FieldResolution, FieldRule, FieldValue};
use super::{FieldMap, FieldMerge, Fields, Lines, LinesError};
use crate::limits::{MAX_FIELD_MERGE_VERSIONS, MAX_FIELDS};
use crate::resolve::SuspendReason;
use crate::revision::VersionId;
use crate::revision::oracle::{Body, KEY, Oracle, Tree, arb_replicas};

/// Few names and few values, so that they meet.
fn arb_fields() -> impl Strategy<Value = FieldMap> {
    btree_map("[a-d]", vec_of(0..3_u8, 0..2), 0..4)
}

/// The bytes that mean something in a body of lines, and others.
fn arb_byte_of_lines() -> impl Strategy<Value = u8> {
    prop_oneof![Just(b'='), Just(b'\n'), Just(b'\\'), Just(b'n'), any::<u8>()]
}

fn body(fields: &FieldMap) -> Body {
    Lines.encode(fields).unwrap()
}

fn fields(text: &str) -> FieldMap {
    Lines.decode(&Body::from(text)).unwrap()
}

/// Versions with these fields, all written on one with the first.
fn on_one_base(base: &FieldMap, sides: &[FieldMap]) -> (Tree, VersionId) {
    let mut tree = Tree::default();
    let (base, _) = tree.put_branch(KEY, None, Some(body(base)), None);
    for side in sides {
        tree.put_branch(KEY, Some(&base), Some(body(side)), None);
    }
    (tree, base)
}

/// What a reader sees as fields, or why not.
fn read(tree: &Tree, rule: &FieldMerge<Lines>) -> Result<FieldMap, SuspendReason> {
    let reading = tree.read(KEY, rule).unwrap();
    match reading.suspended {
        Some(reason) => Err(reason),
        None => Ok(Lines.decode(&reading.value.unwrap()).unwrap()),
    }
}

fn rule() -> FieldMerge<Lines> {
    FieldMerge::new("test", Lines)
}

/// The definition for versions on one base: what changed from it, and how.
fn naive(base: &FieldMap, sides: &[FieldMap]) -> Result<FieldMap, SuspendReason> {
    let (mut merged, mut suspended) = (FieldMap::new(), Vec::new());
    let names: BTreeSet<_> = sides.iter().flat_map(FieldMap::keys).collect();
    for name in names {
        let changed: BTreeSet<_> =
            sides.iter().map(|side| side.get(name)).filter(|value| *value != base.get(name)).collect();
        match changed.into_iter().collect::<Vec<_>>()[..] {
            [] => merged.extend(base.get(name).map(|value| (name.clone(), value.clone()))),
            [changed] => merged.extend(changed.map(|value| (name.clone(), value.clone()))),
            _ => suspended.push(name.clone()),
        }
    }
    if suspended.is_empty() { Ok(merged) } else { Err(SuspendReason::Fields { fields: suspended }) }
}

/// Versions that nothing else was written on, with one base. Equal sides are one version.
fn distinct(base: &FieldMap, sides: Vec<FieldMap>) -> Vec<FieldMap> {
    let distinct: BTreeSet<_> = sides.into_iter().filter(|side| side != base).collect();
    distinct.into_iter().collect()
}

proptest! {
    #[test]
    fn two_versions_merge_as_the_definition_says(
        base in arb_fields(),
        sides in [arb_fields(), arb_fields()],
    ) {
        let (tree, _) = on_one_base(&base, &sides);
        prop_assert_eq!(read(&tree, &rule()), naive(&base, &sides));
    }

    #[test]
    fn any_number_of_versions_on_one_base_merge_as_the_definition_says(
        base in arb_fields(),
        sides in vec_of(arb_fields(), 1..6),
    ) {
        let (tree, _) = on_one_base(&base, &sides);
        prop_assert_eq!(read(&tree, &rule()), naive(&base, &sides));
    }

    /// First versions have nothing in common, which is as good as a version without fields.
    #[test]
    fn first_versions_merge_as_if_written_on_nothing(sides in vec_of(arb_fields(), 1..5)) {
        let mut tree = Tree::default();
        for side in &sides {
            tree.put_branch(KEY, None, Some(body(side)), None);
        }
        prop_assert_eq!(read(&tree, &rule()), naive(&FieldMap::new(), &sides));
    }

    #[test]
    fn replicas_read_and_settle_alike_in_whatever_order_things_arrived(
        base in arb_fields(),
        sides in vec_of(arb_fields(), 2..6),
        order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (one, base_id) = on_one_base(&base, &sides);
        let mut other = Tree::default();
        for side in order.iter().filter_map(|place| sides.get(*place)) {
            other.put_branch(KEY, Some(&base_id), Some(body(side)), None);
        }
        other.put_branch(KEY, None, Some(body(&base)), None);
        let rule = rule().otherwise(FieldRule::Max);
        prop_assert_eq!(one.read(KEY, &rule), other.read(KEY, &rule));
        let (mut one, mut other) = (one, other);
        prop_assert_eq!(one.settle(KEY, &rule), other.settle(KEY, &rule));
        prop_assert_eq!(one, other);
    }

    /// Settled two at a time, three versions come to what they come to at once, if nothing is in
    /// question.
    #[test]
    fn merging_in_steps_comes_to_the_same(base in arb_fields(), sides in vec_of(arb_fields(), 3)) {
        let sides = distinct(&base, sides);
        if sides.len() < 3 {
            return Ok(());
        }
        let (at_once, base_id) = on_one_base(&base, &sides);
        let Ok(expected) = read(&at_once, &rule()) else { return Ok(()) };
        let (mut tree, _) = on_one_base(&base, &sides[..2]);
        tree.settle(KEY, &rule()).unwrap().unwrap();
        tree.put_branch(KEY, Some(&base_id), Some(body(&sides[2])), None);
        prop_assert_eq!(read(&tree, &rule()), Ok(expected));
    }

    #[test]
    fn which_values_stand_depends_on_no_order(
        values in vec_of(proptest::option::of(0..3_usize), 1..6),
        between in vec_of(proptest::option::of(proptest::option::of(0..3_usize)), 36),
        order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        const VALUES: [&[u8]; 3] = [b"x", b"y", b"z"];
        let value = |place: Option<usize>| place.map(|place| VALUES[place]);
        let base = |a: usize, b: usize| {
            let base = between[a.min(b) * 6 + a.max(b)];
            base.map_or(FieldBase::Ambiguous, |base| FieldBase::Known(value(base)))
        };
        let values: Vec<_> = values.into_iter().map(value).collect();
        let order: Vec<_> = order.into_iter().filter(|place| *place < values.len()).collect();
        let shuffled: Vec<_> = order.iter().map(|place| values[*place]).collect();

        let stand: BTreeSet<_> = standing(&values, base).into_iter().collect();
        let again = standing(&shuffled, |a, b| base(order[a], order[b]));
        prop_assert_eq!(&stand, &again.into_iter().map(|place| order[place]).collect());
        prop_assert!(!stand.is_empty());
    }

    #[test]
    fn what_two_versions_have_in_common_is_what_the_definition_says([a, b, c] in arb_replicas()) {
        let tree = a.merged(&b).merged(&c);
        let oracle = Oracle::of([&tree]);
        for left in tree.leaves() {
            for right in tree.leaves().iter().filter(|right| right.id() > left.id()) {
                let found = bases(&tree, left.id(), right.id());
                let ids: BTreeSet<_> = found.versions.iter().map(|base| *base.id()).collect();
                prop_assert_eq!(&ids, &naive_bases(&oracle, *left.id(), *right.id()));
                let complete = naive_completeness(&oracle, &ids, [*left.id(), *right.id()]);
                prop_assert_eq!(found.is_history_complete, complete);
            }
        }
    }

    #[test]
    fn lines_read_back_what_they_wrote(fields in btree_map(".*", vec_of(any::<u8>(), 0..8), 0..5)) {
        prop_assert_eq!(Lines.decode(&body(&fields)), Ok(fields));
    }

    #[test]
    fn fields_have_one_body(bytes in vec_of(arb_byte_of_lines(), 0..24)) {
        if let Ok(fields) = Lines.decode(&bytes) {
            prop_assert_eq!(body(&fields), bytes);
        }
    }
}

/// One step of three replicas that each change a field of their own.
#[derive(Clone, Copy, Debug)]
enum Step {
    Change { at: usize, value: Option<u8> },
    Send { from: usize, to: usize },
    Settle { at: usize },
}

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..3_usize;
    let value = proptest::option::weighted(0.8, 0..2_u8);
    prop_oneof![
        3 => (at(), value).prop_map(|(at, value)| Step::Change { at, value }),
        3 => (at(), at()).prop_map(|(from, to)| Step::Send { from, to }),
        1 => at().prop_map(|at| Step::Settle { at }),
    ]
}

proptest! {
    /// Whoever writes a field alone never loses a write of it, also one that takes back an earlier
    /// one, however the replicas met and whatever they settled in between.
    #[test]
    fn what_only_one_replica_changes_is_what_it_wrote_last(steps in vec_of(arb_step(), 0..40)) {
        let names = ["a", "b", "c"];
        let mut replicas = [Tree::default(), Tree::default(), Tree::default()];
        let mut expected = FieldMap::new();
        for step in steps {
            match step {
                Step::Change { at, value } => {
                    let reading = replicas[at].read(KEY, &rule()).unwrap();
                    if reading.suspended.is_some() {
                        continue;
                    }
                    let known = reading.value.unwrap_or_default();
                    let mut changed = Lines.decode(&known).unwrap();
                    for fields in [&mut changed, &mut expected] {
                        fields.remove(names[at]);
                        fields.extend(value.map(|value| (names[at].into(), vec![value])));
                    }
                    replicas[at].supersede(KEY, &reading.seen, Some(body(&changed)), None).unwrap();
                }
                Step::Send { from, to } => {
                    let sent = replicas[from].clone();
                    let _ = replicas[to].merge(&sent);
                }
                Step::Settle { at } => drop(replicas[at].settle(KEY, &rule()).unwrap()),
            }
        }
        let [a, b, c] = replicas;
        let all = a.merged(&b).merged(&c);
        if !all.is_empty() {
            match read(&all, &rule()) {
                Ok(read) => prop_assert_eq!(read, expected),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}

/// The common ancestors that no other common ancestor was written on.
fn naive_bases(oracle: &Oracle, left: VersionId, right: VersionId) -> BTreeSet<VersionId> {
    let below = |id| oracle.steps_below(id).into_keys().collect::<BTreeSet<_>>();
    let common = &below(left) & &below(right);
    let covered = |id: &VersionId| common.iter().any(|other| other != id && below(*other).contains(id));
    common.iter().filter(|id| !covered(id)).copied().collect()
}

/// Whether every version named above the bases is known, unless a base stands on it as well.
fn naive_completeness(oracle: &Oracle, bases: &BTreeSet<VersionId>, sides: [VersionId; 2]) -> bool {
    let below = |id: &VersionId| oracle.steps_below(*id).into_keys().collect::<BTreeSet<_>>();
    let low: BTreeSet<_> = bases.iter().flat_map(below).collect();
    let reached: BTreeSet<_> = sides.iter().flat_map(below).collect();
    let named = |ids: &BTreeSet<VersionId>| -> BTreeSet<VersionId> {
        ids.iter().flat_map(|id| oracle.0[id].parents()).copied().collect()
    };
    let above = named(&(&reached - &low));
    (&above - &named(&low)).iter().all(|id| oracle.0.contains_key(id))
}

#[test]
fn a_body_of_lines_is_these_bytes() {
    let golden = FieldMap::from([
        ("a=b".into(), b"1=2".to_vec()),
        ("back\\slash".into(), b"\\n".to_vec()),
        ("new\nline".into(), b"\n\xff".to_vec()),
        (String::new(), vec![]),
    ]);
    assert_eq!(body(&golden), b"=\na\\=b=1=2\nback\\\\slash=\\\\n\nnew\\nline=\\n\xff\n");
    assert_eq!(body(&FieldMap::new()), b"");
}

#[test]
fn other_bytes_are_no_body_of_lines() {
    let refused = |text: &[u8]| Lines.decode(&text.to_vec()).unwrap_err();
    assert_eq!(refused(b"a=1\nb=2"), LinesError::Cut);
    assert_eq!(refused(b"\n"), LinesError::NoValue { line: 1 });
    assert_eq!(refused(b"a=1\nb\\=2\n"), LinesError::NoValue { line: 2 });
    assert_eq!(refused(b"a=\\=\n"), LinesError::Escape { line: 1 }, "a value needs no such escape");
    assert_eq!(refused(b"\\a=1\n"), LinesError::Escape { line: 1 });
    assert_eq!(refused(b"a=1\\\n"), LinesError::Escape { line: 1 });
    assert_eq!(refused(b"\xff=1\n"), LinesError::Name { line: 1 });
    assert_eq!(refused(b"b=1\na=2\n"), LinesError::Order { line: 2 });
    assert_eq!(refused(b"a=1\na=1\n"), LinesError::Order { line: 2 });
}

#[test]
fn a_body_of_lines_has_a_most_number_of_fields() {
    let most: FieldMap = (0..MAX_FIELDS).map(|n| (alloc::format!("{n:06}"), vec![])).collect();
    assert_eq!(Lines.decode(&body(&most)), Ok(most.clone()));

    let one_more = [body(&most), b"x=\n".to_vec()].concat();
    let too_many = LinesError::TooMany { limit: MAX_FIELDS };
    assert_eq!(Lines.decode(&one_more), Err(too_many));
    let mut one_more = most;
    one_more.insert("x".into(), vec![]);
    assert_eq!(Fields::<Body>::encode(&Lines, &one_more), Err(too_many));
}

/// A conflict between these values, the winner's first, that started from `base`.
fn between<'a>(base: FieldBase<'a>, values: &[Option<&'a str>]) -> FieldConflict<'a> {
    let side = |(place, value): (usize, Option<&'a str>)| FieldValue {
        value: value.map(str::as_bytes),
        version: VersionId::new(1, [u8::MAX - u8::try_from(place).unwrap(); 16]).unwrap(),
        stamp: None,
    };
    FieldConflict { name: "field", base, values: values.iter().copied().enumerate().map(side).collect() }
}

fn set(value: &str) -> FieldResolution {
    FieldResolution::Set(value.into())
}

#[test]
fn each_rule_for_fields_decides_as_it_says() {
    let base = FieldBase::Known(Some(b"a,b"));
    let decide = |rule: FieldRule, values: &[Option<&str>]| rule.resolve(&between(base, values));
    assert_eq!(decide(FieldRule::Suspend, &[Some("1"), Some("2")]), FieldResolution::Suspend);
    assert_eq!(decide(FieldRule::Max, &[Some("1"), Some("2"), None]), set("2"));
    assert_eq!(decide(FieldRule::Min, &[Some("2"), Some("1"), None]), set("1"));
    let winners = FieldRule::custom(|conflict| match conflict.values[0].value {
        Some(value) => FieldResolution::Set(value.to_vec()),
        None => FieldResolution::Remove,
    });
    assert_eq!(decide(winners.clone(), &[Some("2"), Some("1")]), set("2"));
    assert_eq!(decide(winners, &[None, Some("1")]), FieldResolution::Remove);
    assert_eq!(decide(FieldRule::LastWriterWins, &[None, Some("1")]), FieldResolution::Remove);
}

#[test]
fn a_union_knows_what_was_added_and_what_was_removed() {
    let base = FieldBase::Known(Some(b"a,b"));
    let decide = |base, values: &[Option<&str>]| FieldRule::Union(b',').resolve(&between(base, values));
    assert_eq!(decide(base, &[Some("a,b,c"), Some("d,b")]), set("b,c,d"));
    assert_eq!(decide(base, &[Some("c,b,a"), None]), set("c"), "whoever removed the field removed a and b");
    assert_eq!(decide(base, &[Some("a"), None]), FieldResolution::Remove);
    assert_eq!(decide(FieldBase::Known(None), &[Some("a"), Some("b")]), set("a,b"));
    assert_eq!(decide(FieldBase::Ambiguous, &[Some("a,b,c"), Some("d")]), set("a,b,c,d"));
}

#[test]
fn fields_in_question_suspend_the_conflict_by_name() {
    let base = fields("a=1\nb=1\nc=1\n");
    let (tree, _) = on_one_base(&base, &[fields("a=2\nb=2\nc=2\n"), fields("a=3\nb=1\n")]);
    let reason = SuspendReason::Fields { fields: vec!["a".into(), "c".into()] };
    assert_eq!(read(&tree, &rule()), Err(reason.clone()));
    assert!(reason.to_string().contains("a, c"), "{reason}");
    let decided = rule().otherwise(FieldRule::Max);
    assert_eq!(read(&tree, &decided), Ok(fields("a=3\nb=2\nc=2\n")));
}

#[test]
fn a_body_without_fields_suspends_and_loses_nothing() {
    let mut tree = Tree::default();
    let (torn, _) = tree.put_branch(KEY, None, Some(b"name=An".to_vec()), None);
    tree.put_branch(KEY, None, Some(b"name=Bob\n".to_vec()), None);
    let reason = SuspendReason::Undecodable { version: torn, reason: LinesError::Cut.to_string() };
    assert_eq!(read(&tree, &rule()), Err(reason));
    assert_eq!(tree.settle(KEY, &rule()), Ok(None));

    // An unreadable base is no better: what changed cannot be told.
    let mut tree = Tree::default();
    let (torn, _) = tree.put_branch(KEY, None, Some(b"name=An".to_vec()), None);
    tree.put_branch(KEY, Some(&torn), Some(b"name=Ann\n".to_vec()), None);
    tree.put_branch(KEY, Some(&torn), Some(b"name=Anne\n".to_vec()), None);
    assert!(
        matches!(read(&tree, &rule()), Err(SuspendReason::Undecodable { version, .. }) if version == torn)
    );
}

#[test]
fn a_result_without_a_body_suspends() {
    let many = |first: &str| -> FieldMap {
        (0..=MAX_FIELDS / 2).map(|n| (alloc::format!("{first}{n}"), vec![])).collect()
    };
    let (tree, _) = on_one_base(&FieldMap::new(), &[many("a"), many("b")]);
    let reason = LinesError::TooMany { limit: MAX_FIELDS }.to_string();
    assert_eq!(read(&tree, &rule()), Err(SuspendReason::Unencodable { reason }));
}

#[test]
fn more_versions_than_the_limit_are_suspended() {
    let side = |n: usize| FieldMap::from([(n.to_string(), vec![])]);
    let mut sides: Vec<_> = (0..MAX_FIELD_MERGE_VERSIONS).map(side).collect();
    let (tree, _) = on_one_base(&FieldMap::new(), &sides);
    assert_eq!(read(&tree, &rule()).map(|merged| merged.len()), Ok(MAX_FIELD_MERGE_VERSIONS));
    sides.push(side(MAX_FIELD_MERGE_VERSIONS));
    let (tree, _) = on_one_base(&FieldMap::new(), &sides);
    let (given, limit) = (MAX_FIELD_MERGE_VERSIONS + 1, MAX_FIELD_MERGE_VERSIONS);
    assert_eq!(read(&tree, &rule()), Err(SuspendReason::TooManyVersions { given, limit }));
}

#[test]
fn more_versions_in_common_than_the_limit_are_suspended() {
    let resolved_twice = |roots: usize| {
        let mut tree = Tree::default();
        let root = |n: usize| body(&FieldMap::from([(n.to_string(), vec![])]));
        let roots: Vec<_> = (0..roots).map(|n| tree.put_branch(KEY, None, Some(root(n)), None).0).collect();
        let mut other = tree.clone();
        tree.supersede(KEY, &roots, Some(b"a=1\n".to_vec()), None).unwrap();
        other.supersede(KEY, &roots, Some(b"a=1\nb=1\n".to_vec()), None).unwrap();
        read(&tree.merged(&other), &rule())
    };
    assert_eq!(resolved_twice(MAX_FIELD_MERGE_VERSIONS), Ok(fields("a=1\nb=1\n")));
    let (given, limit) = (MAX_FIELD_MERGE_VERSIONS + 1, MAX_FIELD_MERGE_VERSIONS);
    assert_eq!(resolved_twice(given), Err(SuspendReason::TooManyVersions { given, limit }));
}

#[test]
fn a_change_taken_back_after_a_resolution_does_not_vanish() {
    // Two nodes settle parts of one conflict, so what follows stands on several versions at once.
    let (mut tree, base) = on_one_base(&fields("f=old\n"), &[fields("f=new\n"), fields("f=old\ng=1\n")]);
    let mut other = tree.clone();
    other.put_branch(KEY, Some(&base), Some(b"f=old\nh=1\n".to_vec()), None);
    let (one, _) = tree.settle(KEY, &rule()).unwrap().unwrap();
    other.settle(KEY, &rule()).unwrap().unwrap();
    let met = tree.clone().merged(&other);
    assert_eq!(read(&met, &rule()), Ok(fields("f=new\ng=1\nh=1\n")));

    // One takes the change of `f` back, on purpose. Its bases say old and new, and merge to new.
    tree.put(KEY, Some(&one), Some(b"f=old\ng=1\n".to_vec()), None).unwrap();
    assert_eq!(read(&tree.merged(&other), &rule()), Ok(fields("f=old\ng=1\nh=1\n")));
}

#[test]
fn of_a_question_answered_differently_nobody_knows_what_it_was_before() {
    let mut tree = Tree::default();
    let roots = ["f=1\n", "f=2\n"].map(|body| tree.put_branch(KEY, None, Some(body.into()), None).0);
    let mut other = tree.clone();
    tree.supersede(KEY, &roots, Some(b"f=1\n".to_vec()), None).unwrap();
    other.supersede(KEY, &roots, Some(b"f=3\n".to_vec()), None).unwrap();
    let met = tree.merged(&other);
    assert_eq!(read(&met, &rule()), Err(SuspendReason::Fields { fields: vec!["f".into()] }));
    let is_ambiguous = FieldRule::custom(|conflict| {
        assert_eq!((conflict.base, conflict.values.len()), (FieldBase::Ambiguous, 2));
        FieldResolution::Remove
    });
    assert_eq!(read(&met, &rule().otherwise(is_ambiguous)), Ok(FieldMap::new()));
}
