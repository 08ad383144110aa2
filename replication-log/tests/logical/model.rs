//! Random transactions through random filters, against a model that filters tables and knows no
//! changes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use replication_log::{
    Lsn,
    entry::logical::{
        Before, Cell, Change, ColumnId, Comparison, Entry, Filter, LogicalApplier, LogicalEntry,
        MemoryTarget, Outcome, Predicate, Row, Rule, Target, Value,
    },
};

use super::{GOODS, NAME, NOTE, PRICE, declaration, entry, registry, rows, schema, transaction};

type Table = BTreeMap<String, Row>;

/// A condition as a tree, evaluated by the definition of three-valued logic.
#[derive(Clone, Debug)]
enum Condition {
    Compare(ColumnId, Comparison, Value),
    IsNull(ColumnId),
    Not(Box<Condition>),
    And(Box<(Condition, Condition)>),
    Or(Box<(Condition, Condition)>),
}

impl Condition {
    fn predicate(&self) -> Predicate {
        match self {
            Self::Compare(column, by, value) => Predicate::compare(*column, *by, value.clone()),
            Self::IsNull(column) => Predicate::is_null(*column),
            Self::Not(inner) => inner.predicate().not().expect("small"),
            Self::And(both) => both.0.predicate().and(both.1.predicate()).expect("small"),
            Self::Or(both) => both.0.predicate().or(both.1.predicate()).expect("small"),
        }
    }

    /// 0 is false, 1 unknown, 2 true: `and` is the lower, `or` the higher of the two.
    fn truth(&self, row: &Row) -> u8 {
        match self {
            Self::Compare(column, by, value) => match row.get(*column) {
                Cell::Value(held) => {
                    let holds = match by {
                        Comparison::Equal => held == value,
                        Comparison::NotEqual => held != value,
                        Comparison::Less => held < value,
                        Comparison::AtMost => held <= value,
                        Comparison::Greater => held > value,
                        Comparison::AtLeast => held >= value,
                    };
                    u8::from(holds) * 2
                }
                _ => 1,
            },
            Self::IsNull(column) => u8::from(row.get(*column) == &Cell::Null) * 2,
            Self::Not(inner) => 2 - inner.truth(row),
            Self::And(both) => both.0.truth(row).min(both.1.truth(row)),
            Self::Or(both) => both.0.truth(row).max(both.1.truth(row)),
        }
    }

    fn passes(&self, row: &Row) -> bool {
        self.truth(row) == 2
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    use Comparison::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
    let comparison = || prop::sample::select(vec![Equal, NotEqual, Less, AtMost, Greater, AtLeast]);
    let leaf = prop_oneof![
        (comparison(), 0_i64..4).prop_map(|(by, value)| Condition::Compare(PRICE, by, value.into())),
        (comparison(), "[ab]").prop_map(|(by, value)| Condition::Compare(NOTE, by, value.as_str().into())),
        Just(Condition::IsNull(NOTE)),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| Condition::Not(Box::new(a))),
            (inner.clone(), inner.clone()).prop_map(|both| Condition::And(Box::new(both))),
            (inner.clone(), inner).prop_map(|both| Condition::Or(Box::new(both))),
        ]
    })
}

/// What a writer does; keys and rows are few, so that they meet.
#[derive(Clone, Debug)]
enum Write {
    Put(usize, Row),
    Change(usize, Row),
    Move(usize, usize, Row),
    Remove(usize),
}

fn write() -> impl Strategy<Value = Write> {
    let note = || prop_oneof![Just(Cell::Null), "[ab]".prop_map(|note| Cell::from(note.as_str()))];
    let whole = ("[xy]", 0_i64..4, note()).prop_map(|(name, price, note)| {
        Row::new().with(NAME, name.as_str()).with(PRICE, price).with(NOTE, note)
    });
    let cells = (prop::option::of("[xy]"), prop::option::of(0_i64..4), prop::option::of(note())).prop_map(
        |(name, price, note)| {
            let name = name.map_or(Cell::Unchanged, |name| name.as_str().into());
            let price = price.map_or(Cell::Unchanged, Into::into);
            let row = Row::new().with(NAME, name).with(PRICE, price);
            row.with(NOTE, note.unwrap_or_default())
        },
    );
    let cells = || cells.clone();
    prop_oneof![
        4 => (0_usize..4, whole).prop_map(|(key, row)| Write::Put(key, row)),
        4 => (0_usize..4, cells()).prop_map(|(key, row)| Write::Change(key, row)),
        2 => (0_usize..4, 0_usize..4, cells()).prop_map(|(from, to, row)| Write::Move(from, to, row)),
        2 => (0_usize..4).prop_map(Write::Remove),
    ]
}

/// What the writer's table becomes, and what its log says about that.
fn perform(table: &mut Table, write: &Write, full: bool) -> Option<LogicalEntry> {
    let key = |at: usize| ["a", "b", "c", "d"][at].to_string();
    let told = |row: Option<Row>| match row {
        _ if !full => Before::Unknown,
        None => Before::Absent,
        Some(row) => Before::Whole(row),
    };
    match write {
        Write::Put(at, row) => {
            let before = table.insert(key(*at), row.clone());
            Some(entry(&key(*at), told(before), Change::Upsert(row.clone())))
        }
        Write::Change(at, cells) => {
            let row = table.get_mut(&key(*at))?;
            let before = told(Some(row.clone()));
            row.overlay(cells);
            // Without the old row only whole rows can be filtered.
            let change = if full { Change::Update(cells.clone()) } else { Change::Upsert(row.clone()) };
            Some(entry(&key(*at), before, change))
        }
        Write::Move(from, to, cells) => {
            if table.contains_key(&key(*to)) {
                return None;
            }
            let mut row = table.remove(&key(*from))?;
            let before = told(Some(row.clone()));
            row.overlay(cells);
            table.insert(key(*to), row.clone());
            let change = if full { Change::Update(cells.clone()) } else { Change::Upsert(row) };
            Some(LogicalEntry { old_key: Some(key(*from).into()), ..entry(&key(*to), before, change) })
        }
        Write::Remove(at) => {
            let before = table.remove(&key(*at))?;
            Some(entry(&key(*at), told(Some(before)), Change::Delete))
        }
    }
}

fn restricted(table: &Table, condition: &Condition, shows: impl Fn(ColumnId) -> bool) -> Vec<(String, Row)> {
    let passing = table.iter().filter(|(_, row)| condition.passes(row));
    passing.map(|(key, row)| (key.clone(), row.project(&shows))).collect()
}

proptest! {
    #[test]
    fn a_follower_has_exactly_the_rows_that_pass_after_every_transaction(
        condition in condition(),
        names_only: bool,
        full: bool,
        transactions in prop::collection::vec(prop::collection::vec(write(), 1..5), 1..12),
    ) {
        let shows = |column| !names_only || column == NAME;
        let rule = Rule::all().rows(condition.predicate());
        let rule = if names_only { rule.columns([NAME]) } else { rule };
        let filter = Filter::nothing().with(GOODS, rule).expect("one rule");
        let local = schema().project(shows);
        let mut follower = LogicalApplier::new(MemoryTarget::new(), registry(&local));
        let declared = filter.apply(&transaction(1, [declaration(&schema())])).expect("no row");
        follower.apply(&declared).expect("legal");

        let (mut table, mut next) = (Table::new(), 2);
        for writes in transactions {
            let mut entries = Vec::new();
            let mut visible = 0;
            for write in writes {
                let before = table.clone();
                if let Some(entry) = perform(&mut table, &write, full) {
                    let keys = [entry.old_key.as_ref().unwrap_or(&entry.key), &entry.key];
                    let seen = |table: &Table| keys.iter().any(|key| {
                        let key = std::str::from_utf8(key).expect("text");
                        table.get(key).is_some_and(|row| condition.passes(row))
                    });
                    visible += usize::from(seen(&before) || seen(&table));
                    entries.push(Entry::from(entry));
                }
            }
            if entries.is_empty() {
                continue;
            }
            let whole = transaction(next, entries);
            next = whole.last().get() + 1;
            let shown = filter.apply(&whole).expect("the writer tells enough");
            if full && !names_only {
                prop_assert_eq!(shown.entries().len(), visible, "what concerns the follower and no more");
            }
            prop_assert_eq!(follower.apply(&shown), Ok(Outcome::Applied));
            prop_assert_eq!(follower.target().applied(), Ok(Lsn::new(next - 1)));
            prop_assert_eq!(rows(follower.target()), restricted(&table, &condition, shows));
            prop_assert_eq!(follower.apply(&shown), Ok(Outcome::AlreadyApplied));
        }
    }

    #[test]
    fn a_predicate_says_of_a_part_of_a_row_only_what_it_says_of_every_whole_one(
        condition in condition(), price in prop::option::of(0_i64..4),
        note in prop::option::of(prop::option::of("[ab]")),
    ) {
        let cell = |note: Option<String>| note.map_or(Cell::Null, |note| note.as_str().into());
        let told = Row::new()
            .with(PRICE, price.map_or(Cell::Unchanged, Into::into))
            .with(NOTE, note.map_or(Cell::Unchanged, cell));
        let Some(passes) = condition.predicate().passes_partial(&told) else {
            prop_assert!(told.len() < 2, "the whole row is told");
            return Ok(());
        };
        for price in 0_i64..4 {
            for note in [None, Some("a".to_string()), Some("b".to_string())] {
                let mut whole = Row::new().with(PRICE, price).with(NOTE, cell(note));
                whole.overlay(&told);
                prop_assert_eq!(condition.passes(&whole), passes);
            }
        }
    }
}
