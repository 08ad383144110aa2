//! Candidates timed by turns.
//!
//! On a machine that others use, too, two figures of different minutes say little about each other. Two that were taken
//! right after one another do, so the candidates take turns, and what counts is the median of the ratios of each round.

#![allow(clippy::disallowed_methods, reason = "a stopwatch")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::time::{Duration, Instant};

/// One measurement: how long something took, on average over as many repetitions as it needed to be measurable.
pub type Measure = Box<dyn FnMut() -> f64>;

/// What some rounds gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The median of each candidate, in nanoseconds.
    pub medians: Vec<f64>,
    /// For each candidate, the median of how many times as long as the first one it took.
    pub ratios: Vec<f64>,
}

/// Lets the candidates take turns for a few rounds. There must be at least one of each.
pub fn take_turns(rounds: usize, candidates: &mut [Measure]) -> Outcome {
    let mut times = vec![Vec::with_capacity(rounds); candidates.len()];
    for _ in 0..rounds {
        for (candidate, times) in candidates.iter_mut().zip(&mut times) {
            times.push(candidate());
        }
    }
    let ratios =
        times.iter().map(|other| median(other.iter().zip(&times[0]).map(|(other, first)| other / first)));
    Outcome {
        ratios: ratios.collect(),
        medians: times.iter().map(|times| median(times.iter().copied())).collect(),
    }
}

/// Times `step` on inputs that are made, and results that are dropped, while no clock runs.
///
/// What takes a while is timed one by one, so that memory is used again as in a process that runs for long. What takes
/// less than the clock can tell is done to many inputs in a row, `at_most` so many.
pub fn measure<I, O>(
    at_most: usize,
    input: impl Fn() -> I + 'static,
    step: impl Fn(I) -> O + 'static,
) -> Measure {
    const MEASURABLE: Duration = Duration::from_micros(2);
    const ENOUGH: Duration = Duration::from_micros(200);
    let in_a_row = move |repetitions: usize| {
        let inputs: Vec<I> = (0..repetitions).map(|_| input()).collect();
        // Written once before: a first touch of fresh memory is the kernel's time.
        let mut results: Vec<Option<O>> = (0..repetitions).map(|_| None).collect();
        let start = Instant::now();
        for (input, result) in inputs.into_iter().zip(&mut results) {
            *result = Some(step(input));
        }
        start.elapsed()
    };
    Box::new(move || {
        let (mut total, mut count) = (in_a_row(1), 1);
        let at_a_time = if total < MEASURABLE { at_most } else { 1 };
        while total < ENOUGH && count < at_most {
            total += in_a_row(at_a_time);
            count += at_a_time;
        }
        total.as_secs_f64() * 1e9 / count as f64
    })
}

/// Lets the candidates take turns for a few rounds, of which each begins with another candidate, and returns what every
/// one gave in each round. What one leaves behind, such as pages to be written, so hits all others alike.
pub fn rotate<T>(rounds: u64, candidates: &mut [Box<dyn FnMut() -> T>]) -> Vec<Vec<T>> {
    let mut given: Vec<Vec<T>> = candidates.iter().map(|_| Vec::new()).collect();
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    for _ in 0..rounds {
        for place in &order {
            given[*place].push(candidates[*place]());
        }
        if !order.is_empty() {
            order.rotate_left(1);
        }
    }
    given
}

/// The one in the middle. There must be at least one.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
