//! Sets, their sketches, and chance from a seed.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::sketch::{Salt, Symbol, SymbolId, Weight};

/// Ids and weights, as a set that can be compared naively.
pub(super) type Set = BTreeMap<u32, u32>;

pub(super) fn salt(seed: u64) -> Salt {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    Salt::new(key)
}

pub(super) fn symbol(id: u32, weight: u32) -> Symbol {
    Symbol { id: SymbolId::new(id).unwrap(), weight: Weight::new(weight).unwrap() }
}

pub(super) fn symbols(set: &Set) -> impl Iterator<Item = Symbol> {
    set.iter().map(|(id, weight)| symbol(*id, *weight))
}

/// What is here less what is there, id by id.
pub(super) fn difference(here: &Set, there: &Set) -> Vec<Symbol> {
    const PRIME: u64 = (1 << 32) - 5;
    let ids: alloc::collections::BTreeSet<&u32> = here.keys().chain(there.keys()).collect();
    let weight = |set: &Set, id| u64::from(set.get(id).copied().unwrap_or(0));
    ids.into_iter()
        .filter_map(|id| {
            let weight = (weight(here, id) + PRIME - weight(there, id)) % PRIME;
            (weight != 0).then(|| symbol(*id, u32::try_from(weight).unwrap()))
        })
        .collect()
}

/// Splitmix64: numbers from a seed.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn hash(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap()
    }

    /// Symbols as a difference has them.
    pub(super) fn symbols(&mut self, count: usize) -> Vec<Symbol> {
        let mut random =
            || Symbol { id: SymbolId::from_hash(self.hash()), weight: Weight::from_hash(self.hash()) };
        let mut symbols: Vec<Symbol> = (0..count).map(|_| random()).collect();
        symbols.sort_unstable_by_key(|symbol| symbol.id);
        symbols.dedup_by_key(|symbol| symbol.id);
        symbols
    }
}
