//! The order of merging makes no difference.

use std::fmt::Debug;

use crdt_core::Crdt;

/// Merges in all six orders and returns what they agree on.
pub(crate) fn merged_in_every_order<T: Crdt + Clone + PartialEq + Debug>(states: [&T; 3]) -> T {
    let [a, b, c] = states;
    let merged = a.clone().merged(b).merged(c);
    for [first, second, third] in [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        assert_eq!(first.clone().merged(second).merged(third), merged);
    }
    merged
}
