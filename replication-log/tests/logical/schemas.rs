//! Lessons on schemas: what is one, and how one may follow another.

use std::collections::BTreeSet;

use replication_log::{
    entry::logical::{
        Cell, Column, ColumnId, ColumnType, EvolutionError, RegistryError, ReplicaIdentity, Row, RowError,
        Schema, SchemaError, SchemaId, SchemaRegistry, Value,
    },
    limits::{MAX_COLUMN_NAME_BYTES, MAX_COLUMNS, MAX_SCHEMAS},
};

use super::{CollectionId, GOODS, NAME, NOTE, PRICE, columns, row, schema};

fn new(columns: Vec<Column>) -> Result<Schema, SchemaError> {
    Schema::new(SchemaId(7), 1, ReplicaIdentity::Key, columns)
}

#[test]
fn columns_differ_in_id_and_name_and_their_defaults_fit() {
    let text = |id, name: &str| Column::new(ColumnId(id), name, ColumnType::Text);
    assert_eq!(new(vec![text(1, "a"), text(1, "b")]), Err(SchemaError::SameId { column: NAME }));
    assert_eq!(new(vec![text(1, "a"), text(2, "a")]), Err(SchemaError::SameName { column: PRICE }));
    let refused = new(vec![text(1, "a").with_default(1_i64)]);
    assert_eq!(refused, Err(SchemaError::DefaultType { column: NAME }));
    let long = new(vec![text(1, &"a".repeat(MAX_COLUMN_NAME_BYTES + 1))]);
    let limit = MAX_COLUMN_NAME_BYTES;
    assert_eq!(long, Err(SchemaError::NameTooLong { column: NAME, limit }));
    let many = new((0..=4096).map(|id| text(id, &id.to_string())).collect());
    assert_eq!(many, Err(SchemaError::TooManyColumns { limit: MAX_COLUMNS }));
    let retired = BTreeSet::from([NAME]);
    let refused = Schema::with_retired(SchemaId(7), 2, ReplicaIdentity::Key, columns(), retired);
    assert_eq!(refused, Err(SchemaError::SameId { column: NAME }));
}

#[test]
fn columns_may_be_added_removed_renamed_and_widened() {
    let next = schema()
        .evolve(vec![
            Column::new(NAME, "title", ColumnType::Bytes).nullable(),
            Column::new(PRICE, "price", ColumnType::I64),
            Column::new(ColumnId(4), "stock", ColumnType::U64).with_default(0_u64),
            Column::new(ColumnId(5), "sort", ColumnType::Text).nullable(),
        ])
        .expect("legal");
    assert_eq!((next.id(), next.version()), (SchemaId(7), 2));
    assert_eq!(next.retired(), &BTreeSet::from([NOTE]));
    let fitted = next.fitted(&row("milk", 99, "fresh"));
    let expected = Row::new()
        .with(NAME, Value::Bytes(b"milk".to_vec()))
        .with(PRICE, 99_i64)
        .with(ColumnId(4), 0_u64)
        .with(ColumnId(5), Cell::Null);
    assert_eq!(fitted, expected);
}

#[test]
fn what_existing_rows_cannot_follow_is_refused() {
    let with = |change: fn(&mut Vec<Column>)| {
        let mut columns = columns();
        change(&mut columns);
        schema().evolve(columns)
    };
    let added = ColumnId(4);
    let refused = with(|columns| columns.push(Column::new(ColumnId(4), "stock", ColumnType::U64)));
    assert_eq!(refused, Err(EvolutionError::AddedWithoutDefault { column: added }));
    let (from, to) = (ColumnType::I64, ColumnType::F64);
    let refused = with(|columns| columns[1].column_type = ColumnType::F64);
    assert_eq!(refused, Err(EvolutionError::NotWider { column: PRICE, from, to }));
    let refused = with(|columns| columns[2].nullable = false);
    assert_eq!(refused, Err(EvolutionError::NotNullable { column: NOTE }));
    let refused = with(|columns| columns[2].name = "name".into());
    assert_eq!(refused, Err(SchemaError::SameName { column: NOTE }.into()));

    let without = with(|columns| drop(columns.pop())).expect("a column may go");
    assert_eq!(without.evolve(columns()), Err(EvolutionError::IdReused { column: NOTE }), "but not return");
    let last = Schema::new(SchemaId(7), u32::MAX, ReplicaIdentity::Key, columns()).expect("legal");
    assert_eq!(last.evolve(columns()), Err(EvolutionError::VersionsExhausted));
}

#[test]
fn a_schema_from_elsewhere_is_checked_like_one_from_here() {
    let first = schema();
    let second = |id, version, columns, retired: &[ColumnId]| {
        let retired = retired.iter().copied().collect();
        Schema::with_retired(SchemaId(id), version, ReplicaIdentity::Full, columns, retired).expect("legal")
    };
    let (have, got) = (SchemaId(7), SchemaId(8));
    let refused = first.check_successor(&second(8, 2, columns(), &[]));
    assert_eq!(refused, Err(EvolutionError::OtherSchema { have, got }));
    let refused = first.check_successor(&second(7, 1, columns(), &[]));
    assert_eq!(refused, Err(EvolutionError::NotLater { have: 1, got: 1 }));
    let refused = first.check_successor(&second(7, 2, columns()[..2].to_vec(), &[]));
    assert_eq!(refused, Err(EvolutionError::NotRetired { column: NOTE }));
    let third = second(7, 3, columns(), &[]);
    let refused = second(7, 2, columns(), &[ColumnId(9)]).check_successor(&third);
    assert_eq!(refused, Err(EvolutionError::IdReused { column: ColumnId(9) }), "its id may come again");
}

#[test]
fn a_row_fits_its_schema_or_it_is_said_where_not() {
    let schema = schema();
    let milk = row("milk", 99, "fresh");
    assert_eq!(schema.check_row(&milk, true), Ok(()));
    let partial = Row::new().with(PRICE, 99_i64);
    assert_eq!(schema.check_row(&partial, false), Ok(()));
    assert_eq!(schema.check_row(&partial, true), Err(RowError::Incomplete { column: NAME }));
    let foreign = Row::new().with(ColumnId(9), 1_i64);
    assert_eq!(schema.check_row(&foreign, false), Err(RowError::NoSuchColumn { column: ColumnId(9) }));
    let null = Row::new().with(PRICE, Cell::Null);
    assert_eq!(schema.check_row(&null, false), Err(RowError::NotNullable { column: PRICE }));
    let (expected, got) = (ColumnType::I64, ColumnType::U64);
    let wrong = schema.check_row(&Row::new().with(PRICE, 99_u64), false);
    assert_eq!(wrong, Err(RowError::WrongType { column: PRICE, expected, got }));
}

#[test]
fn a_registry_has_limits() {
    let empty = new(Vec::new()).expect("no column");
    let mut registry = SchemaRegistry::new();
    for collection in 0..MAX_SCHEMAS as u64 {
        assert_eq!(registry.declare(CollectionId(collection), empty.clone()), Ok(true));
    }
    let refused = registry.declare(CollectionId(u64::MAX), empty.clone());
    assert_eq!(refused, Err(RegistryError::Full { limit: MAX_SCHEMAS }));
    assert_eq!(registry.declare(GOODS, empty.evolve(columns()[2..].to_vec()).expect("legal")), Ok(true));
    assert_eq!(registry.iter().len(), MAX_SCHEMAS);
}
