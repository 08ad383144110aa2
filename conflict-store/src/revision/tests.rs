use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::codec::{decode_payload, encode_payload};
use crdt_core::laws::{check_delta_laws, check_laws};
use crdt_core::{Change, Crdt, Hlc, Limits, ReplicaId, Stamp, VersionDigest};
use proptest::prelude::*;

use super::oracle::{KEY, Oracle, Tree, arb_replicas};
use super::version::visits;
use super::{
    Claim, Content, DecodeTreeError, DocumentView, InsertError, Inserted, Place, PutError, Version,
    VersionId, common_ancestor,
};
use crate::limits::MAX_PARENTS;

pub(super) fn ids<'a>(versions: impl IntoIterator<Item = &'a Version<Vec<u8>>>) -> Vec<VersionId> {
    versions.into_iter().map(|version| *version.id()).collect()
}

/// A tree of `revisions` versions, each on top of the one before.
pub(super) fn chain(revisions: usize) -> Tree {
    let mut tree = Tree::default();
    extend(&mut tree, revisions);
    tree
}

pub(super) fn extend(tree: &mut Tree, revisions: usize) {
    for _ in 0..revisions {
        let parent = tree.winner().map(|winner| *winner.id());
        tree.put(KEY, parent.as_ref(), Some(b"text".to_vec()), None).expect("on top of the winner");
    }
}

proptest! {
    #[test]
    fn merging_obeys_the_laws([a, b, c] in arb_replicas()) {
        check_laws(&a, &b, &c)?;
        check_delta_laws(&a, &b, &c)?;
    }

    #[test]
    fn everything_is_as_the_oracle_says([a, b, c] in arb_replicas()) {
        let oracle = Oracle::of([&a, &b, &c]);
        for merged in [a.clone().merged(&b).merged(&c), c.merged(&a).merged(&b)] {
            prop_assert_eq!(ids(merged.versions()), oracle.0.keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(ids(merged.leaves()), oracle.leaves());
            prop_assert_eq!(merged.winner().map(|winner| *winner.id()), oracle.winner());
            let live = ids(merged.live_leaves());
            let beaten = live.iter().filter(|id| Some(**id) != oracle.winner()).copied();
            prop_assert_eq!(ids(merged.conflicts()), beaten.collect::<Vec<_>>());
            let found = common_ancestor(&merged, &live).version.map(|version| *version.id());
            prop_assert_eq!(found, oracle.common_ancestor(&live));
            for id in oracle.0.keys() {
                let history: BTreeSet<_> = merged.history(id).map(|version| *version.id()).collect();
                prop_assert_eq!(history, oracle.steps_below(*id).into_keys().collect());
            }
        }
    }

    #[test]
    fn branches_come_to_lie_where_the_oracle_says([a, b, _] in arb_replicas()) {
        let mut merged = a.clone();
        let outcome = merged.merge_placed(&b);
        prop_assert_eq!(&outcome.places, &Oracle::of([&a]).places(&b));
        prop_assert_eq!(outcome.change.is_changed(), merged != a);
        prop_assert_eq!(merged, a.merged(&b));
    }

    #[test]
    fn a_branch_tells_a_leaf_and_the_places_below_it([a, b, _] in arb_replicas()) {
        let known = ids(b.versions());
        for leaf in a.leaves() {
            let branch = a.branch(leaf.id(), &[]).unwrap();
            prop_assert_eq!(branch.leaves(), std::slice::from_ref(leaf));
            let told: BTreeSet<_> = ids(branch.versions()).into_iter().collect();
            prop_assert_eq!(told, Oracle::of([&a]).steps_below(*leaf.id()).into_keys().collect());
            prop_assert!(branch.versions().all(|version| version.is_stub() == (version != leaf)));
            prop_assert!(a.contains_all(&branch));

            // It is as good as the whole history, and so is what is cut at what the receiver knows.
            let mut receiver = b.clone();
            let claims = branch.history(leaf.id()).map(Claim::from);
            let inserted = receiver.insert_branch(KEY, claims).unwrap();
            prop_assert_eq!(Some(inserted.place), Oracle::of([&b]).places(&branch).pop().map(|(_, place)| place));
            prop_assert_eq!(&receiver, &b.clone().merged(&branch));
            let cut = a.branch(leaf.id(), &known).unwrap();
            prop_assert!(branch.contains_all(&cut));
            let whole = a.branch(leaf.id(), &[]).unwrap();
            let chained = b.clone().merged(&cut);
            let lower = whole.versions().filter(|version| chained.get(version.id()).is_none());
            // What the cut leaves out lies below something the receiver knows.
            let below_known: BTreeSet<_> =
                known.iter().flat_map(|id| Oracle::of([&a]).steps_below(*id).into_keys()).collect();
            for version in lower {
                prop_assert!(below_known.contains(version.id()));
            }
        }
    }

    #[test]
    fn what_a_peer_is_asked_for_is_what_the_oracle_says([a, b, _] in arb_replicas()) {
        let oracle = Oracle::of([&a]);
        let missing = a.missing(&ids(b.versions()));
        let unknown = b.versions().map(Version::id).filter(|id| !oracle.has_content(id)).copied();
        prop_assert_eq!(&missing, &unknown.collect::<Vec<_>>());
        let highest = missing.iter().map(VersionId::generation).max();
        let lower = |id: &VersionId| Some(id.generation()) < highest;
        let possible: Vec<_> = oracle.leaves().into_iter().filter(lower).collect();
        prop_assert_eq!(a.possible_ancestors(&missing), possible);
    }

    #[test]
    fn the_lineage_goes_from_parent_to_parent([tree, ..] in arb_replicas()) {
        for version in tree.versions() {
            let lineage: Vec<_> = tree.lineage(version.id()).copied().collect();
            prop_assert_eq!(lineage[0], *version.id());
            for pair in lineage.windows(2) {
                prop_assert_eq!(tree.get(&pair[0]).unwrap().parent(), Some(&pair[1]));
            }
            let last = tree.get(lineage.last().unwrap()).unwrap();
            prop_assert!(last.parent().is_none_or(|parent| tree.get(parent).is_none()));
        }
    }

    #[test]
    fn stemming_keeps_what_the_oracle_says(
        [tree, whole, _] in arb_replicas(),
        limit in 0..5_usize,
    ) {
        let mut stemmed = tree.clone();
        let forgotten = stemmed.stem(limit);
        let kept: BTreeSet<_> = ids(stemmed.versions()).into_iter().collect();
        prop_assert_eq!(kept, Oracle::of([&tree]).within(limit));
        prop_assert_eq!(forgotten, tree.len() - stemmed.len());
        prop_assert_eq!(stemmed.leaves(), tree.leaves());
        prop_assert_eq!(stemmed.version_digest(), tree.version_digest());
        // What was forgotten comes back and re-attaches.
        prop_assert_eq!(stemmed.merged(&tree).merged(&whole), tree.merged(&whole));
    }

    #[test]
    fn versions_may_arrive_one_by_one_in_any_order([tree, ..] in arb_replicas(), seed in any::<u64>()) {
        let mut versions: Vec<_> = tree.versions().cloned().collect();
        let shuffled = |id: &VersionId| u64::from_le_bytes(id.digest()[..8].try_into().unwrap()) ^ seed;
        versions.sort_by_key(|version| shuffled(version.id()));
        let mut arrived = Tree::default();
        for version in versions {
            let (id, body) = (version.id(), version.body().cloned());
            if version.is_stub() {
                prop_assert!(arrived.insert_version(version).is_changed());
                continue;
            }
            let inserted =
                arrived.insert(KEY, id, version.parents(), body, version.stamp(), version.rule());
            prop_assert_eq!(inserted.map(|inserted| inserted.change), Ok(Change::Changed));
        }
        prop_assert_eq!(arrived, tree);
    }

    #[test]
    fn equal_leaves_have_equal_digests_and_no_others([a, b, _] in arb_replicas()) {
        prop_assert_eq!(a.version_digest() == b.version_digest(), ids(a.leaves()) == ids(b.leaves()));
        prop_assert_eq!(a.version_digest() == 0, a.leaves().is_empty());
    }

    #[test]
    fn bytes_read_back([tree, ..] in arb_replicas()) {
        let bytes = tree.encode_for_key(KEY);
        prop_assert_eq!(Tree::decode_for_key(KEY, &bytes, &Limits::default()), Ok(tree));
    }

    #[test]
    fn damaged_bytes_are_refused_or_canonical([tree, ..] in arb_replicas()) {
        let bytes = tree.encode_for_key(KEY);
        for end in 0..bytes.len() {
            prop_assert!(Tree::decode_for_key(KEY, &bytes[..end], &Limits::default()).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Tree::decode_for_key(KEY, &damaged, &Limits::default()) {
                prop_assert_ne!(&other, &tree);
                prop_assert_eq!(other.encode_for_key(KEY), damaged);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in proptest::collection::vec(0..8_u8, 0..40)) {
        if let Ok(tree) = Tree::decode_for_key(KEY, &bytes, &Limits::default()) {
            prop_assert_eq!(tree.encode_for_key(KEY), bytes);
        }
    }
}

#[test]
fn the_id_depends_on_everything_a_version_says() {
    let stamp = |millis| Some(Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_bytes([1; 16]) });
    let id = |key: &[u8], parent: Option<&VersionId>, body: Option<&[u8]>, stamp| {
        Tree::default().put_branch(key, parent, body.map(<[u8]>::to_vec), stamp).0
    };
    let first = id(b"k", None, Some(b"v"), None);
    let ids = [
        first,
        id(b"kv", None, Some(b""), None),
        id(b"", None, Some(b"kv"), None),
        id(b"k", None, Some(b""), None),
        id(b"k", None, None, None),
        id(b"k", Some(&first), Some(b"v"), None),
        id(b"k", None, Some(b"v"), stamp(1)),
        id(b"k", None, Some(b"v"), stamp(2)),
    ];
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    assert_eq!(first, id(b"k", None, Some(b"v"), None));
}

/// Ids are a format: other releases and other languages must compute the same.
#[test]
fn ids_are_golden() {
    let mut tree = Tree::default();
    let (first, _) = tree.put(b"greeting", None, Some(b"Hello".to_vec()), None).unwrap();
    let (deleted, _) = tree.put(b"greeting", Some(&first), None, None).unwrap();
    let stamp = Stamp { time: Hlc::new(0x0102_0304, 5), replica: ReplicaId::from_bytes([6; 16]) };
    let (stamped, _) = tree.put(b"greeting", Some(&deleted), Some(b"Bonjour".to_vec()), Some(stamp)).unwrap();
    let golden = [
        "1-d6ef6bdc0efd49be4e76dc5b61056ab7",
        "2-4eb0eb3eba6b3bfe606face8cde061c4",
        "3-07f7fdc6dd1e09b66e1269c36632ac90",
    ];
    assert_eq!([first, deleted, stamped].map(|id| id.to_string()), golden);

    let mut conflict = Tree::default();
    conflict.put_branch(b"greeting", None, Some(b"Hello".to_vec()), None);
    conflict.put_branch(b"greeting", None, Some(b"Bonjour".to_vec()), None);
    let seen = ids(conflict.leaves());
    let body = Some(b"Hello, Bonjour".to_vec());
    let (by_rule, _) = conflict.supersede_delta(b"greeting", &seen, body, None, Some("both")).unwrap();
    assert_eq!(by_rule.to_string(), "2-9c4d2da464d83ed8096fc9abb2478d03");
}

#[test]
fn bytes_are_golden() {
    let mut tree = Tree::default();
    let (first, _) = tree.put(b"greeting", None, Some(b"Hello".to_vec()), None).unwrap();
    assert_eq!(tree.encode_for_key(b"greeting"), b"\x01\x00\x05Hello");
    tree.put(b"greeting", Some(&first), Some(b"Hi".to_vec()), None).unwrap();
    assert_eq!(tree.encode_for_key(b"greeting"), b"\x02\x00\x05Hello\x01\x00\x01\x02Hi");
    let hi = *tree.winner().unwrap().id();
    tree.put(b"greeting", Some(&hi), None, None).unwrap();
    assert_eq!(
        tree.encode_for_key(b"greeting"),
        b"\x03\x00\x05Hello\x01\x00\x01\x02Hi\x02\x01\x00\x01\x00\x00\x00"
    );
}

#[test]
fn a_version_has_one_encoding() {
    let decode = |bytes: &[u8]| Tree::decode_for_key(KEY, bytes, &Limits::default()).unwrap_err();
    let root_said_the_long_way = b"\x01\x02\x00\x01\x01v\x00\x00";
    assert_eq!(decode(root_said_the_long_way), DecodeTreeError::NotCanonical { version: 0 });
    let root_said_twice = b"\x02\x00\x01v\x00\x01v";
    assert_eq!(decode(root_said_twice), DecodeTreeError::NotCanonical { version: 1 });
    for back in [0, 2] {
        let dangling = [2, 0, 1, b'v', 1, 0, back, 1, b'w'];
        assert_eq!(decode(&dangling), DecodeTreeError::DanglingParent { version: 1, back: back.into() });
    }
    let tree = chain(2);
    let root = tree.versions().next().unwrap().id();
    let mut known_parent_by_id = b"\x02\x00\x04text\x01\x01\x01".to_vec();
    known_parent_by_id.extend(root.digest());
    known_parent_by_id.extend(b"\x04text");
    assert_eq!(decode(&known_parent_by_id), DecodeTreeError::NotCanonical { version: 1 });
}

#[test]
fn a_forged_id_is_refused() {
    let mut tree = Tree::default();
    let (honest, _) = chain(1).put_branch(KEY, None, Some(b"honest".to_vec()), None);
    let refused = tree.insert(KEY, &honest, &[], Some(b"forged".to_vec()), None, None);
    assert!(matches!(refused, Err(InsertError::Forged { claimed, .. }) if claimed == honest));
    assert!(tree.is_bottom());
    let refused = tree.insert(b"other key", &honest, &[], Some(b"honest".to_vec()), None, None);
    assert!(matches!(refused, Err(InsertError::Forged { .. })));
    let mut insert = || tree.insert(KEY, &honest, &[], Some(b"honest".to_vec()), None, None);
    assert_eq!(insert(), Ok(Inserted { change: Change::Changed, place: Place::NewLeaf }));
    assert_eq!(insert(), Ok(Inserted { change: Change::Unchanged, place: Place::InternalNode }));
}

#[test]
fn a_write_must_name_a_current_version() {
    let mut tree = chain(2);
    let [first, second] = ids(tree.versions()).try_into().unwrap();
    let before = tree.clone();
    let write =
        |tree: &mut Tree, parent| tree.put(KEY, parent, Some(b"late".to_vec()), None).map(|(id, _)| id);
    assert_eq!(write(&mut tree, None), Err(PutError::Conflict { leaves: vec![second] }));
    assert_eq!(write(&mut tree, Some(&first)), Err(PutError::Conflict { leaves: vec![second] }));
    assert_eq!(tree, before);
    assert_eq!(write(&mut tree, Some(&second)).map(|id| id.generation()), Ok(3));
    assert_eq!(tree.put_branch(KEY, Some(&first), Some(b"on purpose".to_vec()), None).0.generation(), 2);
    assert_eq!(tree.leaves().len(), 2);
}

#[test]
fn a_retried_write_is_one_version() {
    let mut tree = Tree::default();
    let (first, delta) = tree.put(KEY, None, Some(b"text".to_vec()), None).unwrap();
    assert_eq!(delta.len(), 1);
    assert_eq!(tree.put(KEY, None, Some(b"text".to_vec()), None), Ok((first, Tree::default())));
    let (gone, _) = tree.put(KEY, Some(&first), None, None).unwrap();
    assert_eq!(tree.put(KEY, Some(&first), None, None), Ok((gone, Tree::default())));
}

#[test]
fn what_does_not_exist_cannot_be_deleted() {
    let mut tree = Tree::default();
    assert_eq!(tree.put(KEY, None, None, None), Err(PutError::NothingToDelete));
    let (first, _) = tree.put(KEY, None, Some(b"text".to_vec()), None).unwrap();
    let (gone, _) = tree.put(KEY, Some(&first), None, None).unwrap();
    assert_eq!(tree.put(KEY, Some(&gone), None, None), Err(PutError::NothingToDelete));
    assert_eq!(tree.put(KEY, None, None, None), Err(PutError::NothingToDelete));
}

#[test]
fn missing_asks_for_what_a_peer_has() {
    let tree = chain(3);
    let mut peer = tree.clone();
    extend(&mut peer, 2);
    assert_eq!(tree.missing(&ids(peer.leaves())), ids(peer.leaves()));
    assert_eq!(tree.missing(&ids(tree.versions())), []);
}

/// Generations end at `u64::MAX`, and a hostile version can claim to lie there. It can still be
/// superseded, also when ids no longer rise from parent to child.
#[test]
fn a_version_of_the_last_generation_is_not_the_last_word() {
    let last = VersionId::new(u64::MAX, [0; 16]).unwrap();
    let mut tree = chain(1);
    tree.put_branch(KEY, Some(&last), Some(b"mine for ever".to_vec()), None);
    for round in 0..20_u8 {
        let seen = ids(tree.leaves());
        let (id, _) = tree.supersede(KEY, &seen, Some(vec![round]), None).unwrap();
        assert_eq!(ids(tree.leaves()), [id]);
        assert_eq!(tree.winner().and_then(|winner| winner.body()), Some(&vec![round]));
    }
    let bytes = tree.encode_for_key(KEY);
    assert_eq!(Tree::decode_for_key(KEY, &bytes, &Limits::default()).as_ref(), Ok(&tree));
    let one_by_one = tree.versions().fold(Tree::default(), |mut arrived, version| {
        let _ = arrived.insert_version(version.clone());
        arrived
    });
    assert_eq!(one_by_one, tree);
    assert!(tree.history(tree.winner().unwrap().id()).count() <= tree.len());
    assert_eq!(tree.clone().stem(0), tree.len() - 1);
}

/// Under the last generation ids fall as often as they rise, and a ladder of merges has more paths
/// than anybody can walk.
#[test]
fn a_ladder_of_hostile_merges_is_walked_once() {
    let last = VersionId::new(u64::MAX, [0; 16]).unwrap();
    let mut tree = Tree::default();
    let mut rung = vec![last];
    for step in 0..24_u8 {
        let side = |side: u8| Version::new(KEY, rung.as_slice().into(), Some(vec![step, side]), None, None);
        let sides = [side(0), side(1)];
        rung = ids(&sides);
        for version in sides {
            assert!(tree.insert_version(version).is_changed());
        }
    }
    for leaf in ids(tree.leaves()) {
        assert!(tree.history(&leaf).count() <= tree.len());
    }
    let walk = visits::of(|| {
        tree.clone().stem(1_000);
        let _ = common_ancestor(&tree, &rung);
    });
    assert!(walk < 10_000, "{walk} visits to {} versions", tree.len());
}

#[test]
fn parents_are_a_set() {
    let mut tree = Tree::default();
    for body in [b"a", b"b", b"c"] {
        tree.put_branch(KEY, None, Some(body.to_vec()), None);
    }
    let [a, b, c] = ids(tree.leaves()).try_into().unwrap();
    let supersede = |seen: &[VersionId]| tree.clone().supersede(KEY, seen, None, None).unwrap();
    let (merged, delta) = supersede(&[a, b, c]);
    assert_eq!(supersede(&[c, a, b, a]), (merged, delta.clone()));
    assert_eq!(delta.leaves()[0].parents(), [a, b, c]);
    assert_eq!(delta.leaves()[0].parent(), Some(&c));
}

#[test]
fn a_document_comes_back_on_top_of_all_its_deletions() {
    let mut tree = Tree::default();
    for body in [b"a", b"b"] {
        let (id, _) = tree.put_branch(KEY, None, Some(body.to_vec()), None);
        tree.put(KEY, Some(&id), None, None).unwrap();
    }
    assert!(tree.is_deleted());
    tree.put(KEY, None, Some(b"again".to_vec()), None).unwrap();
    assert_eq!((tree.is_deleted(), tree.leaves().len()), (false, 1));
}

#[test]
fn what_one_version_supersedes_is_bounded() {
    let mut tree = Tree::default();
    for n in 0..=u32::try_from(MAX_PARENTS).unwrap() {
        tree.put_branch(KEY, None, Some(n.to_le_bytes().to_vec()), None);
    }
    let (given, limit) = (MAX_PARENTS + 1, MAX_PARENTS);
    let all = ids(tree.leaves());
    let too_many = Version::<Vec<u8>>::new(KEY, all.as_slice().into(), None, None, None);

    assert_eq!(tree.supersede(KEY, &all, None, None), Err(PutError::TooManyParents { given, limit }));
    let inserted = tree.insert(KEY, too_many.id(), too_many.parents(), None, None, None);
    assert_eq!(inserted, Err(InsertError::TooManyParents { given, limit }));
    assert!(!common_ancestor(&tree, &all).is_history_complete);

    let hostile = too_many_encoded(&all);
    let decoded = Tree::decode_for_key(KEY, &hostile, &Limits::default());
    assert_eq!(decoded, Err(DecodeTreeError::TooManyParents { version: 0, given, limit }));

    // In steps it can be closed.
    tree.supersede(KEY, &all[..limit], None, None).unwrap();
    let rest = ids(tree.leaves());
    tree.supersede(KEY, &rest, None, None).unwrap();
    assert_eq!(tree.leaves().len(), 1);
}

/// One deletion on top of all of `parents`, none of which is there.
fn too_many_encoded(parents: &[VersionId]) -> Vec<u8> {
    let count = u16::try_from(parents.len()).unwrap().to_le_bytes();
    let mut bytes = vec![1, 2, 0xfb, count[0], count[1]];
    for parent in parents {
        bytes.extend([1, 1]);
        bytes.extend(parent.digest());
    }
    bytes.extend([0, 0, 0]);
    bytes
}

#[test]
fn a_document_of_one_version_is_small() {
    assert!(size_of::<Tree>() <= 168, "{}", size_of::<Tree>());
}

#[test]
fn a_branch_must_hang_together() {
    let told = chain(3);
    let [first, second, third] = told.versions().map(Claim::from).collect::<Vec<_>>().try_into().unwrap();
    let mut tree = Tree::default();
    let mut insert = |claims: &[&Claim<Vec<u8>>]| tree.insert_branch(KEY, claims.iter().copied().cloned());
    assert_eq!(insert(&[]), Err(InsertError::NoLeaf));
    let stub = Claim { content: Content::Digest(third.content.digest()), ..third.clone() };
    assert_eq!(insert(&[&stub, &second]), Err(InsertError::LeafWithoutContent { leaf: third.id }));
    assert_eq!(insert(&[&third, &first]), Err(InsertError::NotAnAncestor { given: first.id }));
    assert_eq!(insert(&[&first, &second]), Err(InsertError::NotAnAncestor { given: second.id }));
    let forged = Claim { content: Content::Digest([7; 16]), ..second.clone() };
    assert!(
        matches!(insert(&[&third, &forged]), Err(InsertError::Forged { claimed, .. }) if claimed == second.id)
    );
    let told_twice = [&third, &second, &first, &first];
    assert_eq!(insert(&told_twice), Ok(Inserted { change: Change::Changed, place: Place::NewLeaf }));
    assert_eq!(tree, told);
}

/// A place without content is a rumour. It shows nothing and hides nothing.
#[test]
fn a_stub_supersedes_nothing_by_itself() {
    let whole = chain(3);
    let [first, second, third] = whole.versions().collect::<Vec<_>>().try_into().unwrap();
    let mut tree = Tree::default();
    let _ = tree.insert_version(third.to_stub());
    assert!(tree.winner().is_none() && tree.view(KEY).is_none() && !tree.is_deleted());
    assert!(!tree.is_empty() && !tree.is_bottom());
    let _ = tree.insert_version(second.to_stub());
    let _ = tree.insert_version(first.clone());
    assert_eq!(ids(tree.leaves()), [*first.id()]);
    assert_eq!(tree.missing(&ids(whole.versions())), [*second.id(), *third.id()]);
    let placed = tree.merge_placed(&Tree::from_sorted(vec![third.clone()]));
    assert_eq!(placed.places, [(*third.id(), Place::NewLeaf)]);
    assert_eq!(ids(tree.leaves()), [*third.id()]);
    assert_eq!(tree.clone().stem(1), 1);
    assert_eq!(tree.merged(&whole), whole);
}

#[test]
fn stubs_have_golden_bytes_and_one_encoding() {
    let mut tree = Tree::default();
    let (first, _) = tree.put(b"greeting", None, Some(b"Hello".to_vec()), None).unwrap();
    let (second, _) = tree.put(b"greeting", Some(&first), Some(b"Hi".to_vec()), None).unwrap();
    let (third, _) = tree.put(b"greeting", Some(&second), Some(b"Hey".to_vec()), None).unwrap();
    let branch = tree.branch(&third, &[]).unwrap();
    let digests = tree.versions().map(|version| version.content().digest()).collect::<Vec<_>>();
    let golden =
        [b"\x03\x03\x00".as_slice(), &digests[0], b"\x03\x01\x00\x01", &digests[1], b"\x01\x00\x01\x03Hey"]
            .concat();
    assert_eq!(branch.encode_for_key(b"greeting"), golden);
    assert_eq!(digests[0], [74, 15, 3, 124, 252, 150, 1, 119, 122, 250, 98, 108, 51, 11, 49, 31]);
    let decode = |bytes: &[u8]| Tree::decode_for_key(b"greeting", bytes, &Limits::default());
    assert_eq!(decode(&golden), Ok(branch));

    let beside_its_content = [b"\x02\x00\x05Hello\x03\x00".as_slice(), &digests[0]].concat();
    assert_eq!(decode(&beside_its_content), Err(DecodeTreeError::NotCanonical { version: 1 }));
    let parent_named_twice = [b"\x02\x00\x05Hello\x03\x02\x00\x01\x00\x01".as_slice(), &digests[1]].concat();
    assert_eq!(decode(&parent_named_twice), Err(DecodeTreeError::NotCanonical { version: 1 }));
}

#[test]
fn a_view_is_the_same_in_json_and_in_bytes() {
    let mut tree = Tree::default();
    let (first, _) = tree.put(KEY, None, Some(b"text".to_vec()), None).unwrap();
    let view = tree.view(KEY).unwrap();
    let json =
        std::format!(r#"{{"id":"key","rev":"{first}","value":"text","conflicts":[],"deleted":false}}"#);
    assert_eq!(serde_json::to_string(&view).unwrap(), json);
    assert_eq!(serde_json::from_str::<DocumentView<Vec<u8>>>(&json).unwrap(), view);

    tree.put_branch(KEY, None, Some(b"\xff".to_vec()), None);
    let (gone, _) = tree.put(KEY, Some(&first), None, None).unwrap();
    let view = tree.view(KEY).unwrap();
    assert_eq!((view.value.as_deref(), view.deleted), (Some(&b"\xff"[..]), false));
    let json = serde_json::to_string(&view).unwrap();
    assert!(json.contains(r#""value":[255]"#), "{json}");
    assert_eq!(serde_json::from_str::<DocumentView<Vec<u8>>>(&json).unwrap(), view);
    let bytes = encode_payload(&view);
    assert_eq!(decode_payload::<DocumentView<Vec<u8>>>(&bytes, &Limits::default()).unwrap(), view);

    tree.put(KEY, Some(&view.rev), None, None).unwrap();
    let view = tree.view(KEY).unwrap();
    assert_eq!((&view.value, view.deleted, view.rev >= gone), (&None, true, true));
    let text = std::format!("{{id: \"key\", rev: \"{}\", deleted: true, conflicts: []}}", view.rev);
    assert_eq!(view.to_string(), text);
    assert_eq!(Tree::default().view(KEY), None);
}
