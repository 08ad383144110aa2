//! Numbers, sets and lists: one form each, and nothing read that is not there.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::bits::{BitReader, BitWriter};
use super::reader::Reader;
use super::{
    Again, Cells, Digests, Found, Hello, IndexSet, Items, Lists, MEMBER, NodeBytes, POSITIONS_PER_BYTE,
    RootAtHorizon, Wants, decode_more, index_set, list_parameter, open, varint, write_list,
};
use crate::merkle::ProtocolError;

fn write_set(universe: u32, members: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    index_set::write(&mut bytes, universe, members.iter().copied());
    bytes
}

fn read_set(bytes: &[u8]) -> Result<(u32, Vec<u32>), ProtocolError> {
    let mut reader = Reader::new(bytes);
    let set = IndexSet::read(&mut reader)?;
    reader.end()?;
    Ok((set.universe(), set.iter().collect()))
}

fn header_len(universe: u32, members: &[u32]) -> usize {
    let mut header = Vec::new();
    varint::write(&mut header, universe);
    varint::write(&mut header, u32::try_from(members.len()).unwrap());
    header.len()
}

/// Universes of all sizes with sets of all densities.
fn sets() -> impl Strategy<Value = (u32, Vec<u32>)> {
    (0_u32..=20, 1_u32..=300).prop_flat_map(|(bits, most)| {
        let universe = 1_u32 << bits;
        let most = most.min(universe) as usize;
        let members = proptest::collection::btree_set(0..universe, 0..=most);
        (Just(universe), members.prop_map(|members| members.into_iter().collect()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_number_has_one_form(number: u32, bytes in proptest::collection::vec(any::<u8>(), 0..7)) {
        let mut written = Vec::new();
        varint::write(&mut written, number);
        prop_assert_eq!(Reader::new(&written).number(), Ok(number));

        let mut reader = Reader::new(&bytes);
        if let Ok(number) = reader.number() {
            let used = bytes.len() - reader.rest().len();
            let mut written = Vec::new();
            varint::write(&mut written, number);
            prop_assert_eq!(&written[..], &bytes[..used]);
        }
    }

    #[test]
    fn a_set_comes_back_and_keeps_to_its_bound((universe, members) in sets()) {
        let bytes = write_set(universe, &members);
        let bits = bytes.len() - header_len(universe, &members);
        prop_assert!(bits <= members.len() * MEMBER);
        prop_assert!(bits <= (universe as usize).div_ceil(POSITIONS_PER_BYTE));
        prop_assert_eq!(read_set(&bytes), Ok((universe, members)));
        for len in 0..bytes.len() {
            prop_assert!(read_set(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn a_list_comes_back(
        (width, mut numbers) in (16_u8..=64).prop_flat_map(|width| {
            let number = 0..=u64::MAX >> (64 - u32::from(width.min(20)));
            (Just(width), proptest::collection::vec(number, 0..200))
        }),
    ) {
        numbers.sort_unstable();
        let parameter = list_parameter(width.min(20), numbers.len() as u64);
        let mut bytes = Vec::new();
        write_list(&mut bytes, parameter, 0, numbers.iter().copied());
        let lists = Lists::new(&bytes, parameter);
        let read: Vec<u64> = lists.only().unwrap().gaps().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        prop_assert_eq!(read, numbers);
        for len in 1..bytes.len() {
            prop_assert!(Lists::new(&bytes[..len], parameter).only().is_err());
        }
    }

    /// Words at a time against bits one by one, at every parameter.
    #[test]
    fn bits_are_those_of_the_plain_code(
        (parameter, gaps) in (0_u8..64).prop_flat_map(|parameter| {
            let gap = (0_u64..200, any::<u64>()).prop_map(move |(high, low)| {
                high.checked_shl(parameter.into()).unwrap_or(0) | low & ((1 << parameter) - 1)
            });
            (Just(parameter), proptest::collection::vec(gap, 0..20))
        }),
    ) {
        let mut plain = Vec::new();
        for gap in &gaps {
            plain.extend((0..gap >> parameter).map(|_| false));
            plain.push(true);
            plain.extend((0..parameter).map(|bit| gap >> bit & 1 == 1));
        }
        let plain: Vec<u8> = plain
            .chunks(8)
            .map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
            .collect();
        let mut bytes = Vec::new();
        let mut bits = BitWriter::new(&mut bytes);
        for gap in &gaps {
            bits.gap(*gap, parameter);
        }
        bits.finish();
        prop_assert_eq!(&bytes, &plain);

        let mut reader = BitReader::new(&bytes);
        for gap in &gaps {
            prop_assert_eq!(reader.gap(parameter), Ok(*gap));
        }
        prop_assert_eq!(reader.used_bytes(), Ok(bytes.len()));
        if !gaps.is_empty() {
            let mut cut = BitReader::new(&bytes[..bytes.len() - 1]);
            prop_assert!(gaps.iter().any(|_| cut.gap(parameter) == Err(ProtocolError::Truncated)));
        }
    }

    #[test]
    fn a_set_has_one_form(mut bytes in proptest::collection::vec(any::<u8>(), 0..12), universe in 0_u8..128) {
        if let Some(first) = bytes.first_mut() {
            *first = universe; // universes that short bit strings can fill
        }
        if let Ok((universe, members)) = read_set(&bytes) {
            prop_assert!(members.is_sorted_by(|a, b| a < b));
            prop_assert!(members.iter().all(|member| *member < universe));
            prop_assert_eq!(write_set(universe, &members), bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = open(&bytes);
        let _ = Hello::decode(&bytes);
        let _ = Digests::decode(&bytes).map(|frame| frame.differing.iter().count());
        let _ = Wants::decode(&bytes).map(|frame| frame.wanted.iter().count());
        let _ = Again::decode(&bytes).map(|frame| frame.held.iter().count());
        let _ = RootAtHorizon::decode(&bytes);
        let _ = NodeBytes::decode(&bytes);
        let _ = decode_more(&bytes);
        let _ = Found::decode(&bytes).map(|frame| frame.wanted.gaps().count());
        if let Ok(frame) = Cells::decode(&bytes) {
            prop_assert!(12 * frame.run.cells.len() <= bytes.len());
        }
        if let Ok(frame) = Items::decode(&bytes) {
            let mut lists = frame.lists.reader();
            let mut listed = 0;
            while !lists.is_empty() && lists.next_list(|_| { listed += 1; Ok(()) }).is_ok() {}
            prop_assert!(listed <= bytes.len());
        }
    }
}

#[test]
fn a_dense_set_is_a_bitmap_and_a_sparse_one_is_short() {
    assert_eq!(write_set(8, &[0, 1, 3, 4, 6]), [8, 5, 0b0101_1011]);
    assert_eq!(write_set(256, &[159]).len(), 3 + 2);
    assert_eq!(write_set(256, &[]), [0x80, 2, 0]);
    assert_eq!(write_set(0, &[]), [0, 0]);
}

#[test]
fn sets_that_are_too_long_or_too_large_are_refused() {
    assert_eq!(read_set(&[2, 3, 0xff]), Err(ProtocolError::PositionOutOfRange), "three members of two");
    assert_eq!(read_set(&[3, 2, 0b1001]), Err(ProtocolError::PositionOutOfRange), "member 3 of 3");
    assert_eq!(
        read_set(&[8, 5, 0b1101_1011]),
        Err(ProtocolError::NotCanonical),
        "a bit behind the last member"
    );
    assert_eq!(read_set(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1]), Err(ProtocolError::Truncated));
}

#[test]
fn numbers_in_other_forms_are_refused() {
    let number = |bytes: &[u8]| Reader::new(bytes).number();
    assert_eq!(number(&[0x80, 0]), Err(ProtocolError::NotCanonical), "zero in two bytes");
    assert_eq!(number(&[0xff; 9]), Err(ProtocolError::NotCanonical), "no end");
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(ProtocolError::NotCanonical), "33 bits");
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
    assert_eq!(number(&[0xff]), Err(ProtocolError::Truncated));
}

/// Lengths come from the peer. None of them makes this side reserve memory or run.
#[test]
fn a_huge_count_in_a_small_frame_is_a_short_error() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let items = [&[0, 1, 1, 1, 32, 8][..], &huge].concat(); // one list of 2^32 - 1 fingerprints
    let mut lists = Items::decode(&items).unwrap().lists.reader(); // checked as they are read
    assert_eq!(lists.next_list(|_| Ok(())), Err(ProtocolError::Truncated));
    let wants = [&huge[..], &huge].concat(); // all of 2^32 - 1 positions
    assert!(matches!(Wants::decode(&wants), Err(ProtocolError::Truncated)));
    let digests = [vec![0], huge.to_vec(), huge.to_vec(), vec![0xff; 64]].concat();
    assert!(matches!(Digests::decode(&digests), Err(ProtocolError::Truncated)));
}
