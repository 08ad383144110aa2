//! Frames on a stream of bytes: each behind its length.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use replication_log::limits::MAX_FRAME_BYTES;

/// Sends a frame.
pub(super) async fn send(socket: &mut OwnedWriteHalf, frame: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(frame.len()).expect("frames are bounded");
    socket.write_all(&length.to_le_bytes()).await?;
    socket.write_all(frame).await
}

/// Receives frames, into memory that is used again.
pub(super) struct Frames {
    socket: OwnedReadHalf,
    bytes: Vec<u8>,
    /// What of `bytes` was received and not taken yet.
    taken: usize,
}

impl Frames {
    pub(super) fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, bytes: Vec::with_capacity(1 << 20), taken: 0 }
    }

    /// Waits for the next frame, and returns its place; `None` when the other end is gone. Nothing is lost when it is
    /// given up.
    pub(super) async fn next(&mut self) -> Option<std::ops::Range<usize>> {
        loop {
            if let Some(frame) = self.whole() {
                self.taken = frame.end;
                return Some(frame);
            }
            if self.taken > 0 {
                self.bytes.drain(..self.taken);
                self.taken = 0;
            }
            if self.socket.read_buf(&mut self.bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub(super) fn bytes(&self, frame: std::ops::Range<usize>) -> &[u8] {
        &self.bytes[frame]
    }

    fn whole(&self) -> Option<std::ops::Range<usize>> {
        let length =
            self.bytes[self.taken..].first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize)?;
        assert!(length <= MAX_FRAME_BYTES, "a frame of {length} bytes");
        let start = self.taken + 4;
        (self.bytes.len() >= start + length).then(|| start..start + length)
    }
}
