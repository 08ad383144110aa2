//! The field beside arithmetic in wide integers.

use alloc::vec::Vec;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use crate::sketch::field::{Fp, invert_all};

const PRIME: u64 = Fp::PRIME as u64;

/// Any element, and often one at an end of the field.
fn element() -> impl Strategy<Value = Fp> {
    let ends = prop_oneof![0_u32..3, Fp::PRIME - 3..Fp::PRIME];
    prop_oneof![ends, 0..Fp::PRIME].prop_map(|value| Fp::new(value).unwrap())
}

fn wide(element: Fp) -> u64 {
    u64::from(element.get())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn sums_and_products_are_those_modulo_the_prime(a in element(), b in element()) {
        prop_assert_eq!(wide(a.plus(b)), (wide(a) + wide(b)) % PRIME);
        prop_assert_eq!(wide(a.minus(b)), (wide(a) + PRIME - wide(b)) % PRIME);
        prop_assert_eq!(wide(a.times(b)), wide(a) * wide(b) % PRIME);
        prop_assert_eq!(wide(a.negated()), (PRIME - wide(a)) % PRIME);
    }

    #[test]
    fn an_element_times_its_inverse_is_one(elements in vec_of(element(), 0..20)) {
        let elements: Vec<Fp> = elements.into_iter().filter(|element| !element.is_zero()).collect();
        let mut inverses = elements.clone();
        invert_all(&mut inverses, &mut Vec::new());
        for (element, inverse) in elements.into_iter().zip(inverses) {
            prop_assert_eq!(wide(element.times(inverse)), 1);
        }
    }

    #[test]
    fn any_bits_are_an_element(bits: u32) {
        prop_assert_eq!(wide(Fp::from_bits(bits)), u64::from(bits) % PRIME);
        let nonzero = Fp::nonzero_from_bits(bits);
        prop_assert!(!nonzero.is_zero() && wide(nonzero) < PRIME);
    }
}
