//! The keyed hashes: everything the tree sums and every digest on the wire is drawn from one secret
//! key.
//!
//! SipHash-2-4 with 128-bit output (Aumasson and Bernstein, 2012) is a pseudo-random function: who
//! does not hold the key can neither choose a leaf nor find two items that look alike. Sums of such
//! digests are the additive multiset hash of Clarke et al. (2003).

use alloc::vec::Vec;
use core::fmt;
use core::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use super::cells::{Cell, Lanes};
use super::prefix::Prefix;
use super::sip::Sip;
use super::universal::MultiplyShift;
use crate::sketch::{Salt, Symbol, SymbolId, Weight};

/// The secret that all trees of one cluster share.
///
/// Two trees can only be compared under the same key. The key protects against writers who choose
/// their keys so that differences cancel or pile up in one leaf; it does not protect against a
/// member of the cluster, who holds it.
///
/// ```
/// use crdt_sync::merkle::TreeKey;
///
/// let key = TreeKey::new([7; 16]);
/// assert_eq!(format!("{key:?}"), "TreeKey(..)"); // never printed
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TreeKey([u8; 16]);

impl TreeKey {
    /// A key made of 16 secret, uniformly random bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for TreeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TreeKey(..)")
    }
}

/// The keyed hash of an application key: the item's place in the tree.
///
/// Its top bits choose the leaf, so a store ordered by key hash enumerates any part of the tree as
/// one range. 128 bits, because two keys with one hash could hide each other's absence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(u128);

impl KeyHash {
    /// The hash with this value, for a store that kept [`KeyHash::as_u128`].
    pub const fn from_u128(value: u128) -> Self {
        Self(value)
    }

    /// The hash as a number; the order of hashes is the order of these numbers.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({:032x})", self.0)
    }
}

/// The long-lived functions of a tree, each under its own key so that the output of one is never
/// the input of another.
#[derive(Clone)]
pub(crate) struct TreePrf {
    keys: SipHasher24,
    items: Sip,
    check: SipHasher24,
    session: SipHasher24,
    symbols: Symbols,
}

impl TreePrf {
    pub(crate) fn new(key: &TreeKey) -> Self {
        Self {
            keys: derive(&key.0, b"key hash"),
            items: Sip::new(&derive(&key.0, b"item digest").key()),
            check: derive(&key.0, b"key check"),
            session: derive(&key.0, b"session"),
            symbols: Symbols::new(&key.0),
        }
    }

    pub(crate) fn key_hash(&self, key: &[u8]) -> KeyHash {
        KeyHash(number(&self.keys, key))
    }

    /// What an item adds to its leaf and to every node above.
    pub(crate) fn item(&self, key_hash: KeyHash, version: u128) -> Lanes {
        let [item] = self.items(key_hash, [version]);
        item
    }

    /// Several versions of one key: what they have in common is hashed once.
    #[inline]
    pub(super) fn items<const N: usize>(&self, key_hash: KeyHash, versions: [u128; N]) -> [Lanes; N] {
        let key = self.items.absorb(key_hash.0);
        versions.map(|version| Lanes::new(key.absorb(version).finish(32)))
    }

    /// Shows that the sender holds the key, fresh for every nonce.
    pub(crate) fn key_check(&self, nonce: &[u8; 16]) -> [u8; 8] {
        truncate(&self.check, nonce)
    }

    /// A name for the key, which can be stored and does not tell it. No nonce has this length.
    pub(super) fn key_id(&self) -> [u8; 16] {
        self.check.hash(b"key id").as_bytes()
    }

    /// Shows that the sender holds the key and said just this: `content` is longer than a nonce, so it is
    /// never mistaken for a [`TreePrf::key_check`].
    pub(crate) fn proof(&self, content: &[u8]) -> [u8; 8] {
        truncate(&self.check, content)
    }

    /// The symbols of sketches that are kept up from one session to the next.
    pub(super) fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Both hellos enter whole, hence both nonces: neither side chooses the salt alone, and a
    /// session whose hellos were changed on the way fails at its next frame.
    pub(crate) fn session(&self, initiator_hello: &[u8], acceptor_hello: &[u8]) -> SessionPrf {
        let mut transcript = Vec::with_capacity(initiator_hello.len() + acceptor_hello.len());
        transcript.extend_from_slice(initiator_hello);
        transcript.extend_from_slice(acceptor_hello);
        let salt = self.session.hash(&transcript).as_bytes();
        let mut numbers = numbers(&salt);
        SessionPrf {
            nodes: MultiplyShift::new(&mut numbers),
            items: MultiplyShift::new(&mut numbers),
            initiator: derive(&salt, b"initiator frame"),
            acceptor: derive(&salt, b"acceptor frame"),
            salt,
        }
    }
}

/// The functions of one session.
///
/// Digests and fingerprints are short, and safe because the salt is fresh: it follows from both hellos, so
/// the items that are compared were there before it. Whoever chose them cannot know the salt of a later
/// session, and any two of them agree in `w` bits with probability 2^-w, see [`MultiplyShift`]; a
/// difference hidden that way is seen by the next session. A member of the cluster knows the salt, as it
/// knows the key.
#[derive(Clone)]
pub(crate) struct SessionPrf {
    salt: [u8; 16],
    nodes: MultiplyShift<3>,
    items: MultiplyShift<4>,
    initiator: SipHasher24,
    acceptor: SipHasher24,
}

impl SessionPrf {
    /// A stand-in until both hellos are known. Nothing may be hashed or checked under it.
    pub(crate) fn none() -> Self {
        let nothing = SipHasher24::new_with_key(&[0; 16]);
        Self {
            salt: [0; 16],
            nodes: MultiplyShift::new(|| 0),
            items: MultiplyShift::new(|| 0),
            initiator: nothing,
            acceptor: nothing,
        }
    }

    /// The digest of an inner node or leaf as it travels: four bytes, of which a frame may use three.
    #[inline]
    pub(crate) fn node(&self, cell: Cell) -> [u8; 4] {
        let [low, high] = cell.lanes.words();
        let [a, b, c, d, ..] = self.nodes.hash([low, high, u64::from(cell.count)]).to_be_bytes();
        [a, b, c, d]
    }

    /// The digest of what is left of a root without the items that are exchanged: whole, for two of
    /// these decide whether an exchange was complete.
    pub(super) fn rest(&self, cell: Cell) -> [u8; 16] {
        truncate(&derive(&self.salt, b"rest"), &cell_bytes(cell))
    }

    /// The fingerprint of an item in a list, as a number of `width` bits, at least one.
    #[inline]
    pub(crate) fn fingerprint(&self, key_hash: KeyHash, version: u128, width: u8) -> u64 {
        let ([a, b], [c, d]) = (words(key_hash.0), words(version));
        self.items.hash([a, b, c, d]) >> (64 - u32::from(width))
    }

    /// The symbols of a sketch that is made for this session.
    pub(super) fn symbols(&self) -> Symbols {
        Symbols::new(&self.salt)
    }

    /// The fingerprint of an item whose digest is at hand, in `width` bytes.
    #[inline]
    pub(crate) fn fingerprint_of_digest(&self, digest: Lanes, width: u8) -> u64 {
        let [low, high] = digest.words();
        self.items.hash([low, high, 0, 0]) >> (64 - 8 * u32::from(width))
    }

    pub(crate) fn frame_check(&self, by_initiator: bool, frame: &[u8]) -> [u8; 4] {
        truncate(if by_initiator { &self.initiator } else { &self.acceptor }, frame)
    }
}

/// The symbols of items in sketches, under one key.
#[derive(Clone)]
pub(super) struct Symbols {
    salt: Salt,
    weights: Sip,
}

impl Symbols {
    fn new(key: &[u8; 16]) -> Self {
        let salt = SipHasher24::new_with_key(key).hash(b"sketch").as_bytes();
        Self { salt: Salt::new(salt), weights: Sip::new(&derive(key, b"symbol").key()) }
    }

    pub(super) fn salt(&self) -> &Salt {
        &self.salt
    }

    /// The id is the place of the key in the tree, 32 bits deep, so that it leads back to the item.
    pub(super) fn symbol(&self, key_hash: KeyHash, version: u128) -> Symbol {
        let [hash, _] = self.weights.absorb(key_hash.0).absorb(version).finish(32);
        let [weight, _] = halves(hash);
        let id = SymbolId::from_hash(Prefix::of(key_hash, 32).value());
        Symbol { id, weight: Weight::from_hash(weight) }
    }
}

/// The check of a hello, under a public key: it finds damage, so that a wrong cluster key can be
/// told from it.
pub(super) fn hello_check(hello: &[u8]) -> [u8; 4] {
    public_check(b"crdt-sync merkle", hello)
}

/// Finds damage and nothing else: `label`, which tells one kind of session from another, is no secret.
pub(crate) fn public_check(label: &[u8; 16], bytes: &[u8]) -> [u8; 4] {
    truncate(&SipHasher24::new_with_key(label), bytes)
}

/// The checksum of a checkpoint, under a public key: it finds damage. Taken part by part it is the
/// same as taken at once.
pub(super) struct Checksum(SipHasher24);

impl Checksum {
    pub(super) fn new() -> Self {
        Self(SipHasher24::new_with_key(b"merkle tree file"))
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.write(part);
    }

    pub(super) fn finish(&self) -> [u8; 16] {
        self.0.finish128().as_bytes()
    }
}

fn derive(key: &[u8; 16], label: &[u8]) -> SipHasher24 {
    SipHasher24::new_with_key(&SipHasher24::new_with_key(key).hash(label).as_bytes())
}

fn cell_bytes(cell: Cell) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(&cell.lanes.as_u128().to_le_bytes());
    bytes[16..].copy_from_slice(&cell.count.to_le_bytes());
    bytes
}

/// As many secret numbers as are asked for: a pseudo-random function of a counter.
fn numbers(salt: &[u8; 16]) -> impl FnMut() -> u128 {
    let function = Sip::new(&derive(salt, b"numbers").key());
    let mut counter = 0;
    move || {
        counter += 1;
        Lanes::new(function.absorb(counter).finish(16)).as_u128()
    }
}

fn words(number: u128) -> [u64; 2] {
    Lanes::from_u128(number).words()
}

/// The low half of a word and the high one.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, high @ ..] = word.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(high)]
}

/// Goes through bytes: the crate's own conversion to a number depends on the byte order of the
/// machine.
fn number(prf: &SipHasher24, input: &[u8]) -> u128 {
    u128::from_le_bytes(prf.hash(input).as_bytes())
}

fn truncate<const N: usize>(prf: &SipHasher24, input: &[u8]) -> [u8; N] {
    let full = prf.hash(input).as_bytes();
    core::array::from_fn(|i| full[i])
}
