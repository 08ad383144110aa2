//! What others have published or shipped, by its numbers: each table here is somebody else's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use quorum::{
    AckTally, CommitTally, Expr, JointCommitTally, JointVoteTally, LatencyDistribution, Outcome, Preset,
    Probability, QuorumConfig, QuorumSystem, SystemError, Vote, VoteOutcome, VoteTally, majority,
};

fn close(value: f64, published: f64) -> bool {
    (value - published).abs() <= 1e-9
}

/// Gifford 1979, and every introduction to quorums since.
#[test]
fn overlaps_and_tolerated_failures() {
    // N R W, then reads with writes, writes with writes, failures of reads and of writes.
    let table = [
        (3, 2, 2, 1, 1, 1, 1),
        (5, 2, 3, 0, 1, 3, 2),
        (4, 2, 3, 1, 2, 2, 1),
        (4, 3, 2, 1, 0, 1, 2),
        (3, 1, 3, 1, 3, 2, 0),
        (5, 3, 3, 1, 1, 2, 2),
        (u32::MAX, u32::MAX, 1, 1, 0, 0, u32::MAX - 1),
    ];
    for (n, r, w, read_write, write_write, reads, writes) in table {
        let config = QuorumConfig::new(n, r, w).unwrap();
        assert_eq!(config.read_write_overlap(), read_write, "{config}");
        assert_eq!(config.write_write_overlap(), write_write, "{config}");
        assert_eq!((config.tolerated_read_failures(), config.tolerated_write_failures()), (reads, writes));
        assert_eq!(config.is_strict(), read_write > 0);
    }
    assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
}

/// What Garage derives from a replication factor.
#[test]
fn read_and_write_quorums_of_a_replication_factor() {
    for (factor, r, w) in [(1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 3), (5, 3, 3), (6, 3, 4), (7, 4, 4)] {
        let config = Preset::Consistent.config(factor).unwrap();
        assert_eq!((config.r(), config.w()), (r, w), "replication factor {factor}");
    }
}

/// Order statistics of exponential times with mean 1: sums of the last harmonic terms.
#[test]
fn waiting_for_the_fastest_of_exponential_answers() {
    let answer = LatencyDistribution::exponential(1.0).unwrap();
    let published = [
        (3, &[1.0 / 3.0, 5.0 / 6.0, 11.0 / 6.0][..]),
        (5, &[0.2, 0.45, 0.783_333_333_333, 1.283_333_333_333, 2.283_333_333_333]),
    ];
    for (n, means) in published {
        for (k, mean) in (1..).zip(means) {
            let config = QuorumConfig::new(n, k, n).unwrap();
            assert!(close(config.read_latency(&answer).mean(), *mean), "{k} of {n}");
        }
    }
}

/// Availability in its binomial form, and staleness by Bailis et al. 2012.
#[test]
fn availability_and_staleness() {
    let p = Probability::new(0.1).unwrap();
    let three = QuorumConfig::balanced(3).unwrap();
    assert!(close(three.availability(p).get(), 0.972));
    let partial = QuorumConfig::new(5, 2, 3).unwrap();
    assert!(close(partial.miss_probability().get(), 0.1));
    for (k, fresh) in [(1, 0.9), (2, 0.99), (3, 0.999)] {
        assert!(close(partial.k_staleness(k).get(), fresh));
        assert!(close(three.k_staleness(k).get(), 1.0), "strict quorums are never stale");
    }
    let weakest = QuorumConfig::new(3, 1, 1).unwrap();
    assert!(close(weakest.miss_probability().get(), 2.0 / 3.0));
}

fn letters(expr: &str) -> Expr<String> {
    expr.parse().unwrap()
}

/// The grid of 2 x 3 in "Read-write quorum systems made practical", whose prose says that writes survive one failure,
/// while its own program prints two.
#[test]
fn the_grid_of_two_rows_of_three() {
    let grid = QuorumSystem::from_reads(letters("a*b*c + d*e*f")).unwrap();
    let set = |nodes: &str| grid.set(nodes.chars().map(String::from));
    assert!(grid.is_write_quorum(set("ad")) && !grid.is_write_quorum(set("ab")));
    assert_eq!((grid.read_resilience(), grid.write_resilience(), grid.resilience()), (Ok(1), Ok(2), Ok(1)));
    assert_eq!(letters("choose(2, a, b, c)").dual(), letters("choose(2, a, b, c)"));
    assert_eq!(letters("choose(1, a, b, c)").dual(), letters("a * b * c"));
}

/// Thresholds of weighted votes as `quorum-set` documents them: what counts is the votes, not the thresholds' sum
/// alone.
#[test]
fn weighted_votes_that_must_meet() {
    let weighted = |need: u64, votes: &[(u64, u32)]| Expr::weighted(need, votes.iter().copied()).unwrap();
    let four = [(2, 1), (1, 2), (1, 3)];
    assert!(QuorumSystem::new(weighted(3, &four), weighted(2, &four)).is_ok(), "3 + 2 > 4");
    let even = [(2, 1), (2, 2)];
    assert!(QuorumSystem::new(weighted(3, &even), weighted(1, &even)).is_ok(), "3 votes take both nodes");
    let apart = QuorumSystem::new(weighted(2, &four), weighted(2, &four)).unwrap_err();
    let SystemError::Disjoint { read, write } = apart else { panic!("{apart}") };
    assert!(read.iter().all(|node| !write.contains(node)), "the witness: {read:?} and {write:?}");
}

/// A membership changes from {1,2,3} to {3,4,5}: no majority of one side alone will do.
#[test]
fn changing_a_membership_takes_both_majorities() {
    let both = Expr::majority([1, 2, 3]).unwrap() * Expr::majority([3, 4, 5]).unwrap();
    let system = QuorumSystem::from_writes(both).unwrap();
    for (nodes, is_quorum) in [
        (&[1, 2][..], false),
        (&[4, 5], false),
        (&[1, 2, 3], false),
        (&[2, 3, 4], true),
        (&[1, 2, 4, 5], true),
    ] {
        assert_eq!(system.is_write_quorum(system.set(nodes)), is_quorum, "{nodes:?}");
    }
}

/// The commit index and the vote of etcd's raft.
#[test]
fn commit_indexes_and_votes() {
    let commit = |positions: &[(u32, u64)]| {
        let mut tally = CommitTally::majority(positions.iter().map(|(node, _)| *node));
        for (node, position) in positions {
            let _ = tally.acknowledge(*node, *position).unwrap();
        }
        tally
    };
    assert_eq!(commit(&[(1, 12), (2, 5), (3, 6)]).index(), 6);
    assert_eq!(commit(&[(1, 100), (2, 0), (3, 0)]).index(), 0);
    assert_eq!(commit(&[(1, 101), (2, 104), (3, 103), (4, 103)]).index(), 103);
    let joint = JointCommitTally::new(commit(&[(1, 12), (2, 5), (3, 6)]), commit(&[(3, 6), (4, 5), (5, 50)]));
    assert_eq!(joint.index(), 6, "the smaller of both");
    let vote = |granted: &[u32], rejected: &[u32]| {
        let mut tally = VoteTally::majority([1, 2, 3, 4]);
        for (nodes, vote) in [(granted, Vote::Granted), (rejected, Vote::Rejected)] {
            for node in nodes {
                let _ = tally.cast(*node, vote).unwrap();
            }
        }
        tally.outcome()
    };
    assert_eq!(vote(&[1, 2, 3], &[]), VoteOutcome::Won);
    assert_eq!(vote(&[1, 2], &[3]), VoteOutcome::Pending);
    assert_eq!(vote(&[1, 2], &[3, 4]), VoteOutcome::Lost, "half of an even number is no majority");
    let mut joint = JointVoteTally::majority([1, 2, 3], [3, 4, 5]);
    assert_eq!([1, 2].map(|node| joint.cast(node, Vote::Granted).unwrap()), [VoteOutcome::Pending; 2]);
    assert_eq!([4, 5].map(|node| joint.cast(node, Vote::Rejected).unwrap())[1], VoteOutcome::Lost);
}

/// Riak gives up on a `pw` or `dw` of q once N - q + 1 replicas have failed, and not before.
#[test]
fn a_request_is_given_up_when_too_few_are_left() {
    for n in 1..8_u32 {
        for q in 1..=n {
            let mut write = AckTally::new(q.try_into().unwrap(), 0..n);
            let failures = (0..n).position(|node| write.fail(node) == Ok(Outcome::Impossible)).unwrap();
            assert_eq!(failures + 1, (n - q + 1) as usize, "{q} of {n}");
        }
    }
}

/// Patroni's invariant: a commit that waited for `numsync` of the `sync` nodes is known to somebody among `quorum`
/// of the others that a new leader must reach, if quorum + numsync is at least their number.
#[test]
fn whoever_may_be_promoted_knows_what_was_committed() {
    for active in 1..7_u32 {
        for wanted in 1..=active {
            let followers = || 1..=active;
            let committed = Expr::choose(u64::from(wanted), followers()).unwrap();
            let quorum = active - wanted;
            // The candidate counts itself, so that it reaches one more.
            let enough = Expr::choose(u64::from(quorum + 1), followers()).unwrap();
            assert!(QuorumSystem::new(enough, committed.clone()).is_ok(), "numsync {wanted} of {active}");
            if quorum > 0 {
                let too_few = Expr::choose(u64::from(quorum), followers()).unwrap();
                assert!(QuorumSystem::new(too_few, committed).is_err(), "one vote less would lose commits");
            }
        }
    }
}
