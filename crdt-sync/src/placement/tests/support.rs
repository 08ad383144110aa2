//! Members with short names.

use alloc::format;
use alloc::vec::Vec;

use super::super::{Layout, Member, Placement, Shape};
use crate::node::NodeId;

pub(super) const SHAPE: Shape = Shape { partitions: 64, replicas: 3, write_quorum: 2 };

pub(super) fn node(n: usize) -> NodeId {
    NodeId::from_u128(n as u128)
}

/// A member in one of so many racks.
pub(super) fn member(n: usize, racks: usize) -> Member {
    Member::new(node(n), format!("rack {}", n % racks))
}

pub(super) fn members(nodes: core::ops::Range<usize>, racks: usize) -> Vec<Member> {
    nodes.map(|n| member(n, racks)).collect()
}

/// Views that know the same founding, each in a rack of its own.
pub(super) fn founded(nodes: core::ops::Range<usize>) -> Vec<Placement> {
    let layout = Layout::found(members(nodes.clone(), usize::MAX), SHAPE).unwrap();
    nodes.map(|n| Placement::new(node(n), layout.clone())).collect()
}

/// Everybody tells everybody, twice; what is refused is refused.
pub(super) fn gossip(views: &mut [Placement]) {
    for from in (0..views.len()).chain(0..views.len()) {
        let (teller, layout) = (views[from].me(), views[from].layout().clone());
        for view in &mut *views {
            drop(view.learn(teller, &layout));
        }
    }
}

pub(super) fn acknowledge(views: &mut [Placement]) {
    for view in &mut *views {
        view.acknowledge(None);
    }
    gossip(views);
}

/// All that gain something copy it, from as few as they may.
pub(super) fn copy(views: &mut [Placement]) {
    for view in &mut *views {
        for partition in view.to_copy().collect::<Vec<u16>>() {
            let permit = view.copy_permit(partition).unwrap();
            let from = &permit.sources()[..permit.needed()];
            assert_eq!(view.report_copied(&permit, from), Ok(true));
        }
    }
    gossip(views);
}
