//! The least that must be said, whoever says it.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use super::workloads::Workload;

/// The information-theoretic lower bound for a session about `workload`, in bytes both ways, rounded up.
///
/// At its end the left side knows which of its own `n` items to send. If it knew beforehand how many there are, `s`,
/// and nothing else, that is one of C(n, s) answers, and only the frames of the right side can have told it which: on
/// average they have at least log2 C(n, s) bits. The same holds the other way round, and the two parts add up.
pub fn bytes(workload: &Workload) -> u64 {
    let [left, right] = workload.differences();
    let bits = log2_choose(workload.left.len(), left.len()) + log2_choose(workload.right.len(), right.len());
    (bits / 8.0).ceil() as u64
}

/// log2 of how many sets of `chosen` things can be chosen from `of` of them. O(chosen).
fn log2_choose(of: usize, chosen: usize) -> f64 {
    (0..chosen).fold(0.0, |bits, index| bits + ((of - index) as f64 / (index + 1) as f64).log2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_choose_are_counted_in_bits() {
        for (of, chosen, ways) in [(5, 0, 1.0), (5, 1, 5.0), (5, 2, 10.0), (5, 5, 1.0), (52, 5, 2_598_960.0)]
        {
            assert!((log2_choose(of, chosen) - f64::log2(ways)).abs() < 1e-9, "{of} choose {chosen}");
        }
    }
}
