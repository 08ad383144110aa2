//! The bytes of the protocol: fixed, and nothing else is read.

use proptest::prelude::*;
use replication_log::{
    Epoch, Lsn, Position,
    entry::logical::{Filter, FormatVersions},
    page::PageFormat,
    ship::{
        Marks,
        wire::{
            Alive, Batches, FrameError, Hello, Refusal, Report, SnapshotPart, SnapshotReport, Start, Stream,
            ToFollower, ToLeader, Welcome,
        },
    },
    snapshot::SnapshotIdentity,
};

use crate::{common, nodes::Leader};

const STREAM: u64 = 0x0123_4567_89ab_cdef;

fn end(epoch: u64, lsn: u64) -> Position {
    Position { epoch: Epoch::new(epoch), lsn: Lsn::new(lsn), checksum: 0xe306_9283 }
}

fn to_leader() -> Vec<ToLeader> {
    let hello = |wants| {
        let versions = FormatVersions { min: 1, max: 3 };
        ToLeader::Hello(Hello {
            versions,
            stream: STREAM,
            name: "b".into(),
            epoch: Epoch::new(300),
            window: 8 << 20,
            wants,
        })
    };
    let ends = vec![end(3, 300), end(1, 5), Position::ORIGIN];
    let marks = Marks::new(Lsn::new(900), Lsn::new(900), Lsn::new(600), Lsn::new(599)).expect("descending");
    let formats = FormatVersions { min: 1, max: 2 };
    let refusals = refusals().into_iter().map(|refusal| ToLeader::Refused { stream: STREAM, refusal });
    let mut messages = vec![
        hello(Stream::Copy { pages: None, ends: ends.clone() }),
        hello(Stream::Copy { pages: Some(PageFormat::new(4096).expect("legal")), ends }),
        hello(Stream::Logical { formats, filter: Filter::nothing(), after: Lsn::new(7) }),
        ToLeader::Report(Report { stream: STREAM, marks, again: true, window: 1 }),
        ToLeader::SnapshotReport(SnapshotReport {
            stream: STREAM,
            received: 1 << 40,
            again: false,
            installed: true,
        }),
    ];
    messages.extend(refusals);
    messages
}

fn refusals() -> Vec<Refusal> {
    let versions = FormatVersions { min: 2, max: 4 };
    vec![
        Refusal::ProtocolVersion { versions },
        Refusal::EntryFormat { formats: versions },
        Refusal::PageFormat { pages: PageFormat::new(8192).expect("legal") },
        Refusal::NotLeader { leader: None },
        Refusal::NotLeader { leader: Some("a".into()) },
        Refusal::Fenced { have: Epoch::new(43), got: Epoch::new(42) },
        Refusal::RivalLeader { epoch: Epoch::new(42), leader: "a".into() },
        Refusal::NoSlot,
        Refusal::NothingToBeginWith { oldest: Lsn::new(1000) },
        Refusal::Diverged { common: Lsn::new(1), floor: Lsn::new(2) },
        Refusal::Overloaded,
        Refusal::Senseless { damaged: true },
    ]
}

/// Frames to a follower, as bytes: they lend what they carry.
fn to_follower() -> Vec<Vec<u8>> {
    let (stream, epoch) = (STREAM, Epoch::new(4));
    let welcome = |start| Welcome { stream, version: 1, leader: "a".into(), epoch, start }.encode();
    let identity = SnapshotIdentity { log_id: 0x5eed, position: end(3, 300) };
    let mut leader = Leader::new("a", 3);
    leader.write("milk");
    leader.promote(4);
    leader.write("bread");
    let (mut copied, mut batches) = (Vec::new(), leader.log.read_batches_from(Lsn::FIRST).expect("kept"));
    while let Some(batch) = batches.next_batch().expect("readable") {
        copied.push((batch.to_batch(), batch.end()));
    }
    let mut reader = leader.log.read_batches_from(Lsn::FIRST).expect("kept");
    let first = reader.next_batch().expect("readable").expect("one");
    let (commit, end) = (Lsn::new(1), Lsn::new(2));
    assert_eq!(copied.len(), 2);
    vec![
        welcome(Start::After(self::end(3, 300))),
        welcome(Start::Snapshot { identity, bytes: 1 << 40 }),
        Alive { stream, epoch, commit, end }.encode(),
        SnapshotPart { stream, epoch, offset: 100, bytes: b"state" }.encode(),
        Batches { stream, epoch, commit, end, batches: vec![first] }.encode(),
        replication_log::ship::wire::Transactions { stream, epoch, commit, end, transactions: Vec::new() }
            .encode()
            .expect("sound"),
    ]
}

#[test]
fn the_bytes_of_version_1() {
    let frames = to_leader().into_iter().map(|message| message.encode()).chain(to_follower());
    let hex = |frame: Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let lines: Vec<String> = frames.map(hex).collect();
    let golden: Vec<&str> = include_str!("../golden/ship_v1.hex").lines().collect();
    assert_eq!(lines, golden, "\n{}\n", lines.join("\n"));
}

#[test]
fn what_is_written_is_read_back() {
    for message in to_leader() {
        assert_eq!(ToLeader::decode(&message.encode()), Ok(message));
    }
    for frame in to_follower() {
        let message = ToFollower::decode(&frame).expect("sound");
        let again = match message {
            ToFollower::Welcome(message) => message.encode(),
            ToFollower::Batches(message) => message.encode(),
            ToFollower::Transactions(message) => message.encode().expect("sound"),
            ToFollower::Alive(message) => message.encode(),
            ToFollower::SnapshotPart(message) => message.encode(),
            ToFollower::Refused { stream, refusal } => refusal.encode(stream),
        };
        assert_eq!(again, frame);
    }
}

/// A bit that flips on the way is noticed by the frame, or by the batch it changed.
#[test]
fn no_bit_flips_unnoticed() {
    for frame in to_follower() {
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match ToFollower::decode(&flipped) {
                Ok(ToFollower::Batches(batches)) => {
                    assert!(!batches.batches[0].follows(Position::ORIGIN), "bit {bit}");
                }
                Ok(message) => panic!("bit {bit} flipped makes {message:?}"),
                Err(_) => {}
            }
        }
    }
}

#[test]
fn what_states_more_than_it_has_is_refused_before_memory_is_taken() {
    let mut frame = to_follower().swap_remove(4);
    let head = frame.len();
    frame.truncate(head - 3);
    assert!(matches!(ToFollower::decode(&frame), Err(FrameError::Damaged { .. } | FrameError::Malformed(_))));
    assert_eq!(ToLeader::decode(&[]), Err(FrameError::Damaged { bytes: 0 }));
}

proptest! {
    /// Anybody can send anything.
    #[test]
    fn any_bytes_are_a_message_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200), tag in 0..0x20_u8) {
        let _ = (ToLeader::decode(&bytes), ToFollower::decode(&bytes));
        // With a right checksum more of it is looked at.
        if let Some(first) = bytes.first_mut() {
            *first = tag;
        }
        let checksum = common::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        if let Ok(message) = ToLeader::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes.clone());
        }
        let _ = ToFollower::decode(&bytes);
    }
}
