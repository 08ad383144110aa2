//! Bytes and places that must not change: nodes of several releases stand on one ring.

use alloc::vec::Vec;

use crdt_core::{Limits, codec, digest_of};

use super::super::{Change, Layout, Member, Ring};
use super::support::{SHAPE, acknowledge, copy, founded, gossip, member, members, node};

fn places(ring: &Ring, partition: u16) -> Vec<u8> {
    ring.preference_list(partition).map(|node| node.as_bytes()[15]).collect()
}

#[test]
fn places_are_the_same_in_every_release() {
    let weighted: Vec<Member> = members(1..7, 3)
        .into_iter()
        .zip([1, 1, 2, 1, 3, 1])
        .map(|(member, weight)| member.weighing(weight))
        .collect();
    let ring = Ring::new(&weighted, SHAPE).unwrap();
    let first: Vec<Vec<u8>> = (0..4).map(|partition| places(&ring, partition)).collect();
    assert_eq!(first, [[4, 3, 5, 1, 2, 6], [5, 1, 3, 2, 4, 6], [3, 1, 5, 6, 4, 2], [3, 5, 4, 1, 2, 6]]);
    let all: Vec<u8> = (0..SHAPE.partitions).flat_map(|partition| places(&ring, partition)).collect();
    assert_eq!(digest_of(&all), 287_237_376_893_465_806_530_197_761_225_124_715_993);
}

#[test]
fn bytes_are_the_same_in_every_release() {
    let mut views = founded(1..4);
    views.push(super::super::Placement::new(node(4), Layout::default()));
    views[0].declare_dead(&[node(3)]).unwrap();
    views[0].propose(&Change::Replace { dead: node(3), by: member(4, usize::MAX) }).unwrap();
    views.remove(2);
    gossip(&mut views);
    acknowledge(&mut views);
    copy(&mut views);
    let bytes = codec::encode_payload(views[1].layout());
    let golden = include_bytes!("layout.golden");
    assert_eq!(codec::decode_payload::<Layout>(golden, &Limits::DEFAULT).as_ref(), Ok(views[1].layout()));
    assert_eq!(bytes, golden);
}
