//! One connection, from the handshake to its end.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crdt_sync::wire::{self, Message};
use crdt_sync::{Input, LinkId, NodeId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::bucket::Bucket;
use super::channel::Protection;
use super::gate::Place;
use super::outbound::{Queue, queue};
use super::{Connection, Net, NetInput, Phase, Refusal, Stop, count};
use crate::shutdown::LAST_WORDS;

const PREFIX: usize = 4;
const BUFFER: usize = 64 << 10;
/// So much of a frame has the whole of its deadline.
const PART: usize = 1 << 20;

type Reader = BufReader<Box<dyn AsyncRead + Send + Unpin>>;
type Writer = BufWriter<Box<dyn AsyncWrite + Send + Unpin>>;

/// Serves a connection until either side closes it, it breaks, it is refused, or the node is told to stop. One
/// that was accepted has its place.
pub(super) async fn serve(
    net: Net,
    stream: TcpStream,
    address: SocketAddr,
    mut place: Option<Place>,
    mut stop: Stop,
) {
    let dialed = place.is_none();
    let displaced = place.as_mut().map(Place::displaced);
    let displaced = async {
        match displaced {
            Some(displaced) => displaced.await,
            None => std::future::pending().await,
        }
    };
    let link = net.next_link();
    let connection = Line { net: &net, link, address, dialed, place: place.as_ref() };
    let ended = tokio::select! {
        ended = connection.run(stream) => ended,
        () = over(&mut stop) => Ok(()),
        () = displaced => Err(Refusal::Displaced),
    };
    net.greeted.remove(link);
    debug!(link = link.0, ?ended, "connection ended");
    let _ = net.inputs.send(NetInput::Engine(Input::LinkDown { link })).await;
    if let Err(reason) = ended {
        net.refuse(address, dialed, reason);
    }
}

struct Line<'n> {
    net: &'n Net,
    link: LinkId,
    address: SocketAddr,
    dialed: bool,
    place: Option<&'n Place>,
}

impl Line<'_> {
    async fn run(&self, stream: TcpStream) -> Result<(), Refusal> {
        let (limits, begun) = (&self.net.limits, Instant::now());
        // Frames are made to fit together already; waiting for more only adds delay.
        let _ = stream.set_nodelay(true);
        let protecting = self.net.protection.protect(stream, self.dialed);
        let channel =
            timeout(limits.handshake_deadline, protecting).await.map_err(|_| Refusal::SlowGreeting)??;
        let (outbound, queue) = queue(self.net, self.address, self.dialed);
        if self.net.inputs.send(NetInput::Up { link: self.link, outbound }).await.is_err() {
            return Ok(());
        }
        let mut reader = BufReader::with_capacity(BUFFER, channel.reader);
        let writer = BufWriter::with_capacity(BUFFER, channel.writer);
        let (abandoned, closed) = (queue.abandoned(), queue.closed());
        let overdue = async {
            closed.await;
            tokio::time::sleep(limits.stall_timeout).await;
        };
        tokio::select! {
            ended = self.read(&mut reader, channel.certified, begun) => ended,
            ended = self.write(queue, writer) => ended,
            () = abandoned => Ok(()),
            () = overdue => Err(Refusal::Stalled),
        }
    }

    /// First the greeting, then everything else, as fast as it may come.
    async fn read(
        &self,
        reader: &mut Reader,
        certified: Option<NodeId>,
        begun: Instant,
    ) -> Result<(), Refusal> {
        let left = self.net.limits.handshake_deadline.saturating_sub(begun.elapsed());
        let greeted = timeout(left, self.read_greeting(reader, certified));
        if !greeted.await.map_err(|_| Refusal::SlowGreeting)?? {
            return Ok(());
        }
        if let Some(place) = self.place {
            place.greeted();
        }
        let mut pace = Pace::new(self.net);
        while let Some(length) = read_length(reader, self.net.limits.idle_timeout).await? {
            self.tell_if_too_long(length).await;
            let parts = u32::try_from(length / PART + 1).unwrap_or(u32::MAX);
            let patience = self.net.limits.frame_deadline.saturating_mul(parts);
            let reading = timeout(patience, read_exactly(reader, length));
            let Some(bytes) = reading.await.map_err(|_| Refusal::SlowFrame)?? else {
                return Ok(());
            };
            pace.keep(PREFIX + length).await?;
            if !self.hand_over(bytes).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Hands frames to the engine until the peer has said who it is; false when the connection ended before. The
    /// engine listens to nothing else until then either.
    async fn read_greeting(&self, reader: &mut Reader, certified: Option<NodeId>) -> Result<bool, Refusal> {
        let limit = self.net.limits.max_greeting;
        loop {
            let length = read_length(reader, Duration::MAX).await?.ok_or(Refusal::NoGreeting)?;
            if length > limit && is_tls(length) && !self.net.protection.is_protected() {
                return Err(Refusal::SpeaksTls);
            }
            self.tell_if_too_long(length).await;
            if length > limit {
                return Err(Refusal::LongGreeting { length, limit });
            }
            let bytes = read_exactly(reader, length).await?.ok_or(Refusal::NoGreeting)?;
            let message = wire::decode(&bytes, &self.net.decoding);
            if let (Ok(Message::Greeting(greeting)), Some(certified)) = (&message, certified)
                && greeting.node != certified
            {
                return Err(Refusal::OtherNode { certified, claimed: greeting.node });
            }
            // Before the engine can tell of the peer.
            if let Ok(Message::Greeting(greeting)) = &message {
                let (address, dialed) = (self.address, self.dialed);
                let connection = Connection { address, dialed, certified: certified.is_some() };
                self.net.greeted.add(self.link, greeting.node, connection);
            }
            let goes_on = self.hand_over(bytes).await;
            match message {
                // The engine takes only the first for granted, so that later ones need no look.
                Ok(Message::Greeting(_)) => return Ok(goes_on),
                // It does not want to talk, and says so.
                Ok(Message::Farewell(_)) => return Ok(false),
                _ if goes_on => {}
                _ => return Ok(false),
            }
        }
    }

    /// A length that no frame has is told to the engine, which says farewell and closes, and nothing more is read.
    async fn tell_if_too_long(&self, length: usize) {
        if length > self.net.decoding.max_frame {
            let too_long = Input::FrameTooLong { link: self.link, length };
            let _ = self.net.inputs.send(NetInput::Engine(too_long)).await;
            std::future::pending::<()>().await;
        }
    }

    /// Hands a frame to the engine. While that has no room nothing is read, and the peer feels it. False when the
    /// node is over.
    async fn hand_over(&self, bytes: Vec<u8>) -> bool {
        self.net.counters.received(PREFIX + bytes.len());
        // A frame that is larger than all the room takes all of it.
        let wanted = bytes.len().min(self.net.limits.max_unhandled.max(1));
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let room = self.net.room.clone().acquire_many_owned(wanted).await.ok();
        let frame = NetInput::Frame { link: self.link, bytes, _room: room };
        self.net.inputs.send(frame).await.is_ok()
    }

    /// Writes queued frames until the queue is closed and empty. A peer that takes a part of one is not stalled.
    async fn write(&self, mut queue: Queue, mut writer: Writer) -> Result<(), Refusal> {
        let patience = self.net.limits.stall_timeout;
        let stalled = |_| Refusal::Stalled;
        while let Some(frame) = queue.next().await {
            // Nobody could tell where a longer frame ends.
            let Ok(length) = u32::try_from(frame.len()) else { return Ok(()) };
            let prefix = length.to_le_bytes();
            for part in [&prefix[..]].into_iter().chain(frame.chunks(BUFFER)) {
                if let Err(error) = timeout(patience, writer.write_all(part)).await.map_err(stalled)? {
                    return broken(&error);
                }
            }
            queue.written(&frame);
            self.net.counters.sent(PREFIX + frame.len());
            if queue.is_empty()
                && let Err(error) = timeout(patience, writer.flush()).await.map_err(stalled)?
            {
                return broken(&error);
            }
        }
        let closed = timeout(patience, writer.shutdown()).await.map_err(stalled)?;
        closed.or_else(|error| broken(&error))
    }
}

/// Slows down a peer that sends too fast.
struct Pace<'n> {
    net: &'n Net,
    frames: Bucket,
    bytes: Bucket,
    /// Since when it has been too fast without a pause.
    too_fast_since: Option<Instant>,
}

impl<'n> Pace<'n> {
    fn new(net: &'n Net) -> Self {
        let now = Instant::now();
        let (frames, bytes) = (Bucket::full(net.limits.frames, now), Bucket::full(net.limits.bytes, now));
        Self { net, frames, bytes, too_fast_since: None }
    }

    /// Counts a frame and waits as long as the rates ask for.
    async fn keep(&mut self, bytes: usize) -> Result<(), Refusal> {
        let now = Instant::now();
        let wait = self.frames.take(1, now).max(self.bytes.take(bytes as u64, now));
        if wait.is_zero() {
            self.too_fast_since = None;
            return Ok(());
        }
        count(&self.net.counters.throttled);
        let since = *self.too_fast_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.net.limits.throttle_patience {
            return Err(Refusal::TooFast);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Waits until connections end at once. Where nobody is left who could say so, last words are heard.
async fn over(stop: &mut Stop) {
    if stop.wait_for(|phase| *phase >= Phase::Over).await.is_err() {
        tokio::time::sleep(LAST_WORDS).await;
    }
}

/// The length of the next frame; `None` when the peer closed the connection.
async fn read_length(reader: &mut Reader, patience: Duration) -> Result<Option<usize>, Refusal> {
    let mut prefix = [0; PREFIX];
    match timeout(patience, reader.read_exact(&mut prefix)).await.map_err(|_| Refusal::Idle)? {
        Ok(_) => Ok(Some(u32::from_le_bytes(prefix) as usize)),
        Err(error) => broken(&error).map(|()| None),
    }
}

/// Memory grows with what really arrives, not with what was announced. `None` when the connection ended before.
async fn read_exactly(reader: &mut Reader, length: usize) -> Result<Option<Vec<u8>>, Refusal> {
    // As much as may be read at a time anyway: most frames are no longer.
    let mut bytes = Vec::with_capacity(length.min(BUFFER));
    match reader.take(length as u64).read_to_end(&mut bytes).await {
        Ok(read) if read == length => Ok(Some(bytes)),
        Ok(_) => Ok(None),
        Err(error) => broken(&error).map(|()| None),
    }
}

/// A connection that breaks is an ordinary end, unless its protection broke it.
fn broken(error: &io::Error) -> Result<(), Refusal> {
    Protection::refusal_in(error).map_or(Ok(()), Err)
}

/// Whether a length is made of the first bytes of a TLS record. No greeting is as long; other frames may be.
fn is_tls(length: usize) -> bool {
    matches!(length.to_le_bytes(), [0x14..=0x17, 3, 1..=4, ..])
}
