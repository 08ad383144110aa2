//! The thread that owns the engine: it feeds it what happened and does what it says.

mod reopening;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crdt_sync::time::Instant;
use crdt_sync::wire::{self, Farewell, Message};
use crdt_sync::{Engine, Event, Input, LinkId, LogTask, Output, Reply, Request, RequestId};
use replication_log::Epoch;
use replication_log::ship::Begin;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::sync::{broadcast, oneshot};
use tracing::{error, warn};

use crate::checkpoints;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::NodeError;
use crate::failover::Helpers;
use crate::marker::Marker;
use crate::net::{Net, NetInput, Outbound, Refusal};
use crate::watch::{Watched, Watchers};
pub(crate) use reopening::Reopening;

/// How long an idle thread sleeps when the engine asked for no timer.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A look at the engine between two inputs, and what it comes to.
type Look<T> = dyn FnOnce(&Engine) -> T + Send;

/// Where a reply goes, or that there is none.
type Answer = oneshot::Sender<Result<Option<Reply>, NodeError>>;

/// What handles of a node ask the thread for.
pub(crate) enum Command {
    /// A look at the engine that may come to a request, before anything else happens.
    Request(Box<Look<Option<Request>>>, Answer),
    /// A look at the engine between two inputs.
    Inspect(Box<Look<()>>),
    /// Tell this one of keys that change, and say when it will be told.
    Watch(Arc<Watched>, oneshot::Sender<()>),
    /// Mark the directory, now and when the node ends.
    Mark(Marker),
    /// Close the log and end.
    Shutdown(oneshot::Sender<()>),
}

/// Where inputs come from.
pub(crate) struct Inlets {
    pub(crate) commands: Receiver<Command>,
    pub(crate) network: Receiver<NetInput>,
}

pub(crate) struct EngineThread {
    pub(crate) engine: Engine,
    pub(crate) disk: Disk,
    /// What the log reports.
    reports: UnboundedReceiver<Input>,
    again: Reopening,
    /// Whether another engine is to go on as soon as this one has said everything.
    reopens: bool,
    pub(crate) clock: Clock,
    pub(crate) events: broadcast::Sender<Event>,
    network: Net,
    helpers: Helpers,
    watchers: Watchers,
    marker: Option<Marker>,
    links: BTreeMap<LinkId, Outbound>,
    replies: BTreeMap<RequestId, Answer>,
    next_request: u64,
    timer: Option<Instant>,
    /// What happened while outputs were being carried out: told to the engine when it has no more of them.
    deferred: VecDeque<Input>,
}

impl EngineThread {
    pub(crate) fn new(
        engine: Engine,
        (disk, reports): (Disk, UnboundedReceiver<Input>),
        again: Reopening,
        clock: Clock,
        events: broadcast::Sender<Event>,
        (network, helpers): (Net, Helpers),
    ) -> Self {
        Self {
            engine,
            disk,
            reports,
            again,
            reopens: false,
            clock,
            events,
            network,
            helpers,
            watchers: Watchers::default(),
            marker: None,
            links: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_request: 0,
            timer: None,
            deferred: VecDeque::new(),
        }
    }

    /// Runs until it is told to shut down, every handle is gone, or the log fails.
    pub(crate) async fn run(mut self, mut inlets: Inlets) {
        self.drain();
        let mut told = None;
        loop {
            // A sleep rings only where the thread has nothing else to do for a moment.
            if self.timer.is_some_and(|at| self.clock.until(at).is_zero()) {
                self.timer_due();
            }
            if self.engine.has_ended() {
                error!("the log failed: the node is over, and is to be opened again");
                break;
            }
            let sleep = self.timer.map_or(LONGEST_SLEEP, |at| self.clock.until(at));
            // In no fixed order, so that none of them can starve the others.
            tokio::select! {
                Some(input) = self.reports.recv() => self.reported(input),
                command = inlets.commands.recv() => match command {
                    Some(Command::Request(look, reply)) => match look(&self.engine) {
                        Some(request) => self.request(request, reply),
                        None => drop(reply.send(Ok(None))),
                    },
                    Some(Command::Inspect(look)) => look(&self.engine),
                    Some(Command::Mark(marker)) => {
                        marker.renew(self.engine.status().durable);
                        self.marker = Some(marker);
                    }
                    Some(Command::Watch(watched, done)) => {
                        self.watchers.add(&watched, &mut self.engine);
                        let _ = done.send(());
                    }
                    Some(Command::Shutdown(done)) => {
                        told = Some(done);
                        break;
                    }
                    None => break,
                },
                Some(input) = inlets.network.recv() => self.network(input),
                news = self.helpers.news() => self.handle(Input::Failover(news)),
                () = tokio::time::sleep(sleep) => self.timer_due(),
                () = tokio::time::sleep(checkpoints::PACE), if self.disk.checkpoints.are_under_way() => {}
            }
            self.disk.make_checkpoints(&mut self.engine);
            for event in self.disk.checkpoints.take_events() {
                self.tell(Event::Log(event));
            }
        }
        self.end();
        if let Some(done) = told {
            let _ = done.send(());
        }
    }

    /// Closing the log makes everything durable that was appended, and whoever waited for that is told: clients by
    /// their replies, peers by what they are sent before the farewell. Connections end when it is written.
    fn end(mut self) {
        self.watchers.end();
        if let Some(lsn) = self.disk.sync_before_last_checkpoint() {
            self.handle(Input::Durable { lsn });
            self.disk.checkpoints.make_last(&mut self.engine);
        }
        // While the directory is still locked.
        if let Some(marker) = &self.marker {
            marker.renew(self.engine.status().durable);
        }
        let last = self.disk.close();
        while let Ok(input) = self.reports.try_recv() {
            let input = match input {
                Input::Durable { lsn } => Input::Durable { lsn: last.map_or(lsn, |last| lsn.min(last)) },
                other => other,
            };
            self.engine.handle(self.clock.now(), input);
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Reply { id, reply, not_after } => {
                        reply_to(&mut self.replies, id, in_time(reply, not_after, self.clock.now().instant));
                    }
                    Output::Send { link, frame } => {
                        let _ = self.links.get(&link).map(|outbound| outbound.send(frame));
                    }
                    _ => {}
                }
            }
        }
        let farewell = wire::encode(&Message::Farewell(Farewell::Leaving));
        for outbound in self.links.values() {
            outbound.send(farewell.clone());
        }
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(self.clock.now(), input);
        self.drain();
        while let Some(input) = self.deferred.pop_front() {
            self.engine.handle(self.clock.now(), input);
            self.drain();
        }
        self.watchers.tell(&mut self.engine);
    }

    /// The log says how far it is durable. A report may be of before the log was cut.
    fn reported(&mut self, input: Input) {
        self.handle(match input {
            Input::Durable { lsn } => Input::Durable { lsn: self.disk.still_durable(lsn) },
            other => other,
        });
    }

    fn timer_due(&mut self) {
        self.timer = None;
        self.handle(Input::Timer);
        self.disk.remember_followers(&self.engine);
    }

    fn request(&mut self, request: Request, reply: Answer) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.replies.insert(id, reply);
        self.handle(Input::Request { id, request });
    }

    fn network(&mut self, input: NetInput) {
        match input {
            NetInput::Up { link, outbound } => {
                let dialed = outbound.dialed;
                self.links.insert(link, outbound);
                self.handle(Input::LinkUp { link, dialed });
            }
            NetInput::Engine(Input::LinkDown { link }) => {
                self.links.remove(&link);
                self.handle(Input::LinkDown { link });
            }
            NetInput::Frame { link, bytes, _room } => self.handle(Input::Frame { link, bytes }),
            NetInput::Engine(input) => self.handle(input),
        }
    }

    /// Does what the engine says, until it has nothing more to say.
    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                // What comes behind a batch that the log did not take must not get into its place.
                Output::Append { .. }
                    if self.deferred.iter().any(|input| matches!(input, Input::LogFailed)) => {}
                Output::Append { first, records } => {
                    if !self.disk.append(Epoch::ZERO, first, &records) {
                        self.deferred.push_back(Input::LogFailed);
                    }
                }
                // What an engine that is over still asks of the log is not done any more.
                Output::Log(_) if self.reopens => {}
                Output::Log(task) => self.carry_out(task),
                Output::Send { link, frame } => self.send(link, frame),
                Output::Reply { id, reply, not_after } => {
                    reply_to(&mut self.replies, id, in_time(reply, not_after, self.clock.now().instant));
                }
                Output::Close { link, .. } => {
                    self.links.remove(&link);
                }
                Output::Failover(task) => self.helpers.carry_out(task),
                Output::SetTimer { at } => self.timer = Some(at),
                Output::Event(event) => self.tell(event),
                other => warn!(?other, "an output this driver does not know"),
            }
        }
        if std::mem::take(&mut self.reopens) {
            self.reopen();
        }
    }

    fn carry_out(&mut self, task: LogTask) {
        let shortened_to = match &task {
            LogTask::Begin(Begin { cut: Some(end), .. }) => Some(end.lsn),
            LogTask::Install(identity) => Some(identity.position.lsn.min(self.engine.status().durable)),
            _ => None,
        };
        if let (Some(last), Some(marker)) = (shortened_to, &self.marker) {
            // Or the next opening would take the cut for a loss.
            marker.renew(last);
        }
        match self.disk.carry_out(task) {
            Ok(carried) => {
                if let Some(event) = carried.event {
                    self.tell(Event::Log(event));
                }
                self.deferred.extend(carried.news.map(Input::Log));
                self.reopens |= carried.reopens;
            }
            Err(error) => {
                warn!(%error, "the log did not do what was asked");
                self.deferred.push_back(Input::LogFailed);
            }
        }
    }

    fn send(&mut self, link: LinkId, frame: Vec<u8>) {
        let Some(outbound) = self.links.get(&link) else {
            return;
        };
        if !outbound.send(frame) {
            return self.drop_link(link);
        }
        let limits = &self.network.limits;
        if outbound.queued() > limits.max_queued {
            self.give_up(link);
        } else if self.network.counters.queued.load(Ordering::Relaxed) > limits.max_queued_total {
            let slowest =
                self.links.iter().max_by_key(|(_, outbound)| outbound.queued()).map(|(link, _)| *link);
            self.give_up(slowest.unwrap_or(link));
        }
    }

    /// A peer takes too little of what it is sent. It catches up when it is back.
    fn give_up(&mut self, link: LinkId) {
        if let Some(outbound) = self.links.get(&link) {
            self.network.refuse(outbound.address, outbound.dialed, Refusal::Stalled);
            outbound.abandon();
        }
        self.drop_link(link);
    }

    fn drop_link(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.deferred.push_back(Input::LinkDown { link });
    }

    /// The engine tells `tracing` itself.
    fn tell(&self, event: Event) {
        if let Event::Violation { link, .. } | Event::LinkRefused { link, reason: Farewell::OtherCluster } =
            &event
        {
            self.strike(*link);
        }
        // Nobody need listen.
        let _ = self.events.send(event);
    }

    /// The peer at the other end of a link is up to no good.
    fn strike(&self, link: LinkId) {
        if let Some(outbound) = self.links.get(&link) {
            self.network.strike(outbound.address, outbound.dialed);
        }
    }
}

/// Whoever asked may have stopped waiting.
fn reply_to(replies: &mut BTreeMap<RequestId, Answer>, id: RequestId, reply: Reply) {
    if let Some(waiting) = replies.remove(&id) {
        let _ = waiting.send(Ok(Some(reply)));
    }
}

/// The reply, unless the right to say so has ended since it was decided.
fn in_time(reply: Reply, not_after: Option<Instant>, now: Instant) -> Reply {
    if not_after.is_some_and(|end| now >= end) { reply.too_late() } else { reply }
}
