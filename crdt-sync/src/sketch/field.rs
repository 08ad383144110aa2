//! Arithmetic modulo the prime 2^32 - 5, the largest below 2^32.

use alloc::vec::Vec;

/// An element of the field, always below the prime.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(super) struct Fp(u32);

impl Fp {
    pub(super) const PRIME: u32 = u32::MAX - 4;
    pub(super) const ZERO: Self = Self(0);
    const ONE: Self = Self(1);

    /// The element with this number, if there is one.
    pub(super) const fn new(value: u32) -> Option<Self> {
        if value < Self::PRIME { Some(Self(value)) } else { None }
    }

    /// Any 32 bits as an element. The five lowest elements are hit twice, which no keyed hash minds.
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(if bits < Self::PRIME { bits } else { bits - Self::PRIME })
    }

    /// Any 32 bits as an element other than zero.
    pub(super) const fn nonzero_from_bits(bits: u32) -> Self {
        Self(1 + bits % (Self::PRIME - 1))
    }

    pub(super) const fn get(self) -> u32 {
        self.0
    }

    pub(super) const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        let (sum, carry) = self.0.overflowing_add(other.0);
        Self(if carry || sum >= Self::PRIME { sum.wrapping_sub(Self::PRIME) } else { sum })
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        let (difference, borrow) = self.0.overflowing_sub(other.0);
        Self(if borrow { difference.wrapping_add(Self::PRIME) } else { difference })
    }

    pub(super) const fn negated(self) -> Self {
        Self::ZERO.minus(self)
    }

    /// Reduces by 2^32 = 5, twice: the first leaves 35 bits, the second at most 2^32 + 29.
    pub(super) const fn times(self, other: Self) -> Self {
        let product = self.0 as u64 * other.0 as u64;
        let once = (product & LOW_HALF) + 5 * (product >> 32);
        let twice = (once & LOW_HALF) + 5 * (once >> 32);
        let prime = Self::PRIME as u64;
        #[expect(clippy::cast_possible_truncation, reason = "it is below the prime")]
        let rest = (if twice < prime { twice } else { twice - prime }) as u32;
        Self(rest)
    }

    /// The element that gives one when multiplied with this one; zero for zero. By Fermat, 62 products.
    fn inverse(self) -> Self {
        let mut result = Self::ONE;
        let mut square = self;
        let mut exponent = Self::PRIME - 2;
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result.times(square);
            }
            square = square.times(square);
            exponent >>= 1;
        }
        result
    }
}

const LOW_HALF: u64 = u32::MAX as u64;

/// Replaces nonzero elements by their inverses at three products each and one inversion for all: the product
/// of all is inverted, and the factors are taken off it one by one (Montgomery, 1987).
pub(super) fn invert_all(elements: &mut [Fp], scratch: &mut Vec<Fp>) {
    scratch.clear();
    let mut product = Fp::ONE;
    for &element in &*elements {
        scratch.push(product);
        product = product.times(element);
    }
    let mut inverse = product.inverse();
    for (element, &before) in elements.iter_mut().zip(&*scratch).rev() {
        let factor = *element;
        *element = inverse.times(before);
        inverse = inverse.times(factor);
    }
}
