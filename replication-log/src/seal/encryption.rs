//! XChaCha20-Poly1305 (RFC 8439 with the longer nonce of draft-irtf-cfrg-xchacha-03), with a key check
//! and a nonce in front.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{AeadInOut, Tag},
};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{ENCRYPTED, Layer, MAX_OVERHEAD_BYTES, NotUnsealed, Sealing, Site, Unreadable};
use crate::{
    checksum,
    segment::{BatchHeader, read_le},
    storage::{StorageError, StorageErrorKind, StorageOperation},
};

const KEY_CHECK_BYTES: usize = 8;
const FRESH_BYTES: usize = 16;
const NONCE_BYTES: usize = FRESH_BYTES + 8;
const TAG_BYTES: usize = 16;

/// Key check, nonce and a checksum of the two stand in front of the ciphertext.
const PREFIX_BYTES: usize = KEY_CHECK_BYTES + NONCE_BYTES + 4;

const _: () = assert!(PREFIX_BYTES + TAG_BYTES == MAX_OVERHEAD_BYTES);

/// The nonce under which the key check is made: the eight bytes say nothing about the key.
const KEY_CHECK_NONCE: [u8; NONCE_BYTES] = *b"replication-log seal key";

/// A key that batches are encrypted with. It is overwritten when it is dropped, and `Debug` does
/// not show it.
///
/// ```
/// use replication_log::seal::SealKey;
///
/// assert_eq!(format!("{:?}", SealKey::new([7; 32])), "SealKey(..)");
/// ```
#[derive(Clone)]
pub struct SealKey {
    key: Zeroizing<[u8; 32]>,
    /// What tells this key from others without telling it.
    check: [u8; KEY_CHECK_BYTES],
}

impl SealKey {
    /// A key of 32 bytes, which must come from a generator fit for keys or be derived from one
    /// that does; a password is no key.
    pub fn new(key: [u8; 32]) -> Self {
        let mut key = Self { key: Zeroizing::new(key), check: [0; KEY_CHECK_BYTES] };
        let mut check = [0; KEY_CHECK_BYTES];
        // Eight bytes are never too many for the cipher.
        key.cipher().encrypt_inout_detached(&KEY_CHECK_NONCE.into(), b"", (&mut check[..]).into()).ok();
        key.check = check;
        key
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }
}

impl ZeroizeOnDrop for SealKey {}

impl fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealKey(..)")
    }
}

/// Compares what is on disk anyway, so it takes no care how long it takes.
impl PartialEq for SealKey {
    fn eq(&self, other: &Self) -> bool {
        self.check == other.check
    }
}

impl Eq for SealKey {}

/// The keys of a log. Cheap to clone: readers share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    ring: Option<Arc<Ring>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ring {
    writer: Option<(SealKey, [u8; FRESH_BYTES])>,
    readers: Vec<SealKey>,
}

impl Keys {
    pub(super) const NONE: Self = Self { ring: None };

    pub(super) fn write_with(mut self, key: SealKey, fresh: [u8; FRESH_BYTES]) -> Self {
        let ring = Arc::make_mut(self.ring.get_or_insert_default());
        if let Some((before, _)) = ring.writer.replace((key, fresh)) {
            ring.readers.push(before);
        }
        self
    }

    pub(super) fn read_with(mut self, key: SealKey) -> Self {
        Arc::make_mut(self.ring.get_or_insert_default()).readers.push(key);
        self
    }

    fn writer(&self) -> Option<&(SealKey, [u8; FRESH_BYTES])> {
        self.ring.as_ref().and_then(|ring| ring.writer.as_ref())
    }

    fn find(&self, check: &[u8]) -> Result<&SealKey, Unreadable> {
        let ring = self.ring.as_ref().ok_or(Unreadable::KeyRequired)?;
        let writer = ring.writer.iter().map(|(key, _)| key);
        writer.chain(&ring.readers).find(|key| key.check == *check).ok_or(Unreadable::WrongKey)
    }
}

/// What the feature adds.
pub(super) const LAYER: Layer = Layer { flag: ENCRYPTED, overhead_bytes, seal: encrypt, open: decrypt };

fn overhead_bytes(sealing: &Sealing) -> usize {
    if sealing.keys.writer().is_some() { MAX_OVERHEAD_BYTES } else { 0 }
}

/// The nonce is 16 bytes drawn for this opening of the log and the number of the batch in it. A
/// counter kept in the log would be taken back together with a torn tail and be used a second time,
/// for other records; so would one derived from offsets or record numbers.
fn encrypt(sealing: &Sealing, sealed: &mut Vec<u8>, body: &[u8], site: &Site) -> Result<bool, StorageError> {
    let Some((key, fresh)) = sealing.keys.writer() else {
        return Ok(false);
    };
    let refused = || {
        let reason = StorageErrorKind::Other("the cipher refused the batch".into());
        StorageError::new(reason, StorageOperation::Write, "")
    };
    let length = u32::try_from(MAX_OVERHEAD_BYTES + body.len()).map_err(|_| refused())?;
    let header = BatchHeader { length, ..site.header };
    let mut nonce = [0; NONCE_BYTES];
    nonce[..FRESH_BYTES].copy_from_slice(fresh);
    nonce[FRESH_BYTES..].copy_from_slice(&site.number.to_le_bytes());

    sealed.extend_from_slice(&key.check);
    sealed.extend_from_slice(&nonce);
    let checksum = prefix_checksum(&header, sealed);
    sealed.extend_from_slice(&checksum.to_le_bytes());
    sealed.extend_from_slice(body);
    let place = place(&header, site);
    let text = &mut sealed[PREFIX_BYTES..];
    let tag = key.cipher().encrypt_inout_detached(&nonce.into(), &place, text.into());
    sealed.extend_from_slice(&tag.map_err(|_| refused())?);
    Ok(true)
}

fn decrypt(sealing: &Sealing, text: &mut Vec<u8>, body: &[u8], site: &Site) -> Result<(), NotUnsealed> {
    if body.len() < MAX_OVERHEAD_BYTES {
        return Err(NotUnsealed::Damaged);
    }
    let (prefix, rest) = body.split_at(PREFIX_BYTES);
    // Without it a torn or flipped key check would be taken for another key.
    let checksum = prefix_checksum(&site.header, &prefix[..PREFIX_BYTES - 4]);
    if read_le!(u32, prefix, PREFIX_BYTES - 4) != checksum {
        return Err(NotUnsealed::Damaged);
    }
    let key = sealing.keys.find(&prefix[..KEY_CHECK_BYTES]).map_err(NotUnsealed::Unreadable)?;
    let (ciphertext, tag) = rest.split_at(rest.len() - TAG_BYTES);
    let mut nonce = [0; NONCE_BYTES];
    nonce.copy_from_slice(&prefix[KEY_CHECK_BYTES..KEY_CHECK_BYTES + NONCE_BYTES]);
    let mut expected = Tag::<XChaCha20Poly1305>::default();
    expected.copy_from_slice(tag);

    text.extend_from_slice(ciphertext);
    let place = place(&site.header, site);
    let opened =
        key.cipher().decrypt_inout_detached(&nonce.into(), &place, (&mut text[..]).into(), &expected);
    opened.map_err(|_| NotUnsealed::Damaged)?;
    let own =
        |(writer, fresh): &(SealKey, [u8; FRESH_BYTES])| writer == key && nonce[..FRESH_BYTES] == *fresh;
    if site.before_writing && sealing.keys.writer().is_some_and(own) {
        return Err(NotUnsealed::Unreadable(Unreadable::FreshBytesReused));
    }
    Ok(())
}

/// What a body is bound to: a copy of it anywhere else, or behind another header, is not one.
fn place(header: &BatchHeader, site: &Site) -> [u8; 52] {
    let mut place = [0; 52];
    place[..8].copy_from_slice(&site.identity.to_le_bytes());
    place[8..16].copy_from_slice(&site.offset.to_le_bytes());
    // Without the header's own checksum, which follows from the rest.
    place[16..].copy_from_slice(&header.encode(site.identity, site.offset)[4..]);
    place
}

/// Of key check and nonce; it continues the running checksum behind the batch.
fn prefix_checksum(header: &BatchHeader, key_check_and_nonce: &[u8]) -> u32 {
    checksum::extend(header.chain, key_check_and_nonce)
}
