//! Histories of registers, flags and sets: what three replicas can get to while messages go astray.

use core::fmt::Debug;

use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{
    DeltaCrdt, DwFlag, EwFlag, MaxRegister, MinRegister, MvRegister, ReplicaId, RwSet, TwoPhaseSet, Writer,
};

/// One thing that happens to one of three replicas, named by their places.
#[derive(Clone, Debug)]
enum Step<A> {
    /// The replica does something itself.
    Act { at: usize, action: A },
    /// Any delta made so far arrives, also late, once more, or before older ones; some never do.
    Delta { to: usize, nth: usize },
    /// One part of another replica's state arrives, the rest of the message being lost.
    Part { to: usize, from: usize, nth: usize },
    /// All of another replica's state arrives.
    State { to: usize, from: usize },
}

/// The states of three replicas after a random history, for a type of your own.
///
/// `act` does what an action says to a state, in the name of the writer, and returns the delta. Between the
/// actions deltas, parts of states and whole states arrive: late, repeatedly, out of order, or never. The
/// replicas have the ids `aa..`, `bb..` and `cc..`, the first three of [`arb_replica`](super::arb_replica).
///
/// ```
/// use crdt_core::laws::{arb_replicas, check_delta_laws, check_laws};
/// use crdt_core::{DotsExhausted, OrSet};
/// use proptest::prelude::*;
///
/// let adds_and_removals = (any::<bool>(), 0..4_u8);
/// let sets = arb_replicas(adds_and_removals, |set: &mut OrSet<u8>, me, (add, element)| {
///     if add { set.add(me, element).unwrap_or_default() } else { set.remove(&element) }
/// });
/// proptest!(|([a, b, c] in sets)| {
///     check_laws(&a, &b, &c)?;
///     check_delta_laws(&a, &b, &c)?;
/// });
/// ```
pub fn arb_replicas<T, A>(
    actions: impl Strategy<Value = A>,
    act: impl Fn(&mut T, Writer<'_>, A) -> T,
) -> impl Strategy<Value = [T; 3]>
where
    T: DeltaCrdt + Debug,
    A: Clone + Debug,
{
    let at = || 0..3_usize;
    let step = prop_oneof![
        5 => (at(), actions).prop_map(|(at, action)| Step::Act { at, action }),
        4 => (at(), 0..24_usize).prop_map(|(to, nth)| Step::Delta { to, nth }),
        1 => (at(), at(), 0..8_usize).prop_map(|(to, from, nth)| Step::Part { to, from, nth }),
        1 => (at(), at()).prop_map(|(to, from)| Step::State { to, from }),
    ];
    vec(step, 0..32).prop_map(move |history| replay(history, &act))
}

fn replay<T: DeltaCrdt, A>(history: Vec<Step<A>>, act: &impl Fn(&mut T, Writer<'_>, A) -> T) -> [T; 3] {
    let mut states: [T; 3] = Default::default();
    let mut deltas = Vec::new();
    for step in history {
        let (to, news) = match step {
            Step::Act { at, action } => {
                let me = Writer::unchecked(ReplicaId::from_bytes([[0xaa, 0xbb, 0xcc][at]; 16]));
                deltas.push(act(&mut states[at], me, action));
                continue;
            }
            Step::Delta { to, nth } => (to, deltas.get(nth).cloned()),
            Step::Part { to, from, nth } => (to, states[from].split().into_iter().nth(nth)),
            Step::State { to, from } => (to, Some(states[from].clone())),
        };
        // Old news are news of a history, too.
        let _ = states[to].merge_owned(news.unwrap_or_default());
    }
    states
}

/// Three registers that keep concurrent values, after writes of `values`, merging writes and clears.
///
/// ```
/// use crdt_core::laws::{arb_mv_register, check_laws};
/// use proptest::prelude::*;
///
/// proptest!(|([a, b, c] in arb_mv_register(0..4_u8))| {
///     check_laws(&a, &b, &c)?;
/// });
/// ```
pub fn arb_mv_register<V: Clone + Eq + Debug>(
    values: impl Strategy<Value = V>,
) -> impl Strategy<Value = [MvRegister<V>; 3]> {
    arb_replicas((values, 0..8_u8), |register: &mut MvRegister<V>, me, (value, kind)| match kind {
        0 => register.clear(),
        // One of the siblings wins, as where a user is asked.
        1 => register.set_with(me, |values| values.next().cloned().unwrap_or(value)).unwrap_or_default(),
        _ => register.set(me, value).unwrap_or_default(),
    })
}

/// Three registers of the greatest value, after writes of `values`.
pub fn arb_max_register<V: Ord + Clone + Debug>(
    values: impl Strategy<Value = V>,
) -> impl Strategy<Value = [MaxRegister<V>; 3]> {
    arb_replicas(values, |register: &mut MaxRegister<V>, _, value| register.raise(value))
}

/// Three registers of the least value, after writes of `values`.
pub fn arb_min_register<V: Ord + Clone + Debug>(
    values: impl Strategy<Value = V>,
) -> impl Strategy<Value = [MinRegister<V>; 3]> {
    arb_replicas(values, |register: &mut MinRegister<V>, _, value| register.lower(value))
}

/// Three enable-wins flags.
pub fn arb_ew_flag() -> impl Strategy<Value = [EwFlag; 3]> {
    arb_replicas(
        any::<bool>(),
        |flag: &mut EwFlag, me, enable| {
            if enable { flag.enable(me).unwrap_or_default() } else { flag.disable() }
        },
    )
}

/// Three disable-wins flags.
pub fn arb_dw_flag() -> impl Strategy<Value = [DwFlag; 3]> {
    arb_replicas(
        any::<bool>(),
        |flag: &mut DwFlag, me, enable| {
            if enable { flag.enable() } else { flag.disable(me).unwrap_or_default() }
        },
    )
}

/// Three two-phase sets, after insertions and removals of `elements`.
pub fn arb_two_phase_set<T: Ord + Clone + Debug>(
    elements: impl Strategy<Value = T>,
) -> impl Strategy<Value = [TwoPhaseSet<T>; 3]> {
    arb_replicas(
        (any::<bool>(), elements),
        |set: &mut TwoPhaseSet<T>, _, (insert, element)| {
            if insert { set.insert(element) } else { set.remove(&element) }
        },
    )
}

/// Three remove-wins sets, after adds and removals of `elements`.
pub fn arb_rw_set<T: Ord + Clone + Debug>(
    elements: impl Strategy<Value = T>,
) -> impl Strategy<Value = [RwSet<T>; 3]> {
    arb_replicas((any::<bool>(), elements), |set: &mut RwSet<T>, me, (add, element)| {
        let marked = if add { set.add(me, element) } else { set.remove(me, element) };
        marked.unwrap_or_default()
    })
}
