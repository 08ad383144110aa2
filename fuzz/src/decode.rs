//! Foreign bytes never panic a decoder, and what it accepts is the one encoding of that value.

use core::convert::Infallible;
use core::fmt::Debug;

use conflict_store::{Document, MemoryBackend, Store, Strategy};
use crdt_core::dotted::{Causal, DotFun, DotMap, DotSet};
use crdt_core::{
    BoundedCounter, CausalContext, Change, DeltaCrdt, DwFlag, EwFlag, GCounter, GSet, LwwMap, LwwRegister,
    MaxRegister, MinRegister, MvRegister, OrMap, OrSet, PnCounter, ResetCounter, RwSet, TryMerge,
    TwoPhaseSet, VersionDigest, VersionVector,
};
use crdt_core::{Limits, codec};
use crdt_sync::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::subject::id;

/// For all types of crdt-core, in their envelopes and bare; of the bare ones the first byte picks one. Two that decode
/// are merged, unless a check finds fault with the pair: hostile states, too, merge to the same from either side.
pub fn a_state_decodes_only_from_its_canonical_bytes(bytes: &[u8]) {
    enveloped::<GCounter>(bytes);
    enveloped::<OrSet<String>>(bytes);
    enveloped::<RwSet<String>>(bytes);
    enveloped::<MvRegister<String>>(bytes);
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 31 {
        0 => states::<GCounter>(bytes),
        1 => states::<PnCounter>(bytes),
        2 => states::<GSet<String>>(bytes),
        3 => states::<GSet<u64>>(bytes),
        4 => states::<OrSet<String>>(bytes),
        5 => states::<OrSet<u64>>(bytes),
        6 => states::<LwwRegister<String>>(bytes),
        7 => states::<MvRegister<String>>(bytes),
        8 => states::<MaxRegister<String>>(bytes),
        9 => states::<MinRegister<u64>>(bytes),
        10 => states::<EwFlag>(bytes),
        11 => states::<DwFlag>(bytes),
        12 => states::<TwoPhaseSet<String>>(bytes),
        13 => states::<TwoPhaseSet<u64>>(bytes),
        14 => states::<RwSet<String>>(bytes),
        15 => states::<RwSet<u64>>(bytes),
        16 => states::<OrSet<(u8, Option<String>)>>(bytes),
        17 => states::<Causal<DotMap<String, DotFun<u64>>>>(bytes),
        18 => states::<Causal<DotMap<u8, DotMap<String, DotSet>>>>(bytes),
        19 => states::<OrSet<()>>(bytes),
        20 => values::<VersionVector>(bytes),
        21 => values::<CausalContext>(bytes),
        22 => values::<crdt_core::dotted::CausalDigest>(bytes),
        23 => values::<crdt_core::Seal>(bytes),
        24 => states::<LwwMap<String, u64>>(bytes),
        25 => states::<ResetCounter>(bytes),
        26 => states::<OrMap<String, ResetCounter>>(bytes),
        27 => states::<OrMap<u8, OrMap<String, OrSet<u64>>>>(bytes),
        28 => states::<OrMap<u8, MvRegister<String>>>(bytes),
        29 => states::<OrMap<u8, crdt_core::dotted::Dotted<GCounter>>>(bytes),
        _ => states::<BoundedCounter>(bytes),
    }
}

fn enveloped<T: codec::Encoded>(bytes: &[u8]) {
    if let Ok(value) = codec::from_bytes::<T>(bytes, &Limits::DEFAULT) {
        assert_eq!(codec::to_bytes(&value), bytes);
    }
}

fn values<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    if let Ok(value) = codec::decode_payload::<T>(bytes, &Limits::DEFAULT) {
        assert_eq!(codec::encode_payload(&value), bytes);
        let _ = format!("{value:?}");
    }
}

/// The first byte says where the second state begins.
fn states<T>(bytes: &[u8])
where
    T: TryMerge + DeltaCrdt + VersionDigest + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let (a, b) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    values::<T>(a);
    let Ok(a) = codec::decode_payload::<T>(a, &Limits::DEFAULT) else { return };
    assert_eq!(a.is_bottom(), a == T::default());
    assert_eq!(a.clone().merge(&a), Change::Unchanged);
    assert!(a.delta_since(&a.digest()).is_bottom());
    assert_eq!(T::default().merged(&a), a);
    assert_eq!(a.split().iter().fold(T::default(), T::merged), a);
    values::<T>(b);
    let Ok(b) = codec::decode_payload::<T>(b, &Limits::DEFAULT) else { return };
    for me in [id(0), id(u64::MAX as usize)] {
        if a.check_merge(&b, me).is_ok() && b.check_merge(&a, me).is_ok() {
            let both = a.clone().merged(&b);
            assert_eq!(both, b.clone().merged(&a));
            assert_eq!(both.clone().merge(&a), Change::Unchanged);
            assert_eq!(a.clone().merged(&b.delta_since(&a.digest())), both);
            assert_eq!(a.version_digest() == b.version_digest(), a == b);
        }
    }
}

/// For the versions of one key.
pub fn a_document_decodes_only_from_its_canonical_bytes(bytes: &[u8]) {
    if let Ok(document) = Document::<Vec<u8>>::decode_for_key(b"key", bytes, &Limits::DEFAULT) {
        assert_eq!(document.encode_for_key(b"key"), bytes);
    }
}

/// For a whole store. The input is what stands behind the magic; the checksum, which no fuzzer finds,
/// is put right.
pub fn a_snapshot_imports_only_as_what_it_exports(bytes: &[u8]) {
    let mut snapshot = [b"CSNAP\0\0\x01", bytes].concat();
    let sum = blake3::keyed_hash(b"conflict-store snapshot bytes  1", &snapshot);
    snapshot.extend_from_slice(sum.as_bytes());
    let mut rest = &snapshot[..];
    let read = |buffer: &mut [u8]| {
        let (now, later) = rest.split_at(buffer.len().min(rest.len()));
        buffer[..now.len()].copy_from_slice(now);
        rest = later;
        Ok::<_, Infallible>(now.len())
    };
    let copy = Store::<Vec<u8>>::import(Strategy::KeepAll, MemoryBackend::default(), read, &Limits::DEFAULT);
    if let Ok(copy) = copy {
        let mut exported = Vec::new();
        let written = copy.export(|piece| Ok::<_, Infallible>(exported.extend_from_slice(piece)));
        assert!(written.is_ok());
        // Behind magic, LSN and sequence. The last is not the original's: the copy begins past it.
        let documents = 24..snapshot.len() - rest.len() - 32;
        assert_eq!(exported[documents.clone()], snapshot[documents]);
    }
}

/// For what nodes say to each other.
pub fn a_message_decodes_only_from_its_one_frame(frame: &[u8]) {
    if let Ok(message) = wire::decode(frame, &crdt_sync::Limits::default()) {
        assert_eq!(wire::encode(&message), frame);
    }
}
