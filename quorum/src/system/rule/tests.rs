//! The quick form says what the formula says.

use proptest::prelude::*;

use super::*;
use crate::system::samples::{formula, row_and_column, sets};

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn a_rule_says_what_its_formula_says(formula in formula()) {
        let narrow = Words::<u64>::new(&formula).expect("few nodes");
        let wide = Words::<u128>::new(&formula).expect("few nodes");
        for set in sets() {
            let expected = formula.is_quorum(set);
            prop_assert_eq!(Rule::Narrow(narrow.clone()).is_quorum(set), expected);
            prop_assert_eq!(Rule::Wide(wide.clone()).is_quorum(set), expected);
        }
    }
}

#[test]
fn nodes_beyond_the_64th_are_asked_in_wide_words() {
    assert!(matches!(Rule::new(&row_and_column(8)), Rule::Narrow(_)));
    let wide = Rule::new(&row_and_column(9));
    assert!(matches!(wide, Rule::Wide(_)));
    let [row, column]: [NodeSet; 2] = [(72..81).collect(), (0..9).map(|row| row * 9 + 8).collect()];
    assert!(!wide.is_quorum(row) && !wide.is_quorum(column) && wide.is_quorum(row.union(column)));
}
