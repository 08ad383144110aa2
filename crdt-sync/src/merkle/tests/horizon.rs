//! Tombstones and expired items that one side has dropped and the other has not.

use alloc::vec::Vec;

use super::support::{Replica, Run};
use crate::merkle::session::{Outcome, Session};
use crate::merkle::{Item, ItemSource, Limits, Prefix, ProtocolError};

/// Rows whose version says when they were deleted; a row from before the horizon may be dropped.
struct Dated(Replica);

impl Dated {
    fn new(keys: impl Iterator<Item = u64>) -> Self {
        Self(Replica::of(8, keys.map(|key| (key, u128::from(key)))))
    }
}

impl ItemSource for Dated {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        self.0.for_each_in(part, f);
    }

    fn for_each_below(&self, horizon: u64, f: &mut dyn FnMut(Item)) -> bool {
        self.0.for_each_in(Prefix::ALL, &mut |item| {
            if item.version < u128::from(horizon) {
                f(item);
            }
        });
        true
    }
}

/// A tree, its horizon, and its items.
type Side<'a> = (&'a mut Replica, u64, &'a dyn ItemSource);

/// A session between two sides to its end.
fn run(a: &mut Side<'_>, b: &mut Side<'_>) -> [Session; 2] {
    let limits = Limits::default();
    let mut initiator = Session::initiate(a.0.tree.snapshot(), [1; 16], limits).at_horizon(a.1);
    let mut acceptor = Session::accept(b.0.tree.snapshot(), [2; 16], limits).at_horizon(b.1);
    for _ in 0..100 {
        if let Some(frame) = initiator.poll_frame() {
            let _ = acceptor.handle(&frame, b.2);
        } else if let Some(frame) = acceptor.poll_frame() {
            let _ = initiator.handle(&frame, a.2);
        } else {
            return [initiator, acceptor];
        }
    }
    panic!("the session does not end");
}

fn between(a: &Dated, a_horizon: u64, b: &Dated, b_horizon: u64) -> [Session; 2] {
    let [mut a_tree, mut b_tree] = [a, b].map(|side| Replica::of(8, side.0.items()));
    run(&mut (&mut a_tree, a_horizon, a), &mut (&mut b_tree, b_horizon, b))
}

fn send(session: &Session) -> &[u64] {
    match session.outcome() {
        Some(Outcome::Differs(difference)) => &difference.send,
        Some(Outcome::Converged) => &[],
        Some(Outcome::SendAll) => panic!("the peer holds nothing"),
        None => panic!("{:?}", session.error()),
    }
}

#[test]
fn a_dropped_tombstone_does_not_come_back() {
    let (dropped, kept) = (Dated::new(500..1_000), Dated::new(0..1_000));
    for [one, other] in [between(&dropped, 500, &kept, 0), between(&kept, 0, &dropped, 500)] {
        assert_eq!((one.outcome(), other.outcome()), (Some(&Outcome::Converged), Some(&Outcome::Converged)));
    }
}

#[test]
fn above_the_later_horizon_everything_is_compared() {
    let (dropped, kept) = (Dated::new(500..990), Dated::new((0..1_000).filter(|key| *key != 700)));
    for sides in [between(&dropped, 500, &kept, 100), between(&kept, 100, &dropped, 500)] {
        let mut found = sides.each_ref().map(send);
        found.sort_unstable();
        let missing: [u64; 10] = core::array::from_fn(|at| 990 + at as u64);
        assert_eq!(found, [&[700][..], &missing[..]]);
    }
}

/// A side whose items all lie below the later horizon has nothing to say.
#[test]
fn a_side_may_have_nothing_above_the_later_horizon() {
    let (new, old) = (Dated::new(500..600), Dated::new(0..400));
    for ([one, other], sender) in [(between(&new, 500, &old, 0), 0), (between(&old, 0, &new, 500), 1)] {
        assert_eq!([&one, &other][sender].outcome(), Some(&Outcome::SendAll));
        assert_eq!(all([&one, &other][sender], &new), (500..600).collect::<Vec<_>>());
        assert_eq!(send([&other, &one][sender]), []);
    }
}

/// All that is sent to a side that holds nothing is what lies above its horizon.
#[test]
fn an_empty_side_gets_what_lies_above_its_horizon() {
    let (nothing, kept) = (Dated::new(0..0), Dated::new(0..600));
    for ([one, other], sender) in
        [(between(&nothing, 500, &kept, 0), 1), (between(&kept, 0, &nothing, 500), 0)]
    {
        assert_eq!(all([&one, &other][sender], &kept), (500..600).collect::<Vec<_>>());
        let Some(Outcome::Differs(found)) = [&other, &one][sender].outcome() else { panic!("nothing found") };
        assert_eq!((found.send.len(), found.receive), (0, 100));
    }
}

/// The items to send, where they are all.
fn all(session: &Session, items: &Dated) -> Vec<u64> {
    let mut all = Vec::new();
    session.for_each_in(Prefix::ALL, items, &mut |item| all.push(item.handle));
    all.sort_unstable();
    all
}

#[test]
fn a_side_that_cannot_tell_is_a_horizon_mismatch_on_both() {
    let mut a = Replica::of(8, (0..100).map(|key| (key, 1)));
    let mut b = Replica::of(8, (50..100).map(|key| (key, 1)));
    let (a_items, b_items) = (Replica::of(8, a.items()), Replica::of(8, b.items()));
    for (ours, theirs) in [(3, 7), (7, 3)] {
        let [one, other] = run(&mut (&mut a, ours, &a_items), &mut (&mut b, theirs, &b_items));
        assert_eq!(one.error(), Some(ProtocolError::HorizonMismatch { ours, theirs }));
        assert_eq!(other.error(), Some(ProtocolError::HorizonMismatch { ours: theirs, theirs: ours }));
    }
    let [one, other] = run(&mut (&mut a, 7, &a_items), &mut (&mut b, 7, &b_items));
    assert_eq!((one.error(), other.error()), (None, None), "equal horizons need no telling");
}

/// Two sides that drop at different times, each after a session: nothing that was dropped is sent.
#[test]
fn tombstones_do_not_travel_back_and_forth() {
    let mut sides = [Dated::new(0..300), Dated::new(0..300)];
    let mut horizons = [0, 0];
    for round in 0..6 {
        let side = round % 2;
        horizons[side] += 60;
        for key in 0..horizons[side] {
            sides[side].0.remove(key);
        }
        let found = between(&sides[0], horizons[0], &sides[1], horizons[1]);
        for session in &found {
            assert_eq!(send(session), [], "round {round}");
        }
    }
}

#[test]
fn a_root_that_nobody_asked_for_is_refused() {
    let (mut a, mut b) = (Replica::of(8, [(1, 1)]), Replica::of(8, [(2, 1)]));
    let mut run = Run::start(&mut a, &mut b, (Limits::default(), Limits::default()));
    run.step(&a, &b).unwrap();
    run.step(&a, &b).unwrap();
    let root = run.forge(false, [&[7, 1][..], &[0]].concat());
    assert_eq!(run.initiator.handle(&root, &a), Err(ProtocolError::Unexpected { tag: 7 }));
}
