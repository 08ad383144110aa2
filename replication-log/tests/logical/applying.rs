//! Lessons on applying: each transaction once, and between schema versions.

use replication_log::{
    Lsn,
    entry::logical::{
        ApplyError, Before, Cell, Change, Column, ColumnId, ColumnType, EvolutionError, LogicalApplier,
        LogicalEntry, MemoryTarget, Mismatch, Outcome, RegistryError, ReplicaIdentity, Row, RowError, Schema,
        SchemaId, SchemaRegistry, Target, UnknownColumns, Value,
    },
};

use super::{
    GOODS, NAME, NOTE, PRICE, columns, declaration, delete, entry, follower, registry, row, rows, schema,
    transaction, update, upsert,
};

const STOCK: ColumnId = ColumnId(4);

/// Version 2: the name is called title, the note is gone, and there is a stock.
fn schema_v2() -> Schema {
    let title = Column::new(NAME, "title", ColumnType::Text);
    let stock = Column::new(STOCK, "stock", ColumnType::U64).with_default(10_u64);
    schema().evolve(vec![title, columns()[1].clone(), stock]).expect("legal")
}

fn row_v2(title: &str, price: i64, stock: u64) -> Row {
    Row::new().with(NAME, title).with(PRICE, price).with(STOCK, stock)
}

fn v2(entry: LogicalEntry) -> LogicalEntry {
    LogicalEntry { version: 2, ..entry }
}

#[test]
fn a_follower_that_is_ahead_gives_defaults_and_leaves_out_what_it_removed() {
    let mut follower = follower(&schema(), &schema_v2());
    follower.apply(&transaction(2, [upsert("milk", row("milk", 99, "fresh"))])).expect("fits");
    assert_eq!(rows(follower.target()), [("milk".into(), row_v2("milk", 99, 10))]);

    // What the writer does not know of is not its to change.
    let mut target = follower.into_target();
    target.begin().expect("memory");
    target.upsert(GOODS, b"milk", row_v2("milk", 99, 3)).expect("memory");
    target.commit(Lsn::new(2)).expect("memory");
    let mut follower = LogicalApplier::new(target, registry(&schema_v2()));
    follower.apply(&transaction(3, [upsert("milk", row("oat milk", 98, ""))])).expect("fits");
    follower.apply(&transaction(4, [update("milk", Row::new().with(PRICE, 97_i64))])).expect("fits");
    assert_eq!(rows(follower.target()), [("milk".into(), row_v2("oat milk", 97, 3))]);
}

#[test]
fn a_follower_that_is_behind_stops_before_what_it_does_not_know_and_goes_on_once_it_does() {
    let mut follower = follower(&schema_v2(), &schema());
    let milk = transaction(2, [v2(upsert("milk", row_v2("milk", 99, 3)))]);
    let stopped = Err(ApplyError::SchemaMismatch {
        lsn: Lsn::new(2),
        collection: GOODS,
        version: 2,
        local_version: Some(1),
        why: Mismatch::UnknownColumn { column: STOCK },
    });
    assert_eq!(follower.apply(&milk), stopped);
    assert_eq!(follower.apply(&milk), stopped, "it does not go away by itself");
    assert_eq!(follower.target().applied(), Ok(Lsn::new(1)));

    follower.upgrade(GOODS, schema_v2()).expect("legal");
    assert_eq!(follower.apply(&milk), Ok(Outcome::Applied));
    assert_eq!(rows(follower.target()), [("milk".into(), row_v2("milk", 99, 3))], "nothing is lost");
}

#[test]
fn a_follower_that_is_behind_may_choose_to_go_without() {
    let local = registry(&schema());
    let mut follower =
        LogicalApplier::new(MemoryTarget::new(), local).unknown_columns(UnknownColumns::Ignore);
    let entries = [declaration(&schema_v2()), v2(upsert("milk", row_v2("milk", 99, 3))).into()];
    follower.apply(&transaction(1, entries)).expect("the stock is left out");
    let without = Row::new().with(NAME, "milk").with(PRICE, 99_i64).with(NOTE, Cell::Null);
    assert_eq!(rows(follower.target()), [("milk".into(), without)], "the writer has no note any more");
}

#[test]
fn a_schema_change_in_the_stream_takes_effect_where_it_stands() {
    let mut follower = follower(&schema(), &schema_v2());
    let entries = [
        upsert("bread", row("bread", 50, "")).into(),
        declaration(&schema_v2()),
        v2(upsert("milk", row_v2("milk", 99, 3))).into(),
        v2(update("bread", Row::new().with(STOCK, 7_u64))).into(),
    ];
    follower.apply(&transaction(2, entries)).expect("fits");
    let expected = [("bread".into(), row_v2("bread", 50, 7)), ("milk".into(), row_v2("milk", 99, 3))];
    assert_eq!(rows(follower.target()), expected);
    let late = transaction(6, [upsert("eggs", row("eggs", 1, ""))]);
    let refused = ApplyError::UnknownSchema {
        lsn: Lsn::new(6),
        collection: GOODS,
        stated: (SchemaId(7), 1),
        declared: Some((SchemaId(7), 2)),
    };
    assert_eq!(follower.apply(&late), Err(refused), "version 1 is over");
}

#[test]
fn rows_are_widened_on_their_way_and_never_narrowed() {
    let mut wide = columns();
    wide[0].column_type = ColumnType::Bytes;
    let wide = schema().evolve(wide).expect("legal");
    let mut ahead = follower(&schema(), &wide);
    ahead.apply(&transaction(2, [upsert("milk", row("milk", 99, ""))])).expect("fits");
    let (_, milk) = rows(ahead.target()).remove(0);
    assert_eq!(milk.get(NAME), &Cell::Value(Value::Bytes(b"milk".to_vec())));

    let mut behind = follower(&wide, &schema());
    let refused = behind.apply(&transaction(2, [v2(delete("milk"))]));
    let (writer, local) = (ColumnType::Bytes, ColumnType::Text);
    let why = Mismatch::NotWider { column: NAME, writer, local };
    assert!(matches!(refused, Err(ApplyError::SchemaMismatch { why: w, .. }) if w == why), "{refused:?}");
}

#[test]
fn a_row_from_before_the_upgrade_is_brought_up_to_date_by_the_next_update() {
    let mut follower = follower(&schema(), &schema());
    follower.apply(&transaction(2, [upsert("milk", row("milk", 99, "fresh"))])).expect("fits");
    follower.upgrade(GOODS, schema_v2()).expect("legal");
    follower.apply(&transaction(3, [declaration(&schema_v2())])).expect("legal");
    follower.apply(&transaction(4, [v2(update("milk", Row::new().with(PRICE, 98_i64)))])).expect("fits");
    assert_eq!(rows(follower.target()), [("milk".into(), row_v2("milk", 98, 10))]);
}

#[test]
fn unchanged_is_not_null() {
    let mut follower = follower(&schema(), &schema());
    let entries = [
        upsert("milk", row("milk", 99, "a very long note")),
        update("milk", Row::new().with(PRICE, 98_i64).with(NOTE, Cell::Unchanged)),
    ];
    follower.apply(&transaction(2, entries)).expect("fits");
    assert_eq!(rows(follower.target()), [("milk".into(), row("milk", 98, "a very long note"))]);
    let forget = update("milk", Row::new().with(NOTE, Cell::Null));
    follower.apply(&transaction(4, [forget])).expect("fits");
    let forgotten = Row::new().with(NAME, "milk").with(PRICE, 98_i64).with(NOTE, Cell::Null);
    assert_eq!(rows(follower.target()), [("milk".into(), forgotten)]);
}

#[test]
fn every_mismatch_is_told_with_the_entry_and_its_reason() {
    let mismatch = |writer: &Schema, local: SchemaRegistry| {
        let mut follower = LogicalApplier::new(MemoryTarget::new(), local);
        let gone = LogicalEntry { schema: writer.id(), version: writer.version(), ..delete("milk") };
        match follower.apply(&transaction(1, [declaration(writer), gone.into()])) {
            Err(ApplyError::SchemaMismatch { lsn, why, .. }) => {
                assert_eq!((lsn, follower.target().applied()), (Lsn::new(2), Ok(Lsn::ZERO)));
                why
            }
            other => panic!("{other:?}"),
        }
    };
    let schema_of = |id, columns| Schema::new(SchemaId(id), 1, ReplicaIdentity::Key, columns).expect("legal");
    assert_eq!(mismatch(&schema(), SchemaRegistry::new()), Mismatch::NoLocalSchema);
    let (local, writer) = (SchemaId(8), SchemaId(7));
    let other = registry(&schema_of(8, columns()));
    assert_eq!(mismatch(&schema(), other), Mismatch::OtherSchema { local, writer });
    let mut strict = columns();
    strict[2].nullable = false;
    let strict = registry(&schema_of(7, strict));
    assert_eq!(mismatch(&schema(), strict), Mismatch::NotNullable { column: NOTE });
    let more = registry(&schema());
    let less = schema_of(7, columns()[1..].to_vec());
    assert_eq!(mismatch(&less, more), Mismatch::NoDefault { column: NAME });
}

#[test]
fn a_transaction_is_applied_once_however_often_it_comes_and_none_is_left_out() {
    let mut follower = follower(&schema(), &schema());
    let delta = entry("milk", Before::Unknown, Change::Delta { tag: 4, bytes: b"+1".to_vec() });
    let once = transaction(2, [delta.clone(), delta]);
    assert_eq!(follower.apply(&once), Ok(Outcome::Applied));
    assert_eq!(follower.apply(&once), Ok(Outcome::AlreadyApplied));
    assert_eq!(follower.target().deltas(GOODS, b"milk"), [(4, b"+1".to_vec()), (4, b"+1".to_vec())]);

    let gap = ApplyError::Gap { wanted: Lsn::new(4), got: Lsn::new(5) };
    assert_eq!(follower.apply(&transaction(5, [delete("milk")])), Err(gap));
    let (applied, first, last) = (Lsn::new(3), Lsn::new(3), Lsn::new(4));
    let overlap = ApplyError::Overlap { applied, first, last };
    assert_eq!(follower.apply(&transaction(3, [delete("milk"), delete("milk")])), Err(overlap));
    assert_eq!(follower.apply(&transaction(4, [delete("milk")])), Ok(Outcome::Applied));
}

#[test]
fn a_follower_that_starts_again_knows_where_it_is_and_what_the_writer_declared() {
    let target = follower(&schema(), &schema()).into_target();
    let mut again = LogicalApplier::new(target, registry(&schema()));
    let milk = transaction(2, [upsert("milk", row("milk", 99, ""))]);
    assert_eq!(again.apply(&milk), Ok(Outcome::Applied), "the schema was declared before the restart");
}

#[test]
fn a_row_moves_to_its_new_key_with_what_is_unchanged() {
    let mut follower = follower(&schema(), &schema());
    follower.apply(&transaction(2, [upsert("milk", row("milk", 99, "fresh"))])).expect("fits");
    let moved = LogicalEntry {
        old_key: Some("milk".into()),
        ..update("oat milk", Row::new().with(NAME, "oat milk"))
    };
    follower.apply(&transaction(3, [moved])).expect("fits");
    assert_eq!(rows(follower.target()), [("oat milk".into(), row("oat milk", 99, "fresh"))]);
    let replaced =
        LogicalEntry { old_key: Some("oat milk".into()), ..upsert("soy milk", row("soy milk", 1, "")) };
    follower.apply(&transaction(4, [replaced])).expect("fits");
    assert_eq!(rows(follower.target()), [("soy milk".into(), row("soy milk", 1, ""))]);
}

#[test]
fn a_stream_that_contradicts_itself_or_the_copy_is_refused() {
    let (lsn, collection) = (Lsn::new(2), GOODS);
    let mut follower = follower(&schema(), &schema());
    let missing = transaction(2, [update("milk", Row::new().with(PRICE, 1_i64))]);
    assert_eq!(follower.apply(&missing), Err(ApplyError::RowMissing { lsn, collection }));
    let incomplete = transaction(2, [upsert("milk", Row::new().with(PRICE, 1_i64))]);
    let error = RowError::Incomplete { column: NAME };
    assert_eq!(follower.apply(&incomplete), Err(ApplyError::Row { lsn, collection, error }));
    let renumbered = Schema::new(SchemaId(7), 1, ReplicaIdentity::Key, columns()).expect("legal");
    let error = RegistryError::Evolution(EvolutionError::NotLater { have: 1, got: 1 });
    let refused = follower.apply(&transaction(2, [declaration(&renumbered)]));
    assert_eq!(refused, Err(ApplyError::Declaration { lsn, collection, error }));
    let undeclared = LogicalEntry { collection: super::CollectionId(9), ..delete("ann") };
    let refused = follower.apply(&transaction(2, [undeclared]));
    assert!(matches!(refused, Err(ApplyError::UnknownSchema { declared: None, .. })), "{refused:?}");
    assert_eq!(follower.apply(&transaction(2, [declaration(&schema())])), Ok(Outcome::Applied), "said again");
}

#[test]
fn a_schema_that_came_with_a_refused_transaction_is_forgotten_with_it() {
    let mut follower = follower(&schema(), &schema_v2());
    let entries = [
        declaration(&schema_v2()),
        v2(upsert("milk", row_v2("milk", 99, 3))).into(),
        v2(update("nobody has this", Row::new())).into(),
    ];
    follower.apply(&transaction(2, entries)).expect_err("there is no such row");
    follower.apply(&transaction(2, [upsert("milk", row("milk", 99, "fresh"))])).expect("version 1 still");
    assert_eq!(rows(follower.target()), [("milk".into(), row_v2("milk", 99, 10))]);
}
