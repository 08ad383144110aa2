//! A photograph shows what was held when it was taken, whatever happens to the keys afterwards.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crdt_core::{Hlc, LwwRegister, ReplicaId, Stamp};
use proptest::prelude::*;
use replication_log::Lsn;

use super::ItemKey;
use super::cells::Cells;
use crate::cell::Cell;
use crate::collection::Collection;
use crate::merkle::{ItemSource, KeyHash, Prefix, TreeKey};
use crate::scope::Scope;

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, value: u8 },
    Forget { key: u8 },
    Photograph,
    ForgetPhotograph,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..12, any::<u8>()).prop_map(|(key, value)| Step::Put { key, value }),
        4 => (0_u8..12).prop_map(|key| Step::Forget { key }),
        2 => Just(Step::Photograph),
        1 => Just(Step::ForgetPhotograph),
    ]
}

fn key(number: u8) -> ItemKey {
    ItemKey { collection: Collection::registers("titles").id(), key: [number][..].into() }
}

fn register(value: u8) -> Cell {
    let mut register = LwwRegister::default();
    let stamp = Stamp { time: Hlc::default(), replica: ReplicaId::from_u128(1) };
    register.set(stamp, [value][..].into()).unwrap();
    Cell::Register(register)
}

fn held(cells: &Cells) -> BTreeSet<(KeyHash, u128)> {
    cells.iter().map(|(_, held)| (held.hash, held.digest)).collect()
}

fn shown(cells: &Cells) -> Vec<(KeyHash, u128)> {
    let mut shown = Vec::new();
    cells.for_each_in(Prefix::ALL, &mut |item| shown.push((item.key_hash, item.version)));
    shown
}

proptest! {
    #[test]
    fn a_photograph_shows_what_was_held_when_it_was_taken(steps in prop::collection::vec(step(), 0..60)) {
        let mut cells = Cells::new(&TreeKey::new([7; 16]), 4).unwrap();
        let mut photograph = None;
        for (at, step) in (1..).zip(steps) {
            let lsn = Lsn::new(at);
            match step {
                Step::Put { key: number, value } => cells.put(&key(number), register(value), lsn),
                Step::Forget { key: number } => cells.forget(&key(number), lsn),
                Step::Photograph => {
                    let (_, root) = cells.photograph(&Scope::everything());
                    photograph = Some(held(&cells));
                    prop_assert_eq!(root, cells.root());
                }
                Step::ForgetPhotograph => {
                    cells.forget_photograph();
                    photograph = None;
                }
            }
            let mut shown = shown(&cells);
            let items = shown.len();
            shown.sort_unstable();
            shown.dedup();
            prop_assert_eq!(shown.len(), items, "each key once");
            let expected = photograph.clone().unwrap_or_else(|| held(&cells));
            prop_assert_eq!(shown, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
