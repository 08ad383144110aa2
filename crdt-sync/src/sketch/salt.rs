//! The keyed hashes of a sketch.

use core::fmt;

use siphasher::sip128::SipHasher24;

use super::field::Fp;
use super::mapping::Mapping;
use super::symbol::{Symbol, SymbolId, Weight};

/// The secret under which two sketches can be compared: that of one sync session, or of a cluster for a sketch
/// that is kept up.
///
/// Who does not know it can choose neither the cells of a symbol nor two symbols that look like one. A fresh salt
/// makes chance collisions fresh as well. All hashes are SipHash-2-4 with 128-bit output.
///
/// ```
/// use crdt_sync::sketch::Salt;
///
/// let salt = Salt::new([7; 16]);
/// assert_eq!(salt.symbol(b"milk", 3).id, salt.symbol(b"milk", 4).id);
/// assert_ne!(salt.symbol(b"milk", 3).weight, salt.symbol(b"milk", 4).weight);
/// assert_eq!(format!("{salt:?}"), "Salt(..)"); // never printed
/// ```
#[derive(Clone)]
pub struct Salt {
    key: [u8; 16],
    ids: SipHasher24,
    weights: SipHasher24,
    places: SipHasher24,
}

/// Where a symbol goes and what vouches for it there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) check: Fp,
    pub(super) mapping: Mapping,
}

impl Salt {
    /// The hashes under 16 secret bytes.
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            ids: derive(&key, b"sketch id"),
            weights: derive(&key, b"sketch weight"),
            places: derive(&key, b"sketch place"),
            key,
        }
    }

    /// The symbol of an item: its id follows from the key, its weight from key and version.
    pub fn symbol(&self, key: &[u8], version: u128) -> Symbol {
        let id = self.ids.hash(key).as_bytes();
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&id);
        bytes[16..].copy_from_slice(&version.to_le_bytes());
        let weight = self.weights.hash(&bytes).as_bytes();
        Symbol { id: SymbolId::from_hash(first_four(&id)), weight: Weight::from_hash(first_four(&weight)) }
    }

    /// The symbol of a tree's leaf: its index, and a hash of its sum and count. `None` for an empty leaf, which
    /// weighs nothing, and for an index that no tree has.
    pub fn leaf(&self, leaf: u32, sum: u128, count: u32) -> Option<Symbol> {
        let id = SymbolId::new(leaf)?;
        Some(Symbol { id, weight: self.leaf_weight(id, sum, count)? })
    }

    pub(super) fn leaf_weight(&self, leaf: SymbolId, sum: u128, count: u32) -> Option<Weight> {
        if count == 0 && sum == 0 {
            return None;
        }
        let mut bytes = [0; 24];
        bytes[..4].copy_from_slice(&leaf.get().to_le_bytes());
        bytes[4..8].copy_from_slice(&count.to_le_bytes());
        bytes[8..].copy_from_slice(&sum.to_le_bytes());
        Some(Weight::from_hash(first_four(&self.weights.hash(&bytes).as_bytes())))
    }

    pub(super) fn place(&self, id: SymbolId) -> Place {
        let [c0, c1, c2, c3, _, _, _, _, seed @ ..] = self.places.hash(&id.get().to_le_bytes()).as_bytes();
        Place {
            check: Fp::from_bits(u32::from_le_bytes([c0, c1, c2, c3])),
            mapping: Mapping::new(u64::from_le_bytes(seed)),
        }
    }
}

impl PartialEq for Salt {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Salt {}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

fn derive(key: &[u8; 16], label: &[u8]) -> SipHasher24 {
    SipHasher24::new_with_key(&SipHasher24::new_with_key(key).hash(label).as_bytes())
}

fn first_four(hash: &[u8; 16]) -> u32 {
    u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])
}
