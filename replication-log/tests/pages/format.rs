//! The bytes of page format and entry version 1, as `docs/formats.md` draws them. They never change: a
//! new format gets a new number.

use replication_log::{
    Lsn,
    entry::physical::{EntryError, PhysicalEntry},
    page::PageTable,
    storage::MemoryStorage,
};

use crate::tools::{Leader, NAME, crc32c, table_options, value};

/// Two rows, one of them too large for a page, one removed, and one changed after a checkpoint.
fn golden() -> (MemoryStorage, Leader<MemoryStorage>) {
    let (storage, mut leader) = Leader::in_memory(512);
    leader.upsert(b"123", b"balance=050");
    leader.upsert(b"long", &[b'x'; 500]);
    leader.upsert(b"gone", b"");
    leader.write(|mini| assert_eq!(mini.delete(b"gone"), Ok(true)));
    leader.checkpoint();
    leader.upsert(b"123", b"balance=100");
    leader.upsert(b"123", b"balance=200");
    leader.checkpoint();
    (storage, leader)
}

/// Lines of hexadecimal digits; of repeated lines only the first and the number.
fn lines(bytes: &[u8]) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for row in bytes.chunks(8) {
        let digits = row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        match lines.last_mut() {
            Some((last, count)) if *last == digits => *count += 1,
            _ => lines.push((digits, 1)),
        }
    }
    let line = |(digits, count)| if count == 1 { digits + "\n" } else { format!("{digits} * {count}\n") };
    lines.into_iter().map(line).collect()
}

#[test]
fn the_bytes_of_a_table() {
    let (storage, _) = golden();
    let bytes = storage.bytes(NAME).expect("there");
    assert_eq!(lines(&bytes), include_str!("../golden/pages_v1.hex"), "{}", lines(&bytes));
}

#[test]
fn the_bytes_of_physical_entries() {
    let (_, leader) = golden();
    let shown = leader.log.iter().map(|(lsn, payload)| format!("record {lsn}\n{}", lines(payload)));
    let entries = shown.collect::<Vec<_>>().concat();
    assert_eq!(entries, include_str!("../golden/physical_entries_v1.hex"), "{entries}");
}

/// The file, from the lines that show it.
fn golden_file() -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in include_str!("../golden/pages_v1.hex").lines() {
        let (digits, count) = line.split_once(" * ").unwrap_or((line, "1"));
        let row = (0..8).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hexadecimal"));
        let row: Vec<u8> = row.collect();
        bytes.extend(row.repeat(count.parse().expect("a number")));
    }
    bytes
}

#[test]
fn a_table_of_version_1_can_be_read() {
    let storage = MemoryStorage::new();
    storage.set_bytes(NAME, golden_file());
    let recovery = PageTable::open(&storage, &table_options(512)).expect("readable");
    assert_eq!(recovery.checkpoint(), Lsn::new(16));
    let mut table = recovery.finish().expect("whole");
    let rows: Vec<_> = table.range(..).expect("sound").map(|row| row.expect("sound")).collect();
    let expected = [(b"123".to_vec(), b"balance=200".to_vec()), (b"long".to_vec(), vec![b'x'; 500])];
    assert_eq!(rows, expected);
}

#[test]
fn every_checksum_can_be_computed_from_the_document_alone() {
    let bytes = golden_file();
    for mark in [0, 256] {
        assert_eq!(bytes[mark + 28..mark + 32], crc32c(&bytes[mark..mark + 28]).to_le_bytes());
    }
    for page in bytes.chunks_exact(512).skip(1) {
        assert_eq!(page[..4], crc32c(&page[4..]).to_le_bytes());
    }
}

#[test]
fn an_entry_has_one_encoding() {
    let (_, leader) = golden();
    for (_, payload) in &leader.log {
        let entry = PhysicalEntry::decode(payload).expect("an entry");
        assert_eq!(&entry.encode(), payload);
        for length in 0..payload.len() {
            // Cut between two ranges it is an entry with fewer; that it was cut is the log's to know.
            if let Ok(cut) = PhysicalEntry::decode(&payload[..length]) {
                let (ranges, fewer) = (entry.change().ranges(), cut.change().ranges());
                assert!(fewer.len() < ranges.len() && ranges.starts_with(fewer), "cut at {length}");
            }
        }
    }
}

#[test]
fn entries_that_are_not_canonical_are_refused() {
    // Version, kind, page format 1 of 2^9 bytes, page 2, checksum 7, entry 0 of 1, then ranges.
    let entry = |ranges: &[u8]| [&[1, 2, 1, 9, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0][..], ranges].concat();
    let honest = entry(&[24, 1, 0xaa, 5, 2, 0xbb, 0xcc]);
    let decoded = PhysicalEntry::decode(&honest).expect("canonical");
    assert_eq!((decoded.change().ranges()[1].offset, decoded.encode()), (30, honest.clone()));

    let malformed = |bytes: &[u8]| match PhysicalEntry::decode(bytes) {
        Err(EntryError::Malformed { at }) => Some(at),
        _ => None,
    };
    assert_eq!(malformed(&entry(&[])), Some(14), "no range");
    assert_eq!(malformed(&entry(&[24, 0])), Some(14), "an empty range");
    assert_eq!(malformed(&entry(&[0, 1, 0])), Some(14), "a range over the checksum");
    assert_eq!(malformed(&entry(&[15, 2, 0, 0])), Some(14), "a range into the LSN");
    assert_eq!(malformed(&entry(&[23, 2, 0, 0])), Some(14), "a range out of the LSN");
    assert_eq!(malformed(&entry(&[24, 1, 0, 0, 1, 0])), Some(17), "ranges that touch");
    assert_eq!(malformed(&entry(&[0xff, 3, 2, 0, 0])), Some(14), "a range beyond the page");
    assert_eq!(malformed(&entry(&[0x98, 0, 1, 0])), Some(14), "a number longer than it must be");
    assert_eq!(malformed(&entry(&[0xff, 0xff, 0xff, 0xff, 0x1f, 1, 0])), Some(14), "more than 32 bits");
    for (at, byte) in [(1, 0), (1, 3), (3, 8), (3, 17), (3, 255), (4, 0)] {
        let mut bytes = honest.clone();
        bytes[at] = byte;
        assert_eq!(malformed(&bytes), Some(at), "byte {at} is {byte}");
    }
    let mut image = honest.clone();
    image[1] = 1;
    assert_eq!(malformed(&image), Some(8), "an image of something that was there before");
    let mut newer = honest;
    newer[0] = 2;
    assert_eq!(PhysicalEntry::decode(&newer), Err(EntryError::Version { found: 2, supported: 1 }));
}

#[test]
fn a_value_of_any_length_is_read_back() {
    let (_, mut leader) = Leader::in_memory(512);
    for size in (0..130).chain([471, 472, 473, 943, 944, 945, 5000]) {
        let key = u32::try_from(size).expect("small").to_be_bytes();
        leader.upsert(&key, &value(7, size));
        assert_eq!(leader.table.get(&key), Ok(Some(value(7, size))), "{size} bytes");
    }
}
