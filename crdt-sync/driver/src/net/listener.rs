//! Accepting connections.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tracing::{debug, warn};

use super::gate::TurnedAway;
use super::{Net, Phase, Stop, count, link, until};

/// Serves whoever connects and is let in, until told to stop.
///
/// Nothing a peer does holds up the next one: what takes time happens in the connection's own task.
pub(crate) async fn listen(net: Net, listener: TcpListener, mut stop: Stop) {
    let mut links = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = until(&mut stop, Phase::Leaving) => break,
        };
        match accepted {
            Ok((stream, address)) => match net.gate.admit(address.ip(), Instant::now()) {
                Ok(place) => {
                    debug!(%address, "accepted a connection");
                    count(&net.counters.let_in);
                    links.spawn(link::serve(net.clone(), stream, address, Some(place), stop.clone()));
                }
                Err(TurnedAway { reason, is_news }) => net.turn_away(address, reason, is_news),
            },
            Err(error) => {
                // Out of file descriptors, most likely: going on at once would only spin.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while links.try_join_next().is_some() {}
    }
    drop(listener);
    while links.join_next().await.is_some() {}
}
