//! The fast store beside its plain form, a map from element to dots.

#![expect(clippy::cast_possible_truncation, reason = "small numbers")]

mod stress;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::dotted::{Causal, DotMap, DotStore, StoreDigest};
use crate::laws::{arb_context, arb_dot};
use crate::{CausalContext, Crdt, DeltaCrdt};

type Fast = Causal<ElementStore<u16>>;
type Plain = Causal<DotMap<u16, DotSet>>;

fn plain(fast: &Fast) -> Plain {
    let mut elements: DotMap<u16, DotSet> = DotMap::new();
    for (dot, element) in fast.store().iter_dots() {
        let mut dots = elements.take(element);
        dots.insert(dot);
        elements.insert(*element, dots);
    }
    Causal::from_parts(elements, fast.context().clone()).unwrap()
}

/// One of few elements or of many, under dots of a few replicas that all hold to one numbering: the element of a dot
/// follows from the dot, as it does for honest replicas.
fn causal(few: bool, max_counter: u64) -> impl Strategy<Value = Fast> {
    let range = (0_u8..4, 1..=max_counter, 0_u64..150);
    (vec(range.clone(), 0..5), vec(range, 0..5)).prop_map(move |(live, seen)| {
        let mut context = CausalContext::new();
        let mut alive = CausalContext::new();
        for (replica, start, more) in live {
            alive.insert_range(id(replica), start..=start + more);
        }
        for (replica, start, more) in seen {
            context.insert_range(id(replica), start..=start + more);
        }
        let store = alive.dots().map(|dot| (dot, element_of(dot, few))).collect();
        let _ = context.merge(&alive);
        Causal::from_parts(store, context).unwrap()
    })
}

fn element_of(dot: Dot, few: bool) -> u16 {
    let number = dot.counter() as u16 * 7 + u16::from(dot.replica.as_bytes()[0]) * 1_000;
    if few { number % 5 } else { number }
}

fn id(replica: u8) -> ReplicaId {
    ReplicaId::from_bytes([replica; 16])
}

fn check_sound(store: &ElementStore<u16>) {
    assert!(store.scrub());
    let elements: Vec<_> = store.iter().collect();
    assert_eq!(elements.len(), store.len());
    for element in elements {
        assert!(store.contains(element));
        for dot in store.dots_of(element).iter() {
            let slot = store.slot_of(dot.replica, dot.counter()).unwrap();
            assert_eq!(store.arena.element(slot), element);
        }
    }
    let live: usize = store.rows.iter().map(|row| row.pages.len()).sum();
    assert_eq!(live, store.iter_dots().count());
}

fn check_joins(a: &Fast, b: &Fast) {
    let (mut ab, mut plain_ab) = (a.clone(), plain(a));
    let change = ab.merge(b);
    assert_eq!(change, plain_ab.merge(&plain(b)));
    check_sound(ab.store());
    assert_eq!(plain(&ab), plain_ab);
    assert_eq!(ab.merge(b), crate::Change::Unchanged);
    assert_eq!(a.compare(b), plain(a).compare(&plain(b)));
    assert_eq!(a == b, plain(a) == plain(b));
    assert_eq!(ab.digest(), plain_ab.digest());
    let delta = a.delta_since(&b.digest());
    check_sound(delta.store());
    assert_eq!(plain(&delta), plain(a).delta_since(&plain(b).digest()));
    assert_eq!(ab.store().store_digest(), plain_ab.store().store_digest());
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn joins_are_those_of_the_plain_form(
        a in causal(false, 300), b in causal(false, 300), c in causal(true, 80), d in causal(true, 80),
    ) {
        check_joins(&a, &b);
        check_joins(&b, &a);
        check_joins(&c, &d);
    }

    #[test]
    fn single_changes_are_those_of_the_plain_form(
        start in causal(true, 60),
        steps in vec((0_u8..4, 0_u16..12, arb_dot(), 0..4), 0..60),
    ) {
        let (mut fast, mut context) = start.clone().into_parts();
        fast.track_digest();
        let (mut slow, _) = plain(&start).into_parts();
        for (replica, element, some_dot, step) in steps {
            match step {
                0 | 1 => {
                    let dot = context.next_dot(id(replica)).unwrap();
                    context.insert(dot);
                    prop_assert_eq!(fast.add(dot, element), slow.add(dot, element));
                }
                2 => prop_assert_eq!(fast.take(&element), slow.take(&element)),
                _ => {
                    let mut dots = fast.dots_of(&element);
                    dots.insert(some_dot);
                    if dots.len() > 1 {
                        let first = dots.iter().next().unwrap();
                        dots.remove(first);
                    }
                    let taken = fast.take_dots(&element, &dots);
                    let mut rest = slow.take(&element);
                    for dot in taken.iter() {
                        prop_assert!(rest.remove(dot) && dots.contains(dot));
                    }
                    prop_assert!(rest.iter().all(|dot| !dots.contains(dot)));
                    slow.insert(element, rest);
                }
            }
            check_sound(&fast);
            prop_assert_eq!(fast.store_digest(), slow.store_digest());
            let now = Causal::from_parts(fast.clone(), context.clone()).unwrap();
            prop_assert_eq!(plain(&now).into_parts().0, slow.clone());
        }
    }

    #[test]
    fn parts_and_names(a in causal(true, 100), seen in arb_context()) {
        let part = a.store().unseen_by(&seen);
        check_sound(&part);
        let kept: Vec<_> = a.store().iter_dots().filter(|(dot, _)| !seen.contains(*dot)).collect();
        prop_assert!(part.iter_dots().eq(kept));
        let shifted = a.store().renamed(&|dot| Dot::new(dot.replica, dot.counter() + 1_000).unwrap());
        check_sound(&shifted);
        prop_assert_eq!(shifted.iter_dots().count(), a.store().iter_dots().count());
        prop_assert_eq!(a.store().dots().dots().count(), a.store().iter_dots().count());
    }
}

/// Late dots and mass removals move blocks of places about.
#[test]
fn dots_may_come_in_any_order_and_go_again() {
    let dot = |counter| Dot::new(id(1), counter).unwrap();
    let mut store = ElementStore::<u64>::new();
    let mut counter = 1;
    for step in 0..5_000_u64 {
        counter = counter * 48_271 % 65_537;
        store.add(dot(counter + 1), step);
    }
    assert!(store.scrub());
    for step in 0..5_000 {
        assert_eq!(store.take(&step).len(), 1);
        assert!(step % 500 != 0 || store.scrub());
    }
    assert!(store.is_empty());
    assert!(store.heap_size() < 2_000, "{} bytes for nothing", store.heap_size());
}

#[test]
fn large_sets_join_as_small_ones_do() {
    let set = |range: core::ops::Range<u64>, replica| -> Causal<ElementStore<u64>> {
        let mut context = CausalContext::new();
        let mut store = ElementStore::new();
        for element in range {
            let dot = context.next_dot(id(replica)).unwrap();
            context.insert(dot);
            store.add(dot, element);
        }
        Causal::from_parts(store, context).unwrap()
    };
    let both = set(0..20_000, 1).merged(&set(10_000..30_000, 2));
    assert!(both.store().scrub());
    assert_eq!(both.store().len(), 30_000);
    assert_eq!(both.store().dots_of(&15_000).len(), 2);
    assert_eq!(both, set(10_000..30_000, 2).merged(&set(0..20_000, 1)));
}

#[test]
fn a_fork_is_found_and_equal_fingerprints_are_not_trusted() {
    let dot = Dot::new(id(1), 1).unwrap();
    let of = |element: u16| -> Fast {
        Causal::from_parts([(dot, element)].into_iter().collect(), CausalContext::from(dot)).unwrap()
    };
    assert_eq!(of(1).store().find_fork(of(1).context(), of(2).store()), Some(dot));
    assert_eq!(of(1).store().find_fork(of(1).context(), of(1).store()), None);
    assert_eq!(of(1).compare(&of(2)), None);
    assert_ne!(of(1), of(2));
    let (mut one, mut other) = (of(1).into_parts().0, of(2).into_parts().0);
    let before = one.clone();
    assert!(one.drop_forks(&other).is_changed() && other.drop_forks(&before).is_changed());
    assert!(one.is_empty() && one == other && one.scrub());
    assert!(!one.drop_forks(&before).is_changed());
}

/// A row stays when its last dot goes, and must not be taken for one that was looked at already.
#[test]
fn a_replica_whose_dots_are_all_gone_can_bring_new_ones() {
    let dot = |replica, counter| Dot::new(id(replica), counter).unwrap();
    let mut ours: ElementStore<u16> = [(dot(1, 1), 7)].into_iter().collect();
    ours.take(&7);
    let seen: CausalContext = [dot(1, 1)].into_iter().collect();
    let theirs: ElementStore<u16> = [(dot(1, 2), 8)].into_iter().collect();
    // More replicas in the context than rows on both sides together.
    let seen_there: CausalContext = (1..9).map(|replica| dot(replica, 2)).collect();
    assert!(ours.join(&seen, &theirs, &seen_there).is_changed());
    assert!(ours.contains(&8));
}

/// A forger can give one element as many dots as there are bytes; work on it must not grow with their square.
#[test]
fn an_element_with_very_many_dots_is_walked_and_removed_in_reasonable_time() {
    const DOTS: u64 = 200_000;
    let mut context = CausalContext::new();
    context.insert_range(id(1), 1..=DOTS / 2);
    context.insert_range(id(2), 1..=DOTS / 2);
    let store: ElementStore<u16> = context.dots().map(|dot| (dot, 7)).collect();
    assert_eq!((store.len(), store.iter().count(), store.iter_dots().count()), (1, 1, DOTS as usize));
    assert!(format!("{store:?}").starts_with("{7: {"));

    let mut taken = store.clone();
    assert_eq!(taken.take(&7).len(), DOTS as usize);
    assert!(taken.is_empty() && taken.scrub());

    let mut joined = store;
    assert!(joined.join(&context, &taken, &context).is_changed());
    assert!(joined.is_empty() && joined.scrub());
}

/// Pages and rows that arrive between others are put in together.
#[test]
fn very_many_late_dots_and_replicas_are_filed_in_reasonable_time() {
    let far_apart = |first: u64| -> Causal<ElementStore<u64>> {
        let mut context = CausalContext::new();
        for page in 0..60_000 {
            context.insert(Dot::new(id(1), first + page * 128).unwrap());
        }
        let store = context.dots().map(|dot| (dot, dot.counter())).collect();
        Causal::from_parts(store, context).unwrap()
    };
    let (late, early) = (far_apart(1), far_apart(65));
    let both = early.clone().merged(&late);
    assert_eq!(both.store().len(), 120_000);
    assert!(both.store().scrub());
    assert_eq!(both, late.merged(&early));

    let many = |low: u32| -> Causal<ElementStore<u32>> {
        let dots = (0..30_000_u32).map(|n| {
            let replica = ReplicaId::from_u128(u128::from(n * 2 + low) << 64);
            (Dot::new(replica, 1).unwrap(), n * 2 + low)
        });
        let dots: Vec<_> = dots.collect();
        Causal::from_parts(dots.iter().copied().collect(), dots.iter().map(|(dot, _)| *dot).collect())
            .unwrap()
    };
    let both = many(0).merged(&many(1));
    assert_eq!(both.store().len(), 60_000);
    assert!(both.store().scrub());
}

/// Small batches and late ones meet the same pages; what is there stays where it is.
#[test]
fn pages_made_beforehand_are_pages_like_any_other() {
    let of = |counters: &mut dyn Iterator<Item = u64>| -> Fast {
        let dots: Vec<_> = counters.map(|counter| Dot::new(id(1), counter).unwrap()).collect();
        let store = dots.iter().map(|dot| (*dot, element_of(*dot, false))).collect();
        Causal::from_parts(store, dots.into_iter().collect()).unwrap()
    };
    let ends = of(&mut (1..5).chain(6_000..6_005));
    for late in [of(&mut (64..6_000).step_by(300)), of(&mut (5..6_000).step_by(7)), of(&mut (5..6_000))] {
        check_joins(&ends, &late);
        check_joins(&late, &ends);
        let mut both = ends.clone().merged(&late);
        let (store, _) = both.clone().into_parts();
        let elements: Vec<u16> = store.iter().copied().collect();
        let (mut store, context) = (store, both.context().clone());
        for element in &elements {
            store.take(element);
        }
        assert!(store.is_empty() && store.heap_size() < 2_000);
        let gone = Causal::from_parts(store, context).unwrap();
        assert!(both.merge(&gone).is_changed());
        assert!(both.store().is_empty() && both.store().scrub());
    }
}

#[test]
fn a_digest_that_is_tracked_stays_tracked() {
    let dot = |replica, counter| Dot::new(id(replica), counter).unwrap();
    let other: ElementStore<u16> = [(dot(1, 1), 7), (dot(1, 2), 8)].into_iter().collect();
    let seen = other.dots();

    let mut tracking = ElementStore::<u16>::new();
    tracking.track_digest();
    assert!(tracking.join(&CausalContext::new(), &other, &seen).is_changed());
    assert_eq!(tracking.tracked.map(|tracked| tracked.sum), Some(other.store_digest()));
    assert!(other.tracked.is_none());

    let renamed = tracking.renamed(&|dot| Dot::new(id(9), dot.counter()).unwrap());
    assert_eq!(renamed.tracked.map(|tracked| tracked.sum), Some(renamed.sum_parts(part_under_root)));

    tracking.clear();
    tracking.add(dot(1, 3), 9);
    let fresh: ElementStore<u16> = [(dot(1, 3), 9)].into_iter().collect();
    assert_eq!(tracking.clone().tracked.map(|tracked| tracked.sum), Some(fresh.store_digest()));
}
