//! Batches at rest: compressed, encrypted, or as they are.
//!
//! [`Sealing`] says how a log writes the bodies of its batches and which keys it reads them with; it
//! goes into [`LogOptions::seal`](crate::LogOptions::seal). Every batch states how it was written, so
//! a log may hold batches of all kinds, and reads them whatever it writes itself. Bodies are
//! compressed first and encrypted then.
//!
//! | feature | what it adds | bytes for each batch |
//! |---|---|---|
//! | `lz4` | `Sealing::compressed`: LZ4, kept only where it saves bytes | 8 |
//! | `encryption` | `Sealing::encrypted`: XChaCha20-Poly1305 | 52 |
//!
//! # What encryption keeps and what not
//!
//! Nobody reads or changes records without the key, and a body is accepted only in the place it was
//! written to: log, segment, offset, record numbers and epoch are authenticated with it. Not hidden
//! are the sizes of batches and how well they compress, their record numbers and epochs, and the
//! running checksum of the plain records: whoever reads the disk can confirm a guess of a whole batch
//! with it. Not prevented is a tail that is cut off or put back by whoever writes to the disk, and
//! marks without records (promise, close) are not authenticated.

#[cfg(feature = "lz4")]
mod compression;
#[cfg(feature = "encryption")]
mod encryption;

use alloc::vec::Vec;

#[cfg(feature = "encryption")]
pub use encryption::SealKey;

use crate::{
    OpenError, SegmentId,
    segment::{BatchHeader, BatchKind},
    storage::StorageError,
};

/// The flag of a body that is compressed.
pub(crate) const COMPRESSED: u8 = 0x10;

/// The flag of a body that is encrypted.
pub(crate) const ENCRYPTED: u8 = 0x20;

/// How many bytes longer than the records a sealed body can be: compression that does not save
/// bytes is not kept.
pub(crate) const MAX_OVERHEAD_BYTES: usize = 52;

/// What the flags need to be read, the layer that was put on last first.
const FLAGS: [(u8, &str); 2] = [(ENCRYPTED, "encryption"), (COMPRESSED, "lz4")];

/// The layers of this build, in the order in which they are put on.
const LAYERS: &[Layer] = &[
    #[cfg(feature = "lz4")]
    compression::LAYER,
    #[cfg(feature = "encryption")]
    encryption::LAYER,
];

/// One way of storing what a body holds, as a feature adds it.
struct Layer {
    flag: u8,
    /// By how many bytes a body can grow.
    overhead_bytes: fn(&Sealing) -> usize,
    /// Appends the sealed form of a body and returns true, if that is asked for and of use.
    seal: SealBody,
    /// Appends what was sealed.
    open: OpenBody,
}

type SealBody = fn(&Sealing, &mut Vec<u8>, &[u8], &Site) -> Result<bool, StorageError>;
type OpenBody = fn(&Sealing, &mut Vec<u8>, &[u8], &Site) -> Result<(), NotUnsealed>;

/// The batch whose body is sealed or opened, and its place.
#[cfg_attr(
    not(feature = "encryption"),
    expect(dead_code, reason = "only what is encrypted is bound to its place")
)]
struct Site {
    header: BatchHeader,
    identity: u64,
    offset: u64,
    /// Which batch of this opening it is, when it is written.
    number: u64,
    /// Whether nothing was written yet by this opening, when it is read.
    before_writing: bool,
}

/// How a log writes the bodies of its batches, and with which keys it reads them.
///
/// ```
/// use replication_log::{LogOptions, seal::Sealing};
///
/// let options = LogOptions::new(0x5eed).seal(Sealing::plain());
/// assert_eq!(options, LogOptions::new(0x5eed));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealing {
    #[cfg(feature = "lz4")]
    compress: bool,
    #[cfg(feature = "encryption")]
    keys: encryption::Keys,
}

impl Sealing {
    /// Bodies are written as they are.
    pub const fn plain() -> Self {
        Self {
            #[cfg(feature = "lz4")]
            compress: false,
            #[cfg(feature = "encryption")]
            keys: encryption::Keys::NONE,
        }
    }

    /// Compresses bodies with LZ4 where that saves bytes.
    ///
    /// The lengths of compressed and encrypted batches tell how much their content repeats itself.
    /// Where someone else chooses part of a batch and sees its length, do not use both.
    ///
    /// ```
    /// use replication_log::{
    ///     Batch, Epoch, Log, LogOptions, RecordKind, seal::Sealing, storage::MemoryStorage,
    /// };
    ///
    /// let (disk, plain) = (MemoryStorage::new(), LogOptions::new(0x5eed).preallocate_bytes(0));
    /// let (mut log, _) = Log::open(disk.clone(), plain.seal(Sealing::plain().compressed()))?;
    /// log.append(&Batch::of(Epoch::ZERO, RecordKind(1), &[b'x'; 10_000])?)?;
    /// log.flush()?;
    /// assert!(disk.bytes("0000000000000001.log").is_some_and(|file| file.len() < 200));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "lz4")]
    pub const fn compressed(mut self) -> Self {
        self.compress = true;
        self
    }

    /// Encrypts bodies with `key`, and reads those that were encrypted with it.
    ///
    /// `fresh` are 16 bytes **drawn at random for this opening** of the log and for no other, by a
    /// generator fit for keys. They begin every nonce, and a counter that starts at 0 ends it: so no
    /// nonce is used twice, whatever a crash took back or a truncation cut off. A log that still
    /// holds a batch of the same key and `fresh` is refused as
    /// [`OpenError::FreshBytesReused`]; one whose batches were cut off cannot be noticed, so never
    /// keep them in a configuration.
    ///
    /// ```
    /// use replication_log::{
    ///     Batch, Epoch, Log, LogOptions, OpenError, RecordKind,
    ///     seal::{SealKey, Sealing},
    ///     storage::MemoryStorage,
    /// };
    /// # let (random_key, drawn_now, drawn_later) = ([7; 32], [1; 16], [2; 16]);
    /// let disk = MemoryStorage::new();
    /// let sealing = Sealing::plain().encrypted(SealKey::new(random_key), drawn_now);
    /// let (mut log, _) = Log::open(disk.clone(), LogOptions::new(0x5eed).seal(sealing))?;
    /// log.append(&Batch::of(Epoch::ZERO, RecordKind(1), b"a secret")?)?;
    /// log.close()?;
    ///
    /// let without_key = Log::open(disk.clone(), LogOptions::new(0x5eed));
    /// assert!(matches!(without_key, Err(OpenError::KeyRequired { .. })));
    ///
    /// // A new key for what is written from now on, and the old one to read with.
    /// let rotated = Sealing::plain().encrypted(SealKey::new([8; 32]), drawn_later);
    /// let rotated = rotated.also_reads(SealKey::new(random_key));
    /// Log::open(disk, LogOptions::new(0x5eed).seal(rotated))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "encryption")]
    pub fn encrypted(mut self, key: SealKey, fresh: [u8; 16]) -> Self {
        self.keys = self.keys.write_with(key, fresh);
        self
    }

    /// Reads batches that were encrypted with `key` as well. A key is needed until the last segment
    /// that was written with it is truncated.
    #[cfg(feature = "encryption")]
    pub fn also_reads(mut self, key: SealKey) -> Self {
        self.keys = self.keys.read_with(key);
        self
    }
}

/// Seals the batches of one open log.
#[derive(Debug)]
pub(crate) struct Sealer {
    sealing: Sealing,
    /// How many batches with records were written since the log was opened.
    batches: u64,
    sealed: Vec<u8>,
    next: Vec<u8>,
}

impl Sealer {
    pub(crate) fn new(sealing: Sealing) -> Self {
        Self { sealing, batches: 0, sealed: Vec::new(), next: Vec::new() }
    }

    /// How the log is read.
    pub(crate) fn sealing(&self) -> &Sealing {
        &self.sealing
    }

    /// How many bytes longer than its records a body can become.
    pub(crate) fn overhead_bytes(&self) -> usize {
        LAYERS.iter().map(|layer| (layer.overhead_bytes)(&self.sealing)).sum()
    }

    /// What is to be written in place of the body of the batch at this place, if that is not the body
    /// as it is. Completes the header.
    ///
    /// An error means that the batch must not be written; the cipher gives none for bodies of the
    /// size batches have.
    pub(crate) fn seal(
        &mut self,
        header: &mut BatchHeader,
        identity: u64,
        offset: u64,
        body: &[u8],
    ) -> Result<Option<&[u8]>, StorageError> {
        if !matches!(header.kind, BatchKind::Records | BatchKind::Copied) {
            return Ok(None);
        }
        let number = self.batches;
        // Every batch takes a record number at least, so it cannot run out before those do.
        self.batches += 1;
        for layer in LAYERS {
            let content = if header.flags == 0 { body } else { &self.sealed };
            let header_then = BatchHeader { flags: header.flags | layer.flag, ..*header };
            let site = Site { header: header_then, identity, offset, number, before_writing: false };
            self.next.clear();
            if (layer.seal)(&self.sealing, &mut self.next, content, &site)? {
                header.flags = header_then.flags;
                header.length = u32::try_from(self.next.len()).unwrap_or(u32::MAX);
                core::mem::swap(&mut self.sealed, &mut self.next);
            }
        }
        Ok((header.flags != 0).then_some(&*self.sealed))
    }
}

/// Opens sealed batches for one reader.
#[derive(Debug, Default)]
pub(crate) struct Unsealer {
    sealing: Sealing,
    /// Whether batches of this opening's own nonces are refused: before the first is written there
    /// can be none.
    before_writing: bool,
    plain: Vec<u8>,
    next: Vec<u8>,
}

/// Why a sealed body cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotUnsealed {
    /// The bytes are not those that were written.
    #[cfg_attr(
        not(any(feature = "lz4", feature = "encryption")),
        expect(dead_code, reason = "nothing is unsealed")
    )]
    Damaged,
    /// They may well be, but not for this reader.
    Unreadable(Unreadable),
}

impl Unsealer {
    pub(crate) fn new(sealing: Sealing) -> Self {
        Self { sealing, ..Self::default() }
    }

    /// For a log that was not written to since the keys were given.
    pub(crate) fn before_writing(sealing: Sealing) -> Self {
        Self { sealing, before_writing: true, ..Self::default() }
    }

    /// Opens the body of the batch at this place; the records are then [`Unsealer::plain`].
    pub(crate) fn unseal(
        &mut self,
        header: &BatchHeader,
        identity: u64,
        offset: u64,
        body: &[u8],
    ) -> Result<(), NotUnsealed> {
        let site = Site { header: *header, identity, offset, number: 0, before_writing: self.before_writing };
        let mut opened = false;
        for (flag, feature) in FLAGS.into_iter().filter(|(flag, _)| header.flags & flag != 0) {
            let layer = LAYERS.iter().find(|layer| layer.flag == flag);
            let layer = layer.ok_or(NotUnsealed::Unreadable(Unreadable::Feature(feature)))?;
            self.next.clear();
            let content = if opened { &self.plain } else { body };
            (layer.open)(&self.sealing, &mut self.next, content, &site)?;
            core::mem::swap(&mut self.plain, &mut self.next);
            opened = true;
        }
        Ok(())
    }

    /// The records of the batch opened last.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.plain
    }
}

/// Why an intact batch cannot be read with this build or these keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A kind, or a flag, that is not of this version of the format.
    Kind(u8),
    /// The build lacks a feature.
    Feature(&'static str),
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "there are no keys"))]
    KeyRequired,
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "there are no keys"))]
    WrongKey,
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "there are no keys"))]
    FreshBytesReused,
}

impl Unreadable {
    /// Why the log that holds such a batch cannot be opened.
    pub(crate) fn at(self, segment: SegmentId, offset: u64) -> OpenError {
        match self {
            Self::Kind(kind) => OpenError::UnsupportedBatch { segment, offset, kind },
            Self::Feature(feature) => OpenError::FeatureMissing { segment, offset, feature },
            Self::KeyRequired => OpenError::KeyRequired { segment, offset },
            Self::WrongKey => OpenError::WrongKey { segment, offset },
            Self::FreshBytesReused => OpenError::FreshBytesReused { segment, offset },
        }
    }
}
