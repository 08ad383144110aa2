//! Lessons on filters: a follower has exactly the rows for which the predicate is true.

use std::collections::BTreeSet;

use replication_log::{
    Lsn,
    entry::logical::{
        Before, Cell, Change, CollectionId, Comparison, Entry, Filter, FilterError, LogicalEntry, Malformed,
        Operation, Operations, Outcome, Predicate, ReplicaIdentity, Row, Rule, Transaction,
    },
    limits::{MAX_COLUMNS, MAX_FILTER_RULES},
};

use super::{
    GOODS, NAME, NOTE, PRICE, declaration, delete, entry, follower, row, schema, transaction, update, upsert,
};

const CUSTOMERS: CollectionId = CollectionId(2);

/// Goods for less than 100.
fn cheap() -> Filter {
    filter(Rule::all().rows(Predicate::compare(PRICE, Comparison::Less, 100_i64)))
}

fn filter(rule: Rule) -> Filter {
    Filter::nothing().with(GOODS, rule).expect("within the limits")
}

fn of(collection: CollectionId, entry: LogicalEntry) -> LogicalEntry {
    LogicalEntry { collection, ..entry }
}

/// What a filter shows of one entry.
fn shown(filter: &Filter, entry: LogicalEntry) -> Result<Option<LogicalEntry>, FilterError> {
    let shown = filter.apply(&transaction(5, [entry]))?;
    assert_eq!((shown.first(), shown.last()), (Lsn::new(5), Lsn::new(5)));
    Ok(shown.entries().first().map(|(_, entry)| match entry {
        Entry::Row(entry) => entry.clone(),
        other => panic!("{other:?} is no row"),
    }))
}

fn lsns(transaction: &Transaction) -> Vec<u64> {
    transaction.entries().iter().map(|(lsn, _)| lsn.get()).collect()
}

const fn needs_full(lsn: u64) -> FilterError {
    FilterError::NeedsOldRow { lsn: Lsn::new(lsn), collection: GOODS, needed: ReplicaIdentity::Full }
}

#[test]
fn a_follower_gets_the_changes_of_its_collections_and_no_others() {
    let mixed = [delete("milk"), of(CUSTOMERS, delete("ann")), delete("bread"), of(CUSTOMERS, delete("bob"))];
    let mixed = transaction(10, mixed);
    assert_eq!(lsns(&filter(Rule::all()).apply(&mixed).expect("no predicate")), [10, 12]);
    assert_eq!(lsns(&Filter::everything().apply(&mixed).expect("no predicate")), [10, 11, 12, 13]);
    assert_eq!(lsns(&Filter::nothing().apply(&mixed).expect("no predicate")), []);
    let none = Rule::all().operations(Operations::NONE);
    let others = Filter::everything().with(GOODS, none).expect("one rule");
    assert_eq!(lsns(&others.apply(&mixed).expect("no predicate")), [11, 13]);
}

#[test]
fn a_follower_gets_the_operations_it_asked_for_and_no_others() {
    let delta = entry("milk", Before::Unknown, Change::Delta { tag: 1, bytes: b"+1".to_vec() });
    let all = [upsert("a", Row::new()), update("a", Row::new()), delete("a"), delta];
    let all = transaction(1, all);
    let kinds = [Operation::Upsert, Operation::Update, Operation::Delete, Operation::Delta];
    for (number, kind) in (1..).zip(kinds) {
        let only = filter(Rule::all().operations(Operations::NONE.with(kind)));
        assert_eq!(lsns(&only.apply(&all).expect("no predicate")), [number]);
        let but = filter(Rule::all().operations(Operations::ALL.without(kind)));
        assert_eq!(lsns(&but.apply(&all).expect("no predicate")).len(), 3);
    }
}

#[test]
fn a_transaction_of_which_nothing_is_left_still_moves_the_follower_on() {
    let mut follower = follower(&schema(), &schema());
    let hidden = transaction(2, [of(CUSTOMERS, delete("ann")), of(CUSTOMERS, delete("bob"))]);
    let empty = filter(Rule::all()).apply(&hidden).expect("no predicate");
    assert_eq!(empty.entries(), []);
    assert_eq!(follower.apply(&empty), Ok(Outcome::Applied));
    let next = transaction(4, [upsert("milk", row("milk", 99, ""))]);
    assert_eq!(follower.apply(&next), Ok(Outcome::Applied), "record 4 comes next, not record 2");
}

#[test]
fn a_transaction_stays_one_however_much_of_it_is_hidden() {
    let mut follower = follower(&schema(), &schema());
    let bad = update("nobody has this", Row::new().with(PRICE, 1_i64));
    let entries = [upsert("milk", row("milk", 99, "")), of(CUSTOMERS, delete("ann")), bad];
    let shown = filter(Rule::all()).apply(&transaction(2, entries)).expect("no predicate");
    assert_eq!(shown.entries().len(), 2);
    follower.apply(&shown).expect_err("its last change is to a row that is not here");
    assert_eq!(follower.target().rows(GOODS).count(), 0, "so its first one is not there either");
}

#[test]
fn a_row_that_moves_out_of_the_predicate_arrives_as_a_delete() {
    let before = Before::Whole(row("milk", 99, ""));
    let dearer = entry("milk", before.clone(), Change::Update(Row::new().with(PRICE, 120_i64)));
    assert_eq!(shown(&cheap(), dearer), Ok(Some(entry("milk", before, Change::Delete))));
}

#[test]
fn a_row_that_moves_into_the_predicate_arrives_whole() {
    let before = Before::Whole(row("milk", 120, "fresh"));
    let cheaper = entry("milk", before, Change::Update(Row::new().with(PRICE, 99_i64)));
    let whole = entry("milk", Before::Absent, Change::Upsert(row("milk", 99, "fresh")));
    assert_eq!(shown(&cheap(), cheaper), Ok(Some(whole)));
}

#[test]
fn a_row_that_stays_in_the_predicate_arrives_as_it_was_written_and_one_that_stays_out_does_not() {
    let note = Change::Update(Row::new().with(NOTE, "old"));
    let inside = entry("milk", Before::Whole(row("milk", 99, "")), note.clone());
    assert_eq!(shown(&cheap(), inside.clone()), Ok(Some(inside)));
    assert_eq!(shown(&cheap(), entry("milk", Before::Whole(row("milk", 120, "")), note)), Ok(None));
    let gone = entry("milk", Before::Whole(row("milk", 120, "")), Change::Delete);
    assert_eq!(shown(&cheap(), gone), Ok(None), "the follower never had it");
    let born = entry("milk", Before::Absent, Change::Upsert(row("milk", 120, "")));
    assert_eq!(shown(&cheap(), born), Ok(None));
}

#[test]
fn a_change_that_needs_the_old_row_says_that_the_writer_has_to_tell_it() {
    let cheaper = Change::Update(Row::new().with(PRICE, 99_i64));
    let note = Change::Update(Row::new().with(NOTE, "old"));
    assert_eq!(shown(&cheap(), update("milk", Row::new().with(PRICE, 99_i64))), Err(needs_full(5)));
    assert_eq!(shown(&cheap(), update("milk", Row::new().with(NOTE, "old"))), Err(needs_full(5)));
    let some = Before::Partial(Row::new().with(PRICE, 120_i64));
    assert_eq!(shown(&cheap(), entry("milk", some, cheaper)), Err(needs_full(5)), "its name is not told");
    let some = Before::Partial(Row::new().with(NAME, "milk"));
    assert_eq!(shown(&cheap(), entry("milk", some, note)), Err(needs_full(5)));
}

#[test]
fn some_columns_of_the_old_row_are_enough_where_they_decide() {
    let before = Before::Partial(Row::new().with(PRICE, 99_i64));
    let note = entry("milk", before.clone(), Change::Update(Row::new().with(NOTE, "old")));
    assert_eq!(shown(&cheap(), note.clone()), Ok(Some(note)));
    let dearer = entry("milk", before.clone(), Change::Update(Row::new().with(PRICE, 120_i64)));
    assert_eq!(shown(&cheap(), dearer), Ok(Some(entry("milk", before, Change::Delete))));
}

#[test]
fn a_change_that_leaves_a_row_outside_the_predicate_is_a_delete_if_nobody_knows_what_it_was() {
    let gone = Ok(Some(delete("milk")));
    assert_eq!(shown(&cheap(), upsert("milk", row("milk", 120, ""))), gone);
    assert_eq!(shown(&cheap(), update("milk", Row::new().with(PRICE, 120_i64))), gone);
    assert_eq!(shown(&cheap(), delete("milk")), gone);
}

#[test]
fn a_row_that_changes_its_key_moves_or_appears_or_goes_with_the_predicate() {
    let renamed = |old: i64, new: i64| LogicalEntry {
        old_key: Some("milk".into()),
        ..entry(
            "oat milk",
            Before::Whole(row("milk", old, "fresh")),
            Change::Update(Row::new().with(PRICE, new)),
        )
    };
    let stays = renamed(99, 98);
    assert_eq!(shown(&cheap(), stays.clone()), Ok(Some(stays)));
    let out = entry("milk", Before::Whole(row("milk", 99, "fresh")), Change::Delete);
    assert_eq!(shown(&cheap(), renamed(99, 120)), Ok(Some(out)), "under the key that the follower has");
    let into = entry("oat milk", Before::Absent, Change::Upsert(row("milk", 99, "fresh")));
    assert_eq!(shown(&cheap(), renamed(120, 99)), Ok(Some(into)), "under its new key");
    assert_eq!(shown(&cheap(), renamed(120, 121)), Ok(None));
}

#[test]
fn a_replaced_row_that_was_outside_the_predicate_is_new_to_the_follower() {
    let replaced = LogicalEntry {
        old_key: Some("milk".into()),
        ..entry("oat milk", Before::Whole(row("milk", 120, "")), Change::Upsert(row("oat milk", 99, "")))
    };
    let new = entry("oat milk", Before::Absent, Change::Upsert(row("oat milk", 99, "")));
    assert_eq!(shown(&cheap(), replaced), Ok(Some(new)));
}

#[test]
fn a_column_list_cuts_rows_and_schemas_and_its_predicate_may_read_what_it_hides() {
    let rule = Rule::all().columns([NAME]).rows(Predicate::compare(PRICE, Comparison::Less, 100_i64));
    let names = filter(rule);
    let born = entry("milk", Before::Absent, Change::Upsert(row("milk", 99, "fresh")));
    let cut = entry("milk", Before::Absent, Change::Upsert(Row::new().with(NAME, "milk")));
    assert_eq!(shown(&names, born), Ok(Some(cut)));
    let cheaper =
        entry("milk", Before::Whole(row("milk", 99, "")), Change::Update(Row::new().with(PRICE, 98_i64)));
    assert_eq!(shown(&names, cheaper), Ok(None), "nothing changed that is shown");

    let declared = names.apply(&transaction(1, [declaration(&schema())])).expect("no row");
    let [(_, Entry::Schema(change))] = declared.entries() else { panic!("one declaration") };
    assert_eq!(change.schema, schema().project(|column| column == NAME));
    assert_eq!(change.schema.columns().len(), 1);
}

#[test]
fn a_follower_with_a_column_list_needs_no_value_for_what_is_hidden() {
    let names = filter(Rule::all().columns([NAME]));
    let local = schema().project(|column| column == NAME);
    let mut follower = replication_log::entry::logical::LogicalApplier::new(
        replication_log::entry::logical::MemoryTarget::new(),
        super::registry(&local),
    );
    let entries = [declaration(&schema()), upsert("milk", row("milk", 99, "fresh")).into()];
    let shown = names.apply(&transaction(1, entries)).expect("no predicate");
    assert_eq!(follower.apply(&shown), Ok(Outcome::Applied));
    assert_eq!(super::rows(follower.target()), [("milk".into(), Row::new().with(NAME, "milk"))]);
}

#[test]
fn no_row_predicate_judges_a_delta() {
    let delta = entry("milk", Before::Unknown, Change::Delta { tag: 1, bytes: b"+1".to_vec() });
    let refused = FilterError::DeltaUnderPredicate { lsn: Lsn::new(5), collection: GOODS };
    assert_eq!(shown(&cheap(), delta.clone()), Err(refused));
    assert_eq!(shown(&filter(Rule::all()), delta.clone()), Ok(Some(delta)));
}

#[test]
fn a_row_with_a_null_is_hidden_by_what_compares_it() {
    let fresh = filter(Rule::all().rows(Predicate::compare(NOTE, Comparison::NotEqual, "old")));
    let without = Row::new().with(NAME, "milk").with(PRICE, 99_i64).with(NOTE, Cell::Null);
    assert_eq!(shown(&fresh, entry("milk", Before::Absent, Change::Upsert(without))), Ok(None));
}

#[test]
fn filters_have_limits() {
    let mut filter = Filter::nothing();
    for collection in 0..MAX_FILTER_RULES as u64 {
        filter = filter.with(CollectionId(collection), Rule::all()).expect("within the limit");
    }
    let refused = filter.with(CollectionId(u64::MAX), Rule::all());
    assert_eq!(refused, Err(Malformed::TooMuch { what: "rules of a filter", limit: MAX_FILTER_RULES }));
    let many: BTreeSet<_> = (0..=4096).map(replication_log::entry::logical::ColumnId).collect();
    let refused = Filter::nothing().with(GOODS, Rule::all().columns(many));
    assert_eq!(refused, Err(Malformed::TooMuch { what: "columns", limit: MAX_COLUMNS }));
}
