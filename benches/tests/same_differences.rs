//! Ways to reconcile sets are compared only where they find the same: what the simplest code finds. Every turn checks
//! that by itself, so that taking one is the test.

use std::rc::Rc;

use crdt_benches::reconciling::{
    Candidate, Entry, Found, bound,
    cpu::Stopwatch,
    ours::ByTree,
    turns::reconcile,
    workloads::{Mix, Workload},
};
#[cfg(feature = "merkle-peers")]
use crdt_benches::reconciling::{
    merkle_search_tree::SearchTree, negentropy::RangeBased, rbsr::Summarizable, riblt::Rateless,
    rs_merkle::WholeTree,
};

#[test]
fn all_find_the_difference_of_small_sets() {
    for mix in Mix::ALL {
        for (keys, differing) in [(1, 0), (1, 1), (40, 1), (40, 40), (1_000, 0), (1_000, 7), (3_000, 400)] {
            found_by_all(Workload::new(keys, differing, mix));
        }
    }
}

#[test]
fn all_find_everything_when_one_side_is_empty() {
    let Workload { left, .. } = Workload::new(300, 0, Mix::Changed);
    found_by_all(Workload { left: left.clone(), right: Vec::new() });
    found_by_all(Workload { left: Vec::new(), right: left });
    found_by_all(Workload { left: Vec::new(), right: Vec::new() });
}

#[test]
fn all_find_everything_when_nothing_is_common() {
    let [left, right] = [300, 301].map(|keys| Workload::new(keys, 0, Mix::Changed).left);
    found_by_all(Workload { left, right });
}

#[test]
fn a_mixed_difference_has_another_version_for_half_of_the_keys_and_a_quarter_missing_on_either_side() {
    let workload = Workload::new(1_000, 100, Mix::Mixed);
    assert_eq!([workload.left.len(), workload.right.len()], [975, 975]);
    let [left, right] = workload.differences();
    assert_eq!([left.len(), right.len()], [75, 75]);
    assert_eq!(left.iter().filter(|key| right.contains(key)).count(), 50);
}

#[test]
fn nobody_needs_fewer_bytes_than_the_lower_bound() {
    let workload = Workload::new(3_000, 400, Mix::Mixed);
    assert_eq!(bound::bytes(&Workload::new(3_000, 0, Mix::Mixed)), 0);
    let (mut left, mut right) = (ByTree::load(&workload.left), ByTree::load(&workload.right));
    let found = ByTree::reconcile(&mut left, &mut right, &mut Stopwatch::start());
    let least = bound::bytes(&workload);
    assert!(least > 1 && found.bytes > least, "{} bytes, of {least} at least", found.bytes);
}

#[test]
#[should_panic(expected = "did not find the difference")]
fn a_candidate_that_overlooks_an_item_ends_the_run() {
    reconcile::<Careless>(&Rc::new(Workload::new(40, 1, Mix::Changed)))();
}

/// Finds nothing.
struct Careless;

impl Candidate for Careless {
    const NAME: &'static str = "careless";
    type Summary = ();

    fn summary(_: &[Entry]) {}

    fn load(_: &[Entry]) -> Self {
        Self
    }

    fn reconcile(_: &mut Self, _: &mut Self, _: &mut Stopwatch) -> Found {
        Found::default()
    }
}

fn found_by_all(workload: Workload) {
    let workload = Rc::new(workload);
    found_by::<ByTree>(&workload);
    #[cfg(feature = "merkle-peers")]
    {
        found_by::<RangeBased>(&workload);
        found_by::<Summarizable>(&workload);
        found_by::<Rateless>(&workload);
        found_by::<SearchTree>(&workload);
        found_by::<WholeTree>(&workload);
    }
}

fn found_by<C: Candidate>(workload: &Rc<Workload>) {
    let sample = reconcile::<C>(workload)();
    assert!(sample.bytes > 0 && sample.turns > 1, "{} says something, both ways", C::NAME);
}
