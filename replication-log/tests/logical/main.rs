//! Logical streams: what a follower is shown of a log, and what it makes of it.

mod applying;
mod failing;
mod filtering;
mod format;
mod model;
mod predicates;
mod schemas;
mod versions;

use replication_log::{
    Lsn,
    entry::logical::{
        Before, Change, CollectionId, Column, ColumnId, ColumnType, Entry, LogicalApplier, LogicalEntry,
        MemoryTarget, ReplicaIdentity, Row, Schema, SchemaChange, SchemaId, SchemaRegistry, Transaction,
    },
};

pub(crate) const GOODS: CollectionId = CollectionId(1);
pub(crate) const NAME: ColumnId = ColumnId(1);
pub(crate) const PRICE: ColumnId = ColumnId(2);
pub(crate) const NOTE: ColumnId = ColumnId(3);

pub(crate) fn columns() -> Vec<Column> {
    vec![
        Column::new(NAME, "name", ColumnType::Text),
        Column::new(PRICE, "price", ColumnType::I64),
        Column::new(NOTE, "note", ColumnType::Text).nullable(),
    ]
}

/// Version 1 of the schema of goods: a name, a price, and maybe a note.
pub(crate) fn schema() -> Schema {
    Schema::new(SchemaId(7), 1, ReplicaIdentity::Full, columns()).expect("legal")
}

pub(crate) fn row(name: &str, price: i64, note: &str) -> Row {
    Row::new().with(NAME, name).with(PRICE, price).with(NOTE, note)
}

pub(crate) fn entry(key: &str, before: Before, change: Change) -> LogicalEntry {
    LogicalEntry {
        schema: SchemaId(7),
        version: 1,
        collection: GOODS,
        key: key.into(),
        old_key: None,
        before,
        change,
    }
}

pub(crate) fn upsert(key: &str, row: Row) -> LogicalEntry {
    entry(key, Before::Unknown, Change::Upsert(row))
}

pub(crate) fn update(key: &str, cells: Row) -> LogicalEntry {
    entry(key, Before::Unknown, Change::Update(cells))
}

pub(crate) fn delete(key: &str) -> LogicalEntry {
    entry(key, Before::Unknown, Change::Delete)
}

pub(crate) fn declaration(schema: &Schema) -> Entry {
    SchemaChange { collection: GOODS, schema: schema.clone() }.into()
}

/// A transaction of these entries, the first of them being record `first`.
pub(crate) fn transaction(first: u64, entries: impl IntoIterator<Item = impl Into<Entry>>) -> Transaction {
    let entries = entries.into_iter().map(Into::into).collect();
    Transaction::numbered(Lsn::new(first), entries).expect("there are entries and numbers")
}

pub(crate) fn registry(schema: &Schema) -> SchemaRegistry {
    let mut registry = SchemaRegistry::new();
    registry.declare(GOODS, schema.clone()).expect("the first");
    registry
}

/// A follower with the local schema `local`, to which record 1 has declared that the writer's is
/// `writer`.
pub(crate) fn follower(writer: &Schema, local: &Schema) -> LogicalApplier<MemoryTarget> {
    let mut applier = LogicalApplier::new(MemoryTarget::new(), registry(local));
    applier.apply(&transaction(1, [declaration(writer)])).expect("the first record");
    applier
}

pub(crate) fn rows(target: &MemoryTarget) -> Vec<(String, Row)> {
    let text = |key: &[u8]| String::from_utf8(key.to_vec()).expect("keys are text here");
    target.rows(GOODS).map(|(key, row)| (text(key), row.clone())).collect()
}
