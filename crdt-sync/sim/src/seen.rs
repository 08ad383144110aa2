//! What clients saw of the registers at each node, kept to be explained.

use std::collections::BTreeMap;

use crdt_core::Stamp;
use crdt_sync::{Bytes, Cell, ItemKey, RequestId};

use crate::model::{Command, Fact};
use crate::registers::RegisterHistory;
use crate::violation::Violation;

/// A register that was never written has no stamp; all others name their write. Two branches of an identity may have
/// given out one stamp, so the value belongs to the name.
type Seen = Option<(Stamp, Option<Bytes>)>;

/// One write to a register, and when its node began it and answered it.
#[derive(Clone, Debug)]
struct Written {
    request: RequestId,
    node: usize,
    item: ItemKey,
    seen: Seen,
    begun: u64,
    ended: Option<u64>,
}

/// A read of a register.
#[derive(Clone, Debug)]
struct Read {
    item: ItemKey,
    seen: Seen,
    begun: u64,
    ended: u64,
}

/// The operations on registers. At one node they are linearizable, whenever they were answered: its own writes between
/// their beginning and their answer, those of other nodes at any time after they began there, or never. A node that
/// loses its disk begins again.
#[derive(Clone, Debug)]
pub(crate) struct Registers {
    clock: u64,
    written: Vec<Written>,
    reads: Vec<Vec<Read>>,
    /// When each node began with the disk that it has.
    since: Vec<u64>,
}

impl Registers {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { clock: 0, written: Vec::new(), reads: vec![Vec::new(); nodes], since: vec![0; nodes] }
    }

    /// The next moment.
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// A command was made in memory.
    pub(crate) fn written(&mut self, command: &Command) {
        for (item, fact) in &command.facts {
            if let Fact::Register { stamp, value } = fact {
                let (begun, item) = (self.tick(), item.clone());
                let (request, node, seen) = (command.request, command.node, Some((*stamp, value.clone())));
                self.written.push(Written { request, node, item, seen, begun, ended: None });
            }
        }
    }

    /// A command was acknowledged.
    pub(crate) fn acknowledged(&mut self, request: RequestId) {
        let now = self.tick();
        let first = self.written.partition_point(|write| write.request < request);
        let writes = self.written[first..].iter_mut();
        writes.take_while(|write| write.request == request).for_each(|write| write.ended = Some(now));
    }

    /// A read was answered.
    pub(crate) fn read(&mut self, node: usize, item: &ItemKey, begun: u64, cell: Option<&Cell>) {
        let seen = match cell {
            Some(Cell::Register(register)) => register.stamp().map(|stamp| (stamp, register.get().cloned())),
            // Of other kinds nothing is kept here.
            Some(_) => return,
            None => None,
        };
        let (item, ended) = (item.clone(), self.tick());
        self.reads[node].push(Read { item, seen, begun, ended });
    }

    /// A node lost its disk: what clients saw there up to now is explained, and it begins again.
    pub(crate) fn lose_disk(&mut self, node: usize) -> Result<(), Violation> {
        self.check_node(node)?;
        self.since[node] = self.tick();
        self.reads[node].clear();
        Ok(())
    }

    /// Whether what clients saw at each node can be explained.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        (0..self.reads.len()).try_for_each(|node| self.check_node(node))
    }

    fn check_node(&self, node: usize) -> Result<(), Violation> {
        let mut histories: BTreeMap<&ItemKey, RegisterHistory<Seen>> = BTreeMap::new();
        for write in &self.written {
            let history = histories.entry(&write.item).or_insert_with(|| RegisterHistory::new(None));
            // What was written elsewhere, or before this disk, comes to it at any time, or not at all.
            let own = write.node == node && write.begun > self.since[node];
            history.write(write.seen.clone(), write.begun, write.ended.filter(|_| own));
        }
        for read in &self.reads[node] {
            // A key without writes holds nothing, of whatever kind it is.
            if let Some(history) = histories.get_mut(&read.item) {
                history.read(&read.seen, read.begun, read.ended);
            }
        }
        histories.into_iter().try_for_each(|(item, history)| {
            history.check().map_err(|contradiction| Violation::NotLinearizable {
                node,
                item: item.clone(),
                detail: contradiction.to_string(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use crdt_core::{Hlc, LwwRegister, ReplicaId};
    use crdt_sync::Collection;

    use super::*;

    const STAMPS: [Stamp; 2] = [stamp(1), stamp(2)];

    const fn stamp(millis: u64) -> Stamp {
        Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_u128(1) }
    }

    fn item() -> ItemKey {
        ItemKey { collection: Collection::registers("titles").id(), key: "key".into() }
    }

    fn holding(stamp: Stamp) -> Cell {
        let mut register = LwwRegister::default();
        let _ = register.set(stamp, "value".into());
        Cell::Register(register)
    }

    /// Two writes at node 0, the first acknowledged before the second begins.
    fn written() -> Registers {
        let mut registers = Registers::new(2);
        for (request, stamp) in (0..).map(RequestId).zip(STAMPS) {
            let begun = registers.tick();
            let seen = Some((stamp, Some("value".into())));
            registers.written.push(Written { request, node: 0, item: item(), seen, begun, ended: None });
            registers.acknowledged(request);
        }
        registers
    }

    fn read(registers: &mut Registers, node: usize, stamp: Stamp) {
        let begun = registers.tick();
        registers.read(node, &item(), begun, Some(&holding(stamp)));
    }

    #[test]
    fn what_was_overwritten_at_a_node_is_not_read_there_again() {
        let mut registers = written();
        read(&mut registers, 0, STAMPS[0]);
        assert!(matches!(registers.check(), Err(Violation::NotLinearizable { node: 0, .. })));
    }

    #[test]
    fn another_node_may_hear_of_it_later_but_never_goes_back() {
        let mut registers = written();
        read(&mut registers, 1, STAMPS[0]);
        read(&mut registers, 1, STAMPS[1]);
        assert_eq!(registers.check(), Ok(()));
        read(&mut registers, 1, STAMPS[0]);
        assert!(matches!(registers.check(), Err(Violation::NotLinearizable { node: 1, .. })));
    }

    #[test]
    fn a_node_with_another_disk_begins_again() {
        let mut registers = written();
        read(&mut registers, 0, STAMPS[1]);
        assert_eq!(registers.lose_disk(0), Ok(()));
        read(&mut registers, 0, STAMPS[0]);
        assert_eq!(registers.check(), Ok(()));
    }
}
