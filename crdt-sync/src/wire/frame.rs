//! Frames: messages as bytes.

use alloc::vec::Vec;

use crdt_core::codec::{self, DecodeError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::message::Message;
use crate::limits::Limits;

/// The version of the protocol this crate speaks. Peers of another version are refused at the first frame.
pub const PROTOCOL_VERSION: u8 = 1;

const MAGIC: [u8; 2] = *b"cs";
const HEAD: usize = 4;

/// Why bytes from a peer were refused. Nothing of a refused frame takes effect.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The frame is longer than the receiver allows.
    #[error("the peer sent a frame of {length} bytes; at most {limit} are accepted")]
    TooLong {
        /// The frame's length.
        length: usize,
        /// The receiver's limit.
        limit: usize,
    },
    /// Not a frame of this protocol at all.
    #[error("the peer does not speak this protocol: the frame starts with {start:02x?}")]
    NotThisProtocol {
        /// The bytes where the magic should be.
        start: [u8; 2],
    },
    /// Shorter than a frame's head.
    #[error("the peer sent a frame of {length} bytes, shorter than any frame")]
    TooShort {
        /// The frame's length.
        length: usize,
    },
    /// A version of the protocol that this side does not speak.
    #[error("the peer speaks protocol version {theirs}, this node version {}", PROTOCOL_VERSION)]
    OtherVersion {
        /// The version in the frame.
        theirs: u8,
    },
    /// A message tag that this version does not define.
    #[error("the peer sent a message with the unknown tag {tag}")]
    UnknownMessage {
        /// The tag.
        tag: u8,
    },
    /// The body is not the canonical encoding of any message with this tag.
    #[error("the peer sent a malformed message: {0}")]
    Malformed(#[from] DecodeError),
}

/// The frame of a message.
pub fn encode(message: &Message) -> Vec<u8> {
    match message {
        Message::Greeting(body) => with_head(1, body),
        Message::Frontier(body) => with_head(2, body),
        Message::Run(body) => with_head(3, body),
        Message::Session(body) => with_head(4, body),
        Message::Farewell(body) => with_head(5, body),
        Message::Members(body) => with_head(6, body),
        Message::Rows(body) => with_head(7, body),
        Message::Fork(body) => with_head(8, body),
        Message::Excerpt(body) => with_head(9, body),
        Message::Quorum(body) => with_head(10, body),
        Message::Ship(body) => with_head(11, body),
    }
}

/// The message in a frame that came from a peer.
pub fn decode(frame: &[u8], limits: &Limits) -> Result<Message, WireError> {
    if frame.len() > limits.max_frame {
        return Err(WireError::TooLong { length: frame.len(), limit: limits.max_frame });
    }
    let Some((&[magic0, magic1, version, tag], body)) = frame.split_first_chunk::<HEAD>() else {
        return Err(WireError::TooShort { length: frame.len() });
    };
    if [magic0, magic1] != MAGIC {
        return Err(WireError::NotThisProtocol { start: [magic0, magic1] });
    }
    if version != PROTOCOL_VERSION {
        return Err(WireError::OtherVersion { theirs: version });
    }
    match tag {
        1 => body_of(body, limits).map(Message::Greeting),
        2 => body_of(body, limits).map(Message::Frontier),
        3 => body_of(body, limits).map(Message::Run),
        4 => body_of(body, limits).map(Message::Session),
        5 => body_of(body, limits).map(Message::Farewell),
        6 => body_of(body, limits).map(Message::Members),
        7 => body_of(body, limits).map(Message::Rows),
        8 => body_of(body, limits).map(Message::Fork),
        9 => body_of(body, limits).map(Message::Excerpt),
        10 => body_of(body, limits).map(Message::Quorum),
        11 => body_of(body, limits).map(Message::Ship),
        tag => Err(WireError::UnknownMessage { tag }),
    }
}

fn with_head<T: Serialize>(tag: u8, body: &T) -> Vec<u8> {
    // The head's bytes are encoded as they are, so that the body need not be copied behind them.
    codec::encode_payload(&(MAGIC[0], MAGIC[1], PROTOCOL_VERSION, tag, body))
}

fn body_of<T: Serialize + DeserializeOwned>(body: &[u8], limits: &Limits) -> Result<T, WireError> {
    Ok(codec::decode_payload(body, &limits.codec())?)
}
