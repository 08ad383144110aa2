//! A naive cluster: every log is written out, and nodes do what a bad day makes them do.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::*;

pub(super) const NODES: usize = 4;

/// Logs as the numbers of their records; no two writes have the same number.
pub(super) struct Cluster {
    /// The log of each epoch's leader, also of one that was deposed and does not know it yet.
    logs: Vec<Vec<u64>>,
    nodes: [Replica; NODES],
    written: u64,
}

/// Holds the first `len` records of the log of `epoch`.
#[derive(Clone, Copy, Default)]
struct Replica {
    epoch: usize,
    len: usize,
    leads: bool,
}

/// What a node does when it is asked to have something.
pub(super) enum Checked {
    Has,
    NotYet,
    Lost(Loss),
}

impl Cluster {
    /// Node 0 leads in epoch 1.
    pub(super) fn new() -> Self {
        let mut nodes = [Replica { epoch: 1, ..Replica::default() }; NODES];
        nodes[0].leads = true;
        Self { logs: alloc::vec![Vec::new(); 2], nodes, written: 0 }
    }

    /// A node that leads or believes that it does appends a record; `None` if it knows better.
    pub(super) fn write(&mut self, node: usize, epoch: Epoch) -> Option<u64> {
        let replica = &mut self.nodes[node];
        if !replica.leads || replica.epoch as u64 != epoch.get() {
            return None;
        }
        self.written += 1;
        replica.len += 1;
        self.logs[replica.epoch].push(self.written);
        Some(self.written)
    }

    /// A node takes some records of the newest leader, after it cut what that one does not have.
    pub(super) fn follow(&mut self, node: usize, records: usize) {
        let epoch = self.newest();
        let (log, own) = (&self.logs[epoch], self.log(node));
        let common = log.iter().zip(own).take_while(|(one, other)| one == other).count();
        let len = log.len().min(common + records);
        if !(self.nodes[node].leads && self.nodes[node].epoch == epoch) {
            self.nodes[node] = Replica { epoch, len, leads: false };
        }
    }

    /// A node that does not lead restarts and lost the end of its log.
    pub(super) fn restart(&mut self, node: usize, records: usize) {
        if !self.nodes[node].leads {
            self.nodes[node].len = self.nodes[node].len.saturating_sub(records);
        }
    }

    /// A node leads from now on with the log that it has; whoever led before does not hear of it. The new epoch, and
    /// with what it begins.
    pub(super) fn elect(&mut self, node: usize) -> (Epoch, Version) {
        let began = self.version(node);
        let log = self.log(node).to_vec();
        self.nodes[node] = Replica { epoch: self.logs.len(), len: log.len(), leads: true };
        self.logs.push(log);
        (Epoch::new(self.newest() as u64), began)
    }

    /// Who leads in truth, as far as a node knows it: the node itself.
    pub(super) fn led_by(&self, node: usize) -> Option<usize> {
        (0..NODES).find(|&other| self.nodes[other].leads && self.nodes[other].epoch == self.nodes[node].epoch)
    }

    pub(super) fn version(&self, node: usize) -> Version {
        version(self.nodes[node].epoch as u64, self.nodes[node].len as u64)
    }

    /// What a node finds in its own log.
    pub(super) fn check(&self, node: usize, need: Version) -> Checked {
        let log = &self.logs[self.nodes[node].epoch];
        let needed = self.records(need);
        if self.log(node).starts_with(needed) {
            return Checked::Has;
        }
        let common = log.iter().zip(needed).take_while(|(one, other)| one == other).count();
        let epoch = self.version(node).epoch;
        if epoch > need.epoch && common < needed.len() {
            return Checked::Lost(Loss { lost: need, kept: Version::new(epoch, Lsn::new(common as u64)) });
        }
        Checked::NotYet
    }

    /// The records that a version names.
    pub(super) fn records(&self, version: Version) -> &[u64] {
        let (epoch, len) = (version.epoch.get(), version.lsn.get());
        &self.logs[usize::try_from(epoch).unwrap()][..usize::try_from(len).unwrap()]
    }

    pub(super) fn has(&self, have: Version, need: Version) -> bool {
        self.records(have).starts_with(self.records(need))
    }

    /// A loss that was told is one, and nothing is given up that is still there.
    pub(super) fn assert_true(&self, loss: Loss) {
        let log = &self.logs[usize::try_from(loss.kept.epoch.get()).unwrap()];
        let gone = self.records(loss.lost);
        assert!(!log.starts_with(gone), "a false alarm: {loss}");
        let survivors: BTreeSet<u64> = gone.iter().filter(|&record| log.contains(record)).copied().collect();
        let kept = self.records(loss.kept);
        assert!(
            survivors.iter().all(|record| kept.contains(record)),
            "more is given up than is lost: {loss}"
        );
    }

    fn log(&self, node: usize) -> &[u64] {
        let replica = &self.nodes[node];
        &self.logs[replica.epoch][..replica.len]
    }

    fn newest(&self) -> usize {
        self.logs.len() - 1
    }
}
