//! Connections that are encrypted, between nodes that prove who they are.
//!
//! Both sides of a connection show a certificate (mutual TLS 1.3), and the certificate stands for a
//! [`NodeId`]: under a [cluster authority](Trust::authority) it states the node in a subject alternative name,
//! with [pinned keys](Trust::pinned) the pin says whose key it is. A greeting that names another node than the
//! certificate ends the connection.
//!
//! The id is stated rather than computed from the public key because a node keeps its id for life, and its log
//! belongs to that id, while keys are renewed.

mod identity;
mod trust;
mod verifier;

use std::fmt;
use std::sync::Arc;

use crdt_sync::NodeId;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::{self, ClientConfig, ServerConfig, version};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use identity::{Identity, PublicKey};
pub use trust::Trust;

use crate::net::{Channel, Refusal};
use verifier::Verifier;

/// What is spoken inside TLS, so that a server of anything else is recognised in the handshake.
const ALPN: &[u8] = b"crdt-sync/1";
/// Nodes are known by their id, not by a name, and no name is sent.
const NO_NAME: &str = "node.invalid";

/// How a node proves who it is, and whom it believes.
///
/// ```no_run
/// use crdt_sync::ClusterKey;
/// use crdt_sync_driver::{Identity, NodeOptions, Tls, Trust};
///
/// let (chain, key) = (std::fs::read("node.crt")?, std::fs::read("node.key")?);
/// let trust = Trust::authority(&std::fs::read("cluster-ca.crt")?)?;
/// let tls = Tls::new(Identity::from_pem(&chain, &key)?, trust)?;
/// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).tls(tls).listen(([0, 0, 0, 0], 7000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    verifier: Arc<Verifier>,
    node: Option<NodeId>,
}

/// Why keys or certificates cannot be used. Nothing was opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The bytes are not what they should be.
    #[error("{what} cannot be read: {cause}")]
    Unreadable {
        /// Which bytes.
        what: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// The certificate does not say which node it stands for, or names several.
    #[error(
        "the certificate must name exactly one node, as the URI `urn:uuid:...` among its alternative names"
    )]
    NoNode,
    /// One key is pinned for two nodes: whoever holds it could speak for both.
    #[error("one public key is pinned for {one} and for {other}")]
    SharedKey {
        /// A node.
        one: NodeId,
        /// The other node.
        other: NodeId,
    },
    /// Nobody is trusted.
    #[error("nobody is trusted: there is no certificate of an authority, or no pin")]
    NobodyTrusted,
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("the identity cannot be used: {cause}")]
    Unusable {
        /// What is wrong.
        cause: String,
    },
}

impl Tls {
    /// Connections of a node with this identity, to peers that are trusted so.
    pub fn new(identity: Identity, trust: Trust) -> Result<Self, TlsError> {
        let node = trust.own_node(&identity)?;
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Verifier::new(trust, &provider)?);
        Ok(Self {
            acceptor: server(&identity, &verifier, &provider)?.into(),
            connector: client(identity, &verifier, provider)?.into(),
            verifier,
            node,
        })
    }

    /// The node that the identity stands for, as far as its certificate or the pins say.
    pub fn node(&self) -> Option<NodeId> {
        self.node
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<Channel, Refusal> {
        let stream = self.acceptor.accept(stream).await.map_err(|error| refusal(&error))?;
        let peer = self.peer(stream.get_ref().1.peer_certificates())?;
        Ok(Channel::new(stream, Some(peer)))
    }

    pub(crate) async fn dial(&self, stream: TcpStream) -> Result<Channel, Refusal> {
        let name = ServerName::try_from(NO_NAME).map_err(|_| Refusal::NoCertificate)?;
        let stream = self.connector.connect(name, stream).await.map_err(|error| refusal(&error))?;
        let peer = self.peer(stream.get_ref().1.peer_certificates())?;
        Ok(Channel::new(stream, Some(peer)))
    }

    fn peer(&self, chain: Option<&[rustls::pki_types::CertificateDer<'_>]>) -> Result<NodeId, Refusal> {
        let certificate = chain.and_then(<[_]>::first).ok_or(Refusal::NoCertificate)?;
        self.verifier.node_of(certificate).map_err(|error| refused(&error))
    }
}

/// Never prints keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("node", &self.node).finish_non_exhaustive()
    }
}

/// What a broken connection says about the peer, if TLS broke it.
pub(crate) fn refusal_in(error: &std::io::Error) -> Option<Refusal> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(refused)
}

fn refusal(error: &std::io::Error) -> Refusal {
    refusal_in(error).unwrap_or_else(|| Refusal::Broken { cause: error.to_string() })
}

fn refused(error: &rustls::Error) -> Refusal {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::NoCertificatesPresented => Refusal::NoCertificate,
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::Expired | Certificate::ExpiredContext { .. } => Refusal::Expired,
            Certificate::UnknownIssuer | Certificate::BadSignature => Refusal::NotTrusted,
            Certificate::Other(other) => match other.0.downcast_ref::<Refusal>() {
                Some(refusal) => refusal.clone(),
                None => Refusal::Handshake { cause: error.to_string() },
            },
            _ => Refusal::Handshake { cause: error.to_string() },
        },
        rustls::Error::InvalidMessage(_) => Refusal::NotTls,
        rustls::Error::AlertReceived(alert) => Refusal::ByPeer { alert: format!("{alert:?}") },
        _ => Refusal::Handshake { cause: error.to_string() },
    }
}

fn server(
    identity: &Identity,
    verifier: &Arc<Verifier>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(Arc::<Verifier>::clone(verifier))
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed connection would not look at the certificate again, and whether it has expired.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn client(
    identity: Identity,
    verifier: &Arc<Verifier>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Verifier>::clone(verifier))
        .with_client_auth_cert(identity.chain, identity.key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

fn unusable(error: impl fmt::Display) -> TlsError {
    TlsError::Unusable { cause: error.to_string() }
}
