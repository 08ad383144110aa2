//! Stories of reads. The nodes a, b and c are the primaries, d and e the fallbacks.

mod orders;
mod random;
mod world;

use core::time::Duration;
use std::vec;
use std::vec::Vec;

use quorum::Level;

use self::world::{Toy, World};
use super::*;
use crate::leaderless::coordinate::{Cause, Fallbacks, Repair, WriteOp, WriteOptions};

const START: Instant = Instant::from_micros(1_000);
/// What a write adds.
const V1: u8 = 1;
const V2: u8 = 2;

fn abc() -> Replicas<char> {
    Replicas::new(3, ['a', 'b', 'c']).with_fallbacks(['d', 'e']).coordinated_by('a')
}

/// All replicas at once, whole states.
fn at_once() -> ReadOptions {
    ReadOptions { speculate: None, digests: false, ..ReadOptions::QUORUM }
}

#[test]
fn a_read_returns_the_newer_version_and_repairs_the_outdated_and_the_empty_replica_afterwards() {
    let (old, new) = (Toy::with(V1), Toy::with(V1).without(V1).united(Toy::with(V2)));
    let mut read = World::new(abc(), at_once(), [('a', new), ('b', old), ('c', Toy::NOTHING)]);
    read.answer('a');
    assert!(read.reply.is_none());
    read.answer('b');
    assert_eq!(read.data(), new);
    assert_eq!(read.repairs.len(), 1); // the reply did not wait for it, nor for c
    read.answer('c');
    assert_eq!(read.repairs.iter().map(|(node, _)| *node).collect::<Vec<_>>(), ['b', 'c']);
    assert!(read.over);
    read.answer('b');
    read.answer('c');
    assert!(read.states.values().all(|state| state.live == V2));
}

#[test]
fn concurrent_siblings_are_united_and_both_replicas_get_the_union() {
    let mut read = World::new(
        abc(),
        ReadOptions::QUORUM,
        [('a', Toy::with(V1)), ('b', Toy::with(V2)), ('c', Toy::NOTHING)],
    );
    assert_eq!(read.asked, vec![('a', Wanted::Whole, None), ('b', Wanted::Digest, None)]);
    read.answer('a');
    read.answer('b');
    assert_eq!(read.asked[2..], [('b', Wanted::Whole, None)]);
    read.answer('b');
    assert_eq!(read.data(), Toy::with(V1 | V2));
    assert_eq!(read.repairs, vec![('a', Toy::with(V2)), ('b', Toy::with(V1))]);
    assert!(read.over); // c was not needed
}

#[test]
fn after_a_blocking_read_every_later_quorum_sees_what_it_returned_although_the_writer_failed() {
    // The write of v2 reached b alone, and its client was told so.
    let before = ReadOptions { repair: Repair::Before, ..ReadOptions::QUORUM };
    let mut read =
        World::new(abc(), before, [('a', Toy::with(V1)), ('b', Toy::with(V1 | V2)), ('c', Toy::with(V1))]);
    read.answer('a');
    read.answer('b');
    read.answer('b');
    assert_eq!(read.repairs, vec![('a', Toy::with(V2))]);
    assert!(read.reply.is_none()); // not before it is durable there
    read.refuse('a');
    assert_eq!(read.asked[3..], [('c', Wanted::Digest, None)]); // then with somebody else
    read.answer('c');
    read.answer('c');
    assert_eq!(read.repairs[1..], [('c', Toy::with(V2))]);
    assert!(read.reply.is_none());
    read.answer('c');
    assert_eq!(read.data(), Toy::with(V1 | V2));
    for [one, other] in [['a', 'b'], ['a', 'c'], ['b', 'c']] {
        assert_eq!(read.states[&one].united(read.states[&other]), read.data());
    }
}

#[test]
fn a_blocking_read_that_cannot_bring_its_answer_to_a_majority_returns_none() {
    let before = ReadOptions { repair: Repair::Before, ..ReadOptions::ONE };
    let mut read = World::new(abc().believed_down(['b', 'c']), before, [('a', Toy::with(V1))]);
    read.answer('a');
    assert_eq!(read.reply.unwrap().unwrap_err().cause(), Cause::NotRepaired);
}

#[test]
fn what_two_replicas_saw_removed_is_not_found_and_removed_at_the_third() {
    let gone = Toy::with(V1).without(V1);
    let mut read = World::new(abc(), at_once(), [('a', gone), ('b', gone), ('c', Toy::with(V1))]);
    for node in ['a', 'b', 'c'] {
        read.answer(node);
    }
    assert_eq!(read.data().digest(), Digest::NotFound);
    assert_eq!(read.repairs, vec![('c', Toy { live: 0, seen: V1 })]);
    read.answer('c');
    assert_eq!(read.states[&'c'].live, 0);
}

#[test]
fn equal_digests_fetch_no_data_and_write_no_repair() {
    let same = Toy::with(V1);
    for state in [same, Toy::NOTHING] {
        let all = ReadOptions { repair: Repair::Before, ..ReadOptions::ALL };
        let mut read = World::new(abc(), all, [('a', state), ('b', state), ('c', state)]);
        for node in ['b', 'a', 'c'] {
            read.answer(node);
        }
        assert_eq!((read.data(), read.report().copies()), (state, 3));
        let wanted: Vec<Wanted> = read.asked.iter().map(|(_, wanted, _)| *wanted).collect();
        assert_eq!(wanted, [Wanted::Whole, Wanted::Digest, Wanted::Digest]);
        assert!(read.repairs.is_empty() && read.over);
    }
}

#[test]
fn two_sides_of_a_partition_meet_no_quorum_although_r_plus_w_exceeds_n_and_both_reports_say_so() {
    // {a, b} | {c, d, e}: the write is strict on the left, the read sloppy on the right.
    let mut write = WriteOp::new(abc().believed_down(['c', 'd', 'e']), WriteOptions::QUORUM, START).unwrap();
    write.acknowledged('a', START);
    write.acknowledged('b', START);
    assert_eq!(write.report().copies(), 2);

    let right = abc().coordinated_by('c').believed_down(['a', 'b']);
    let sloppy = ReadOptions { fallbacks: Fallbacks::Sloppy, ..ReadOptions::QUORUM };
    let mut read = World::new(right.clone(), sloppy, [('c', Toy::NOTHING), ('d', Toy::NOTHING)]);
    assert_eq!(read.asked, vec![('c', Wanted::Whole, None), ('d', Wanted::Digest, Some('a'))]);
    read.answer('c');
    read.answer('d');
    assert_eq!(read.data().digest(), Digest::NotFound); // stale: the write is on the left
    let report = read.report();
    assert_eq!((report.copies(), report.primaries(), report.overlap_with(Level::Quorum)), (2, &['c'][..], 0));
    assert!(report.is_eventual());

    let demanding = ReadOptions { primaries: 2, ..sloppy };
    let refused = World::new(right, demanding, []);
    assert_eq!(refused.reply.unwrap().unwrap_err().cause(), Cause::Impossible);
}

#[test]
fn the_fallback_that_took_the_write_makes_it_visible_and_the_primary_is_repaired() {
    let sloppy = ReadOptions { fallbacks: Fallbacks::Sloppy, ..ReadOptions::QUORUM };
    let states = [('a', Toy::NOTHING), ('d', Toy::with(V1))];
    let mut read = World::new(abc().believed_down(['b', 'c']), sloppy, states);
    for node in ['a', 'd', 'd'] {
        read.answer(node);
    }
    assert_eq!(read.data(), Toy::with(V1));
    assert_eq!(read.report().fallbacks(), [('d', 'b')]);
    assert_eq!(read.repairs, vec![('a', Toy::with(V1))]);
}

#[test]
fn a_silent_replica_is_not_waited_for_one_more_is_asked() {
    let wait = ReadOptions::QUORUM.speculate.unwrap();
    let mut read = World::new(abc(), ReadOptions::QUORUM, ['a', 'b', 'c'].map(|node| (node, Toy::with(V1))));
    read.answer('b');
    assert_eq!(read.op.next_deadline(), Some(START + wait));
    read.tick(START + wait); // a was to send the state
    assert_eq!(read.asked[2..], [('b', Wanted::Whole, None)]);
    read.answer('b');
    assert!(read.reply.is_none());
    read.tick(START + wait + wait);
    assert_eq!(read.asked[3..], [('c', Wanted::Digest, None)]);
    read.answer('c');
    assert_eq!(read.report().primaries(), ['b', 'c']);
    assert!(!read.over); // a may be behind, and is still listened to
    read.tick(START + ReadOptions::QUORUM.timeout);
    assert!(read.over);
}

#[test]
fn a_late_answer_that_differs_still_leads_to_repair() {
    let states = [('a', Toy::with(V1)), ('b', Toy::with(V1)), ('c', Toy::with(V2))];
    let options = ReadOptions { speculate: None, ..ReadOptions::QUORUM };
    let mut read = World::new(abc(), options, states);
    read.answer('a');
    read.answer('b');
    assert_eq!((read.data(), read.repairs.len()), (Toy::with(V1), 0));
    read.answer('c'); // its digest
    read.answer('c'); // its state
    assert_eq!(read.asked[3..], [('c', Wanted::Whole, None), ('b', Wanted::Whole, None)]);
    read.answer('b');
    assert_eq!(read.repairs.len(), 3);
    assert!(read.over);
}

#[test]
fn a_removal_that_only_an_agreeing_replica_knows_is_not_overlooked() {
    // a and b show the same, but b saw V2 removed, which c still has.
    let states = [('a', Toy::with(V1)), ('b', Toy::with(V1 | V2).without(V2)), ('c', Toy::with(V1 | V2))];
    let mut read = World::new(abc(), ReadOptions::ALL, states);
    for node in ['a', 'b', 'c', 'c', 'b'] {
        assert!(read.reply.is_none());
        read.answer(node);
    }
    assert_eq!(read.data().live, V1);
    assert_eq!(read.repairs.iter().map(|(node, _)| *node).collect::<Vec<_>>(), ['c']);
}

#[test]
fn while_the_ring_changes_a_read_asks_a_quorum_of_either_set_and_as_few_as_make_both() {
    let joint = Replicas::new(3, ['a', 'b', 'c']).jointly_with(3, ['b', 'c', 'd']);
    let mut read = World::new(joint, ReadOptions::QUORUM, ['b', 'c'].map(|node| (node, Toy::with(V1))));
    read.answer('b');
    read.answer('c');
    assert_eq!((read.report().primaries(), read.over), (&['b', 'c'][..], true));

    let apart = Replicas::new(2, ['a', 'b']).jointly_with(2, ['c', 'd']);
    let states = ['a', 'b', 'c', 'd'].map(|node| (node, Toy::with(V1)));
    let mut read = World::new(apart, ReadOptions::ONE, states);
    read.answer('a');
    assert!(read.reply.is_none());
    read.answer('c');
    assert_eq!((read.data(), read.report().copies()), (Toy::with(V1), 2));
}

#[test]
fn a_read_that_nobody_answers_fails_when_its_time_is_up() {
    let options = ReadOptions { timeout: Duration::from_millis(10), ..ReadOptions::QUORUM };
    let mut read = World::new(abc(), options, []);
    read.tick(START + Duration::from_millis(10));
    assert_eq!(read.reply.as_ref().unwrap().as_ref().unwrap_err().cause(), Cause::Timeout);
    assert!(read.over);
    read.op.whole('a', Toy::with(V1), START);
    read.op.digest('z', Digest::NotFound, START);
    read.drain();
}
