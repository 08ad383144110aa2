//! Logical followers: of another version, with a part of the rows, and never ahead of what is committed.

use core::time::Duration;

use replication_log::{
    Batch, Lsn, Position, RecordKind,
    entry::logical::{
        Before, Change, CollectionId, Column, ColumnId, ColumnType, Comparison, Entry, Filter,
        FormatVersions, LogicalApplier, LogicalEntry, MemoryTarget, Outcome, Predicate, ReplicaIdentity, Row,
        Rule, Schema, SchemaChange, SchemaId, SchemaRegistry, Target, Transaction,
    },
    limits::MAX_FRAME_BATCHES,
    ship::{
        Receiver, ReceiverOptions, SendError, Sender, Stage, Step,
        wire::{Hello, Refusal, Stream, ToLeader},
    },
};

use crate::nodes::Leader;

const GOODS: CollectionId = CollectionId(1);
const NAME: ColumnId = ColumnId(1);
const PRICE: ColumnId = ColumnId(2);
const STOCK: ColumnId = ColumnId(3);

fn v1() -> Schema {
    let columns =
        vec![Column::new(NAME, "name", ColumnType::Text), Column::new(PRICE, "price", ColumnType::I64)];
    Schema::new(SchemaId(7), 1, ReplicaIdentity::Full, columns).expect("legal")
}

/// Version 2 calls the name a title, and has a stock, of which there is none until somebody says otherwise.
fn v2() -> Schema {
    v1().evolve(vec![
        Column::new(NAME, "title", ColumnType::Text),
        Column::new(PRICE, "price", ColumnType::I64),
        Column::new(STOCK, "stock", ColumnType::I64).with_default(0_i64),
    ])
    .expect("a successor")
}

fn goods(key: &str, before: Before, change: Change) -> Entry {
    let (schema, version, collection) = (SchemaId(7), 1, GOODS);
    LogicalEntry { schema, version, collection, key: key.into(), old_key: None, before, change }.into()
}

fn row(name: &str, price: i64) -> Row {
    Row::new().with(NAME, name).with(PRICE, price)
}

fn write(leader: &mut Leader, entries: &[Entry]) -> Lsn {
    let mut batch = Batch::new(leader.epoch);
    Transaction::write(entries, &mut batch).expect("fits");
    let last = *leader.log.append(&batch).expect("fits").end();
    leader.log.sync().expect("healthy");
    last
}

/// A leader of version 1 that has declared its schema in record 1 and put milk at 99 and wine at 700.
fn shop() -> Leader {
    let mut leader = Leader::new("a", 1);
    write(&mut leader, &[SchemaChange { collection: GOODS, schema: v1() }.into()]);
    for (key, price) in [("milk", 99), ("wine", 700)] {
        leader.commit = write(&mut leader, &[goods(key, Before::Absent, Change::Upsert(row(key, price)))]);
    }
    leader
}

/// A node that keeps rows.
struct Reader {
    receiver: Receiver,
    applier: Option<LogicalApplier<MemoryTarget>>,
    frames: usize,
}

impl Reader {
    fn new(local: Schema, filter: Filter) -> Self {
        let mut registry = SchemaRegistry::new();
        registry.declare(GOODS, local).expect("the first");
        let options = ReceiverOptions::new("reader").logical(filter);
        let receiver = Receiver::new(options, replication_log::Epoch::ZERO, Position::ORIGIN);
        Self { receiver, applier: Some(LogicalApplier::new(MemoryTarget::new(), registry)), frames: 0 }
    }

    fn take(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        match self.receiver.handle(frame).expect("sound") {
            Step::Begin(_) => self.receiver.begun(),
            Step::Apply(transactions) => {
                self.frames += 1;
                for transaction in transactions {
                    let outcome = self.applier.as_mut().expect("there").apply(&transaction);
                    assert_eq!(outcome, Ok(Outcome::Applied));
                    self.receiver.mark(Stage::Applied, transaction.last());
                }
            }
            _ => {}
        }
        core::iter::from_fn(|| self.receiver.poll()).collect()
    }

    fn settle(&mut self, leader: &Leader, sender: &mut Sender) {
        loop {
            let frames = leader.feed(sender, Duration::ZERO);
            if frames.is_empty() {
                return;
            }
            for answer in frames.iter().flat_map(|frame| self.take(frame)).collect::<Vec<_>>() {
                sender.handle(Duration::ZERO, &answer).expect("sound");
            }
        }
    }

    fn follow(&mut self, leader: &Leader) -> Sender {
        let hello = self.receiver.hello(1, Vec::new());
        let mut sender = leader.answer(&hello).expect("served");
        self.settle(leader, &mut sender);
        sender
    }

    fn rows(mut self) -> Vec<(String, Row)> {
        let target = self.applier.take().expect("there").into_target();
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).expect("text");
        target.rows(GOODS).map(|(key, row)| (text(key), row.clone())).collect()
    }
}

/// The lesson: followers are upgraded first. One of version 2 follows a leader of version 1: what only it has gets its
/// default, and what it calls otherwise is still the same column.
#[test]
fn a_leader_of_version_1_is_followed_by_readers_of_version_2() {
    let leader = shop();
    let mut reader = Reader::new(v2(), Filter::everything());
    reader.follow(&leader);
    let expected = |name: &str, price| (name.to_string(), row(name, price).with(STOCK, 0_i64));
    assert_eq!(reader.rows(), [expected("milk", 99), expected("wine", 700)]);
}

/// What is not committed may be cut by the next leader, and a logical follower cannot take rows back.
#[test]
fn a_logical_stream_ends_where_the_commit_mark_is() {
    let mut leader = shop();
    write(&mut leader, &[goods("beer", Before::Absent, Change::Upsert(row("beer", 120)))]);
    let mut reader = Reader::new(v1(), Filter::everything());
    let mut sender = reader.follow(&leader);
    assert_eq!(reader.receiver.end().lsn, Lsn::new(3));
    leader.commit = Lsn::new(4);
    reader.settle(&leader, &mut sender);
    assert_eq!(reader.rows().len(), 3);
}

/// Case 42: the reader has exactly the goods that are cheap. One that becomes dear arrives as a delete; what is not
/// for it moves its position all the same, and many such transactions are one.
#[test]
fn a_filter_shows_its_part_and_the_position_moves_on() {
    let cheap = Predicate::compare(PRICE, Comparison::Less, 100_i64);
    let filter = Filter::nothing().with(GOODS, Rule::all().rows(cheap)).expect("one rule");
    let mut leader = shop();
    let mut reader = Reader::new(v1(), filter);
    let mut sender = reader.follow(&leader);
    leader.commit = write(
        &mut leader,
        &[goods("milk", Before::Whole(row("milk", 99)), Change::Update(Row::new().with(PRICE, 120_i64)))],
    );
    reader.settle(&leader, &mut sender);
    let frames = reader.frames;
    for _ in 0..100 {
        let dearer = Change::Update(Row::new().with(PRICE, 900_i64));
        leader.commit = write(&mut leader, &[goods("wine", Before::Whole(row("wine", 700)), dearer)]);
    }
    reader.settle(&leader, &mut sender);
    assert_eq!(reader.receiver.end().lsn, leader.commit);
    assert_eq!(reader.frames, frames + 1);
    let target = reader.applier.take().expect("there").into_target();
    assert_eq!((target.applied(), target.rows(GOODS).count()), (Ok(leader.commit), 0));
}

/// Several transactions in one batch are applied one by one, and a reader that stands between two of them goes on
/// there. Records of another kind are passed over.
#[test]
fn a_reader_goes_on_between_two_transactions_of_one_batch() {
    let mut leader = shop();
    let mut batch = Batch::new(leader.epoch);
    for key in ["beer", "bread", "butter"] {
        Transaction::write(&[goods(key, Before::Absent, Change::Upsert(row(key, 50)))], &mut batch)
            .expect("fits");
        batch.push(RecordKind(1), b"of another kind").expect("fits");
    }
    leader.commit = *leader.log.append(&batch).expect("fits").end();
    leader.log.sync().expect("healthy");
    let mut reader = Reader::new(v1(), Filter::everything());
    reader.follow(&leader);
    assert_eq!(reader.receiver.end().lsn, Lsn::new(9));

    let options = ReceiverOptions::new("reader").logical(Filter::everything());
    let between = Position { lsn: Lsn::new(5), ..Position::ORIGIN };
    reader.receiver = Receiver::new(options, leader.epoch, between);
    let hello = reader.receiver.hello(2, Vec::new());
    let mut sender = leader.answer(&hello).expect("served");
    let welcome = sender.poll(Duration::ZERO).expect("an answer");
    for report in reader.take(&welcome) {
        sender.handle(Duration::ZERO, &report).expect("sound");
    }
    let frame = leader.feed(&mut sender, Duration::ZERO).swap_remove(0);
    let Step::Apply(transactions) = reader.receiver.handle(&frame).expect("sound") else {
        panic!("transactions")
    };
    let firsts: Vec<_> = transactions.iter().map(|transaction| transaction.first().get()).collect();
    assert_eq!(firsts, [6, 7, 8, 9]);
}

/// A batch can end more transactions than a frame carries; they come in several frames.
#[test]
fn a_batch_of_very_many_transactions_takes_several_frames() {
    let many = MAX_FRAME_BATCHES as u64 + 10;
    let mut leader = Leader::with_segments("a", 1, crate::common::options().segment_bytes(4 << 20));
    write(&mut leader, &[SchemaChange { collection: GOODS, schema: v1() }.into()]);
    let mut batch = Batch::new(leader.epoch);
    for number in 0..many {
        let put = Change::Upsert(row("milk", 99));
        Transaction::write(&[goods(&number.to_string(), Before::Absent, put)], &mut batch).expect("fits");
    }
    leader.commit = *leader.log.append(&batch).expect("fits").end();
    leader.log.sync().expect("healthy");
    let mut reader = Reader::new(v1(), Filter::everything());
    reader.follow(&leader);
    assert_eq!(reader.receiver.end().lsn, leader.commit);
    assert_eq!(reader.rows().len() as u64, many);
}

/// A reader has only what was committed; a leader that lacks some of it is not one to be followed.
#[test]
fn a_leader_that_lacks_what_a_reader_has_applied_is_not_followed() {
    let leader = shop();
    let options = ReceiverOptions::new("reader").logical(Filter::everything());
    let ahead = Position { lsn: Lsn::new(4), ..Position::ORIGIN };
    let mut receiver = Receiver::new(options, leader.epoch, ahead);
    let hello = receiver.hello(1, Vec::new());
    let diverged = Refusal::Diverged { common: Lsn::new(3), floor: Lsn::new(4) };
    assert_eq!(leader.answer(&hello).err(), Some(diverged));
}

/// Case 44: a reader that does not know the leader's version of the entries is refused, with that version.
#[test]
fn a_reader_of_an_older_entry_format_is_refused() {
    let leader = shop();
    let mut reader = Reader::new(v1(), Filter::everything());
    let hello = reader.receiver.hello(1, Vec::new());
    let Ok(ToLeader::Hello(hello)) = ToLeader::decode(&hello) else { panic!("a first word") };
    let formats = FormatVersions { min: 7, max: 9 };
    let Stream::Logical { filter, after, .. } = hello.wants.clone() else { panic!("logical") };
    let newer = Hello { wants: Stream::Logical { formats, filter: filter.clone(), after }, ..hello.clone() };
    let ours = replication_log::entry::logical::FORMAT_VERSIONS;
    assert_eq!(leader.answer(&newer.encode()).err(), Some(Refusal::EntryFormat { formats: ours }));

    let versions = FormatVersions { min: 7, max: 9 };
    let later = Hello { versions, wants: Stream::Logical { formats: ours, filter, after }, ..hello };
    let ours = replication_log::ship::wire::PROTOCOL_VERSIONS;
    assert_eq!(leader.answer(&later.encode()).err(), Some(Refusal::ProtocolVersion { versions: ours }));
}

/// A filter over rows needs the old row; a writer that does not tell it stops the stream, with the entry's number.
#[test]
fn a_filter_that_needs_more_than_the_log_tells_is_an_error() {
    let cheap = Predicate::compare(PRICE, Comparison::Less, 100_i64);
    let filter = Filter::nothing().with(GOODS, Rule::all().rows(cheap)).expect("one rule");
    let mut leader = shop();
    let unknown = Change::Update(Row::new().with(NAME, "fresh milk"));
    leader.commit = write(&mut leader, &[goods("milk", Before::Unknown, unknown)]);
    let mut reader = Reader::new(v1(), filter);
    let hello = reader.receiver.hello(1, Vec::new());
    let mut sender = leader.answer(&hello).expect("served");
    let welcome = sender.poll(Duration::ZERO).expect("an answer");
    for report in reader.take(&welcome) {
        sender.handle(Duration::ZERO, &report).expect("sound");
    }
    let mut batches = leader.log.read_batches_from(Lsn::FIRST).expect("kept");
    let mut outcome = Ok(());
    while let (Ok(()), Some(batch)) = (&outcome, batches.next_batch().expect("readable")) {
        outcome = sender.push(Duration::ZERO, &batch);
    }
    assert!(matches!(outcome, Err(SendError::Filter(_))), "{outcome:?}");
}
