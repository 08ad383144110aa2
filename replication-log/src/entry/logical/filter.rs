//! Streams that show a follower a part of the rows.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    Before, Change, CollectionId, ColumnId, Entry, LogicalEntry, Malformed, Operation, Predicate,
    ReplicaIdentity, Row, SchemaChange, Transaction,
    bytes::{Ascending, Input, put_count},
};
use crate::{
    Lsn,
    limits::{MAX_COLUMNS, MAX_FILTER_RULES},
};

/// The version of a filter's encoding.
const VERSION: u8 = 1;
const COLUMNS: u8 = 0x10;
const PREDICATE: u8 = 0x20;

/// A set of operations.
///
/// ```
/// use replication_log::entry::logical::{Operation, Operations};
///
/// let growing = Operations::ALL.without(Operation::Delete);
/// assert!(growing.contains(Operation::Upsert) && !growing.contains(Operation::Delete));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations(u8);

impl Operations {
    /// All of them.
    pub const ALL: Self = Self(0x0f);
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These and `operation`.
    pub const fn with(self, operation: Operation) -> Self {
        Self(self.0 | 1 << operation as u8)
    }

    /// These but `operation`.
    pub const fn without(self, operation: Operation) -> Self {
        Self(self.0 & !(1 << operation as u8))
    }

    /// Whether `operation` is among them.
    pub const fn contains(self, operation: Operation) -> bool {
        self.0 & 1 << operation as u8 != 0
    }
}

/// What a stream shows of one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which operations, as the writer performed them. What a predicate makes of an operation goes
    /// with it: an update that moves a row out of sight arrives as a delete also where deletes are
    /// not shown.
    pub operations: Operations,
    /// Which rows; all of them if there is none. It may read columns that are not shown.
    pub predicate: Option<Predicate>,
    /// Which columns; all of them if there is no list. Keys are always shown.
    pub columns: Option<BTreeSet<ColumnId>>,
}

impl Rule {
    /// Everything.
    pub const fn all() -> Self {
        Self { operations: Operations::ALL, predicate: None, columns: None }
    }

    /// Rows for which `predicate` is true.
    pub fn rows(self, predicate: Predicate) -> Self {
        Self { predicate: Some(predicate), ..self }
    }

    /// These operations.
    pub fn operations(self, operations: Operations) -> Self {
        Self { operations, ..self }
    }

    /// These columns.
    pub fn columns(self, columns: impl IntoIterator<Item = ColumnId>) -> Self {
        Self { columns: Some(columns.into_iter().collect()), ..self }
    }
}

/// What a stream shows of each collection.
///
/// A filtered stream keeps one promise: whoever applies it has, of each collection whose operations
/// are all shown, exactly the rows for which the predicate is true. A row that an update moves out
/// of the predicate therefore arrives as a delete, and one that it moves in as an upsert of the
/// whole row, as in `PostgreSQL`'s publications. Where the writer does not tell what the row was
/// before, a change that leaves it outside the predicate arrives as a delete, which is nothing new
/// to a follower that does not have the row, and one that needs the old row is an error.
///
/// Rows are judged when they are written: adding a column, with a default that makes rows pass which
/// did not, moves none of them. A follower whose predicate reads a new column starts anew.
///
/// ```
/// use replication_log::Lsn;
/// use replication_log::entry::logical::{
///     Before, Change, CollectionId, ColumnId, Comparison, Entry, Filter, LogicalEntry, Predicate, Row,
///     Rule, SchemaId, Transaction,
/// };
///
/// let (goods, price) = (CollectionId(1), ColumnId(2));
/// let cheap = Predicate::compare(price, Comparison::Less, 100_i64);
/// let filter = Filter::nothing().with(goods, Rule::all().rows(cheap))?;
///
/// let dearer = LogicalEntry {
///     schema: SchemaId(7),
///     version: 1,
///     collection: goods,
///     key: b"milk".to_vec(),
///     old_key: None,
///     before: Before::Whole(Row::new().with(price, 99_i64)),
///     change: Change::Update(Row::new().with(price, 120_i64)),
/// };
/// let transaction = Transaction::numbered(Lsn::FIRST, vec![dearer.into()]).expect("one entry");
/// let shown = filter.apply(&transaction)?;
/// let Entry::Row(entry) = &shown.entries()[0].1 else { panic!("a row changed") };
/// assert_eq!(entry.change, Change::Delete, "it is not cheap any more");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    rules: BTreeMap<CollectionId, Rule>,
    /// Whether collections without a rule are shown.
    others: bool,
}

impl Filter {
    /// Shows everything of which no rule says otherwise.
    pub const fn everything() -> Self {
        Self { rules: BTreeMap::new(), others: true }
    }

    /// Shows only collections that have a rule.
    pub const fn nothing() -> Self {
        Self { rules: BTreeMap::new(), others: false }
    }

    /// Shows of `collection` what `rule` says.
    pub fn with(mut self, collection: CollectionId, rule: Rule) -> Result<Self, Malformed> {
        self.rules.insert(collection, rule);
        super::bytes::within(self.rules.len(), MAX_FILTER_RULES, "rules of a filter")?;
        let columns = self.rules.get(&collection).and_then(|rule| rule.columns.as_ref());
        super::bytes::within(columns.map_or(0, BTreeSet::len), MAX_COLUMNS, "columns")?;
        Ok(self)
    }

    /// What is shown of a transaction. It covers the same records, also when no entry is left.
    /// O(bytes), and O(nodes of the predicate) for each row.
    pub fn apply(&self, transaction: &Transaction) -> Result<Transaction, FilterError> {
        let mut entries = Vec::new();
        for (lsn, entry) in &transaction.entries {
            entries.extend(self.shown(*lsn, entry)?.map(|entry| (*lsn, entry)));
        }
        Ok(Transaction { entries, ..*transaction })
    }

    fn shown(&self, lsn: Lsn, entry: &Entry) -> Result<Option<Entry>, FilterError> {
        let Some(rule) = self.rules.get(&entry.collection()) else {
            return Ok(self.others.then(|| entry.clone()));
        };
        match entry {
            Entry::Schema(change) => Ok(Some(rule.projected_schema(change).into())),
            Entry::Row(entry) if !rule.operations.contains(entry.change.operation()) => Ok(None),
            Entry::Row(entry) => {
                let shown = match &rule.predicate {
                    Some(predicate) => restricted(predicate, lsn, entry)?,
                    None => Some(entry.clone()),
                };
                Ok(shown.and_then(|entry| rule.projected(entry)).map(Entry::Row))
            }
        }
    }

    /// The filter as bytes, to be sent to whoever applies it. O(bytes).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = [VERSION, self.others.into()].to_vec();
        put_count(&mut bytes, self.rules.len());
        let mut collections = Ascending::default();
        for (collection, rule) in &self.rules {
            collections.put(&mut bytes, collection.0);
            let columns = if rule.columns.is_some() { COLUMNS } else { 0 };
            let predicate = if rule.predicate.is_some() { PREDICATE } else { 0 };
            bytes.push(rule.operations.0 | columns | predicate);
            if let Some(columns) = &rule.columns {
                put_count(&mut bytes, columns.len());
                let mut ids = Ascending::default();
                for column in columns {
                    ids.put(&mut bytes, column.0.into());
                }
            }
            if let Some(predicate) = &rule.predicate {
                predicate.put(&mut bytes);
            }
        }
        bytes
    }

    /// Reads a filter back. Accepts only what [`encode`](Filter::encode) writes, and allocates a
    /// small multiple of the bytes that are there.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input::new(bytes);
        let others = match input.array()? {
            [VERSION, others @ (0 | 1)] => others == 1,
            [VERSION, tag] | [tag, _] => return Err(Malformed::Tag(tag)),
        };
        let mut rules = BTreeMap::new();
        let mut collections = Ascending::default();
        for _ in 0..input.count(MAX_FILTER_RULES, "rules of a filter")? {
            let collection = CollectionId(collections.take(&mut input)?);
            rules.insert(collection, take_rule(&mut input)?);
        }
        input.end()?;
        Ok(Self { rules, others })
    }
}

fn take_rule(input: &mut Input<'_>) -> Result<Rule, Malformed> {
    let flags = input.byte()?;
    if flags & !(Operations::ALL.0 | COLUMNS | PREDICATE) != 0 {
        return Err(Malformed::Tag(flags));
    }
    let mut rule = Rule::all().operations(Operations(flags & Operations::ALL.0));
    if flags & COLUMNS != 0 {
        let mut columns = BTreeSet::new();
        let mut ids = Ascending::default();
        for _ in 0..input.count(MAX_COLUMNS, "columns")? {
            columns.insert(ColumnId(ids.take_u32(input)?));
        }
        rule.columns = Some(columns);
    }
    if flags & PREDICATE != 0 {
        rule.predicate = Some(Predicate::take(input)?);
    }
    Ok(rule)
}

impl Rule {
    fn shows(&self, column: ColumnId) -> bool {
        self.columns.as_ref().is_none_or(|columns| columns.contains(&column))
    }

    fn projected_schema(&self, change: &SchemaChange) -> SchemaChange {
        SchemaChange {
            collection: change.collection,
            schema: change.schema.project(|column| self.shows(column)),
        }
    }

    /// The entry with the columns that are shown; nothing if it changed only others.
    fn projected(&self, mut entry: LogicalEntry) -> Option<LogicalEntry> {
        if self.columns.is_none() {
            return Some(entry);
        }
        let cut = |row: &mut Row| *row = row.project(|column| self.shows(column));
        if let Before::Partial(row) | Before::Whole(row) = &mut entry.before {
            cut(row);
        }
        if let Change::Upsert(row) | Change::Update(row) = &mut entry.change {
            cut(row);
        }
        let nothing_left = matches!(&entry.change, Change::Update(row) if row.is_empty());
        (!nothing_left || entry.old_key.is_some()).then_some(entry)
    }
}

/// What is left of a change for a follower that has the rows for which `predicate` is true.
fn restricted(
    predicate: &Predicate,
    lsn: Lsn,
    entry: &LogicalEntry,
) -> Result<Option<LogicalEntry>, FilterError> {
    let collection = entry.collection;
    let before = match &entry.before {
        Before::Unknown => None,
        Before::Absent => Some(false),
        Before::Partial(row) => predicate.passes_partial(row),
        Before::Whole(row) => Some(predicate.passes(row)),
    };
    let after = match &entry.change {
        Change::Delta { .. } => return Err(FilterError::DeltaUnderPredicate { lsn, collection }),
        Change::Delete => Some(false),
        Change::Upsert(row) => Some(predicate.passes(row)),
        Change::Update(cells) => match &entry.before {
            Before::Whole(row) => Some(predicate.passes(&updated(row, cells))),
            Before::Partial(row) => predicate.passes_partial(&updated(row, cells)),
            Before::Unknown | Before::Absent => predicate.passes_partial(cells),
        },
    };
    match (before, after, &entry.change) {
        (Some(false), Some(false), _) => Ok(None),
        (_, Some(false), _) => Ok(Some(moved_out(entry))),
        (Some(false), Some(true), Change::Upsert(row)) => Ok(Some(moved_in(entry, row.clone()))),
        (_, Some(true), Change::Upsert(_)) | (Some(true), Some(true), _) => Ok(Some(entry.clone())),
        (Some(false), Some(true), Change::Update(cells)) => match &entry.before {
            Before::Whole(row) => Ok(Some(moved_in(entry, updated(row, cells)))),
            _ => Err(FilterError::needs_old_row(lsn, collection)),
        },
        _ => Err(FilterError::needs_old_row(lsn, collection)),
    }
}

fn updated(row: &Row, cells: &Row) -> Row {
    let mut row = row.clone();
    row.overlay(cells);
    row
}

/// The row that the follower may have is not one of its rows any more.
fn moved_out(entry: &LogicalEntry) -> LogicalEntry {
    let before = match &entry.before {
        // A row that moved away from another key: what was under the new key is not told.
        Before::Absent => Before::Unknown,
        before => before.clone(),
    };
    LogicalEntry {
        key: entry.old_key.as_ref().unwrap_or(&entry.key).clone(),
        old_key: None,
        before,
        change: Change::Delete,
        ..*entry
    }
}

/// The row was not one of the follower's until now.
fn moved_in(entry: &LogicalEntry, row: Row) -> LogicalEntry {
    LogicalEntry {
        key: entry.key.clone(),
        old_key: None,
        before: Before::Absent,
        change: Change::Upsert(row),
        ..*entry
    }
}

/// Why a transaction cannot be shown. It was shown neither in whole nor in part; the stream stands
/// before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// Whether a row passes, or what a row that begins to pass holds, depends on columns that the
    /// writer does not tell.
    #[error(
        "entry {lsn} of collection {collection} cannot be filtered without the row as it was before; the \
         writer has to tell it ({needed})"
    )]
    NeedsOldRow {
        /// The entry.
        lsn: Lsn,
        /// Its collection.
        collection: CollectionId,
        /// What the writer has to tell.
        needed: ReplicaIdentity,
    },
    /// A predicate cannot look into a delta. Filter collections of CRDTs by operations only.
    #[error("entry {lsn} of collection {collection} is a CRDT delta, which no row predicate can judge")]
    DeltaUnderPredicate {
        /// The entry.
        lsn: Lsn,
        /// Its collection.
        collection: CollectionId,
    },
}

impl FilterError {
    const fn needs_old_row(lsn: Lsn, collection: CollectionId) -> Self {
        Self::NeedsOldRow { lsn, collection, needed: ReplicaIdentity::Full }
    }
}
