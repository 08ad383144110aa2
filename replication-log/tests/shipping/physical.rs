//! Physical followers: the same bytes in the same files, or nothing at all.

use replication_log::{
    Batch, LogOptions, Lsn, RecordKind,
    entry::physical::{Applied, PhysicalApplier, PhysicalEntry},
    page::{PageFormat, PageTable, TableOptions},
    ship::{Receiver, ReceiverOptions, Step, wire::Refusal},
    storage::{FaultStorage, MemoryStorage},
};

use crate::nodes::{Follower, Leader, follow, settle};

const PAGE: RecordKind = RecordKind(1);

fn table_options() -> TableOptions {
    TableOptions::new("users.pages").page_bytes(512)
}

fn format(bytes: u32) -> PageFormat {
    PageFormat::new(bytes).expect("legal")
}

/// A batch may hold several pages.
fn segments() -> LogOptions {
    crate::common::options().segment_bytes(16 << 10)
}

/// A leader with a table whose every change goes through its log.
struct Shop {
    leader: Leader,
    pages: MemoryStorage,
    table: PageTable<MemoryStorage>,
}

impl Shop {
    fn open() -> Self {
        let pages = MemoryStorage::new();
        let table = PageTable::create(&pages, &table_options()).expect("new");
        Self { leader: Leader::with_segments("a", 1, segments()), pages, table }
    }

    fn sell(&mut self, round: u32) {
        let mut mini = self.table.begin().expect("healthy");
        for number in [round, round * 3 % 40, round / 2] {
            let value = vec![b'x'; 10 + (round as usize * 7 + number as usize * 13) % 150];
            mini.upsert(&number.to_be_bytes(), &value).expect("sound");
        }
        if round % 3 == 2 {
            mini.delete(&(round / 3).to_be_bytes()).expect("sound");
        }
        let change = mini.finish().expect("sound");
        let mut batch = Batch::new(self.leader.epoch);
        for entry in change.entries().iter().map(PhysicalEntry::encode) {
            batch.push(PAGE, &entry).expect("small");
        }
        let last = *self.leader.log.append(&batch).expect("fits").end();
        change.install(last).expect("next");
        self.leader.log.sync().expect("healthy");
        self.leader.commit = last;
    }
}

/// Applies what a follower's log has and its table lacks.
fn catch_up(follower: &Follower, table: &mut PageTable<MemoryStorage>) {
    let mut applier = PhysicalApplier::new();
    let from = table.applied().next().expect("a number");
    for record in follower.log.read_from(from).expect("kept") {
        let record = record.expect("readable");
        if record.lsn <= follower.receiver.committed() {
            let outcome = applier.apply(table, record.lsn, &record.payload).expect("in order");
            assert_ne!(outcome, Applied::Skipped);
        }
    }
}

/// The lesson: a physical follower's files are its leader's, byte for byte, after any number of changes.
#[test]
fn a_physical_follower_has_its_leaders_files() {
    let mut shop = Shop::open();
    let options = ReceiverOptions::new("b").pages(format(512));
    let mut follower = Follower::with_segments(options, FaultStorage::new(), segments());
    let pages = MemoryStorage::new();
    let mut copy = PageTable::create(&pages, &table_options()).expect("new");
    let hello = follower.hello();
    let options = shop.leader.options().pages(format(512));
    let mut sender = shop.leader.answer_with(options, &hello).expect("the same format");
    for round in 0..60 {
        shop.sell(round);
        settle(&shop.leader, &mut sender, &mut follower);
        catch_up(&follower, &mut copy);
        if round % 7 == 6 {
            shop.table.checkpoint(shop.leader.log.durable()).expect("durable");
            copy.checkpoint(follower.log.durable()).expect("durable");
            let [ours, theirs] = [&shop.pages, &pages].map(|storage| storage.bytes("users.pages"));
            assert!(ours == theirs, "the files differ after {round} changes");
        }
    }
}

/// Case 39: with another page size, or of another version, nothing is shipped, and nothing is written. A logical
/// stream to the same node works.
#[test]
fn another_page_format_is_refused_at_the_handshake() {
    let mut shop = Shop::open();
    shop.sell(1);
    for pages in [format(1024), PageFormat::decode([9, 9])] {
        let mut follower = Follower::of(ReceiverOptions::new("b").pages(pages), FaultStorage::new());
        let hello = follower.hello();
        let before = crate::common::image(&follower.disk);
        let options = shop.leader.options().pages(format(512));
        let refusal = shop.leader.answer_with(options, &hello).expect_err("another format");
        assert_eq!(refusal, Refusal::PageFormat { pages: format(512) });
        let told = refusal.encode(1);
        let step = follower.receiver.handle(&told).expect("understood");
        assert_eq!(step, Step::Refused(refusal));
        assert_eq!(crate::common::image(&follower.disk), before);

        let everything = replication_log::entry::logical::Filter::everything();
        let logical = ReceiverOptions::new("b").logical(everything);
        let mut receiver = Receiver::new(logical, shop.leader.epoch, replication_log::Position::ORIGIN);
        let hello = receiver.hello(2, Vec::new());
        shop.leader.answer_with(shop.leader.options().pages(format(512)), &hello).expect("no bytes of pages");
    }
}

/// A leader without pages has nothing that could have another format.
#[test]
fn a_log_without_pages_can_be_copied_by_anybody() {
    let mut leader = Leader::new("a", 1);
    leader.write("no page");
    let mut follower = Follower::of(ReceiverOptions::new("b").pages(format(512)), FaultStorage::new());
    let _ = follow(&leader, &mut follower);
    assert_eq!((follower.texts(), follower.log.last()), (vec!["no page".to_string()], Lsn::new(1)));
}
