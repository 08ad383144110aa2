//! Frames on a stream of bytes: each behind its length.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use replication_log::limits::MAX_FRAME_BYTES;

const LENGTH_BYTES: usize = 4;

/// Sends a frame.
pub(super) async fn send(socket: &mut OwnedWriteHalf, frame: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(frame.len()).expect("frames are bounded");
    socket.write_all(&length.to_le_bytes()).await?;
    socket.write_all(frame).await
}

/// Receives frames, into memory that is used again.
pub(super) struct Frames {
    socket: OwnedReadHalf,
    /// The length of the frame that arrives, and what has arrived of it.
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Frames {
    pub(super) fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, bytes: Vec::new(), is_whole: false }
    }

    /// Waits for the next frame; `None` when the other end is gone. Nothing is lost when it is given up.
    pub(super) async fn next(&mut self) -> Option<&[u8]> {
        if self.is_whole {
            self.bytes.clear();
            self.is_whole = false;
        }
        loop {
            let wanted = self.wanted();
            if self.bytes.len() == wanted {
                self.is_whole = true;
                return Some(&self.bytes[LENGTH_BYTES..]);
            }
            let missing = (wanted - self.bytes.len()) as u64;
            self.bytes.reserve(wanted - self.bytes.len());
            if (&mut self.socket).take(missing).read_buf(&mut self.bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// How many bytes there are once the length, and then the frame, is here.
    fn wanted(&self) -> usize {
        let Some(length) = self.bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize) else {
            return LENGTH_BYTES;
        };
        assert!(length <= MAX_FRAME_BYTES, "a frame of {length} bytes");
        LENGTH_BYTES + length
    }
}
