use alloc::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::laws::{arb_context, arb_dot, arb_replica, check_laws};

fn id(byte: u8) -> ReplicaId {
    ReplicaId::from_bytes([byte; 16])
}

fn dot(replica: u8, counter: u64) -> Dot {
    Dot::new(id(replica), counter).unwrap()
}

/// The same set the obvious way.
fn naive(context: &CausalContext) -> BTreeSet<Dot> {
    context.dots().collect()
}

/// The rules of the representation: ascending, nothing empty, nothing that should be one range.
fn assert_canonical(context: &CausalContext) {
    let ranges: Vec<_> = context.ranges().collect();
    assert!(ranges.iter().all(|(_, range)| 1 <= *range.start() && range.start() <= range.end()));
    for pair in ranges.windows(2) {
        let [(replica, range), (next_replica, next)] = pair else { unreachable!("windows of two") };
        let apart = replica == next_replica && range.end() + 1 < *next.start();
        assert!(replica < next_replica || apart, "{context:?}");
    }
    assert_eq!(ranges.len(), context.range_count());
}

proptest! {
    #[test]
    fn it_is_a_lattice(a in arb_context(), b in arb_context(), c in arb_context()) {
        check_laws(&a, &b, &c)?;
    }

    #[test]
    fn set_operations_are_those_of_sets(a in arb_context(), b in arb_context()) {
        let (set_a, set_b) = (naive(&a), naive(&b));
        let union = a.clone().merged(&b);
        for (context, expected) in [
            (&union, &set_a | &set_b),
            (&a.difference(&b), &set_a - &set_b),
            (&a.intersection(&b), &set_a & &set_b),
        ] {
            assert_canonical(context);
            prop_assert_eq!(naive(context), expected);
        }
        prop_assert_eq!(a.is_superset(&b), set_a.is_superset(&set_b));
        prop_assert_eq!(a == b, set_a == set_b);
    }

    #[test]
    fn insertion_merges_neighbours(ranges in vec((arb_replica(), 0_u64..30, 0_u64..8), 0..40)) {
        let (mut context, mut set) = (CausalContext::new(), BTreeSet::new());
        for (replica, start, length) in ranges {
            let range = start..=(start + length).saturating_sub(1);
            let before = set.len();
            set.extend(range.clone().filter_map(|counter| Dot::new(replica, counter)));
            prop_assert_eq!(context.insert_range(replica, range), set.len() > before);
            assert_canonical(&context);
        }
        prop_assert_eq!(naive(&context), set);
    }

    #[test]
    fn questions_have_the_obvious_answers(context in arb_context(), dot in arb_dot(), replica in arb_replica()) {
        let set = naive(&context);
        prop_assert_eq!(context.contains(dot), set.contains(&dot));
        prop_assert_eq!(context.is_empty(), set.is_empty());
        let of_replica = |counter| set.iter().any(|dot| dot.replica == replica && dot.counter() == counter);
        prop_assert_eq!(context.contiguous(replica), (1..40).take_while(|n| of_replica(*n)).last().unwrap_or(0));
        prop_assert_eq!(context.highest(replica), (1..40).filter(|n| of_replica(*n)).max().unwrap_or(0));
    }

    #[test]
    fn collecting_dots_in_any_order_is_inserting_them(dots in vec(arb_dot(), 0..30)) {
        let mut context = CausalContext::new();
        for dot in &dots {
            context.insert(*dot);
        }
        prop_assert_eq!(dots.into_iter().collect::<CausalContext>(), context);
    }
}

/// Scenario: deltas arrive as A1, A3, A2.
#[test]
fn gaps_close_by_themselves() {
    let mut context = CausalContext::new();
    for counter in [1, 3, 2] {
        context.insert(dot(b'a', counter));
    }
    assert_eq!(context.ranges().collect::<Vec<_>>(), [(id(b'a'), 1..=3)]);
}

#[test]
fn a_history_without_its_first_dot_is_one_range() {
    let context: CausalContext = (2..=1000).map(|counter| dot(b'a', counter)).collect();
    assert_eq!(context.range_count(), 1);
    assert_eq!((context.contiguous(id(b'a')), context.highest(id(b'a'))), (0, 1000));
}

/// Scenario: a peer claims every counter there is. Nothing here walks them.
#[test]
fn a_claim_about_every_counter_costs_one_range_and_wraps_nothing() {
    let mut all = CausalContext::new();
    assert!(all.insert_range(id(b'a'), 0..=u64::MAX));
    assert!(!all.insert_range(id(b'a'), 1..=u64::MAX));
    assert!(!all.insert(dot(b'a', u64::MAX)));
    assert_eq!(all.ranges().collect::<Vec<_>>(), [(id(b'a'), 1..=u64::MAX)]);
    assert_eq!(all.next_dot(id(b'a')), Err(DotsExhausted { replica: id(b'a') }));

    let mut two = CausalContext::from(dot(b'a', 5));
    two.insert(dot(b'a', u64::MAX));
    let holes = all.difference(&two);
    let expected = [(id(b'a'), 1..=4), (id(b'a'), 6..=u64::MAX - 1)];
    assert_eq!(holes.ranges().collect::<Vec<_>>(), expected);
    assert_eq!(all.intersection(&two), two);
    assert_eq!(holes.merged(&two), all);
    assert!(all.difference(&all).is_empty());
}

#[test]
fn ranges_without_counters_are_ignored() {
    let mut context = CausalContext::new();
    assert!(!context.insert_range(id(b'a'), 0..=0));
    #[expect(clippy::reversed_empty_ranges, reason = "the point of the test")]
    let reversed = 5..=4;
    assert!(!context.insert_range(id(b'a'), reversed));
    assert_eq!(context, CausalContext::new());
}

#[test]
fn a_forged_claim_pushes_the_next_dot_beyond_it() {
    let mut context: CausalContext = (1..=3).map(|counter| dot(b'a', counter)).collect();
    context.insert_range(id(b'a'), 900..=1000);
    assert_eq!(context.next_dot(id(b'a')), Ok(dot(b'a', 1001)));
}

#[cfg(feature = "serde")]
mod encoding {
    use alloc::format;

    use super::*;

    #[test]
    fn dots_in_any_order_give_the_same_bytes() {
        let forwards: CausalContext = [1, 2, 3].map(|counter| dot(b'a', counter)).into_iter().collect();
        let mut shuffled = CausalContext::new();
        for counter in [1, 3, 2] {
            shuffled.insert(dot(b'a', counter));
        }
        assert_eq!(serde_json::to_string(&forwards).unwrap(), serde_json::to_string(&shuffled).unwrap());
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let (a, b) = (id(b'a'), id(b'b'));
        let upper = a.to_string().replace("61616161-", "6161616A-");
        let max = u64::MAX;
        for refused in [
            format!(r#"[["{b}",[[0,0]]],["{a}",[[0,0]]]]"#),
            format!(r#"[["{a}",[[0,0]]],["{a}",[[4,0]]]]"#),
            format!(r#"[["{a}",[]]]"#),
            format!(r#"[["{a}",[[{max},0]]]]"#),
            format!(r#"[["{a}",[[0,{max}]]]]"#),
            format!(r#"[["{a}",[[0,3],[{max},0]]]]"#),
            format!(r#"[["{a}",[[{},0],[0,0]]]]"#, max - 1),
            format!(r#"[["{upper}",[[0,0]]]]"#),
            r#"[["6161",[[0,0]]]]"#.into(),
        ] {
            assert!(serde_json::from_str::<CausalContext>(&refused).is_err(), "{refused}");
        }
        let all = format!(r#"[["{a}",[[0,{}]]]]"#, max - 1);
        let read: CausalContext = serde_json::from_str(&all).unwrap();
        assert_eq!(read.ranges().collect::<Vec<_>>(), [(a, 1..=max)]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(context in arb_context()) {
            let json = serde_json::to_string(&context).unwrap();
            prop_assert_eq!(serde_json::from_str::<CausalContext>(&json).unwrap(), context);
        }

        /// Whatever pairs come in, what is accepted is canonical and is written the same again.
        #[test]
        fn what_is_read_is_canonical(pairs in vec((0_u64..9, 0_u64..9), 1..8)) {
            let json = serde_json::to_string(&[(id(b'a'), pairs)]).unwrap();
            let context: CausalContext = serde_json::from_str(&json).unwrap();
            assert_canonical(&context);
            prop_assert_eq!(serde_json::to_string(&context).unwrap(), json);
        }
    }
}
