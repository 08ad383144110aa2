//! Finding where a function of time rises to what is asked for.

/// The smallest number from `low` to `high` that is enough, if `high` is.
///
/// The bits of numbers that are not negative are in the order of the numbers: halving them ends after 64 steps at two
/// neighbours, whatever the numbers, infinity included.
pub(super) fn smallest(low: f64, high: f64, is_enough: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low.to_bits(), high.to_bits());
    while low < high {
        let middle = low + (high - low) / 2;
        if is_enough(f64::from_bits(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    f64::from_bits(high)
}
