//! What one replica lacks of another, against all that the other has.

use core::cmp::Ordering;

use crdt_core::{
    BoundedCounter, Change, DwFlag, EwFlag, GCounter, GSet, Limits, LwwMap, LwwRegister, MaxRegister,
    MinRegister, MvRegister, OrMap, OrSet, PnCounter, ResetCounter, RwSet, TwoPhaseSet, codec,
};

use crate::subject::{Subject, writer};

const REPLICAS: usize = 3;

/// Of any two states that replicas reach: a delta since the other's digest, also an old one, does what the whole does,
/// says nothing its sender does not know, and is nothing for an equal. The first byte picks the type.
pub fn a_delta_is_exactly_what_the_receiver_lacks(bytes: &[u8]) {
    let Some((which, steps)) = bytes.split_first() else { return };
    match which % 17 {
        0 => hold::<OrSet<u8>>(steps),
        1 => hold::<MvRegister<u8>>(steps),
        2 => hold::<RwSet<u8>>(steps),
        3 => hold::<EwFlag>(steps),
        4 => hold::<DwFlag>(steps),
        5 => hold::<GCounter>(steps),
        6 => hold::<PnCounter>(steps),
        7 => hold::<GSet<u8>>(steps),
        8 => hold::<TwoPhaseSet<u8>>(steps),
        9 => hold::<LwwRegister<u8>>(steps),
        10 => hold::<MaxRegister<u8>>(steps),
        11 => hold::<MinRegister<u8>>(steps),
        12 => hold::<LwwMap<u8, u8>>(steps),
        13 => hold::<ResetCounter>(steps),
        14 => hold::<OrMap<u8, ResetCounter>>(steps),
        15 => hold::<OrMap<u8, OrMap<u8, OrSet<u8>>>>(steps),
        _ => hold::<BoundedCounter>(steps),
    }
}

fn hold<S: Subject>(steps: &[u8]) {
    let mut states: [S; REPLICAS] = core::array::from_fn(|_| S::default());
    let mut deltas: Vec<S> = Vec::new();
    let mut old: [S; REPLICAS] = core::array::from_fn(|_| S::default());
    for (tick, step) in (0..).zip(steps.chunks_exact(2)) {
        let (at, what) = (usize::from(step[0]) % REPLICAS, step[1]);
        match step[0] / 64 {
            0 | 1 => deltas.push(states[at].change(writer(at), what, tick)),
            2 => {
                if let Some(delta) = deltas.get(usize::from(what)) {
                    let _ = states[at].merge(delta);
                }
            }
            _ if what < 128 => {
                let state = states[usize::from(what) % REPLICAS].clone();
                let _ = states[at].merge(&state);
            }
            _ => old[at] = states[at].clone(),
        }
    }
    for a in &states {
        for (b, old_b) in states.iter().zip(&old) {
            brings_up_to_date(a, b, old_b);
        }
        let whole = a.split().iter().fold(S::default(), S::merged);
        assert_eq!(&whole, a, "parts are the whole");
    }
    if let [.., delta] = deltas.as_slice() {
        brings_up_to_date(&states[0], delta, &S::default());
        brings_up_to_date(delta, &states[0], &old[0]);
    }
}

fn brings_up_to_date<S: Subject>(a: &S, b: &S, old_b: &S) {
    let both = b.clone().merged(a);
    assert_eq!(both, a.clone().merged(b), "commutative");
    let delta = a.delta_since(&b.digest());
    let mut receiver = b.clone();
    let change = receiver.merge(&delta);
    assert_eq!(receiver, both, "complete");
    assert_eq!(change, Change::from(both != *b), "says whether anything changed");
    assert_eq!(change.is_changed(), !delta.is_bottom(), "nothing is sent that is not news");
    assert_eq!(b.clone().merged(&a.delta_since(&old_b.digest())), both, "safe when stale");
    assert!(delta.compare(a).is_some_and(Ordering::is_le), "honest");
    assert!(a.delta_since(&a.digest()).is_bottom(), "exact");

    let order = b.compare(a);
    assert_eq!(order.is_some_and(Ordering::is_le), both == *a);
    assert_eq!(order.is_some_and(Ordering::is_ge), both == *b);
    assert_eq!(order == Some(Ordering::Equal), a.version_digest() == b.version_digest());
    let stranger = crate::subject::id(REPLICAS);
    assert_eq!(
        b.clone().try_merge(a, stranger),
        Ok(Change::from(both != *b)),
        "honest replicas are believed"
    );
    let decoded = codec::from_bytes::<S>(&codec::to_bytes(&delta), &Limits::DEFAULT);
    assert_eq!(decoded.as_ref(), Ok(&delta));
}
