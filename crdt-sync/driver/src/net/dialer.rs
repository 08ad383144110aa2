//! Keeping a connection to a peer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tracing::debug;

use super::{Net, Phase, Stop, link, until};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Connects to a peer, and again whenever the connection ends, until told to stop.
pub(crate) async fn dial(net: Net, peer: SocketAddr, mut stop: Stop) {
    let mut wait = FIRST_WAIT;
    while *stop.borrow() == Phase::Open && !net.inputs.is_closed() {
        let attempt = tokio::select! {
            attempt = tokio::time::timeout(net.limits.handshake_deadline, TcpStream::connect(peer)) => attempt,
            () = until(&mut stop, Phase::Leaving) => break,
        };
        match attempt {
            Ok(Ok(stream)) => {
                let up_since = std::time::Instant::now();
                link::serve(net.clone(), stream, peer, None, stop.clone()).await;
                // A peer that closes at once again and again is left alone for longer and longer.
                if up_since.elapsed() > LONGEST_WAIT {
                    wait = FIRST_WAIT;
                }
            }
            Ok(Err(error)) => debug!(%peer, %error, "cannot connect"),
            Err(_) => debug!(%peer, "cannot connect in time"),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = until(&mut stop, Phase::Leaving) => break,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
