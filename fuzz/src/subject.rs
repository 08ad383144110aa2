//! The types of crdt-core, each with something to do to it.

use core::fmt::Debug;

use crdt_core::codec::Encoded;
use crdt_core::{
    BoundedCounter, DeltaCrdt, DwFlag, EwFlag, GCounter, GSet, Hlc, LwwMap, LwwRegister, MaxRegister,
    MinRegister, MvRegister, OrMap, OrSet, PnCounter, ReplicaId, ResetCounter, RwSet, Stamp, TryMerge,
    TwoPhaseSet, VersionDigest, Writer,
};

/// A type that a writer changes in one of 256 ways.
pub(crate) trait Subject: TryMerge + DeltaCrdt + VersionDigest + Encoded + PartialEq + Debug {
    /// The `tick`-th change of all; returns the delta.
    fn change(&mut self, me: Writer<'_>, what: u8, tick: u64) -> Self;
}

/// Replicas are few, and numbered.
pub(crate) fn id(number: usize) -> ReplicaId {
    ReplicaId::from_u128(number as u128 + 1)
}

pub(crate) fn writer(number: usize) -> Writer<'static> {
    Writer::unchecked(id(number))
}

macro_rules! subject {
    ($type:ty, |$state:ident, $me:ident, $what:ident, $tick:ident| $change:expr) => {
        impl Subject for $type {
            fn change(&mut self, $me: Writer<'_>, $what: u8, $tick: u64) -> Self {
                let $state = self;
                $change
            }
        }
    };
}

const SPACE: &str = "few changes are made here";

subject!(GCounter, |counter, me, what, _tick| counter.increment(me, what.into()).expect(SPACE));
subject!(PnCounter, |counter, me, what, _tick| match what % 2 {
    0 => counter.increment(me, what.into()).expect(SPACE),
    _ => counter.decrement(me, what.into()).expect(SPACE),
});
subject!(OrSet<u8>, |set, me, what, _tick| match what {
    // Long runs fill pages, few elements make siblings.
    0..=15 => set.add_all(me, what..what * 16).expect(SPACE),
    16..=150 => set.add(me, what % 16).expect(SPACE),
    151..=250 => set.remove(&(what % 16)),
    _ => set.clear(),
});
subject!(RwSet<u8>, |set, me, what, _tick| match what % 3 {
    0 => set.add(me, what % 8).expect(SPACE),
    1 => set.remove(me, what % 8).expect(SPACE),
    _ => {
        let seen = set.context().clone();
        if what > 240 { set.forget_stable(&seen) } else { set.add(me, what).expect(SPACE) }
    }
});
subject!(MvRegister<u8>, |register, me, what, _tick| match what {
    0..=200 => register.set(me, what).expect(SPACE),
    _ => register.clear(),
});
subject!(EwFlag, |flag, me, what, _tick| if what < 128 {
    flag.enable(me).expect(SPACE)
} else {
    flag.disable()
});
subject!(DwFlag, |flag, me, what, _tick| if what < 128 {
    flag.disable(me).expect(SPACE)
} else {
    flag.enable()
});
subject!(LwwRegister<u8>, |register, me, what, tick| {
    let stamp = Stamp { time: Hlc::new(tick + 1, 0), replica: me.id() };
    let written = if what > 200 { register.clear(stamp) } else { register.set(stamp, what) };
    written.expect("ticks ascend")
});
subject!(GSet<u8>, |set, _me, what, _tick| set.insert(what));
subject!(TwoPhaseSet<u8>, |set, _me, what, _tick| match what % 3 {
    0 => set.remove(&(what / 12)),
    _ => set.insert(what / 12),
});
subject!(MaxRegister<u8>, |register, _me, what, _tick| register.raise(what));
subject!(MinRegister<u8>, |register, _me, what, _tick| register.lower(what));
subject!(LwwMap<u8, u8>, |map, me, what, tick| {
    let (stamp, key) = (Stamp { time: Hlc::new(tick + 1, 0), replica: me.id() }, what % 4);
    let written = if what > 200 { map.remove(stamp, &key) } else { map.set(stamp, key, what) };
    written.expect("ticks ascend")
});
subject!(ResetCounter, |counter, me, what, _tick| match what {
    // Equal amounts make runs.
    0..=100 => counter.increment(me, 1).expect(SPACE),
    101..=230 => counter.add(me, i64::from(what % 7) - 3).expect(SPACE),
    _ => counter.reset(),
});
subject!(OrMap<u8, ResetCounter>, |map, me, what, _tick| match what % 8 {
    0 => map.remove(&(what / 64)),
    _ => map.update(what / 64, |counter| counter.add(me, i64::from(what % 5) - 2)).expect(SPACE),
});
subject!(OrMap<u8, OrMap<u8, OrSet<u8>>>, |map, me, what, _tick| match what % 8 {
    0 => map.remove(&(what / 128)),
    1 => map.update_with(what / 128, |inner| inner.remove(&(what / 64))),
    2 => map.update_with(what / 128, |inner| inner.update_with(what / 64, OrSet::clear)),
    _ => map.update(what / 128, |inner| inner.update(what / 64, |set| set.add(me, what % 16))).expect(SPACE),
});
subject!(BoundedCounter, |counter, me, what, _tick| match what % 4 {
    0 | 1 => counter.increment(me, u64::from(what)).expect(SPACE),
    // Refusals are part of its life.
    2 => counter.decrement(me, u64::from(what)).unwrap_or_default(),
    _ => counter.transfer(me, id(usize::from(what) % 3), u64::from(what / 2)).unwrap_or_default(),
});
