//! A connection that is ready for frames, encrypted or not.

use crdt_sync::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tracing::debug;

use super::Refusal;

/// Both directions of a connection, and who is at the other end as far as that is certain.
pub(crate) struct Channel {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) certified: Option<NodeId>,
}

/// How connections are protected.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    /// Not at all.
    None,
    /// By TLS with certificates on both sides.
    #[cfg(feature = "tls")]
    Tls(crate::tls::Tls),
}

impl Channel {
    #[cfg(feature = "tls")]
    pub(crate) fn new(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        certified: Option<NodeId>,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader: Box::new(reader), writer: Box::new(writer), certified }
    }

    fn plain(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: Box::new(reader), writer: Box::new(writer), certified: None }
    }
}

impl Protection {
    /// Makes a channel of a connection: with TLS, only after both sides have proved who they are.
    #[allow(clippy::unused_async, reason = "without TLS there is nothing to wait for")]
    pub(crate) async fn protect(&self, stream: TcpStream, dialed: bool) -> Result<Channel, Refusal> {
        debug!(dialed, protected = self.is_protected(), "a connection begins");
        #[cfg(feature = "tls")]
        if let Self::Tls(tls) = self {
            return if dialed { tls.dial(stream).await } else { tls.accept(stream).await };
        }
        Ok(Channel::plain(stream))
    }

    /// The node that this one proves to be, as far as that is stated.
    pub(crate) fn own_node(&self) -> Option<crdt_sync::NodeId> {
        match self {
            Self::None => None,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.node(),
        }
    }

    /// Whether connections may leave this machine.
    pub(crate) fn is_protected(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// What a broken connection says about the peer, if it was the protection that broke it.
    pub(crate) fn refusal_in(error: &std::io::Error) -> Option<Refusal> {
        debug!(%error, "a connection broke");
        #[cfg(feature = "tls")]
        if let Some(refusal) = crate::tls::refusal_in(error) {
            return Some(refusal);
        }
        None
    }
}
