//! What a candidate is asked to do when it is its turn.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::rc::Rc;

use super::cpu::Stopwatch;
use super::workloads::Workload;
use super::{Candidate, Entry, Found, Updating};

/// What one turn gave.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Processor time of both sides together, in nanoseconds.
    pub nanoseconds: f64,
    /// Bytes in both directions.
    pub bytes: u64,
    /// Turns of both sides together.
    pub turns: u32,
}

/// A candidate at a workload.
pub type Turn = Box<dyn FnMut() -> Sample>;

/// Sessions of less than this are repeated within a turn.
const ENOUGH: f64 = 1e6;
/// One that takes longer than this is not repeated at all: later turns answer what the first one gave.
const TOO_LONG: f64 = 3e9;

/// Compares the two data sets, which are loaded before the first turn, and checks each time that exactly the difference
/// was found.
pub fn reconcile<C: Candidate>(workload: &Rc<Workload>) -> Turn {
    let workload = Rc::clone(workload);
    let expected = workload.differences();
    let mut sides = None;
    let mut long = None;
    Box::new(move || {
        if let Some(sample) = long {
            return sample;
        }
        let (left, right) = sides.get_or_insert_with(|| (C::load(&workload.left), C::load(&workload.right)));
        let (mut nanoseconds, mut sessions) = (0.0, 0);
        let sample = loop {
            let mut watch = Stopwatch::start();
            let found = C::reconcile(left, right, &mut watch);
            nanoseconds += watch.nanoseconds();
            sessions += 1;
            let (bytes, turns) = (found.bytes, found.turns);
            check::<C>(found, &expected);
            if nanoseconds > ENOUGH {
                break Sample { nanoseconds: nanoseconds / f64::from(sessions), bytes, turns };
            }
        };
        if sample.nanoseconds > TOO_LONG {
            long = Some(sample);
        }
        sample
    })
}

/// Ends the run unless both sides found what they should have, and, unless they are exact, next to nothing more.
fn check<C: Candidate>(found: Found, expected: &[Vec<[u8; 16]>; 2]) {
    for (mut sends, expected) in found.sends.into_iter().zip(expected) {
        sends.sort_unstable();
        if !C::IS_EXACT {
            let more = sends.len().saturating_sub(expected.len());
            assert!(more <= 8 + expected.len() / 500, "{} sends {more} items too many", C::NAME);
            sends.retain(|key| expected.binary_search(key).is_ok());
        }
        assert!(sends == *expected, "{} did not find the difference", C::NAME);
    }
}

/// What following one write takes, in nanoseconds, with the summary made ready for a session after every `batch` of
/// them, or never.
pub fn update<C: Updating>(entries: &[Entry], batch: Option<usize>) -> f64 {
    const WRITES: usize = 100_000;
    let mut side = C::load(entries);
    side.prepare();
    let mut watch = Stopwatch::start();
    let mut writes = 0;
    for entry in entries.iter().take(WRITES) {
        side.upsert(Entry { version: entry.version + 1, ..*entry }, entry.version);
        writes += 1;
        if batch.is_some_and(|batch| writes % batch == 0) {
            side.prepare();
            // Some do so much each time that a few times tell.
            if watch.nanoseconds() > TOO_LONG / 3.0 {
                break;
            }
        }
    }
    let nanoseconds = watch.nanoseconds() / writes as f64;
    watch.paused(|| drop(side));
    nanoseconds
}

/// Bytes of heap that the summary takes, per item.
pub fn memory<C: Candidate>(entries: &[Entry]) -> f64 {
    let mut summary = None;
    let heap = allocation_counter::measure(|| summary = Some(C::summary(entries)));
    drop(summary);
    heap.bytes_current as f64 / entries.len() as f64
}
