use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::Limits;
use proptest::prelude::*;

use super::*;
use crate::Document;
use crate::limits::{MAX_ATTACHMENT_NAME_BYTES, MAX_ATTACHMENTS};

/// A storage that fails when told to.
#[derive(Default)]
struct Faulty {
    stored: BTreeMap<BlobId, Vec<u8>>,
    is_down: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is gone")]
struct DiskGone;

impl Faulty {
    fn up(&self) -> Result<(), DiskGone> {
        if self.is_down { Err(DiskGone) } else { Ok(()) }
    }
}

impl Blobs for Faulty {
    type Error = DiskGone;

    fn read(&self, id: &BlobId) -> Result<Option<Cow<'_, [u8]>>, DiskGone> {
        self.up()?;
        Ok(self.stored.get(id).map(Into::into))
    }

    fn write(&mut self, id: BlobId, bytes: Vec<u8>) -> Result<(), DiskGone> {
        self.up()?;
        self.stored.insert(id, bytes);
        Ok(())
    }

    fn remove(&mut self, id: &BlobId) -> Result<bool, DiskGone> {
        self.up()?;
        Ok(self.stored.remove(id).is_some())
    }

    fn ids(&self) -> impl Iterator<Item = Result<BlobId, DiskGone>> {
        self.stored.keys().copied().map(|id| self.up().map(|()| id))
    }
}

#[test]
fn damaged_bytes_are_not_read_and_putting_them_again_repairs() {
    let mut blobs = Faulty::default();
    let id = blobs.put(b"photo".to_vec()).unwrap();
    for bit in 0..5 * 8 {
        let mut damaged = b"photo".to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let actual = BlobId::of(&damaged);
        blobs.stored.insert(id, damaged);
        assert_eq!(blobs.get(&id), Err(BlobError::Damaged { id, actual }));
    }
    assert_eq!(blobs.contains(&id), Ok(true));
    assert_eq!(blobs.put(b"photo".to_vec()), Ok(id));
    assert_eq!(blobs.get(&id).unwrap().as_deref(), Some(&b"photo"[..]));
}

#[test]
fn bytes_are_stored_under_no_other_id_than_theirs() {
    let mut blobs = MemoryBlobs::default();
    let (claimed, actual) = (BlobId::of(b"photo"), BlobId::of(b"virus"));
    assert_eq!(blobs.put_as(&claimed, b"virus".to_vec()), Err(BlobError::Forged { claimed, actual }));
    assert!(blobs.is_empty());
    assert_eq!(blobs.put_as(&claimed, b"photo".to_vec()), Ok(()));
    assert_eq!(blobs.contains(&claimed), Ok(true));
}

#[test]
fn a_blob_is_bounded() {
    let mut blobs = MemoryBlobs::default();
    let (given, limit) = (MAX_BLOB_BYTES + 1, MAX_BLOB_BYTES);
    let large = vec![0; given];
    let id = BlobId::from_bytes([0; 32]);
    assert_eq!(blobs.put_as(&id, large.clone()), Err(BlobError::TooLarge { given, limit }));
    assert_eq!(blobs.put(large), Err(BlobError::TooLarge { given, limit }));
    assert!(blobs.is_empty());
}

#[test]
fn a_storage_that_fails_says_so() {
    let mut blobs = Faulty::default();
    let id = blobs.put(b"photo".to_vec()).unwrap();
    blobs.is_down = true;
    assert_eq!(blobs.get(&id), Err(BlobError::Storage(DiskGone)));
    assert_eq!(blobs.put(b"other".to_vec()), Err(BlobError::Storage(DiskGone)));
    assert_eq!(blobs.unreferenced(&BTreeSet::new()), Err(DiskGone), "not: nothing is there");
}

#[test]
fn what_a_leaf_refers_to_is_not_garbage() {
    let mut blobs = MemoryBlobs::default();
    let [old, won, lost] = [b"old", b"won", b"los"].map(|bytes| blobs.put(bytes.to_vec()).unwrap());
    let mut document = Document::<Vec<u8>>::default();
    let body = |id: BlobId| Some(id.as_bytes().to_vec());
    let (first, _) = document.put(b"k", None, body(old), None).unwrap();
    document.put_branch(b"k", Some(&first), body(won), None);
    document.put_branch(b"k", Some(&first), body(lost), None);

    let refers_to = |body: &Vec<u8>| body.as_slice().try_into().map(|bytes| [BlobId::from_bytes(bytes)]);
    let live = live_blobs([&document], refers_to).unwrap();
    assert_eq!(live, BTreeSet::from([won, lost]), "a conflict is somebody's work");
    assert_eq!(blobs.unreferenced(&live), Ok(vec![old]));

    document.put_branch(b"k", Some(&first), Some(b"not understood".to_vec()), None);
    assert!(live_blobs([&document], refers_to).is_err(), "it may refer to anything");

    for leaf in document.leaves().iter().map(|leaf| *leaf.id()).collect::<Vec<_>>() {
        document.put(b"k", Some(&leaf), None, None).unwrap();
    }
    assert!(live_blobs([&document], refers_to).unwrap().is_empty(), "deletions refer to nothing");
}

#[test]
fn an_id_has_one_spelling() {
    let id = BlobId::of(b"photo");
    let text = id.to_string();
    assert_eq!(text.parse(), Ok(id));
    for other in [&text[1..], &text.to_uppercase(), &[&text, "0"].concat(), "", &text.replace('4', "g")] {
        assert_eq!(other.parse::<BlobId>(), Err(ParseBlobIdError), "{other:?}");
    }
}

#[test]
fn media_types_are_one_line_of_text() {
    let blob = BlobRef::of(b"photo");
    for refused in ["", "image/png\r\nx: y", "image/\u{fc}", &"a".repeat(256)] {
        assert_eq!(blob.clone().with_media_type(refused), Err(InvalidMediaType), "{refused:?}");
    }
    let text = blob.clone().with_media_type("text/plain; charset=utf-8").unwrap();
    assert_eq!(text.media_type(), Some("text/plain; charset=utf-8"));
    assert_eq!((text.id, text.length, blob.media_type()), (BlobId::of(b"photo"), 5, None));
}

#[test]
fn manifests_are_bounded() {
    let mut manifest = Manifest::default();
    let blob = BlobRef::of(b"photo");
    let limit = MAX_ATTACHMENT_NAME_BYTES;
    for given in [0, limit + 1] {
        let refused = manifest.attach(&"n".repeat(given), blob.clone());
        assert_eq!(refused, Err(ManifestError::Name { given, limit }));
    }
    for n in 0..MAX_ATTACHMENTS {
        manifest.attach(&n.to_string(), blob.clone()).unwrap();
    }
    let (given, limit) = (MAX_ATTACHMENTS + 1, MAX_ATTACHMENTS);
    assert_eq!(manifest.attach("one more", blob.clone()), Err(ManifestError::TooMany { given, limit }));
    manifest.attach("0", blob.clone()).expect("it takes the place of another");

    // What cannot be made cannot be read either.
    manifest.attachments.insert(String::new(), blob);
    let decoded = Manifest::decode(&manifest.encode(), &Limits::default());
    assert_eq!(decoded, Err(ManifestError::TooMany { given, limit }));
    manifest.attachments.retain(|name, _| name.is_empty());
    let decoded = Manifest::decode(&manifest.encode(), &Limits::default());
    assert_eq!(decoded, Err(ManifestError::Name { given: 0, limit: MAX_ATTACHMENT_NAME_BYTES }));
}

#[test]
fn bytes_are_golden() {
    let mut manifest = Manifest::new(b"Hi".to_vec());
    assert_eq!(manifest.encode(), b"\x02Hi\x00");
    manifest.attach("a", BlobRef::of(b"")).unwrap();
    manifest.attach("b", BlobRef::of(b"").with_media_type("text/plain").unwrap()).unwrap();
    let id = BlobId::of(b"");
    let golden = [
        b"\x02Hi\x02\x01a".as_slice(),
        id.as_bytes(),
        b"\x00\x00\x01b",
        id.as_bytes(),
        b"\x00\x01\x0atext/plain",
    ];
    assert_eq!(manifest.encode(), golden.concat());
    assert_eq!(Manifest::decode(&golden.concat(), &Limits::default()), Ok(manifest));

    let out_of_order =
        [b"\x00\x02\x01b".as_slice(), id.as_bytes(), b"\x00\x00\x01a", id.as_bytes(), b"\x00\x00"].concat();
    let decoded = Manifest::decode(&out_of_order, &Limits::default());
    assert!(matches!(decoded, Err(ManifestError::Payload(_))), "{decoded:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in proptest::collection::vec(0..4_u8, 0..120)) {
        if let Ok(manifest) = Manifest::decode(&bytes, &Limits::default()) {
            prop_assert_eq!(manifest.encode(), bytes);
        }
    }

    #[test]
    fn manifests_read_back(value in any::<Vec<u8>>(), names in proptest::collection::btree_set("[a-c]{1,3}", 0..5)) {
        let mut manifest = Manifest::new(value);
        for name in &names {
            manifest.attach(name, BlobRef::of(name.as_bytes())).unwrap();
        }
        let bytes = manifest.encode();
        prop_assert_eq!(Manifest::decode(&bytes, &Limits::default()), Ok(manifest.clone()));
        for end in 0..bytes.len() {
            prop_assert!(Manifest::decode(&bytes[..end], &Limits::default()).is_err());
        }
        prop_assert_eq!(manifest.blobs().count(), names.len());
    }
}
