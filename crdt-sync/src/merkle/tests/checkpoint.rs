//! Trees as bytes: the bytes, what is refused, and what a crash leaves behind.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use replication_log::storage::{FaultStorage, Keep, Storage, StorageError, StorageFile, Survivors};

use super::support::{KEY, Replica};
use crate::merkle::prf::Checksum;
use crate::merkle::{BucketTree, CheckpointError, TreeKey};

fn three() -> Replica {
    Replica::of(8, [(1, 1), (2, 1), (3, 5)])
}

fn checkpoint(replica: &mut Replica, lsn: u64) -> Vec<u8> {
    replica.tree.snapshot().encode_checkpoint(lsn)
}

fn refusal(bytes: &[u8]) -> CheckpointError {
    BucketTree::decode_checkpoint(&KEY, bytes).unwrap_err()
}

/// Changed bytes under a checksum that fits.
fn forged(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len() - 16].to_vec();
    change(&mut bytes);
    let mut checksum = Checksum::new();
    checksum.add(&bytes);
    bytes.extend_from_slice(&checksum.finish());
    bytes
}

/// As an independent implementation of `docs/formats.md` makes it. A change here is a change of the
/// format and needs a new version number.
#[test]
fn the_bytes_of_a_checkpoint() {
    let rows: Vec<String> = checkpoint(&mut three(), 41)
        .chunks(8)
        .map(|row| format!("{:016x}", u64::from_be_bytes(row.try_into().unwrap())))
        .collect();
    assert_eq!(
        rows,
        [
            "4353594e54524545",
            "0108000003000000",
            "5dc2c52c864194bf",
            "be72f5ee00a8c004",
            "2900000000000000",
            "a111b2994397c2c6",
            "fc387da5bcb1467d",
            "0300000000000000",
            "0100000000000000",
            "0000000000000040",
            "f4563f2422ac6517",
            "5b3307fbb892e8d4",
            "0100000000000000",
            "0200000000000000",
            "0080000000000000",
            "831ea2061569b46e",
            "36a8021ae6b52efc",
            "0100000000000000",
            "0300000000000000",
            "0000000000020000",
            "2a9cd06e0c82a840",
            "6b5d73901d692fac",
            "0100000000000000",
            "7b1adc99d0193890",
            "e7ddf14f0f6bbcfd",
        ]
    );
}

/// Every byte in three ways, every length.
#[test]
fn a_checkpoint_with_any_byte_wrong_is_refused() {
    let bytes = checkpoint(&mut Replica::of(4, (0..50).map(|key| (key, 1))), 41);
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            assert_eq!(refusal(&damaged), CheckpointError::Corrupt, "byte {at}");
        }
        assert_eq!(refusal(&bytes[..at]), CheckpointError::Corrupt, "cut at {at}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(refusal(&longer), CheckpointError::Corrupt);
}

#[test]
fn an_intact_checkpoint_says_why_it_is_not_taken() {
    let bytes = checkpoint(&mut three(), 41);
    let other = BucketTree::decode_checkpoint(&TreeKey::new([8; 16]), &bytes).unwrap_err();
    assert_eq!(other, CheckpointError::OtherKey);
    let newer = refusal(&forged(&bytes, |bytes| bytes[8] = 2));
    assert_eq!(newer, CheckpointError::Version { ours: 1, found: 2 });
    assert_eq!(refusal(&forged(&bytes, |bytes| bytes[0] = b'X')), CheckpointError::NotOne);
    assert_eq!(refusal(&forged(&bytes, |bytes| bytes.truncate(8))), CheckpointError::NotOne);
}

/// The checksum can be made by anybody, so what it covers is checked as well.
#[test]
fn a_forged_checkpoint_is_refused() {
    let bytes = checkpoint(&mut three(), 41);
    let refused = |what, change: &dyn Fn(&mut Vec<u8>)| {
        assert_eq!(refusal(&forged(&bytes, change)), CheckpointError::Malformed { what });
    };
    for leaf_bits in [0, 7, 24, 255] {
        refused("the number of leaf bits", &|bytes| bytes[9] = leaf_bits);
    }
    for filling in [10, 11, 60, 63, 100, 103] {
        refused("the filling", &|bytes| bytes[filling] = 1);
    }
    refused("the length", &|bytes| bytes[12] = 4);
    refused("the length", &|bytes| bytes[12..16].copy_from_slice(&[0xff; 4]));
    refused("the length", &|bytes| bytes.truncate(bytes.len() - 1));
    refused("the number of blocks", &|bytes| bytes[12] = 2);
    refused("the number of blocks", &|bytes| bytes.push(0));
    refused("the root", &|bytes| bytes[40] ^= 1);
    refused("the root", &|bytes| bytes[56] ^= 1);
    refused("the root", &|bytes| bytes[80] ^= 1);
    refused("the order of blocks", &|bytes| bytes[64] = 4);
    refused("the order of blocks", &|bytes| bytes[64] = 2);
    refused("the order of blocks", &|bytes| bytes[71] = 1);
    refused("the leaves of a block", &|bytes| bytes[79] = 0);
    refused("the count of a leaf", &|bytes| bytes[96] = 0);
    refused("the count of a leaf", &|bytes| bytes[96..100].copy_from_slice(&[0xff; 4]));

    let sixteen = checkpoint(&mut Replica::of(4, [(1, 1)]), 0);
    let beyond = forged(&sixteen, |bytes| {
        bytes[72..80].copy_from_slice(&(1_u64 << 16).to_le_bytes());
    });
    assert_eq!(refusal(&beyond), CheckpointError::Malformed { what: "the leaves of a block" });
}

#[test]
fn empty_stretches_take_no_bytes() {
    assert_eq!(checkpoint(&mut Replica::new(20), 0).len(), 64 + 16);
    assert_eq!(checkpoint(&mut Replica::of(20, [(1, 1)]), 0).len(), 64 + 16 + 16 + 24);
    let mut largest = 0;
    let full = Replica::of(8, (0..10_000).map(|key| (key, 1))).tree.snapshot();
    full.write_checkpoint(0, |part| largest = largest.max(part.len()));
    assert_eq!((largest, full.encode_checkpoint(0).len()), (1_296, 64 + 4 * 1_296 + 16));
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn what_was_written_is_read(
        rows in proptest::collection::btree_map(0_u64..500, any::<u128>(), 0..200),
        level in 1_u8..=3,
        lsn: u64,
    ) {
        let mut replica = Replica::of(4 * level, rows);
        let bytes = checkpoint(&mut replica, lsn);
        let (mut read, found) = BucketTree::decode_checkpoint(&KEY, &bytes).unwrap();
        prop_assert_eq!(found, lsn);
        prop_assert!(read.snapshot() == replica.tree.snapshot());
    }

    /// Decoding is the inverse of encoding, so there is one form of each tree.
    #[test]
    fn forged_bytes_that_are_taken_are_those_that_would_be_written(
        rows in proptest::collection::btree_map(0_u64..500, any::<u128>(), 0..20),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let bytes = checkpoint(&mut Replica::of(8, rows), 7);
        let bytes = forged(&bytes, |bytes| {
            for (at, to) in edits {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
        });
        if let Ok((mut tree, lsn)) = BucketTree::decode_checkpoint(&KEY, &bytes) {
            prop_assert_eq!(tree.snapshot().encode_checkpoint(lsn), bytes);
        }
    }
}

/// The writes of a log: record `lsn` sets its key to its number.
const LOG: [u64; 12] = [1, 2, 3, 1, 4, 5, 2, 6, 7, 1, 8, 3];

fn after(lsn: u64) -> Replica {
    let records = (1_u128..).zip(LOG).take(usize::try_from(lsn).unwrap());
    Replica::of(8, records.map(|(number, key)| (key, number)))
}

/// What a node does when it starts: load, or build from the items, then replay the rest of the log.
/// The rows came back by other means. Says whether the checkpoint was of use.
fn reopen(disk: &FaultStorage) -> (BucketTree, bool) {
    let stored = disk.bytes("tree").unwrap_or_default();
    let (loaded, lsn) = match BucketTree::decode_checkpoint(&KEY, &stored) {
        Ok((tree, lsn)) => (Some(tree), lsn),
        Err(error) => {
            assert_eq!(error, CheckpointError::Corrupt);
            (None, 0)
        }
    };
    let useful = loaded.is_some();
    let mut replica = after(lsn);
    replica.tree = loaded.unwrap_or(replica.tree);
    for (number, key) in (1_u128..).zip(LOG).skip(usize::try_from(lsn).unwrap()) {
        replica.put(key, number);
    }
    (replica.tree, useful)
}

/// A new file beside the old one, which it replaces when it is durable.
fn store_carefully(disk: &FaultStorage, replica: &mut Replica, lsn: u64) -> Result<(), StorageError> {
    let file = disk.create("tree.new")?;
    let (mut offset, mut result) = (0, Ok(()));
    replica.tree.snapshot().write_checkpoint(lsn, |part| {
        if result.is_ok() {
            result = file.write_at(offset, part);
            offset += part.len() as u64;
        }
    });
    result?;
    file.sync_data()?;
    disk.rename("tree.new", "tree")?;
    disk.sync_directory()
}

#[test]
fn a_crash_anywhere_in_a_checkpoint_leaves_the_one_before_or_the_new_one() {
    let fates = [Keep::None, Keep::All, Keep::Only(0), Keep::AllBut(0), Keep::Random(1), Keep::Random(2)];
    let mut operations = 0;
    while operations == 0 || {
        let whole = FaultStorage::new();
        store_carefully(&whole, &mut after(9), 9).unwrap();
        operations <= whole.operations()
    } {
        for sectors in fates {
            for entries in fates {
                let disk = FaultStorage::new();
                disk.set_bytes("tree", checkpoint(&mut after(4), 4));
                disk.stop_after(operations);
                let stored = store_carefully(&disk, &mut after(9), 9);
                disk.crash(Survivors { sectors, entries });
                let (mut tree, useful) = reopen(&disk);
                assert!(useful, "one of the two is always whole");
                assert!(tree.snapshot() == after(12).tree.snapshot(), "{stored:?}");
            }
        }
        operations += 1;
    }
}

#[test]
fn a_torn_checkpoint_is_refused_and_the_rebuilt_tree_is_the_same() {
    let old = checkpoint(&mut after(4), 4);
    let mut refused = 0;
    for seed in 0..64 {
        let disk = FaultStorage::new();
        disk.set_bytes("tree", old.clone());
        let file = disk.open("tree").unwrap();
        let new = checkpoint(&mut Replica::of(8, (0..300).map(|key| (key, 1))), 4);
        file.write_at(0, &new).unwrap(); // over the old one, and not synced
        disk.crash(Survivors { sectors: Keep::Random(seed), entries: Keep::None });
        let bytes = disk.bytes("tree").unwrap();
        if bytes == old || bytes == new {
            continue;
        }
        let (mut tree, useful) = reopen(&disk);
        assert!(!useful);
        assert!(tree.snapshot() == after(12).tree.snapshot());
        refused += 1;
    }
    assert!(refused > 32, "{refused}");
}

#[test]
fn a_disk_that_decays_is_noticed() {
    let disk = FaultStorage::new();
    let bytes = checkpoint(&mut after(9), 9);
    for bit in 0..bytes.len() * 8 {
        disk.set_bytes("tree", bytes.clone());
        disk.flip_bit("tree", bit);
        assert_eq!(refusal(&disk.bytes("tree").unwrap()), CheckpointError::Corrupt);
    }
    assert_eq!(refusal(&vec![0; bytes.len()]), CheckpointError::Corrupt, "a file that was only allocated");
}
