//! What clients saw of the registers at each node, kept to be explained.

use std::collections::{BTreeMap, BTreeSet};

use crdt_core::Stamp;
use crdt_sync::{Action, Bytes, Cell, ItemKey, RequestId, Write};

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

/// What a command wrote to a register and overwrote itself. Its node never shows it; where only the beginning of the
/// command has arrived it is what the register holds.
#[derive(Clone, Debug)]
struct Passing {
    node: usize,
    item: ItemKey,
    value: Option<Bytes>,
    /// The stamp of what overwrote it: its own, which nobody was shown when it was written, is earlier.
    before: Stamp,
    begun: u64,
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
    passing: Vec<Passing>,
    reads: Vec<Vec<Read>>,
    /// When each node began with the disk that it has.
    since: Vec<u64>,
}

impl Registers {
    pub(crate) fn new(nodes: usize) -> Self {
        let reads = vec![Vec::new(); nodes];
        Self { clock: 0, written: Vec::new(), passing: Vec::new(), reads, since: vec![0; nodes] }
    }

    /// The next moment.
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// A command was made in memory, of these writes.
    pub(crate) fn written(&mut self, command: &Command, writes: &[Write]) {
        for (item, fact) in &command.facts {
            if let Fact::Register { stamp, value } = fact {
                let (begun, item) = (self.tick(), item.clone());
                let values = writes.iter().filter_map(|write| match &write.action {
                    Action::Set(value) if write.collection == item.collection && write.key == item.key => {
                        Some(value)
                    }
                    _ => None,
                });
                let values: Vec<_> = values.cloned().collect();
                for value in values.into_iter().rev().skip(1) {
                    let (node, item) = (command.node, item.clone());
                    self.passing.push(Passing { node, item, value, before: *stamp, begun });
                }
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
        let mut names: BTreeSet<(&ItemKey, &Seen)> = BTreeSet::new();
        for write in &self.written {
            let history = histories.entry(&write.item).or_insert_with(|| RegisterHistory::new(None));
            // What was written elsewhere, or before this disk, comes to it at any time, or not at all.
            let own = self.is_own(node, write.node, write.begun);
            names.insert((&write.item, &write.seen));
            history.write(write.seen.clone(), write.begun, write.ended.filter(|_| own));
        }
        for read in &self.reads[node] {
            // A key without writes holds nothing, of whatever kind it is.
            if let Some(history) = histories.get_mut(&read.item) {
                let passing = || self.passing_for(node, read);
                if let Some(begun) = (!names.contains(&(&read.item, &read.seen))).then(passing).flatten() {
                    history.write(read.seen.clone(), begun, None);
                }
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

    /// Whether what was written at a node, then, must be there while the node has this disk.
    fn is_own(&self, node: usize, written_at: usize, begun: u64) -> bool {
        written_at == node && begun > self.since[node]
    }

    /// When the command began that wrote what a read shows, and overwrote it.
    fn passing_for(&self, node: usize, read: &Read) -> Option<u64> {
        let (stamp, value) = read.seen.as_ref()?;
        let passing = self.passing.iter().filter(|passing| {
            let same = passing.item == read.item && passing.value == *value;
            let earlier = passing.before.replica == stamp.replica && *stamp < passing.before;
            same && earlier && !self.is_own(node, passing.node, passing.begun)
        });
        // The stamps of an identity ascend: it is the command that overwrote it first.
        passing.min_by_key(|passing| passing.before).map(|passing| passing.begun)
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

    /// Node 0 writes twice to a register in one command, and ends at the second stamp.
    fn overwritten_at_once() -> Registers {
        let mut registers = Registers::new(2);
        let set = |value: &str| Write {
            collection: item().collection,
            key: item().key,
            action: Action::Set(Some(value.into())),
        };
        let mut command = Command::new(0, RequestId(0), ReplicaId::from_u128(1), Vec::new());
        let value = Some("second".into());
        command.facts.push((item(), Fact::Register { stamp: STAMPS[1], value }));
        registers.written(&command, &[set("value"), set("second")]);
        registers
    }

    #[test]
    fn the_beginning_of_a_command_shows_elsewhere_and_never_where_it_was_written() {
        let mut registers = overwritten_at_once();
        read(&mut registers, 1, STAMPS[0]);
        assert_eq!(registers.check(), Ok(()), "the rest of the command is on its way");
        read(&mut registers, 0, STAMPS[0]);
        assert!(matches!(registers.check(), Err(Violation::NotLinearizable { node: 0, .. })));
        let mut registers = overwritten_at_once();
        read(&mut registers, 1, stamp(3));
        assert!(
            matches!(registers.check(), Err(Violation::NotLinearizable { node: 1, .. })),
            "nobody wrote it"
        );
    }
}
