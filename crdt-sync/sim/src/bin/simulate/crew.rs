//! Many seeds at once, each on one thread.

use std::io::{IsTerminal, Write, stderr};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crdt_sync_sim::{Failure, Report, Scenario, Schedule};

pub(crate) type Outcome = Result<Report, Box<Failure>>;

/// Runs all seeds and hands over each outcome, in no order.
pub(crate) fn run_all(seeds: Range<u64>, scenario: &Scenario, threads: usize, mut take: impl FnMut(Outcome)) {
    let next = AtomicU64::new(seeds.start);
    let mut progress = Progress::new(seeds.end - seeds.start);
    thread::scope(|scope| {
        let (sender, outcomes) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let done = seed >= seeds.end || seed < seeds.start;
                    if done || sender.send(Schedule::new(seed, scenario.clone()).run()).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for outcome in outcomes {
            progress.count(outcome.is_err());
            take(outcome);
        }
    });
    progress.end();
}

/// One line on stderr that says how far it is.
struct Progress {
    total: u64,
    done: u64,
    violations: u64,
    began: Instant,
    said: Instant,
    /// Whether the line is written over and over, or only now and then.
    over: bool,
}

impl Progress {
    fn new(total: u64) -> Self {
        let now = Instant::now();
        Self { total, done: 0, violations: 0, began: now, said: now, over: stderr().is_terminal() }
    }

    fn count(&mut self, violation: bool) {
        self.done += 1;
        self.violations += u64::from(violation);
        let every = if self.over { Duration::from_millis(200) } else { Duration::from_secs(10) };
        if self.said.elapsed() >= every {
            self.said = Instant::now();
            self.say(if self.over { "\r" } else { "" }, if self.over { "" } else { "\n" });
        }
    }

    fn end(&self) {
        self.say(if self.over { "\r" } else { "" }, "\n");
    }

    fn say(&self, before: &str, after: &str) {
        let (done, total, violations) = (self.done, self.total, self.violations);
        #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let line = format!("{done}/{total} seeds, {rate:.1} a second, violations: {violations}");
        // Nobody may be listening.
        let _ = write!(stderr(), "{before}{line:<70}{after}");
    }
}
