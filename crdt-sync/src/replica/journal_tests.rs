//! The bytes of the records that a log holds, and what is refused instead of them. `docs/formats.md` says the same in
//! words. Those that hold what is also said on the wire are looked at there.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::codec::{decode_payload, encode_payload};
use crdt_core::{Dot, ReplicaId};
use proptest::prelude::*;
use replication_log::Lsn;

use super::JournalRecord;
use super::hints::{HeldHint, KeptHint, SettledHint};
use super::pending::{Reign, SharedFounding};
use super::told_tests::{Logged, WALL, collections, config};
use super::{ItemKey, Replica, STORED};
use crate::node::NodeId;
use crate::time::WallTime;
use crate::wire::MergedState;

/// One of each that is of the journal alone.
fn samples() -> Vec<JournalRecord> {
    let origin = ReplicaId::from_bytes([0xaa; 16]);
    let owner = NodeId::from_u128(7);
    let delta = MergedState {
        partition: 1,
        collection: collections()[1].id(),
        key: "key".into(),
        state: crate::Bytes::default(),
        removed: vec![Dot::new(origin, 1).unwrap(), Dot::new(origin, 300).unwrap()],
    };
    let (oldest, newest) = (WallTime::from_millis(1_000), WallTime::from_millis(70_000));
    let kept = KeptHint { owner, oldest, newest, delta: delta.clone() };
    let item = ItemKey { collection: collections()[1].id(), key: "key".into() };
    vec![
        JournalRecord::Identity(origin),
        JournalRecord::StateMerge(delta),
        JournalRecord::Ahead { partition: 1, since: 300, bounds: vec![(origin, 9)] },
        JournalRecord::Collected { partition: 1, documents: vec![item.clone()] },
        JournalRecord::HintKept(kept.clone()),
        JournalRecord::HintHeld(HeldHint { kept, first: 3, last: 300 }),
        JournalRecord::HintsSettled { owner, hints: vec![SettledHint { item, up_to: 300 }] },
        JournalRecord::HintsDiscarded { owner },
        JournalRecord::HintsMissed { owner, partition: 1, missed: true },
        JournalRecord::Dropped { partition: 1 },
        JournalRecord::TimeNoted(vec![(3, oldest), (300, newest)]),
        JournalRecord::Unfilled(vec![(0, 1), (3, 300)]),
        JournalRecord::Filled { partition: 1 },
        JournalRecord::SharedFounded(SharedFounding {
            cluster_check: [0xcc; 8],
            partitions: 1,
            collections: vec![collections()[1].id()],
        }),
        JournalRecord::Reign(Reign { epoch: 3, leader: owner, writer: origin, first: 300 }),
        JournalRecord::Committed(300),
    ]
}

#[test]
fn records_are_golden() {
    let hex = |bytes: Vec<u8>| bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let records: Vec<_> = samples().iter().map(|record| hex(encode_payload(record))).collect();
    let golden = include_str!("golden.txt");
    assert_eq!(
        records.join("\n"),
        golden.trim_end(),
        "logs in the field hold these:\n{}",
        records.join("\n")
    );
}

#[test]
fn every_cut_and_every_longer_record_is_refused() {
    for record in samples() {
        let bytes = encode_payload(&record);
        assert_eq!(decode_payload(&bytes, &STORED), Ok(record.clone()));
        for end in 0..bytes.len() {
            assert!(
                decode_payload::<JournalRecord>(&bytes[..end], &STORED).is_err(),
                "{record:?} cut at {end}"
            );
        }
        assert!(decode_payload::<JournalRecord>(&[&bytes[..], &[0]].concat(), &STORED).is_err());
    }
}

proptest! {
    /// A record that passed the log's checksum and is none all the same is refused, or says something that can be.
    #[test]
    fn a_changed_byte_is_refused_or_replayed_without_harm(
        sample in 0..samples().len(),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let mut bytes = encode_payload(&samples()[sample]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let log = Logged::new(1).log;
        let lsn = Lsn::new(log.len() as u64 + 1);
        let log = log.into_iter().chain([(lsn, bytes)]);
        if let Ok(replica) = Replica::recover(config(1), log, WALL) {
            prop_assert_eq!(replica.journal.last(), lsn);
        }
    }
}
