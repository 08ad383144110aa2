//! What a log recovers to after any history of calls and power cuts.

use replication_log::storage::{FaultStorage, Keep, Survivors};
use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, OwnedRecord, RecordKind};

/// Every two bytes are a call and its argument; some calls cut the power at once or a few operations later. What the
/// log then holds is whole batches from the beginning, in order, all durable ones among them, under the epoch that was
/// promised.
pub fn a_log_recovers_to_a_prefix_of_what_was_appended(calls: &[u8]) {
    let Some((options, calls)) = calls.split_first() else { return };
    let disk = FaultStorage::new();
    let mut history = History { options: options_of(*options), model: Model::default(), disk };
    let mut log = history.open();
    for call in calls.chunks_exact(2) {
        let went_well = history.call(&mut log, call[0], call[1]).is_some();
        if !went_well || log.poison().is_some() {
            history.disk.crash(survivors(call[1]));
            log = history.open();
        }
    }
}

fn options_of(choice: u8) -> LogOptions {
    let options = LogOptions::new(0x5eed).segment_bytes(1024);
    let staging = [0, 300, 64 << 10, 900][usize::from(choice % 4)];
    let options = options.preallocate_bytes(u64::from(choice & 4) * 64).staging_bytes(staging);
    options.prepare_bytes(u64::from(choice & 8) * 128).recycle(usize::from(choice >> 4 & 3))
}

fn survivors(seed: u8) -> Survivors {
    match seed {
        0 => Survivors::NOTHING,
        1 => Survivors::EVERYTHING,
        seed => {
            let keep = Keep::Random(u64::from(seed));
            Survivors { sectors: keep, entries: keep }
        }
    }
}

/// All that was handed to the log, and what it must not have lost.
#[derive(Default)]
struct Model {
    appended: Vec<OwnedRecord>,
    /// How many records there were after each batch.
    ends: Vec<u64>,
    durable: Lsn,
    promised: Epoch,
    attempted: Epoch,
    truncated: Lsn,
    /// Where the end was being cut when the power went.
    cutting: Option<Lsn>,
    /// Tells payloads apart, also those that were cut.
    labels: u64,
}

impl Model {
    fn cut_after(&mut self, last: Lsn) {
        self.appended.retain(|record| record.lsn <= last);
        self.ends.retain(|&end| end <= last.get());
        (self.durable, self.cutting) = (last, None);
    }

    fn check(&self, log: &Log<FaultStorage>) {
        let last = log.durable();
        assert!(self.cutting == Some(last) || last >= self.durable, "{last} of {} durable", self.durable);
        assert!(last == Lsn::ZERO || self.ends.contains(&last.get()), "{last} is inside a batch");
        assert!(log.oldest() <= self.truncated.max(Lsn::FIRST), "dropped more than asked for");
        assert!((self.promised..=self.attempted).contains(&log.epoch()), "epoch {}", log.epoch());
        let reader = log.read_from(log.oldest()).expect("the oldest record is there");
        let found: Vec<_> = reader.into_iter().collect::<Result<_, _>>().expect("an opened log is readable");
        let kept = |record: &&OwnedRecord| (log.oldest()..=last).contains(&record.lsn);
        assert!(found.iter().eq(self.appended.iter().filter(kept)), "other records than were appended");
    }
}

struct History {
    options: LogOptions,
    model: Model,
    disk: FaultStorage,
}

impl History {
    /// Opens the log and goes on with what it kept.
    fn open(&mut self) -> Log<FaultStorage> {
        let opened = Log::open(self.disk.clone(), self.options.clone());
        let (log, _) = opened.unwrap_or_else(|error| panic!("a crash is no corruption: {error}"));
        self.model.check(&log);
        self.model.cut_after(log.durable());
        self.model.promised = log.epoch();
        log
    }

    /// `None` when the log must be opened again.
    fn call(&mut self, log: &mut Log<FaultStorage>, call: u8, argument: u8) -> Option<()> {
        let place = Lsn::new(log.last().get() * u64::from(argument) / 255);
        match call % 12 {
            0..=2 => self.append(log, argument)?,
            3 => drop(log.flush().ok()?),
            4 => self.model.durable = log.sync().ok()?,
            5 => {
                let epoch = log.epoch().get() + u64::from(argument % 2);
                self.model.attempted = self.model.attempted.max(Epoch::new(epoch));
                self.model.durable = log.promise_epoch(Epoch::new(epoch)).ok()?;
                self.model.promised = Epoch::new(epoch);
            }
            6 => {
                self.model.truncated = self.model.truncated.max(place);
                log.truncate_before(place).ok()?;
            }
            7 => self.cut(log, place)?,
            8 => {
                if let Some(mut pending) = log.begin_prepare() {
                    let outcome = pending.run();
                    log.finish_prepare(pending, outcome).ok()?;
                }
            }
            9 => self.disk.stop_after(u64::from(argument % 16)),
            10 => return None,
            // The process dies and the machine does not: nothing that is only in the cache may be relied on.
            _ => {
                self.disk.resume();
                *log = self.open();
            }
        }
        Some(())
    }

    fn append(&mut self, log: &mut Log<FaultStorage>, argument: u8) -> Option<()> {
        let mut batch = Batch::new(log.epoch());
        let count = self.model.appended.len();
        for record in 0..=argument % 4 {
            self.model.labels += 1;
            let payload = self.model.labels.to_le_bytes().repeat(usize::from(argument / 4));
            let lsn = Lsn::new(self.model.appended.len() as u64 + 1);
            batch.push(RecordKind(record), &payload).expect("a small record fits");
            self.model.appended.push(OwnedRecord { lsn, kind: RecordKind(record), payload });
        }
        self.model.ends.push(self.model.appended.len() as u64);
        let outcome = log.append(&batch);
        if outcome.is_err() && log.poison().is_none() {
            // Refused, which leaves the log as it was.
            self.model.appended.truncate(count);
            self.model.ends.pop();
        }
        outcome.ok().map(drop)
    }

    fn cut(&mut self, log: &mut Log<FaultStorage>, last: Lsn) -> Option<()> {
        let boundary = self.model.ends.contains(&last.get()) || last.next() == Some(log.oldest());
        self.model.cutting = Some(last).filter(|_| boundary);
        let outcome = log.truncate_after(last, Lsn::ZERO);
        if outcome.is_ok() {
            self.model.cut_after(last);
        } else if log.poison().is_none() {
            self.model.cutting = None;
        }
        // A boundary that does not exist is refused, and that is no reason to open the log again.
        (outcome.is_ok() || !boundary).then_some(())
    }
}
