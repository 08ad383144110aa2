//! The bounds on what the network can make a node hold or do.

use std::time::Duration;

/// Bounds on connections: on each, on all of one address, and on all together.
///
/// A peer that is merely too fast is first made to wait, by not being read; only one that lasts is disconnected. A
/// peer that is disconnected catches up when it is back, so none of these bounds loses anything.
///
/// ```
/// use crdt_sync::ClusterKey;
/// use crdt_sync_driver::{NetworkLimits, NodeOptions};
///
/// let limits = NetworkLimits { max_connections: 64, ..NetworkLimits::default() };
/// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).network_limits(limits);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkLimits {
    /// Accepted connections at once; 512. A further one is closed at once.
    pub max_connections: usize,
    /// Accepted connections at once from one address, where the first 64 bits of an IPv6 address count; 64. A
    /// further one is closed at once.
    pub max_connections_per_address: usize,
    /// Accepted connections at once on which nobody has greeted yet; 128. A further one takes the place of the one
    /// that has been waiting longest, so that nobody can hold all places by doing nothing.
    pub max_half_open: usize,
    /// Connections accepted from one address; 20 a second, 200 in a burst. A further one is closed at once.
    pub connects: Rate,
    /// How long a connection may take until the peer has greeted, the TLS handshake included; 10 seconds.
    pub handshake_deadline: Duration,
    /// The longest frame before the peer has greeted; 64 KiB.
    pub max_greeting: usize,
    /// How long a greeted peer may be silent; 60 seconds. Peers speak every few seconds, and the engine has a
    /// limit of its own, [`Timing::silence`](crdt_sync::Timing::silence).
    pub idle_timeout: Duration,
    /// How long a frame may take from its first byte to its last, for each MiB begun; 60 seconds.
    pub frame_deadline: Duration,
    /// How long a peer may take nothing of what it is sent, and how long what waits may take once nothing more will be
    /// sent; 30 seconds.
    pub stall_timeout: Duration,
    /// Bytes that may wait to be sent to one peer; 64 MiB. Beyond it the peer is disconnected. It should be a few times
    /// [`Limits::send_window`](crdt_sync::Limits::send_window) for each partition, which is sent at once to a peer that
    /// is behind.
    pub max_queued: u64,
    /// Bytes that may wait to be sent to all peers together; 256 MiB. Beyond it the peer with the most waiting is
    /// disconnected.
    pub max_queued_total: u64,
    /// Bytes of received frames that may wait for the engine; 64 MiB. Beyond it nobody is read, and peers feel it.
    /// Each connection holds at most one frame besides.
    pub max_unhandled: usize,
    /// Frames from one peer; 20,000 a second, 40,000 in a burst. A faster one is read more slowly.
    pub frames: Rate,
    /// Bytes from one peer; 256 MiB a second, twice that in a burst. A faster one is read more slowly.
    pub bytes: Rate,
    /// How long a peer may be read more slowly without a pause, before it is disconnected; 10 minutes.
    pub throttle_patience: Duration,
    /// Connections from one address that may fail, by a refused handshake, a broken protocol or no greeting, before
    /// the address is locked out; 8.
    pub free_strikes: u32,
    /// The first lock-out, doubled with every further strike; 1 second.
    pub first_lockout: Duration,
    /// The longest lock-out; 10 minutes. Strikes are forgotten when the last was twice as long ago.
    pub longest_lockout: Duration,
    /// Addresses that are remembered; 4,096. Beyond it the one that was seen least recently is forgotten.
    pub max_addresses: usize,
}

/// So many in a second on average, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// On average.
    pub per_second: u64,
    /// At once, after a pause.
    pub burst: u64,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            max_connections_per_address: 64,
            max_half_open: 128,
            connects: Rate { per_second: 20, burst: 200 },
            handshake_deadline: Duration::from_secs(10),
            max_greeting: 64 << 10,
            idle_timeout: Duration::from_secs(60),
            frame_deadline: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            max_queued: 64 << 20,
            max_queued_total: 256 << 20,
            max_unhandled: 64 << 20,
            frames: Rate { per_second: 20_000, burst: 40_000 },
            bytes: Rate { per_second: 256 << 20, burst: 512 << 20 },
            throttle_patience: Duration::from_secs(600),
            free_strikes: 8,
            first_lockout: Duration::from_secs(1),
            longest_lockout: Duration::from_secs(600),
            max_addresses: 4_096,
        }
    }
}
