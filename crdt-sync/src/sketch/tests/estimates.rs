//! Estimates beside what is there, over many seeds.

use alloc::vec;
use alloc::vec::Vec;

use super::support::{Numbers, salt};
use crate::sketch::{Chance, Decoder, Encoder, Estimate, Progress, cells_for};

/// Two sides' digests of the first `compared` of `nodes` nodes, when this many keys differ.
fn digests(differences: u64, compared: usize, nodes: u64, numbers: &mut Numbers) -> [Vec<u8>; 2] {
    let random = |numbers: &mut Numbers| numbers.hash().to_le_bytes()[0];
    let ours: Vec<u8> = (0..compared).map(|_| random(numbers)).collect();
    let mut theirs = ours.clone();
    for _ in 0..differences {
        let node = usize::try_from(numbers.next() % nodes).unwrap();
        if let Some(digest) = theirs.get_mut(node) {
            *digest = random(numbers);
        }
    }
    [ours, theirs]
}

/// What seeds say about the estimates of one case.
#[derive(Debug)]
struct Summary {
    /// Relative to the truth.
    mean: f64,
    /// The largest relative error.
    worst: f64,
    /// How often the interval held the truth.
    held: f64,
}

fn summary(differences: u64, compared: usize, nodes: u64) -> Summary {
    const SEEDS: u64 = 300;
    let estimates: Vec<Estimate> = (0..SEEDS)
        .map(|seed| {
            let [ours, theirs] =
                digests(differences, compared, nodes, &mut Numbers(seed << 32 | differences));
            Estimate::of_digests(&ours, &theirs, u32::try_from(nodes).unwrap())
        })
        .collect();
    let relative = |estimate: &Estimate| as_f64(estimate.differences()) / as_f64(differences);
    let held = estimates.iter().filter(|e| (e.low()..=e.high()).contains(&differences)).count();
    Summary {
        mean: estimates.iter().map(relative).sum::<f64>() / as_f64(SEEDS),
        worst: estimates.iter().map(|e| (relative(e) - 1.0).abs()).fold(0.0, f64::max),
        held: as_f64(held as u64) / as_f64(SEEDS),
    }
}

fn as_f64(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap())
}

#[test]
fn estimates_are_right_on_average_and_know_how_wrong_they_may_be() {
    // Differences, nodes compared, nodes there are, worst relative error of 300 seeds.
    let cases = [
        (10, 256, 256, 0.5),
        (100, 256, 256, 0.35),
        (300, 256, 256, 0.3),
        (100, 4_096, 4_096, 0.1),
        (1_000, 4_096, 4_096, 0.06),
        (10_000, 4_096, 4_096, 0.1),
        (10_000, 256, 1 << 16, 0.6),
        (100_000, 256, 1 << 16, 0.35),
        (100_000, 1_024, 1 << 16, 0.2),
    ];
    for (differences, compared, nodes, worst) in cases {
        let summary = summary(differences, compared, nodes);
        let case = (differences, compared, nodes, &summary);
        assert!((summary.mean - 1.0).abs() < 0.02, "{case:?}");
        assert!(summary.worst < worst, "{case:?}");
        assert!(summary.held > 0.9, "{case:?}");
    }
}

#[test]
fn nothing_differs() {
    let none = Estimate::of_nodes(0, 4_096, 4_096);
    assert_eq!((none.low(), none.differences(), none.high()), (0, 0, 0));
    assert!(!none.is_saturated());
}

#[test]
fn one_differing_node_is_most_likely_one_key() {
    let one = Estimate::of_nodes(1, 256, 256);
    assert_eq!((one.low(), one.differences(), one.high()), (0, 1, 2));
}

#[test]
fn when_all_differ_there_is_no_upper_end() {
    for (differing, compared) in [(256, 256), (255, 256), (0, 0), (300, 256)] {
        let all = Estimate::of_nodes(differing, compared, 256);
        assert!(all.is_saturated(), "{differing}");
        assert_eq!(all.high(), u64::MAX);
    }
}

#[test]
fn nothing_overflows() {
    for (differing, compared, nodes) in [
        (u32::MAX, u32::MAX, u32::MAX),
        (1 << 19, 1 << 20, u32::MAX),
        (1 << 31, u32::MAX, 1),
        (255, 256, u32::MAX),
    ] {
        let estimate = Estimate::of_nodes(differing, compared, nodes);
        assert!(estimate.low() <= estimate.differences() && estimate.differences() <= estimate.high());
        let _ = estimate.cells(Chance::NinetyNineInHundred);
    }
}

#[test]
fn digests_without_a_counterpart_do_not_count() {
    assert_eq!(Estimate::of_digests(&[1, 2, 3], &[1], 4), Estimate::of_nodes(0, 1, 4));
}

#[test]
fn the_tighter_of_two_levels_is_taken() {
    let coarse = Estimate::of_nodes(256, 256, 256);
    let fine = Estimate::of_nodes(3_000, 4_096, 4_096);
    assert_eq!(coarse.or_tighter(fine), fine);
    assert_eq!(fine.or_tighter(coarse), fine);
    let part = Estimate::of_nodes(20, 256, 1 << 16);
    assert_eq!(part.or_tighter(fine), fine);
}

#[test]
fn more_differences_take_more_cells() {
    let mut before = vec![0; 3];
    for differences in (0..2_000).chain([10_000, 100_000, 1_000_000, u64::MAX]) {
        let cells = [Chance::Half, Chance::NineInTen, Chance::NinetyNineInHundred]
            .map(|chance| cells_for(differences, chance));
        assert!(cells.is_sorted());
        assert!(cells.iter().zip(&before).all(|(now, before)| now >= before), "{differences}");
        before = cells.to_vec();
    }
}

#[test]
fn doubt_takes_more_cells() {
    let sure = Estimate::of_nodes(98, 4_096, 4_096);
    let unsure = Estimate::of_nodes(84, 256, 256);
    assert!(sure.differences().abs_diff(unsure.differences()) < 5);
    assert!(sure.cells(Chance::NineInTen) < unsure.cells(Chance::NineInTen));
    assert_eq!(unsure.cells(Chance::Half), cells_for(unsure.differences(), Chance::Half));
}

/// What a decoder estimates from so many cells, relative to the truth: the mean and the largest error.
fn by_zeros(differences: usize, cells: usize) -> (f64, f64) {
    const SEEDS: u64 = 200;
    let relative = |seed| {
        let mut encoder = Encoder::new(&salt(seed), Numbers(seed).symbols(differences));
        let mut decoder = Decoder::new(&salt(seed), differences);
        decoder.push(encoder.produce(cells).unwrap()).unwrap();
        as_f64(decoder.estimate().differences()) / as_f64(differences as u64)
    };
    let relative: Vec<f64> = (0..SEEDS).map(relative).collect();
    let worst = relative.iter().map(|value| (value - 1.0).abs()).fold(0.0, f64::max);
    (relative.iter().sum::<f64>() / as_f64(SEEDS), worst)
}

#[test]
fn cells_that_do_not_decode_tell_how_many_differences_there_are() {
    // Differences, cells, worst relative error of 200 seeds.
    for (differences, cells, worst) in
        [(100, 100, 0.9), (1_000, 1_000, 0.3), (1_000, 600, 0.8), (3_000, 3_500, 0.15)]
    {
        let (mean, found) = by_zeros(differences, cells);
        assert!((mean - 1.0).abs() < 0.08, "{differences} by {cells}: {mean}");
        assert!(found < worst, "{differences} by {cells}: {found}");
    }
}

#[test]
fn asking_for_the_cells_that_are_missing_wastes_little() {
    const SEEDS: u64 = 40;
    for differences in [60, 500, 3_000] {
        let (mut taken, mut rounds) = (0, 0);
        for seed in 0..SEEDS {
            let mut encoder = Encoder::new(&salt(seed), Numbers(seed).symbols(differences));
            let mut decoder = Decoder::new(&salt(seed), differences);
            let mut wanted = 40;
            while decoder.push(encoder.produce(wanted).unwrap()).unwrap() == Progress::NeedsMore {
                wanted = decoder.further(Chance::NineInTen);
                rounds += 1;
            }
            taken += decoder.taken();
        }
        let cells = taken as u64 / SEEDS;
        let enough = cells_for(differences as u64, Chance::NineInTen) as u64;
        assert!(cells <= enough * 5 / 4, "{differences}: {cells}, {enough} are enough");
        assert!(rounds <= 8 * SEEDS, "{differences}: {rounds}");
    }
}

#[test]
fn a_decoded_difference_is_known_exactly() {
    let mut decoder = Decoder::new(&salt(1), 10);
    decoder.push(Encoder::new(&salt(1), Numbers(1).symbols(5)).produce(40).unwrap()).unwrap();
    let exact = decoder.estimate();
    assert_eq!((exact.differences(), exact.deviation(), exact.is_saturated()), (5, 0, false));
}
