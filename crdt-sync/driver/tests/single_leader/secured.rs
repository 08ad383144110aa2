//! Nodes that prove who they are take over like others.

use crdt_sync_driver::{Identity, PublicKey, Tls, Trust};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};

use crate::cluster::{A, B, C, id_of};
use crate::trio::{PATIENCE, Trio, supervised};

#[tokio::test]
async fn over_encrypted_connections_the_lead_is_handed_over_and_taken_over() {
    let keys = [A, B, C].map(|_| KeyPair::generate().unwrap());
    let pins: Vec<_> = [A, B, C]
        .map(|node| (id_of(node), PublicKey::from_der(keys[node].subject_public_key_info())))
        .to_vec();
    let mut trio = Trio::with(supervised(), move |node, options| {
        let key = &keys[node];
        let certificate = CertificateParams::default().self_signed(key).unwrap();
        let identity = Identity::from_der(vec![certificate.der().to_vec()], key.serialize_der()).unwrap();
        options.tls(Tls::new(identity, Trust::pinned(pins.clone()).unwrap()).unwrap())
    })
    .await;
    let leader = trio.leader().await;
    trio.add().await;
    let next = (leader + 1) % 3;
    trio.node(leader).failover().switch_over(id_of(next), PATIENCE).await.unwrap();
    trio.add().await;
    trio.kill(next);
    trio.leader().await;
    trio.add().await;
    trio.restart(next).await;
    trio.logs_are_equal().await;
}
