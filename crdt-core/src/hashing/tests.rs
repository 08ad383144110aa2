use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::{fingerprint, hash_one};

#[test]
fn equal_values_hash_alike_borrowed_or_owned() {
    assert_eq!(hash_one("plum"), hash_one(&String::from("plum")));
    assert_eq!(hash_one(&7_u64), hash_one(&7_u64));
    assert_ne!(hash_one(&7_u64), hash_one(&8_u64));
}

#[test]
fn hashes_and_fingerprints_of_small_numbers_all_differ() {
    let hashes: BTreeSet<u64> = (0..10_000_u64).map(|n| hash_one(&n)).collect();
    assert_eq!(hashes.len(), 10_000);
    let salted = hashes.iter().take(100).flat_map(|&hash| (0..100).map(move |salt| fingerprint(hash, salt)));
    assert_eq!(salted.collect::<BTreeSet<_>>().len(), 10_000);
}

/// A sum of products alone would not see it.
#[test]
fn items_that_trade_their_salts_change_the_sum() {
    let hashes: Vec<u64> = (0..100_u64).map(|n| hash_one(&n)).collect();
    for pair in hashes.windows(2) {
        for salt in 0..100 {
            let here = fingerprint(pair[0], salt).wrapping_add(fingerprint(pair[1], salt + 1));
            let there = fingerprint(pair[0], salt + 1).wrapping_add(fingerprint(pair[1], salt));
            assert_ne!(here, there);
        }
    }
}

#[test]
fn every_bit_of_hash_and_salt_reaches_both_ends_of_the_fingerprint() {
    let mut flipped = [0_u128; 2];
    for n in 0..200_u64 {
        // Hashes that are the same in every run: those of a process depend on its seed, of which some are unlucky.
        let (hash, salt) = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n);
        for bit in 0..64 {
            flipped[0] |= fingerprint(hash, salt) ^ fingerprint(hash ^ 1 << bit, salt);
            flipped[1] |= fingerprint(hash, salt) ^ fingerprint(hash, salt ^ 1 << bit);
        }
    }
    assert_eq!(flipped, [u128::MAX; 2]);
}
