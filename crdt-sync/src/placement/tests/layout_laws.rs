//! Layouts join whatever a cluster lives through, and travel as bytes.

use alloc::vec::Vec;

use crdt_core::laws::check_laws;
use crdt_core::{Crdt, Limits, codec};
use proptest::prelude::*;

use super::super::{Change, Layout, Phase, Placement};
use super::support::{founded, member, node};

/// Something that one of the nodes does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Tell(usize, usize),
    Acknowledge(usize),
    Join(usize, usize),
    Leave(usize, usize),
    Declare(usize, usize),
    Replace(usize, usize, usize),
    Copy(usize),
    Advance(usize),
}

fn arb_step() -> impl Strategy<Value = Step> {
    let view = 0usize..6;
    prop_oneof![
        6 => (view.clone(), view.clone()).prop_map(|(from, to)| Step::Tell(from, to)),
        4 => view.clone().prop_map(Step::Acknowledge),
        1 => (view.clone(), 4usize..7).prop_map(|(by, new)| Step::Join(by, new)),
        1 => (view.clone(), 1usize..7).prop_map(|(by, old)| Step::Leave(by, old)),
        1 => (view.clone(), 1usize..7).prop_map(|(by, dead)| Step::Declare(by, dead)),
        1 => (view.clone(), 1usize..7, 4usize..7).prop_map(|(by, dead, new)| Step::Replace(by, dead, new)),
        2 => view.clone().prop_map(Step::Copy),
        3 => view.prop_map(Step::Advance),
    ]
}

fn take(views: &mut [Placement], step: &Step) {
    // What is refused changes nothing, see the lessons.
    match *step {
        Step::Tell(from, to) => {
            let (teller, layout) = (views[from].me(), views[from].layout().clone());
            let _ = views[to].learn(teller, &layout);
        }
        Step::Acknowledge(at) => _ = views[at].acknowledge(None),
        Step::Join(by, new) => drop(views[by].propose(&Change::Join([member(new, 5)].into()))),
        Step::Leave(by, old) => drop(views[by].propose(&Change::Leave([node(old)].into()))),
        Step::Declare(by, dead) => drop(views[by].declare_dead(&[node(dead)])),
        Step::Replace(by, dead, new) => {
            drop(views[by].propose(&Change::Replace { dead: node(dead), by: member(new, 5) }));
        }
        Step::Copy(at) => {
            let partitions: Vec<u16> = views[at].to_copy().collect();
            for permit in partitions
                .into_iter()
                .filter_map(|partition| views[at].copy_permit(partition))
                .collect::<Vec<_>>()
            {
                let from = permit.sources().to_vec();
                views[at].report_copied(&permit, &from).unwrap();
            }
        }
        Step::Advance(at) => _ = views[at].advance(),
    }
}

/// The views of nodes 1 to 6 after some steps; three of them founded the cluster.
pub(super) fn arb_views() -> impl Strategy<Value = Vec<Placement>> {
    prop::collection::vec(arb_step(), 0..60).prop_map(|steps| {
        let mut views = founded(1..4);
        views.extend((4..7).map(|n| Placement::new(node(n), Layout::default())));
        for step in &steps {
            take(&mut views, step);
        }
        views
    })
}

proptest! {
    #[test]
    fn layouts_obey_the_laws(views in arb_views(), (a, b, c) in (0usize..6, 0usize..6, 0usize..6)) {
        check_laws(views[a].layout(), views[b].layout(), views[c].layout())?;
    }

    #[test]
    fn a_layout_decodes_to_itself(views in arb_views(), a in 0usize..6, b in 0usize..6) {
        let both = views[a].layout().clone().merged(views[b].layout());
        let bytes = codec::encode_payload(&both);
        prop_assert_eq!(codec::decode_payload::<Layout>(&bytes, &Limits::DEFAULT), Ok(both));
    }

    #[test]
    fn a_view_built_anew_says_the_same(views in arb_views(), at in 0usize..6) {
        let view = &views[at];
        let anew = Placement::new(view.me(), view.layout().clone());
        prop_assert_eq!(anew.progress(), view.progress());
        for partition in 0..view.layout().shape().partitions {
            let told = |view: &Placement| -> Vec<_> {
                let sets = view.write_sets(partition);
                let second = sets.second.into_iter().flatten();
                let listed = view.preference_list(partition).chain(view.fallbacks(partition));
                sets.first.chain(second).chain(listed).collect()
            };
            prop_assert_eq!(told(&anew), told(view));
            prop_assert_eq!(anew.may_drop(view.me(), partition), view.may_drop(view.me(), partition));
        }
    }

    #[test]
    fn sets_and_lists_fit_together(views in arb_views(), at in 0usize..6) {
        let view = &views[at];
        for partition in 0..view.layout().shape().partitions {
            let sets = view.write_sets(partition);
            let first: Vec<_> = sets.first.clone().collect();
            prop_assert_eq!(view.read_set(partition).collect::<Vec<_>>(), first.clone());
            prop_assert!(view.phase() != Phase::Stable || sets.second.is_none());
            let list: Vec<_> = view.preference_list(partition).collect();
            let held: Vec<_> = list.iter().filter(|node| view.holds(**node, partition)).copied().collect();
            // Primaries stand before fallbacks, those that reads ask before all.
            let fallbacks: Vec<_> = view.fallbacks(partition).collect();
            prop_assert_eq!(&[held.clone(), fallbacks].concat(), &list);
            let living: Vec<_> = first.into_iter().filter(|node| !view.layout().is_fenced(*node)).collect();
            prop_assert_eq!(&held[..living.len()], &living[..]);
        }
    }
}
