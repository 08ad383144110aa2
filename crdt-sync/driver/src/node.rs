//! The handle of a running node.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::metrics::Metrics;
use crdt_sync::single_leader::CommitReply;
use crdt_sync::time::Instant;
use crdt_sync::{
    Bytes, Cell, ClusterKey, CollectionId, Engine, Event, ItemKey, Limits, Reply, Request, Rules, Status,
    Write, Written,
};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::engine_thread::{Command, EngineThread, Inlets, Reopening};
use crate::error::{NodeError, OpenError, refusal};
use crate::failover::Helpers;
use crate::marker::{Doubt, Marker};
use crate::net::{self, Connections, Net, NetInput, NetworkEvent, Peer, Phase, Stop, Traffic};
use crate::opening::open_engine;
use crate::options::NodeOptions;
use crate::session::Session;

const QUEUE: usize = 1_024;
/// How many keys are copied out of the engine at a time, so that a scan does not hold up everything else.
const SCAN_PAGE: usize = 4_096;
/// How often it is looked at what no event tells.
pub(crate) const GLANCE: Duration = Duration::from_millis(20);
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(10);

/// A running node: a directory, its log, its sockets, and the engine between them. Clones are handles to the
/// same node.
///
/// A write is acknowledged when it is durable in this node's own log; connected nodes get it afterwards. So
/// everything works offline, and nothing that was acknowledged waits for a network.
///
/// ```
/// use crdt_sync::{ClusterKey, Collection, Strategy};
/// use crdt_sync_driver::{Node, NodeOptions};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let lists = Collection::sets("lists");
/// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(lists.clone());
/// let node = Node::open(directory.path(), options).await?;
///
/// let lists = node.sets(&lists);
/// lists.add("groceries", "milk").await?;
/// assert_eq!(lists.elements("groceries").await?, ["milk".into()]);
/// node.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// When the last handle is dropped the node ends by itself: what was written becomes durable and peers are told,
/// but nobody waits for that. [`shutdown`](Self::shutdown) does.
#[derive(Clone)]
pub struct Node {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) commands: mpsc::Sender<Command>,
    events: broadcast::Sender<Event>,
    network: Net,
    clock: Clock,
    pub(crate) options: NodeOptions,
    beyond_loopback: bool,
    doubt: Option<Doubt>,
    /// Whether it is being shut down: looked at while one of the two below is locked, and set before they are emptied.
    pub(crate) is_leaving: AtomicBool,
    listener: Mutex<Option<(SocketAddr, Running)>>,
    dialers: Mutex<Vec<(SocketAddr, Running)>>,
}

/// A task that holds connections, and the way to end it.
pub(crate) struct Running {
    stop: watch::Sender<Phase>,
    task: JoinHandle<()>,
}

impl Node {
    /// The rules by which documents are read.
    pub(crate) fn rules(&self) -> &Rules {
        &self.inner.options.rules
    }

    /// Opens the node in a directory, creating it if need be.
    ///
    /// Reads the newest checkpoint and the log behind it, or the whole log where there is none: O(bytes). The
    /// directory is locked until the node is shut down.
    pub async fn open(directory: impl AsRef<Path>, options: NodeOptions) -> Result<Self, OpenError> {
        let beyond_loopback = options.beyond_loopback || options.protection.is_protected();
        let listener = match options.listen {
            Some(address) => Some(bind(address, beyond_loopback).await?),
            None => None,
        };
        let directory = directory.as_ref().to_path_buf();
        let marker = Marker::of(&directory);
        let clock = Clock::start();
        let (network_limits, decoding) = (options.network_limits.clone(), options.limits.clone());
        let protection = options.protection.clone();
        let opening = options.clone();
        let again = options.clone();
        let (engine, past, doubt) =
            tokio::task::spawn_blocking(move || open_engine(&directory, opening, clock))
                .await
                .map_err(|panic| OpenError::Thread(std::io::Error::other(panic)))??;

        let (commands, commands_outlet) = mpsc::channel(QUEUE);
        let (inputs, network_outlet) = mpsc::channel::<NetInput>(QUEUE);
        let (events, _) = broadcast::channel(QUEUE);
        let (disk, reports) = Disk::start(past)?;
        let network = Net::new(inputs, network_limits, decoding, protection);
        let helpers = Helpers::start(&options);
        let again = Reopening::new(again, engine.status().node, doubt.is_some());
        let outside = (network.clone(), helpers);
        let thread = EngineThread::new(engine, (disk, reports), again, clock, events.clone(), outside);
        start(thread, Inlets { commands: commands_outlet, network: network_outlet })?;
        let node = Self {
            inner: Arc::new(Inner {
                commands,
                events,
                network,
                clock,
                options,
                beyond_loopback,
                doubt,
                is_leaving: AtomicBool::new(false),
                listener: Mutex::default(),
                dialers: Mutex::default(),
            }),
        };
        node.mark(marker).await;
        match listener {
            Some((address, listener)) => node.accept_from(address, listener)?,
            None if node.is_over() => return Err(OpenError::Ended),
            None => {}
        }
        Ok(node)
    }

    /// Why the node gave up its identity when it was opened and writes under a fresh one, if it did: the directory was
    /// copied or restored, as far as that can be seen, or the options said so.
    pub fn doubt(&self) -> Option<Doubt> {
        self.inner.doubt
    }

    /// Accepts connections at this address from now on, and no longer at the one before; port 0 lets the
    /// system choose one. A node that shall be filled before it meets anyone is opened without an address and
    /// listens later. On an error it listens where it did.
    pub async fn listen(&self, address: impl Into<SocketAddr>) -> Result<SocketAddr, OpenError> {
        let (address, listener) = bind(address.into(), self.inner.beyond_loopback).await?;
        self.stop_listening().await;
        self.accept_from(address, listener)?;
        Ok(address)
    }

    /// The address the node listens on, if it does.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener().as_ref().map(|(address, _)| *address)
    }

    /// Keeps a connection to a peer from now on.
    pub fn connect(&self, peer: SocketAddr) -> Result<(), NodeError> {
        if !peer.ip().is_loopback() && !self.inner.beyond_loopback {
            return Err(NodeError::NotLoopback { address: peer });
        }
        let mut dialers = self.dialers();
        if self.is_over() {
            return Err(NodeError::Ended);
        }
        if dialers.iter().all(|(known, _)| *known != peer) {
            dialers.push((peer, Running::start(|stop| net::dial(self.inner.network.clone(), peer, stop))));
        }
        Ok(())
    }

    /// Goes offline, as far as it is up to this node: ends the connections it dialed, and dials no more. What is
    /// written from now on waits until it [connects](Self::connect) again.
    pub async fn disconnect(&self) {
        let dialers: Vec<_> = self.dialers().drain(..).collect();
        for (_, dialer) in dialers {
            dialer.end().await;
        }
    }

    /// Ends the connection this node dialed to a peer, and dials it no more.
    pub async fn disconnect_from(&self, peer: SocketAddr) {
        let dialer = {
            let mut dialers = self.dialers();
            let at = dialers.iter().position(|(known, _)| *known == peer);
            at.map(|at| dialers.swap_remove(at).1)
        };
        if let Some(dialer) = dialer {
            dialer.end().await;
        }
    }

    /// The peers it is connected to, in either direction, ascending.
    pub async fn peers(&self) -> Result<Vec<Peer>, NodeError> {
        let greeted = &self.inner.network.greeted;
        Ok(self.status().await?.peers.iter().map(|peer| greeted.peer(peer)).collect())
    }

    /// Writes, all or nothing, and returns when everything is durable here; in a cluster with one leader, when it is
    /// committed. [`commits`](Self::commits) has a deadline there.
    pub async fn write(&self, writes: Vec<Write>) -> Result<Written, NodeError> {
        self.write_in(None, writes).await
    }

    /// The state of a key, once everything in it is durable here; `None` when nothing is held.
    pub async fn read(&self, item: ItemKey) -> Result<Option<Cell>, NodeError> {
        self.read_in(None, item).await
    }

    /// All keys of a collection with their states, in key order, durable here. What is written meanwhile may be in
    /// it or not.
    pub async fn scan(&self, collection: CollectionId) -> Result<Vec<(Bytes, Cell)>, NodeError> {
        self.scan_in(None, collection).await
    }

    pub(crate) async fn write_in(
        &self,
        session: Option<&Session>,
        writes: Vec<Write>,
    ) -> Result<Written, NodeError> {
        match self.ask_in(session, Request::Write(writes)).await? {
            // A leaderless cluster answers with a report, one with a leader when followers have it.
            Reply::Written(written)
            | Reply::Quorum(QuorumReply::Written { written, .. })
            | Reply::Commit(CommitReply::Committed { written, .. }) => Ok(written),
            other => Err(refusal(other)),
        }
    }

    pub(crate) async fn read_in(
        &self,
        session: Option<&Session>,
        item: ItemKey,
    ) -> Result<Option<Cell>, NodeError> {
        let deadline = self.now() + READ_DEADLINE;
        match self.ask_in(session, Request::Read { item, deadline }).await? {
            Reply::Value(cell) => Ok(cell),
            other => Err(refusal(other)),
        }
    }

    pub(crate) async fn scan_in(
        &self,
        session: Option<&Session>,
        collection: CollectionId,
    ) -> Result<Vec<(Bytes, Cell)>, NodeError> {
        let mut cells = Vec::new();
        let mut from = Bytes::default();
        loop {
            let deadline = self.now() + READ_DEADLINE;
            let scan = Request::Scan { collection, from: from.clone(), limit: SCAN_PAGE, deadline };
            let page = match self.ask_in(session, scan).await? {
                Reply::Cells(page) => page,
                other => return Err(refusal(other)),
            };
            let is_last = page.len() < SCAN_PAGE;
            if let Some((last, _)) = page.last() {
                from = successor(last);
            }
            cells.extend(page);
            if is_last {
                return Ok(cells);
            }
        }
    }

    /// Asks the engine, in a session or in none.
    async fn ask_in(&self, session: Option<&Session>, request: Request) -> Result<Reply, NodeError> {
        let Some(session) = session else { return self.ask(request).await };
        let token = session.token().into();
        match self.ask(Request::InSession { token, request: request.into() }).await? {
            Reply::InSession { token, reply } => {
                session.advance(&token)?;
                Ok(*reply)
            }
            other => Ok(other),
        }
    }

    /// The secret of the cluster and the bounds, as the engine was given them.
    pub(crate) fn seals(&self) -> (&ClusterKey, &Limits) {
        (&self.inner.options.cluster, &self.inner.options.limits)
    }

    /// Where the node stands, in numbers; [`Metrics::exposition`] makes them a text for a monitoring system.
    pub async fn metrics(&self) -> Result<Metrics, NodeError> {
        self.inspect(Engine::metrics).await
    }

    /// Where the node stands.
    pub async fn status(&self) -> Result<Status, NodeError> {
        self.inspect(Engine::status).await
    }

    /// Waits until at least this many connected peers hold the same as this node, as far as both know.
    ///
    /// A peer may have written more meanwhile that is still on its way. In a cluster with one leader that is said of
    /// followers by the leader, and of the node that it follows by a follower. In a leaderless cluster no two nodes
    /// hold the same, and it fails with [`NodeError::OtherTopology`].
    pub async fn in_sync_with(&self, peers: usize) -> Result<(), NodeError> {
        if self.inner.options.is_leaderless() {
            return Err(NodeError::OtherTopology);
        }
        let mut events = self.events();
        loop {
            let status = self.status().await?;
            if status.peers.iter().filter(|peer| peer.in_sync).count() >= peers {
                return Ok(());
            }
            // No event tells of what a follower has acknowledged.
            if let Ok(Err(broadcast::error::RecvError::Closed)) = timeout(GLANCE, events.recv()).await {
                return Err(NodeError::Ended);
            }
        }
    }

    /// The bytes of all states together: what sending everything once would cost.
    pub async fn encoded_size(&self) -> Result<u64, NodeError> {
        self.inspect(Engine::encoded_size).await
    }

    /// What went over the sockets so far.
    pub fn traffic(&self) -> Traffic {
        self.inner.network.counters.traffic()
    }

    /// How many connections there are, and what became of those that were not wanted.
    pub fn connections(&self) -> Connections {
        self.inner.network.connections()
    }

    /// What happens at the edge from now on: connections that are refused, and addresses that are locked out. A
    /// listener that falls far behind misses events and is told so.
    pub fn network_events(&self) -> broadcast::Receiver<NetworkEvent> {
        self.inner.network.events.subscribe()
    }

    /// What happens inside from now on. A listener that falls far behind misses events and is told so.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.inner.clock
    }

    pub(crate) fn now(&self) -> Instant {
        self.inner.clock.instant()
    }

    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, NodeError> {
        self.ask_after(|_| Some(request)).await?.ok_or(NodeError::Ended)
    }

    /// Asks what a look at the engine comes to, before anything else happens there; `None` if that is nothing.
    pub(crate) async fn ask_after(
        &self,
        look: impl FnOnce(&Engine) -> Option<Request> + Send + 'static,
    ) -> Result<Option<Reply>, NodeError> {
        let (reply, answer) = oneshot::channel();
        let ask = Command::Request(Box::new(look), reply);
        self.inner.commands.send(ask).await.map_err(|_| NodeError::Ended)?;
        answer.await.map_err(|_| NodeError::Ended)?
    }

    pub(crate) async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        let (found, answer) = oneshot::channel();
        let look = Box::new(move |engine: &Engine| drop(found.send(look(engine))));
        self.inner.commands.send(Command::Inspect(look)).await.map_err(|_| NodeError::Ended)?;
        answer.await.map_err(|_| NodeError::Ended)
    }

    fn accept_from(&self, address: SocketAddr, listener: TcpListener) -> Result<(), OpenError> {
        let mut listening = self.listener();
        if self.is_over() {
            return Err(OpenError::Ended);
        }
        let running = Running::start(|stop| net::listen(self.inner.network.clone(), listener, stop));
        *listening = Some((address, running));
        Ok(())
    }

    /// Whether it is shut down or about to be, or its log failed.
    fn is_over(&self) -> bool {
        self.inner.is_leaving.load(Ordering::Acquire) || self.inner.commands.is_closed()
    }

    async fn stop_listening(&self) {
        let listener = self.listener().take();
        if let Some((_, listener)) = listener {
            listener.end().await;
        }
    }

    pub(crate) fn listener(&self) -> MutexGuard<'_, Option<(SocketAddr, Running)>> {
        self.inner.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn dialers(&self) -> MutexGuard<'_, Vec<(SocketAddr, Running)>> {
        self.inner.dialers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropping it ends the task too, because nobody is left who could say anything else.
impl Running {
    fn start<F: Future<Output = ()> + Send + 'static>(task: impl FnOnce(Stop) -> F) -> Self {
        let (stop, stopped) = watch::channel(Phase::Open);
        Self { stop, task: tokio::spawn(task(stopped)) }
    }

    pub(crate) async fn end(mut self) {
        let _ = self.stop.send(Phase::Over);
        self.ended().await;
    }

    /// Makes no new connections; those there are go on.
    pub(crate) fn leave(&self) {
        let _ = self.stop.send(Phase::Leaving);
    }

    /// Waits until its connections have ended.
    pub(crate) async fn ended(&mut self) {
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
    }
}

/// A socket that listens, and the address it really has.
async fn bind(address: SocketAddr, beyond_loopback: bool) -> Result<(SocketAddr, TcpListener), OpenError> {
    if !address.ip().is_loopback() && !beyond_loopback {
        return Err(OpenError::NotLoopback { address });
    }
    let refused = |cause| OpenError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    Ok((listener.local_addr().map_err(refused)?, listener))
}

/// The engine gets a thread of its own, because its log writes block.
fn start(thread: EngineThread, inlets: Inlets) -> Result<(), OpenError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(OpenError::Thread)?;
    std::thread::Builder::new()
        .name("crdt-sync".into())
        .spawn(move || runtime.block_on(thread.run(inlets)))
        .map_err(OpenError::Thread)?;
    Ok(())
}

/// The key that sorts right after this one.
fn successor(key: &Bytes) -> Bytes {
    let mut next = key.to_vec();
    next.push(0);
    next.into()
}
