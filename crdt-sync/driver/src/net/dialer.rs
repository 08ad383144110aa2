//! Keeping a connection to a peer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::debug;

use super::{Net, link};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Connects to a peer, and again whenever the connection ends, until told to stop.
pub(crate) async fn dial(net: Net, peer: SocketAddr, mut stop: watch::Receiver<bool>) {
    let mut wait = FIRST_WAIT;
    while !*stop.borrow() {
        let attempt = tokio::select! {
            attempt = TcpStream::connect(peer) => attempt,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match attempt {
            Ok(stream) => {
                let up_since = std::time::Instant::now();
                link::serve(net.clone(), stream, true, stop.clone()).await;
                // A peer that closes at once again and again is left alone for longer and longer.
                if up_since.elapsed() > LONGEST_WAIT {
                    wait = FIRST_WAIT;
                }
            }
            Err(error) => debug!(%peer, %error, "cannot connect"),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
