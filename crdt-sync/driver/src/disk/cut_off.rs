//! What was cut off a log that nodes share, put aside for whoever wants to look at it: one file for each cut.
//!
//! `docs/formats.md` draws the file. Its frames are those in which batches are sent to followers, so that
//! [`ToFollower::decode`](replication_log::ship::wire::ToFollower::decode) reads them.

use replication_log::handle::{Tail, TailError};
use replication_log::ship::wire::Batches;
use replication_log::storage::{FileStorage, Storage, StorageError, StorageFile};
use replication_log::{Epoch, Lsn, Position};
use thiserror::Error;

use super::files::write_whole;

const START: &[u8; 12] = b"CSYNCCUT\x01\0\0\0";
const ENDING: &str = ".cut-off";

/// Why what is to be cut was not put aside. Then it is not cut either.
#[derive(Debug, Error)]
pub(crate) enum NotPutAside {
    #[error("what is to be cut off the log cannot be put aside: {0}")]
    Storage(#[from] StorageError),
    #[error("what is to be cut off the log cannot be read: {0}")]
    Read(#[from] TailError),
    #[error("a batch of {bytes} bytes is longer than a frame can be")]
    TooLong { bytes: usize },
}

/// Puts aside what a tail yields, all of it, durably; `end` is where the log will end then, `promised` the epoch of
/// whoever does not have it. Returns the name of the file.
pub(super) fn put_aside(
    storage: &FileStorage,
    (end, promised): (Position, Epoch),
    tail: &mut Tail<FileStorage>,
) -> Result<String, NotPutAside> {
    let name = free_name(&storage.list()?, tail.position());
    write_whole(storage, &name, |file| {
        let mut head = START.to_vec();
        head.extend_from_slice(&end.checksum.to_le_bytes());
        head.extend_from_slice(&end.lsn.get().to_le_bytes());
        head.extend_from_slice(&end.epoch.get().to_le_bytes());
        file.write_at(0, &head)?;
        let mut offset = head.len() as u64;
        while let Some(batch) = tail.try_next_batch()? {
            let (last, batches) = (batch.last(), vec![batch]);
            let frame = Batches { stream: 0, epoch: promised, commit: end.lsn, end: last, batches }.encode();
            let length =
                u32::try_from(frame.len()).map_err(|_| NotPutAside::TooLong { bytes: frame.len() })?;
            file.write_at(offset, &length.to_le_bytes())?;
            file.write_at(offset + 4, &frame)?;
            offset += 4 + frame.len() as u64;
        }
        Ok::<_, NotPutAside>(())
    })?;
    Ok(name)
}

/// Named by the first record, and numbered where records of that number were cut before.
fn free_name(taken: &[String], first: Lsn) -> String {
    let first = first.get();
    let numbered = (2_u64..).map(|n| format!("{first:016x}-{n}{ENDING}"));
    let mut names = std::iter::once(format!("{first:016x}{ENDING}")).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use replication_log::ship::wire::ToFollower;
    use replication_log::{Batch, FsyncPolicy, Log, LogHandle, LogOptions, RecordKind};

    use super::*;

    #[test]
    fn what_is_put_aside_reads_back_and_follows_where_the_log_ends() {
        let home = tempfile::tempdir().unwrap();
        let storage = FileStorage::open(home.path()).unwrap();
        let (log, _) = Log::open(storage.clone(), LogOptions::new(7)).unwrap();
        let log = LogHandle::start(log, FsyncPolicy::Group).unwrap();
        let append = |epoch, text: &[u8]| {
            log.append_durable(&Batch::of(Epoch::new(epoch), RecordKind(1), text).unwrap()).unwrap();
        };
        append(1, b"milk");
        let end = log.last_position().unwrap();
        append(1, b"bread");
        append(2, b"wine");
        for name in ["0000000000000002.cut-off", "0000000000000002-2.cut-off"] {
            let mut tail = log.tail(Lsn::new(2)).unwrap();
            assert_eq!(put_aside(&storage, (end, Epoch::new(3)), &mut tail).unwrap(), name);
            let bytes = std::fs::read(home.path().join(name)).unwrap();
            let (head, mut rest) = bytes.split_at(32);
            assert_eq!(&head[..12], START);
            assert_eq!(head[12..16], end.checksum.to_le_bytes());
            let (mut position, mut texts) = (end, Vec::new());
            while let Some((length, behind)) = rest.split_first_chunk() {
                let (frame, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
                let Ok(ToFollower::Batches(frame)) = ToFollower::decode(frame) else { panic!("no batches") };
                for batch in frame.batches {
                    assert!(batch.follows(position));
                    position = batch.end();
                    texts.extend(batch.records().map(|record| record.payload.to_vec()));
                }
                rest = behind;
            }
            assert_eq!(texts, [b"bread".to_vec(), b"wine".to_vec()]);
            assert_eq!(Some(position), log.last_position());
        }
    }
}
