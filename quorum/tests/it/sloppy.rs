//! What sloppy quorums promise, against every way in which primaries and fallbacks may answer.

use std::num::NonZeroU32;

use proptest::prelude::*;
use quorum::{AckTally, Outcome, QuorumConfig, SloppyError, TallyError};

fn config(n: u32, r: u32, w: u32) -> QuorumConfig {
    QuorumConfig::new(n, r, w).expect("a sound configuration")
}

/// The fewest replicas shared by any two sets of nodes with at least `a` and at least `b` of `n` primaries in them:
/// what else is in the sets is fallbacks, of which there are enough to have none in common.
fn fewest_primaries_in_common(n: u32, a: u32, b: u32) -> u32 {
    let sets = |least: u32| (0..1_u32 << n).filter(move |set| set.count_ones() >= least);
    let pairs = sets(a).flat_map(|left| sets(b).map(move |right| (left & right).count_ones()));
    pairs.min().expect("the set of all primaries is in both")
}

#[test]
fn the_guarantee_is_the_worst_case_over_all_primaries() {
    for n in 1..=5 {
        for pr in 0..=n {
            for pw in 0..=n {
                let sloppy = config(n, 1, 1).sloppy(pr, pw).expect("at most N");
                assert_eq!(sloppy.guaranteed_overlap(), fewest_primaries_in_common(n, pr, pw), "{sloppy}");
                assert_eq!(
                    sloppy.guaranteed_write_overlap(),
                    fewest_primaries_in_common(n, pw, pw),
                    "{sloppy}"
                );
                assert_eq!(sloppy.is_strict(), pr + pw > n, "{sloppy}");
                let least = (0..=n + 1).find(|more| pr + pw + more > n).expect("some number is enough");
                assert_eq!(sloppy.missing_primaries(), least, "{sloppy}");
            }
        }
    }
}

#[test]
fn more_primaries_than_replicas_cannot_be_demanded() {
    assert_eq!(config(3, 2, 2).sloppy(4, 0), Err(SloppyError::TooManyReadPrimaries { pr: 4, n: 3 }));
    assert_eq!(config(3, 2, 2).sloppy(0, 4), Err(SloppyError::TooManyWritePrimaries { pw: 4, n: 3 }));
    let widest = config(u32::MAX, 1, 1).sloppy(0, 0).expect("at most N");
    assert_eq!(widest.missing_primaries(), u32::MAX, "no overflow, if one short");
}

#[test]
fn the_words_say_what_is_left_and_what_would_restore_it() {
    let sloppy = config(3, 2, 2).sloppy(0, 1).expect("at most N");
    assert_eq!(
        sloppy.describe().to_string(),
        "N=3 R=2 W=2 PR=0 PW=1: sloppy\n  \
           a read may miss a write that has completed, although R + W exceeds N\n  \
           two writes may both complete without meeting in any replica\n  \
           a completed write has 2 distinct copies, 1 of them for sure on primaries\n  \
           with enough fallbacks, reads survive the failure of 3 replicas, writes of 2 replicas\n  \
           3 more primaries demanded, of reads and writes, would make it strict\n"
    );
    let strict = config(3, 2, 2).sloppy(2, 2).expect("at most N").describe().to_string();
    assert!(strict.starts_with("N=3 R=2 W=2 PR=2 PW=2: strict although sloppy\n"), "{strict}");
}

/// Two primaries down: the sloppy write is reached on one primary and a fallback, the one that demands two is not.
#[test]
fn two_of_three_primaries_down() {
    let sloppy = config(3, 2, 2);
    let demanding = sloppy.sloppy(0, 2).expect("at most N");
    let writes = [sloppy.write_tally([1, 2, 3]), demanding.write_tally([1, 2, 3])];
    let outcomes = writes.map(|write| {
        let mut write = write.expect("three primaries");
        let _ = write.ask_fallback(8);
        let answered = [write.fail(2), write.fail(3), write.ack(1), write.ack(8)];
        assert!(answered.iter().all(Result::is_ok));
        let durability = sloppy.durability(&write).expect("three primaries");
        assert_eq!((durability.copies(), durability.primaries(), durability.fallbacks()), (2, 1, 1));
        assert_eq!((durability.overlap_with(2), durability.needed_to_meet()), (0, Some(3)));
        write.outcome()
    });
    assert_eq!(outcomes, [Outcome::Reached, Outcome::Impossible]);
}

/// A preference list of c, d, c: three acknowledgements arrive and two copies exist.
#[test]
fn a_node_in_two_places_is_one_copy() {
    let config = config(3, 2, 3);
    let mut write = config.write_tally(["c", "d", "c"]).expect("two distinct primaries");
    assert!(["c", "d", "c"].into_iter().all(|node| write.ack(node).is_ok()));
    assert_eq!(write.outcome(), Outcome::Impossible);
    let durability = config.durability(&write).expect("two primaries of three");
    assert_eq!(durability.copies(), 2);
    assert_eq!(
        durability.to_string(),
        "2 distinct copies: 2 of 3 primaries, 0 fallbacks; a read of 2 primaries is sure to meet it"
    );
}

/// A partition {a, b} | {c, d, e}: a sloppy write on the left and a sloppy read on the right, both successful.
#[test]
fn both_sides_of_a_partition_succeed_and_share_nothing() {
    let config = config(3, 2, 2); // the key's replicas are a, b and c
    let mut write = config.write_tally(["a", "b", "c"]).expect("three primaries");
    let mut read = write.clone();
    let _ = (write.ack("a"), write.ack("b"), write.fail("c"));
    let _ = read.ask_fallback("d");
    let _ = (read.fail("a"), read.fail("b"), read.ack("c"), read.ack("d"));
    assert_eq!((write.outcome(), read.outcome()), (Outcome::Reached, Outcome::Reached));
    assert_eq!(write.met(&read), 0);

    let durability = config.durability(&write).expect("three primaries");
    assert_eq!(durability.overlap_with(1), 0, "one primary answered the read");
    assert_eq!(durability.overlap_with(2), 1, "a strict read would have met it");
}

#[test]
fn what_lies_on_fallbacks_only_is_met_by_nobody() {
    let config = config(3, 2, 2);
    let mut write = config.write_tally([1, 2, 3]).expect("three primaries");
    let _ = (write.ask_fallback(8), write.ask_fallback(9));
    let _ = (write.ack(8), write.ack(9));
    assert_eq!(write.outcome(), Outcome::Reached);
    let durability = config.durability(&write).expect("three primaries");
    assert_eq!((durability.needed_to_meet(), durability.overlap_with(3)), (None, 0));
    assert!(durability.to_string().ends_with("no read is sure to meet it before a hint is delivered"));
}

#[test]
fn answers_of_more_primaries_than_replicas_promise_nothing() {
    let tally = AckTally::new(NonZeroU32::MIN, 1..=4);
    assert_eq!(config(3, 2, 2).durability(&tally), Err(TallyError::TooManyPrimaries { given: 4, n: 3 }));
}

proptest! {
    /// Whoever answers, what two operations share is never less than what each one's durability promises.
    #[test]
    fn two_operations_meet_at_least_as_promised(writers in 0..32_u32, readers in 0..32_u32, primaries in 1..6_u32) {
        let config = config(primaries, 1, 1);
        let tally = |answering: u32| {
            let mut tally = config.write_tally(0..primaries).expect("N primaries");
            for node in (0..5).filter(|node| answering & (1 << node) != 0) {
                let _ = tally.ask_fallback(node);
                assert!(tally.ack(node).is_ok(), "it was asked");
            }
            tally
        };
        let (write, read) = (tally(writers), tally(readers));
        let durability = config.durability(&write).expect("N primaries");
        let asked = u32::try_from(read.primary_acks()).expect("few");
        let met = write.met(&read);
        prop_assert_eq!(met, (writers & readers).count_ones() as usize);
        prop_assert!(met >= durability.overlap_with(asked) as usize);
        let met_for_sure = durability.needed_to_meet().is_some_and(|needed| asked >= needed);
        prop_assert!(!met_for_sure || met > 0);
        prop_assert_eq!(durability.copies(), writers.count_ones() as usize);
    }
}
