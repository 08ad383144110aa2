//! One connection: a task that reads and a task that writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crdt_sync::{Input, LinkId};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use super::{Net, NetInput, Outbound};

const PREFIX: usize = 4;
/// A peer that takes nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a connection until either side closes it, it breaks, or the node is told to stop.
pub(super) async fn serve(net: Net, stream: TcpStream, dialed: bool, mut stop: watch::Receiver<bool>) {
    let link = net.next_link();
    let (frames, queue) = unbounded_channel();
    let queued = Arc::new(AtomicU64::new(0));
    let outbound = Outbound { frames, queued: Arc::clone(&queued), max_queued: net.max_queued as u64 };
    // Frames are made to fit together already; waiting for more only adds delay.
    let _ = stream.set_nodelay(true);
    if net.inputs.send(NetInput::Up { link, dialed, outbound }).await.is_err() {
        return;
    }
    let (reader, writer) = stream.into_split();
    let ended = tokio::select! {
        ended = read_frames(&net, link, reader) => ended,
        ended = write_frames(&net, queue, &queued, writer) => ended,
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    debug!(link = link.0, ?ended, "connection ended");
    let _ = net.inputs.send(NetInput::Engine(Input::LinkDown { link })).await;
}

/// Hands frames to the engine. While its queue is full nothing is read, and the peer feels it.
async fn read_frames(net: &Net, link: LinkId, reader: OwnedReadHalf) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    loop {
        let length = reader.read_u32_le().await? as usize;
        if length > net.max_frame {
            // The engine says farewell and closes; nothing more is read from this peer.
            let _ = net.inputs.send(NetInput::Engine(Input::FrameTooLong { link, length })).await;
            return std::future::pending().await;
        }
        let bytes = read_exactly(&mut reader, length).await?;
        net.counters.received(PREFIX + length);
        if net.inputs.send(NetInput::Engine(Input::Frame { link, bytes })).await.is_err() {
            return Ok(());
        }
    }
}

/// Memory grows with what really arrives, not with what was announced.
async fn read_exactly(reader: &mut BufReader<OwnedReadHalf>, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader.take(length as u64).read_to_end(&mut bytes).await?;
    if read == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Writes queued frames until the queue is closed and empty.
async fn write_frames(
    net: &Net,
    mut queue: UnboundedReceiver<Vec<u8>>,
    queued: &AtomicU64,
    writer: OwnedWriteHalf,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(64 << 10, writer);
    while let Some(frame) = queue.recv().await {
        let length = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        timeout(PATIENCE, write_frame(&mut writer, length, &frame)).await??;
        queued.fetch_sub(frame.len() as u64, Ordering::Relaxed);
        net.counters.sent(PREFIX + frame.len());
        if queue.is_empty() {
            timeout(PATIENCE, writer.flush()).await??;
        }
    }
    timeout(PATIENCE, writer.shutdown()).await?
}

async fn write_frame(writer: &mut BufWriter<OwnedWriteHalf>, length: u32, frame: &[u8]) -> io::Result<()> {
    writer.write_u32_le(length).await?;
    writer.write_all(frame).await
}
