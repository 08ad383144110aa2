//! What will happen when, in an order that is always the same.

use std::collections::BTreeMap;

use crdt_sync::time::Instant;

/// Events in the order of their times; those of one time in the order in which they were put in.
#[derive(Clone, Debug)]
pub(crate) struct Queue<E> {
    events: BTreeMap<(Instant, u64), E>,
    next: u64,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self { events: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn put(&mut self, at: Instant, event: E) {
        self.events.insert((at, self.next), event);
        self.next += 1;
    }

    /// The time of the next event.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, E)> {
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_decides_and_then_the_order_of_putting_in() {
        let mut queue = Queue::new();
        let at = Instant::from_micros;
        queue.put(at(2), "c");
        queue.put(at(1), "a");
        queue.put(at(1), "b");
        assert_eq!(queue.next_at(), Some(at(1)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }
}
