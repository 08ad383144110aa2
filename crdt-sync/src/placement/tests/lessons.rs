//! Changes as they go, and as they do not.

use alloc::vec::Vec;

use super::super::{
    Admission, Change, ChangeError, CopyError, Layout, LearnError, Lost, Member, Phase, Placement, RingError,
    Shape,
};
use super::support::{SHAPE, acknowledge, copy, founded, gossip, member, members, node};

fn newcomer(n: usize) -> Placement {
    Placement::new(node(n), Layout::default())
}

fn join(n: usize) -> Change {
    Change::Join([member(n, usize::MAX)].into())
}

/// Takes the change in progress to its end.
fn finish(views: &mut [Placement]) {
    gossip(views);
    while views.iter().any(|view| view.phase() != Phase::Stable) {
        acknowledge(views);
        if views[0].phase() == Phase::Writing {
            copy(views);
        }
        assert!(views.iter_mut().any(Placement::advance));
        gossip(views);
    }
    acknowledge(views);
}

#[test]
fn a_member_leaves_and_others_take_over_what_it_held() {
    let mut views = founded(1..6);
    let held: Vec<u16> = views[0].ring().unwrap().partitions_of(node(5)).collect();
    views[0].propose(&Change::Leave([node(5)].into())).unwrap();
    let moves: Vec<_> = views[0].moves().collect();
    assert!(held.iter().all(|partition| {
        moves.iter().any(|moved| moved.partition == *partition && moved.loses.contains(&node(5)))
    }));
    finish(&mut views);
    for view in &views {
        assert_eq!((view.version(), view.layout().members().len()), (4, 4));
        assert!((0..SHAPE.partitions).all(|partition| view.may_drop(node(5), partition)));
    }
    // It may come back, under the same name: it left nothing open.
    views[0].propose(&join(5)).unwrap();
    finish(&mut views);
    assert_eq!(views[4].layout().members().len(), 5);
}

#[test]
fn nothing_is_dropped_before_nobody_can_ask_for_it() {
    let mut views = founded(1..5);
    views.push(newcomer(5));
    views[0].propose(&join(5)).unwrap();
    gossip(&mut views);
    let moved = views[0].moves().find(|moved| !moved.loses.is_empty()).unwrap();
    let (partition, loser) = (moved.partition, moved.loses[0]);
    assert!(!views[0].may_drop(loser, partition));
    acknowledge(&mut views);
    copy(&mut views);
    views[0].advance();
    gossip(&mut views);
    acknowledge(&mut views);
    assert!(!views[0].may_drop(loser, partition));
    views[0].advance();
    // The last phase has begun, but not everybody knows.
    assert!(!views[0].may_drop(loser, partition));
    gossip(&mut views);
    acknowledge(&mut views);
    assert!(views.iter().all(|view| view.may_drop(loser, partition)));
    assert!(views.iter().all(|view| !view.may_drop(node(5), partition)));
}

#[test]
fn one_change_at_a_time_and_only_by_members() {
    let mut views = founded(1..4);
    views.push(newcomer(4));
    assert_eq!(views[3].propose(&join(5)), Err(ChangeError::NotAMember));
    views[0].propose(&join(4)).unwrap();
    assert_eq!(views[0].propose(&join(5)), Err(ChangeError::InProgress { version: 2 }));
    gossip(&mut views);
    assert_eq!(views[3].propose(&join(5)), Err(ChangeError::NotAMember));
}

#[test]
fn a_change_that_makes_no_sense_is_refused_and_changes_nothing() {
    let mut views = founded(1..4);
    let before = views[0].layout().clone();
    let mut refused = |change: Change| views[0].propose(&change).unwrap_err();
    assert_eq!(refused(join(3)), ChangeError::AlreadyThere { node: node(3) });
    assert_eq!(refused(Change::Leave([node(4)].into())), ChangeError::Unknown { node: node(4) });
    let all = (1..4).map(node).collect();
    assert_eq!(refused(Change::Leave(all)), ChangeError::Ring(RingError::Empty));
    assert_eq!(refused(Change::Leave([].into())), ChangeError::Nothing);
    let same = Change::Reshape([member(1, usize::MAX)].into());
    assert_eq!(refused(same), ChangeError::Nothing);
    assert_eq!(refused(Change::Remove { dead: [node(1)].into() }), ChangeError::Oneself);
    let same_name = Change::Replace { dead: node(2), by: member(2, 1) };
    assert_eq!(refused(same_name), ChangeError::Dead { node: node(2) });
    let heavy = Change::Reshape([member(2, 1).weighing(99)].into());
    assert_eq!(refused(heavy), ChangeError::Ring(RingError::Weight { node: node(2), found: 99 }));
    assert_eq!(views[0].declare_dead(&[node(1)]), Err(ChangeError::Oneself));
    assert_eq!(views[0].declare_dead(&[node(7)]), Err(ChangeError::Unknown { node: node(7) }));
    assert_eq!(views[0].layout(), &before);
}

#[test]
fn of_two_proposals_at_the_same_time_one_goes_on_everywhere_and_the_other_is_reported() {
    let mut views = founded(1..4);
    views[0].propose(&join(4)).unwrap();
    views[1].propose(&join(5)).unwrap();
    let (first, second) = (views[0].layout().clone(), views[1].layout().clone());
    let learned = views[0].learn(node(2), &second).unwrap();
    let also = views[1].learn(node(1), &first).unwrap();
    assert_eq!(learned.lost, also.lost);
    assert_ne!(learned.entered, also.entered);
    let loser = if learned.entered { node(1) } else { node(2) };
    assert_eq!(learned.lost, Some(Lost::Proposal { by: loser }));
    assert_eq!(views[0].layout(), views[1].layout());
}

#[test]
fn what_began_by_the_loser_holds_the_acknowledgement_back() {
    let mut views = founded(1..4);
    views[0].propose(&join(4)).unwrap();
    views[1].propose(&join(5)).unwrap();
    let (first, second) = (views[0].layout().clone(), views[1].layout().clone());
    let began = [views[0].generation(), views[1].generation()];
    let flipped = usize::from(!views[0].learn(node(2), &second).unwrap().entered);
    let _ = views[1].learn(node(1), &first).unwrap();
    // The same version, and yet other primaries.
    assert!(!views[flipped].acknowledge(Some(began[flipped])));
    assert!(views[1 - flipped].acknowledge(Some(began[1 - flipped])));
    let now = views[flipped].generation();
    assert!(views[flipped].acknowledge(Some(now)));
}

#[test]
fn no_phase_begins_before_all_acknowledged_the_one_before_and_no_copy_counts() {
    let mut views = founded(1..4);
    views.push(newcomer(4));
    views[0].propose(&join(4)).unwrap();
    gossip(&mut views);
    let partition = views[3].to_copy().next().unwrap();
    for at in 0..4 {
        assert_eq!(views[0].progress().unacknowledged.len(), 4 - at);
        assert_eq!(views[3].copy_permit(partition), None);
        assert!(views[at].acknowledge(None));
        gossip(&mut views);
    }
    let permit = views[3].copy_permit(partition).unwrap();
    assert_eq!((permit.sources().len(), permit.needed()), (3, 2));
    let few = views[3].report_copied(&permit, &permit.sources()[..1]);
    assert_eq!(few, Err(CopyError::TooFew { found: 1, needed: 2 }));
    // Whoever is no old owner does not count, nor does one count twice.
    let odd = [permit.sources()[0], permit.sources()[0], node(4), node(77)];
    assert_eq!(views[3].report_copied(&permit, &odd), Err(CopyError::TooFew { found: 1, needed: 2 }));
    let copies = views[0].progress().copies;
    assert_eq!((views[0].progress().copied, views[0].advance()), (0, false));
    copy(&mut views);
    assert_eq!(views[0].progress().copied, copies);
    assert!(views[0].advance());
    assert_eq!(views[3].report_copied(&permit, permit.sources()), Ok(false));
    gossip(&mut views);
    assert_eq!(views[3].report_copied(&permit, permit.sources()), Err(CopyError::Outdated));
    // An acknowledgement of the phase before is none of this one.
    assert!(!views[0].advance());
}

#[test]
fn a_dead_node_blocks_until_it_is_declared_dead_and_never_comes_back() {
    let mut views = founded(1..5);
    views.push(newcomer(5));
    let mut lost = views.remove(3);
    views[0].propose(&join(5)).unwrap();
    gossip(&mut views);
    acknowledge(&mut views);
    assert_eq!(views[0].progress().unacknowledged, [node(4)]);
    assert!(!views[0].advance());

    // Everybody has to know it is fenced before it is no longer waited for.
    assert_eq!(views[0].declare_dead(&[node(4)]), Ok(true));
    assert_eq!(views[0].progress().unacknowledged, [node(1), node(2), node(3), node(5)]);
    gossip(&mut views);
    acknowledge(&mut views);
    assert_eq!(views[0].admits(node(4), 2), Admission::Fenced);
    assert_eq!(views[0].learn(node(4), lost.layout()), Err(LearnError::Fenced { from: node(4) }));

    // The new ring would keep it: the change is given up, and it has to be taken out first.
    assert!(views[0].advance());
    assert_eq!((views[0].phase(), views[0].layout().members().len()), (Phase::Stable, 4));
    gossip(&mut views);
    assert_eq!(views[0].propose(&join(5)), Err(ChangeError::Dead { node: node(4) }));
    let replace = Change::Replace { dead: node(4), by: member(5, usize::MAX) };
    views[0].propose(&replace).unwrap();
    finish(&mut views);
    assert_eq!(
        views[0].layout().members().map(|member| member.node).collect::<Vec<_>>(),
        [1, 2, 3, 5].map(node)
    );
    assert_eq!(views[0].propose(&join(4)), Err(ChangeError::Dead { node: node(4) }));
    // What it hears tells it to stop.
    let told = lost.learn(node(1), views[0].layout()).unwrap();
    assert_eq!(told.fenced, [node(4)]);
    assert_eq!(lost.propose(&join(6)), Err(ChangeError::NotAMember));
}

#[test]
fn a_new_owner_that_dies_while_it_copies_ends_the_change() {
    let mut views = founded(1..4);
    views.push(newcomer(4));
    views[0].propose(&join(4)).unwrap();
    gossip(&mut views);
    acknowledge(&mut views);
    views.pop();
    views[1].declare_dead(&[node(4)]).unwrap();
    gossip(&mut views);
    acknowledge(&mut views);
    assert!(views[2].advance());
    assert_eq!((views[2].version(), views[2].phase()), (3, Phase::Stable));
    assert_eq!(views[2].layout().members().len(), 3);
}

#[test]
fn too_many_dead_are_counted() {
    let mut views = founded(1..6);
    views[0].declare_dead(&[node(5)]).unwrap();
    assert_eq!(views[0].progress().uncovered, 0);
    views[0].declare_dead(&[node(4)]).unwrap();
    // W - 1 = 1 dead primary can be borne. Two of five hold some partitions together.
    let both = |partition: &u16| {
        let ring = views[0].ring().unwrap();
        ring.is_primary(node(4), *partition) && ring.is_primary(node(5), *partition)
    };
    let shared = (0..SHAPE.partitions).filter(both).count();
    assert!(shared > 0);
    assert_eq!(views[0].progress().uncovered, shared);
}

#[test]
fn requests_are_taken_of_this_version_and_the_one_before() {
    let mut views = founded(1..4);
    views.push(newcomer(4));
    assert_eq!(views[3].admits(node(1), 1), Admission::Ahead);
    assert_eq!(views[0].admits(node(2), 0), Admission::Outdated);
    assert_eq!(views[0].admits(node(2), 1), Admission::Accepted);
    views[0].propose(&join(4)).unwrap();
    assert_eq!(
        [1, 2, 3].map(|version| views[0].admits(node(2), version)),
        [Admission::Accepted, Admission::Accepted, Admission::Ahead]
    );
    assert_eq!(views[0].admits(node(4), 2), Admission::Accepted);
    assert_eq!(views[0].admits(node(5), 2), Admission::Stranger);
    gossip(&mut views);
    acknowledge(&mut views);
    copy(&mut views);
    views[0].advance();
    assert_eq!(views[0].admits(node(2), 1), Admission::Outdated);
}

#[test]
fn strangers_and_other_clusters_are_not_believed() {
    let mut views = founded(1..4);
    let version = views[1].version();
    views[0].propose(&join(4)).unwrap();
    let told = views[0].layout().clone();
    let stranger = Err(LearnError::Stranger { from: node(4), version });
    assert_eq!(views[1].learn(node(4), &told), stranger);
    let other = Layout::found(members(1..5, 2), SHAPE).unwrap();
    assert_eq!(views[1].learn(node(1), &other), Err(LearnError::OtherCluster));
    assert_eq!(views[1].version(), version);
}

#[test]
fn a_small_cluster_has_as_many_primaries_as_members() {
    let shape = Shape { partitions: 16, replicas: 3, write_quorum: 2 };
    let mut first = Placement::new(node(1), Layout::found([Member::new(node(1), "")].into(), shape).unwrap());
    assert_eq!(first.read_set(3).count(), 1);
    first.propose(&join(2)).unwrap();
    // Nobody loses anything: the write sets overlap, and the second asks for one more.
    assert!(first.moves().all(|moved| moved.gains == [node(2)] && moved.loses.is_empty()));
    let mut views = [first, newcomer(2)];
    finish(&mut views);
    assert_eq!(views[1].read_set(3).count(), 2);
}
