//! Opening a file, and finding out who writes into it now.

use alloc::borrow::ToOwned;
use core::marker::PhantomData;
use std::path::Path;

use ::redb::Database;
use crdt_core::{Limits, ReplicaId};
use serde::{Deserialize, Serialize};

use super::error::OpenError;
use super::identity::{self, Minted};
use super::meta::{LAYOUT, Meta};
use super::{RedbBackend, begin};

/// When a batch becomes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FsyncPolicy {
    /// Before [`apply`](crate::Backend::apply) returns.
    #[default]
    EveryBatch,
    /// With the next [`sync`](RedbBackend::sync). A crash takes the store back to the last one, so an
    /// open after it mints a new identity.
    OnDemand,
}

/// How to open a store.
#[derive(Clone, Copy, Debug)]
pub struct RedbOptions {
    pub(super) fresh: ReplicaId,
    pub(super) fsync: FsyncPolicy,
    pub(super) restored: bool,
    pub(super) limits: Limits,
}

impl RedbOptions {
    /// The default, with an id that was never used before. It is taken only if the store needs one.
    pub fn new(fresh: ReplicaId) -> Self {
        Self { fresh, fsync: FsyncPolicy::default(), restored: false, limits: Limits::DEFAULT }
    }

    /// When batches become durable.
    pub fn fsync(mut self, policy: FsyncPolicy) -> Self {
        self.fsync = policy;
        self
    }

    /// Says that the file came from a backup or from another machine's disk. Say so whenever it did: not
    /// every such file can be told from the original.
    pub fn restored(mut self) -> Self {
        self.restored = true;
        self
    }

    /// The bounds on one stored state.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// What was found when a store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Who writes into the store from now on.
    pub replica: ReplicaId,
    /// Whether that is somebody new, and why.
    pub minted: Option<Minted>,
    /// Whether the store had been [closed](RedbBackend::close), or is new.
    pub was_closed: bool,
}

impl<S> RedbBackend<S> {
    /// Opens the file at `path`, which is made if there is none, and locks it against everybody else.
    ///
    /// A store goes on under the [`ReplicaId`] it has, unless it may have lost writes that others know
    /// of, or may be one of two copies. Then it takes the fresh one of the options, and `Opened` says
    /// so; its feed of changes starts over, too. That is so when
    ///
    /// - the options say that it was [restored](RedbOptions::restored);
    /// - the file lies somewhere else than it did, or the note beside it (`<file>.opens`) is missing, is
    ///   another store's, or knows of more opens than the file: it was copied or put back;
    /// - it was not closed and was open under [`FsyncPolicy::OnDemand`].
    ///
    /// Two copies look like the original: a whole machine or disk that was put back or cloned, and a
    /// file overwritten, in place, by a copy of it made since it was last opened. There
    /// [`restored`](RedbOptions::restored) has to be said.
    pub fn open(path: impl AsRef<Path>, options: RedbOptions) -> Result<(Self, Opened), OpenError> {
        let path = path.as_ref();
        let database = Database::create(path).map_err(|error| OpenError::of_engine(path, error))?;
        let found = read_meta(path, &database)?;
        let place = identity::place(path)?;
        let note = identity::Note::read(path)?;

        let because = identity::why_mint(found.as_ref(), place, note, options.restored);
        let meta = match (found, because) {
            (None, _) => Meta::new(options.fresh),
            (Some(meta), None) => meta,
            (Some(meta), Some(_)) if meta.replica == options.fresh => {
                return Err(OpenError::NotFresh { replica: options.fresh });
            }
            (Some(meta), Some(_)) => meta.reincarnated(options.fresh),
        };
        let meta = Meta {
            opens: meta.opens.saturating_add(1),
            note_before: note,
            place,
            open_under: Some(options.fsync),
            ..meta
        };

        let transaction = begin(&database, FsyncPolicy::EveryBatch)?;
        meta.found(&transaction)?;
        transaction.commit().map_err(super::RedbError::from)?;
        // After the file: a crash in between leaves the note one behind, which is in order.
        identity::Note::of(&meta).write(path)?;

        let opened = Opened {
            replica: meta.replica,
            minted: because.map(|because| Minted { because, before: found.map(|found| found.replica) }),
            was_closed: found.is_none_or(|found| found.open_under.is_none()),
        };
        let backend = Self {
            database,
            path: path.to_owned(),
            fsync: options.fsync,
            limits: options.limits,
            meta,
            states: PhantomData,
        };
        Ok((backend, opened))
    }
}

/// What a file says about itself, if it is a store of this layout or new.
pub(super) fn read_meta(path: &Path, database: &Database) -> Result<Option<Meta>, OpenError> {
    match Meta::read(database)? {
        Some(meta) if meta.layout != LAYOUT => {
            Err(OpenError::UnsupportedLayout { found: meta.layout, supported: LAYOUT })
        }
        None if !is_empty(database)? => Err(OpenError::Foreign { path: path.into() }),
        meta => Ok(meta),
    }
}

fn is_empty(database: &Database) -> Result<bool, super::RedbError> {
    use ::redb::ReadableDatabase;
    let transaction = database.begin_read()?;
    Ok(transaction.list_tables()?.next().is_none())
}
