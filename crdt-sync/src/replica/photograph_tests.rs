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
use crate::merkle::{Item, ItemSource, KeyHash, Prefix, TreeKey};
use crate::scope::Scope;

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, value: u8 },
    Forget { key: u8 },
    Photograph,
    ForgetPhotograph,
}

/// What was held when a photograph was taken: the keys, and what the tree held for each.
type Held = BTreeSet<(KeyHash, u128, ItemKey)>;

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

fn held(cells: &Cells) -> Held {
    cells.iter().map(|(key, held)| (held.hash, held.digest, key.clone())).collect()
}

fn shown(cells: &Cells) -> Vec<Item> {
    let mut shown = Vec::new();
    cells.for_each_in(Prefix::ALL, &mut |item| shown.push(item));
    shown
}

fn keys(held: &Held) -> Vec<ItemKey> {
    held.iter().map(|(_, _, key)| key.clone()).collect::<BTreeSet<_>>().into_iter().collect()
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
                    prop_assert_eq!(root, cells.root());
                    photograph = Some((held(&cells), root));
                }
                Step::ForgetPhotograph => {
                    cells.forget_photograph();
                    photograph = None;
                }
            }
            let mut shown = shown(&cells);
            shown.sort_unstable_by_key(|item| (item.key_hash, item.version));
            let (expected, root) = photograph.clone().unwrap_or_default();
            let items: Vec<_> = shown.iter().map(|item| (item.key_hash, item.version)).collect();
            prop_assert_eq!(items, expected.iter().map(|(hash, digest, _)| (*hash, *digest)).collect::<Vec<_>>());

            let handles: Vec<u64> = shown.iter().map(|item| item.handle).collect();
            prop_assert_eq!(cells.photographed_behind(&handles), (keys(&expected), root));
            let or_new = expected.union(&held(&cells)).cloned().collect();
            prop_assert_eq!(cells.shown_or_new(), keys(&or_new));
        }
    }
}
