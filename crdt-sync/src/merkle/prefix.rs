//! A place in the tree: the key hashes that share their top bits.

use core::fmt;

use super::prf::KeyHash;

/// All key hashes whose top `bits` bits equal `value`: the root, an inner node or a leaf.
///
/// ```
/// use crdt_sync::merkle::{KeyHash, Prefix};
///
/// let hash = KeyHash::from_u128(0xa7 << 120);
/// let node = Prefix::of(hash, 8);
/// assert_eq!(node.to_string(), "a7");
/// assert!(node.contains(hash));
/// assert!(node.start() <= hash && hash <= node.end());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    bits: u8,
    value: u32,
}

impl Prefix {
    /// Every key hash: the root of a tree.
    pub const ALL: Self = Self { bits: 0, value: 0 };

    /// The node at depth `bits` (at most 32; more is taken as 32) that holds `hash`.
    #[inline]
    pub fn of(hash: KeyHash, bits: u8) -> Self {
        let bits = bits.min(32);
        let top = (hash.as_u128() >> 96) as u64;
        let value = (top >> (32 - bits)) as u32;
        Self { bits, value }
    }

    pub(super) const fn new(bits: u8, value: u32) -> Self {
        Self { bits, value }
    }

    /// All parts of a tree at depth `bits` (at most 32; more is taken as 32), in ascending order.
    ///
    /// ```
    /// use crdt_sync::merkle::Prefix;
    ///
    /// assert_eq!(Prefix::all_at(0).collect::<Vec<_>>(), [Prefix::ALL]);
    /// assert_eq!(Prefix::all_at(12).count(), 4_096);
    /// ```
    pub fn all_at(bits: u8) -> impl Iterator<Item = Self> {
        let bits = bits.min(32);
        (0..=u32::MAX.checked_shr(32 - u32::from(bits)).unwrap_or(0)).map(move |value| Self { bits, value })
    }

    /// How many of the top bits are fixed.
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// The fixed bits as a number: the index of the node among those of its depth.
    pub const fn value(self) -> u32 {
        self.value
    }

    /// The smallest key hash in this part of the tree.
    pub fn start(self) -> KeyHash {
        let free = 128 - u32::from(self.bits);
        KeyHash::from_u128(u128::from(self.value).checked_shl(free).unwrap_or(0))
    }

    /// The largest key hash in this part of the tree (inclusive).
    pub fn end(self) -> KeyHash {
        let free = u128::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0);
        KeyHash::from_u128(self.start().as_u128() | free)
    }

    /// Whether `hash` lies in this part of the tree.
    #[inline]
    pub fn contains(self, hash: KeyHash) -> bool {
        Self::of(hash, self.bits) == self
    }
}

/// The fixed bits in hexadecimal, as many digits as bits allow; `*` for the root.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == 0 {
            return f.write_str("*");
        }
        write!(f, "{:0width$x}", self.value, width = usize::from(self.bits).div_ceil(4))
    }
}
