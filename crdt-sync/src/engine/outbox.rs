//! The gate between decisions and their effects.
//!
//! State may run ahead of the disk, effects may not: whatever tells somebody of a change waits here until the
//! record that holds the change is durable.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use replication_log::Lsn;

use super::Event;
use super::io::{LinkId, Output, Reply, RequestId};
use crate::metrics::Counters;
use crate::time::Instant;
use crate::wire::{self, Farewell, Message};

/// Outputs that may leave, and outputs that wait for the disk.
#[derive(Debug)]
pub(crate) struct Outbox {
    ready: VecDeque<Output>,
    /// By the record each waits for; in the order in which they were decided.
    gated: BTreeMap<Lsn, Vec<Output>>,
    /// Reads that wait, with the time at which they give up.
    reads: BTreeMap<(Lsn, RequestId), (Reply, Instant)>,
    waiting_replies: usize,
    durable: Lsn,
    /// Until when this node leads.
    leads_until: Option<Instant>,
    pub(crate) counters: Counters,
    #[cfg(feature = "_planted_bugs")]
    ignores_the_disk: bool,
}

impl Outbox {
    pub(crate) fn new(durable: Lsn) -> Self {
        Self {
            ready: VecDeque::new(),
            gated: BTreeMap::new(),
            reads: BTreeMap::new(),
            waiting_replies: 0,
            durable,
            leads_until: None,
            counters: Counters::default(),
            #[cfg(feature = "_planted_bugs")]
            ignores_the_disk: false,
        }
    }

    /// The next output that may leave.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        let output = self.ready.pop_front()?;
        self.counters.count_output(&output);
        Some(output)
    }

    /// Messages and replies that wait for the disk.
    pub(crate) fn gated(&self) -> usize {
        self.gated.values().map(Vec::len).sum::<usize>() + self.reads.len()
    }

    /// The last durable record.
    pub(crate) fn durable(&self) -> Lsn {
        self.durable
    }

    /// Requests that wait for the disk.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting_replies + self.reads.len()
    }

    /// Sends a message as soon as `after` is durable.
    pub(crate) fn send(&mut self, link: LinkId, message: &Message, after: Lsn) {
        self.counters.count_message(message);
        self.put(Output::Send { link, frame: wire::encode(message) }, after);
    }

    /// Answers a request as soon as `after` is durable.
    pub(crate) fn reply(&mut self, id: RequestId, reply: Reply, after: Lsn) {
        let not_after = self.leads_until.filter(|_| reply.needs_the_lead());
        self.put(Output::Reply { id, reply, not_after }, after);
    }

    /// Until when this node leads, and can say that something is committed.
    pub(crate) fn lead_until(&mut self, until: Option<Instant>) {
        self.leads_until = until;
    }

    /// Answers a read as soon as `after` is durable, or without the value at the deadline.
    pub(crate) fn reply_by(&mut self, id: RequestId, reply: Reply, after: Lsn, deadline: Instant) {
        if after <= self.durable {
            self.reply(id, reply, after);
        } else {
            self.reads.insert((after, id), (reply, deadline));
        }
    }

    /// Says farewell on a link and closes it.
    pub(crate) fn close(&mut self, link: LinkId, reason: Farewell) {
        self.send(link, &Message::Farewell(reason), Lsn::ZERO);
        self.ready.push_back(Output::Close { link, reason });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.ready.push_back(Output::Event(event));
    }

    /// Tells of a change as soon as `after` is durable.
    pub(crate) fn event_after(&mut self, event: Event, after: Lsn) {
        self.put(Output::Event(event), after);
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.ready.push_back(output);
    }

    /// Lets go what waited for records up to `durable`, in the order of the records.
    pub(crate) fn release(&mut self, durable: Lsn) {
        self.durable = self.durable.max(durable);
        while let Some(entry) = self.gated.first_entry().filter(|entry| *entry.key() <= durable) {
            for output in entry.remove() {
                self.waiting_replies -= usize::from(is_reply(&output));
                self.ready.push_back(output);
            }
        }
        while let Some(entry) = self.reads.first_entry().filter(|entry| entry.key().0 <= durable) {
            let ((_, id), (reply, _)) = entry.remove_entry();
            self.ready.push_back(Output::Reply { id, reply, not_after: None });
        }
    }

    /// The log was cut: what waits for records behind this one waits for what is gone, and the numbers will be those
    /// of others.
    pub(crate) fn cut(&mut self, last: Lsn) {
        self.durable = self.durable.min(last);
        for (lsn, outputs) in self.gated.split_off(&Lsn::new(last.get().saturating_add(1))) {
            for output in outputs {
                if let Output::Reply { id, .. } = output {
                    self.waiting_replies -= 1;
                    self.ready.push_back(Output::Reply {
                        id,
                        reply: Reply::Unknown { lsn },
                        not_after: None,
                    });
                }
            }
        }
    }

    /// Answers the reads whose deadline has come, without the value.
    pub(crate) fn expire(&mut self, now: Instant) {
        let Self { reads, ready, .. } = self;
        reads.retain(|&(lsn, id), (_, deadline)| {
            let waits = *deadline > now;
            if !waits {
                ready.push_back(Output::Reply { id, reply: Reply::NotYetVisible { lsn }, not_after: None });
            }
            waits
        });
    }

    /// The next deadline of a read.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.reads.values().map(|(_, deadline)| *deadline).min()
    }

    /// The log failed: nothing that waits may leave, and waiting clients are told that they cannot know.
    pub(crate) fn fail(&mut self) {
        self.ready.retain(|output| matches!(output, Output::Event(_) | Output::Reply { .. }));
        for (lsn, outputs) in core::mem::take(&mut self.gated) {
            for output in outputs {
                if let Output::Reply { id, .. } = output {
                    self.ready.push_back(Output::Reply {
                        id,
                        reply: Reply::Unknown { lsn },
                        not_after: None,
                    });
                }
            }
        }
        for (lsn, id) in core::mem::take(&mut self.reads).into_keys() {
            self.ready.push_back(Output::Reply { id, reply: Reply::NotYetVisible { lsn }, not_after: None });
        }
        self.waiting_replies = 0;
    }

    /// Forgets what waits to be sent on a link that is gone.
    pub(crate) fn forget_link(&mut self, gone: LinkId) {
        for outputs in self.gated.values_mut() {
            outputs.retain(|output| !matches!(output, Output::Send { link, .. } if *link == gone));
        }
    }

    /// A planted mistake: effects leave at once.
    #[cfg(feature = "_planted_bugs")]
    pub(crate) fn ignore_the_disk(&mut self) {
        self.ignores_the_disk = true;
    }

    fn put(&mut self, output: Output, after: Lsn) {
        #[cfg(feature = "_planted_bugs")]
        let after = if self.ignores_the_disk { Lsn::ZERO } else { after };
        if after <= self.durable {
            self.ready.push_back(output);
        } else {
            self.waiting_replies += usize::from(is_reply(&output));
            self.gated.entry(after).or_default().push(output);
        }
    }
}

fn is_reply(output: &Output) -> bool {
    matches!(output, Output::Reply { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(10);

    fn replies(outbox: &mut Outbox) -> Vec<(u64, Reply)> {
        core::iter::from_fn(|| outbox.poll())
            .filter_map(|output| match output {
                Output::Reply { id, reply, .. } => Some((id.0, reply)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_reply_leaves_when_its_record_is_durable_and_not_before() {
        let mut outbox = Outbox::new(Lsn::ZERO);
        outbox.reply(RequestId(2), Reply::Overloaded, Lsn::new(2));
        outbox.reply(RequestId(1), Reply::Overloaded, Lsn::new(1));
        assert_eq!(replies(&mut outbox), []);
        outbox.release(Lsn::new(1));
        assert_eq!(replies(&mut outbox), [(1, Reply::Overloaded)]);
        outbox.release(Lsn::new(2));
        assert_eq!(replies(&mut outbox), [(2, Reply::Overloaded)]);
        assert_eq!(outbox.waiting(), 0);
    }

    #[test]
    fn a_read_above_the_durable_mark_gives_up_at_its_deadline() {
        let mut outbox = Outbox::new(Lsn::new(5));
        outbox.reply_by(RequestId(1), Reply::Value(None), Lsn::new(6), NOW);
        assert_eq!(outbox.next_deadline(), Some(NOW));
        outbox.expire(NOW);
        assert_eq!(replies(&mut outbox), [(1, Reply::NotYetVisible { lsn: Lsn::new(6) })]);
        outbox.reply_by(RequestId(2), Reply::Value(None), Lsn::new(5), NOW);
        assert_eq!(replies(&mut outbox), [(2, Reply::Value(None))]);
    }

    #[test]
    fn a_failed_log_answers_waiting_writers_with_unknown_and_sends_nothing() {
        let mut outbox = Outbox::new(Lsn::ZERO);
        outbox.reply(RequestId(1), Reply::Overloaded, Lsn::new(3));
        outbox.send(LinkId(1), &Message::Farewell(Farewell::Leaving), Lsn::new(3));
        outbox.send(LinkId(1), &Message::Farewell(Farewell::Leaving), Lsn::ZERO);
        outbox.fail();
        outbox.release(Lsn::new(3));
        assert_eq!(
            outbox.poll(),
            Some(Output::Reply {
                id: RequestId(1),
                reply: Reply::Unknown { lsn: Lsn::new(3) },
                not_after: None
            })
        );
        assert_eq!(outbox.poll(), None);
    }
}
