//! A log whose bytes were changed behind its back.

use replication_log::storage::{MemoryStorage, Storage};
use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, OpenError, RecordKind};

/// However the files of a log are damaged, opening it ends, what can be read is in order, and opening it again finds
/// the same: a recovery leaves nothing for the next one to decide otherwise.
pub fn a_damaged_log_opens_the_same_way_twice(edits: &[u8]) {
    let storage = a_short_log();
    damage(&storage, edits);
    let first = open_and_read(&storage);
    assert_eq!(first, open_and_read(&storage));
}

/// Several segments, several batches, written and synced.
fn a_short_log() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let (mut log, _) = Log::open(storage.clone(), options()).expect("an empty storage opens");
    for round in 0..6_u8 {
        let mut batch = Batch::new(Epoch::new(u64::from(round / 3) + 1));
        for record in 0..=round {
            batch.push(RecordKind(record), &[round; 40]).expect("a small record fits");
        }
        log.append(&batch).expect("memory takes a small batch");
        log.sync().expect("memory syncs");
    }
    storage
}

/// Every four bytes are one edit: which file, where in its first part, and the new byte.
fn damage(storage: &MemoryStorage, edits: &[u8]) {
    let names = storage.list().expect("memory lists");
    for edit in edits.chunks_exact(4) {
        let name = &names[usize::from(edit[0]) % names.len()];
        let mut bytes = storage.bytes(name).expect("a listed file exists");
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]]));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = edit[3];
            storage.set_bytes(name, bytes);
        }
    }
}

fn open_and_read(storage: &MemoryStorage) -> Result<Vec<Lsn>, OpenError> {
    let (log, _) = Log::open(storage.clone(), options())?;
    let mut found = Vec::new();
    if let Ok(records) = log.read_from(log.oldest()) {
        for record in records.into_iter().map_while(Result::ok) {
            assert!(found.last().is_none_or(|last| *last < record.lsn));
            found.push(record.lsn);
        }
    }
    Ok(found)
}

fn options() -> LogOptions {
    LogOptions::new(0x5eed).segment_bytes(512).preallocate_bytes(64)
}
