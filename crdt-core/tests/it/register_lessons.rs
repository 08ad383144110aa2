//! What a last-writer-wins register must get right.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use crdt_core::{ClockAhead, Crdt, DeltaCrdt, Hlc, LwwRegister, ReplicaId, Stamp, VersionDigest};

fn stamp(millis: u64, replica: u8) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_bytes([replica; 16]) }
}

fn written(stamp: Stamp, value: &'static str) -> LwwRegister<&'static str> {
    LwwRegister::default().set(stamp, value).unwrap()
}

fn deleted(stamp: Stamp) -> LwwRegister<&'static str> {
    LwwRegister::default().clear(stamp).unwrap()
}

/// Whichever way they meet, `winner` is what both sides hold.
fn assert_wins(winner: &LwwRegister<&'static str>, loser: &LwwRegister<&'static str>) {
    assert_eq!(&winner.clone().merged(loser), winner);
    assert_eq!(&loser.clone().merged(winner), winner);
    let (mut into_loser, mut into_winner) = (loser.clone(), winner.clone());
    assert!(into_loser.merge_owned(winner.clone()).is_changed());
    assert!(!into_winner.merge_owned(loser.clone()).is_changed());
    assert_eq!((&into_loser, &into_winner), (winner, winner));
}

#[test]
fn ties_are_broken_the_same_way_on_both_sides() {
    assert_wins(&written(stamp(6, 1), "a"), &written(stamp(5, 9), "z"));
    assert_wins(&written(stamp(5, 2), "a"), &written(stamp(5, 1), "z"));
    assert_wins(&deleted(stamp(5, 1)), &written(stamp(5, 1), "z"));
    assert_wins(&written(stamp(5, 1), "b"), &written(stamp(5, 1), "a"));
    assert_wins(&deleted(stamp(0, 0)), &LwwRegister::default());
}

#[test]
fn a_write_that_would_not_be_seen_is_refused_instead_of_dropped() {
    let mut register = written(stamp(10, 1), "stored");
    let before = register.clone();

    for late in [stamp(9, 2), stamp(10, 0), stamp(10, 1)] {
        let refused = ClockAhead { stored: stamp(10, 1), offered: late };
        assert_eq!(register.set(late, "late"), Err(refused));
        assert_eq!(register.clear(late), Err(refused));
        assert_eq!(register, before);
    }

    assert!(register.set(stamp(10, 2), "later").is_ok());
    assert_eq!(register.get(), Some(&"later"));
}

#[test]
fn a_deletion_is_a_write() {
    let mut register = written(stamp(1, 1), "gone");
    let late = written(stamp(2, 2), "late");

    let delta = register.clear(stamp(3, 1)).unwrap();

    assert_eq!(register.get(), None);
    assert_eq!(register.stamp(), Some(stamp(3, 1)));
    assert!(!register.is_bottom());
    assert!(!register.merge(&late).is_changed(), "an older write must not bring a value back");
    assert_eq!(delta, register);
    assert_ne!(register.version_digest(), 0);
}

#[test]
fn a_delta_is_the_register_or_nothing() {
    let old = written(stamp(1, 1), "old");
    let new = written(stamp(2, 1), "new");
    assert_eq!(new.delta_since(&old.digest()), new);
    assert!(old.delta_since(&new.digest()).is_bottom());
    assert!(new.delta_since(&new.digest()).is_bottom());

    // A cloned replica may give one stamp to two values; the digest still tells them apart.
    let twin = written(stamp(2, 1), "twin");
    assert_eq!(twin.delta_since(&new.digest()), twin);
}
