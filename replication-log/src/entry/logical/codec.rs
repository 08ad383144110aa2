//! Entries as bytes. `docs/formats.md` draws them.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    Before, Cell, Change, CollectionId, Column, ColumnId, ColumnType, Entry, FORMAT_VERSIONS, LogicalEntry,
    Malformed, ReplicaIdentity, Row, Schema, SchemaChange, SchemaError, SchemaId, TotalF64, Value,
    bytes::{Ascending, Input, put_blob, put_count, put_number, put_signed, within},
};
use crate::limits::{MAX_COLUMN_NAME_BYTES, MAX_COLUMNS, MAX_KEY_BYTES, MAX_RECORD_BYTES};

const UPSERT: u8 = 1;
const UPDATE: u8 = 2;
const DELETE: u8 = 3;
const DELTA: u8 = 4;
const SCHEMA: u8 = 5;
/// In the kind of an entry: whoever does not know it may pass it over.
const OPTIONAL: u8 = 0x80;

const LAST: u8 = 1;
const OLD_KEY: u8 = 2;
const BEFORE: u8 = 0x0c;
const ABSENT: u8 = 0x04;
const PARTIAL: u8 = 0x08;
const WHOLE: u8 = 0x0c;

const NULLABLE: u8 = 1;
const DEFAULT: u8 = 2;

/// A record's payload, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// What it says; nothing if it is optional and of a newer version than this build knows.
    pub entry: Option<Entry>,
    /// Whether it ends its transaction.
    pub last: bool,
}

/// Why a payload is no entry. Nothing was done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The bytes are none that this crate writes.
    #[error("malformed entry: {0}")]
    Malformed(#[from] Malformed),
    /// The entry is required and of a version that this build does not read.
    #[error("entry of kind {kind} has format version {found}, this build reads up to {supported}")]
    UnsupportedVersion {
        /// The version it states.
        found: u8,
        /// The highest version this build reads.
        supported: u8,
        /// What kind of entry it is.
        kind: u8,
    },
    /// The entry holds columns that are no schema.
    #[error("malformed schema: {0}")]
    Schema(#[from] SchemaError),
}

impl Entry {
    /// The entry as a record's payload; `last` tells that it ends its transaction. O(bytes).
    ///
    /// ```
    /// use replication_log::entry::logical::{Before, Change, CollectionId, Decoded, Entry};
    /// use replication_log::entry::logical::{LogicalEntry, SchemaId};
    ///
    /// let gone = Entry::Row(LogicalEntry {
    ///     schema: SchemaId(7),
    ///     version: 1,
    ///     collection: CollectionId(1),
    ///     key: b"milk".to_vec(),
    ///     old_key: None,
    ///     before: Before::Unknown,
    ///     change: Change::Delete,
    /// });
    /// let bytes = gone.encode(true)?;
    /// assert_eq!(bytes, b"\x01\x03\x01\x01\x07\x01\x04milk");
    /// assert_eq!(Entry::decode(&bytes)?, Decoded { entry: Some(gone), last: true });
    /// # Ok::<(), replication_log::entry::logical::EntryError>(())
    /// ```
    pub fn encode(&self, last: bool) -> Result<Vec<u8>, EntryError> {
        let last = if last { LAST } else { 0 };
        let mut bytes = Vec::new();
        match self {
            Self::Row(entry) => {
                entry.check()?;
                bytes.extend_from_slice(&[FORMAT_VERSIONS.min, kind_of(&entry.change), last | flags(entry)]);
                put_entry(&mut bytes, entry);
            }
            Self::Schema(SchemaChange { collection, schema }) => {
                bytes.extend_from_slice(&[FORMAT_VERSIONS.min, SCHEMA, last]);
                put_number(&mut bytes, collection.0);
                put_schema(&mut bytes, schema);
            }
        }
        within(bytes.len(), MAX_RECORD_BYTES, "bytes of an entry")?;
        Ok(bytes)
    }

    /// Reads an entry back. Accepts only what [`encode`](Entry::encode) writes, and allocates a
    /// small multiple of the bytes that are there.
    pub fn decode(bytes: &[u8]) -> Result<Decoded, EntryError> {
        let mut input = Input::new(bytes);
        let [version, kind, flags] = input.array()?;
        let last = flags & LAST != 0;
        if version < FORMAT_VERSIONS.min {
            return Err(Malformed::Tag(version).into());
        }
        if version > FORMAT_VERSIONS.max {
            return if kind & OPTIONAL != 0 {
                Ok(Decoded { entry: None, last })
            } else {
                Err(EntryError::UnsupportedVersion { found: version, supported: FORMAT_VERSIONS.max, kind })
            };
        }
        let collection = CollectionId(input.number()?);
        let entry = match kind {
            UPSERT | UPDATE | DELETE | DELTA => {
                take_entry(&mut input, collection, kind, flags & !LAST)?.into()
            }
            SCHEMA if flags & !LAST == 0 => {
                SchemaChange { collection, schema: take_schema(&mut input)? }.into()
            }
            SCHEMA => return Err(Malformed::Tag(flags).into()),
            _ => return Err(Malformed::Tag(kind).into()),
        };
        input.end()?;
        Ok(Decoded { entry: Some(entry), last })
    }
}

const fn kind_of(change: &Change) -> u8 {
    match change {
        Change::Upsert(_) => UPSERT,
        Change::Update(_) => UPDATE,
        Change::Delete => DELETE,
        Change::Delta { .. } => DELTA,
    }
}

const fn flags(entry: &LogicalEntry) -> u8 {
    let before = match entry.before {
        Before::Unknown => 0,
        Before::Absent => ABSENT,
        Before::Partial(_) => PARTIAL,
        Before::Whole(_) => WHOLE,
    };
    if entry.old_key.is_some() { before | OLD_KEY } else { before }
}

fn put_entry(bytes: &mut Vec<u8>, entry: &LogicalEntry) {
    put_number(bytes, entry.collection.0);
    put_number(bytes, entry.schema.0);
    put_number(bytes, entry.version.into());
    put_blob(bytes, &entry.key);
    if let Some(old_key) = &entry.old_key {
        put_blob(bytes, old_key);
    }
    if let Before::Partial(row) | Before::Whole(row) = &entry.before {
        put_row(bytes, row);
    }
    match &entry.change {
        Change::Upsert(row) | Change::Update(row) => put_row(bytes, row),
        Change::Delete => {}
        Change::Delta { tag, bytes: delta } => {
            put_number(bytes, (*tag).into());
            bytes.extend_from_slice(delta);
        }
    }
}

fn take_entry(
    input: &mut Input<'_>,
    collection: CollectionId,
    kind: u8,
    flags: u8,
) -> Result<LogicalEntry, Malformed> {
    if flags & !(OLD_KEY | BEFORE) != 0 {
        return Err(Malformed::Tag(flags));
    }
    let schema = SchemaId(input.number()?);
    let version = input.number_u32()?;
    let key = input.blob(MAX_KEY_BYTES, "bytes of a key")?.to_vec();
    let old_key = match flags & OLD_KEY {
        0 => None,
        _ => Some(input.blob(MAX_KEY_BYTES, "bytes of a key")?.to_vec()),
    };
    let before = match flags & BEFORE {
        ABSENT => Before::Absent,
        PARTIAL => Before::Partial(take_row(input)?),
        WHOLE => Before::Whole(take_row(input)?),
        _ => Before::Unknown,
    };
    let change = match kind {
        UPSERT => Change::Upsert(take_row(input)?),
        UPDATE => Change::Update(take_row(input)?),
        DELETE => Change::Delete,
        _ => Change::Delta { tag: input.number_u32()?, bytes: input.rest().to_vec() },
    };
    let entry = LogicalEntry { schema, version, collection, key, old_key, before, change };
    entry.check()?;
    Ok(entry)
}

fn put_row(bytes: &mut Vec<u8>, row: &Row) {
    put_count(bytes, row.len());
    let mut columns = Ascending::default();
    for (column, cell) in row.cells() {
        columns.put(bytes, column.0.into());
        match cell {
            Cell::Value(value) => put_value(bytes, value),
            Cell::Null | Cell::Unchanged => bytes.push(0),
        }
    }
}

fn take_row(input: &mut Input<'_>) -> Result<Row, Malformed> {
    let mut row = Row::new();
    let mut columns = Ascending::default();
    for _ in 0..input.count(MAX_COLUMNS, "columns")? {
        let column = ColumnId(columns.take_u32(input)?);
        let cell = match input.byte()? {
            0 => Cell::Null,
            tag => Cell::Value(take_value(input, tag)?),
        };
        row.set(column, cell);
    }
    Ok(row)
}

pub(crate) fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => bytes.push(1 + u8::from(*value)),
        Value::I64(value) => {
            bytes.push(3);
            put_signed(bytes, *value);
        }
        Value::U64(value) => {
            bytes.push(4);
            put_number(bytes, *value);
        }
        Value::F64(value) => {
            bytes.push(5);
            bytes.extend_from_slice(&value.0.to_bits().to_le_bytes());
        }
        Value::Text(value) => {
            bytes.push(6);
            put_blob(bytes, value.as_bytes());
        }
        Value::Bytes(value) => {
            bytes.push(7);
            put_blob(bytes, value);
        }
        Value::Timestamp(value) => {
            bytes.push(8);
            put_signed(bytes, *value);
        }
    }
}

pub(crate) fn take_value(input: &mut Input<'_>, tag: u8) -> Result<Value, Malformed> {
    match tag {
        1 | 2 => Ok(Value::Bool(tag == 2)),
        3 => input.signed().map(Value::I64),
        4 => input.number().map(Value::U64),
        5 => Ok(Value::F64(TotalF64(f64::from_bits(u64::from_le_bytes(input.array()?))))),
        6 => input.text(MAX_RECORD_BYTES, "bytes of text").map(Value::Text),
        7 => input.blob(MAX_RECORD_BYTES, "bytes").map(|bytes| Value::Bytes(bytes.to_vec())),
        8 => input.signed().map(Value::Timestamp),
        _ => Err(Malformed::Tag(tag)),
    }
}

fn put_schema(bytes: &mut Vec<u8>, schema: &Schema) {
    put_number(bytes, schema.id().0);
    put_number(bytes, schema.version().into());
    bytes.push(match schema.identity() {
        ReplicaIdentity::Key => 0,
        ReplicaIdentity::Full => 1,
    });
    put_count(bytes, schema.columns().len());
    let mut ids = Ascending::default();
    for column in schema.columns() {
        ids.put(bytes, column.id.0.into());
        put_blob(bytes, column.name.as_bytes());
        let nullable = if column.nullable { NULLABLE } else { 0 };
        let default = if column.default.is_some() { DEFAULT } else { 0 };
        bytes.extend_from_slice(&[type_code(column.column_type), nullable | default]);
        if let Some(value) = &column.default {
            put_value(bytes, value);
        }
    }
    put_count(bytes, schema.retired().len());
    let mut ids = Ascending::default();
    for column in schema.retired() {
        ids.put(bytes, column.0.into());
    }
}

fn take_schema(input: &mut Input<'_>) -> Result<Schema, EntryError> {
    let id = SchemaId(input.number()?);
    let version = input.number_u32()?;
    let identity = match input.byte()? {
        0 => ReplicaIdentity::Key,
        1 => ReplicaIdentity::Full,
        tag => return Err(Malformed::Tag(tag).into()),
    };
    let mut columns = Vec::new();
    let mut ids = Ascending::default();
    for _ in 0..input.count(MAX_COLUMNS, "columns")? {
        let id = ColumnId(ids.take_u32(input)?);
        columns.push(take_column(input, id)?);
    }
    let mut retired = BTreeSet::new();
    let mut ids = Ascending::default();
    for _ in 0..input.count(MAX_COLUMNS, "retired columns")? {
        retired.insert(ColumnId(ids.take_u32(input)?));
    }
    Ok(Schema::with_retired(id, version, identity, columns, retired)?)
}

fn take_column(input: &mut Input<'_>, id: ColumnId) -> Result<Column, Malformed> {
    let name = input.text(MAX_COLUMN_NAME_BYTES, "bytes of a column name")?;
    let [code, flags] = input.array()?;
    let column_type = type_of(code)?;
    if flags & !(NULLABLE | DEFAULT) != 0 {
        return Err(Malformed::Tag(flags));
    }
    let default = if flags & DEFAULT == 0 {
        None
    } else {
        let tag = input.byte()?;
        Some(take_value(input, tag)?)
    };
    Ok(Column { id, name, column_type, nullable: flags & NULLABLE != 0, default })
}

const fn type_code(column_type: ColumnType) -> u8 {
    match column_type {
        ColumnType::Bool => 1,
        ColumnType::I64 => 3,
        ColumnType::U64 => 4,
        ColumnType::F64 => 5,
        ColumnType::Text => 6,
        ColumnType::Bytes => 7,
        ColumnType::Timestamp => 8,
    }
}

const fn type_of(code: u8) -> Result<ColumnType, Malformed> {
    match code {
        1 => Ok(ColumnType::Bool),
        3 => Ok(ColumnType::I64),
        4 => Ok(ColumnType::U64),
        5 => Ok(ColumnType::F64),
        6 => Ok(ColumnType::Text),
        7 => Ok(ColumnType::Bytes),
        8 => Ok(ColumnType::Timestamp),
        _ => Err(Malformed::Tag(code)),
    }
}
