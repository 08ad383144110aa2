//! Files and entries that nobody of good will has written. Whatever they hold, every operation ends,
//! with a value or an error, in memory that the file explains.

use proptest::prelude::*;
use replication_log::{
    Lsn,
    entry::physical::{PhysicalApplier, PhysicalEntry},
    page::PageTable,
    storage::MemoryStorage,
};

use crate::tools::{Leader, NAME, crc32c, key, table_options, value};

/// A table of some levels with all kinds of pages, in its file.
fn honest_file() -> Vec<u8> {
    let (storage, mut leader) = Leader::in_memory(512);
    for number in 0..90 {
        let long = [&key(number)[..], &[7; 60]].concat();
        leader.upsert(&long, &value(number, if number % 30 == 7 { 1300 } else { 40 }));
    }
    for number in 20..50 {
        let long = [&key(number)[..], &[7; 60]].concat();
        leader.write(|mini| assert_eq!(mini.delete(&long), Ok(true)));
    }
    leader.checkpoint();
    storage.bytes(NAME).expect("there")
}

/// Makes the checksums of all pages fit.
fn seal(file: &mut [u8]) {
    for page in file.chunks_exact_mut(512).skip(1) {
        let checksum = crc32c(&page[4..]);
        page[..4].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Does all that can be done with a file, and counts rows.
fn exercise(bytes: Vec<u8>) -> usize {
    let length = bytes.len();
    let storage = MemoryStorage::new();
    storage.set_bytes(NAME, bytes);
    let Ok(recovery) = PageTable::open(&storage, &table_options(512)) else {
        return 0;
    };
    let Ok(mut table) = recovery.finish() else {
        return 0;
    };
    let rows: Vec<_> =
        table.range(..).map_or_else(|_| Vec::new(), |rows| rows.map_while(Result::ok).collect());
    assert!(rows.len() <= length, "more rows than bytes");
    assert!(rows.is_sorted_by(|one, other| one.0 < other.0), "a scan goes back");
    let mut lsn = table.applied().get();
    for number in 0..100_u32 {
        let long = [&key(number)[..], &[7; 60]].concat();
        let _ = table.get(&long);
        let change = match number % 3 {
            0 => table.delete(&long),
            1 => table.upsert(&long, &value(number, 70)),
            _ => table.upsert(&long, &value(number, 900)),
        };
        if let Ok(change) = change {
            lsn += change.entries().len() as u64;
            change.install(Lsn::new(lsn)).expect("next");
        }
    }
    let _ = table.checkpoint(Lsn::new(lsn));
    rows.len()
}

#[test]
fn the_honest_file_is_read_whole() {
    let mut file = honest_file();
    assert_eq!(exercise(file.clone()), 60);
    let before = file.clone();
    seal(&mut file);
    assert!(file == before, "the checksums are those of the document");
    assert!(file.chunks(512).map(|page| page[7]).filter(|kind| *kind == 4).count() >= 2, "it is too small");
}

proptest! {
    #[test]
    fn random_files_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        exercise(bytes);
    }

    #[test]
    fn flipped_bits_never_go_further_than_an_error(
        flips in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let mut file = honest_file();
        for flip in flips {
            let bit = flip.index(file.len() * 8);
            file[bit / 8] ^= 1 << (bit % 8);
        }
        exercise(file);
    }

    /// Whoever forges pages can forge checksums too. Headers, slots, and references among pages are
    /// where a program could be led astray.
    #[test]
    fn forged_pages_with_fitting_checksums_never_go_further_than_an_error(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![24_usize..72, 4_usize..512], any::<u8>()), 1..8),
    ) {
        let mut file = honest_file();
        let pages = file.len() / 512;
        for (page, at, byte) in edits {
            // Small numbers more often: they are pages, slots and kinds that exist.
            let byte = if byte < 128 { byte % 24 } else { byte };
            file[(1 + page.index(pages - 1)) * 512 + at] = byte;
        }
        seal(&mut file);
        exercise(file);
    }

    /// Pages in the place of others, under their number: trees that are circles, lists without an end.
    #[test]
    fn pages_that_stand_for_each_other_never_lead_in_a_circle(
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8),
        levels in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 0..4),
    ) {
        let mut file = honest_file();
        let pages = file.len() / 512;
        for (from, to) in moves {
            let (from, to) = (1 + from.index(pages - 1), 1 + to.index(pages - 1));
            file.copy_within(from * 512..from * 512 + 512, to * 512);
            let number = u32::try_from(to).expect("small");
            file[to * 512 + 8..to * 512 + 12].copy_from_slice(&number.to_le_bytes());
        }
        for (page, level) in levels {
            file[(1 + page.index(pages - 1)) * 512 + 14] = level;
        }
        seal(&mut file);
        exercise(file);
    }

    #[test]
    fn random_entries_are_refused_or_are_the_one_encoding_of_what_they_say(
        bytes in prop::collection::vec(any::<u8>(), 0..80), honest in any::<bool>(),
    ) {
        let mut bytes = bytes;
        if honest {
            let head = [1, 1 + u8::from(bytes.len() % 2 == 0), 1, 9];
            bytes.splice(0..4.min(bytes.len()), head);
        }
        if let Ok(entry) = PhysicalEntry::decode(&bytes) {
            prop_assert_eq!(entry.encode(), bytes);
        }
    }

    /// Entries changed on their way: a table refuses them, or is as sound as before.
    #[test]
    fn forged_entries_never_go_further_than_an_error(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (_, mut leader) = Leader::in_memory(512);
        (0..20).for_each(|number| drop(leader.upsert(&key(number), &value(number, 100))));
        for (entry, at, byte) in edits {
            let entry = entry.index(leader.log.len());
            let payload = &mut leader.log[entry].1;
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let storage = MemoryStorage::new();
        let mut table = PageTable::create(&storage, &table_options(512)).expect("new");
        let mut applier = PhysicalApplier::new();
        for (lsn, payload) in &leader.log {
            let before = table.applied();
            if applier.apply(&mut table, *lsn, payload).is_err() {
                prop_assert_eq!(table.applied(), before);
            }
        }
        let _ = table.range(..).map(|rows| rows.take_while(Result::is_ok).count());
        let _ = table.checkpoint(table.applied());
        let length = storage.bytes(NAME).expect("there").len();
        prop_assert!(length <= 512 * 300, "a number made the file {} bytes long", length);
    }
}
