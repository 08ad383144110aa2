//! Accepting connections.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::{Net, link};

/// Serves whoever connects, until told to stop.
pub(crate) async fn listen(net: Net, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let mut links = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                debug!(%peer, "accepted a connection");
                links.spawn(link::serve(net.clone(), stream, false, stop.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: going on at once would only spin.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while links.try_join_next().is_some() {}
    }
    while links.join_next().await.is_some() {}
}
