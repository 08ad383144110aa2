//! Foreign bytes: whatever decodes is a layout that some node could tell, in its one encoding.

use alloc::vec::Vec;

use crdt_core::{Crdt, Limits, codec};
use proptest::prelude::*;
use serde::Serialize;

use super::super::layout::Bits;
use super::super::member::Members;
use super::super::{Change, Layout, MAX_FENCED, Placement};
use super::layout_laws::arb_views;
use super::support::{SHAPE, acknowledge, copy, founded, gossip, member, members, node};

fn refusal(layout: &Layout) -> alloc::string::String {
    let bytes = codec::encode_payload(layout);
    alloc::format!("{}", codec::decode_payload::<Layout>(&bytes, &Limits::DEFAULT).unwrap_err())
}

/// A layout in the midst of copying.
fn copying() -> Layout {
    let mut views = founded(1..4);
    views.push(Placement::new(node(4), Layout::default()));
    views[0].propose(&Change::Join([member(4, usize::MAX)].into())).unwrap();
    gossip(&mut views);
    acknowledge(&mut views);
    copy(&mut views);
    views[0].layout().clone()
}

proptest! {
    #[test]
    fn changed_bytes_are_refused_or_another_layout(
        views in arb_views(),
        at in 0usize..6,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = codec::encode_payload(views[at].layout());
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(layout) = codec::decode_payload::<Layout>(&bytes, &Limits::DEFAULT) {
            prop_assert_eq!(codec::encode_payload(&layout), bytes);
            // It joins, and can be looked at.
            let both = layout.clone().merged(views[0].layout());
            prop_assert_eq!(&both, &views[0].layout().clone().merged(&layout));
            if layout.shape().partitions < 2_000 {
                let mut view = Placement::new(node(1), layout);
                let _ = (view.progress(), view.acknowledge(None), view.advance());
            }
        }
    }

    #[test]
    fn a_cut_layout_is_refused(views in arb_views(), at in 0usize..6, cut in any::<prop::sample::Index>()) {
        let bytes = codec::encode_payload(views[at].layout());
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert!(codec::decode_payload::<Layout>(cut, &Limits::DEFAULT).is_err());
    }
}

#[test]
fn what_nobody_could_tell_is_refused() {
    let sound = copying();
    let with = |change: &dyn Fn(&mut Layout)| {
        let mut layout = sound.clone();
        change(&mut layout);
        refusal(&layout)
    };
    assert!(with(&|layout| layout.state.version = 0).contains("nothing is known"));
    assert!(with(&|layout| layout.state.shape.write_quorum = 4).contains("write quorum"));
    assert!(with(&|layout| layout.state.members = Members::default()).contains("needs a member"));
    assert!(with(&|layout| layout.state.transition.as_mut().unwrap().by = node(4)).contains("stranger"));
    assert!(
        with(&|layout| layout.state.transition.as_mut().unwrap().next = Members::default())
            .contains("nobody")
    );
    assert!(
        with(&|layout| {
            layout.state.transition.as_mut().unwrap().next = layout.state.members.clone();
        })
        .contains("changes nothing")
    );
    assert!(
        with(&|layout| {
            let _ = layout.acknowledged.insert(node(9), 0);
        })
        .contains("no part")
    );
    assert!(
        with(&|layout| {
            let _ = layout.acknowledged.insert(node(1), 1);
        })
        .contains("more dead")
    );
    assert!(
        with(&|layout| {
            let _ = layout.copied.insert(node(9), layout.copied[&node(4)].clone());
        })
        .contains("nobody makes")
    );
    assert!(
        with(&|layout| {
            let _ = layout.copied.insert(node(3), Bits::default());
        })
        .contains("one form")
    );
    assert!(with(&|layout| layout.state.shape.partitions = 8).contains("one form"));
    assert!(with(&|layout| layout.state.transition = None).contains("no part"));
    assert!(with(&|layout| layout.fenced = (100..101 + MAX_FENCED).map(node).collect()).contains("4096"));
}

#[test]
fn members_have_one_order_and_limits() {
    // The bytes of a version that only the limits of its members are wrong with.
    let refusal = |members: &[super::super::Member]| {
        #[derive(Serialize)]
        struct Raw<'a>((u64, u128, super::super::Shape, &'a [super::super::Member], Option<()>), [(); 3]);
        let bytes = codec::encode_payload(&Raw((1, 0, SHAPE, members, None), [(); 3]));
        let bytes = [bytes, [0; 3].to_vec()].concat();
        codec::decode_payload::<Layout>(&bytes, &Limits::DEFAULT).map_err(|error| alloc::format!("{error}"))
    };
    assert!(refusal(&members(1..4, 2)).is_ok());
    let mut turned = members(1..4, 2);
    turned.swap(0, 1);
    assert!(refusal(&turned).unwrap_err().contains("twice"));
    assert!(refusal(&members(0..257, 2)).unwrap_err().contains("257"));
    let long: Vec<_> = [super::super::Member::new(node(1), "r".repeat(65))].into();
    assert!(refusal(&long).unwrap_err().contains("65 bytes"));
    assert!(refusal(&[member(1, 1).weighing(0)]).unwrap_err().contains("weighs 0"));
}
