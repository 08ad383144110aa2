//! The mean of a time, from how likely it is to take longer than `t`.

use libm::fabs;

use super::search::smallest;
use crate::probability::count;

/// `P(T > t)` of a time T, and what is known about its course.
pub(super) struct Survival<F> {
    /// Falls from 1 to 0.
    pub(super) beyond: F,
    /// The power of `t` with which it falls in the end; infinite if it falls faster than any.
    pub(super) tail_index: f64,
}

/// The error that one panel may have, as a share of it.
const PRECISION: f64 = 1e-11;

/// The smallest area that is looked at: a thousand times the smallest number, below which all is rounding.
const FINEST: f64 = 1024.0 * f64::EPSILON * f64::MIN_POSITIVE;

/// By how much one panel is longer than the next one towards where a piece begins.
const RATIO: f64 = 8.0;

impl<F: Fn(f64) -> f64> Survival<F> {
    /// `E T`, the area below `P(T > t)`, with a relative error below 1e-9; exact but for rounding where it is a step.
    /// `breaks`, ascending, are the times between which it is smooth; before the first it is 1.
    ///
    /// Each piece is divided into panels that grow by a factor from where it begins to fall, so that none hides what
    /// is short beside it, and a panel is halved until two rules agree on it. As the function falls, a panel is never
    /// off by more than its width times its fall: halving ends.
    ///
    /// If `t^-a` is the tail and `a` at most 1, the mean is infinite. If `a` is so close to 1 that what lies beyond
    /// the range of numbers still counts, that is taken to be the pure power.
    pub(super) fn mean(&self, breaks: &[f64]) -> f64 {
        let (Some(&first), Some(&last)) = (breaks.first(), breaks.last()) else {
            return 0.0;
        };
        if self.tail_index <= 1.0 {
            return f64::INFINITY;
        }
        let negligible = (self.negligible(first) / count(breaks.len())).max(FINEST);
        let pieces = breaks.windows(2).map(|ends| match ends {
            [from, to] => self.piece(*from, *to, negligible),
            _ => 0.0,
        });
        first + pieces.sum::<f64>() + self.tail(last, negligible)
    }

    /// What cannot be seen in the mean, which is at least `p` times what is exceeded with the probability `p`.
    fn negligible(&self, first: f64) -> f64 {
        let begin = (self.beyond)(first);
        // More than one share, as half of it may be over in no time.
        let least = [0.5, 0.25, 0.0625, 0.000_1].map(|share| {
            let typical = smallest(first, f64::MAX, |t| (self.beyond)(t) <= begin * share) - first;
            typical * begin * share
        });
        (first + least.into_iter().fold(0.0, f64::max)) * PRECISION / 10.0
    }

    /// The area from one break to the next.
    fn piece(&self, from: f64, to: f64, negligible: f64) -> f64 {
        let (begin, end) = ((self.beyond)(from), (self.beyond)(to.next_down()));
        if begin <= end {
            return (to - from) * begin;
        }
        let falling = self.begin_of_fall(from, to);
        (falling - from) * begin + self.falling(falling, to, negligible)
    }

    /// The area from the last break on.
    fn tail(&self, from: f64, negligible: f64) -> f64 {
        let begin = (self.beyond)(from);
        if begin <= 0.0 {
            return 0.0;
        }
        let falling = self.begin_of_fall(from, f64::MAX);
        let mut to = smallest(falling.next_up(), f64::MAX, |t| (self.beyond)(t) <= begin / 2.0);
        let mut area = (falling - from) * begin + self.falling(falling, to, negligible);
        loop {
            let rest = (self.beyond)(to);
            let next = falling + RATIO * (to - falling);
            if rest <= 0.0 || next.is_infinite() {
                return area + (to - falling) * rest / (self.tail_index - 1.0);
            }
            // That little is left does not mean that it is soon over: it is passed over panel by panel.
            area += if (next - to) * rest > negligible { self.panel(to, next, negligible) } else { 0.0 };
            to = next;
        }
    }

    /// The area of a piece that falls from its beginning on.
    fn falling(&self, from: f64, to: f64, negligible: f64) -> f64 {
        let begin = (self.beyond)(from);
        let mut area = 0.0;
        let mut to = to;
        loop {
            let width = to - from;
            let fall = begin - (self.beyond)(to.next_down());
            let next = from + width / RATIO;
            if width * fall <= negligible || next <= from || next >= to {
                return area + width * (begin - fall / 2.0);
            }
            area += self.panel(next, to, negligible);
            to = next;
        }
    }

    /// The area of a panel without jumps.
    fn panel(&self, from: f64, to: f64, negligible: f64) -> f64 {
        let (area, check) = gauss_kronrod(&self.beyond, from, to);
        let middle = from + (to - from) / 2.0;
        let error = fabs(area - check);
        if error <= negligible.max(area * PRECISION) || middle <= from || middle >= to {
            return area;
        }
        let fall = (self.beyond)(from) - (self.beyond)(to.next_down());
        if (to - from) * fall <= negligible {
            return area;
        }
        self.panel(from, middle, negligible) + self.panel(middle, to, negligible)
    }

    /// The last time before `to` at which as good as nothing is lost of what there is at `from`.
    fn begin_of_fall(&self, from: f64, to: f64) -> f64 {
        let whole = (self.beyond)(from) * (1.0 - 2.0 * f64::EPSILON);
        smallest(from, to, |t| (self.beyond)(t) < whole).next_down().max(from)
    }
}

/// The integral by the rule of Kronrod with 15 points, and by that of Gauss with 7 of them.
fn gauss_kronrod(f: impl Fn(f64) -> f64, from: f64, to: f64) -> (f64, f64) {
    let half = (to - from) / 2.0;
    let middle = from + half;
    let (mut kronrod, mut gauss) = (0.0, 0.0);
    for &[at, weight, weight_of_gauss] in &POINTS {
        let value = if at > 0.0 { f(middle - half * at) + f(middle + half * at) } else { f(middle) };
        kronrod += weight * value;
        gauss += weight_of_gauss * value;
    }
    (kronrod * half, gauss * half)
}

/// Points on one side of the middle, and in the middle: where on `[-1, 1]`, with the weight of either rule.
const POINTS: [[f64; 3]; 8] = [
    [0.991_455_371_120_812_6, 0.022_935_322_010_529_224, 0.0],
    [0.949_107_912_342_758_5, 0.063_092_092_629_978_56, 0.129_484_966_168_869_7],
    [0.864_864_423_359_769_1, 0.104_790_010_322_250_19, 0.0],
    [0.741_531_185_599_394_4, 0.140_653_259_715_525_92, 0.279_705_391_489_276_64],
    [0.586_087_235_467_691_1, 0.169_004_726_639_267_9, 0.0],
    [0.405_845_151_377_397_2, 0.190_350_578_064_785_4, 0.381_830_050_505_118_9],
    [0.207_784_955_007_898_47, 0.204_432_940_075_298_9, 0.0],
    [0.0, 0.209_482_141_084_727_82, 0.417_959_183_673_469_4],
];

#[cfg(test)]
mod tests;
