//! The adversary: it strikes nodes, clocks and connections, whenever the dice say so.

use super::{Happening, World};
use crate::dice::Dice;
use crate::faults::Fault;

/// After how many operations of its disk a machine stops at the latest.
const MOST_OPERATIONS: u64 = 8;

impl World {
    /// Lets a fault strike now, in a hostile world as in a peaceful one.
    ///
    /// The node is the one that is struck by what strikes a node or its clock; which connection breaks and
    /// who is parted from whom is left to chance. A node that is down is not struck, and a fault of frames
    /// does nothing: how many frames are struck is said by the [`Hostility`](crate::Hostility) of a world.
    /// What strikes the disk shows when the disk is used the next time.
    pub fn inflict(&mut self, fault: Fault, node: usize) {
        if node >= self.nodes.len() {
            return;
        }
        match fault {
            Fault::LinkBroken => self.break_link(),
            Fault::Partitioned | Fault::PartitionedOneWay => self.part(fault),
            Fault::ClockSetForward | Fault::ClockSetBack => self.set_clock(node, fault),
            _ if self.engine(node).is_some() => self.strike_node(node, fault),
            _ => {}
        }
    }

    /// Strikes once and orders the next strike.
    pub(super) fn strike(&mut self) {
        let Some(hostility) = &self.setup.hostility else {
            return;
        };
        let number = self.strikes;
        self.strikes += 1;
        self.dice.strikes = Dice::new(self.strike_chance.wrapping_add(number.into()));
        let next = self.dice.strikes.span(&hostility.between_strikes);
        let place = self.dice.strikes.below(hostility.total_weight());
        let node = self.dice.strikes.index(self.nodes.len());
        let fault = hostility.strike_at(place);
        self.put(next, Happening::Strike);
        if let Some(fault) = fault.filter(|_| !self.left_out_strikes.contains(&number)) {
            self.inflict(fault, node);
        }
    }

    /// A partition is over, as far as these ways are concerned.
    pub(super) fn reopen(&mut self, ways: &[(usize, usize)]) {
        self.note(format_args!("ways are open again: {ways:?}"));
        for &(from, to) in ways {
            self.network.unblock(from, to);
        }
    }

    fn strike_node(&mut self, node: usize, fault: Fault) {
        self.note(format_args!("{node} is struck: {fault}"));
        match fault {
            Fault::PowerLost => {
                self.faults.add(fault);
                self.cut_power(node);
            }
            Fault::ProcessKilled => {
                self.faults.add(fault);
                self.kill(node);
            }
            // These two count when the disk is used the next time and the fault shows.
            Fault::StoppedMidWrite => {
                let operations = self.dice.strikes.below(MOST_OPERATIONS);
                self.nodes[node].disk.stop_after(operations);
            }
            Fault::SyncFailed => self.nodes[node].disk.fail_next_sync(),
            _ => {}
        }
    }

    fn break_link(&mut self) {
        let links = self.network.whole_links();
        let Some(link) = self.dice.strikes.pick(&links).copied() else {
            return;
        };
        let Some(end) = self.network.end(link) else { return };
        self.faults.add(Fault::LinkBroken);
        self.note(format_args!("{} and {} break", link.0, end.far.0));
        self.network.sever(link);
        for link in [link, end.far] {
            let takes = self.until_noticed();
            self.put(takes, Happening::LinkDown { link });
        }
    }

    fn part(&mut self, fault: Fault) {
        let nodes = self.nodes.len();
        let groups = self.dice.strikes.number();
        let group = |node: usize| groups >> (node % 64) & 1;
        let ways: Vec<(usize, usize)> = (0..nodes)
            .flat_map(|from| (0..nodes).map(move |to| (from, to)))
            .filter(|&(from, to)| match fault {
                Fault::PartitionedOneWay => group(from) < group(to),
                _ => group(from) != group(to),
            })
            .collect();
        if ways.is_empty() {
            return;
        }
        self.faults.add(fault);
        self.note(format_args!("ways are blocked: {ways:?}"));
        for &(from, to) in &ways {
            self.network.block(from, to);
        }
        let takes = self.until_noticed();
        self.put(takes, Happening::Reopen { ways });
    }

    /// Clocks are mostly set by little, and now and then by a lot.
    fn set_clock(&mut self, node: usize, fault: Fault) {
        let jumps = self.setup.hostility.clone().unwrap_or_default().clock_jump;
        self.faults.add(fault);
        let scale = self.dice.strikes.pick(&[1, 10, 100, 1_000]).copied().unwrap_or(1);
        let jump = self.dice.strikes.span(&jumps) / scale;
        let millis = i64::try_from(jump.as_millis()).unwrap_or(i64::MAX);
        let skew = &mut self.nodes[node].skew;
        *skew = match fault {
            Fault::ClockSetBack => skew.saturating_sub(millis),
            _ => skew.saturating_add(millis),
        };
        let skew = *skew;
        self.note(format_args!("the wall clock of {node} is now wrong by {skew} ms"));
    }
}
