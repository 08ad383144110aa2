//! Every refusal has its type, and leaves the table as it was.

use replication_log::{
    Lsn,
    entry::physical::{ApplyError, EntryError, PhysicalApplier},
    limits::{MAX_BATCH_BYTES, MAX_ROW_VALUE_BYTES},
    page::{
        CheckpointError, DamagedPage, InstallError, OpenTableError, PageDamage, PageId, PageTable,
        TableError, TableOptions,
    },
    storage::{FaultStorage, MemoryStorage, Storage, StorageErrorKind, StorageFile},
};

use crate::tools::{Leader, NAME, crc32c, rows, table_options, value};

#[test]
fn page_sizes_that_are_none_are_refused() {
    for size in [0, 1, 256, 511, 513, 4095, 128 << 10, u32::MAX] {
        let storage = MemoryStorage::new();
        let refused = PageTable::create(&storage, &table_options(size));
        assert!(matches!(refused, Err(OpenTableError::PageSize(error)) if error.size == size), "{size}");
        assert_eq!(storage.bytes(NAME), None);
    }
}

#[test]
fn a_table_is_created_once_and_opened_where_it_is() {
    let (storage, mut leader) = Leader::in_memory(512);
    leader.upsert(b"a", b"1");
    leader.checkpoint();
    let before = storage.bytes(NAME);
    let twice = PageTable::create(&storage, &table_options(512));
    assert!(
        matches!(&twice, Err(OpenTableError::Storage(error)) if error.kind == StorageErrorKind::AlreadyExists),
        "{twice:?}"
    );
    assert_eq!(storage.bytes(NAME), before);
    let absent = PageTable::open(&storage, &TableOptions::new("other.pages"));
    assert!(
        matches!(absent, Err(OpenTableError::Storage(error)) if error.kind == StorageErrorKind::NotFound)
    );

    let recovery = PageTable::open(&storage, &table_options(4096)).expect("intact");
    assert_eq!(recovery.format().size(), Some(512), "the file says what its pages are");
}

#[test]
fn a_file_that_is_no_table_or_of_another_version_is_refused_untouched() {
    let storage = MemoryStorage::new();
    for bytes in [vec![], vec![0; 4096], b"some text that is not a table at all".to_vec()] {
        storage.set_bytes(NAME, bytes.clone());
        assert_eq!(PageTable::open(&storage, &table_options(512)).err(), Some(OpenTableError::NoMark));
        assert_eq!(storage.bytes(NAME), Some(bytes));
    }
    let (storage, _) = Leader::in_memory(512);
    let mut bytes = storage.bytes(NAME).expect("there");
    bytes[8] = 2;
    storage.set_bytes(NAME, bytes.clone());
    let refused = PageTable::open(&storage, &table_options(512));
    assert!(matches!(refused, Err(OpenTableError::Format(found)) if found.got.version() == 2));
    assert_eq!(storage.bytes(NAME), Some(bytes));
}

#[test]
fn one_damaged_checkpoint_mark_costs_nothing_but_replaying_more() {
    let (storage, mut leader) = Leader::in_memory(512);
    leader.upsert(b"a", b"1");
    leader.checkpoint();
    let first = leader.table.checkpoint_lsn();
    leader.upsert(b"a", b"2");
    leader.checkpoint();
    let bytes = storage.bytes(NAME).expect("there");
    for (mark, expected) in [(0, first), (256, leader.table.checkpoint_lsn())] {
        // Marks alternate: the second checkpoint is at the start again.
        let mut damaged = bytes.clone();
        damaged[mark + 20] ^= 1;
        storage.set_bytes(NAME, damaged);
        let recovery = PageTable::open(&storage, &table_options(512)).expect("one mark is enough");
        assert_eq!(recovery.checkpoint(), expected);
        let mut table = recovery.replay_all(leader.log.clone()).expect("complete");
        assert_eq!(table.get(b"a"), Ok(Some(b"2".to_vec())));
    }
}

#[test]
fn keys_and_values_have_bounds() {
    for (size, limit) in [(512, 108), (4096, 1004), (64 << 10, 1024)] {
        let (_, mut leader) = Leader::in_memory(size);
        assert_eq!(leader.table.max_key_bytes(), limit);
        let longest = vec![7; limit];
        leader.upsert(&longest, b"");
        leader.upsert(b"", &value(1, 100_000));
        let mut mini = leader.table.begin().expect("healthy");
        let refused = mini.upsert(&vec![7; limit + 1], b"");
        assert_eq!(refused, Err(TableError::KeyTooLong { bytes: limit + 1, limit }));
        let (bytes, limit) = (MAX_ROW_VALUE_BYTES + 1, MAX_ROW_VALUE_BYTES);
        assert_eq!(mini.insert(b"k", &vec![0; bytes]), Err(TableError::ValueTooLong { bytes, limit }));
        assert_eq!(mini.insert(b"k", b"v"), Ok(true), "the mini-transaction goes on");
        drop(mini);
        assert_eq!(rows(&mut leader.table).len(), 2);
    }
}

#[test]
fn what_needs_no_change_is_empty_and_installs_as_nothing() {
    let (_, mut leader) = Leader::in_memory(512);
    leader.upsert(b"a", b"1");
    let applied = leader.table.applied();
    assert!(leader.table.insert(b"a", b"2").expect("sound").is_empty());
    assert!(leader.table.update(b"b", b"2").expect("sound").is_empty());
    let nothing = leader.table.delete(b"b").expect("sound");
    assert!(nothing.is_empty());
    assert_eq!(nothing.install(Lsn::ZERO), Ok(()));
    assert_eq!((leader.table.applied(), leader.table.len()), (applied, Ok(1)));
}

#[test]
fn numbers_that_the_table_has_passed_are_refused() {
    let (_, mut leader) = Leader::in_memory(512);
    leader.upsert(b"a", b"1");
    let applied = leader.table.applied();
    let change = leader.table.upsert(b"b", b"2").expect("sound");
    let entries = change.entries().len() as u64;
    let last = Lsn::new(applied.get() + entries - 1);
    assert_eq!(change.install(last), Err(InstallError::NotNext { last, entries, applied }));
    assert_eq!((leader.table.get(b"b"), leader.table.applied()), (Ok(None), applied));
}

/// Damages the page of the file that holds this.
fn damage(storage: &MemoryStorage, needle: &[u8]) -> PageId {
    let bytes = storage.bytes(NAME).expect("there");
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("there");
    storage.open(NAME).expect("there").write_at(at as u64, &[bytes[at] ^ 1]).expect("healthy");
    PageId::new(u32::try_from(at / 512).expect("small"))
}

#[test]
fn a_damaged_page_is_named_and_a_broken_mini_transaction_can_only_be_dropped() {
    let (storage, mut leader) = Leader::in_memory(512);
    leader.upsert(b"key", b"value");
    leader.checkpoint();
    drop(leader);
    let page = damage(&storage, b"value");
    let open = || PageTable::open(&storage, &table_options(512)).expect("intact").finish().expect("complete");
    let damaged = TableError::Damaged(DamagedPage { page, damage: PageDamage::Checksum });
    let mut table = open();
    assert_eq!(table.get(b"key"), Err(damaged.clone()));
    let mut mini = table.begin().expect("healthy");
    assert_eq!(mini.update(b"key", b"other"), Err(damaged));
    assert_eq!(mini.update(b"key", b"other"), Err(TableError::Broken));
    assert_eq!(mini.finish().err(), Some(TableError::Broken));

    let length = storage.bytes(NAME).expect("there").len();
    storage.set_bytes(NAME, storage.bytes(NAME).expect("there")[..length - 1].to_vec());
    let refused = PageTable::open(&storage, &table_options(512)).expect("intact").finish();
    let missing = DamagedPage { page: PageId::new(3), damage: PageDamage::Missing };
    assert_eq!(refused.err(), Some(ApplyError::Table(TableError::Damaged(missing))));
}

/// Overwrites a byte of a page and makes its checksum fit again.
fn forge(storage: &MemoryStorage, page: usize, at: usize, bytes: &[u8]) {
    let mut file = storage.bytes(NAME).expect("there");
    let image = &mut file[page * 512..(page + 1) * 512];
    image[at..at + bytes.len()].copy_from_slice(bytes);
    let checksum = crc32c(&image[4..]);
    image[..4].copy_from_slice(&checksum.to_le_bytes());
    storage.set_bytes(NAME, file);
}

#[test]
fn a_page_with_a_fitting_checksum_is_still_looked_at() {
    let cases: [(usize, &[u8], PageDamage); 7] = [
        (6, &[2], PageDamage::Version(2)),
        (8, &[9], PageDamage::Misplaced),
        (7, &[77], PageDamage::Kind),
        (7, &[6], PageDamage::Kind),
        (12, &[200], PageDamage::Content),
        (24, &[255, 255], PageDamage::Content),
        (40, &[1, 0], PageDamage::Content),
    ];
    for (at, bytes, damage) in cases {
        let (storage, mut leader) = Leader::in_memory(512);
        leader.upsert(b"key", b"value");
        leader.checkpoint();
        drop(leader);
        forge(&storage, 2, at, bytes);
        let mut table =
            PageTable::open(&storage, &table_options(512)).expect("intact").finish().expect("whole");
        let page = PageId::new(2);
        assert_eq!(table.get(b"key"), Err(TableError::Damaged(DamagedPage { page, damage })), "byte {at}");
    }
}

/// Opens a file that needs no log.
fn open(storage: &MemoryStorage) -> PageTable<MemoryStorage> {
    PageTable::open(storage, &table_options(512)).expect("intact").finish().expect("whole")
}

#[test]
fn keys_out_of_order_are_damage() {
    let (storage, mut leader) = Leader::in_memory(512);
    leader.upsert(b"a", b"1");
    leader.upsert(b"b", b"2");
    leader.checkpoint();
    drop(leader);
    let file = storage.bytes(NAME).expect("there");
    let slots = &file[3 * 512 + 40..3 * 512 + 48];
    forge(&storage, 3, 40, &[&slots[4..], &slots[..4]].concat());
    let damaged = DamagedPage { page: PageId::new(3), damage: PageDamage::Content };
    assert_eq!(open(&storage).get(b"a"), Err(TableError::Damaged(damaged)));
}

#[test]
fn a_leaf_in_the_place_of_another_is_damage_to_a_scan() {
    let (storage, mut leader) = Leader::in_memory(512);
    for number in 0..40_u8 {
        leader.upsert(&[number; 30], b"");
    }
    leader.checkpoint();
    drop(leader);
    let file = storage.bytes(NAME).expect("there");
    let leaves: Vec<_> = (1..file.len() / 512).filter(|page| file[page * 512 + 7] == 3).collect();
    assert!(leaves.len() > 2);
    let (from, to) = (leaves[0], leaves[1]);
    forge(&storage, to, 12, &file[from * 512 + 12..(from + 1) * 512]);
    let rows: Vec<_> = open(&storage).range(..).expect("a root").collect();
    let page = PageId::new(u32::try_from(to).expect("small"));
    let damaged = TableError::Damaged(DamagedPage { page, damage: PageDamage::Content });
    assert_eq!(rows.last(), Some(&Err(damaged)), "it ends with the error");
}

#[test]
fn a_value_whose_pages_are_not_as_long_as_it_is_is_damage() {
    let (storage, mut leader) = Leader::in_memory(512);
    leader.upsert(b"long", &value(1, 900));
    leader.checkpoint();
    drop(leader);
    let honest = storage.bytes(NAME).expect("there");
    let pages: Vec<_> = (1..honest.len() / 512).filter(|page| honest[page * 512 + 7] == 5).collect();
    let [first, last] = pages[..] else { panic!("{pages:?}") };
    let row = (1..honest.len() / 512).find(|page| honest[page * 512 + 7] == 2).expect("a heap page");
    let small = |page: usize| u8::try_from(page).expect("small");
    let cases: [(usize, usize, &[u8], usize, &str); 5] = [
        (last, 28, &[small(first)], last, "it goes on behind its end"),
        (first, 28, &[0], first, "it ends too early"),
        (first, 24, &[9, 0], first, "a page in the middle is not full"),
        (last, 24, &[1, 0], last, "the last page is too short"),
        (row, 504, &[0, 0, 255, 0], first, "it is longer than the file"),
    ];
    for (forged, at, bytes, found, context) in cases {
        storage.set_bytes(NAME, honest.clone());
        forge(&storage, forged, at, bytes);
        let page = PageId::new(u32::try_from(found).expect("small"));
        let damaged = DamagedPage { page, damage: PageDamage::Content };
        assert_eq!(open(&storage).get(b"long"), Err(TableError::Damaged(damaged)), "{context}");
    }
}

/// The log of a leader that took no checkpoint holds no image of what the follower's file lost.
#[test]
fn a_torn_page_without_an_image_in_the_log_is_not_passed_over() {
    let (_, mut leader) = Leader::in_memory(512);
    leader.upsert(b"key", b"value");
    let storage = MemoryStorage::new();
    let mut follower = PageTable::create(&storage, &table_options(512)).expect("new");
    let mut applier = PhysicalApplier::new();
    for (lsn, payload) in &leader.log {
        applier.apply(&mut follower, *lsn, payload).expect("in order");
    }
    follower.checkpoint(follower.applied()).expect("healthy");
    leader.upsert(b"key", b"VALUE");
    let page = damage(&storage, b"value");
    let recovery = PageTable::open(&storage, &table_options(512)).expect("intact");
    let refused = recovery.replay_all(leader.log.clone()).err();
    let damaged = DamagedPage { page, damage: PageDamage::Checksum };
    assert_eq!(refused, Some(ApplyError::Table(TableError::Damaged(damaged))));
}

#[test]
fn a_directory_that_claims_pages_that_are_nowhere_is_damage() {
    let (storage, mut leader) = Leader::in_memory(512);
    leader.upsert(b"key", b"value");
    leader.checkpoint();
    drop(leader);
    forge(&storage, 1, 52, &[5]);
    let refused = PageTable::open(&storage, &table_options(512)).expect("intact").finish();
    let damaged = DamagedPage { page: PageId::new(4), damage: PageDamage::Missing };
    assert_eq!(refused.err(), Some(ApplyError::Table(TableError::Damaged(damaged))));
}

#[test]
fn a_table_grows_by_the_pages_it_is_given() {
    let (_, mut leader) = Leader::in_memory(512);
    leader.upsert(b"key", b"value");
    let mut table = PageTable::create(&MemoryStorage::new(), &table_options(512)).expect("new");
    let mut applier = PhysicalApplier::new();
    let mut log = leader.log.clone();
    let at = log[0].1.windows(4).rposition(|bytes| bytes == [4, 0, 0, 0]).expect("four pages");
    log[0].1[at + 2] = 1;
    let outcome: Vec<_> = log.iter().map(|(lsn, payload)| applier.apply(&mut table, *lsn, payload)).collect();
    let (page, damage) = (PageId::new(1), PageDamage::Content);
    assert_eq!(outcome[2], Err(ApplyError::Nonsense { lsn: Lsn::new(3), page, damage }));
    assert_eq!(table.pages(), Ok(2));
}

#[test]
fn a_table_that_is_ahead_of_the_log_it_is_given_is_not_opened() {
    let (storage, mut leader) = Leader::in_memory(512);
    leader.upsert(b"a", b"1");
    leader.checkpoint();
    let lsn = leader.table.applied();
    drop(leader);
    let mut bytes = storage.bytes(NAME).expect("there");
    // The mark of the checkpoint is lost, and so is the log.
    bytes[256..288].fill(0);
    storage.set_bytes(NAME, bytes);
    let refused = PageTable::open(&storage, &table_options(512)).expect("one mark is enough").finish();
    let (page, applied) = (PageId::new(1), Lsn::ZERO);
    assert_eq!(refused.err(), Some(ApplyError::Table(TableError::AheadOfLog { page, lsn, applied })));
}

#[test]
fn a_failed_sync_ends_the_table_and_a_full_disk_does_not() {
    let disk = FaultStorage::new();
    let mut leader = Leader::create(&disk, 512);
    leader.upsert(b"a", &value(1, 3000));
    let last = leader.table.applied();
    disk.limit_space(Some(700));
    assert!(matches!(leader.table.checkpoint(last), Err(CheckpointError::Storage(_))));
    disk.limit_space(None);
    assert!(leader.table.checkpoint(last).is_ok());

    leader.upsert(b"a", &value(2, 3000));
    let last = leader.table.applied();
    disk.fail_syncs(1);
    assert!(matches!(leader.table.checkpoint(last), Err(CheckpointError::Poisoned(_))));
    assert!(matches!(leader.table.checkpoint(last), Err(CheckpointError::Poisoned(_))));
    assert!(matches!(leader.table.begin().err(), Some(TableError::Poisoned(_))));
    let refused = PhysicalApplier::new().apply(&mut leader.table, Lsn::new(99), b"");
    assert!(matches!(refused, Err(ApplyError::Table(TableError::Poisoned(_)))));
}

#[test]
fn entries_out_of_order_or_left_out_are_refused_and_the_whole_sequence_is_taken_afterwards() {
    let (_, mut leader) = Leader::in_memory(512);
    leader.upsert(b"a", b"1");
    let log = leader.log.clone();
    assert_eq!(log.len(), 3);
    let create = || PageTable::create(&MemoryStorage::new(), &table_options(512)).expect("new");
    for wrong in [[0, 2, 2], [0, 0, 1], [0, 1, 1], [1, 2, 1]] {
        let (mut table, mut applier) = (create(), PhysicalApplier::new());
        let outcome = wrong.map(|at| applier.apply(&mut table, log[at].0, &log[at].1));
        assert!(
            outcome.iter().any(|result| matches!(result, Err(ApplyError::OutOfOrder { .. }))),
            "{outcome:?}"
        );
        assert_eq!((table.len(), applier.remaining()), (Ok(0), 0), "{wrong:?}");
        for (lsn, payload) in &log {
            applier.apply(&mut table, *lsn, payload).expect("in order");
        }
        assert_eq!(table.get(b"a"), Ok(Some(b"1".to_vec())));
    }

    let storage = MemoryStorage::new();
    drop(PageTable::create(&storage, &table_options(512)).expect("new"));
    let recovery = PageTable::open(&storage, &table_options(512)).expect("intact");
    let refused = recovery.replay_all(log[..2].to_vec());
    assert_eq!(refused.err(), Some(ApplyError::Incomplete { remaining: 1 }));
}

#[test]
fn an_entry_that_would_make_nonsense_of_a_page_is_refused() {
    let (_, mut leader) = Leader::in_memory(512);
    leader.upsert(b"a", b"1");
    let mut last = leader.log[2].1.clone();
    // It says that it is alone.
    assert_eq!(last[12..14], [2, 0]);
    last[12] = 0;
    let mut table = PageTable::create(&MemoryStorage::new(), &table_options(512)).expect("new");
    let mut applier = PhysicalApplier::new();
    // A page that the directory does not know.
    let refused = applier.apply(&mut table, Lsn::new(3), &last);
    assert!(matches!(refused, Err(ApplyError::Nonsense { damage: PageDamage::Content, .. })), "{refused:?}");
    let mut other_page = last.clone();
    other_page[4] ^= 8;
    let refused = applier.apply(&mut table, Lsn::new(3), &other_page);
    assert!(
        matches!(refused, Err(ApplyError::Nonsense { damage: PageDamage::Misplaced, .. })),
        "{refused:?}"
    );
    let refused = applier.apply(&mut table, Lsn::new(3), &last[..9]);
    assert_eq!(refused, Err(ApplyError::Entry { lsn: Lsn::new(3), error: EntryError::Short { bytes: 9 } }));
    assert_eq!((table.len(), table.applied()), (Ok(0), Lsn::ZERO));
}

#[test]
fn a_mini_transaction_without_end_is_refused_before_it_fills_the_memory() {
    let mut table = PageTable::create(&MemoryStorage::new(), &table_options(64 << 10)).expect("new");
    let mut applier = PhysicalApplier::new();
    let refused = (1..3000).find_map(|at: u32| {
        let head = [&[1, 1, 1, 16][..], &at.to_le_bytes(), &[0; 4]].concat();
        let (index, remaining) = (at - 1, (1 << 21) - at);
        let payload =
            [&head[..], &counted(index), &counted(remaining), &[24, 0xe0, 0xd4, 3], &vec![7; 60_000]]
                .concat();
        applier.apply(&mut table, Lsn::new(at.into()), &payload).err().map(|error| (at, error))
    });
    let Some((at, ApplyError::TooLarge { lsn, limit })) = refused else { panic!("{refused:?}") };
    assert_eq!((lsn, limit), (Lsn::new(at.into()), MAX_BATCH_BYTES));
    assert_eq!((applier.remaining(), u64::from(at) * 60_000 / 1_000_000), (0, 67));
}

/// A number in LEB128.
fn counted(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

#[test]
fn a_running_follower_does_not_pass_over_a_damaged_page() {
    let (_, mut leader) = Leader::in_memory(512);
    let storage = MemoryStorage::new();
    let mut follower = PageTable::create(&storage, &table_options(512)).expect("new");
    let mut applier = PhysicalApplier::new();
    leader.upsert(b"key", b"value");
    for (lsn, payload) in &leader.log {
        applier.apply(&mut follower, *lsn, payload).expect("in order");
    }
    follower.checkpoint(follower.applied()).expect("healthy");
    follower.evict();
    let page = damage(&storage, b"value");

    let entries = leader.upsert(b"key", b"VALUE");
    let refused = applier.apply(&mut follower, Lsn::new(4), &entries[0]);
    let damaged = DamagedPage { page, damage: PageDamage::Checksum };
    assert_eq!(refused, Err(ApplyError::Table(TableError::Damaged(damaged))));
}
