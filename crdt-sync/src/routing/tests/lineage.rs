//! Which versions contain which, compared with logs that are written out.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Who begins from which log with how much of it, how much it writes, and whether it says with what it began.
fn reign() -> impl Strategy<Value = (usize, usize, u64, bool)> {
    (0..8_usize, 0..12_usize, 0..5_u64, prop::bool::weighted(0.8))
}

proptest! {
    /// A node that knows nothing but where the epochs of its own log end says the truth of whatever it is asked for.
    #[test]
    fn what_a_node_finds_in_its_own_log_is_true(
        reigns in prop::collection::vec(reign(), 1..9),
        own in any::<prop::sample::Index>(),
    ) {
        let (logs, _) = written_out(&reigns);
        let log = &logs[own.index(logs.len())];
        let mut ends: Vec<Version> = Vec::new();
        for (lsn, &(epoch, _)) in (1..).zip(log) {
            ends.retain(|end| end.epoch.get() != epoch as u64);
            ends.insert(0, version(epoch as u64, lsn));
        }
        ends.push(version(0, 0));
        let mut lineage = Lineage::default();
        lineage.learn_log(ends.iter().copied());
        for (need_epoch, need_log) in logs.iter().enumerate() {
            for need in 1..=need_log.len() {
                let has = log.starts_with(&need_log[..need]);
                let (written_in, _) = need_log[need - 1];
                for named in [need_epoch, written_in] {
                    match lineage.holds(ends[0], version(named as u64, need as u64)) {
                        Holds::Yes => prop_assert!(has),
                        Holds::NotYet | Holds::Never => prop_assert!(!has),
                        Holds::Unknown => {}
                    }
                }
                // Named by the record's own epoch, whatever it has it knows to have.
                let said = lineage.holds(ends[0], version(written_in as u64, need as u64));
                prop_assert!(!has || said == Holds::Yes);
            }
        }
    }

    #[test]
    fn what_is_said_of_two_versions_is_true_however_leaders_followed_each_other(
        reigns in prop::collection::vec(reign(), 1..9),
    ) {
        let (logs, lineage) = written_out(&reigns);
        let all_told = reigns.iter().all(|&(.., told)| told);
        for (have_epoch, have_log) in logs.iter().enumerate() {
            for (need_epoch, need_log) in logs.iter().enumerate() {
                for (have, need) in (0..=have_log.len()).flat_map(|a| (0..=need_log.len()).map(move |b| (a, b))) {
                    let needed = &need_log[..need];
                    let has = have_log[..have].starts_with(needed);
                    let will = have_epoch <= need_epoch || have_log.starts_with(needed);
                    let said = lineage.holds(
                        version(have_epoch as u64, have as u64),
                        version(need_epoch as u64, need as u64),
                    );
                    match said {
                        Holds::Yes => prop_assert!(has),
                        Holds::NotYet => prop_assert!(!has),
                        Holds::Never => prop_assert!(!has && !will),
                        Holds::Unknown => prop_assert!(!all_told),
                    }
                    prop_assert!(!all_told || !will || said != Holds::Never);
                    prop_assert!(!all_told || !has || said == Holds::Yes);
                }
            }
        }
    }
}

/// The log of each epoch as the epoch and place of each record, from an empty one in epoch 0; and what was told.
fn written_out(reigns: &[(usize, usize, u64, bool)]) -> (Vec<Vec<(usize, u64)>>, Lineage) {
    let (mut logs, mut lineage) = (alloc::vec![Vec::new()], Lineage::default());
    for (epoch, &(from, upto, writes, told)) in (1..).zip(reigns) {
        let from = from % epoch;
        let mut log: Vec<(usize, u64)> = logs[from].iter().take(upto).copied().collect();
        if told {
            lineage.learn(Epoch::new(epoch as u64), version(from as u64, log.len() as u64));
        }
        log.extend((0..writes).map(|write| (epoch, write)));
        logs.push(log);
    }
    (logs, lineage)
}

#[test]
fn two_leaders_of_old_share_what_both_began_with() {
    let mut lineage = Lineage::default();
    lineage.learn(Epoch::new(2), version(1, 8));
    lineage.learn(Epoch::new(3), version(1, 6));
    assert_eq!(lineage.holds(version(3, 9), version(2, 6)), Holds::Yes);
    assert_eq!(lineage.holds(version(3, 9), version(2, 7)), Holds::Never);
    // The older leader's log may become longer, and still is not the one that was needed.
    assert_eq!(lineage.holds(version(2, 9), version(3, 7)), Holds::NotYet);
}

#[test]
fn what_is_forgotten_is_unknown_and_not_wrong() {
    let mut lineage = Lineage::default();
    for epoch in 1..=100 {
        lineage.learn(Epoch::new(epoch), version(epoch - 1, epoch));
    }
    assert_eq!(lineage.holds(version(100, 200), version(90, 91)), Holds::Yes);
    assert_eq!(lineage.holds(version(100, 200), version(90, 92)), Holds::Never);
    assert_eq!(lineage.holds(version(100, 200), version(5, 6)), Holds::Unknown);
    // As much is sure: the oldest leader that is remembered began with 37 records.
    assert_eq!(lineage.holds(version(100, 200), version(5, 38)), Holds::Never);
}

#[test]
fn a_leader_that_claims_to_follow_itself_is_not_believed() {
    let mut lineage = Lineage::default();
    lineage.learn(Epoch::new(2), version(2, 8));
    lineage.learn(Epoch::new(2), version(3, 8));
    assert_eq!(lineage.holds(version(2, 9), version(1, 8)), Holds::Unknown);
}
