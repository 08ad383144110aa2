//! What a map in which the last write wins must get right, each a lesson from one that got it wrong.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;
use core::time::Duration;

use crdt_core::{
    Change, ClockAhead, Crdt, DeltaCrdt, Hlc, HlcClock, LwwMap, MergeError, Observed, ReplicaId, Retire,
    Retirement, Stamp, TryMerge, VersionDigest, WallTime,
};

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);

type Map = LwwMap<&'static str, u8>;

fn stamp(millis: u64, replica: ReplicaId) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica }
}

fn merged_both_ways(a: &Map, b: &Map) -> Map {
    let merged = a.clone().merged(b);
    assert_eq!(b.clone().merged(a), merged);
    merged
}

#[test]
fn of_two_writes_at_one_time_the_same_wins_everywhere() {
    let a = Map::default().set(stamp(5, A), "k", 9).unwrap();
    let b = Map::default().set(stamp(5, B), "k", 1).unwrap();
    assert_eq!(merged_both_ways(&a, &b).get("k"), Some(&1), "the greater replica's");
    let removal = Map::default().remove(stamp(5, B), &"k").unwrap();
    assert_eq!(merged_both_ways(&b, &removal).get("k"), None, "a removal over a value");
}

#[test]
fn a_write_that_arrives_after_its_removal_stays_removed() {
    let mut a = Map::default();
    let write = a.set(stamp(5, A), "k", 1).unwrap();
    let removal = a.remove(stamp(6, A), &"k").unwrap();
    assert_eq!((a.len(), a.is_empty(), a.tombstones(), a.iter().count()), (0, true, 1, 0));

    let mut b = Map::default();
    assert!(b.merge(&removal).is_changed());
    assert!(!b.merge(&write).is_changed());
    assert_eq!(a, b);
    assert_eq!(b.stamp_of("k"), Some(stamp(6, A)));
}

#[test]
fn removing_what_was_never_seen_counts_for_what_comes() {
    let mut a = Map::default();
    let removal = a.remove(stamp(6, A), &"k").unwrap();
    assert!(!removal.is_bottom());
    let older = Map::default().set(stamp(5, B), "k", 1).unwrap();
    assert_eq!(a.merged(&older).get("k"), None);
}

#[test]
fn a_delta_holds_the_one_key() {
    let mut a = Map::default();
    a.set(stamp(5, A), "k", 1).unwrap();
    let delta = a.set(stamp(6, A), "l", 2).unwrap();
    assert_eq!(delta.iter().collect::<Vec<_>>(), [(&"l", &2)]);
    assert_eq!(a.delta_since(&delta.digest()).iter().collect::<Vec<_>>(), [(&"k", &1)]);
}

#[test]
fn a_clock_that_stepped_back_is_told_and_can_go_on() {
    let mut map = Map::default();
    map.set(stamp(1_000, B), "k", 1).unwrap();
    let before = map.clone();

    let refused = map.set(stamp(900, A), "k", 2);
    assert_eq!(
        refused,
        Err(ClockAhead { stored: stamp(1_000, B), offered: stamp(900, A) }),
        "not dropped in silence"
    );
    assert!(map.remove(stamp(1_000, B), &"k").is_err(), "a stamp is used once");
    assert_eq!(map, before);

    let wall = WallTime::from_millis(900);
    let mut clock = HlcClock::new(Duration::from_secs(60));
    assert_eq!(clock.observe(map.stamp_of("k").unwrap().time, wall), Observed::Advanced);
    map.set(Stamp { time: clock.now(wall).unwrap(), replica: A }, "k", 2).unwrap();
    assert_eq!(map.get("k"), Some(&2));
}

#[test]
fn keys_are_concurrent_knowledge() {
    let a = Map::default().set(stamp(5, A), "k", 1).unwrap();
    let b = Map::default().set(stamp(9, A), "l", 1).unwrap();
    assert_eq!(a.compare(&b), None);
    assert_eq!(a.compare(&a.clone().merged(&b)), Some(Ordering::Less));
    assert_ne!(a.version_digest(), b.version_digest());
}

#[test]
fn forgetting_spares_values_and_younger_removals() {
    let mut map = Map::default();
    map.set(stamp(1, A), "old value", 1).unwrap();
    map.remove(stamp(2, A), &"old removal").unwrap();
    map.remove(stamp(3, A), &"young removal").unwrap();

    assert_eq!(map.forget_before(Hlc::new(3, 0)), 1);
    assert_eq!((map.len(), map.tombstones()), (1, 1));
    assert_eq!(map.stamp_of("old removal"), None);
    assert_eq!(map.forget_before(Hlc::new(3, 0)), 0);
}

#[test]
fn forgetting_once_everybody_knows_is_sound() {
    let mut a = Map::default();
    a.set(stamp(1, A), "k", 1).unwrap();
    a.remove(stamp(2, A), &"k").unwrap();
    let b = a.clone();

    // Both have merged everything of before 3. One forgets, the other not yet.
    a.forget_before(Hlc::new(3, 0));
    assert!(a.is_bottom());
    assert_eq!(a.try_merge(&b, A).map(Change::is_changed), Ok(true), "and it is no claim on A's name");
    assert_eq!((a.get("k"), a.tombstones()), (None, 1), "the tombstone is back, the key is not");
}

#[test]
fn forgetting_too_early_brings_the_key_back() {
    let mut a = Map::default();
    a.set(stamp(1, B), "k", 1).unwrap();
    let phone_that_was_off = a.clone();
    a.remove(stamp(2, A), &"k").unwrap();

    let sound = a.clone().merged(&phone_that_was_off);
    assert_eq!(sound.get("k"), None);

    a.forget_before(Hlc::new(3, 0));
    assert_eq!(a.merged(&phone_that_was_off).get("k"), Some(&1), "the caller must know that nobody is off");
}

#[test]
fn one_stamp_on_two_contents_is_a_fork() {
    let mut one = Map::default().set(stamp(5, A), "k", 1).unwrap();
    let other = Map::default().set(stamp(5, A), "k", 2).unwrap();
    let mut more = other.clone();
    more.set(stamp(6, A), "l", 1).unwrap();
    let before = one.clone();

    assert_eq!(one.try_merge(&more, B), Err(MergeError::ForkedStamp { stamp: stamp(5, A) }));
    assert_eq!(one, before, "not even the other key was merged");
    assert!(!other.delta_since(&one.digest()).is_bottom(), "a digest leads them to meet");
}

#[test]
fn own_writes_that_were_never_made_are_refused() {
    let mut map = Map::default();
    map.set(stamp(5, A), "k", 1).unwrap();
    let theirs = Map::default().set(stamp(4, A), "l", 1).unwrap();
    let refused = map.try_merge(&theirs, A);
    assert!(matches!(refused, Err(MergeError::OwnChangesClaimed { replica: A, issued: 0, .. })));

    // An own write that somebody has overwritten since is none.
    let old = map.clone();
    map.set(stamp(6, B), "k", 2).unwrap();
    assert!(!map.try_merge(&old, A).unwrap().is_changed());
}

#[test]
fn stamps_keep_the_names_of_the_retired() {
    let mut map = Map::default().set(stamp(5, A), "k", 1).unwrap();
    let before = map.clone();
    assert_eq!(map.changes_to_retire(A), 0);
    map.retire(&Retirement::new(1, [(A, 3)]).unwrap()).unwrap();
    assert_eq!(map, before);
}
