//! A connection that is ready for frames, encrypted or not.

use crdt_sync::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

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
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_async, reason = "there is nothing to wait for"))]
    pub(crate) async fn protect(&self, stream: TcpStream, dialed: bool) -> Result<Channel, Refusal> {
        #[cfg(not(feature = "tls"))]
        let _ = dialed;
        match self {
            Self::None => Ok(Channel::plain(stream)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) if dialed => tls.dial(stream).await,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.accept(stream).await,
        }
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
        #[cfg(feature = "tls")]
        return crate::tls::refusal_in(error);
        #[cfg(not(feature = "tls"))]
        {
            let _ = error;
            None
        }
    }
}
