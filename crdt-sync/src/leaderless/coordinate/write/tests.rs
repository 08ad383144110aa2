//! Stories of writes. The nodes a, b and c are the primaries, d and e the fallbacks.

mod orders;
mod random;
mod watch;

use core::time::Duration;
use std::string::ToString;
use std::vec;

use quorum::Level;

use self::watch::Watched;
use super::*;

const START: Instant = Instant::from_micros(1_000);
const RETRY: Duration = WriteOptions::ONE.retry;

fn abc() -> Replicas<char> {
    Replicas::new(3, ['a', 'b', 'c']).with_fallbacks(['d', 'e']).coordinated_by('a')
}

fn sloppy(primaries: u32) -> WriteOptions {
    WriteOptions { primaries, fallbacks: Fallbacks::Sloppy, ..WriteOptions::QUORUM }
}

#[test]
fn with_two_of_three_primaries_down_fallbacks_make_the_quorum_but_not_two_primaries() {
    let mut write = Watched::new(abc().believed_down(['b', 'c']), sloppy(0));
    assert_eq!(write.asked, vec![('a', None), ('d', Some('b')), ('e', Some('c'))]);
    write.acknowledged('a');
    write.acknowledged('d');
    let report = write.reached();
    assert_eq!((report.copies(), report.primaries(), report.fallbacks()), (2, &['a'][..], &[('d', 'b')][..]));
    assert_eq!(report.overlap_with(Level::Quorum), 0);
    assert!(report.is_eventual());

    let mut demanding = Watched::new(abc().believed_down(['b', 'c']), sloppy(2));
    assert_eq!(demanding.unmet().cause(), Cause::Impossible);
    demanding.acknowledged('a');
    assert_eq!(demanding.op.report().primaries(), ['a']); // 2 demanded, 1 there
    assert!(demanding.unmet().to_string().contains("2 of them primaries"));
}

#[test]
fn a_node_that_stands_at_two_places_of_the_list_is_one_copy() {
    let twice = || Replicas::new(3, ['c', 'd', 'c']);
    let mut write = Watched::new(twice(), WriteOptions::QUORUM);
    write.acknowledged('c');
    write.acknowledged('c');
    assert_eq!(write.reply, None);
    write.acknowledged('d');
    assert_eq!(write.reached().copies(), 2);

    let mut all = Watched::new(twice(), WriteOptions::ALL);
    all.acknowledged('c');
    all.acknowledged('c');
    all.acknowledged('d');
    assert_eq!(all.unmet().cause(), Cause::Impossible);
    assert_eq!(all.op.report().copies(), 2);

    let mut stand_ins = Replicas::new(3, ['a', 'b', 'c']).with_fallbacks(['d', 'd']);
    stand_ins = stand_ins.believed_down(['b', 'c']);
    let mut sloppy = Watched::new(stand_ins, sloppy(0));
    assert_eq!(sloppy.asked, vec![('a', None), ('d', Some('b'))]);
    sloppy.acknowledged('d');
    sloppy.acknowledged('d');
    sloppy.refused('a');
    assert_eq!((sloppy.unmet().report().copies(), &sloppy.hints), (1, &vec!['a', 'c']));
}

#[test]
fn on_the_minority_side_a_strict_write_is_refused_at_once_and_says_what_may_be_left_of_it() {
    let mut write = Watched::new(abc().believed_down(['b', 'c']), WriteOptions::QUORUM);
    assert_eq!(write.asked, vec![('a', None)]);
    assert_eq!(write.unmet().cause(), Cause::Impossible);
    assert!(write.unmet().to_string().contains("may still be there"));
    assert!(write.hints.is_empty()); // it still listens
    write.acknowledged('a');
    assert_eq!(write.hints, ['b', 'c']);
    assert!(write.over);
}

#[test]
fn after_the_reply_it_listens_so_that_no_hint_is_kept_in_vain() {
    let mut write = Watched::new(abc(), WriteOptions::ONE);
    write.acknowledged('a');
    assert_eq!(write.reached().copies(), 1);
    assert!(write.reached().is_eventual());
    write.acknowledged('c');
    assert!(!write.over);
    write.unreachable('b');
    assert!(write.over);
    assert_eq!(write.hints, ['b']);
    assert_eq!(write.asked.len(), 3); // nobody stands in for b any more: the coordinator has a hint of its own
    assert_eq!(write.op.report().primaries(), ['a', 'c']);
}

#[test]
fn a_silent_primary_is_asked_again_and_a_fallback_in_its_place() {
    let mut write = Watched::new(abc(), sloppy(0));
    write.acknowledged('a');
    assert_eq!(write.op.next_deadline(), Some(START + RETRY));
    write.tick(START + RETRY);
    assert_eq!(write.asked[3..], [('b', None), ('d', Some('b')), ('c', None), ('e', Some('c'))]);
    write.acknowledged('e');
    assert_eq!(write.reached().fallbacks(), [('e', 'c')]);
    write.acknowledged('c'); // it was only slow
    write.tick(START + RETRY + RETRY);
    assert_eq!(write.asked[7..], [('b', None), ('d', Some('b'))]);
    write.tick(START + WriteOptions::ONE.timeout);
    assert!(write.over);
    assert_eq!(write.hints, ['b']);
    assert_eq!(write.op.report().failed(), [('b', Failure::Silent), ('d', Failure::Silent)]);
}

#[test]
fn a_fallback_that_refuses_is_replaced_by_the_next() {
    let mut write = Watched::new(abc().believed_down(['b']), sloppy(0));
    assert_eq!(write.asked, vec![('a', None), ('d', Some('b')), ('c', None)]);
    write.refused('d');
    assert_eq!(write.asked[3..], [('e', Some('b'))]);
    write.acknowledged('e');
    write.acknowledged('c');
    write.acknowledged('a');
    assert_eq!(write.reached().copies(), 2);
    assert!(write.hints.is_empty()); // e keeps the one for b
    assert!(write.over);
}

#[test]
fn a_coordinator_that_is_no_primary_is_the_first_fallback() {
    let replicas = abc().coordinated_by('e').believed_down(['a', 'b', 'c']);
    let mut write = Watched::new(replicas, WriteOptions::ONE);
    assert_eq!(write.asked, vec![('e', Some('a')), ('d', Some('b'))]);
    write.acknowledged('e');
    assert_eq!(write.reached().needed_to_meet(), None);
    write.acknowledged('d');
    assert_eq!(write.hints, ['c']);
}

#[test]
fn while_the_ring_changes_either_set_must_reach_its_quorum() {
    let joint = || Replicas::new(3, ['a', 'b', 'c']).jointly_with(3, ['c', 'd', 'e']);
    let mut write = Watched::new(joint(), WriteOptions::QUORUM);
    write.acknowledged('a');
    write.acknowledged('b');
    write.acknowledged('d');
    assert_eq!(write.reply, None); // two of the old ones, one of the new
    write.acknowledged('c'); // counts in both
    assert_eq!((write.reached().copies(), write.reached().needed_to_meet()), (4, Some(2)));

    let mut write = Watched::new(joint(), WriteOptions::QUORUM);
    write.unreachable('d');
    write.unreachable('e');
    assert_eq!(write.unmet().cause(), Cause::Impossible); // whatever the old ones say
}

#[test]
fn a_fallback_counts_only_in_the_ring_of_the_primary_for_which_it_stands() {
    let joint = Replicas::new(2, ['a', 'b']).jointly_with(2, ['b', 'c']).with_fallbacks(['x']);
    let all = WriteOptions { fallbacks: Fallbacks::Sloppy, ..WriteOptions::ALL };
    let mut write = Watched::new(joint.clone().believed_down(['c']), all);
    assert_eq!(write.asked, vec![('b', None), ('a', None), ('x', Some('c'))]);
    write.acknowledged('x');
    write.acknowledged('b');
    assert_eq!(write.reply, None); // the ring to come has two copies, the one that ends has one
    write.acknowledged('a');
    assert_eq!(write.reached().copies(), 3);

    let mut shared = Watched::new(joint.believed_down(['b']), all);
    shared.acknowledged('a');
    shared.acknowledged('c');
    assert_eq!(shared.reply, None);
    shared.acknowledged('x'); // for b, so in both
    assert_eq!(shared.reached().fallbacks(), [('x', 'b')]);
}

#[test]
fn who_was_given_up_and_acknowledges_after_all_counts() {
    let mut write = Watched::new(abc(), WriteOptions::ALL);
    write.unreachable('b');
    assert_eq!(write.unmet().report().failed(), [('b', Failure::Unreachable)]);
    write.acknowledged('b');
    write.acknowledged('a');
    write.acknowledged('c');
    assert!(write.over && write.hints.is_empty());
    assert_eq!(write.op.report().copies(), 3);
}

#[test]
fn what_no_number_of_replicas_can_meet_is_refused_before_anything_is_asked() {
    let refused = |n, options| WriteOp::new(Replicas::new(n, ['a', 'b', 'c']), options, START).unwrap_err();
    let four = WriteOptions { level: "4".parse().unwrap(), ..WriteOptions::ONE };
    assert!(matches!(refused(3, four), OptionsError::Level(_)));
    assert!(matches!(refused(0, WriteOptions::ONE), OptionsError::Level(_)));
    assert!(matches!(refused(2, WriteOptions::ONE), OptionsError::Replicas(_)));
    assert!(matches!(refused(3, sloppy(4)), OptionsError::Primaries(_)));
    let hasty = WriteOptions { timeout: Duration::ZERO, ..WriteOptions::ONE };
    assert_eq!(refused(3, hasty), OptionsError::NoTime);
    let restless = WriteOptions { retry: Duration::ZERO, ..WriteOptions::ONE };
    assert_eq!(refused(3, restless), OptionsError::NoRetry);
}

#[test]
fn who_lost_what_it_acknowledged_counts_no_more_and_is_asked_again() {
    let mut write = WriteOp::new(abc(), WriteOptions::QUORUM, START).unwrap();
    while write.poll().is_some() {}
    write.forgot('b', START); // it has acknowledged nothing yet
    assert_eq!(write.poll(), None);
    write.acknowledged('b', START);
    write.forgot('b', START);
    assert_eq!(write.poll(), Some(WriteAction::Ask { node: 'b', in_place_of: None }));
    write.acknowledged('a', START);
    assert_eq!((write.poll(), write.report().copies()), (None, 1));
    assert_eq!(write.next_deadline(), Some(START + RETRY));
    write.acknowledged('b', START);
    assert!(matches!(write.poll(), Some(WriteAction::Reply(Ok(report))) if report.copies() == 2));
    write.forgot('b', START); // after the reply it is told again, for the hint would be in vain
    assert_eq!(write.poll(), Some(WriteAction::Ask { node: 'b', in_place_of: None }));
}
