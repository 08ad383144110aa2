//! What maps and counters hold in memory grows with the bytes that arrive, not with what these claim.
//!
//! Own file, own process: every allocation of the program goes through the counter.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use crdt_core::codec::{self, Encoded};
use crdt_core::{BoundedCounter, Hlc, Limits, LwwMap, OrMap, ReplicaId, ResetCounter, Stamp};

use crate::common::by;

/// What decoding may hold per byte of input, as documented on the codec.
const MULTIPLE: u64 = 128;

fn held_while_decoding<T: Encoded>(bytes: &[u8]) -> (bool, u64) {
    let mut is_value = false;
    let info = allocation_counter::measure(|| {
        is_value = codec::from_bytes::<T>(bytes, &Limits::default()).is_ok();
    });
    (is_value, info.bytes_max)
}

fn assert_proportional<T: Encoded>(value: &T) {
    let bytes = codec::to_bytes(value);
    let (is_value, held) = held_while_decoding::<T>(&bytes);
    assert!(is_value);
    let multiple = held / bytes.len() as u64;
    assert!(multiple <= MULTIPLE, "{multiple} bytes per byte for {}", T::NAME);
}

#[test]
fn what_is_really_there_allocates_a_bounded_multiple() {
    let id = |n: u64| ReplicaId::from_u128(u128::from(n) + 1);
    // Just past powers of two, where growing vectors are at their emptiest.
    for many in [65, 129, 1025] {
        let (mut runs, mut by_many) = (ResetCounter::default(), ResetCounter::default());
        let mut bounded = BoundedCounter::default();
        let mut keys: OrMap<u64, ResetCounter> = OrMap::default();
        let mut values = LwwMap::default();
        for n in 0..many {
            runs.increment(by(id(0)), 1 + n % 2).unwrap();
            by_many.increment(by(id(n)), 1).unwrap();
            bounded.increment(by(id(n)), 2).unwrap();
            bounded.transfer(by(id(n)), id(0), 1).unwrap();
            keys.update(n, |counter| counter.increment(by(id(0)), 1)).unwrap();
            values.set(Stamp { time: Hlc::new(1, 0), replica: id(0) }, n, n).unwrap();
        }
        assert_proportional(&runs);
        assert_proportional(&by_many);
        assert_proportional(&bounded);
        assert_proportional(&keys);
        assert_proportional(&values);
    }
}

#[test]
fn a_run_of_every_dot_there_is_is_one_entry() {
    let every = u64::MAX - 1;
    let replica = ReplicaId::from_u128(1);
    let runs =
        (vec![(7_u8, vec![(replica, vec![(0_u64, every, 1_i64)])])], vec![(replica, vec![(0_u64, every)])]);
    let payload = codec::encode_payload(&runs);
    let mut bytes = codec::to_bytes(&OrMap::<u8, ResetCounter>::default());
    bytes.truncate(codec::HEADER_LEN);
    bytes[16..24].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend(payload);

    let (is_value, held) = held_while_decoding::<OrMap<u8, ResetCounter>>(&bytes);
    assert!(is_value && held <= 1024, "{held} bytes held");
}
