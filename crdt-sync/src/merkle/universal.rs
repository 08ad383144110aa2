//! Hashing by multiplication, for the short outputs of one session.

/// A function drawn at random from a strongly universal family: vector multiply-shift (Dietzfelbinger,
/// 1996; Thorup, "High Speed Hashing for Integers and Strings", 2015).
///
/// For any two different inputs that were fixed before the function was drawn, their outputs are
/// independent and uniform: the top `w` bits agree with probability 2^-w, exactly. That needs factors of
/// at least 127 bits for words and outputs of 64. `SipHash` of the same words takes ten times as long.
///
/// It is no pseudo-random function: whoever sees outputs and knows the inputs can solve for the factors,
/// and then make inputs that collide. So a function serves one session between snapshots that are older
/// than its salt; the next session draws another one.
#[derive(Clone, Copy)]
pub(super) struct MultiplyShift<const N: usize> {
    factors: [u128; N],
    offset: u128,
}

impl<const N: usize> MultiplyShift<N> {
    /// The function with these factors, which must be secret and uniformly random, as the numbers from
    /// `draw` are.
    pub(super) fn new(mut draw: impl FnMut() -> u128) -> Self {
        Self { factors: core::array::from_fn(|_| draw()), offset: draw() }
    }

    #[inline]
    pub(super) fn hash(&self, words: [u64; N]) -> u64 {
        let products = self.factors.iter().zip(words);
        let sum = products
            .fold(self.offset, |sum, (factor, word)| sum.wrapping_add(factor.wrapping_mul(u128::from(word))));
        (sum >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::MultiplyShift;

    fn function(mut seed: u64) -> MultiplyShift<2> {
        let mut half = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            u128::from(mixed ^ mixed >> 31)
        };
        MultiplyShift::new(|| half() << 64 | half())
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        /// The upper half of the sum modulo 2^128, by halves.
        #[test]
        fn it_is_a_sum_of_products(factors: [u128; 3], offset: u128, words: [u64; 3]) {
            let mut drawn = factors.into_iter().chain([offset]);
            let function = MultiplyShift::<3>::new(|| drawn.next().unwrap_or_default());
            let low = |number: u128| number & u128::from(u64::MAX);
            let mut carry = low(offset);
            let mut high = offset >> 64;
            for (factor, word) in factors.into_iter().zip(words) {
                carry += low(low(factor) * u128::from(word));
                high += (low(factor) * u128::from(word)) >> 64;
                high += low((factor >> 64) * u128::from(word));
            }
            prop_assert_eq!(u128::from(function.hash(words)), low(high + (carry >> 64)));
        }
    }

    /// Pairs that weak functions map to one value: neighbours, single bits, swapped words, one word only.
    #[test]
    fn chosen_pairs_collide_as_often_as_random_ones() {
        const FUNCTIONS: u64 = 20_000;
        let pairs =
            [([0, 0], [0, 1]), ([0, 0], [1 << 63, 0]), ([1, 2], [2, 1]), ([u64::MAX, 0], [0, u64::MAX])];
        for (one, other) in pairs {
            let collisions = (0..FUNCTIONS).filter(|seed| {
                let function = function(*seed << 20);
                function.hash(one) >> 56 == function.hash(other) >> 56
            });
            let collisions = collisions.count();
            // 78 on average, with a deviation of 9.
            assert!((30..130).contains(&collisions), "{one:?} and {other:?}: {collisions}");
        }
    }
}
