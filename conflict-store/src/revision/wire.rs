//! The bytes of a tree, as a document of a key both sides know.
//!
//! Versions go in ascending order, so parents come first and are referred to by distance. Ids are
//! not sent: the receiver computes them, which makes a forged one impossible to express. The bytes
//! are described in `docs/formats.md`.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::codec::{bytes, decode_payload, encode_payload};
use crdt_core::{Limits, Stamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::content::Content;
use super::digest::Digest;
use super::error::DecodeTreeError;
use super::id::VersionId;
use super::tree::RevisionTree;
use super::version::Version;
use crate::limits::MAX_PARENTS;

impl<V: AsRef<[u8]>> RevisionTree<V> {
    /// The canonical bytes of this tree. O(size).
    ///
    /// A document of one version without stamp costs its body and three bytes (a few more for
    /// bodies of 251 bytes and up). Ids are not part of the bytes: the receiver must know the
    /// `key`. Debug builds check that the versions do belong to it.
    ///
    /// ```
    /// use conflict_store::Document;
    /// use crdt_core::Limits;
    ///
    /// let mut document = Document::<Vec<u8>>::default();
    /// document.put(b"greeting", None, Some("Hello".into()), None)?;
    ///
    /// let bytes = document.encode_for_key(b"greeting");
    /// assert_eq!(bytes, b"\x01\x00\x05Hello");
    /// assert_eq!(Document::decode_for_key(b"greeting", &bytes, &Limits::default())?, document);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_for_key(&self, key: &[u8]) -> Vec<u8> {
        debug_assert!(
            self.versions().all(|version| version.belongs_to(key)),
            "the tree holds versions of another key"
        );
        let versions: Vec<_> = self.versions().collect();
        let wire: Vec<_> = versions
            .iter()
            .enumerate()
            .map(|(place, version)| WireVersion::of(version, &versions[..place]))
            .collect();
        encode_payload(&wire)
    }
}

impl<V: AsRef<[u8]> + From<Vec<u8>>> RevisionTree<V> {
    /// The tree whose canonical bytes as a document of `key` are exactly `bytes`.
    ///
    /// O(n log n) in the number of versions, plus hashing the bodies. Besides the bodies it allocates
    /// at most 512 bytes per version; a version takes at least two bytes of input, and
    /// `limits.max_elements` bounds how many there are.
    pub fn decode_for_key(key: &[u8], bytes: &[u8], limits: &Limits) -> Result<Self, DecodeTreeError> {
        let wire: Vec<WireVersion<Vec<u8>>> = decode_payload(bytes, limits)?;
        let mut versions: Vec<Version<V>> = Vec::with_capacity(wire.len());
        for wire in wire {
            let version = wire.into_version(key, &versions)?;
            if versions.last().is_some_and(|last| last.id() >= version.id()) {
                return Err(DecodeTreeError::NotCanonical { version: versions.len() });
            }
            versions.push(version);
        }
        Ok(Self::from_sorted(versions))
    }
}

/// A version, said the shortest way. What [`Root`](Self::Root) or [`Child`](Self::Child) can say,
/// [`Full`](Self::Full) must not.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "B: AsRef<[u8]>", deserialize = "ByteString<B>: Deserialize<'de>"))]
enum WireVersion<B> {
    /// A first version.
    Root(ByteString<B>),
    /// A version on top of another.
    Child(WireParent, ByteString<B>),
    /// A deletion, a merge, or a version with a stamp or a rule.
    Full {
        parents: Vec<WireParent>,
        body: Option<ByteString<B>>,
        stamp: Option<Stamp>,
        rule: Option<Box<str>>,
    },
    /// A version of which only the place is known.
    Stub { parents: Vec<WireParent>, content: Digest },
}

/// Where a parent is found.
#[derive(Serialize, Deserialize)]
enum WireParent {
    /// So many versions back in this encoding, at least one.
    Back(u64),
    /// Not before its child in this encoding.
    Elsewhere(VersionId),
}

impl<'a> WireVersion<&'a [u8]> {
    /// `earlier` are the versions that come before this one.
    fn of<V: AsRef<[u8]>>(version: &'a Version<V>, earlier: &[&Version<V>]) -> Self {
        let body = version.body().map(|body| ByteString(body.as_ref()));
        let parent_of =
            |parent: &VersionId| match earlier.binary_search_by(|version| version.id().cmp(parent)) {
                Ok(place) => WireParent::Back((earlier.len() - place) as u64),
                Err(_) => WireParent::Elsewhere(*parent),
            };
        if let Some(content) = version.stub_digest() {
            return Self::Stub {
                parents: version.parents().iter().map(parent_of).collect(),
                content: *content,
            };
        }
        match (body, version.parents(), version.stamp(), version.rule()) {
            (Some(body), [], None, None) => Self::Root(body),
            (Some(body), [parent], None, None) => Self::Child(parent_of(parent), body),
            (body, parents, stamp, rule) => Self::Full {
                parents: parents.iter().map(parent_of).collect(),
                body,
                stamp,
                rule: rule.map(Box::from),
            },
        }
    }
}

impl WireVersion<Vec<u8>> {
    fn into_version<V>(self, key: &[u8], earlier: &[Version<V>]) -> Result<Version<V>, DecodeTreeError>
    where
        V: AsRef<[u8]> + From<Vec<u8>>,
    {
        let not_canonical = DecodeTreeError::NotCanonical { version: earlier.len() };
        match self {
            Self::Root(body) => Ok(Version::new(key, Vec::new(), Some(body.0.into()), None, None)),
            Self::Child(parent, body) => {
                let parents = vec![parent.resolve(earlier)?];
                Ok(Version::new(key, parents, Some(body.0.into()), None, None))
            }
            Self::Full { parents, body: Some(_), stamp: None, rule: None } if parents.len() <= 1 => {
                Err(not_canonical)
            }
            Self::Full { parents, body, stamp, rule } => {
                let parents = resolve_all(parents, earlier)?;
                Ok(Version::new(key, parents, body.map(|body| body.0.into()), stamp, rule))
            }
            Self::Stub { parents, content } => {
                let parents = resolve_all(parents, earlier)?;
                Ok(Version::with_content(key, parents, Content::Digest(content)))
            }
        }
    }
}

/// The parents, which must be few enough and ascending.
fn resolve_all<V>(
    parents: Vec<WireParent>,
    earlier: &[Version<V>],
) -> Result<Vec<VersionId>, DecodeTreeError> {
    let version = earlier.len();
    if parents.len() > MAX_PARENTS {
        return Err(DecodeTreeError::TooManyParents { version, given: parents.len(), limit: MAX_PARENTS });
    }
    let parents = parents.into_iter().map(|parent| parent.resolve(earlier)).collect::<Result<Vec<_>, _>>()?;
    if !parents.is_sorted_by(|a, b| a < b) {
        return Err(DecodeTreeError::NotCanonical { version });
    }
    Ok(parents)
}

impl WireParent {
    fn resolve<V>(self, earlier: &[Version<V>]) -> Result<VersionId, DecodeTreeError> {
        let version = earlier.len();
        match self {
            Self::Back(back) => usize::try_from(back)
                .ok()
                .and_then(|back| version.checked_sub(back))
                .and_then(|place| earlier.get(place))
                .map(|parent| *parent.id())
                .ok_or(DecodeTreeError::DanglingParent { version, back }),
            Self::Elsewhere(id) => match earlier.binary_search_by(|version| version.id().cmp(&id)) {
                Ok(_) => Err(DecodeTreeError::NotCanonical { version }),
                Err(_) => Ok(id),
            },
        }
    }
}

/// A body as one byte string; serde would write a sequence of numbers.
struct ByteString<B>(B);

impl<B: AsRef<[u8]>> Serialize for ByteString<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for ByteString<Vec<u8>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes::deserialize(deserializer).map(Self)
    }
}
