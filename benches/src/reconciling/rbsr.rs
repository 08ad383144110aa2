//! `rbsr` 0.2 over `rsos` 0.5, the reconciliation of `reconcile`, with its default policy.
//!
//! Frames are its own types in bincode with short numbers. A list of items belongs to the ranges of the same frame, or
//! to one that the other side listed before, so it needs no bounds of its own.

use std::ops::Bound;

use bincode::config::{self, Configuration};
use rand_08::SeedableRng;
use rand_08::rngs::StdRng;
use rbsr::{EnumerationRange, RangeAggregate, initial_ranges, protocol_round};
use rsos::{FingerprintTreeMap, Rsos};

use super::cpu::Stopwatch;
use super::listing::Listing;
use super::{Candidate, Entry, Found, Key, Updating};

/// A tree that holds the items themselves.
pub struct Summarizable(FingerprintTreeMap<Key, u64>);

type Ranges = Vec<RangeAggregate<Key>>;
type Items = Vec<(Key, u64)>;

const WIRE: Configuration = config::standard();

impl Candidate for Summarizable {
    const NAME: &'static str = "rbsr";
    type Summary = FingerprintTreeMap<Key, u64>;

    fn summary(entries: &[Entry]) -> FingerprintTreeMap<Key, u64> {
        let mut map = FingerprintTreeMap::new();
        for entry in entries {
            map.insert(entry.key, entry.version);
        }
        map
    }

    fn load(entries: &[Entry]) -> Self {
        Self(Self::summary(entries))
    }

    fn reconcile(left: &mut Self, right: &mut Self, _: &mut Stopwatch) -> Found {
        let mut found = Found::default();
        let mut sides = [Side::new(&left.0), Side::new(&right.0)];
        let mut frame = encode(&initial_ranges(&left.0), &Items::new());
        let mut speaker = 0;
        loop {
            found.turn(frame.len());
            speaker = 1 - speaker;
            let (ranges, items) = sides[speaker].answer(&frame);
            if ranges.is_empty() && items.is_empty() {
                break;
            }
            frame = encode(&ranges, &items);
        }
        if found.turns == 1 {
            // The one who opened has to learn that nothing differs.
            found.turn(encode(&Ranges::new(), &Items::new()).len());
        }
        found.sends = sides.map(|side| side.sends);
        found
    }
}

/// One side of a session.
struct Side<'a> {
    map: &'a FingerprintTreeMap<Key, u64>,
    random: StdRng,
    /// The ranges that this side listed and asked the other to list in turn.
    awaited: Vec<EnumerationRange<Key>>,
    sends: Vec<Key>,
}

impl<'a> Side<'a> {
    fn new(map: &'a FingerprintTreeMap<Key, u64>) -> Self {
        Self { map, random: StdRng::seed_from_u64(7), awaited: Vec::new(), sends: Vec::new() }
    }

    fn answer(&mut self, frame: &[u8]) -> (Ranges, Items) {
        let (ranges, theirs) = decode(frame);
        let theirs = theirs.into_iter().map(|(key, version)| Entry { key, version });
        let theirs = Listing::new(&theirs.collect::<Vec<_>>());
        // Where the other side says that it has nothing, it has what it listed; where it was asked to list, too.
        let emptied = ranges.iter().filter(|range| range.aggregate().is_empty());
        let listed: Vec<_> = emptied.map(bounds).chain(self.awaited.drain(..)).collect();
        for range in listed {
            let ours = self.map.enumerate(range);
            self.sends.extend(
                ours.filter(|(key, version)| theirs.get(*key) != Some(*version)).map(|(key, _)| *key),
            );
        }
        self.refine(ranges)
    }

    fn refine(&mut self, ranges: Ranges) -> (Ranges, Items) {
        let (mut children, mut enumerated) = (Ranges::new(), Vec::new());
        protocol_round(self.map, ranges, &mut children, &mut enumerated, &mut self.random);
        let items = enumerated.iter().flat_map(|range| self.map.enumerate(*range));
        let items = items.map(|(key, version)| (*key, *version)).collect();
        self.awaited.extend(children.iter().filter(|child| child.aggregate().is_empty()).map(bounds));
        (children, items)
    }
}

fn bounds(range: &RangeAggregate<Key>) -> (Bound<Key>, Bound<Key>) {
    (range.start_bound().cloned(), range.end_bound().cloned())
}

fn encode(ranges: &Ranges, items: &Items) -> Vec<u8> {
    bincode::serde::encode_to_vec((ranges, items), WIRE).expect("plain data")
}

fn decode(frame: &[u8]) -> (Ranges, Items) {
    bincode::serde::decode_from_slice(frame, WIRE).expect("frames are made in this process").0
}

impl Updating for Summarizable {
    fn upsert(&mut self, to: Entry, _: u64) {
        self.0.insert(to.key, to.version);
    }

    fn prepare(&mut self) {
        std::hint::black_box(Rsos::aggregate(&self.0, ..));
    }
}
