//! What others say of forks that cannot be, or of more than is taken in.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::CausalContext;
use replication_log::Lsn;

use super::fork::branch_id;
use super::tests::{Logged, WALL, collections};
use super::*;
use crate::cell::Cell;
use crate::collection::Kind;
use crate::entry::{Chain, Position};
use crate::wire::{Branch, Ceiling, Cut, KnownForks, Run};

const ROOT: ReplicaId = ReplicaId::from_u128(0xa);
const STRANGER: ReplicaId = ReplicaId::from_u128(0xb);

fn position(sequence: u64) -> Position {
    Position { sequence, chain: Chain::START.then(ROOT, 0, &sequence.to_le_bytes()) }
}

fn cut(root: ReplicaId, sequence: u64, within: &[ReplicaId]) -> (Cut, Vec<ReplicaId>) {
    (Cut { after: position(sequence), root }, within.to_vec())
}

fn cuts(cuts: &[(Cut, Vec<ReplicaId>)]) -> KnownForks {
    KnownForks { cuts: cuts.to_vec(), ..KnownForks::default() }
}

/// A branch of a root.
fn branch_of(root: ReplicaId, start: u64) -> (ReplicaId, Branch) {
    let branch = Branch { root, start, chain: position(start + 1).chain };
    (branch_id(root, 0, branch.first()), branch)
}

/// A branch with the cut where it begins.
fn branch(root: ReplicaId, start: u64) -> KnownForks {
    KnownForks { branches: vec![branch_of(root, start)], ..cuts(&[cut(root, start, &[root])]) }
}

/// The same under another name.
fn misnamed(id: ReplicaId, root: ReplicaId, start: u64) -> KnownForks {
    KnownForks { branches: vec![(id, branch_of(root, start).1)], ..branch(root, start) }
}

fn counter() -> ItemKey {
    ItemKey { collection: collections()[2].id(), key: "visits".into() }
}

fn ceiling(segment: ReplicaId, incremented: u64) -> Ceiling {
    let ItemKey { collection, key } = counter();
    Ceiling { collection, key, segment, incremented, decremented: 0 }
}

fn counted(logged: &Logged) -> i128 {
    match logged.replica.partition(0).cells.get(&counter()).map(|held| &held.cell) {
        Some(Cell::Counter(counter)) => counter.value(),
        _ => 0,
    }
}

/// A node that counted, one write after another, and another that has it all.
fn writer_and_reader(amounts: &[u64]) -> (Logged, Logged) {
    let [mut writer, mut reader] = [1, 2].map(Logged::new);
    for amount in amounts {
        let ItemKey { collection, key } = counter();
        writer.act(&Write { collection, key, action: Action::Increment(*amount) });
    }
    reader.catch_up_with(&writer);
    (writer, reader)
}

/// All that the reader holds of the writer from a sequence on.
fn run_of(writer: &Logged, after: u64) -> Run {
    let (origin, partition) = (writer.replica.id, writer.replica.partition(0));
    let history = partition.histories.get(origin).unwrap();
    let entries = history.after(after).unwrap().map(|retained| retained.bytes.clone()).collect();
    Run { partition: 0, origin, after: history.at(after).unwrap(), entries, chain: history.head().chain }
}

#[test]
fn forks_that_cannot_be_are_refused_and_nothing_of_them_is_known() {
    let (writer, mut reader) = writer_and_reader(&[5]);
    let (author, own) = (writer.replica.id, reader.replica.id);
    let (name, _) = branch_of(ROOT, 2);
    let without_its_cut = KnownForks { cuts: Vec::new(), ..branch(ROOT, 2) };
    let mut twice = branch(ROOT, 2);
    let other = Branch { chain: Chain::START, ..branch_of(ROOT, 2).1 };
    twice.branches.push((name, other));
    let impossible = [
        without_its_cut,
        misnamed(author, ROOT, 0),
        misnamed(own, ROOT, 0),
        misnamed(STRANGER, ROOT, 0),
        misnamed(ROOT, ROOT, 2),
        twice,
    ];
    let before = reader.replica.journal.last();
    for claims in impossible {
        let refused = reader.replica.learn_forks(0, &claims);
        assert!(matches!(refused, Err(RunError::ImpossibleFork { .. })), "{refused:?} of {claims:?}");
        assert!(reader.replica.partition(0).forks.known().is_empty());
    }
    assert_eq!(reader.replica.journal.last(), before);
    let beyond =
        KnownForks { branches: vec![(STRANGER, Branch { start: u64::MAX, ..other })], ..branch(ROOT, 2) };
    let refused = reader.replica.learn_forks(0, &beyond);
    assert_eq!(refused, Err(RunError::ImpossibleSequence { sequence: u64::MAX }));
}

/// An identity that was chosen to be the name of a branch.
#[test]
fn a_name_under_which_somebody_writes_is_no_branch() {
    let (name, _) = branch_of(ROOT, 2);
    let [mut met, mut heard] = [2, 3].map(Logged::new);
    let mut membership = crate::membership::Membership::default();
    membership.meet(NodeId::from_u128(9), Some(name));
    let _ = met.replica.members.learn(&membership, |_| Vec::new());
    heard.replica.partition_mut(0).histories.raise(name, position(1));
    for reader in [&mut met, &mut heard] {
        let refused = reader.replica.learn_forks(0, &branch(ROOT, 2));
        assert!(matches!(refused, Err(RunError::ImpossibleFork { .. })));
    }
}

#[test]
fn a_branch_is_not_told_a_second_time_as_another() {
    let mut reader = Logged::new(2);
    reader.replica.learn_forks(0, &branch(ROOT, 2)).unwrap();
    assert_eq!(reader.replica.learn_forks(0, &branch(ROOT, 2)), Ok((false, Vec::new())));
    let (name, _) = branch_of(ROOT, 2);
    for other in [misnamed(name, ROOT, 1), misnamed(name, STRANGER, 2)] {
        let refused = reader.replica.learn_forks(0, &other);
        assert!(matches!(refused, Err(RunError::ImpossibleFork { .. })));
    }
}

/// Whoever hears it before knows no better; it must not take those for liars who name the branch afterwards, nor be
/// taken for one.
#[test]
fn a_cut_through_the_history_of_another_root_is_none_in_whatever_order_it_is_told() {
    let (writer, mut reader) = writer_and_reader(&[5, 3]);
    let author = writer.replica.id;
    let (name, _) = branch_of(ROOT, 2);
    let start = Cut { after: Position::default(), root: ROOT };
    let false_cuts = cuts(&[cut(name, 3, &[name]), (start, vec![author])]);
    let false_ceiling = KnownForks { ceilings: vec![ceiling(author, 0)], ..false_cuts };
    for claims in [&false_ceiling, &branch(ROOT, 2)] {
        reader.replica.learn_forks(0, claims).unwrap();
    }
    let forks = &reader.replica.partition(0).forks;
    assert!(!forks.is_burnt(author) && !forks.is_burnt(name));
    assert_eq!((counted(&reader), reader.replica.partition(0).undivided()), (8, Vec::new()));
    let mut third = Logged::new(3);
    third.replica.learn_forks(0, &forks.known()).unwrap();
    assert_eq!(third.replica.learn_forks(0, &branch(ROOT, 2)), Ok((false, Vec::new())));
}

/// Whoever's name that is: a node that took entries under it could not read its log any more.
#[test]
fn nothing_is_written_under_the_name_of_a_branch() {
    let [mut writer, mut reader] = [1, 2].map(Logged::new);
    let (origin, _) = branch_of(ROOT, 2);
    writer.replica.id = origin;
    let ItemKey { collection, key } = counter();
    writer.act(&Write { collection, key, action: Action::Increment(5) });
    reader.replica.learn_forks(0, &branch(ROOT, 2)).unwrap();
    let refused = reader.replica.apply_run(&run_of(&writer, 0), WALL);
    assert_eq!(refused, Err(RunError::Forked { origin, sequence: 1 }));
    reader.write_log();
    reader.assert_log_tells_the_truth();
}

#[test]
fn a_ceiling_counts_only_where_an_identity_was_cut() {
    let (writer, mut reader) = writer_and_reader(&[5]);
    let origin = writer.replica.id;
    let lone = KnownForks { ceilings: vec![ceiling(origin, 0)], ..KnownForks::default() };
    let beside = KnownForks { ceilings: lone.ceilings.clone(), ..branch(ROOT, 2) };
    assert_eq!(reader.replica.learn_forks(0, &lone), Ok((false, Vec::new())));
    assert_eq!(reader.replica.learn_forks(0, &beside).map(|(changed, _)| changed), Ok(true));
    assert_eq!(counted(&reader), 5);
    assert_eq!(reader.replica.partition(0).forks.known().ceilings, []);

    let end = writer.replica.partition(0).histories.head(origin);
    let cut = cuts(&[(Cut { after: end, root: origin }, vec![origin])]);
    reader.replica.learn_forks(0, &KnownForks { ceilings: vec![ceiling(origin, 4)], ..cut }).unwrap();
    assert_eq!(counted(&reader), 4);
    // In a later word, too.
    let lower = KnownForks { ceilings: vec![ceiling(origin, 3)], ..KnownForks::default() };
    reader.replica.learn_forks(0, &lower).unwrap();
    assert_eq!(counted(&reader), 3);
    reader.write_log();
    reader.assert_log_tells_the_truth();
}

#[test]
fn a_total_that_is_lowered_when_a_state_is_joined_is_a_change() {
    let (writer, _) = writer_and_reader(&[5]);
    let (origin, mut reader) = (writer.replica.id, Logged::new(2));
    let end = writer.replica.partition(0).histories.head(origin);
    let cut = cuts(&[(Cut { after: end, root: origin }, vec![origin])]);
    // Whoever told this cannot have divided anything: the identity counted more up to there.
    reader.replica.learn_forks(0, &KnownForks { ceilings: vec![ceiling(origin, 2)], ..cut }).unwrap();
    reader.catch_up_with(&writer);
    assert_eq!(counted(&reader), 5);
    reader.merge_states_of(&writer, true);
    assert_eq!(counted(&reader), 2);
    reader.assert_log_tells_the_truth();
    let partition = reader.replica.partition_mut(0);
    let cell = partition.cells.get(&counter()).unwrap().cell.clone();
    let root = partition.cells.root();
    partition.cells.put(&counter(), cell, Lsn::new(99));
    assert_eq!(partition.cells.root(), root, "the digest is that of what is held");
    let nothing = CausalContext::new();
    let vacant = (&Cell::vacant(Kind::Counter), &nothing);
    let again = partition.merge_state(&counter(), Kind::Counter, vacant, &nothing, Lsn::ZERO);
    assert!(!again.change.is_changed());
}

#[test]
fn what_is_known_stays_within_its_bounds_however_it_arrives() {
    let too_many = |reader: &Logged| RunError::TooManyForks { limit: reader.replica.config.limits.max_forks };
    let cut_of = |root: u128| cut(ReplicaId::from_u128(root), 1, &[ReplicaId::from_u128(root)]);
    let mut reader = Logged::new(2);
    let tell = |reader: &mut Logged, known: &KnownForks| reader.replica.learn_forks(0, known).map(|_| ());
    reader.replica.config.limits.max_origins = 2;
    for root in [1, 2] {
        assert_eq!(tell(&mut reader, &cuts(&[cut_of(root)])), Ok(()));
    }
    assert_eq!(tell(&mut reader, &cuts(&[cut_of(3)])), Err(too_many(&reader)), "names of all cuts");
    assert_eq!(tell(&mut reader, &cuts(&[cut_of(1), cut_of(1)])), Ok(()), "nothing new");

    let mut reader = Logged::new(2);
    reader.replica.config.limits.max_origins = 1;
    assert_eq!(tell(&mut reader, &branch(ROOT, 2)), Ok(()));
    let second = Branch { chain: Chain::START, ..branch_of(ROOT, 2).1 };
    let second = Vec::from([(branch_id(ROOT, 0, second.first()), second)]);
    let second = KnownForks { branches: second, ..KnownForks::default() };
    assert_eq!(tell(&mut reader, &second), Err(too_many(&reader)), "branches");

    let mut reader = Logged::new(2);
    reader.replica.config.limits.max_context_ranges = 1;
    assert_eq!(tell(&mut reader, &cuts(&[cut_of(1), cut_of(2)])), Ok(()));
    let of = |root: u128| KnownForks {
        ceilings: vec![ceiling(ReplicaId::from_u128(root), 0)],
        ..KnownForks::default()
    };
    assert_eq!(tell(&mut reader, &of(1)), Ok(()));
    assert_eq!(tell(&mut reader, &of(1)), Ok(()));
    assert_eq!(tell(&mut reader, &of(2)), Err(too_many(&reader)), "identities under one key");
}

#[test]
fn a_history_is_not_divided_into_more_than_may_be_known() {
    let (mut writer, _) = writer_and_reader(&[5, 3]);
    let root = writer.replica.id;
    let end = run_of(&writer, 1).after;
    writer.replica.config.limits.max_context_ranges = 0;
    let cut = cuts(&[(Cut { after: end, root }, vec![root])]);
    assert_eq!(writer.replica.learn_forks(0, &cut), Ok((true, Vec::new())));
    assert_eq!(writer.replica.partition(0).undivided().len(), 1);
}

#[test]
fn a_lesson_from_beyond_all_sequences_is_refused() {
    let (writer, mut reader) = writer_and_reader(&[5]);
    let after = Position { sequence: u64::MAX, ..Position::default() };
    let lesson = Run { after, ..run_of(&writer, 0) };
    let refused = reader.replica.take_lesson(0, writer.replica.id, &lesson);
    assert_eq!(refused, Err(RunError::ImpossibleSequence { sequence: u64::MAX }));
}

/// Of many cuts, most of them through other histories, each is noticed wherever a run begins and ends.
#[test]
fn a_run_goes_through_none_of_many_cuts() {
    let (writer, _) = writer_and_reader(&[1; 9]);
    let (origin, whole) = (writer.replica.id, run_of(&writer, 0));
    let history = writer.replica.partition(0).histories.get(origin).unwrap();
    let others = (0..9).map(|sequence| (Cut { after: position(sequence), root: origin }, vec![origin]));
    let others: Vec<_> = others.filter(|(cut, _)| cut.after.sequence > 0).collect();
    for real in [BTreeSet::new(), BTreeSet::from([4]), BTreeSet::from([3, 7])] {
        let through =
            real.iter().map(|at| (Cut { after: history.at(*at).unwrap(), root: origin }, vec![origin]));
        let known = cuts(&others.iter().cloned().chain(through).collect::<Vec<_>>());
        for upto in 1..=9_u64 {
            let mut reader = Logged::new(2);
            reader.replica.learn_forks(0, &known).unwrap();
            let entries = whole.entries[..usize::try_from(upto).unwrap()].to_vec();
            let chain = history.at(upto).unwrap().chain;
            let outcome = reader.replica.apply_run(&Run { entries, chain, ..whole.clone() }, WALL);
            match real.first().filter(|end| **end < upto) {
                Some(&end) => assert_eq!(outcome, Err(RunError::Burnt { origin, end })),
                None => assert_eq!(outcome, Ok(RunOutcome::Applied(usize::try_from(upto).unwrap()))),
            }
        }
    }
}
