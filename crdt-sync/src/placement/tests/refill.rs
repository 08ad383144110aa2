//! From how many others a replica is filled that lost what it held.

use alloc::vec::Vec;

use super::super::{Layout, Placement, Shape};
use super::support::{member, members, node};

fn alone_at(n: usize, write_quorum: usize) -> Placement {
    let (replicas, write_quorum) = (u8::try_from(n).unwrap(), u8::try_from(write_quorum).unwrap());
    let shape = Shape { partitions: 1, replicas, write_quorum };
    Placement::new(node(0), Layout::found(members(0..n, usize::MAX), shape).unwrap())
}

fn sets_of(n: usize, size: usize) -> impl Iterator<Item = u32> {
    (0..1u32 << n).filter(move |set| set.count_ones() as usize == size)
}

/// Node 0 is among at most W - 1 that lost what they held. Whoever of the others it is filled from: as many as are
/// needed are there, and one of them has each write that was acknowledged.
#[test]
fn so_many_as_are_needed_have_every_acknowledged_write_and_one_less_may_not() {
    for n in 1..=6 {
        for w in 1..=n {
            let refill = alone_at(n, w).refill(0);
            assert_eq!((refill.sources.len(), refill.needed), (n - 1, n - w + 1));
            let misses = |needed: usize| {
                (1..w).flat_map(|lost| sets_of(n, lost)).filter(|lost| lost & 1 == 1).any(|lost| {
                    let hold = !lost & ((1 << n) - 1);
                    assert!(hold.count_ones() as usize >= refill.needed);
                    sets_of(n, w).any(|written| {
                        sets_of(n, needed).any(|from| from & !hold == 0 && from & hold & written == 0)
                    })
                })
            };
            assert!(!misses(refill.needed), "N = {n}, W = {w}");
            assert!(w == 1 || misses(refill.needed - 1), "N = {n}, W = {w}: fewer would do");
        }
    }
}

#[test]
fn who_was_declared_dead_is_no_source_and_lowers_nothing() {
    let mut view = alone_at(3, 2);
    view.declare_dead(&[node(2)]).unwrap();
    let refill = view.refill(0);
    assert_eq!((refill.sources, refill.needed), (Vec::from([node(1)]), 2));
}

#[test]
fn in_the_beginning_as_many_as_a_write_reaches_must_hold_nothing_and_one_alone_is_not_enough() {
    let founders = |n, w| alone_at(n, w).refill(0).founders;
    assert_eq!([founders(3, 2), founders(5, 3), founders(3, 1), founders(1, 1)], [2, 3, 2, 1]);
    let more =
        Layout::found(Vec::from([member(0, 9)]), Shape { partitions: 1, replicas: 3, write_quorum: 2 });
    assert_eq!(Placement::new(node(0), more.unwrap()).refill(0).founders, 1, "it is the only member");
}
