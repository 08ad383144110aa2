//! The file of the slots of a log.

use core::time::Duration;

use replication_log::ship::slot::{SlotLimits, Slots};

const LOG: u64 = 0x5eed;

/// Foreign bytes are refused, or they are the one encoding of what they say. What stands before the slots and the
/// checksum behind them, which no fuzzer finds, are put right.
pub fn slots_decode_only_from_their_one_encoding(bytes: &[u8]) {
    let decode = |bytes: &[u8]| Slots::decode(bytes, LOG, SlotLimits::none(), Duration::ZERO);
    let _ = decode(bytes);
    let none = Slots::new(LOG, SlotLimits::none(), Duration::ZERO).encode();
    // No slots are a count of one byte and a checksum.
    let body = [&none[..none.len() - 5], bytes].concat();
    let file = [&body[..], &crate::tamper::crc32c(&body).to_le_bytes()].concat();
    if let Ok(slots) = decode(&file) {
        assert_eq!(slots.encode(), file);
        assert!(slots.iter().all(|(name, slot)| !name.is_empty() && !slot.is_attached()));
    }
}
