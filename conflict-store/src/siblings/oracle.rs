//! Dotted version vector sets as their authors write them down, and random histories to compare
//! siblings with.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crdt_core::{CausalContext, Crdt, ReplicaId, Writer};
use proptest::collection::vec;
use proptest::prelude::*;

use super::Siblings;

/// Per server how many events it had.
type Vector = BTreeMap<usize, u64>;

/// Per server how many events it had and the values of the newest of them, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
struct DvvSet(BTreeMap<usize, (u64, Vec<u8>)>);

impl DvvSet {
    /// What a reader has seen.
    fn join(&self) -> Vector {
        self.0.iter().map(|(server, (events, _))| (*server, *events)).collect()
    }

    fn sync(&mut self, other: &Self) {
        for (server, theirs) in &other.0 {
            let ours = self.0.entry(*server).or_default();
            *ours = Self::newer(ours, theirs);
        }
    }

    /// Of two lists of one server, the values that neither side has seen replaced.
    fn newer(one: &(u64, Vec<u8>), other: &(u64, Vec<u8>)) -> (u64, Vec<u8>) {
        let (high, low) = if one.0 >= other.0 { (one, other) } else { (other, one) };
        // Everything up to here was replaced, on one side or the other.
        let gone = |(events, values): &(u64, Vec<u8>)| events - values.len() as u64;
        let kept = high.0 - gone(high).max(gone(low));
        (high.0, high.1.iter().take(usize::try_from(kept).unwrap()).copied().collect())
    }

    fn update(&mut self, server: usize, seen: &Vector, value: Option<u8>) {
        self.sync(&Self(seen.iter().map(|(server, events)| (*server, (*events, Vec::new()))).collect()));
        if let Some(value) = value {
            let (events, values) = self.0.entry(server).or_default();
            *events += 1;
            values.insert(0, value);
        }
    }

    /// Every value with the event that brought it, by server and event.
    fn values(&self) -> Vec<(usize, u64, u8)> {
        let dots = self.0.iter().flat_map(|(server, (events, values))| {
            (0..).zip(values).map(move |(back, value)| (*server, events - back, *value))
        });
        let mut dots: Vec<_> = dots.collect();
        dots.sort_unstable();
        dots
    }
}

/// One step of a history of three servers and the clients that read and write at them.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A client reads, and keeps what it saw.
    Read { at: usize },
    /// A client writes, or deletes, with what some client saw at some time; or having seen nothing.
    Write { at: usize, read: Option<usize>, value: Option<u8> },
    /// One server sends its state to another.
    Sync { from: usize, to: usize },
}

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..3_usize;
    let read = proptest::option::weighted(0.8, 0..16_usize);
    let value = proptest::option::weighted(0.8, any::<u8>());
    prop_oneof![
        2 => at().prop_map(|at| Step::Read { at }),
        3 => (at(), read, value).prop_map(|(at, read, value)| Step::Write { at, read, value }),
        2 => (at(), at()).prop_map(|(from, to)| Step::Sync { from, to }),
    ]
}

fn server(index: usize) -> ReplicaId {
    ReplicaId::from_u128(index as u128 + 1)
}

fn same(siblings: &Siblings<u8>, set: &DvvSet) -> Result<(), TestCaseError> {
    let entries: Vec<_> =
        siblings.entries().map(|(dot, value)| (dot.replica, dot.counter(), *value)).collect();
    let expected = set.values().into_iter().map(|(at, event, value)| (server(at), event, value));
    prop_assert_eq!(entries, expected.collect::<Vec<_>>());

    let mut seen = CausalContext::new();
    for (at, events) in set.join() {
        seen.insert_range(server(at), 1..=events);
    }
    prop_assert_eq!(siblings.context(), &seen);
    Ok(())
}

proptest! {
    /// Where contexts come from reads, and so have no gaps, both notations say the same.
    #[test]
    fn siblings_are_a_dotted_version_vector_set(history in vec(arb_step(), 0..60)) {
        let mut ours = [(); 3].map(|()| Siblings::default());
        let mut theirs = [(); 3].map(|()| DvvSet::default());
        let mut reads = Vec::new();
        for step in history {
            match step {
                Step::Read { at } => reads.push((ours[at].context().clone(), theirs[at].join())),
                Step::Write { at, read, value } => {
                    let (seen, vector) = read.and_then(|nth| reads.get(nth).cloned()).unwrap_or_default();
                    let me = Writer::unchecked(server(at));
                    match value {
                        Some(value) => drop(ours[at].write(me, &seen, value).unwrap()),
                        None => drop(ours[at].delete(me, &seen).unwrap()),
                    }
                    theirs[at].update(at, &vector, value);
                }
                Step::Sync { from, to } => {
                    let (sent, set) = (ours[from].clone(), theirs[from].clone());
                    let _ = ours[to].merge(&sent);
                    theirs[to].sync(&set);
                }
            }
            for (siblings, set) in ours.iter().zip(&theirs) {
                same(siblings, set)?;
            }
        }
    }
}
