//! Advice against its definition: every set of failures tried, every leader and every quorum weighed.

use std::time::Duration;

use proptest::prelude::*;
use quorum::advisor::{
    AcceptableLoss, Advice, Assessment, ConflictHandling, Distances, Extent, LONGEST, MAX_REGIONS,
    MAX_REPLICAS, Objection, ReadNeed, Recommendation, Requirements, Topology, advise,
};
use quorum::{DistancesError, Probability, RequirementsError};

const MS: Duration = Duration::from_millis(1);

/// A world told naively: where each replica is, and how long a message takes from region to region.
#[derive(Debug, Clone)]
struct World {
    one_way: Vec<Vec<Duration>>,
    homes: Vec<usize>,
}

impl World {
    fn round_trip(&self, a: usize, b: usize) -> Duration {
        self.one_way[a][b] + self.one_way[b][a]
    }

    fn regions(&self) -> std::ops::Range<usize> {
        0..self.one_way.len()
    }

    fn requirements(&self) -> Requirements {
        let names = self.regions().map(name);
        let distances = Distances::from_matrix(names, self.one_way.clone()).expect("a square");
        let counts = self.regions().map(|region| self.homes.iter().filter(|home| **home == region).count());
        let counts = counts.map(|count| u32::try_from(count).expect("few"));
        Requirements::placed(distances, counts).expect("some replicas")
    }

    /// The replicas other than `leader`, by index, in every set of `failures` that includes it: the longest time until
    /// a write of `leader` has reached any of those left.
    fn lost_with(&self, leader: usize, failures: u32) -> Duration {
        let replicas = 0..self.homes.len();
        let failed = (0..1_u32 << self.homes.len())
            .filter(|set| set.count_ones() == failures && set & (1 << leader) != 0);
        let reached = |set: u32| {
            let survivors = replicas.clone().filter(|replica| set & (1 << replica) == 0);
            survivors.map(|replica| self.one_way[self.homes[leader]][self.homes[replica]]).min()
        };
        failed.map(|set| reached(set).expect("a survivor")).max().expect("a set")
    }

    /// The least time in which some `count` replicas have answered a client of `region`.
    fn quorum(&self, region: usize, count: u32) -> Duration {
        let sets = (0..1_u32 << self.homes.len()).filter(|set| set.count_ones() == count);
        let answered = |set: u32| {
            let members = (0..self.homes.len()).filter(move |replica| set & (1 << replica) != 0);
            members.map(|replica| self.round_trip(region, self.homes[replica])).max().expect("not empty")
        };
        sets.map(answered).min().expect("a set")
    }

    fn slowest(&self, of_client: impl Fn(usize) -> Duration) -> Duration {
        self.regions().map(of_client).max().expect("a region")
    }
}

fn name(region: usize) -> String {
    format!("region {region}")
}

fn world() -> impl Strategy<Value = World> {
    (1..4_usize).prop_flat_map(|regions| {
        let row = proptest::collection::vec((0..200_u64).prop_map(Duration::from_millis), regions);
        let matrix = proptest::collection::vec(row, regions);
        (matrix, proptest::collection::vec(0..regions, 1..6))
            .prop_map(|(one_way, homes)| World { one_way, homes })
    })
}

#[derive(Debug, Clone, Copy)]
struct Wishes {
    failures: u32,
    loss: AcceptableLoss,
    outage: Option<Duration>,
    lag: Option<Duration>,
    write: Option<Duration>,
    local: bool,
    offline: bool,
    conflicts: ConflictHandling,
    reads: ReadNeed,
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let span = || proptest::option::of((0..400_u64).prop_map(Duration::from_millis));
    let loss = prop_oneof![
        Just(AcceptableLoss::Nothing),
        (0..200_u64).prop_map(|ms| AcceptableLoss::Last(Duration::from_millis(ms))),
        Just(AcceptableLoss::Anything),
    ];
    let conflicts = prop_oneof![
        Just(ConflictHandling::Impossible),
        Just(ConflictHandling::LastWriterWins),
        Just(ConflictHandling::Merge),
    ];
    let reads = prop_oneof![Just(ReadNeed::Anything), Just(ReadNeed::OwnWrites), Just(ReadNeed::Latest)];
    let outage = proptest::option::of((0..60_u64).prop_map(Duration::from_secs));
    let first = (0..4_u32, loss, outage, span(), span());
    (first, any::<bool>(), any::<bool>(), conflicts, reads).prop_map(
        |((failures, loss, outage, lag, write), local, offline, conflicts, reads)| Wishes {
            failures,
            loss,
            outage,
            lag,
            write,
            local,
            offline,
            conflicts,
            reads,
        },
    )
}

fn wished(mut needs: Requirements, wishes: Wishes) -> Requirements {
    needs = needs.failures(wishes.failures).may_lose(wishes.loss);
    needs = needs.conflicts(wishes.conflicts).reads(wishes.reads);
    needs = wishes.outage.into_iter().fold(needs, Requirements::write_outage);
    needs = wishes.lag.into_iter().fold(needs, Requirements::replication_lag);
    needs = wishes.write.into_iter().fold(needs, Requirements::write_latency);
    needs = if wishes.local { needs.writes_in_every_region() } else { needs };
    if wishes.offline { needs.offline_clients() } else { needs }
}

fn is_met(found: &Assessment, wishes: Wishes, replicas: u32) -> bool {
    let loss = match wishes.loss {
        AcceptableLoss::Nothing => found.loss == Extent::Nothing,
        AcceptableLoss::Last(most) => found.loss <= Extent::Time(most),
        AcceptableLoss::Anything => true,
    };
    let short = |extent: Extent, most: Option<Duration>| most.is_none_or(|most| extent <= Extent::Time(most));
    let conflicts = match wishes.conflicts {
        ConflictHandling::Merge => true,
        ConflictHandling::LastWriterWins => !found.conflicts || wishes.loss != AcceptableLoss::Nothing,
        ConflictHandling::Impossible => !found.conflicts,
    };
    let alone = replicas == 1;
    let reads = match (found.topology, wishes.reads) {
        (_, ReadNeed::Anything) => true,
        (Topology::LeaderlessSloppy, _) => alone && wishes.failures == 0,
        (Topology::MultiLeader, ReadNeed::Latest) => alone && !wishes.offline,
        _ => true,
    };
    let readers = found.quorums.map_or(replicas - 1, |config| config.tolerated_read_failures());
    loss && conflicts
        && reads
        && short(found.outage, wishes.outage)
        && short(found.staleness, wishes.lag)
        && wishes.failures <= readers
        && (!wishes.offline || found.topology == Topology::MultiLeader)
        && wishes.write.is_none_or(|most| found.write.slowest <= most)
}

/// The first region from which a write is not acknowledged by its own replicas alone.
fn leaving(found: &Assessment, world: &World) -> Option<String> {
    let n = world.homes.len();
    let asked = match found.topology {
        Topology::SingleLeaderSync => n,
        Topology::SingleLeaderSemiSync => n.min(2),
        _ => found.quorums.map_or(1, |config| config.w() as usize),
    };
    let stays = |region: &usize| {
        let led_elsewhere = found.leader.as_ref().is_some_and(|leader| *leader != name(*region));
        !led_elsewhere && world.homes.iter().filter(|home| *home == region).count() >= asked
    };
    world.regions().find(|region| !stays(region)).map(name)
}

proptest! {
    #[test]
    fn times_and_losses_are_the_worst_of_all_that_can_happen(world in world(), wishes in wishes()) {
        let n = u32::try_from(world.homes.len()).expect("few");
        let advice = advise(&wished(world.requirements(), wishes));
        let failures = wishes.failures;
        for found in advice.assessments() {
            if let Some(leader) = &found.leader {
                let leader = world.regions().find(|region| name(*region) == *leader).expect("a region");
                let own = world.homes.iter().position(|home| *home == leader).expect("a replica leads");
                let mut trips: Vec<Duration> = (0..world.homes.len())
                    .filter(|replica| *replica != own)
                    .map(|replica| world.round_trip(leader, world.homes[replica]))
                    .collect();
                trips.sort();
                let (wait, copies) = match found.topology {
                    Topology::SingleLeaderSync => (trips.last(), n),
                    Topology::SingleLeaderSemiSync => (trips.first(), n.min(2)),
                    _ => (None, 1),
                };
                let wait = wait.copied().unwrap_or_default();
                prop_assert_eq!(found.write_wait, wait);
                prop_assert_eq!(found.write.slowest, world.slowest(|client| world.round_trip(client, leader) + wait));
                if failures < n {
                    let lost = if failures < copies { Extent::Nothing } else {
                        Extent::Time(world.lost_with(own, failures))
                    };
                    prop_assert_eq!(found.loss, lost);
                }
                let goes_on = n.saturating_sub(failures) >= copies;
                prop_assert_eq!(found.outage == Extent::Unlimited, failures > 0 && !goes_on);
            } else if let Some(config) = found.quorums {
                prop_assert_eq!(found.write.slowest, world.slowest(|client| world.quorum(client, config.w())));
                prop_assert_eq!(found.read.slowest, world.slowest(|client| world.quorum(client, config.r())));
                prop_assert!(found.topology != Topology::LeaderlessStrict || config.is_strict());
            } else {
                prop_assert_eq!(found.write_wait, Duration::ZERO);
                prop_assert_eq!(found.write.slowest, world.slowest(|client| world.quorum(client, 1)));
                if failures > 0 && failures < n && !wishes.offline {
                    let worst = (0..world.homes.len()).map(|leader| world.lost_with(leader, failures)).max();
                    prop_assert_eq!(Some(found.loss), worst.map(Extent::Time));
                }
            }
        }
    }

    #[test]
    fn what_is_accepted_meets_every_requirement_and_what_is_refused_does_not(world in world(), wishes in wishes()) {
        let n = u32::try_from(world.homes.len()).expect("few");
        for found in advise(&wished(world.requirements(), wishes)).assessments() {
            let left = leaving(found, &world).filter(|_| wishes.local);
            let objected = found.objections.iter().find_map(|objection| match objection {
                Objection::WritesLeaveRegion { region } => Some(region.clone()),
                _ => None,
            });
            prop_assert_eq!(&objected, &left);
            let met = is_met(found, wishes, n) && left.is_none();
            prop_assert_eq!(found.is_accepted(), met, "{:?}", found);
        }
    }

    /// Asking for less never turns a topology that would do into one that does not.
    #[test]
    fn asking_for_less_refuses_nothing_new(world in world(), wishes in wishes()) {
        let relaxed = [
            Wishes { failures: wishes.failures.saturating_sub(1), ..wishes },
            Wishes { loss: AcceptableLoss::Anything, ..wishes },
            Wishes { loss: match wishes.loss {
                AcceptableLoss::Nothing => AcceptableLoss::Last(MS),
                AcceptableLoss::Last(time) => AcceptableLoss::Last(time * 2),
                AcceptableLoss::Anything => AcceptableLoss::Anything,
            }, ..wishes },
            Wishes { outage: None, ..wishes },
            Wishes { lag: None, ..wishes },
            Wishes { write: None, ..wishes },
            Wishes { local: false, ..wishes },
            Wishes { offline: false, ..wishes },
            Wishes { conflicts: ConflictHandling::Merge, ..wishes },
            Wishes { reads: ReadNeed::Anything, lag: None, ..wishes },
        ];
        let before = advise(&wished(world.requirements(), wishes));
        for less in relaxed {
            let after = advise(&wished(world.requirements(), less));
            for (strictly, loosely) in before.assessments().iter().zip(after.assessments()) {
                prop_assert!(!strictly.is_accepted() || loosely.is_accepted(), "{:?} {:?}", strictly, loosely);
            }
        }
    }

    #[test]
    fn the_recommended_is_accepted_and_none_accepted_has_fewer_vices(world in world(), wishes in wishes()) {
        let advice = advise(&wished(world.requirements(), wishes));
        prop_assert_eq!(&advice, &advise(&wished(world.requirements(), wishes)));
        let accepted: Vec<&Assessment> = advice.assessments().iter().filter(|found| found.is_accepted()).collect();
        let Some(recommended) = advice.recommended() else {
            prop_assert!(accepted.is_empty());
            let fewest = advice.assessments().iter().map(|found| found.objections.len()).min();
            prop_assert_eq!(Some(advice.of(advice.closest()).objections.len()), fewest);
            return Ok(());
        };
        prop_assert_eq!(advice.closest(), recommended);
        let recommended = advice.of(recommended);
        prop_assert!(recommended.is_accepted());
        for other in accepted {
            let vices = |found: &Assessment| (found.conflicts, found.loss, found.outage);
            prop_assert!(vices(recommended) <= vices(other));
        }
        prop_assert!(advice.to_string().lines().all(|line| line.chars().count() <= 130));
    }
}

fn atlantic() -> Distances {
    Distances::symmetric(["new york", "london"], [("new york", "london", 150 * MS)]).expect("one pair")
}

#[test]
fn each_recommendation_says_what_sets_it_apart() {
    let why = |needs: Requirements| advise(&needs).recommendation();
    let three = || Requirements::new(atlantic(), 3).expect("three replicas");
    assert_eq!(
        why(Requirements::default()),
        Some(Recommendation::ShorterOutage(Topology::SingleLeaderSemiSync))
    );
    let two = Requirements::new(atlantic(), 2).expect("two replicas");
    assert_eq!(why(two.failures(0)), Some(Recommendation::Faster(Topology::SingleLeaderAsync)));
    assert_eq!(
        why(Requirements::default().failures(0)),
        Some(Recommendation::Simpler(Topology::SingleLeaderSync))
    );
    let merging = || three().conflicts(ConflictHandling::Merge).reads(ReadNeed::Anything);
    assert_eq!(
        why(merging().failures(2).may_lose(AcceptableLoss::Anything).write_outage(Duration::from_secs(60))),
        Some(Recommendation::NoConflicts(Topology::SingleLeaderAsync))
    );
    assert_eq!(
        why(merging().may_lose(AcceptableLoss::Anything).write_outage(MS)),
        Some(Recommendation::LosesLess(Topology::LeaderlessStrict))
    );
    assert_eq!(
        why(merging()
            .writes_in_every_region()
            .may_lose(AcceptableLoss::Last(Duration::from_secs(1)))
            .failures(2)),
        Some(Recommendation::Simpler(Topology::MultiLeader))
    );
    assert_eq!(
        why(merging().offline_clients().may_lose(AcceptableLoss::Anything)),
        Some(Recommendation::OnlyOne(Topology::MultiLeader))
    );
    assert_eq!(why(merging().offline_clients()), None);
}

#[test]
fn mostly_reads_ask_fewer_for_a_read() {
    let quorums = |reads: f64| {
        let names = ["a", "b", "c"];
        let distances =
            Distances::symmetric(names, [("a", "b", 10 * MS), ("b", "c", 20 * MS), ("a", "c", 50 * MS)]);
        let needs = Requirements::new(distances.expect("three pairs"), 5).expect("five replicas");
        let needs = needs.conflicts(ConflictHandling::Merge).write_outage(MS);
        let advice: Advice = advise(&needs.read_fraction(Probability::new(reads).expect("a share")));
        let quorums = advice.of(Topology::LeaderlessStrict).quorums.expect("a configuration");
        (quorums.r(), quorums.w())
    };
    assert_eq!(quorums(0.99), (2, 4));
    assert_eq!(quorums(0.0), (3, 3));
}

#[test]
fn distances_that_are_none_are_refused_by_name() {
    let square = |names: &[&'static str], rows: &[&[u64]]| {
        let row = |row: &&[u64]| row.iter().copied().map(Duration::from_millis).collect();
        Distances::from_matrix(names.iter().copied(), rows.iter().map(row).collect::<Vec<_>>())
    };
    assert_eq!(square(&[], &[]), Err(DistancesError::NoRegions));
    assert_eq!(square(&["a", "a"], &[]), Err(DistancesError::RepeatedRegion { region: "a".into() }));
    for rows in [&[&[0, 1][..]][..], &[&[0, 1], &[1]], &[&[0, 1], &[1, 0], &[1, 0]], &[&[0], &[1, 2, 3]]] {
        assert_eq!(square(&["a", "b"], rows), Err(DistancesError::NotSquare { regions: 2 }));
    }
    let too_long = LONGEST + MS;
    assert_eq!(
        Distances::from_matrix(["a"], [vec![too_long]]),
        Err(DistancesError::TooLong { given: too_long })
    );
    let names = (0..=MAX_REGIONS).map(name);
    assert_eq!(Distances::from_matrix(names, []), Err(DistancesError::TooManyRegions));

    let pairs = |pairs: &[(&'static str, &'static str, Duration)]| {
        Distances::symmetric(["a", "b"], pairs.iter().copied())
    };
    let (a, b) = (String::from("a"), String::from("b"));
    assert_eq!(pairs(&[]), Err(DistancesError::MissingPair { from: a.clone(), to: b.clone() }));
    assert_eq!(
        pairs(&[("a", "b", MS), ("b", "a", MS)]),
        Err(DistancesError::RepeatedPair { from: b, to: a.clone() })
    );
    assert_eq!(pairs(&[("a", "a", MS)]), Err(DistancesError::RepeatedPair { from: a.clone(), to: a }));
    assert_eq!(pairs(&[("a", "c", MS)]), Err(DistancesError::UnknownRegion { region: "c".into() }));
    assert_eq!(pairs(&[("a", "b", too_long)]), Err(DistancesError::TooLong { given: too_long }));
}

#[test]
fn ways_may_differ_and_round_trips_are_halved() {
    let uneven =
        Distances::from_matrix(["a", "b"], [vec![MS, 2 * MS], vec![5 * MS, 3 * MS]]).expect("a square");
    assert_eq!(uneven.one_way("a", "b"), Some(2 * MS));
    assert_eq!(uneven.round_trip("a", "b"), Some(7 * MS));
    assert_eq!(uneven.round_trip("b", "b"), Some(6 * MS));
    assert_eq!(
        Distances::of_round_trips(["new york", "london"], [("london", "new york", 300 * MS)]),
        Ok(atlantic())
    );
    assert_eq!(atlantic().regions().collect::<Vec<_>>(), ["new york", "london"]);
}

#[test]
fn requirements_that_are_none_are_refused_by_name() {
    let ok = |needs: Result<Requirements, RequirementsError>| needs.map(|needs| needs.replicas());
    assert_eq!(ok(Requirements::new(atlantic(), 0)), Err(RequirementsError::NoReplicas));
    assert_eq!(ok(Requirements::new(atlantic(), MAX_REPLICAS)), Ok(MAX_REPLICAS));
    assert_eq!(
        ok(Requirements::new(atlantic(), u32::MAX)),
        Err(RequirementsError::TooManyReplicas { given: u32::MAX.into() })
    );
    assert_eq!(ok(Requirements::placed(atlantic(), [0, 0])), Err(RequirementsError::NoReplicas));
    assert_eq!(
        ok(Requirements::placed(atlantic(), [u32::MAX, u32::MAX])),
        Err(RequirementsError::TooManyReplicas { given: 2 * u64::from(u32::MAX) })
    );
    assert_eq!(
        ok(Requirements::placed(atlantic(), std::iter::repeat(1))),
        Err(RequirementsError::NotOnePerRegion { regions: 2 })
    );
    assert_eq!(ok(Requirements::default().clients([0])), Err(RequirementsError::NoClients));
    assert_eq!(
        ok(Requirements::default().clients([])),
        Err(RequirementsError::NotOnePerRegion { regions: 1 })
    );
}
