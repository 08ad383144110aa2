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
use crate::merkle::{Item, ItemSketch, ItemSource, KeyHash, Prefix, TreeKey};
use crate::scope::Scope;
use crate::sketch;

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, value: u8 },
    Forget { key: u8 },
    Photograph { scope: Scope },
    Develop,
    ForgetPhotograph,
}

const KEY: TreeKey = TreeKey::new([7; 16]);

/// What was held when a photograph was taken: the keys, and what the tree held for each.
type Held = BTreeSet<(KeyHash, u128, ItemKey)>;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..12, any::<u8>()).prop_map(|(key, value)| Step::Put { key, value }),
        4 => (0_u8..12).prop_map(|key| Step::Forget { key }),
        2 => scope().prop_map(|scope| Step::Photograph { scope }),
        3 => Just(Step::Develop),
        1 => Just(Step::ForgetPhotograph),
    ]
}

fn key(number: u8) -> ItemKey {
    ItemKey { collection: Collection::registers("titles").id(), key: [number / 4, number][..].into() }
}

/// Everything, or a third of the keys.
fn scope() -> impl Strategy<Value = Scope> {
    let titles = Collection::registers("titles").id();
    let third = move |third: u8| Scope::nothing().only(titles, [third].as_slice());
    prop_oneof![2 => Just(Scope::everything()), 1 => (0_u8..3).prop_map(third)]
}

fn register(value: u8) -> Cell {
    let mut register = LwwRegister::default();
    let stamp = Stamp { time: Hlc::default(), replica: ReplicaId::from_u128(1) };
    register.set(stamp, [value][..].into()).unwrap();
    Cell::Register(register)
}

fn held(cells: &Cells, scope: &Scope) -> Held {
    let within = cells.iter().filter(|(key, _)| scope.contains(key.collection, &key.key));
    within.map(|(key, held)| (held.hash, held.digest, key.clone())).collect()
}

fn shown(cells: &Cells) -> Vec<Item> {
    let mut shown = Vec::new();
    cells.for_each_in(Prefix::ALL, &mut |item| shown.push(item));
    shown
}

fn keys(held: &Held) -> Vec<ItemKey> {
    held.iter().map(|(_, _, key)| key.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The sketch of what was held, made at once.
fn sketch(held: &Held, cells: usize) -> Vec<sketch::Cell> {
    let mut sketch = ItemSketch::new(&KEY, cells).unwrap();
    for (hash, digest, _) in held {
        sketch.note(*hash, None, Some(*digest));
    }
    sketch.cells().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn a_photograph_shows_what_was_held_when_it_was_taken(steps in prop::collection::vec(step(), 0..60)) {
        let mut cells = Cells::new(&KEY, 4).unwrap();
        let (mut photograph, mut scope, mut is_developed) = (None, Scope::everything(), false);
        for (at, step) in (1..).zip(steps) {
            let lsn = Lsn::new(at);
            match step {
                Step::Put { key: number, value } => cells.put(&key(number), register(value), lsn),
                Step::Forget { key: number } => cells.forget(&key(number), lsn),
                Step::Photograph { scope: shown } => {
                    let (_, root) = cells.photograph(&shown);
                    prop_assert!(root == cells.root() || shown != Scope::everything());
                    photograph = Some((held(&cells, &shown), root));
                    (scope, is_developed) = (shown, false);
                }
                Step::Develop => {
                    cells.develop();
                    is_developed = true;
                }
                Step::ForgetPhotograph => {
                    cells.forget_photograph();
                    (photograph, scope) = (None, Scope::everything());
                }
            }
            let (expected, root) = photograph.clone().unwrap_or_default();
            let or_new = expected.union(&held(&cells, &scope)).cloned().collect();
            prop_assert_eq!(cells.shown_or_new(), keys(&or_new));
            if !is_developed && photograph.is_some() {
                continue;
            }
            let mut shown = shown(&cells);
            shown.sort_unstable_by_key(|item| (item.key_hash, item.version));
            let items: Vec<_> = shown.iter().map(|item| (item.key_hash, item.version)).collect();
            prop_assert_eq!(items, expected.iter().map(|(hash, digest, _)| (*hash, *digest)).collect::<Vec<_>>());
            let handles: Vec<u64> = shown.iter().map(|item| item.handle).collect();
            prop_assert_eq!(cells.photographed_behind(&handles), (keys(&expected), root));
            if let Some(shown) = cells.sketch() {
                prop_assert_eq!(shown, sketch(&expected, shown.len()));
            }
            prop_assert_eq!(cells.sketch().is_some(), photograph.is_some() && scope == Scope::everything());
        }
    }
}
