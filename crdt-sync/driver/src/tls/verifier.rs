//! The check of the certificate that the other side shows.

use std::sync::Arc;

use crdt_sync::NodeId;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::identity::{key_of, node_in};
use super::trust::Kind;
use super::{TlsError, Trust};
use crate::net::Refusal;

/// Checks peers in both directions: those that dial and those that are dialed.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    /// The library's own check of those that dial, when an authority vouches for them.
    dialing: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(trust: Trust, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let dialing = match &trust.0 {
            Kind::Authority(roots) => Some(
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
                    .build()
                    .map_err(|error| TlsError::Unusable { cause: error.to_string() })?,
            ),
            Kind::Pinned(_) => None,
        };
        Ok(Self { trust, dialing, algorithms: provider.signature_verification_algorithms })
    }

    /// The node that a certificate stands for. Whether it is genuine is another question.
    pub(super) fn node_of(&self, certificate: &CertificateDer<'_>) -> Result<NodeId, Error> {
        let unreadable = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
        match &self.trust.0 {
            Kind::Authority(_) => node_in(certificate)
                .map_err(unreadable)?
                .ok_or_else(|| Error::InvalidCertificate(other(Refusal::NoNode))),
            Kind::Pinned(pins) => {
                let key = key_of(certificate).map_err(unreadable)?;
                let node = pins.get(&key).copied();
                node.ok_or_else(|| Error::InvalidCertificate(other(Refusal::NotTrusted)))
            }
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Kind::Authority(roots) = &self.trust.0 {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        self.node_of(end_entity).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(dialing) = &self.dialing {
            dialing.verify_client_cert(end_entity, intermediates, now)?;
        }
        self.node_of(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// An objection of this family, carried through the library.
fn other(refusal: Refusal) -> CertificateError {
    CertificateError::Other(OtherError(Arc::new(refusal)))
}
