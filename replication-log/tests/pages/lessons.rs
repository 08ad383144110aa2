//! What physical entries are, one lesson at a time.

use replication_log::{
    AppendError, Batch, Epoch, Log, Lsn,
    entry::physical::{Applied, ApplyError, PageChange, PhysicalApplier, PhysicalEntry},
    page::{CheckpointError, PageFormat, PageId, PageTable},
    storage::{FaultStorage, Keep, MemoryStorage, Storage, StorageFile, Survivors},
};

use crate::tools::{
    Leader, NAME, PAGE, batch, encoded, key, log_options, recovered, rows, table_options, torn_pages, value,
};

fn changes(entries: &[Vec<u8>]) -> Vec<(u32, PageChange)> {
    let entry = |bytes: &Vec<u8>| PhysicalEntry::decode(bytes).expect("an entry");
    entries.iter().map(entry).map(|entry| (entry.page().get(), entry.change().clone())).collect()
}

#[test]
fn an_update_in_place_is_one_page_and_the_bytes_that_differ() {
    let (_, mut users) = Leader::in_memory(4096);
    users.upsert(b"123", b"balance=050");
    let entries = users.upsert(b"123", b"balance=100");
    let [(_, PageChange::Bytes { ranges, .. })] = &changes(&entries)[..] else { panic!("{entries:?}") };
    assert_eq!((ranges.len(), &ranges[0].bytes[..]), (1, &b"10"[..]));
    assert!(users.upsert(b"123", b"balance=100").is_empty(), "the same value again is no change");
}

#[test]
fn after_a_checkpoint_the_first_change_of_a_page_is_logged_as_the_whole_page() {
    let (_, mut users) = Leader::in_memory(4096);
    users.upsert(b"123", b"balance=050");
    users.checkpoint();
    let first = changes(&users.upsert(b"123", b"balance=100"));
    assert!(matches!(first[..], [(_, PageChange::Image(_))]), "{first:?}");
    let second = changes(&users.upsert(b"123", b"balance=200"));
    assert!(matches!(second[..], [(_, PageChange::Bytes { .. })]), "{second:?}");
}

#[test]
fn a_row_that_outgrows_its_page_moves_and_keeps_its_key() {
    let (_, mut table) = Leader::in_memory(512);
    for number in 0..8 {
        table.upsert(&key(number), &value(number, 50));
    }
    for size in [90, 400, 40_000, 3] {
        table.upsert(&key(3), &value(9, size));
        assert_eq!(table.table.get(&key(3)).expect("sound"), Some(value(9, size)), "{size} bytes");
    }
    assert_eq!(table.table.len(), Ok(8));
}

#[test]
fn a_large_value_that_changes_in_one_place_is_logged_in_one_place() {
    let (_, mut table) = Leader::in_memory(512);
    let mut large = value(1, 5000);
    table.upsert(b"large", &large);
    large[3000] ^= 1;
    let entries = table.upsert(b"large", &large);
    let [(_, PageChange::Bytes { ranges, .. })] = &changes(&entries)[..] else { panic!("{entries:?}") };
    assert_eq!((ranges.len(), ranges[0].bytes.len()), (1, 1));
}

#[test]
fn a_change_that_the_log_refuses_never_happened() {
    let storage = MemoryStorage::new();
    let (mut log, _) = Log::open(storage.clone(), log_options()).expect("new");
    let mut table = PageTable::create(&storage, &table_options(512)).expect("new");
    log.promise_epoch(Epoch::new(2)).expect("healthy");
    let change = table.insert(b"k", b"v").expect("sound");
    assert!(matches!(log.append(&batch(&change)), Err(AppendError::Fenced { .. })));
    drop(change);
    assert_eq!((table.get(b"k"), table.applied()), (Ok(None), Lsn::ZERO));

    let change = table.insert(b"k", b"v").expect("sound");
    let mut batch = Batch::new(Epoch::new(2));
    for entry in encoded(&change) {
        batch.push(PAGE, &entry).expect("small");
    }
    let lsns = log.append(&batch).expect("the epoch of the log");
    change.install(*lsns.end()).expect("next");
    assert_eq!(table.get(b"k"), Ok(Some(b"v".to_vec())));
}

#[test]
fn no_page_is_written_before_its_record_is_durable() {
    let (storage, mut users) = Leader::in_memory(512);
    users.upsert(b"123", b"balance=050");
    let before = storage.bytes(NAME);
    let last = users.table.applied();
    let refused = users.table.checkpoint(last.previous().expect("not the first"));
    let page = PageId::new(1);
    let durable = Lsn::new(last.get() - 1);
    assert_eq!(refused, Err(CheckpointError::NotDurable { page, lsn: last, durable }));
    assert_eq!((storage.bytes(NAME), users.table.checkpoint_lsn()), (before, Lsn::ZERO));
    assert!(users.table.checkpoint(last).is_ok());
}

/// Scenario 39. Copies of bytes need the same page size, format version and byte order; the version
/// fixes the order of bytes. Nodes notice when they meet, and if they ship anyway, nothing is written.
#[test]
fn entries_of_another_page_format_are_refused_at_the_handshake_and_again_before_a_byte_changes() {
    let (_, mut leader) = Leader::in_memory(4096);
    leader.upsert(b"123", b"balance=050");
    let storage = MemoryStorage::new();
    let mut follower = PageTable::create(&storage, &table_options(8192)).expect("new");

    let (have, got) = (follower.format(), PageFormat::decode(leader.table.format().encode()));
    let mismatch = have.check(&got).expect_err("the sizes differ");
    assert_eq!((mismatch.have.size(), mismatch.got.size()), (Some(8192), Some(4096)));
    let newer = PageFormat::decode([have.version() + 1, have.encode()[1]]);
    assert!(have.check(&newer).is_err(), "the versions differ");

    let before = storage.bytes(NAME);
    let (lsn, payload) = &leader.log[0];
    let refused = PhysicalApplier::new().apply(&mut follower, *lsn, payload);
    assert_eq!(refused, Err(ApplyError::Format { lsn: *lsn, mismatch }));
    let mut of_newer_version = payload.clone();
    (of_newer_version[2], of_newer_version[3]) = (newer.encode()[0], newer.encode()[1]);
    let refused = PhysicalApplier::new().apply(&mut follower, *lsn, &of_newer_version);
    assert!(matches!(refused, Err(ApplyError::Format { .. })), "{refused:?}");

    assert_eq!(rows(&mut follower), [].into());
    let report = follower.checkpoint(Lsn::new(1)).expect("healthy");
    assert_eq!((report.written, storage.bytes(NAME)), (0, before));
}

/// Scenario 40, first part: a follower that dies while it applies starts again where its last
/// checkpoint was, and applies what it had applied before.
#[test]
fn applying_twice_gives_the_pages_of_applying_once() {
    let (_, mut leader) = Leader::in_memory(512);
    (0..12).for_each(|number| drop(leader.upsert(&key(number), &value(number, 90))));
    let (storage, options) = (MemoryStorage::new(), table_options(512));
    let whole = || {
        let mut recovery = PageTable::open(&storage, &options).expect("intact");
        for (lsn, payload) in &leader.log {
            recovery.replay(*lsn, payload).expect("in order");
        }
        let mut table = recovery.finish().expect("complete");
        table.checkpoint(table.applied()).expect("healthy");
        storage.bytes(NAME).expect("there")
    };

    // It dies in the middle, then reads the whole log, twice.
    drop(PageTable::create(&storage, &options).expect("new"));
    let mut recovery = PageTable::open(&storage, &options).expect("intact");
    for (lsn, payload) in &leader.log[..leader.log.len() / 2] {
        recovery.replay(*lsn, payload).expect("in order");
    }
    drop(recovery);
    let once = whole();
    assert!(once == whole());

    let mut table = PageTable::open(&storage, &options).expect("intact").finish().expect("whole");
    let mut applier = PhysicalApplier::new();
    for (lsn, payload) in &leader.log {
        assert_eq!(applier.apply(&mut table, *lsn, payload), Ok(Applied::Skipped));
    }
    assert_eq!(table.checkpoint(table.applied()).expect("healthy").written, 0);
}

/// Scenario 40, second part: only half of a page's sectors reach the disk. The log holds the whole
/// page as it was first changed after the checkpoint before.
#[test]
fn a_torn_page_is_mended_by_the_image_that_follows_the_checkpoint() {
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(disk.clone(), log_options()).expect("new");
    let mut table = PageTable::create(&disk, &table_options(4096)).expect("new");
    let mut write = |table: &mut PageTable<FaultStorage>, salt| {
        let mut mini = table.begin().expect("healthy");
        for number in 0..20 {
            mini.upsert(&key(number), &value(salt, 100)).expect("sound");
        }
        let change = mini.finish().expect("sound");
        let lsns = log.append(&batch(&change)).expect("fits");
        change.install(*lsns.end()).expect("next");
        log.sync().expect("healthy")
    };
    let durable = write(&mut table, 1);
    table.checkpoint(durable).expect("healthy");
    write(&mut table, 2);
    let durable = write(&mut table, 3);
    let expected = rows(&mut table);

    disk.stop_after(1);
    table.checkpoint(durable).expect_err("the machine stops before the sync");
    disk.crash(Survivors { sectors: Keep::Only(0), entries: Keep::All });
    let (log, _) = Log::open(disk.clone(), log_options()).expect("intact");

    assert!(torn_pages(&disk, 4096) > 0, "the disk was too kind");
    let recovery = PageTable::open(&disk, &table_options(4096)).expect("intact");
    assert!(rows(&mut recovered(recovery, &log).expect("mended")) == expected);
}

/// Scenario 40, third part.
#[test]
fn a_change_of_a_page_that_is_another_one_here_is_refused() {
    let (_, mut leader) = Leader::in_memory(512);
    let (storage, mut other) = Leader::in_memory(512);
    leader.upsert(b"123", b"balance=050");
    other.upsert(b"123", b"balance=999");
    let entries = leader.upsert(b"123", b"balance=100");
    let lsn = Lsn::new(leader.log.len() as u64);
    let PageChange::Bytes { before, .. } = changes(&entries)[0].1.clone() else { panic!("an image") };

    let refused = PhysicalApplier::new().apply(&mut other.table, lsn, &entries[0]);
    let Err(ApplyError::OtherBase { lsn: at, page, expected, found }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((at, expected), (lsn, before));
    assert_eq!(other.table.get(b"123"), Ok(Some(b"balance=999".to_vec())));
    other.checkpoint();
    let bytes = storage.bytes(NAME).expect("there");
    let at = page.get() as usize * 512;
    assert_eq!(bytes[at..at + 4], found.to_le_bytes());
}

/// A follower takes checkpoints when it likes, but the log holds whole pages where its leader took
/// them. Pages it could not mend stay in memory until the log does.
#[test]
fn a_follower_keeps_pages_back_that_the_log_could_not_mend() {
    let (_, mut leader) = Leader::in_memory(512);
    let mut follower = PageTable::create(&MemoryStorage::new(), &table_options(512)).expect("new");
    let mut applier = PhysicalApplier::new();
    let mut ship = |leader: &mut Leader<_>, follower: &mut PageTable<_>, value: &[u8]| {
        let entries = leader.upsert(b"123", value);
        let first = leader.log.len() + 1 - entries.len();
        for (lsn, entry) in (first as u64..).map(Lsn::new).zip(&entries) {
            applier.apply(follower, lsn, entry).expect("in order");
        }
        follower.checkpoint(follower.applied()).expect("healthy")
    };
    let report = ship(&mut leader, &mut follower, b"one");
    assert_eq!((report.held_back, report.lsn), (0, Lsn::new(3)));
    let report = ship(&mut leader, &mut follower, b"two");
    assert_eq!((report.written, report.held_back, report.lsn), (0, 1, Lsn::new(3)));
    leader.checkpoint();
    let report = ship(&mut leader, &mut follower, b"six");
    assert_eq!((report.written, report.held_back, report.lsn), (1, 0, Lsn::new(5)));
}

#[test]
fn pages_that_are_forgotten_are_read_again() {
    let (storage, mut leader) = Leader::in_memory(512);
    (0..50).for_each(|number| drop(leader.upsert(&key(number), &value(number, 90))));
    let expected = rows(&mut leader.table);
    leader.table.evict();
    assert!(rows(&mut leader.table) == expected, "what is only in memory is not forgotten");
    leader.checkpoint();
    leader.table.evict();
    let file = storage.open(NAME).expect("there");
    let length = file.len().expect("healthy");
    file.set_len(512).expect("healthy");
    assert!(leader.table.get(&key(7)).is_err(), "it is read from the file");
    file.set_len(length).expect("healthy");
}
