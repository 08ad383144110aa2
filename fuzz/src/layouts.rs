//! Layouts of the ring that a peer tells.

use crdt_core::{Change, Crdt, Limits, codec};
use crdt_sync::NodeId;
use crdt_sync::placement::{Layout, Placement};

/// The first byte says where a second layout begins. One that decodes is encoded in those bytes only, can be looked at,
/// and its node can take its steps; two join to the same from either side. The rings stay small: what they cost is
/// bounded by their limits, not by the input.
pub fn a_layout_decodes_only_from_its_canonical_bytes(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let (a, b) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let Some(a) = decoded(a) else { return };
    assert_eq!(a.clone().merge(&a), Change::Unchanged);
    if a.shape().partitions < 256 {
        lived_by(&a);
    }
    let Some(b) = decoded(b) else { return };
    let both = a.clone().merged(&b);
    assert_eq!(both, b.clone().merged(&a));
    assert!(a.compare(&both).is_some_and(core::cmp::Ordering::is_le));
}

fn decoded(bytes: &[u8]) -> Option<Layout> {
    let layout = codec::decode_payload::<Layout>(bytes, &Limits::DEFAULT).ok()?;
    assert_eq!(codec::encode_payload(&layout), bytes);
    Some(layout)
}

/// As the first of its members, and as somebody who only listens.
fn lived_by(layout: &Layout) {
    let first = layout.members().next().map(|member| member.node);
    for me in [first.unwrap_or(NodeId::from_u128(0)), NodeId::from_u128(1)] {
        let mut view = Placement::new(me, layout.clone());
        for partition in 0..layout.shape().partitions {
            assert!(view.read_set(partition).all(|node| view.holds(node, partition)));
            assert!(view.fallbacks(partition).all(|node| !view.holds(node, partition)));
        }
        let progress = view.progress();
        assert!(progress.copied <= progress.copies);
        view.acknowledge(None);
        if view.advance() {
            assert_eq!(view.version(), progress.version + 1);
        }
    }
}
