//! A log that begins anew behind a snapshot of another node, in the place of the one that a directory has.
//!
//! A follower that lacks what its leader's log does not have any more is sent a snapshot, and when that is whole the
//! log has to begin behind it. That takes several files: the old segments go, a new one comes, and what the log has
//! promised must not be forgotten in between. So the intent is made durable first, in a file of its own, and everything
//! else is done by [`resume`], by whoever opens the directory next, as often as it takes.
//!
//! ```text
//! declare(snapshot, promised)       nothing has happened yet
//! the snapshot gets its name        from here on the old log is gone
//! resume()                          removes it, lets a new one begin, promises; then the intent goes
//! ```
//!
//! A crash between the first two steps leaves the old log, after the second the new one. Without a snapshot, where
//! nothing of a log is of use any more, the intent itself is the turning point.
//!
//! ```
//! use replication_log::{
//!     Batch, Epoch, Log, LogOptions, Lsn, RecordKind, install, snapshot::Snapshots, storage::MemoryStorage,
//! };
//!
//! let (mut leader, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
//! leader.append(&Batch::of(Epoch::new(1), RecordKind(1), b"milk")?)?;
//! leader.sync()?;
//! let taken = Snapshots::open(MemoryStorage::new())?;
//! let identity = taken.begin(&leader, Lsn::FIRST)?.identity();
//!
//! // The follower has something else in its log, and receives that snapshot.
//! let disk = MemoryStorage::new();
//! let (mut log, _) = Log::open(disk.clone(), LogOptions::new(0xcafe))?;
//! log.append(&Batch::of(Epoch::ZERO, RecordKind(1), b"wine")?)?;
//! log.promise_epoch(Epoch::new(7))?;
//! let snapshots = Snapshots::open(disk.clone())?;
//! let mut arrived = snapshots.receive(identity)?;
//! arrived.write(b"the list: milk")?;
//! install::declare(&disk, Some(identity), log.epoch())?;
//! arrived.finish()?;
//! drop(log);
//!
//! install::resume(&disk, LogOptions::new(0xbeef))?;
//! let (log, _) = Log::open(disk, LogOptions::new(0xbeef))?;
//! assert_eq!((log.last_position(), log.epoch()), (identity.position, Epoch::new(7)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{
    Epoch, LogOptions, Lsn, OpenError, Position, PromiseError, checksum,
    recover::{self, INTENT_NAME as TRUNCATION, UNBORN_INTENT_NAME as UNBORN_TRUNCATION},
    segment::{is_left_over_file_name, parse_file_name, read_le},
    ship::slot::{SLOTS_NAME, UNBORN_SLOTS_NAME},
    snapshot::{SnapshotError, SnapshotIdentity, Snapshots},
    storage::{Storage, StorageError, StorageErrorKind, StorageFile, create_anew},
};

const NAME: &str = "install.intent";
const UNBORN_NAME: &str = "install.intent.new";

/// It is smaller than any disk's sector, so it is never torn.
const BYTES: usize = BYTES_STATED as usize;
const BYTES_STATED: u32 = 64;
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"REPINS\r\n";
const CHECKSUM_OFFSET: usize = 60;

/// What came of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The log begins behind this snapshot, or with record 1 where there is none, and has promised what was to be
    /// promised.
    Installed(Option<SnapshotIdentity>),
    /// The snapshot never got its name, so the log is the one of before.
    Undone(SnapshotIdentity),
}

/// Why a log does not begin anew. What was done by then is done, and the next [`resume`] goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The intent was whole when it got its name and no longer is.
    #[error("the intent to let the log begin anew is damaged")]
    Damaged,
    /// The intent was written by another version.
    #[error("the intent to let the log begin anew is of version {found}, not {supported}")]
    UnsupportedVersion {
        /// The version of the file.
        found: u32,
        /// That of this build.
        supported: u32,
    },
    /// The snapshot has its name and cannot be read, and the log of before may be gone.
    #[error("the snapshot behind which the log is to begin cannot be read: {0}")]
    Snapshot(#[from] SnapshotError),
    /// The new log cannot be made.
    #[error("the log cannot begin anew: {0}")]
    Open(#[from] OpenError),
    /// The new log cannot promise what was promised.
    #[error("the log that begins anew cannot promise what was promised: {0}")]
    Promise(#[from] PromiseError),
    /// The directory failed.
    #[error("the directory failed: {0}")]
    Storage(#[from] StorageError),
}

/// With what the log is to begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Intent {
    snapshot: Option<SnapshotIdentity>,
    promised: Epoch,
}

/// Makes it durable that the log of this directory is to begin anew, once this snapshot has its name, or at once where
/// there is none; and that it has promised this epoch. What is done about it is done by [`resume`], and nothing may be
/// appended to the log of before from now on.
///
/// A snapshot is not to be [finished](crate::snapshot::SnapshotWriter::finish) before. One of the same identity that
/// has its name is as good.
pub fn declare<S: Storage>(
    storage: &S,
    snapshot: Option<SnapshotIdentity>,
    promised: Epoch,
) -> Result<(), StorageError> {
    let file = create_anew(storage, UNBORN_NAME)?;
    file.write_at(0, &Intent { snapshot, promised }.encode())?;
    file.sync_data()?;
    storage.rename(UNBORN_NAME, NAME)?;
    storage.sync_directory()
}

/// Does what was [declared](declare), if anything was. To be called before the log of a directory is opened, while
/// nothing in it is in use. The new log has the id and the sizes of `options`.
///
/// Segments, slots, and all other snapshots go. Interrupted anywhere, it can be begun again. O(files).
pub fn resume<S: Storage>(storage: &S, options: LogOptions) -> Result<Option<Resumed>, InstallError> {
    let names = storage.list()?;
    if names.iter().any(|name| name == UNBORN_NAME) {
        storage.remove(UNBORN_NAME)?;
    }
    if !is_under_way(storage)? {
        return Ok(None);
    }
    let Intent { snapshot, promised } = read(storage)?;
    // The names of both may be in the cache only: a process can die without the machine.
    storage.sync_directory()?;
    let snapshots = Snapshots::open(storage)?;
    if let Some(identity) = snapshot {
        let found = match snapshots.read(identity.position.lsn) {
            Err(SnapshotError::Storage(error)) if error.kind == StorageErrorKind::NotFound => None,
            reader => Some(reader?.identity()),
        };
        // Another one of that record was there before, and is still.
        if found != Some(identity) {
            forget(storage)?;
            return Ok(Some(Resumed::Undone(identity)));
        }
    }
    for name in names.iter().filter(|name| is_of_log(name)) {
        storage.remove(name)?;
    }
    let stays = |lsn: Lsn| snapshot.is_some_and(|identity| identity.position.lsn == lsn);
    snapshots.remove_if(|lsn| !stays(lsn))?;
    storage.sync_directory()?;
    let start = snapshot.map_or(Position::ORIGIN, |identity| identity.position);
    let options = LogOptions { known_durable: Lsn::ZERO, ..options }.starts_after(start);
    let (mut log, _) = recover::open(storage, options)?;
    log.promise_epoch(promised.max(log.epoch()))?;
    drop(log);
    forget(storage)?;
    Ok(Some(Resumed::Installed(snapshot)))
}

/// Whether something was declared and not resumed.
pub(crate) fn is_under_way<S: Storage>(storage: &S) -> Result<bool, StorageError> {
    Ok(storage.list()?.iter().any(|name| name == NAME))
}

/// Whether this is a file of the log that is to go.
fn is_of_log(name: &str) -> bool {
    let others = [TRUNCATION, UNBORN_TRUNCATION, SLOTS_NAME, UNBORN_SLOTS_NAME];
    parse_file_name(name).is_some() || is_left_over_file_name(name) || others.contains(&name)
}

fn forget<S: Storage>(storage: &S) -> Result<(), StorageError> {
    storage.remove(NAME)?;
    storage.sync_directory()
}

fn read<S: Storage>(storage: &S) -> Result<Intent, InstallError> {
    let file = storage.open(NAME)?;
    let mut bytes = [0; BYTES];
    let count = file.read_at(0, &mut bytes)?;
    let found = read_le!(u32, bytes, 8);
    if count >= 12 && bytes[..8] == MAGIC && found != VERSION {
        return Err(InstallError::UnsupportedVersion { found, supported: VERSION });
    }
    let whole = count == BYTES && file.len()? == u64::from(BYTES_STATED);
    Intent::decode(&bytes).filter(|_| whole).ok_or(InstallError::Damaged)
}

impl Intent {
    fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&BYTES_STATED.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.promised.get().to_le_bytes());
        if let Some(SnapshotIdentity { log_id, position }) = self.snapshot {
            bytes[24..32].copy_from_slice(&log_id.to_le_bytes());
            bytes[32..40].copy_from_slice(&position.lsn.get().to_le_bytes());
            bytes[40..48].copy_from_slice(&position.epoch.get().to_le_bytes());
            bytes[48..52].copy_from_slice(&position.checksum.to_le_bytes());
            bytes[52] = 1;
        }
        let checksum = checksum::extend(0, &bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The intent these bytes are, if they are one of this version.
    fn decode(bytes: &[u8; BYTES]) -> Option<Self> {
        let position = Position {
            lsn: Lsn::new(read_le!(u64, bytes, 32)),
            epoch: Epoch::new(read_le!(u64, bytes, 40)),
            checksum: read_le!(u32, bytes, 48),
        };
        let snapshot = SnapshotIdentity { log_id: read_le!(u64, bytes, 24), position };
        let promised = Epoch::new(read_le!(u64, bytes, 16));
        let intent = Self { snapshot: (bytes[52] == 1).then_some(snapshot), promised };
        (*bytes == intent.encode()).then_some(intent)
    }
}
