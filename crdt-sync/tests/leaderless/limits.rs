//! Hints that find no room, that get too old, and that are delivered twice: nothing is lost by it.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::WriteOptions;
use crdt_sync::{Action, Cell, Config, Event};
use quorum::Level;

use crate::cluster::{Cluster, counts, id_of, notes, set, sloppy, titles};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Partitions are compared when something calls for it, and otherwise not within a story.
fn compared_on_call(config: &mut Config) {
    config.timing.compare_every = DAY;
    config.timing.hint_lifetime = Duration::from_secs(10);
}

fn is_delivered(_: usize, event: &Event) -> bool {
    matches!(event, Event::HintsDelivered { .. })
}

/// A write does not fail for a hint that finds no room, where enough nodes have it: the partition is compared instead.
#[test]
fn with_no_room_for_a_hint_the_write_succeeds_and_the_owner_is_compared_with() {
    let mut cluster = Cluster::with(5, |config| {
        compared_on_call(config);
        config.limits.max_hints = 0;
    });
    let (title, [a, b, ..]) = cluster.cast::<5>(&titles());
    cluster.crash(a);
    let written = cluster.write(b, &title, set("Hello"), WriteOptions::QUORUM);
    assert!(matches!(written, QuorumReply::Written { .. }), "{written:?}");
    let refused = |at, event: &Event| {
        at == b && matches!(event, Event::HintRefused { owner, .. } if *owner == id_of(a))
    };
    assert_eq!(cluster.count_events(refused), 1);
    cluster.start(a);
    let has_it = |cluster: &Cluster| cluster.held(a, &title).as_deref() == Some("Hello");
    assert!(cluster.run_until(Duration::from_secs(60), has_it));
    assert_eq!(cluster.count_events(is_delivered), 0);
}

/// A fallback that has no room for a hint does not count: where it is needed, the write does not reach its level.
#[test]
fn a_fallback_without_room_does_not_count() {
    let mut cluster = Cluster::with(5, |config| config.limits.max_hints = 0);
    let (title, [a, b, ..]) = cluster.cast::<5>(&titles());
    cluster.crash(a);
    let written = cluster.write(b, &title, set("Hello"), sloppy(WriteOptions::ALL));
    let QuorumReply::Unmet(unmet) = written else { panic!("B and C are all: {written:?}") };
    assert_eq!(unmet.report().copies(), 2);
}

/// What waited for too long is not delivered any more. The comparison it calls for brings the same.
#[test]
fn an_expired_hint_is_not_delivered_and_its_partition_is_compared() {
    let mut cluster = Cluster::with(5, compared_on_call);
    let (title, [a, b, ..]) = cluster.cast::<5>(&titles());
    cluster.crash(a);
    cluster.write(b, &title, set("Hello"), WriteOptions::QUORUM);
    let expired =
        |cluster: &Cluster| cluster.count_events(|_, event| matches!(event, Event::HintsExpired { .. })) > 0;
    assert!(cluster.run_until(Duration::from_secs(60), expired));
    cluster.start(a);
    let has_it = |cluster: &Cluster| cluster.held(a, &title).as_deref() == Some("Hello");
    assert!(cluster.run_until(Duration::from_secs(60), has_it));
    assert_eq!(cluster.count_events(is_delivered), 0);
}

/// A hint that got too old while its keeper was down is not the owner's own business any more: any replica gets it.
#[test]
fn a_hint_that_got_too_old_while_its_keeper_was_down_goes_to_any_replica() {
    let mut cluster = Cluster::with(5, compared_on_call);
    let (title, [a, b, _, d]) = cluster.cast(&titles());
    cluster.crash(a);
    cluster.write(b, &title, set("Hello"), sloppy(WriteOptions::ALL));
    cluster.crash(d);
    cluster.pass(Duration::from_secs(20));
    cluster.cut(&[a], &[d]);
    cluster.start(a);
    cluster.start(d);
    cluster.pass(Duration::from_secs(5));
    assert_eq!(cluster.count_events(|at, event| at == d && is_delivered(at, event)), 1);
    assert_eq!(cluster.held(d, &title), None);
    assert_eq!(cluster.count_events(|at, event| at == d && matches!(event, Event::HintsExpired { .. })), 0);
}

/// D and E are all that could be reached, and A never comes back. What they keep for it goes to B and C all the same.
#[test]
fn a_write_that_only_fallbacks_hold_outlives_its_hint() {
    let mut cluster = Cluster::with(5, compared_on_call);
    let (title, [a, b, c, d, e]) = cluster.cast(&titles());
    cluster.cut(&[d, e], &[a, b, c]);
    let two = sloppy(WriteOptions { level: Level::Quorum, ..WriteOptions::ONE });
    let written = cluster.write(d, &title, set("Hello"), two);
    assert!(matches!(written, QuorumReply::Written { .. }), "{written:?}");
    cluster.pass(Duration::from_secs(60));
    assert_eq!(cluster.held(d, &title).as_deref(), Some("Hello"), "it is kept for longer than hints live");
    // Those that D and E keep it for do not come back.
    cluster.crash(a);
    cluster.crash(b);
    cluster.heal();
    assert!(cluster.run_until(Duration::from_secs(5), |cluster| cluster.held(c, &title).is_some()));
    cluster.pass(Duration::from_secs(1));
    assert_eq!((cluster.held(d, &title), cluster.held(e, &title)), (None, None));
}

/// With deletions forgotten after a while, a document that is too old is given up, and not in silence.
#[test]
fn a_document_that_is_kept_for_too_long_is_lost_and_that_is_said() {
    let mut cluster = Cluster::with(5, |config| {
        compared_on_call(config);
        config.timing.tombstone_horizon = Duration::from_secs(30);
        config.collects_deletions = true;
    });
    let (note, [a, b, c, d, e]) = cluster.cast(&notes());
    cluster.cut(&[d, e], &[a, b, c]);
    let two = sloppy(WriteOptions { level: Level::Quorum, ..WriteOptions::ONE });
    cluster.write(d, &note, Action::Put("Hello".into()), two);
    cluster.pass(Duration::from_secs(15));
    let lost = |cluster: &Cluster| {
        cluster.count_events(|at, event| at == d && matches!(event, Event::HintsLost { .. }))
    };
    assert_eq!(lost(&cluster), 0);
    cluster.pass(Duration::from_secs(10));
    assert_eq!(lost(&cluster), 1);
    assert!(cluster.engine(d).metrics().counters.hints_lost > 0);
}

/// A has the hint durably and says so; D is gone before it hears it. It comes again, and counts once.
#[test]
fn a_crash_between_confirmation_and_deletion_repeats_the_hint_and_counts_once() {
    let mut cluster = Cluster::with(5, compared_on_call);
    let (likes, [a, b, _, d]) = cluster.cast(&counts());
    cluster.crash(a);
    cluster.write(b, &likes, Action::Increment(5), sloppy(WriteOptions::ALL));
    cluster.cut(&[a], &[d]);
    cluster.start(a);
    let value = |cluster: &Cluster| match cluster.engine(a).peek(&likes) {
        Some(Cell::Counter(counter)) => Some(counter.value()),
        _ => None,
    };
    cluster.mend();
    assert!(cluster.run_until(Duration::from_secs(1), |cluster| value(cluster) == Some(5)));
    cluster.crash(d);
    assert_eq!(cluster.count_events(is_delivered), 0, "D did not hear of it");
    cluster.start(d);
    assert!(cluster.run_until(Duration::from_secs(10), |cluster| cluster.count_events(is_delivered) == 1));
    assert_eq!(value(&cluster), Some(5));
}
