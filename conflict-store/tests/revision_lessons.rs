//! What the tree of versions promises, one lesson per test.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::collections::BTreeSet;

use conflict_store::{Claim, Conflict, Custom, Document, Place, Resolution, Version, VersionId};
use crdt_core::{Change, Crdt, VersionDigest};
use proptest::prelude::*;

type Tree = Document<Vec<u8>>;

const KEY: &[u8] = b"title";

fn write(tree: &mut Tree, parent: Option<&VersionId>, body: &str) -> VersionId {
    tree.put_branch(KEY, parent, Some(body.into()), None).0
}

/// A chain of these bodies, and its ids from the first.
fn chain<'b>(bodies: impl IntoIterator<Item = &'b str>) -> (Tree, Vec<VersionId>) {
    let (mut tree, mut ids) = (Tree::default(), Vec::<VersionId>::new());
    for body in bodies {
        ids.push(write(&mut tree, ids.last(), body));
    }
    (tree, ids)
}

fn ids<'a>(versions: impl IntoIterator<Item = &'a Version<Vec<u8>>>) -> Vec<VersionId> {
    versions.into_iter().map(|version| *version.id()).collect()
}

fn place(tree: &mut Tree, branch: &Tree) -> Place {
    let [(_, place)] = tree.merge_placed(branch).places[..] else { panic!("one branch, one place") };
    place
}

// Scenario 28: winner, stem and re-attach rules.

#[test]
fn a_live_version_beats_a_deeper_deletion() {
    let (mut tree, _) = chain(["a", "b", "c"]);
    let deep = *tree.leaves()[0].id();
    tree.put(KEY, Some(&deep), None, None).unwrap();
    let alive = write(&mut tree, None, "alive");
    assert_eq!(tree.winner().map(Version::id), Some(&alive));
    assert_eq!(tree.conflicts().count(), 0, "a deletion is no conflict");
    assert!(!tree.is_deleted());
}

#[test]
fn depth_beats_digest_and_is_a_number() {
    let (mut tree, deep) = chain(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    let mut shallow: Vec<_> =
        (0..50).map(|n| write(&mut tree, Some(&deep[0]), &format!("beside {n}"))).collect();
    assert_eq!(tree.winner().map(Version::id), Some(&deep[9]), "10 is more than 2");
    shallow.sort();
    assert_eq!(ids(tree.conflicts()), shallow);
    tree.put(KEY, Some(&deep[9]), None, None).unwrap();
    assert_eq!(tree.winner().map(Version::id), shallow.last(), "among equals the highest digest");
}

#[test]
fn a_branch_continues_a_leaf_or_forks_or_is_known() {
    let (mut tree, path) = chain(["first"]);
    let first = path[0];
    let mut other = tree.clone();
    let second = write(&mut other, Some(&first), "second");
    let branch = |tree: &Tree, leaf| tree.branch(leaf, &[]).unwrap();
    assert_eq!(place(&mut Tree::default(), &tree), Place::NewLeaf, "the first of all");
    assert_eq!(place(&mut tree, &branch(&other, &second)), Place::NewLeaf);
    assert_eq!(place(&mut tree, &branch(&other, &second)), Place::InternalNode, "known already");
    assert_eq!(place(&mut tree, &branch(&other, &first)), Place::InternalNode, "written on already");
    let fork = write(&mut other, Some(&first), "fork");
    assert_eq!(place(&mut tree, &branch(&other, &fork)), Place::NewBranch);
}

/// `CouchDB` says *new branch* here and `PouchDB` *internal node*; the trees are the same.
#[test]
fn an_unrelated_root_is_a_new_branch() {
    let mut roots = Tree::default();
    for body in ["one", "two"] {
        write(&mut roots, None, body);
    }
    let (third, _) = chain(["three"]);
    assert_eq!(place(&mut roots, &third), Place::NewBranch);
    assert_eq!(roots.leaves().len(), 3);

    // The same where a common root exists, but what leads there was forgotten: [1 -> 1a] and 3-1aa.
    let (whole, path) = chain(["1", "1a", "1aa"]);
    let mut upper = whole.clone();
    upper.stem(0);
    let (mut lower, _) = chain(["1", "1a"]);
    lower.stem(0);
    let mut without_link = chain(["1"]).0;
    assert_eq!(place(&mut without_link, &upper), Place::NewBranch);
    assert_eq!(without_link.leaves().len(), 2);

    // What is forgotten is not lost: with the link between them the branches are one.
    let link = whole.branch(&path[1], &[]).unwrap();
    assert_eq!(place(&mut without_link, &link), Place::InternalNode);
    assert_eq!(ids(without_link.leaves()), [path[2]]);
    assert_eq!(place(&mut lower, &upper), Place::NewLeaf, "directly on top of the leaf");
}

#[test]
fn stemming_keeps_the_path_of_each_leaf_and_what_two_share() {
    let (mut tree, trunk) = chain(["1", "2", "3"]);
    let long = write(&mut tree, Some(&trunk[2]), "4 long");
    let longer = write(&mut tree, Some(&long), "5 longer");
    let short = write(&mut tree, Some(&trunk[2]), "4 short");
    let whole = tree.clone();
    assert_eq!(tree.stem(1), 2);
    assert_eq!(BTreeSet::from_iter(ids(tree.versions())), BTreeSet::from([trunk[2], long, longer, short]));
    assert_eq!(tree.leaves(), whole.leaves());
    assert_eq!(tree.stem(1), 0, "once is enough");

    assert_eq!(place(&mut tree, &chain(["1", "2", "3"]).0), Place::InternalNode);
    assert_eq!(tree, whole, "what comes back re-attaches");
}

#[test]
fn only_the_places_of_what_lies_between_are_needed() {
    let (mut here, _) = chain(["1", "2"]);
    let (there, path) = chain(["1", "2", "3", "4", "5"]);

    // The peer offers its leaf. We say what we lack and where we stand.
    let missing = here.missing(&[path[4]]);
    assert_eq!(missing, [path[4]]);
    let known = here.possible_ancestors(&missing);
    assert_eq!(known, [path[1]]);

    let branch = there.branch(&path[4], &known).unwrap();
    let claims: Vec<_> = branch.history(&path[4]).map(Claim::from).collect();
    assert_eq!(claims.len(), 3);
    let inserted = here.insert_branch(KEY, claims).unwrap();
    assert_eq!((inserted.change, inserted.place), (Change::Changed, Place::NewLeaf));

    let lineage: Vec<_> = path.iter().rev().copied().collect();
    assert_eq!(here.lineage(&path[4]).copied().collect::<Vec<_>>(), lineage);
    let readable: Vec<_> = lineage.iter().map(|id| here.get(id).and_then(Version::body).is_some()).collect();
    assert_eq!(readable, [true, false, false, true, true], "the two between were only named");
    assert_eq!(here.version_digest(), there.version_digest());
    assert_eq!(here.missing(&path), [path[2], path[3]], "who wants them can ask");
    assert_eq!(here.merged(&there), there);
}

// Scenario 29, and replicas agree byte for byte.

#[derive(Clone, Debug)]
enum Step {
    Write { at: usize, on: usize, body: Option<u8> },
    Resolve { at: usize, body: u8 },
    Tell { from: usize, to: usize },
    TellOne { from: usize, to: usize, which: usize },
}

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..3_usize;
    prop_oneof![
        4 => (at(), 0..32_usize, proptest::option::weighted(0.8, any::<u8>()))
            .prop_map(|(at, on, body)| Step::Write { at, on, body }),
        1 => (at(), any::<u8>()).prop_map(|(at, body)| Step::Resolve { at, body }),
        2 => (at(), at()).prop_map(|(from, to)| Step::Tell { from, to }),
        2 => (at(), at(), 0..32_usize).prop_map(|(from, to, which)| Step::TellOne { from, to, which }),
    ]
}

fn perform(replicas: &mut [Tree; 3], step: &Step) {
    let nth = |tree: &Tree, n: usize| ids(tree.versions()).get(n % (tree.len() + 1)).copied();
    match *step {
        Step::Write { at, on, body } => {
            let parent = nth(&replicas[at], on);
            replicas[at].put_branch(KEY, parent.as_ref(), body.map(|body| vec![body]), None);
        }
        Step::Resolve { at, body } => {
            let seen = ids(replicas[at].leaves());
            let _ = replicas[at].supersede(KEY, &seen, Some(vec![body]), None);
        }
        Step::Tell { from, to } => {
            let told = replicas[from].clone();
            let _ = replicas[to].merge(&told);
        }
        Step::TellOne { from, to, which } => {
            let branch = nth(&replicas[from], which).and_then(|id| replicas[from].branch(&id, &[]));
            let _ = branch.map(|branch| replicas[to].merge(&branch));
        }
    }
}

proptest! {
    /// Whoever hears of what, in whatever order and however often: in the end all show the same
    /// version and the same conflicts, to the byte.
    #[test]
    fn three_replicas_agree_on_winner_and_conflicts(
        steps in proptest::collection::vec(arb_step(), 0..40),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
    ) {
        let mut replicas = [Tree::default(), Tree::default(), Tree::default()];
        for step in &steps {
            perform(&mut replicas, step);
        }
        let views = [[0, 1, 2], [2, 1, 0], [order[0], order[1], order[2]]].map(|order| {
            let mut here = Tree::default();
            for from in order {
                // One version after another, the newest first.
                for part in ids(replicas[from].versions()).iter().rev() {
                    let _ = replicas[from].branch(part, &[]).map(|branch| here.merge(&branch));
                }
                let _ = here.merge(&replicas[from]);
            }
            (serde_json::to_vec(&here.view(KEY)).unwrap(), here.encode_for_key(KEY))
        });
        prop_assert_eq!(&views[0], &views[1]);
        prop_assert_eq!(&views[0], &views[2]);
    }
}

// Scenario 30: resolving.

/// Two titles written apart, merged.
fn conflict() -> Tree {
    let mut tree = Tree::default();
    for body in ["Hello", "Bonjour"] {
        write(&mut tree, None, body);
    }
    tree
}

#[test]
fn a_resolution_supersedes_all_it_saw() {
    let mut tree = conflict();
    let unresolved = tree.clone();
    let [lost] = tree.view(KEY).unwrap().conflicts[..] else { panic!("one loses") };
    let seen = ids(tree.leaves());
    let (resolved, _) = tree.supersede(KEY, &seen, Some(b"Salut".to_vec()), None).unwrap();
    assert_eq!(tree.view(KEY).unwrap().conflicts, []);

    // The loser does not return with whoever still has it, told whole or as a branch of its own.
    assert_eq!(tree.merge_placed(&unresolved).change, Change::Unchanged);
    assert_eq!(place(&mut tree, &unresolved.branch(&lost, &[]).unwrap()), Place::InternalNode);
    assert_eq!(ids(tree.leaves()), [resolved]);
    assert_eq!(tree.history(&resolved).count(), 3, "both can be looked up");
    assert!(tree.get(&lost).and_then(Version::body).is_some());
}

/// As `CouchDB`'s users resolve: a new version on the winner, and the losers deleted.
#[test]
fn a_losing_leaf_that_was_deleted_does_not_return() {
    let mut tree = conflict();
    let unresolved = tree.clone();
    let (winner, loser) = (tree.view(KEY).unwrap().rev, tree.view(KEY).unwrap().conflicts[0]);
    tree.put(KEY, Some(&winner), Some(b"Salut".to_vec()), None).unwrap();
    tree.put(KEY, Some(&loser), None, None).unwrap();
    let view = tree.view(KEY).unwrap();
    assert_eq!((view.value.as_deref(), view.conflicts.as_slice()), (Some(&b"Salut"[..]), &[][..]));

    assert_eq!(tree.merge(&unresolved), Change::Unchanged);
    let mut elsewhere = unresolved;
    let _ = elsewhere.merge(&tree);
    assert_eq!(elsewhere.view(KEY), Some(view));
}

// Scenario 31: a limit of 20, and 25 edits off line.

fn edits(tree: &mut Tree, count: usize, by: &str) {
    for _ in 0..count {
        let on = *tree.winner().unwrap().id();
        tree.put(KEY, Some(&on), Some(by.into()), None).unwrap();
        tree.stem(20);
    }
}

#[test]
fn edits_beyond_the_limit_are_one_branch_if_the_ancestor_is_kept() {
    let (base, _) = chain(["base"]);
    let (mut server, mut device) = (base.clone(), base);
    let mut keeps_all = device.clone();
    edits(&mut device, 25, "device");
    assert_eq!(device.len(), 21);
    for _ in 0..25 {
        let on = *keeps_all.winner().unwrap().id();
        keeps_all.put(KEY, Some(&on), Some(b"device".to_vec()), None).unwrap();
    }
    assert_eq!(place(&mut server.clone(), &keeps_all), Place::NewLeaf);
    assert_eq!(server.clone().merged(&keeps_all).leaves().len(), 1);

    // The device's own memory is too short for it. The conflict is false, and a rule can tell that
    // it may be.
    assert_eq!(place(&mut server, &device), Place::NewBranch);
    assert_eq!(server.conflicts().count(), 1);
    let is_flagged = Custom::new("flag", |conflict: &Conflict<'_, Vec<u8>>| {
        Resolution::Merge(vec![u8::from(conflict.is_history_complete())])
    });
    assert_eq!(server.read(KEY, &is_flagged).unwrap().value, Some(vec![0]));

    // The places alone, from whoever still knows them, heal it.
    let tip = *keeps_all.winner().unwrap().id();
    assert!(server.merge(&keeps_all.branch(&tip, &[]).unwrap()).is_changed());
    assert_eq!(server.conflicts().count(), 0);
}

// Scenario 32: ten thousand revisions, merged and stemmed. `src/revision/costs.rs` counts the cost.

#[test]
fn ten_thousand_revisions_merge_and_stem() {
    let (long, path) = chain((0..10_000).map(|n| if n % 2 == 0 { "even" } else { "odd" }));
    let mut behind = chain(["even"]).0;
    assert_eq!(place(&mut behind, &long), Place::NewLeaf);
    assert_eq!(behind.stem(1_000), 8_999);
    assert_eq!(behind.lineage(&path[9_999]).count(), 1_001);
    assert_eq!(behind.merged(&long), long);
}

// Scenario 33: all leaves deleted.

#[test]
fn a_deleted_document_is_not_found_and_a_first_write_revives_it() {
    let mut tree = conflict();
    let mut deletions = Vec::new();
    for leaf in ids(tree.leaves()) {
        deletions.push(tree.put(KEY, Some(&leaf), None, None).unwrap().0);
    }
    let view = tree.view(KEY).unwrap();
    assert_eq!((view.value, view.deleted, view.conflicts.as_slice()), (None, true, &[][..]));
    assert_eq!(Some(&view.rev), deletions.iter().max(), "the highest deletion is reported");

    let (revived, _) = tree.put(KEY, None, Some(b"again".to_vec()), None).unwrap();
    assert_eq!(revived.generation(), view.rev.generation() + 1);
    let view = tree.view(KEY).unwrap();
    assert_eq!((view.rev, view.deleted, view.conflicts.as_slice()), (revived, false, &[][..]));
}
