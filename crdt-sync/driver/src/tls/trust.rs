//! Whom a node believes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crdt_sync::NodeId;
use tokio_rustls::rustls::RootCertStore;

use super::identity::{certificates, unreadable};
use super::{Identity, PublicKey, TlsError};

/// Whom a node believes when it is shown a certificate.
#[derive(Clone, Debug)]
pub struct Trust(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Whoever an authority vouches for, as the node that the certificate names.
    Authority(Arc<RootCertStore>),
    /// The holders of these keys, as the nodes that they are pinned for.
    Pinned(Arc<BTreeMap<PublicKey, NodeId>>),
}

impl Trust {
    /// Believes certificates that an authority of the cluster issued, given as PEM; several may stand in a row, while
    /// one takes over from another.
    ///
    /// A node's certificate names the node among its alternative names, as the URI `urn:uuid:` and its id in the form
    /// of a UUID, and allows both server and client authentication or says nothing of either. Chain, validity and
    /// usage are checked; there are no revocation lists, so certificates should live for days rather than years. They
    /// are looked at when a connection is made, and a connection that lasts is not looked at again.
    pub fn authority(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(|error| unreadable("the authority's certificate", error))?;
        }
        if roots.is_empty() {
            return Err(TlsError::NobodyTrusted);
        }
        Ok(Self(Kind::Authority(Arc::new(roots))))
    }

    /// Believes the holders of these keys and nobody else. Certificates only carry the keys then: who signed them,
    /// when they expire and what they name plays no part. A node may have several keys, while one takes over from
    /// another.
    pub fn pinned(pins: impl IntoIterator<Item = (NodeId, PublicKey)>) -> Result<Self, TlsError> {
        let mut by_key = BTreeMap::new();
        for (node, key) in pins {
            match by_key.insert(key, node) {
                Some(other) if other != node => return Err(TlsError::SharedKey { one: other, other: node }),
                _ => {}
            }
        }
        if by_key.is_empty() {
            return Err(TlsError::NobodyTrusted);
        }
        Ok(Self(Kind::Pinned(Arc::new(by_key))))
    }

    /// The node that others take the holder of an identity for.
    pub(super) fn own_node(&self, identity: &Identity) -> Result<Option<NodeId>, TlsError> {
        match &self.0 {
            Kind::Authority(_) => identity.node().map(Some).ok_or(TlsError::NoNode),
            Kind::Pinned(pins) => Ok(pins.get(&identity.public_key()?).copied().or(identity.node())),
        }
    }
}
