//! Encrypted connections between nodes that prove who they are.

use crdt_sync::NodeId;
use crdt_sync_driver::{Identity, NodeOptions, OpenError, PublicKey, Refusal, Tls, TlsError, Trust};
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};

use crate::support::{Home, options, refusal, refused};

const ONE: NodeId = NodeId::from_u128(1);
const OTHER: NodeId = NodeId::from_u128(2);

/// An authority that issues certificates for nodes.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        change(&mut params);
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    fn trust(&self) -> Trust {
        Trust::authority(self.pem.as_bytes()).unwrap()
    }

    /// Options of a node with a certificate of this authority.
    fn member(&self, node: NodeId) -> NodeOptions {
        options().tls(Tls::new(self.issue(named(node)), self.trust()).unwrap())
    }
}

fn named(node: NodeId) -> impl FnOnce(&mut CertificateParams) {
    let uri = format!("urn:uuid:{node}");
    move |params| params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()))
}

/// A key of a node's own making, and its public half.
fn self_made() -> (Identity, PublicKey) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let identity = Identity::from_der(vec![certificate.der().to_vec()], key.serialize_der()).unwrap();
    let public = PublicKey::from_der(key.subject_public_key_info());
    assert_eq!(identity.public_key().unwrap(), public);
    (identity, public)
}

/// A stranger dials a member and is refused for this reason; nothing of it is merged, and the member goes on with
/// others.
async fn is_refused(authority: &Authority, stranger: NodeOptions, is_it: impl Fn(&Refusal) -> bool) {
    let member = Home::open(authority.member(ONE)).await;
    let friend = Home::open(authority.member(OTHER)).await;
    let stranger = Home::open(stranger).await;
    stranger.add("poison").await;
    let mut refusals = member.node.network_events();
    let address = member.node.local_addr().unwrap();
    stranger.node.connect(address).unwrap();
    refusal(&mut refusals, |reason| is_it(reason).then_some(())).await;
    friend.node.connect(address).unwrap();
    friend.add("milk").await;
    member.has("milk").await;
    assert_eq!(member.elements().await, ["milk"]);
    assert!(stranger.elements().await == ["poison"], "nothing is told to a stranger either");
    assert!(member.node.connections().refused > 0);
}

#[tokio::test]
async fn nodes_of_one_authority_agree_and_each_is_the_node_its_certificate_names() {
    let authority = Authority::new();
    let one = Home::open(authority.member(ONE)).await;
    let other = Home::open(authority.member(OTHER)).await;
    assert_eq!(one.node.status().await.unwrap().node, ONE);
    one.add("milk").await;
    other.add("bread").await;
    one.node.connect(other.node.local_addr().unwrap()).unwrap();
    one.node.in_sync_with(1).await.unwrap();
    other.node.in_sync_with(1).await.unwrap();
    assert_eq!(other.elements().await, ["bread", "milk"]);
    assert_eq!(one.node.connections().refused + other.node.connections().refused, 0);
}

#[tokio::test]
async fn nodes_whose_keys_are_pinned_agree_without_an_authority_and_others_are_refused() {
    let ((here, our_key), (there, their_key), (stray, _)) = (self_made(), self_made(), self_made());
    let trust = Trust::pinned([(ONE, our_key), (OTHER, their_key)]).unwrap();
    let node = |identity, trust: &Trust| options().tls(Tls::new(identity, trust.clone()).unwrap());
    let one = Home::open(node(here, &trust)).await;
    let other = Home::open(node(there, &trust)).await;
    let stranger = Home::open(node(stray, &trust)).await;
    stranger.add("poison").await;
    other.add("bread").await;
    let mut refusals = one.node.network_events();
    stranger.node.connect(one.node.local_addr().unwrap()).unwrap();
    refused(&mut refusals, Refusal::NotTrusted).await;
    one.node.connect(other.node.local_addr().unwrap()).unwrap();
    one.has("bread").await;
    assert_eq!(one.elements().await, ["bread"]);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let identity = theirs.issue(named(NodeId::from_u128(9)));
    let stranger = options().tls(Tls::new(identity, ours.trust()).unwrap());
    is_refused(&ours, stranger, |reason| *reason == Refusal::NotTrusted).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let node = NodeId::from_u128(9);
    let identity = authority.issue(|params| {
        named(node)(params);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let stranger = options().tls(Tls::new(identity, authority.trust()).unwrap());
    is_refused(&authority, stranger, |reason| *reason == Refusal::Expired).await;
}

#[tokio::test]
async fn a_node_that_greets_as_another_than_its_certificate_names_is_refused() {
    let authority = Authority::new();
    let (certified, claimed) = (NodeId::from_u128(9), NodeId::from_u128(8));
    let (member, impostor) = (authority.issue(named(ONE)), authority.issue(named(certified)));
    // By pins of its own the impostor takes itself for another node; the member goes by the certificate.
    let pins = [(claimed, impostor.public_key().unwrap()), (ONE, member.public_key().unwrap())];
    let impostor = options().tls(Tls::new(impostor, Trust::pinned(pins).unwrap()).unwrap());
    let member = options().tls(Tls::new(member, authority.trust()).unwrap());
    let (member, impostor) = (Home::open(member).await, Home::open(impostor).await);
    impostor.add("poison").await;
    let mut refusals = member.node.network_events();
    impostor.node.connect(member.node.local_addr().unwrap()).unwrap();
    refused(&mut refusals, Refusal::OtherNode { certified, claimed }).await;
    assert_eq!(member.elements().await, [""; 0]);
    let friend = Home::open(authority.member(OTHER)).await;
    friend.node.connect(member.node.local_addr().unwrap()).unwrap();
    friend.add("milk").await;
    member.has("milk").await;
    assert_eq!(member.elements().await, ["milk"]);
}

#[tokio::test]
async fn a_certificate_that_names_no_node_or_two_is_refused() {
    let authority = Authority::new();
    let nobody = authority.issue(|_| {});
    assert_eq!(Tls::new(nobody, authority.trust()).err(), Some(TlsError::NoNode));
    let both = authority.issue(|params| {
        named(NodeId::from_u128(8))(params);
        named(NodeId::from_u128(9))(params);
    });
    let member = authority.issue(named(ONE));
    let pins = [(NodeId::from_u128(9), both.public_key().unwrap()), (ONE, member.public_key().unwrap())];
    let both = options().tls(Tls::new(both, Trust::pinned(pins).unwrap()).unwrap());
    let member = Home::open(options().tls(Tls::new(member, authority.trust()).unwrap())).await;
    let mut refusals = member.node.network_events();
    let both = Home::open(both).await;
    both.node.connect(member.node.local_addr().unwrap()).unwrap();
    refused(&mut refusals, Refusal::NoNode).await;
}

#[tokio::test]
async fn a_node_without_tls_and_one_with_it_refuse_each_other() {
    let authority = Authority::new();
    let plain = || options().node(NodeId::from_u128(9));
    is_refused(&authority, plain(), |reason| *reason == Refusal::NotTls).await;
    let (plain, protected) = (Home::open(plain()).await, Home::open(authority.member(ONE)).await);
    let mut refusals = plain.node.network_events();
    protected.node.connect(plain.node.local_addr().unwrap()).unwrap();
    refused(&mut refusals, Refusal::SpeaksTls).await;
    let friend = Home::open(options()).await;
    friend.node.connect(plain.node.local_addr().unwrap()).unwrap();
    friend.add("milk").await;
    plain.has("milk").await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let authority = Authority::new();
    let member = Home::open(authority.member(ONE)).await;
    let mut refusals = member.node.network_events();
    let stream = tokio::net::TcpStream::connect(member.node.local_addr().unwrap()).await.unwrap();
    let name = "node.invalid".try_into().unwrap();
    let mut stream = anonymous::connector().connect(name, stream).await.unwrap();
    refused(&mut refusals, Refusal::NoCertificate).await;
    let mut said = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut said).await;
    assert_eq!(said, [], "not even a greeting is said to nobody in particular");
}

#[tokio::test]
async fn options_that_name_another_node_than_the_certificate_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = Authority::new().member(ONE).node(OTHER);
    let refused = crdt_sync_driver::Node::open(directory.path(), options).await.err();
    assert!(matches!(refused, Some(OpenError::OtherNode { named: OTHER, certified: ONE })), "{refused:?}");
}

#[tokio::test]
async fn with_tls_any_address_may_be_listened_on() {
    let options = Authority::new().member(ONE).listen(([0, 0, 0, 0], 0));
    assert!(Home::open(options).await.node.local_addr().is_some());
}

#[test]
fn keys_and_pins_that_cannot_be_used_are_refused_when_they_are_read() {
    let unreadable = |result: Result<Identity, TlsError>| {
        assert!(matches!(result.err(), Some(TlsError::Unreadable { .. })));
    };
    unreadable(Identity::from_pem(b"no pem", b"no pem"));
    unreadable(Identity::from_der(vec![vec![1, 2, 3]], vec![4, 5, 6]));
    assert_eq!(Trust::authority(b"").err(), Some(TlsError::NobodyTrusted));
    assert_eq!(Trust::pinned([]).err(), Some(TlsError::NobodyTrusted));
    let (identity, key) = self_made();
    let shared = Trust::pinned([(ONE, key.clone()), (OTHER, key.clone())]).err();
    assert_eq!(shared, Some(TlsError::SharedKey { one: ONE, other: OTHER }));
    assert_eq!(format!("{identity:?}"), "Identity { chain: 1, .. }", "the private key is not shown");
    let (_, other_key) = (self_made(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
    let mixed = Identity::from_der(vec![certificate.der().to_vec()], other_key.serialize_der()).unwrap();
    let unusable = Tls::new(mixed, Trust::pinned([(ONE, key)]).unwrap()).err();
    assert!(matches!(unusable, Some(TlsError::Unusable { .. })), "{unusable:?}");
}

/// A TLS client that believes everybody and shows nothing.
mod anonymous {
    use std::sync::Arc;

    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::client::danger::{
        HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
    };
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, version};

    pub(super) fn connector() -> TlsConnector {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"crdt-sync/1".to_vec()];
        Arc::new(config).into()
    }

    #[derive(Debug)]
    struct Credulous;

    impl ServerCertVerifier for Credulous {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            ring::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}
