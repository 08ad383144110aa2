//! Telling the original from a copy: the note beside the file, and where the file lies.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches the disk")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crdt_core::codec::{decode_payload, encode_payload};
use crdt_core::{Limits, ReplicaId};
use serde::{Deserialize, Serialize};

use super::error::OpenError;
use super::meta::Meta;
use super::open::FsyncPolicy;

/// A store took a new identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minted {
    /// Why.
    pub because: MintReason,
    /// Whom it replaces. That id must write nowhere any more.
    pub before: Option<ReplicaId>,
}

/// Why a store took a new identity.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MintReason {
    /// It had none yet.
    NewStore,
    /// The caller says that it was restored.
    Restored,
    /// It is older than its own note: somebody put it back.
    OlderThanNote,
    /// It lies somewhere else, or has no note of its own: it was copied or moved.
    Copied,
    /// It was not closed, and what was not durable yet is lost.
    Crashed,
}

/// Why this store must not go on under the identity it has, if it must not.
pub(super) fn why_mint(
    found: Option<&Meta>,
    place: Option<(u64, u64)>,
    note: Option<Note>,
    restored: bool,
) -> Option<MintReason> {
    let Some(meta) = found else { return Some(MintReason::NewStore) };
    if restored {
        return Some(MintReason::Restored);
    }
    if note.is_some_and(|note| note.replica == meta.replica && note.opens > meta.opens) {
        return Some(MintReason::OlderThanNote);
    }
    // The older one is there if the last open crashed before it wrote its own, none if that was the first.
    let is_older = note == meta.note_before && (note.is_some() || meta.opens <= 1);
    let is_own = note == Some(Note::of(meta)) || is_older;
    if !is_own || meta.place != place {
        return Some(MintReason::Copied);
    }
    (meta.open_under == Some(FsyncPolicy::OnDemand)).then_some(MintReason::Crashed)
}

/// What lies beside the file: how often it was opened, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) replica: ReplicaId,
    pub(super) opens: u64,
}

impl Note {
    pub(super) fn of(meta: &Meta) -> Self {
        Self { replica: meta.replica, opens: meta.opens }
    }

    /// A note that cannot be made sense of is no note.
    pub(super) fn read(store: &Path) -> Result<Option<Self>, OpenError> {
        let path = beside(store, "opens");
        match fs::read(&path) {
            Ok(bytes) => Ok(decode_payload(&bytes, &Limits::DEFAULT).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenError::Io { path, error }),
        }
    }

    /// Replaces the note as a whole and durably.
    pub(super) fn write(&self, store: &Path) -> Result<(), OpenError> {
        let (path, draft) = (beside(store, "opens"), beside(store, "opens.new"));
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(&encode_payload(self))?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            sync_folder(&path)
        };
        write().map_err(|error| OpenError::Io { path: path.clone(), error })
    }
}

/// The path of a file beside the store.
fn beside(store: &Path, extension: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
}

#[cfg(unix)]
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere folders cannot be synced, and the file system's own ordering is relied upon.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Which file this is, as the operating system counts them.
#[cfg(unix)]
pub(super) fn place(path: &Path) -> Result<Option<(u64, u64)>, OpenError> {
    use std::os::unix::fs::MetadataExt;
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) => Err(OpenError::Io { path: path.into(), error }),
    }
}

#[cfg(not(unix))]
pub(super) fn place(_: &Path) -> Result<Option<(u64, u64)>, OpenError> {
    Ok(None)
}

/// Takes the place of a copy, which must be free.
pub(super) fn claim(path: &Path) -> Result<File, OpenError> {
    File::options().read(true).write(true).create_new(true).open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => OpenError::Occupied { path: path.into() },
        _ => OpenError::Io { path: path.into(), error },
    })
}

/// Leaves nothing of a copy that failed.
pub(super) fn discard(path: &Path) {
    // What matters is why the copy failed.
    let _ = fs::remove_file(path);
}

/// Makes the name of a new file durable.
pub(super) fn settle(path: &Path) -> Result<(), OpenError> {
    sync_folder(path).map_err(|error| OpenError::Io { path: path.into(), error })
}
