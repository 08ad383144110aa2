use alloc::string::String;
use alloc::vec::Vec;
use std::format;

use crdt_core::codec::{decode_payload, encode_payload};
use crdt_core::{Limits, ReplicaId};

use super::identity::{MintReason, Note, why_mint};
use super::meta::Meta;
use super::open::FsyncPolicy;
use super::record;
use crate::Document;
use crate::backend::KeyVersion;

const ME: ReplicaId = ReplicaId::from_bytes([6; 16]);
const OTHER: ReplicaId = ReplicaId::from_bytes([7; 16]);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn meta() -> Meta {
    Meta {
        incarnation: 1,
        opens: 5,
        note_before: Some(Note { replica: ME, opens: 4 }),
        place: Some((8, 9)),
        applied_lsn: 10,
        last_sequence: 11,
        floor: 2,
        ..Meta::new(ME)
    }
}

/// Why a store that lies where it lay would mint beside this note.
fn why_beside(replica: ReplicaId, opens: u64) -> Option<MintReason> {
    why_mint(Some(&meta()), meta().place, Some(Note { replica, opens }), false)
}

#[test]
fn the_bytes_of_a_file_are_these() {
    let open = Meta { open_under: Some(FsyncPolicy::OnDemand), ..meta() };
    let bytes = encode_payload(&open);
    let me = "06".repeat(16);
    assert_eq!(hex(&bytes), format!("01{me}01050 1{me}0401080901010a0b02").replace(' ', ""));
    assert_eq!(decode_payload::<Meta>(&bytes, &Limits::DEFAULT), Ok(open));
    assert_eq!(hex(&encode_payload(&Note::of(&open))), format!("{me}05"));

    let mut milk = Document::<Vec<u8>>::default();
    milk.put(b"milk", None, Some(b"1 l".to_vec()), None).unwrap();
    let version = KeyVersion { sequence: 3, digest: 4 };
    let record = record::encode(b"milk", version, &milk);
    assert_eq!(hex(&record), format!("03{}04{}010003{}", "00".repeat(7), "00".repeat(15), "31206c"));
    assert_eq!(hex(&record::change(4, b"milk")), format!("04{}6d696c6b", "00".repeat(15)));
}

#[test]
fn a_row_that_is_too_short_is_damage() {
    assert!(record::split(b"milk", &[0; 23]).is_err());
    assert!(record::split_change(&[0; 15]).is_err());
    assert!(record::split_change(&[0; 16]).is_ok(), "the empty key is a key");
}

#[test]
fn the_original_is_told_from_a_copy() {
    let (here, elsewhere) = (Some((8, 9)), Some((8, 10)));
    assert_eq!(why_beside(ME, 5), None);
    assert_eq!(why_beside(ME, 4), None, "the last open crashed before it wrote its note");
    assert_eq!(why_beside(ME, 3), Some(MintReason::Copied));
    assert_eq!(why_beside(ME, 6), Some(MintReason::OlderThanNote));
    assert_eq!(why_beside(OTHER, 5), Some(MintReason::Copied));
    assert_eq!(why_beside(OTHER, 4), Some(MintReason::Copied));
    let mine = Some(Note::of(&meta()));
    assert_eq!(why_mint(Some(&meta()), here, None, false), Some(MintReason::Copied));
    assert_eq!(why_mint(Some(&meta()), elsewhere, mine, false), Some(MintReason::Copied));
    assert_eq!(why_mint(Some(&meta()), here, mine, true), Some(MintReason::Restored));
    assert_eq!(why_mint(None, here, None, false), Some(MintReason::NewStore));
}

#[test]
fn the_first_open_may_crash_before_its_note() {
    let first = Meta { opens: 1, note_before: None, ..meta() };
    assert_eq!(why_mint(Some(&first), first.place, None, false), None);
}

#[test]
fn only_a_crash_under_the_weak_policy_costs_the_name() {
    let why = |open_under| {
        let meta = Meta { open_under, ..meta() };
        why_mint(Some(&meta), meta.place, Some(Note::of(&meta)), false)
    };
    assert_eq!(why(None), None);
    assert_eq!(why(Some(FsyncPolicy::EveryBatch)), None);
    assert_eq!(why(Some(FsyncPolicy::OnDemand)), Some(MintReason::Crashed));
}

#[test]
fn the_last_sequence_is_the_last() {
    let mut meta = Meta { last_sequence: u64::MAX - 1, ..meta() };
    assert_eq!(meta.next_sequence().unwrap(), u64::MAX);
    assert!(matches!(meta.next_sequence(), Err(super::RedbError::SequencesExhausted)));
}
