//! What retiring replicas must get right: it is a rewrite, agreed on once, that nobody can tell from the values.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::fmt::Debug;

use crdt_core::dotted::{Causal, DotMap, DotSet};
use crdt_core::{
    CausalContext, Crdt, DeltaCrdt, Dot, DwFlag, EwFlag, GCounter, GSet, Hlc, InvalidRetirement, LwwRegister,
    MaxRegister, MinRegister, MvRegister, NotStable, OrSet, PnCounter, ReplicaId, Retire, Retirement, RwSet,
    Stamp, TryMerge, TwoPhaseSet, VersionDigest, stable_cut,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);
const D: ReplicaId = ReplicaId::from_bytes([0xd; 16]);

type Set = OrSet<&'static str>;

/// A type that can be retired, with something to do to it and something to see of it.
trait Subject:
    TryMerge + Retire + DeltaCrdt<Digest: PartialEq + Debug> + VersionDigest + PartialEq + Debug
{
    type Value: PartialEq + Debug;

    /// A change of one of a few kinds, the `tick`-th of all; returns the delta.
    fn change(&mut self, me: ReplicaId, what: u8, tick: u64) -> Self;

    /// What a reader sees.
    fn value(&self) -> Self::Value;
}

/// What must be refused leaves everything as it was.
fn refused<S: Subject>(state: &mut S, retirement: &Retirement) -> NotStable {
    let (before, digest, version) = (state.clone(), state.digest(), state.version_digest());
    let error = state.retire(retirement).unwrap_err();
    assert_eq!(*state, before);
    assert_eq!((state.digest(), state.version_digest()), (digest, version));
    error
}

fn retired<S: Retire + Clone>(state: &S, retirement: &Retirement) -> S {
    let mut state = state.clone();
    state.retire(retirement).unwrap();
    state
}

macro_rules! subject {
    (
        $type:ty, $value:ty,
        |$state:ident, $me:ident, $what:ident, $tick:ident| $change:expr,
        |$read:ident| $see:expr
    ) => {
        impl Subject for $type {
            type Value = $value;

            fn change(&mut self, $me: ReplicaId, $what: u8, $tick: u64) -> Self {
                let $state = self;
                $change
            }

            fn value(&self) -> $value {
                let $read = self;
                $see
            }
        }
    };
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values
}

subject!(
    GCounter,
    u128,
    |counter, me, what, _tick| counter.increment(by(me), what.into()).unwrap(),
    |counter| counter.value()
);
subject!(
    PnCounter,
    i128,
    |counter, me, what, _tick| match what % 2 {
        0 => counter.increment(by(me), what.into()).unwrap(),
        _ => counter.decrement(by(me), what.into()).unwrap(),
    },
    |counter| counter.value()
);
subject!(
    OrSet<u8>,
    Vec<u8>,
    |set, me, what, _tick| match what {
        0..4 => set.add(by(me), what).unwrap(),
        4 => set.add_all(by(me), [0, 1, 2]).unwrap(),
        5..9 => set.remove(&(what - 5)),
        _ => set.clear(),
    },
    |set| sorted(set.iter().copied())
);
subject!(
    RwSet<u8>,
    Vec<u8>,
    |set, me, what, _tick| match what % 2 {
        0 => set.add(by(me), what / 4).unwrap(),
        _ => set.remove(by(me), what / 4).unwrap(),
    },
    |set| set.iter().copied().collect()
);
subject!(
    MvRegister<u8>,
    Vec<u8>,
    |register, me, what, _tick| match what {
        0..8 => register.set(by(me), what).unwrap(),
        _ => register.clear(),
    },
    // Siblings stand in the order of their dots, which is that of the new names then.
    |register| sorted(register.values().copied())
);
subject!(
    EwFlag,
    bool,
    |flag, me, what, _tick| if what < 5 { flag.enable(by(me)).unwrap() } else { flag.disable() },
    |flag| flag.is_enabled()
);
subject!(
    DwFlag,
    bool,
    |flag, me, what, _tick| if what < 5 { flag.disable(by(me)).unwrap() } else { flag.enable() },
    |flag| flag.is_enabled()
);
subject!(
    LwwRegister<u8>,
    Option<u8>,
    |register, me, what, tick| register
        .set(Stamp { time: Hlc::new(tick + 1, 0), replica: me }, what)
        .unwrap(),
    |register| register.get().copied()
);
subject!(GSet<u8>, Vec<u8>, |set, _me, what, _tick| set.insert(what), |set| set.iter().copied().collect());
subject!(
    TwoPhaseSet<u8>,
    Vec<u8>,
    |set, _me, what, _tick| if what < 6 { set.insert(what) } else { set.remove(&(what - 6)) },
    |set| set.iter().copied().collect()
);
subject!(MaxRegister<u8>, Option<u8>, |register, _me, what, _tick| register.raise(what), |register| register
    .get()
    .copied());
subject!(MinRegister<u8>, Option<u8>, |register, _me, what, _tick| register.lower(what), |register| register
    .get()
    .copied());

/// A store in a store, under one context: what maps are made of.
type Nested = Causal<DotMap<u8, DotMap<u8, DotSet>>>;

subject!(
    Nested,
    Vec<(u8, u8)>,
    |map, me, what, _tick| {
        let (key, element) = (what % 2, what / 2 % 3);
        let inner = map.store().get(&key).cloned().unwrap_or_default();
        let old = inner.get(&element).cloned().unwrap_or_default();
        let mut store = DotMap::new();
        if what < 7 {
            let dot = map.context().next_dot(me).unwrap();
            store.insert(key, [(element, DotSet::from(dot))].into_iter().collect());
        }
        let delta = Causal::delta(store, old.iter().collect());
        let _ = map.merge(&delta);
        delta
    },
    |map| map
        .store()
        .iter()
        .flat_map(|(key, inner)| inner.iter().map(|(element, _)| (*key, *element)))
        .collect()
);

#[test]
fn every_type_can_be_retired_and_reads_the_same() {
    fn check<S: Subject>() {
        let mut a = S::default();
        let mut b = S::default();
        for what in 0..10 {
            let tick = u64::from(what) * 2;
            a.change(A, what, tick);
            b.change(if what < 5 { B } else { C }, 9 - what, tick + 1);
        }
        let whole = a.merged(&b);
        let retirement = Retirement::new(1, [A, B].map(|id| (id, whole.changes_of(id)))).unwrap();
        let rewritten = retired(&whole, &retirement);
        assert_eq!(rewritten.value(), whole.value());
        assert_eq!(rewritten.changes_of(C), whole.changes_of(C), "others keep their names");
    }
    check::<GCounter>();
    check::<PnCounter>();
    check::<GSet<u8>>();
    check::<OrSet<u8>>();
    check::<LwwRegister<u8>>();
    check::<MvRegister<u8>>();
    check::<MaxRegister<u8>>();
    check::<MinRegister<u8>>();
    check::<EwFlag>();
    check::<DwFlag>();
    check::<TwoPhaseSet<u8>>();
    check::<RwSet<u8>>();
    check::<Nested>();
}

#[test]
fn many_devices_leave_one_name_behind() {
    let devices: Vec<ReplicaId> = (1..=100).map(ReplicaId::from_u128).collect();
    let mut set = Set::default();
    let mut counter = GCounter::default();
    for device in &devices {
        set.add_all(by(*device), ["milk", "rice"]).unwrap();
        counter.increment(by(*device), 3).unwrap();
    }
    let of = |changes: u128| Retirement::new(1, devices.iter().map(|device| (*device, changes))).unwrap();
    let set = retired(&set, &of(2));
    assert_eq!(set.context().ranges().collect::<Vec<_>>(), [(of(2).archive(), 1..=200)]);
    let counter = retired(&counter, &of(3));
    assert_eq!(counter.entries().collect::<Vec<_>>(), [(of(3).archive(), 300)]);
}

#[test]
fn a_state_that_lacks_a_change_or_knows_one_too_many_is_refused_and_stays_as_it_was() {
    let mut all = Set::default();
    let deltas = ["a", "b", "c"].map(|element| all.add(by(A), element).unwrap());
    let retirement = Retirement::new(1, [(A, 3)]).unwrap();
    let not_stable = |found| NotStable { replica: A, expected: 3, found };

    let mut too_little = deltas[0].clone().merged(&deltas[1]);
    assert_eq!(refused(&mut too_little, &retirement), not_stable(2));
    assert_eq!(refused(&mut Set::default(), &retirement), not_stable(0));

    // It has heard of the last change, and not of all before it.
    let mut gap = deltas[0].clone().merged(&deltas[2]);
    assert_eq!(refused(&mut gap, &retirement), not_stable(1));
    let _ = gap.merge(&deltas[1]);
    assert_eq!(gap.retire(&retirement), Ok(()), "brought up to date it is ready");

    let mut too_much = all.clone();
    too_much.add(by(A), "d").unwrap();
    assert_eq!(refused(&mut too_much, &retirement), not_stable(4));
    let mut beyond = all.clone().merged(&too_much.clone().add(by(A), "e").unwrap());
    assert_eq!(refused(&mut beyond, &retirement), not_stable(5));

    let mut counter = PnCounter::default();
    counter.increment(by(A), 2).unwrap();
    assert_eq!(refused(&mut counter, &retirement), not_stable(2));
    counter.decrement(by(A), 2).unwrap();
    assert_eq!(
        refused(&mut counter, &retirement),
        not_stable(4),
        "the value is the same and the changes are not"
    );
}

impl Subject for Set {
    type Value = Vec<&'static str>;

    fn change(&mut self, me: ReplicaId, _: u8, _: u64) -> Self {
        self.add(by(me), "any").unwrap()
    }

    fn value(&self) -> Vec<&'static str> {
        sorted(self.iter().copied())
    }
}

/// One of several who are to be retired is not ready: none is.
#[test]
fn a_decision_is_carried_out_whole_or_not_at_all() {
    let mut set = Set::default();
    set.add(by(A), "a").unwrap();
    set.add(by(B), "b").unwrap();
    let retirement = Retirement::new(1, [(A, 1), (B, 2)]).unwrap();
    assert_eq!(refused(&mut set, &retirement).replica, B);
    let mut counter = GCounter::from_entries([(A, 1), (B, 1)]);
    assert_eq!(refused(&mut counter, &retirement).replica, B);
}

/// Whoever goes on writing under a retired id is noticed by all who have not rewritten yet.
#[test]
fn a_change_made_after_the_decision_is_in_the_way_of_carrying_it_out() {
    let mut kiosk = Set::default();
    kiosk.add(by(A), "milk").unwrap();
    let retirement = Retirement::new(1, [(A, kiosk.changes_of(A))]).unwrap();
    let late = kiosk.add(by(A), "rice").unwrap();
    let mut member = kiosk.merged(&late);
    assert_eq!(refused(&mut member, &retirement), NotStable { replica: A, expected: 1, found: 2 });
}

#[test]
fn a_rewrite_is_not_done_twice() {
    let mut set = Set::default();
    set.add(by(A), "milk").unwrap();
    let retirement = Retirement::new(1, [(A, 1)]).unwrap();
    let mut set = retired(&set, &retirement);
    assert_eq!(refused(&mut set, &retirement), NotStable { replica: A, expected: 1, found: 0 });
}

/// Nobody writes as the archive. A state that says so is forged, and its changes would get the retired ones' names.
#[test]
fn changes_under_the_name_of_the_archive_are_refused() {
    let retirement = Retirement::new(1, [(A, 1)]).unwrap();
    let mut set = Set::default();
    set.add(by(A), "milk").unwrap();
    set.add(by(retirement.archive()), "forged").unwrap();
    let forged = NotStable { replica: retirement.archive(), expected: 0, found: 1 };
    assert_eq!(refused(&mut set, &retirement), forged);
    let mut counter = GCounter::from_entries([(A, 1), (retirement.archive(), 1)]);
    assert_eq!(refused(&mut counter, &retirement), forged);
}

#[test]
fn an_archive_is_retired_like_anybody_else() {
    let mut a = Set::default();
    a.add_all(by(A), ["milk", "rice"]).unwrap();
    a.add(by(B), "salt").unwrap();
    let mut b = a.clone();
    b.remove("rice");
    b.add(by(C), "tea").unwrap();

    let first = Retirement::new(1, [(A, 2)]).unwrap();
    let second = Retirement::new(2, [(first.archive(), 2), (B, 1)]).unwrap();
    let both = |state: &Set| retired(&retired(state, &first), &second);
    let (mut c, d) = (both(&a), both(&b));
    assert_eq!((c.value(), d.value()), (a.value(), b.value()));
    assert_eq!(c.changes_of(second.archive()), 3);
    assert_eq!(c.changes_of(first.archive()), 0);

    // What was removed under the first name is found under the third.
    let _ = c.merge(&d);
    assert_eq!(c.value(), ["milk", "salt", "tea"]);
    assert_eq!(c, both(&a.merged(&b)));

    let counter = GCounter::from_entries([(A, 2), (B, 1), (C, 9)]);
    let counter = retired(&retired(&counter, &first), &second);
    assert_eq!(counter, GCounter::from_entries([(second.archive(), 3), (C, 9)]));
}

#[test]
fn what_all_have_seen_says_who_is_ready() {
    let (mut a, mut b) = (Set::default(), Set::default());
    let deltas = ["milk", "rice"].map(|element| a.add(by(A), element).unwrap());
    let _ = b.merge(&deltas[0]);
    let cut = stable_cut([a.context(), b.context()]);
    let decision = |cut: &CausalContext| Retirement::new(1, [(A, cut.contiguous(A).into())]).unwrap();

    // Whoever is retired must have stopped: here it went on, and its own state is beyond the decision.
    assert!(b.clone().retire(&decision(&cut)).is_ok());
    assert_eq!(refused(&mut a, &decision(&cut)).found, 2);

    let _ = b.merge(&deltas[1]);
    let cut = stable_cut([a.context(), b.context()]);
    let (mut a, b) = (retired(&a, &decision(&cut)), retired(&b, &decision(&cut)));
    assert_eq!(a, b);
    assert_eq!(stable_cut([]), CausalContext::new());
    a.add(by(D), "tea").unwrap();
    assert_eq!(stable_cut([a.context(), b.context()]), *b.context());
}

#[test]
fn a_decision_must_be_one() {
    assert_eq!(Retirement::new(0, [(A, 1)]), Err(InvalidRetirement::BaselineZero));
    let too_many = [(A, u128::from(u64::MAX)), (B, 1)];
    assert_eq!(Retirement::new(1, too_many), Err(InvalidRetirement::TooManyChanges));
    assert_eq!(Retirement::new(1, [(A, 1 << 64)]), Err(InvalidRetirement::TooManyChanges));

    let retirement = Retirement::new(1, [(B, 2), (A, 0), (B, 1), (C, 5)]).unwrap();
    assert_eq!(retirement.retired().collect::<Vec<_>>(), [(B, 2), (C, 5)]);
    assert!(retirement.includes(C) && !retirement.includes(A));
    let same = Retirement::new(1, [(C, 5), (B, 2)]).unwrap();
    assert_eq!(same, retirement, "all members find the same archive");
    assert_ne!(Retirement::new(2, [(C, 5), (B, 2)]).unwrap().archive(), retirement.archive());
    assert_ne!(Retirement::new(1, [(C, 5), (B, 3)]).unwrap().archive(), retirement.archive());

    let dot = |replica, counter| Dot::new(replica, counter).unwrap();
    assert_eq!(retirement.rename(dot(B, 2)), dot(retirement.archive(), 2));
    assert_eq!(retirement.rename(dot(C, 1)), dot(retirement.archive(), 3));
    assert_eq!(retirement.rename(dot(C, 6)), dot(C, 6), "beyond the decision");
    assert_eq!(retirement.rename(dot(A, 1)), dot(A, 1));
}

#[test]
fn nobody_retired_is_nothing_done() {
    let mut set = Set::default();
    set.add(by(A), "milk").unwrap();
    let retirement = Retirement::new(1, []).unwrap();
    assert_eq!(retired(&set, &retirement), set);
    assert_eq!(retired(&Set::default(), &retirement), Set::default());
}

/// All there is to count up to, in two names.
#[test]
fn the_last_number_is_given_and_nothing_wraps() {
    let counter = GCounter::from_entries([(A, u64::MAX - 1), (B, 1), (C, u64::MAX)]);
    let retirement = Retirement::new(1, [(A, u128::from(u64::MAX) - 1), (B, 1)]).unwrap();
    let rewritten = retired(&counter, &retirement);
    assert_eq!(rewritten.entry(retirement.archive()), u64::MAX);
    assert_eq!(rewritten.value(), counter.value());

    let mut context = CausalContext::new();
    context.insert_range(A, 1..=u64::MAX - 1);
    context.insert_range(B, 1..=1);
    let live = DotSet::from_iter([Dot::new(A, u64::MAX - 1), Dot::new(B, 1)].map(Option::unwrap));
    let flag: EwFlag = Causal::from_parts(live, context).unwrap().into();
    let rewritten = retired(&flag, &retirement);
    assert_eq!(rewritten.context().ranges().collect::<Vec<_>>(), [(retirement.archive(), 1..=u64::MAX)]);
    assert_eq!(rewritten.store().len(), 2);
}

#[cfg(feature = "proptest")]
mod over_histories {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const WRITERS: [ReplicaId; 4] = [A, B, C, D];
    /// Those of the four who stay, by index.
    const STAY: [usize; 2] = [2, 3];

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Change(usize, u8),
        Deliver(usize, usize),
        Merge(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let at = || 0_usize..4;
        prop_oneof![
            4 => (at(), 0_u8..10).prop_map(|(at, what)| Step::Change(at, what)),
            2 => (0_usize..16, at()).prop_map(|(delta, to)| Step::Deliver(delta, to)),
            1 => (at(), at()).prop_map(|(from, to)| Step::Merge(from, to)),
        ]
    }

    /// What the two who stay do around the rewrite; each of them rewrites when its turn comes.
    #[derive(Clone, Copy, Debug)]
    enum After {
        Change(usize, u8),
        Rewrite(usize),
        /// One tells the other all, if both are at the same baseline.
        Tell(usize),
    }

    fn after() -> impl Strategy<Value = After> {
        let at = || 0_usize..2;
        prop_oneof![
            5 => (at(), 0_u8..10).prop_map(|(at, what)| After::Change(at, what)),
            1 => at().prop_map(After::Rewrite),
            2 => at().prop_map(After::Tell),
        ]
    }

    fn history<S: Subject>(steps: &[Step]) -> [S; 4] {
        let mut states: [S; 4] = core::array::from_fn(|_| S::default());
        let mut deltas = Vec::new();
        for (tick, step) in (0..).zip(steps) {
            match *step {
                Step::Change(at, what) => deltas.push(states[at].change(WRITERS[at], what, tick)),
                Step::Deliver(delta, to) => {
                    if let Some(delta) = deltas.get(delta) {
                        let _ = states[to].merge(delta);
                    }
                }
                Step::Merge(from, to) => {
                    let state = states[from].clone();
                    let _ = states[to].merge(&state);
                }
            }
        }
        states
    }

    /// A and B are retired after all they did.
    fn decision<S: Subject>(whole: &S) -> Retirement {
        Retirement::new(1, [A, B].map(|id| (id, whole.changes_of(id)))).unwrap()
    }

    /// States that are not all up to date: those that are ready commute, the others stay as they were.
    fn any_states<S: Subject>(steps: &[Step]) {
        let states = history::<S>(steps);
        let whole = states.iter().fold(S::default(), S::merged);
        let retirement = decision(&whole);
        let mut ready = Vec::new();
        for state in &states {
            let mut rewritten = state.clone();
            match rewritten.retire(&retirement) {
                Ok(()) => {
                    assert_eq!(rewritten.value(), state.value());
                    ready.push((state, rewritten));
                }
                Err(error) => {
                    assert_eq!(&rewritten, state);
                    assert!(error.found < error.expected, "nobody knows more than all together");
                }
            }
        }
        for (a, rewritten_a) in &ready {
            for (b, rewritten_b) in &ready {
                let both = retired(&(*a).clone().merged(b), &retirement);
                assert_eq!(rewritten_a.clone().merged(rewritten_b), both);
                assert_eq!(rewritten_a.compare(rewritten_b), a.compare(b));
            }
        }
        let rewritten = retired(&whole, &retirement);
        assert_eq!(rewritten.value(), whole.value());
        if let Ok(again) =
            Retirement::new(2, [retirement.archive(), C].map(|id| (id, rewritten.changes_of(id))))
        {
            let twice = retired(&rewritten, &again);
            assert_eq!(twice.value(), whole.value());
            assert!(twice.split().iter().fold(S::default(), S::merged) == twice);
        }
    }

    /// Two members that have all of A and B, with twins that never rewrite.
    fn members_at_different_times<S: Subject>(steps: &[Step], later: &[After]) {
        let whole = history::<S>(steps).iter().fold(S::default(), S::merged);
        let retirement = decision(&whole);
        let mut members = [(whole.clone(), false), (whole.clone(), false)];
        let mut twins = [whole.clone(), whole];
        for (tick, step) in (1_000..).zip(later) {
            match *step {
                After::Change(at, what) => {
                    let me = WRITERS[STAY[at]];
                    members[at].0.change(me, what, tick);
                    twins[at].change(me, what, tick);
                }
                After::Rewrite(at) => rewrite(&mut members[at], &retirement),
                After::Tell(from) if members[0].1 == members[1].1 => {
                    let (state, _) = members[from].clone();
                    let change = members[1 - from].0.merge(&state);
                    let twin = twins[from].clone();
                    assert_eq!(twins[1 - from].merge(&twin), change);
                }
                After::Tell(_) => {}
            }
            for ((member, _), twin) in members.iter().zip(&twins) {
                assert_eq!(member.value(), twin.value());
            }
        }
        for member in &mut members {
            rewrite(member, &retirement);
        }
        let [(a, _), (b, _)] = members;
        let [twin_a, twin_b] = twins;
        let both = a.clone().merged(&b);
        assert_eq!(both, b.merged(&a));
        assert_eq!(both, retired(&twin_a.merged(&twin_b), &retirement));
    }

    fn rewrite<S: Retire>((state, done): &mut (S, bool), retirement: &Retirement) {
        if !*done {
            state.retire(retirement).unwrap();
            *done = true;
        }
    }

    macro_rules! properties {
        ($($name:ident: $type:ty),* $(,)?) => {$(
            proptest! {
                #[test]
                fn $name(steps in vec(step(), 0..40), later in vec(after(), 0..24)) {
                    any_states::<$type>(&steps);
                    members_at_different_times::<$type>(&steps, &later);
                }
            }
        )*};
    }

    properties!(
        g_counters_rewrite_as_they_merge: GCounter,
        pn_counters_rewrite_as_they_merge: PnCounter,
        g_sets_rewrite_as_they_merge: GSet<u8>,
        or_sets_rewrite_as_they_merge: OrSet<u8>,
        lww_registers_rewrite_as_they_merge: LwwRegister<u8>,
        mv_registers_rewrite_as_they_merge: MvRegister<u8>,
        max_registers_rewrite_as_they_merge: MaxRegister<u8>,
        min_registers_rewrite_as_they_merge: MinRegister<u8>,
        ew_flags_rewrite_as_they_merge: EwFlag,
        dw_flags_rewrite_as_they_merge: DwFlag,
        two_phase_sets_rewrite_as_they_merge: TwoPhaseSet<u8>,
        rw_sets_rewrite_as_they_merge: RwSet<u8>,
        stores_in_stores_rewrite_as_they_merge: Nested,
    );
}
