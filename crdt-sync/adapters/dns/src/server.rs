//! The zone behind its sockets.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crdt_sync::failover::Leader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::zone::Zone;

/// No query that is understood is longer.
const MOST_QUERY: usize = 1_232;
/// Some systems report through the socket that an answer could not be delivered; and there may be no files left.
const PAUSE: Duration = Duration::from_millis(10);

/// What strangers can make the server do by TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// So many connections at once; one more is closed at once.
    pub connections: usize,
    /// How long a connection may last, and
    pub lifetime: Duration,
    /// how many queries it may carry.
    pub queries: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 32, lifetime: Duration::from_secs(5), queries: 64 }
    }
}

/// Answers queries by UDP and TCP for as long as it is polled. `leader` is called for each of them: a node that knows
/// by its lease that it leads no more, or cannot know, says nobody.
pub async fn serve<L>(
    udp: UdpSocket,
    tcp: TcpListener,
    zone: Zone,
    leader: L,
    limits: ServerLimits,
) -> Infallible
where
    L: Fn() -> Option<Leader> + Clone + Send + Sync + 'static,
{
    let zone = Arc::new(zone);
    tokio::select! {
        never = packets(udp, &zone, &leader) => never,
        never = connections(tcp, &zone, &leader, limits) => never,
    }
}

async fn packets(udp: UdpSocket, zone: &Zone, leader: &impl Fn() -> Option<Leader>) -> Infallible {
    let mut query = [0; MOST_QUERY];
    loop {
        let Ok((length, from)) = udp.recv_from(&mut query).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if let Some(answer) = zone.respond(&query[..length], leader().as_ref()) {
            // Whoever does not get it asks again.
            let _ = udp.send_to(&answer, from).await;
        }
    }
}

async fn connections<L>(tcp: TcpListener, zone: &Arc<Zone>, leader: &L, limits: ServerLimits) -> Infallible
where
    L: Fn() -> Option<Leader> + Clone + Send + Sync + 'static,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let Ok((stream, _)) = tcp.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (zone, leader) = (Arc::clone(zone), leader.clone());
        running.spawn(async move {
            let _ =
                tokio::time::timeout(limits.lifetime, converse(stream, &zone, &leader, limits.queries)).await;
            drop(place);
        });
    }
}

async fn converse(
    mut stream: TcpStream,
    zone: &Zone,
    leader: &impl Fn() -> Option<Leader>,
    queries: usize,
) -> io::Result<()> {
    for _ in 0..queries {
        let length = usize::from(stream.read_u16().await?);
        if length > MOST_QUERY {
            break;
        }
        let mut query = vec![0; length];
        stream.read_exact(&mut query).await?;
        let Some(answer) = zone.respond(&query, leader().as_ref()) else { break };
        let mut framed = u16::try_from(answer.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
        framed.extend(answer);
        stream.write_all(&framed).await?;
    }
    Ok(())
}
