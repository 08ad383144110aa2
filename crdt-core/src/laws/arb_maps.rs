//! Maps and counters as three replicas leave them, with deltas that were lost, repeated and reordered.

use core::convert::Infallible;
use core::fmt::Debug;

use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::dotted::Dotted;
use crate::{BoundedCounter, Crdt, GSet, Hlc, LwwMap, OrMap, OrSet, ReplicaId, ResetCounter, Stamp, Writer};

/// What happens to three replicas; `at`, `from` and `to` name one of them.
#[derive(Clone, Debug)]
enum Step<O> {
    Change {
        at: usize,
        change: O,
    },
    /// Any delta made so far: so some arrive late, some often, and some never.
    Deliver {
        delta: usize,
        to: usize,
    },
    Merge {
        from: usize,
        to: usize,
    },
}

/// The states of three replicas after a random history. `change` makes a change and returns its delta, bottom if it
/// was refused.
///
/// ```
/// use crdt_core::laws::{arb_histories, check_laws};
/// use crdt_core::OrSet;
/// use proptest::prelude::*;
///
/// let sets = arb_histories(0_u8..4, |set: &mut OrSet<u8>, me, element| match element {
///     0 => set.clear(),
///     _ => set.add(me, element).unwrap_or_default(),
/// });
/// proptest!(|([a, b, c] in sets)| check_laws(&a, &b, &c)?);
/// ```
pub fn arb_histories<T, O>(
    changes: impl Strategy<Value = O>,
    change: impl Fn(&mut T, Writer<'_>, O) -> T,
) -> impl Strategy<Value = [T; 3]>
where
    T: Crdt + Debug,
    O: Clone + Debug,
{
    let at = || 0..3_usize;
    let step = prop_oneof![
        5 => (at(), changes).prop_map(|(at, change)| Step::Change { at, change }),
        4 => (0..24_usize, at()).prop_map(|(delta, to)| Step::Deliver { delta, to }),
        1 => (at(), at()).prop_map(|(from, to)| Step::Merge { from, to }),
    ];
    vec(step, 0..32).prop_map(move |steps| replay(steps, &change))
}

fn replay<T: Crdt, O>(steps: Vec<Step<O>>, make: impl Fn(&mut T, Writer<'_>, O) -> T) -> [T; 3] {
    let mut replicas = [T::default(), T::default(), T::default()];
    let mut deltas: Vec<T> = Vec::new();
    for step in steps {
        // Whether anything changed is no matter here.
        let _ = match step {
            Step::Change { at, change } => {
                let me = Writer::unchecked(replica(at));
                deltas.push(make(&mut replicas[at], me, change));
                continue;
            }
            Step::Deliver { delta, to } => {
                let Some(delta) = deltas.get(delta) else { continue };
                replicas[to].merge(delta)
            }
            Step::Merge { from, to } => {
                let state = replicas[from].clone();
                replicas[to].merge(&state)
            }
        };
    }
    replicas
}

/// The three of [`arb_histories`], which are three of the four of [`arb_replica`](super::arb_replica).
fn replica(at: usize) -> ReplicaId {
    ReplicaId::from_bytes([[0xaa, 0xbb, 0xcc][at]; 16])
}

/// What to do, under which key, with which element.
fn arb_edit() -> impl Strategy<Value = (u8, u8, u8)> {
    (0_u8..10, 0_u8..3, 0_u8..4)
}

fn edit_set(set: &mut OrSet<u8>, me: Writer<'_>, kind: u8, element: u8) -> OrSet<u8> {
    match kind {
        0..=5 => set.add(me, element).unwrap_or_default(),
        6..=8 => set.remove(&element),
        _ => set.clear(),
    }
}

type Sets = OrMap<u8, OrSet<u8>>;

fn edit_sets(map: &mut Sets, me: Writer<'_>, (kind, key, element): (u8, u8, u8)) -> Sets {
    match kind {
        9 => map.remove(&key),
        8 => {
            let replaced = map.replace(key, |set| set.add(me, element));
            replaced.unwrap_or_default()
        }
        _ => map.update_with(key, |set| edit_set(set, me, kind, element)),
    }
}

/// Three replicas' states of a map of sets.
pub fn arb_or_maps() -> impl Strategy<Value = [OrMap<u8, OrSet<u8>>; 3]> {
    arb_histories(arb_edit(), edit_sets)
}

/// Three replicas' states of a map of maps of sets.
pub fn arb_map_maps() -> impl Strategy<Value = [OrMap<u8, OrMap<u8, OrSet<u8>>>; 3]> {
    arb_histories((0_u8..3, arb_edit()), |map: &mut OrMap<u8, Sets>, me, (outer, edit)| match edit {
        (9, _, 0) => map.clear(),
        (9, _, 1) => map.remove(&outer),
        _ => map.update_with(outer, |inner| edit_sets(inner, me, edit)),
    })
}

fn count(counter: &mut ResetCounter, me: Writer<'_>, kind: u8, amount: u8) -> ResetCounter {
    let delta = match kind {
        0..=4 => counter.increment(me, u64::from(amount / 2)),
        5..=6 => counter.decrement(me, 1),
        7 => counter.add(me, i64::from(amount) - 2),
        _ => Ok(counter.reset()),
    };
    delta.unwrap_or_default()
}

/// Three replicas' states of a counter that is also reset.
pub fn arb_reset_counters() -> impl Strategy<Value = [ResetCounter; 3]> {
    arb_histories(arb_edit(), |counter: &mut ResetCounter, me, (kind, _, amount)| {
        count(counter, me, kind, amount)
    })
}

/// Three replicas' states of a map of counters.
pub fn arb_counter_maps() -> impl Strategy<Value = [OrMap<u8, ResetCounter>; 3]> {
    arb_histories(arb_edit(), |map: &mut OrMap<u8, ResetCounter>, me, (kind, key, amount)| match kind {
        9 => map.remove(&key),
        _ => map.update_with(key, |counter| count(counter, me, kind, amount)),
    })
}

/// Three replicas' states of a map of grow-only sets, which are removed as whole values.
pub fn arb_dotted_maps() -> impl Strategy<Value = [OrMap<u8, Dotted<GSet<u8>>>; 3]> {
    arb_histories(arb_edit(), |map: &mut OrMap<u8, Dotted<GSet<u8>>>, me, (kind, key, element)| match kind {
        9 => map.remove(&key),
        8 => map.update(key, |set| Ok::<_, Infallible>(set.clear())).unwrap_or_default(),
        _ => map.update(key, |set| set.update(me, |set| drop(set.insert(element)))).unwrap_or_default(),
    })
}

/// Three replicas' states of a map of plain values. Few stamps, so that many writes are refused.
pub fn arb_lww_maps() -> impl Strategy<Value = [LwwMap<u8, u8>; 3]> {
    let write = (0_u64..6, 0_u8..3, proptest::option::of(0_u8..3));
    arb_histories(write, |map: &mut LwwMap<u8, u8>, me, (millis, key, value)| {
        let stamp = Stamp { time: Hlc::new(millis, 0), replica: me.id() };
        let written = match value {
            Some(value) => map.set(stamp, key, value),
            None => map.remove(stamp, &key),
        };
        written.unwrap_or_default()
    })
}

/// Three replicas' states of a counter that never goes below zero.
pub fn arb_bounded_counters() -> impl Strategy<Value = [BoundedCounter; 3]> {
    arb_histories((0_u8..6, 0..3_usize, 0_u64..4), |counter: &mut BoundedCounter, me, (kind, to, amount)| {
        match kind {
            0..=1 => counter.increment(me, amount).unwrap_or_default(),
            2..=3 => counter.decrement(me, amount).unwrap_or_default(),
            _ => counter.transfer(me, replica(to), amount).unwrap_or_default(),
        }
    })
}
