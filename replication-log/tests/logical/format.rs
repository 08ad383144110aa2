//! The bytes of entries and filters, as `docs/formats.md` draws them, and what is refused.

use proptest::prelude::*;
use replication_log::{
    Lsn,
    entry::logical::{
        Before, Cell, Change, CollectionId, Column, ColumnId, ColumnType, Comparison, Decoded, Entry,
        EntryError, Filter, LogicalEntry, Malformed, Operations, Predicate, ReplicaIdentity, Row, Rule,
        Schema, SchemaChange, SchemaError, SchemaId, TotalF64, Transaction, Value,
    },
    limits::{MAX_COLUMNS, MAX_KEY_BYTES, MAX_PREDICATE_DEPTH, MAX_PREDICATE_NODES},
};

use super::{GOODS, NAME, NOTE, PRICE, declaration, delete, entry, schema, update};

/// Entries and filters with their bytes; the file shows eight bytes in a row, as the document does.
fn golden(name: &str) -> Vec<u8> {
    let sections = include_str!("../golden/entries_v1.hex").split("# ");
    let section = sections.filter_map(|section| section.split_once('\n')).find(|(title, _)| *title == name);
    let (_, rows) = section.expect("there is such a section");
    let digits: Vec<u8> = rows.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

fn entries() -> Vec<(&'static str, Entry, bool)> {
    let every_type = Row::new()
        .with(ColumnId(0), true)
        .with(ColumnId(1), -2_i64)
        .with(ColumnId(2), 300_u64)
        .with(ColumnId(3), 1.5)
        .with(ColumnId(4), "milk")
        .with(ColumnId(5), &b"\x00\xff"[..])
        .with(ColumnId(6), Value::Timestamp(1_000_000))
        .with(ColumnId(300), Cell::Null);
    let moved = LogicalEntry {
        old_key: Some(b"a".to_vec()),
        ..entry(
            "b",
            Before::Whole(Row::new().with(PRICE, 98_i64)),
            Change::Update(Row::new().with(PRICE, 99_i64)),
        )
    };
    let some = Before::Partial(Row::new().with(NAME, "milk"));
    let delta = entry("milk", Before::Unknown, Change::Delta { tag: 130, bytes: b"+1".to_vec() });
    let next = schema()
        .evolve(vec![
            Column::new(NAME, "title", ColumnType::Text),
            Column::new(ColumnId(5), "stock", ColumnType::U64).with_default(10_u64),
        ])
        .expect("legal");
    vec![
        ("upsert", entry("milk", Before::Absent, Change::Upsert(every_type)).into(), false),
        ("update", moved.into(), true),
        ("delete", entry("milk", some, Change::Delete).into(), false),
        ("delta", delta.into(), true),
        ("schema", declaration(&next), true),
    ]
}

/// What is left of records 300 to 305.
fn shown() -> Transaction {
    let customers = |key| LogicalEntry { collection: CollectionId(2), ..delete(key) };
    let entries = ["a", "b", "c", "d", "e", "f"].map(customers);
    let mut entries: Vec<Entry> = entries.into_iter().map(Into::into).collect();
    entries[1] = delete("milk").into();
    entries[4] = delete("bread").into();
    let all = Transaction::numbered(Lsn::new(300), entries).expect("six entries");
    let goods = Filter::nothing().with(GOODS, Rule::all()).expect("one rule");
    goods.apply(&all).expect("no predicate")
}

fn filter() -> Filter {
    let predicate = Predicate::compare(PRICE, Comparison::Less, 100_i64)
        .and(Predicate::is_null(NOTE))
        .and_then(Predicate::not)
        .and_then(|predicate| predicate.or(Predicate::compare(NAME, Comparison::Equal, "milk")))
        .expect("small");
    Filter::nothing()
        .with(GOODS, Rule::all().columns([NAME, PRICE]).rows(predicate))
        .and_then(|filter| filter.with(CollectionId(9), Rule::all().operations(Operations::NONE)))
        .expect("two rules")
}

#[test]
fn the_bytes_of_version_1() {
    for (name, entry, last) in entries() {
        let bytes = entry.encode(last).expect("within the limits");
        assert_eq!(bytes, golden(name), "{name}: {bytes:02x?}");
        assert_eq!(Entry::decode(&golden(name)), Ok(Decoded { entry: Some(entry), last }), "{name}");
    }
    assert_eq!(filter().encode(), golden("filter"), "{:02x?}", filter().encode());
    assert_eq!(Filter::decode(&golden("filter")), Ok(filter()));
    assert_eq!(shown().encode(), Ok(golden("transaction")));
    assert_eq!(Transaction::decode(&golden("transaction")), Ok(shown()));
}

#[test]
fn no_beginning_of_an_entry_is_one_and_nothing_may_follow_it() {
    for (name, entry, last) in entries() {
        let bytes = entry.encode(last).expect("within the limits");
        let ends_anywhere = name == "delta";
        for end in 0..bytes.len() {
            let decoded = Entry::decode(&bytes[..end]);
            let refused = matches!(decoded, Err(EntryError::Malformed(_)));
            assert!(refused || (ends_anywhere && end + 2 >= bytes.len()), "{name} {end}: {decoded:?}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        let decoded = Entry::decode(&longer);
        assert!(ends_anywhere || decoded == Err(Malformed::Trailing(1).into()), "{name}: {decoded:?}");
    }
    let bytes = filter().encode();
    assert!((0..bytes.len()).all(|end| Filter::decode(&bytes[..end]).is_err()));
    assert_eq!(Filter::decode(&[bytes.as_slice(), &[0]].concat()), Err(Malformed::Trailing(1)));
}

#[test]
fn everything_has_one_encoding() {
    let refused = |bytes: &[u8]| match Entry::decode(bytes) {
        Err(EntryError::Malformed(malformed)) => malformed,
        other => panic!("{bytes:02x?}: {other:?}"),
    };
    // Version, kind, flags, collection, schema, version, key.
    assert_eq!(refused(&[1, 3]), Malformed::Short);
    assert_eq!(refused(&[0, 3, 1, 1, 7, 1, 0]), Malformed::Tag(0));
    assert_eq!(refused(&[1, 6, 1, 1, 7, 1, 0]), Malformed::Tag(6));
    assert_eq!(refused(&[1, 0x83, 1, 1, 7, 1, 0]), Malformed::Tag(0x83), "optional, but version 1");
    assert_eq!(refused(&[1, 3, 0x11, 1, 7, 1, 0]), Malformed::Tag(0x10));
    assert_eq!(refused(&[1, 5, 3, 1, 7, 1, 0, 0, 0]), Malformed::Tag(3));
    assert_eq!(refused(&[1, 3, 1, 0x81, 0, 7, 1, 0]), Malformed::Number, "a longer form of 1");
    let beyond = [&[1, 3, 1][..], &[0xff; 9], &[2, 7, 1, 0]].concat();
    assert_eq!(refused(&beyond), Malformed::Number, "more than 64 bits");
    let version = [&[1, 3, 1, 1, 7][..], &[0xff, 0xff, 0xff, 0xff, 0x10, 0]].concat();
    assert_eq!(refused(&version), Malformed::Number, "more than 32 bits");
    assert_eq!(refused(&[1, 3, 5, 1, 7, 1, 0]), shape("this change cannot have this row before it"));
    assert_eq!(refused(&[1, 3, 3, 1, 7, 1, 0, 1, 9]), shape("only a row that is written can move"));
    assert_eq!(refused(&[1, 2, 3, 1, 7, 1, 1, 9, 1, 9, 0]), shape("a row that moves gets another key"));
    // An update of one column: distance, tag, value.
    assert_eq!(refused(&[1, 2, 1, 1, 7, 1, 0, 1, 1, 9]), Malformed::Tag(9));
    assert_eq!(refused(&[1, 2, 1, 1, 7, 1, 0, 1, 1, 6, 1, 0xff]), Malformed::Text);
    let twice = [1, 2, 1, 1, 7, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    assert_eq!(refused(&twice), Malformed::Number, "no column comes after the last one");

    assert_eq!(refused(&[1, 5, 1, 1, 7, 1, 2, 0, 0]), Malformed::Tag(2));
    assert_eq!(refused(&[1, 5, 1, 1, 7, 1, 0, 1, 1, 0, 2, 0, 0]), Malformed::Tag(2));
    assert_eq!(refused(&[1, 5, 1, 1, 7, 1, 0, 1, 1, 0, 1, 4, 0]), Malformed::Tag(4));
    let same = Entry::decode(&[1, 5, 1, 1, 7, 1, 0, 2, 1, 0, 1, 0, 0, 0, 1, 0, 0]);
    assert_eq!(same, Err(EntryError::Schema(SchemaError::SameName { column: PRICE })));
}

const fn shape(what: &'static str) -> Malformed {
    Malformed::Shape(what)
}

#[test]
fn filters_have_one_encoding_and_match_their_operands() {
    let refused = |bytes: &[u8]| Filter::decode(bytes).expect_err("malformed");
    assert_eq!(refused(&[2, 0, 0]), Malformed::Tag(2));
    assert_eq!(refused(&[1, 2, 0]), Malformed::Tag(2));
    assert_eq!(refused(&[1, 0, 1, 1, 0x40]), Malformed::Tag(0x40));
    let operators = shape("operators and operands of the predicate do not match");
    let predicate = |nodes: &[u8]| [&[1, 0, 1, 1, 0x2f][..], nodes].concat();
    assert_eq!(refused(&predicate(&[0])), operators, "no operand at all");
    assert_eq!(refused(&predicate(&[1, 8])), operators);
    assert_eq!(refused(&predicate(&[2, 7, 1, 9])), operators);
    assert_eq!(refused(&predicate(&[2, 7, 1, 7, 1])), operators, "no operator joins them");
    assert_eq!(refused(&predicate(&[1, 11])), Malformed::Tag(11));

    let nots = u8::try_from(MAX_PREDICATE_DEPTH).expect("small");
    let deep = [&[nots + 1, 7, 1][..], &[8].repeat(MAX_PREDICATE_DEPTH)].concat();
    let limit = MAX_PREDICATE_DEPTH;
    assert_eq!(refused(&predicate(&deep)), Malformed::TooMuch { what: "levels of a predicate", limit });
    let limit = MAX_PREDICATE_NODES;
    let large = predicate(&[0x81, 8]);
    assert_eq!(refused(&large), Malformed::TooMuch { what: "nodes of a predicate", limit });
}

#[test]
fn transactions_have_one_encoding_and_hold_what_they_cover() {
    let bytes = golden("transaction");
    assert!((0..bytes.len()).all(|end| Transaction::decode(&bytes[..end]).is_err()));
    let refused = |bytes: &[u8]| Transaction::decode(bytes).expect_err("malformed");
    assert_eq!(refused(&[bytes.as_slice(), &[0]].concat()), Malformed::Trailing(1).into());
    assert_eq!(refused(&[2, 5, 0, 0]), Malformed::Tag(2).into());
    let last = [&[1][..], &[0xff; 9], &[1, 1, 0]].concat();
    assert_eq!(refused(&last), Malformed::Number.into(), "no record comes after the last one");
    let ends = |place, flags| [1, 5, 1, 1, place, 7, 1, 3, flags, 1, 7, 1, 0];
    assert!(Transaction::decode(&ends(1, 1)).is_ok());
    assert_eq!(refused(&ends(2, 1)), Malformed::Number.into(), "record 7 of 5 to 6");
    let open = shape("the last entry ends the transaction");
    assert_eq!(refused(&ends(1, 0)), open.into());

    let newer = Transaction::decode(&[1, 5, 1, 1, 0, 3, 9, 0x86, 1]).expect("optional");
    assert_eq!((newer.entries().len(), newer.skipped(), newer.last()), (0, 1, Lsn::new(6)));
}

#[test]
fn no_count_is_believed_before_what_it_counts() {
    // 4096 columns, and none of them there; then one more than a row may have.
    assert_eq!(Entry::decode(&[1, 2, 1, 1, 7, 1, 0, 0x80, 0x20]), Err(Malformed::Short.into()));
    let too_many = Malformed::TooMuch { what: "columns", limit: MAX_COLUMNS };
    assert_eq!(Entry::decode(&[1, 2, 1, 1, 7, 1, 0, 0x81, 0x20]), Err(too_many.into()));
    let long = Malformed::TooMuch { what: "bytes of a key", limit: MAX_KEY_BYTES };
    assert_eq!(Entry::decode(&[1, 3, 1, 1, 7, 1, 0x81, 0x80, 0x04]), Err(long.into()));
    let endless = [&[1, 3, 1, 1, 7, 1][..], &[0xff; 9], &[1]].concat();
    assert_eq!(Entry::decode(&endless), Err(long.into()));
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let refused = |entry: LogicalEntry| Entry::from(entry).encode(true).expect_err("malformed");
    let long = Malformed::TooMuch { what: "bytes of a key", limit: MAX_KEY_BYTES };
    assert_eq!(refused(delete(&"k".repeat(MAX_KEY_BYTES + 1))), long.into());
    let mut wide = Row::new();
    (0..=4096).for_each(|column| wide.set(ColumnId(column), Cell::Null));
    let too_many = Malformed::TooMuch { what: "columns", limit: MAX_COLUMNS };
    assert_eq!(refused(update("milk", wide)), too_many.into());
    let same = LogicalEntry { old_key: Some("milk".into()), ..update("milk", Row::new()) };
    assert_eq!(refused(same), shape("a row that moves gets another key").into());
    let newborn = entry("milk", Before::Absent, Change::Update(Row::new()));
    let grown = entry(
        "milk",
        Before::Whole(Row::new().with(NAME, "milk")),
        Change::Update(Row::new().with(PRICE, 1_i64)),
    );
    let columns = shape("an update changes columns that the whole row before it has");
    assert_eq!(refused(grown), columns.into());
    assert_eq!(refused(newborn), shape("this change cannot have this row before it").into());
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        any::<u64>().prop_map(|bits| Value::F64(TotalF64(f64::from_bits(bits)))),
        ".{0,8}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::Bytes),
        any::<i64>().prop_map(Value::Timestamp),
    ]
}

fn any_row() -> impl Strategy<Value = Row> {
    let cell = prop_oneof![Just(Cell::Null), value().prop_map(Cell::Value)];
    let column = prop_oneof![0_u32..8, any::<u32>()].prop_map(ColumnId);
    prop::collection::vec((column, cell), 0..6).prop_map(|cells| {
        cells.into_iter().fold(Row::new(), |mut row, (column, cell)| {
            row.set(column, cell);
            row
        })
    })
}

fn any_entry() -> impl Strategy<Value = LogicalEntry> {
    let before = prop_oneof![
        Just(Before::Unknown),
        Just(Before::Absent),
        any_row().prop_map(Before::Partial),
        any_row().prop_map(Before::Whole),
    ];
    let change = prop_oneof![
        any_row().prop_map(Change::Upsert),
        any_row().prop_map(Change::Update),
        Just(Change::Delete),
        (any::<u32>(), prop::collection::vec(any::<u8>(), 0..8))
            .prop_map(|(tag, bytes)| Change::Delta { tag, bytes }),
    ];
    let key = || prop::collection::vec(any::<u8>(), 0..4);
    (any::<(u64, u32, u64)>(), key(), prop::option::of(key()), before, change).prop_map(
        |((schema, version, collection), key, old_key, before, change)| LogicalEntry {
            schema: SchemaId(schema),
            version,
            collection: CollectionId(collection),
            key,
            old_key,
            before,
            change,
        },
    )
}

fn any_schema() -> impl Strategy<Value = Schema> {
    let column = (any::<u32>(), ".{0,6}", any::<bool>(), value(), any::<bool>());
    let columns = prop::collection::vec(column, 0..5);
    let retired = prop::collection::btree_set(any::<u32>().prop_map(ColumnId), 0..3);
    (any::<(u64, u32, bool)>(), columns, retired).prop_filter_map("legal", |(head, columns, retired)| {
        let columns = columns.into_iter().map(|(id, name, nullable, value, default)| Column {
            id: ColumnId(id),
            name,
            column_type: value.column_type(),
            nullable,
            default: default.then_some(value),
        });
        let identity = if head.2 { ReplicaIdentity::Full } else { ReplicaIdentity::Key };
        Schema::with_retired(SchemaId(head.0), head.1, identity, columns.collect(), retired).ok()
    })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    use Comparison::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
    let column = || (0_u32..4).prop_map(ColumnId);
    let comparison = prop::sample::select(vec![Equal, NotEqual, Less, AtMost, Greater, AtLeast]);
    let leaf = prop_oneof![
        (column(), comparison, value()).prop_map(|(column, by, value)| Predicate::compare(column, by, value)),
        column().prop_map(Predicate::is_null),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| a.not().expect("small")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b).expect("small")),
            (inner.clone(), inner).prop_map(|(a, b)| a.or(b).expect("small")),
        ]
    })
}

proptest! {
    #[test]
    fn an_entry_is_refused_or_comes_back_as_it_was(entry in any_entry(), last: bool) {
        let legal = entry.check().is_ok();
        let entry = Entry::from(entry);
        match entry.encode(last) {
            Ok(bytes) => prop_assert_eq!(Entry::decode(&bytes), Ok(Decoded { entry: Some(entry), last })),
            Err(_) => prop_assert!(!legal),
        }
    }

    #[test]
    fn a_schema_comes_back_as_it_was(schema in any_schema(), collection: u64, last: bool) {
        let entry = Entry::from(SchemaChange { collection: CollectionId(collection), schema });
        let bytes = entry.encode(last).expect("within the limits");
        prop_assert_eq!(Entry::decode(&bytes), Ok(Decoded { entry: Some(entry), last }));
    }

    #[test]
    fn a_filter_comes_back_as_it_was(
        rules in prop::collection::btree_map(any::<u64>(), (0_u32..4, prop::option::of(predicate())), 0..3),
        others: bool,
    ) {
        let mut filter = if others { Filter::everything() } else { Filter::nothing() };
        for (collection, (columns, predicate)) in rules {
            let mut rule = Rule { predicate, ..Rule::all() };
            if columns > 0 {
                rule = rule.columns((1..columns).map(ColumnId));
            }
            filter = filter.with(CollectionId(collection), rule).expect("few rules");
        }
        prop_assert_eq!(Filter::decode(&filter.encode()), Ok(filter));
    }

    #[test]
    fn foreign_bytes_are_refused_or_are_the_one_encoding_of_what_they_say(
        mut bytes in prop::collection::vec(prop_oneof![0_u8..10, any::<u8>()], 0..40),
        kind in 1_u8..6,
    ) {
        if let Ok(filter) = Filter::decode(&bytes) {
            prop_assert_eq!(filter.encode(), bytes.clone());
        }
        // Most of them would fail at the first two bytes.
        bytes.splice(0..0, [1, kind]);
        if let Ok(Decoded { entry: Some(entry), last }) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode(last), Ok(bytes));
        }
    }

    #[test]
    fn a_damaged_entry_is_refused_or_is_the_one_encoding_of_something_else(
        which in 0_usize..5, at: prop::sample::Index, byte: u8,
    ) {
        let (_, entry, last) = entries().swap_remove(which);
        let mut bytes = entry.encode(last).expect("within the limits");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Decoded { entry: Some(entry), last }) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode(last), Ok(bytes));
        }
    }
}
