//! What a node shows to prove who it is.

use std::fmt;

use crdt_sync::NodeId;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;

use super::TlsError;

/// A certificate chain and the private key to its first certificate.
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// A public key, in the form in which certificates carry it (DER of `SubjectPublicKeyInfo`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(Vec<u8>);

impl Identity {
    /// Reads both from PEM: the chain with the node's own certificate first, and a PKCS #8, PKCS #1 or SEC1 key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unreadable("the key", error))?;
        Self::of(chain, key)
    }

    /// Takes both as DER.
    pub fn from_der(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Result<Self, TlsError> {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::try_from(key).map_err(|error| unreadable("the key", error))?;
        Self::of(chain, key)
    }

    /// The key that the first certificate carries: what others pin.
    pub fn public_key(&self) -> Result<PublicKey, TlsError> {
        let certificate = self.chain.first().ok_or_else(|| unreadable("the chain", "it is empty"))?;
        key_of(certificate).map_err(|error| unreadable("the certificate", error))
    }

    /// The node that the first certificate names, if it names exactly one.
    pub(super) fn node(&self) -> Option<NodeId> {
        self.chain.first().and_then(|certificate| node_in(certificate).ok().flatten())
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        let identity = Self { chain, key };
        identity.public_key()?;
        Ok(identity)
    }
}

/// Never prints the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// A key from its DER encoding.
    pub fn from_der(spki: impl Into<Vec<u8>>) -> Self {
        Self(spki.into())
    }

    /// Its DER encoding.
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }
}

/// The last four bytes, which are enough to tell keys apart in a log line.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key-")?;
        let from = self.0.len().saturating_sub(4);
        self.0[from..].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    all.map_err(|error| unreadable("the certificates", error))
}

/// The public key in a certificate.
pub(super) fn key_of(certificate: &CertificateDer<'_>) -> Result<PublicKey, webpki::Error> {
    let parsed = webpki::EndEntityCert::try_from(certificate)?;
    Ok(PublicKey(parsed.subject_public_key_info().to_vec()))
}

/// The node that a certificate names; `None` when it names none or several.
pub(super) fn node_in(certificate: &CertificateDer<'_>) -> Result<Option<NodeId>, webpki::Error> {
    let parsed = webpki::EndEntityCert::try_from(certificate)?;
    let mut named = parsed.valid_uri_names().filter_map(node_of_uri);
    let node = named.next();
    Ok(node.filter(|_| named.next().is_none()))
}

/// Nodes are named by the URN of their sixteen bytes as a UUID (RFC 9562).
fn node_of_uri(uri: &str) -> Option<NodeId> {
    let uuid = uri.strip_prefix("urn:uuid:")?;
    Some(NodeId::from_bytes(*Uuid::try_parse(uuid).ok()?.as_bytes()))
}

pub(super) fn unreadable(what: &'static str, cause: impl fmt::Display) -> TlsError {
    TlsError::Unreadable { what, cause: cause.to_string() }
}
