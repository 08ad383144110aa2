//! Presets and levels: the published table, and the overlap of regional levels against every pair of sets.

use std::collections::BTreeMap;

use proptest::prelude::*;
use quorum::{
    Classification, ConfigError, Level, LevelError, Placement, PlacementError, Preset, QuorumConfig,
    RegionalLevel, RegionalQuorum,
};

#[test]
fn the_consistent_preset_is_the_table_of_garage() {
    let table = [(1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 3), (5, 3, 3), (6, 3, 4), (7, 4, 4)];
    for (n, r, w) in table {
        assert_eq!(Preset::Consistent.config(n), QuorumConfig::new(n, r, w));
        assert_eq!(Preset::AvailableReads.config(n), QuorumConfig::new(n, 1, w));
        assert_eq!(Preset::BestEffort.config(n), QuorumConfig::best_effort(n));
    }
}

#[test]
fn every_preset_keeps_what_it_promises() {
    for n in (1..=64).chain([u32::MAX - 1, u32::MAX]) {
        let config = |preset: Preset| preset.config(n).expect("there are replicas");
        assert_eq!(config(Preset::Consistent).classification(), Classification::Strict);
        assert_eq!(config(Preset::Consistent).read_write_overlap(), 1, "no read waits for more than it must");
        let balanced = QuorumConfig::balanced(n).expect("there are replicas");
        assert_eq!(config(Preset::Consistent).tolerated_failures(), balanced.tolerated_failures());
        assert_eq!(config(Preset::AvailableReads).is_strict(), n < 3);
        assert_eq!(config(Preset::BestEffort).is_strict(), n < 2);
    }
    for preset in Preset::ALL {
        assert_eq!(preset.config(0), Err(ConfigError::NoReplicas));
        assert!(!preset.trade_off().is_empty() && !preset.to_string().is_empty());
    }
}

#[test]
fn levels_are_parsed_by_name_in_any_case_or_by_number() {
    let parse = |text: &str| text.parse::<Level>();
    assert_eq!(parse("ONE"), Ok(Level::One));
    assert_eq!(parse("Quorum"), Ok(Level::Quorum));
    assert_eq!(parse("all"), Ok(Level::All));
    assert_eq!(parse("2").map(|level| level.to_string()), Ok("2".into()));
    assert_eq!(parse("0"), Err(LevelError::Zero));
    for nonsense in ["", "-1", "1.5", "most", "4294967296", " 1", "one "] {
        assert_eq!(parse(nonsense), Err(LevelError::NotALevel), "{nonsense:?}");
    }
    for level in [Level::One, Level::Quorum, Level::All] {
        assert_eq!(parse(&level.to_string()), Ok(level));
    }
}

#[test]
fn levels_resolve_to_what_fits() {
    let two: Level = "2".parse().expect("a number");
    assert_eq!((1..=5).map(|n| Level::Quorum.resolve(n)).collect::<Vec<_>>(), [1, 2, 2, 3, 3].map(Ok));
    assert_eq!((Level::One.resolve(9), Level::All.resolve(9), two.resolve(9)), (Ok(1), Ok(9), Ok(2)));
    assert_eq!(two.resolve(1), Err(LevelError::TooMany { count: 2, n: 1 }));
    for level in [Level::One, Level::Quorum, Level::All, two] {
        assert_eq!(level.resolve(0), Err(LevelError::NoReplicas));
        assert_eq!(QuorumConfig::at_levels(0, level, level), Err(ConfigError::NoReplicas));
    }
    assert_eq!(QuorumConfig::at_levels(3, Level::Quorum, Level::Quorum), QuorumConfig::balanced(3));
    assert_eq!(
        QuorumConfig::at_levels(1, two, Level::One),
        Err(ConfigError::ReadQuorumTooLarge { r: 2, n: 1 })
    );
}

#[test]
fn a_placement_is_sound_or_refused_by_name() {
    let place = |regions: &[(&'static str, u32)]| Placement::new(regions.iter().copied()).map(|_| ());
    assert_eq!(place(&[]), Err(PlacementError::NoRegions));
    assert_eq!(place(&[("a", 0)]), Err(PlacementError::EmptyRegion { region: "a" }));
    assert_eq!(place(&[("a", 1), ("a", 2)]), Err(PlacementError::RepeatedRegion { region: "a" }));
    assert_eq!(place(&[("a", u32::MAX), ("b", 1)]), Err(PlacementError::TooManyReplicas));

    let placement = Placement::new([("a", 3), ("b", 1)]).expect("sound");
    let two: Level = "2".parse().expect("a number");
    assert_eq!(placement.replicas(), 4);
    assert_eq!(
        placement.resolve(&RegionalLevel::Local("c", Level::One)),
        Err(PlacementError::UnknownRegion { region: "c" })
    );
    assert_eq!(
        placement.resolve(&RegionalLevel::Each(two)),
        Err(PlacementError::Level(LevelError::TooMany { count: 2, n: 1 }))
    );
}

/// Written in every region, a local read misses nothing; written in one, readers elsewhere may miss it.
#[test]
fn local_quorums_meet_within_a_region_only() {
    let placement = Placement::new([("east", 3), ("west", 3)]).expect("sound");
    let at = |level| placement.resolve(&level).expect("it fits");
    let (east, west) =
        (at(RegionalLevel::Local("east", Level::Quorum)), at(RegionalLevel::Local("west", Level::Quorum)));
    let (each, anywhere) =
        (at(RegionalLevel::Each(Level::Quorum)), at(RegionalLevel::Anywhere(Level::Quorum)));
    assert_eq!((placement.overlap(&east, &east), placement.overlap(&east, &west)), (1, 0));
    assert_eq!((placement.overlap(&each, &east), placement.overlap(&each, &west)), (1, 1));
    assert_eq!((placement.overlap(&anywhere, &anywhere), placement.overlap(&anywhere, &east)), (2, 0));
    assert_eq!((each.total(), each.of(&"east"), east.of(&"west")), (4, 2, 0));
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![Just(Level::One), Just(Level::Quorum), Just(Level::All), (1..4_u32).prop_map(counted)]
}

fn counted(count: u32) -> Level {
    count.to_string().parse().expect("a number")
}

fn regional() -> impl Strategy<Value = RegionalLevel<u8>> {
    prop_oneof![
        level().prop_map(RegionalLevel::Anywhere),
        (0..3_u8, level()).prop_map(|(region, level)| RegionalLevel::Local(region, level)),
        level().prop_map(RegionalLevel::Each),
    ]
}

/// Every set of nodes that meets the demands, nodes numbered region by region.
fn sets(placement: &Placement<u8>, quorum: &RegionalQuorum<u8>) -> Vec<u32> {
    let meets = |set: u32| {
        let mut first = 0;
        let met = placement.regions().all(|(region, n)| {
            let mask = ((1_u32 << n) - 1) << first;
            first += n;
            (set & mask).count_ones() >= quorum.of(region)
        });
        met && set.count_ones() >= quorum.total()
    };
    (0..1_u32 << placement.replicas()).filter(|set| meets(*set)).collect()
}

proptest! {
    #[test]
    fn regional_overlap_equals_the_worst_pair_of_sets(
        sizes in proptest::collection::vec(1..4_u32, 1..4),
        one in regional(),
        other in regional(),
    ) {
        let regions: BTreeMap<u8, u32> = (0_u8..).zip(sizes).collect();
        let placement = Placement::new(regions).expect("no region is empty");
        let (Ok(one), Ok(other)) = (placement.resolve(&one), placement.resolve(&other)) else {
            return Ok(());
        };
        let (left, right) = (sets(&placement, &one), sets(&placement, &other));
        let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (a & b).count_ones()));
        prop_assert_eq!(Some(placement.overlap(&one, &other)), pairs.min());
    }
}
