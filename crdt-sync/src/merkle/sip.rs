//! SipHash-2-4 with 128-bit output for messages of whole words.

/// A hash in the middle of its message, from which several messages can go on.
///
/// The crate `siphasher` hashes whole messages; this is the same function (Aumasson and Bernstein,
/// 2012) taken apart, so that a key's part of the message is
/// hashed once for all its versions.
#[derive(Clone, Copy)]
pub(super) struct Sip([u64; 4]);

impl Sip {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        let [low, high] = words(u128::from_le_bytes(*key));
        Self([
            low ^ 0x736f_6d65_7073_6575,
            high ^ 0x646f_7261_6e64_6f83,
            low ^ 0x6c79_6765_6e65_7261,
            high ^ 0x7465_6462_7974_6573,
        ])
    }

    /// Goes on with the sixteen bytes of a little-endian number.
    #[inline]
    pub(super) fn absorb(self, number: u128) -> Self {
        let [low, high] = words(number);
        self.word(low).word(high)
    }

    /// The hash of a message that ends here and is `length` bytes long.
    #[inline]
    pub(super) fn finish(self, length: u8) -> [u64; 2] {
        let Self([a, b, c, d]) = self.word(u64::from(length) << 56);
        let first = Self([a, b, c ^ 0xee, d]).round().round().round().round();
        let Self([a, b, c, d]) = first;
        let second = Self([a, b ^ 0xdd, c, d]).round().round().round().round();
        [first.fold(), second.fold()]
    }

    fn word(self, word: u64) -> Self {
        let Self([a, b, c, d]) = self;
        let Self([a, b, c, d]) = Self([a, b, c, d ^ word]).round().round();
        Self([a ^ word, b, c, d])
    }

    fn round(self) -> Self {
        let Self([mut a, mut b, mut c, mut d]) = self;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        d = d.rotate_left(21) ^ a;
        b = b.rotate_left(17) ^ c;
        Self([a, b, c.rotate_left(32), d])
    }

    fn fold(self) -> u64 {
        let Self([a, b, c, d]) = self;
        a ^ b ^ c ^ d
    }
}

/// The low word and the high one.
#[expect(clippy::cast_possible_truncation, reason = "the words are the two halves of the number")]
fn words(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use siphasher::sip128::SipHasher24;

    use super::Sip;

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn it_is_the_function_of_the_crate(
            key: [u8; 16],
            message in proptest::collection::vec(any::<u128>(), 0..4),
        ) {
            let bytes: Vec<u8> = message.iter().flat_map(|number| number.to_le_bytes()).collect();
            let expected = u128::from_le_bytes(SipHasher24::new_with_key(&key).hash(&bytes).as_bytes());
            let sip = message.iter().fold(Sip::new(&key), |sip, number| sip.absorb(*number));
            let [low, high] = sip.finish(u8::try_from(bytes.len()).unwrap());
            prop_assert_eq!(u128::from(low) | u128::from(high) << 64, expected);
        }
    }
}
