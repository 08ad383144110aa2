//! Primaries: the first in ring order, spread over racks, none overloaded.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::super::member::Members;
use super::share;
use super::tokens::Circle;

/// The preference lists of all partitions, one behind the other. Partitions are placed in the order of their numbers,
/// so that all nodes place them alike.
pub(super) fn lists(members: &Members, partitions: u16, width: usize) -> Vec<u8> {
    let circle = Circle::new(members);
    let mut placing = Placing::new(members, partitions, width);
    let mut lists = Vec::with_capacity(usize::from(partitions) * members.iter().len());
    for partition in 0..partitions {
        let mut order = circle.order(partition);
        placing.pull_forward(&mut order);
        lists.append(&mut order);
    }
    lists
}

struct Placing {
    width: usize,
    /// The rack of each member.
    rack: Vec<usize>,
    /// How many members each rack has.
    sizes: Vec<usize>,
    caps: Vec<u64>,
    loads: Vec<u64>,
}

impl Placing {
    fn new(members: &Members, partitions: u16, width: usize) -> Self {
        let mut labels: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, member) in members.iter().enumerate() {
            labels.entry(&member.rack).or_default().push(place);
        }
        let racks: Vec<Vec<usize>> = labels.into_values().collect();
        let mut rack = vec![0; members.iter().len()];
        for (number, places) in racks.iter().enumerate() {
            for place in places {
                rack[*place] = number;
            }
        }
        Self {
            width,
            caps: share::caps(members, &racks, partitions, width),
            loads: vec![0; rack.len()],
            sizes: racks.iter().map(Vec::len).collect(),
            rack,
        }
    }

    /// Moves the primaries to the front of a ring order and counts them as held. The others keep their order.
    fn pull_forward(&mut self, order: &mut [u8]) {
        let mut held = vec![0; self.sizes.len()];
        for filled in 0..self.width {
            let at = filled + self.pick(&order[filled..], &held);
            order[filled..=at].rotate_right(1);
            let place = usize::from(order[filled]);
            self.loads[place] += 1;
            held[self.rack[place]] += 1;
        }
    }

    /// Where among those left the next primary stands: in a rack that holds least of the partition so far, the first
    /// that is not full. Where all are full, which only small racks bring about, the one with most room in proportion.
    fn pick(&self, left: &[u8], held: &[usize]) -> usize {
        let rack = |place: u8| self.rack[usize::from(place)];
        let least = left.iter().map(|place| held[rack(*place)]).min().unwrap_or_default();
        let fits = |place: u8| held[rack(place)] == least;
        let has_room = |place: u8| self.loads[usize::from(place)] < self.caps[usize::from(place)];
        let first = left.iter().position(|place| fits(*place) && has_room(*place));
        first.unwrap_or_else(|| {
            let crowded = |place: u8| (self.loads[usize::from(place)] << 20) / self.caps[usize::from(place)];
            let candidates = left.iter().enumerate().filter(|(_, place)| fits(**place));
            candidates.min_by_key(|(_, place)| crowded(**place)).map_or(0, |(at, _)| at)
        })
    }
}
