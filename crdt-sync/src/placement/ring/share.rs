//! How many partitions each member should hold, and how many it may hold at most.

use alloc::vec;
use alloc::vec::Vec;

use super::super::member::Members;

/// A fixed-point one: shares are found by halving steps of this size.
const ONE: u128 = 1 << 32;

/// A part of the whole: its weight, and the least and most it can take.
struct Part {
    weight: u64,
    least: u64,
    most: u64,
}

/// The most partitions that each member may hold: an eighth more than its share by weight. A rack that is small, yet
/// needed because racks are few, has a larger share than its weight, and so do its nodes: then an eighth more than by
/// weight, or else a little more than that share.
pub(super) fn caps(members: &Members, racks: &[Vec<usize>], partitions: u16, width: usize) -> Vec<u64> {
    let partitions = u64::from(partitions);
    let weights: Vec<u64> = members.iter().map(|member| u64::from(member.weight)).collect();
    // The most that any rack holds of one partition; each holds one less or all it can.
    let level = (1..=width)
        .find(|level| racks.iter().map(|rack| rack.len().min(*level)).sum::<usize>() >= width)
        .unwrap_or(width);
    let parts: Vec<Part> = racks
        .iter()
        .map(|rack| Part {
            weight: rack.iter().map(|place| weights[*place]).sum(),
            least: partitions * rack.len().min(level - 1) as u64,
            most: partitions * rack.len().min(level) as u64,
        })
        .collect();
    let (copies, all) = (partitions * width as u64, weights.iter().sum::<u64>());
    let mut caps = vec![0; weights.len()];
    for (rack, share) in racks.iter().zip(fill(copies, &parts)) {
        let nodes: Vec<Part> =
            rack.iter().map(|place| Part { weight: weights[*place], least: 0, most: partitions }).collect();
        for (place, share) in rack.iter().zip(fill(share, &nodes)) {
            let by_weight = copies * weights[*place] / all;
            let least = share + share.div_ceil(64);
            caps[*place] = (by_weight + by_weight.div_ceil(8)).clamp(least, share + share.div_ceil(8)).max(1);
        }
    }
    caps
}

/// Divides `total` by weight, within the bounds of each part; rounded down, so that up to one each is left over.
fn fill(total: u64, parts: &[Part]) -> Vec<u64> {
    let at = |level: u128| {
        parts.iter().map(move |part| {
            let by_weight = (u128::from(part.weight) * level) / ONE;
            u64::try_from(by_weight).unwrap_or(u64::MAX).clamp(part.least, part.most)
        })
    };
    // The highest level at which the parts do not exceed the whole. At 2^20 for each unit of weight every part is full.
    let (mut low, mut high) = (0, ONE << 20);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if at(middle).sum::<u64>() <= total {
            low = middle;
        } else {
            high = middle;
        }
    }
    at(low).collect()
}
