//! A leader with slots on a disk that tests can look at and break.

use core::time::Duration;

use replication_log::{
    Log, LogOptions, Lsn,
    ship::slot::{
        Extent, SlotEvent, SlotFile, SlotRules, SlotState, Slots, TruncateSlotsError, TruncatedSlots,
    },
    storage::FaultStorage,
};

use crate::common;

/// The file of the slots.
pub(crate) const FILE: &str = "replication.slots";

/// Smaller than any number a test would want to keep.
pub(crate) const SEGMENT_BYTES: u64 = 4096;

pub(crate) struct Leader {
    pub(crate) disk: FaultStorage,
    pub(crate) log: Log<FaultStorage>,
    pub(crate) file: SlotFile<FaultStorage>,
    pub(crate) slots: Slots,
    labels: u64,
}

impl Leader {
    /// A leader on this disk, whatever it finds there.
    pub(crate) fn on(disk: &FaultStorage, rules: impl Into<SlotRules>, now: Duration) -> Self {
        // Every file of its full size from the beginning, as big as a disk would have to be.
        let options = LogOptions::new(0x5eed).segment_bytes(SEGMENT_BYTES).preallocate_bytes(SEGMENT_BYTES);
        let (log, _) = Log::open(disk.clone(), options).expect("intact");
        let file = SlotFile::open(disk.clone()).expect("healthy");
        let slots = file.load(&log, rules, now).expect("intact");
        Self { disk: disk.clone(), labels: log.last().get(), log, file, slots }
    }

    pub(crate) fn new(rules: impl Into<SlotRules>) -> Self {
        Self::on(&FaultStorage::new(), rules, Duration::ZERO)
    }

    /// Writes one record of so many bytes, durably.
    pub(crate) fn write(&mut self, bytes: usize) -> Lsn {
        self.labels += 1;
        self.log.append(&common::batch(0, self.labels, &[bytes])).expect("fits");
        self.log.sync().expect("healthy")
    }

    /// Creates a slot for somebody who has everything there is.
    pub(crate) fn create(&mut self, name: &str, class: &str, now: Duration) {
        let extent = Extent::of(&self.log);
        self.slots.create(name, class, extent.durable, extent, now).expect("room");
        self.file.save(&mut self.slots).expect("healthy");
    }

    pub(crate) fn confirm(&mut self, name: &str, lsn: Lsn) {
        self.slots.confirm(name, lsn, self.log.durable()).expect("kept");
    }

    /// Drops what no slot needs; the leader itself needs nothing.
    pub(crate) fn truncate(&mut self, now: Duration) -> Result<TruncatedSlots, TruncateSlotsError> {
        let durable = self.log.durable();
        self.slots.truncate(now, &mut self.log, &self.file, durable)
    }

    pub(crate) fn state(&self, name: &str) -> SlotState {
        self.slots.get(name).expect("there").state()
    }

    /// The changes of state nobody has fetched yet: whose, from what, to what.
    pub(crate) fn changes(&mut self) -> Vec<(String, SlotState, SlotState)> {
        let events = core::iter::from_fn(|| self.slots.poll_event());
        let changes = events.map(|event| match event {
            SlotEvent::Changed { slot, from, to, .. } => (slot, from, to),
            other => panic!("no change of state: {other:?}"),
        });
        changes.collect()
    }

    /// The bytes of all segments, as the disk counts them.
    pub(crate) fn used_bytes(&self) -> u64 {
        let image = common::image(&self.disk);
        let segments = image.iter().filter(|(name, _)| name != FILE && name != "replication.slots.new");
        segments.map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
