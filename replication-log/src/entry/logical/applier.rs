//! Applying a logical stream to where rows are kept.

use alloc::collections::BTreeMap;

use super::{
    Change, CollectionId, Entry, LogicalEntry, Mismatch, RegistryError, RowError, Schema, SchemaId,
    SchemaRegistry, Target, Transaction, UnknownColumns, translate::Translation,
};
use crate::Lsn;

/// Applies a logical stream to a [`Target`], each transaction once, between schema versions.
///
/// The writer's schemas come with the stream; the local ones are given here. A column that only the
/// local schema has keeps its value, or gets its default in a new row. One that the local schema
/// has removed is left out. Columns are the same if their ids are, whatever their names. Unchanged
/// columns keep the local value. Where that is not enough the applier stops before the transaction
/// with [`ApplyError::SchemaMismatch`], and goes on after [`upgrade`](LogicalApplier::upgrade).
///
/// ```
/// use replication_log::Lsn;
/// use replication_log::entry::logical::{
///     Before, Change, CollectionId, Column, ColumnId, ColumnType, LogicalApplier, LogicalEntry,
///     MemoryTarget, Outcome, ReplicaIdentity, Row, Schema, SchemaChange, SchemaId, SchemaRegistry,
///     Transaction,
/// };
///
/// let (goods, name) = (CollectionId(1), ColumnId(1));
/// let columns = vec![Column::new(name, "name", ColumnType::Text)];
/// let schema = Schema::new(SchemaId(7), 1, ReplicaIdentity::Key, columns)?;
/// let mut local = SchemaRegistry::new();
/// local.declare(goods, schema.clone())?;
/// let mut applier = LogicalApplier::new(MemoryTarget::new(), local);
///
/// let milk = LogicalEntry {
///     schema: schema.id(),
///     version: schema.version(),
///     collection: goods,
///     key: b"milk".to_vec(),
///     old_key: None,
///     before: Before::Unknown,
///     change: Change::Upsert(Row::new().with(name, "milk")),
/// };
/// let entries = vec![SchemaChange { collection: goods, schema }.into(), milk.into()];
/// let transaction = Transaction::numbered(Lsn::FIRST, entries).expect("two entries");
/// assert_eq!(applier.apply(&transaction)?, Outcome::Applied);
/// assert_eq!(applier.apply(&transaction)?, Outcome::AlreadyApplied);
/// assert_eq!(applier.target().rows(goods).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogicalApplier<T: Target> {
    target: T,
    local: SchemaRegistry,
    unknown: UnknownColumns,
    /// What the target says the writer declared; nothing when it has to be asked.
    writer: Option<SchemaRegistry>,
    /// How rows of the writer's present schemas become local ones, as far as it was needed.
    translations: BTreeMap<CollectionId, Translation>,
    skipped: u64,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied now.
    Applied,
    /// It had been applied before, and nothing was done.
    AlreadyApplied,
}

impl<T: Target> LogicalApplier<T> {
    /// Applies to `target`, whose rows have the `local` schemas.
    pub const fn new(target: T, local: SchemaRegistry) -> Self {
        Self {
            target,
            local,
            unknown: UnknownColumns::Refuse,
            writer: None,
            translations: BTreeMap::new(),
            skipped: 0,
        }
    }

    /// The applier, treating columns that the local schemas do not know like this.
    pub fn unknown_columns(self, unknown: UnknownColumns) -> Self {
        Self { unknown, translations: BTreeMap::new(), ..self }
    }

    /// Applies a transaction: all of it and its position, or nothing. O(bytes), times what the
    /// target needs for a row.
    ///
    /// A transaction that was applied before is passed over, so a stream may be sent again from any
    /// place. After an error the target is as it was before the transaction, unless it was the
    /// commit that failed; then it is as before or as after, and applying the transaction again
    /// finds out.
    pub fn apply(&mut self, transaction: &Transaction) -> Result<Outcome, ApplyError<T::Error>> {
        let applied = self.target.applied()?;
        let (first, last) = (transaction.first(), transaction.last());
        if last <= applied {
            return Ok(Outcome::AlreadyApplied);
        }
        match applied.next() {
            Some(wanted) if first > wanted => return Err(ApplyError::Gap { wanted, got: first }),
            Some(wanted) if first == wanted => {}
            _ => return Err(ApplyError::Overlap { applied, first, last }),
        }
        self.target.begin()?;
        let outcome = self.stage(transaction).and_then(|()| Ok(self.target.commit(last)?));
        if outcome.is_err() {
            self.target.rollback();
            self.writer = None;
            self.translations.clear();
        }
        outcome?;
        self.skipped = self.skipped.saturating_add(transaction.skipped());
        Ok(Outcome::Applied)
    }

    /// Takes note that the rows of `collection` have a later schema here now.
    ///
    /// Rows that are there already may be brought up to date by the target, with
    /// [`Schema::fitted`], at any time; an update does it for the row it changes.
    pub fn upgrade(&mut self, collection: CollectionId, schema: Schema) -> Result<(), RegistryError> {
        self.local.declare(collection, schema)?;
        self.translations.remove(&collection);
        Ok(())
    }

    /// Where the stream is applied to. Its position is [`Target::applied`].
    pub const fn target(&self) -> &T {
        &self.target
    }

    /// Gives the target back.
    pub fn into_target(self) -> T {
        self.target
    }

    /// How many records were applied that say nothing to this build: of another kind, or optional
    /// and of a newer version of the format.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn stage(&mut self, transaction: &Transaction) -> Result<(), ApplyError<T::Error>> {
        for (lsn, entry) in transaction.entries() {
            match entry {
                Entry::Schema(change) => self.declare(*lsn, change.collection, &change.schema)?,
                Entry::Row(entry) => self.change(*lsn, entry)?,
            }
        }
        Ok(())
    }

    fn declare(
        &mut self,
        lsn: Lsn,
        collection: CollectionId,
        schema: &Schema,
    ) -> Result<(), ApplyError<T::Error>> {
        let news = self
            .writer(lsn)?
            .declare(collection, schema.clone())
            .map_err(|error| ApplyError::Declaration { lsn, collection, error })?;
        if news {
            self.translations.remove(&collection);
            self.target.declare(collection, schema)?;
        }
        Ok(())
    }

    fn change(&mut self, lsn: Lsn, entry: &LogicalEntry) -> Result<(), ApplyError<T::Error>> {
        let (collection, key) = (entry.collection, entry.key.as_slice());
        self.check_against_writer(lsn, entry)?;
        self.prepare_translation(lsn, entry)?;
        let Some(translation) = self.translations.get(&collection) else {
            return Ok(());
        };
        let present_key = entry.old_key.as_deref().unwrap_or(key);
        let row = match &entry.change {
            Change::Upsert(row) => {
                let mut whole = translation.initial().clone();
                if !whole.is_empty() {
                    let present = self.target.get(collection, present_key)?.unwrap_or_default();
                    whole.overlay(&present.project(|column| translation.is_local_only(column)));
                }
                whole.overlay(&translation.translated(row));
                whole
            }
            Change::Update(cells) => {
                let present = self.target.get(collection, present_key)?;
                let present = present.ok_or(ApplyError::RowMissing { lsn, collection })?;
                let mut whole = self.local.get(collection).map_or(present.clone(), |s| s.fitted(&present));
                whole.overlay(&translation.translated(cells));
                whole
            }
            Change::Delete => return Ok(self.target.delete(collection, key)?),
            Change::Delta { tag, bytes } => return Ok(self.target.delta(collection, key, *tag, bytes)?),
        };
        if let Some(old_key) = &entry.old_key {
            self.target.delete(collection, old_key)?;
        }
        Ok(self.target.upsert(collection, key, row)?)
    }

    /// Whether the entry is what the schema that the writer declared says.
    fn check_against_writer(&mut self, lsn: Lsn, entry: &LogicalEntry) -> Result<(), ApplyError<T::Error>> {
        let collection = entry.collection;
        let declared = self.writer(lsn)?.get(collection);
        let Some(schema) = declared.filter(|s| (s.id(), s.version()) == (entry.schema, entry.version)) else {
            let declared = declared.map(|schema| (schema.id(), schema.version()));
            let stated = (entry.schema, entry.version);
            return Err(ApplyError::UnknownSchema { lsn, collection, stated, declared });
        };
        match &entry.change {
            Change::Upsert(row) => schema.check_row(row, true),
            Change::Update(row) => schema.check_row(row, false),
            Change::Delete | Change::Delta { .. } => Ok(()),
        }
        .map_err(|error| ApplyError::Row { lsn, collection, error })
    }

    fn prepare_translation(&mut self, lsn: Lsn, entry: &LogicalEntry) -> Result<(), ApplyError<T::Error>> {
        let collection = entry.collection;
        if self.translations.contains_key(&collection) {
            return Ok(());
        }
        let local = self.local.get(collection);
        let (version, why) = (entry.version, Mismatch::NoLocalSchema);
        let local_version = local.map(Schema::version);
        let mismatch = |why| ApplyError::SchemaMismatch { lsn, collection, version, local_version, why };
        let (Some(local), Some(writer)) = (local, self.writer.as_ref().and_then(|w| w.get(collection)))
        else {
            return Err(mismatch(why));
        };
        let translation = Translation::between(writer, local, self.unknown).map_err(mismatch)?;
        self.translations.insert(collection, translation);
        Ok(())
    }

    /// What the writer declared up to here.
    fn writer(&mut self, lsn: Lsn) -> Result<&mut SchemaRegistry, ApplyError<T::Error>> {
        if let Some(registry) = self.writer.take() {
            return Ok(self.writer.insert(registry));
        }
        let mut registry = SchemaRegistry::new();
        for (collection, schema) in self.target.declared()? {
            registry.declare(collection, schema).map_err(|error| ApplyError::Declaration {
                lsn,
                collection,
                error,
            })?;
        }
        Ok(self.writer.insert(registry))
    }
}

/// Why a transaction was not applied. The target is as it was before it, unless it was a commit of
/// the target that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError<E> {
    /// Transactions are missing in between. Ask for them.
    #[error("record {wanted} comes next, the transaction begins at {got}; nothing was applied")]
    Gap {
        /// The record that comes next.
        wanted: Lsn,
        /// Where the transaction begins.
        got: Lsn,
    },
    /// The transaction begins before what is applied and ends behind it: it is none of this stream.
    #[error("records up to {applied} are applied, the transaction is of {first} to {last}")]
    Overlap {
        /// The last record applied.
        applied: Lsn,
        /// Where the transaction begins.
        first: Lsn,
        /// Where it ends.
        last: Lsn,
    },
    /// Rows of the writer's schema are no rows of the local one. Upgrade the local schema and apply
    /// the transaction again.
    #[error(
        "entry {lsn} has version {version} of the schema of collection {collection}, which does not become \
         a local row: {why}; nothing was applied"
    )]
    SchemaMismatch {
        /// The entry.
        lsn: Lsn,
        /// Its collection.
        collection: CollectionId,
        /// The writer's version of the schema.
        version: u32,
        /// The local version, if there is a schema.
        local_version: Option<u32>,
        /// What does not fit.
        why: Mismatch,
    },
    /// The entry was written with another schema than the stream declared last.
    #[error("entry {lsn} of collection {collection} has a schema that was not declared; nothing was applied")]
    UnknownSchema {
        /// The entry.
        lsn: Lsn,
        /// Its collection.
        collection: CollectionId,
        /// The schema and version that the entry states.
        stated: (SchemaId, u32),
        /// The schema and version that were declared last.
        declared: Option<(SchemaId, u32)>,
    },
    /// The stream declares a schema that cannot follow the one before.
    #[error("entry {lsn} declares a schema of collection {collection} that cannot be: {error}")]
    Declaration {
        /// The entry.
        lsn: Lsn,
        /// Its collection.
        collection: CollectionId,
        /// What is wrong with the schema.
        #[source]
        error: RegistryError,
    },
    /// The row is none of the schema that the entry states. The writer is at fault.
    #[error("entry {lsn} of collection {collection} is none of its schema: {error}; nothing was applied")]
    Row {
        /// The entry.
        lsn: Lsn,
        /// Its collection.
        collection: CollectionId,
        /// What is wrong with the row.
        #[source]
        error: RowError,
    },
    /// An update finds no row here, so this is no copy of what the writer has.
    #[error("entry {lsn} updates a row of collection {collection} that is not here; nothing was applied")]
    RowMissing {
        /// The entry.
        lsn: Lsn,
        /// Its collection.
        collection: CollectionId,
    },
    /// The target failed.
    #[error("the target failed: {0}")]
    Target(#[from] E),
}
