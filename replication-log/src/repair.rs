//! Giving damaged records up, explicitly and with a copy kept.

use alloc::{format, string::String, vec, vec::Vec};

use crate::{
    Corruption, Lsn, OpenError,
    recover::{INTENT_NAME, remove_left_over, survey},
    seal::Sealing,
    segment::file_name,
    storage::{Storage, StorageError, StorageErrorKind, StorageFile, StorageOperation, write_zeros},
};

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// What was wrong; `None` when the log was not corrupt and nothing was done.
    pub corruption: Option<Corruption>,
    /// Copies of the damaged segment, of all later ones and of the intent of an unfinished truncation,
    /// made before anything was changed.
    pub copies: Vec<String>,
    /// The last record the log holds now.
    pub last: Lsn,
}

/// Makes a corrupt log openable again by cutting it where its intact part ends.
///
/// **This gives up records that were durable.** The damaged segment and all later ones are copied
/// to `*.damaged` files first. Only an operator who knows what the lost records mean, or a node
/// that will fetch them from a peer, should call this. A log that is not corrupt is left alone. An
/// interrupted repair can be repeated.
///
/// ```
/// use replication_log::{LogOptions, Log, repair, storage::MemoryStorage};
///
/// let storage = MemoryStorage::new();
/// Log::open(storage.clone(), LogOptions::new(0x5eed))?.0.close()?;
/// assert_eq!(repair(&storage)?.corruption, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn repair<S: Storage>(storage: &S) -> Result<RepairReport, OpenError> {
    repair_sealed(storage, &Sealing::plain())
}

/// Repairs like [`repair()`] a log whose batches are encrypted, with the keys to read them.
///
/// ```
/// use replication_log::{LogOptions, Log, repair_sealed, seal::Sealing, storage::MemoryStorage};
///
/// let storage = MemoryStorage::new();
/// Log::open(storage.clone(), LogOptions::new(0x5eed))?.0.close()?;
/// assert_eq!(repair_sealed(&storage, &Sealing::plain())?.corruption, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn repair_sealed<S: Storage>(storage: &S, sealing: &Sealing) -> Result<RepairReport, OpenError> {
    let survey = survey(storage, Lsn::ZERO, sealing)?;
    let end = survey.found.as_ref().map(|found| found.segments.end());
    let last = end.and_then(|end| end.next.previous()).unwrap_or(Lsn::ZERO);
    let Some(corruption) = survey.corruption else {
        return Ok(RepairReport { corruption: None, copies: Vec::new(), last });
    };
    remove_left_over(storage, &survey.left_over)?;

    let damaged = survey.found.as_ref().map(|found| found.segments.active().id);
    let mut copies = Vec::new();
    let names = storage.list()?;
    let later = names.iter().filter(|name| crate::segment::parse_file_name(name) > damaged);
    let later: Vec<&String> = later.collect();
    let intent = names.iter().find(|name| *name == INTENT_NAME);
    for name in damaged.map(file_name).iter().chain(later.iter().copied()).chain(intent) {
        copies.push(copy_aside(storage, name)?);
    }
    storage.sync_directory()?;

    // Newest first, so that an interrupted repair leaves the same damage with less behind it.
    for name in later.iter().rev() {
        storage.remove(name)?;
        storage.sync_directory()?;
    }
    if let Some(found) = survey.found {
        let end = found.segments.end().offset;
        write_zeros(&*found.file, end, found.behind.used_end)?;
        found.file.sync_data()?;
    }
    // Last, so that an interrupted repair is not taken for a truncation that went well.
    if let Some(intent) = intent {
        storage.remove(intent)?;
        storage.sync_directory()?;
    }
    Ok(RepairReport { corruption: Some(corruption), copies, last })
}

/// Copies a file to a name nothing else uses, durably, and returns the name.
fn copy_aside<S: Storage>(storage: &S, name: &str) -> Result<String, StorageError> {
    const CHUNK_BYTES: usize = 64 << 10;
    let (copy, target) = (0_u32..=u32::MAX)
        .map(|attempt| format!("{name}.{attempt}.damaged"))
        .find_map(|copy| match storage.create(&copy) {
            Err(error) if error.kind == StorageErrorKind::AlreadyExists => None,
            created => Some((copy, created)),
        })
        .ok_or_else(|| StorageError::new(StorageErrorKind::AlreadyExists, StorageOperation::Create, name))?;
    let (source, target) = (storage.open(name)?, target?);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    loop {
        let count = source.read_at(offset, &mut buffer)?;
        if count == 0 {
            break;
        }
        target.write_at(offset, &buffer[..count])?;
        offset += count as u64;
    }
    target.sync_data()?;
    Ok(copy)
}
