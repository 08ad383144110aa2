//! Targets that fail: at every operation, before and after the commit took effect.

use replication_log::{
    Lsn,
    entry::logical::{
        ApplyError, CollectionId, Entry, LogicalApplier, MemoryTarget, Outcome, Row, Schema, Target,
        Transaction,
    },
};

use super::{
    GOODS, NAME, PRICE, columns, declaration, delete, registry, row, rows, schema, transaction, update,
    upsert,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Down;

impl core::fmt::Display for Down {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("down")
    }
}

impl core::error::Error for Down {}

/// A target that fails once, at the operation with this number.
#[derive(Clone, Debug)]
struct Failing {
    inner: MemoryTarget,
    fails_at: u32,
    /// Whether a commit that fails takes effect nevertheless.
    commits: bool,
}

impl Failing {
    fn step(&mut self) -> Result<(), Down> {
        self.fails_at = self.fails_at.wrapping_sub(1);
        if self.fails_at == u32::MAX { Err(Down) } else { Ok(()) }
    }
}

fn infallible<T>(outcome: Result<T, core::convert::Infallible>) -> Result<T, Down> {
    outcome.map_err(|never| match never {})
}

impl Target for Failing {
    type Error = Down;

    fn applied(&self) -> Result<Lsn, Down> {
        infallible(self.inner.applied())
    }

    fn declared(&self) -> Result<Vec<(CollectionId, Schema)>, Down> {
        infallible(self.inner.declared())
    }

    fn begin(&mut self) -> Result<(), Down> {
        self.step()?;
        infallible(self.inner.begin())
    }

    fn get(&self, collection: CollectionId, key: &[u8]) -> Result<Option<Row>, Down> {
        infallible(self.inner.get(collection, key))
    }

    fn upsert(&mut self, collection: CollectionId, key: &[u8], row: Row) -> Result<(), Down> {
        self.step()?;
        infallible(self.inner.upsert(collection, key, row))
    }

    fn delete(&mut self, collection: CollectionId, key: &[u8]) -> Result<(), Down> {
        self.step()?;
        infallible(self.inner.delete(collection, key))
    }

    fn delta(&mut self, collection: CollectionId, key: &[u8], tag: u32, bytes: &[u8]) -> Result<(), Down> {
        self.step()?;
        infallible(self.inner.delta(collection, key, tag, bytes))
    }

    fn declare(&mut self, collection: CollectionId, schema: &Schema) -> Result<(), Down> {
        self.step()?;
        infallible(self.inner.declare(collection, schema))
    }

    fn commit(&mut self, lsn: Lsn) -> Result<(), Down> {
        let outcome = self.step();
        if outcome.is_ok() || self.commits {
            infallible(self.inner.commit(lsn))?;
        }
        outcome
    }

    fn rollback(&mut self) {
        self.inner.rollback();
    }
}

/// Three transactions, the second of which also brings a new version of the schema.
fn stream() -> [Transaction; 3] {
    let mut wider = columns();
    wider[2].nullable = true;
    wider[2].name = "remark".into();
    let second = schema().evolve(wider).expect("legal");
    let later = |entry: super::LogicalEntry| Entry::Row(super::LogicalEntry { version: 2, ..entry });
    [
        transaction(
            1,
            [
                declaration(&schema()),
                upsert("milk", row("milk", 99, "fresh")).into(),
                upsert("bread", row("bread", 50, "")).into(),
            ],
        ),
        transaction(
            4,
            [
                delete("bread").into(),
                declaration(&second),
                later(update("milk", Row::new().with(PRICE, 98_i64))),
            ],
        ),
        transaction(7, [later(update("milk", Row::new().with(NAME, "oat milk")))]),
    ]
}

#[test]
fn a_target_that_fails_anywhere_ends_up_where_one_does_that_never_fails() {
    for commits in [false, true] {
        let mut failures = 0;
        for fails_at in 0..30 {
            let target = Failing { inner: MemoryTarget::new(), fails_at, commits };
            let mut applier = LogicalApplier::new(target, registry(&schema()));
            for transaction in stream() {
                let before = rows(&applier.target().inner);
                if let Err(error) = applier.apply(&transaction) {
                    assert_eq!(error, ApplyError::Target(Down));
                    failures += 1;
                    let found = applier.target().applied().expect("it failed once");
                    if found < transaction.last() {
                        assert_eq!(rows(&applier.target().inner), before, "none of it is there");
                        assert_eq!(applier.apply(&transaction), Ok(Outcome::Applied));
                    } else {
                        assert_eq!(applier.apply(&transaction), Ok(Outcome::AlreadyApplied));
                    }
                }
            }
            let target = applier.into_target().inner;
            assert_eq!(target.applied(), Ok(Lsn::new(7)));
            assert_eq!(rows(&target), [("milk".into(), row("oat milk", 98, "fresh"))]);
            assert_eq!(target.declared().expect("memory")[0].1.version(), 2);
            assert_eq!(target.rows(GOODS).count(), 1);
        }
        assert_eq!(failures, 13, "as many operations as there are");
    }
}
