//! Registers, flags and the remove-wins set beside a model that never forgets: every write and every dropped
//! dot ever heard of.

#![cfg(feature = "proptest")]

use core::cmp::Ordering;
use core::fmt::Debug;
use std::collections::{BTreeMap, BTreeSet};

use crdt_core::laws::arb_replicas;
use crdt_core::{
    CausalContext, Change, Crdt, DeltaCrdt, Dot, DwFlag, EwFlag, MvRegister, ReplicaId, RwSet, VersionDigest,
    Writer,
};
use proptest::prelude::*;

/// A write of a value in a place, or the end of what is visible there. What value and place are is up to the
/// type; a flag has one of each.
#[derive(Clone, Copy, Debug)]
struct Action {
    place: u8,
    value: Option<u8>,
}

/// Knowledge only grows here, so merging is union and there is nothing to get wrong.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    written: BTreeMap<Dot, (u8, u8)>,
    dropped: BTreeSet<Dot>,
}

impl Model {
    fn act(&mut self, me: ReplicaId, Action { place, value }: Action) -> Self {
        let here = self.live().filter(|(_, (at, _))| *at == place);
        let mut delta = Self { dropped: here.map(|(dot, _)| dot).collect(), ..Self::default() };
        if let Some(value) = value {
            let seen = self.seen().into_iter().filter(|dot| dot.replica == me);
            let last = seen.map(Dot::counter).max().unwrap_or(0);
            delta.written.extend(Dot::new(me, last + 1).map(|dot| (dot, (place, value))));
        }
        self.merge(&delta);
        delta
    }

    fn live(&self) -> impl Iterator<Item = (Dot, (u8, u8))> {
        self.written.iter().filter(|(dot, _)| !self.dropped.contains(dot)).map(|(dot, what)| (*dot, *what))
    }

    fn seen(&self) -> BTreeSet<Dot> {
        self.written.keys().chain(&self.dropped).copied().collect()
    }

    fn merge(&mut self, other: &Self) {
        self.written.extend(&other.written);
        self.dropped.extend(&other.dropped);
    }

    fn knows_all_of(&self, other: &Self) -> bool {
        self.seen().is_superset(&other.seen()) && self.dropped.is_superset(&other.dropped)
    }
}

/// A type that the model stands for.
trait Modelled: DeltaCrdt + VersionDigest + PartialEq + Debug {
    /// The nearest action that the type has.
    fn fitting(action: Action) -> Action;

    fn act(&mut self, me: Writer<'_>, action: Action) -> Self;

    fn seen(&self) -> &CausalContext;

    /// What it holds, with its reads held against that.
    fn live(&self) -> BTreeMap<Dot, (u8, u8)>;
}

impl Modelled for MvRegister<u8> {
    fn fitting(action: Action) -> Action {
        Action { place: 0, ..action }
    }

    fn act(&mut self, me: Writer<'_>, action: Action) -> Self {
        match action.value {
            Some(value) => self.set(me, value).expect("few dots"),
            None => self.clear(),
        }
    }

    fn seen(&self) -> &CausalContext {
        self.context()
    }

    fn live(&self) -> BTreeMap<Dot, (u8, u8)> {
        assert!(self.values().eq(self.entries().map(|(_, value)| value)));
        assert_eq!((self.len(), self.is_empty()), (self.values().len(), self.values().next().is_none()));
        self.entries().map(|(dot, value)| (dot, (0, *value))).collect()
    }
}

impl Modelled for EwFlag {
    fn fitting(action: Action) -> Action {
        Action { place: 0, value: action.value.map(|_| 0) }
    }

    fn act(&mut self, me: Writer<'_>, action: Action) -> Self {
        match action.value {
            Some(_) => self.enable(me).expect("few dots"),
            None => self.disable(),
        }
    }

    fn seen(&self) -> &CausalContext {
        self.context()
    }

    fn live(&self) -> BTreeMap<Dot, (u8, u8)> {
        assert_eq!(self.is_enabled(), self.store().iter().next().is_some());
        self.store().iter().map(|dot| (dot, (0, 0))).collect()
    }
}

impl Modelled for DwFlag {
    fn fitting(action: Action) -> Action {
        Action { place: 0, value: action.value.map(|_| 0) }
    }

    fn act(&mut self, me: Writer<'_>, action: Action) -> Self {
        match action.value {
            Some(_) => self.disable(me).expect("few dots"),
            None => self.enable(),
        }
    }

    fn seen(&self) -> &CausalContext {
        self.context()
    }

    fn live(&self) -> BTreeMap<Dot, (u8, u8)> {
        assert_eq!(self.is_enabled(), self.store().iter().next().is_none());
        self.store().iter().map(|dot| (dot, (0, 0))).collect()
    }
}

/// Value 0 is a removal, any other an add.
impl Modelled for RwSet<u8> {
    fn fitting(action: Action) -> Action {
        Action { value: Some(action.value.unwrap_or(0).min(1)), ..action }
    }

    fn act(&mut self, me: Writer<'_>, Action { place, value }: Action) -> Self {
        let done = if value == Some(0) { self.remove(me, place) } else { self.add(me, place) };
        done.expect("few dots")
    }

    fn seen(&self) -> &CausalContext {
        self.context()
    }

    fn live(&self) -> BTreeMap<Dot, (u8, u8)> {
        let mut live = BTreeMap::new();
        for (element, marks) in self.store().iter() {
            live.extend(marks.adds().iter().map(|dot| (dot, (*element, 1))));
            live.extend(marks.removals().iter().map(|dot| (dot, (*element, 0))));
        }
        let marked =
            |kind| live.values().filter(move |(_, value)| *value == kind).map(|(element, _)| *element);
        let (added, held_out): (BTreeSet<u8>, BTreeSet<u8>) = (marked(1).collect(), marked(0).collect());
        let present: BTreeSet<u8> = &added - &held_out;
        assert!(self.iter().eq(&present) && self.removed().eq(&held_out));
        assert_eq!((self.len(), self.is_empty()), (present.len(), present.is_empty()));
        assert!((0..4).all(|element| self.contains(&element) == present.contains(&element)));
        live
    }
}

/// A value and its model, which do everything together.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pair<T> {
    value: T,
    model: Model,
}

impl<T: Modelled> Pair<T> {
    fn act(&mut self, me: Writer<'_>, action: Action) -> Self {
        let delta = Self { value: self.value.act(me, action), model: self.model.act(me.id(), action) };
        delta.agree();
        self.agree();
        delta
    }

    fn agree(&self) {
        assert_eq!(self.value.live(), self.model.live().collect());
        assert_eq!(self.value.seen().dots().collect::<BTreeSet<_>>(), self.model.seen());
    }
}

/// So that the histories of the laws replay both.
impl<T: Modelled> Crdt for Pair<T> {
    fn merge(&mut self, other: &Self) -> Change {
        let before = self.model.clone();
        let change = self.value.merge(&other.value);
        self.model.merge(&other.model);
        assert_eq!(change.is_changed(), !before.knows_all_of(&self.model));
        self.agree();
        change
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (other.model.knows_all_of(&self.model), self.model.knows_all_of(&other.model)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }

    fn is_bottom(&self) -> bool {
        self.model.seen().is_empty()
    }
}

/// Parts and deltas of the value, with what the model knows of them.
impl<T: Modelled> DeltaCrdt for Pair<T> {
    type Digest = T::Digest;

    fn digest(&self) -> T::Digest {
        self.value.digest()
    }

    fn delta_since(&self, digest: &T::Digest) -> Self {
        Self::known_by(self.value.delta_since(digest))
    }

    fn split(&self) -> Vec<Self> {
        self.value.split().into_iter().map(Self::known_by).collect()
    }
}

impl<T: Modelled> Pair<T> {
    fn known_by(value: T) -> Self {
        let live = value.live();
        let dropped = value.seen().dots().filter(|dot| !live.contains_key(dot)).collect();
        Self { value, model: Model { written: live, dropped } }
    }
}

fn arb_pairs<T: Modelled>() -> impl Strategy<Value = [Pair<T>; 3]> {
    let action = (0..4_u8, proptest::option::weighted(0.7, 0..3_u8));
    let action = action.prop_map(|(place, value)| Action { place, value });
    arb_replicas(action, |pair: &mut Pair<T>, me, action| pair.act(me, T::fitting(action)))
}

fn check<T: Modelled>(pairs: &[Pair<T>; 3]) -> Result<(), TestCaseError> {
    for a in pairs {
        for b in pairs {
            let order = a.compare(b);
            prop_assert_eq!(a.value.compare(&b.value), order);
            prop_assert_eq!(a.value == b.value, order == Some(Ordering::Equal));
            let same_digest = a.value.version_digest() == b.value.version_digest();
            prop_assert_eq!(same_digest, order == Some(Ordering::Equal));
            let mut informed = b.clone();
            let _ = informed.merge(&a.delta_since(&b.digest()));
            prop_assert_eq!(informed.value, b.value.clone().merged(&a.value));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn the_register_says_what_the_model_says(pairs in arb_pairs::<MvRegister<u8>>()) {
        check(&pairs)?;
    }

    #[test]
    fn the_enable_wins_flag_says_what_the_model_says(pairs in arb_pairs::<EwFlag>()) {
        check(&pairs)?;
    }

    #[test]
    fn the_disable_wins_flag_says_what_the_model_says(pairs in arb_pairs::<DwFlag>()) {
        check(&pairs)?;
    }

    #[test]
    fn the_remove_wins_set_says_what_the_model_says(pairs in arb_pairs::<RwSet<u8>>()) {
        check(&pairs)?;
    }
}
