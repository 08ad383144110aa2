//! Bodies that refer to blobs.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crdt_core::Limits;
use crdt_core::codec::{decode_payload, encode_payload};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::error::{InvalidMediaType, ManifestError};
use super::id::BlobId;
use crate::limits::{MAX_ATTACHMENT_NAME_BYTES, MAX_ATTACHMENTS};

/// What a body says about a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// The blob.
    pub id: BlobId,
    /// How many bytes it has.
    pub length: u64,
    media_type: Option<MediaType>,
}

impl BlobRef {
    /// The reference to these bytes. O(length).
    pub fn of(bytes: &[u8]) -> Self {
        Self { id: BlobId::of(bytes), length: bytes.len() as u64, media_type: None }
    }

    /// The same with a media type, such as `image/png`.
    pub fn with_media_type(self, media_type: &str) -> Result<Self, InvalidMediaType> {
        Ok(Self { media_type: Some(MediaType::parse(media_type.into())?), ..self })
    }

    /// What kind of bytes they are, if somebody said.
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_ref().map(|MediaType(media_type)| &**media_type)
    }
}

/// 1 to 255 visible ASCII characters or spaces: nothing that could end a header line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct MediaType(Box<str>);

impl MediaType {
    fn parse(text: Box<str>) -> Result<Self, InvalidMediaType> {
        let is_fine = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if (1..=255).contains(&text.len()) && text.bytes().all(is_fine) {
            Ok(Self(text))
        } else {
            Err(InvalidMediaType)
        }
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Box::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A body with attachments: the application's bytes, and blobs by name.
///
/// The crate does not look into bodies. This is one way to write them; an application may as well
/// keep its [`BlobRef`]s in a format of its own.
///
/// ```
/// use conflict_store::blob::{BlobRef, Manifest};
/// use crdt_core::Limits;
///
/// let mut manifest = Manifest::new(b"Laptop".to_vec());
/// manifest.attach("front.png", BlobRef::of(b"\x89PNG...").with_media_type("image/png")?)?;
/// let body = manifest.encode();
/// assert_eq!(Manifest::decode(&body, &Limits::default())?, manifest);
/// assert_eq!(manifest.get("front.png").and_then(BlobRef::media_type), Some("image/png"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Manifest {
    /// What the application says.
    #[serde(with = "crdt_core::codec::bytes")]
    pub value: Vec<u8>,
    pub(super) attachments: BTreeMap<String, BlobRef>,
}

impl Manifest {
    /// A body that says this, without attachments.
    pub const fn new(value: Vec<u8>) -> Self {
        Self { value, attachments: BTreeMap::new() }
    }

    /// Attaches a blob under this name, in place of what has it. O(log n).
    pub fn attach(&mut self, name: &str, blob: BlobRef) -> Result<(), ManifestError> {
        check_name(name)?;
        let given = self.attachments.len() + usize::from(!self.attachments.contains_key(name));
        check_count(given)?;
        self.attachments.insert(name.into(), blob);
        Ok(())
    }

    /// Takes the attachment of this name off. O(log n).
    pub fn detach(&mut self, name: &str) -> Option<BlobRef> {
        self.attachments.remove(name)
    }

    /// The attachment of this name. O(log n).
    pub fn get(&self, name: &str) -> Option<&BlobRef> {
        self.attachments.get(name)
    }

    /// All attachments, ascending by name.
    pub fn attachments(&self) -> impl Iterator<Item = (&str, &BlobRef)> {
        self.attachments.iter().map(|(name, blob)| (name.as_str(), blob))
    }

    /// The blobs attached; twice if under two names.
    pub fn blobs(&self) -> impl Iterator<Item = &BlobId> {
        self.attachments.values().map(|blob| &blob.id)
    }

    /// The body that says this, described in `docs/formats.md`. Equal manifests have equal bodies,
    /// so the same write on two nodes is one version. O(size).
    pub fn encode(&self) -> Vec<u8> {
        encode_payload(self)
    }

    /// The manifest whose body is exactly `body`. O(size); allocates in proportion to what is
    /// there, within `limits`.
    pub fn decode(body: &[u8], limits: &Limits) -> Result<Self, ManifestError> {
        decode_payload::<Unchecked>(body, limits)?.try_into()
    }
}

/// A manifest as it is written, by whomever.
#[derive(Serialize, Deserialize)]
struct Unchecked {
    #[serde(with = "crdt_core::codec::bytes")]
    value: Vec<u8>,
    attachments: BTreeMap<String, BlobRef>,
}

impl TryFrom<Unchecked> for Manifest {
    type Error = ManifestError;

    fn try_from(Unchecked { value, attachments }: Unchecked) -> Result<Self, ManifestError> {
        check_count(attachments.len())?;
        attachments.keys().try_for_each(|name| check_name(name))?;
        Ok(Self { value, attachments })
    }
}

fn check_name(name: &str) -> Result<(), ManifestError> {
    if (1..=MAX_ATTACHMENT_NAME_BYTES).contains(&name.len()) {
        return Ok(());
    }
    Err(ManifestError::Name { given: name.len(), limit: MAX_ATTACHMENT_NAME_BYTES })
}

fn check_count(given: usize) -> Result<(), ManifestError> {
    if given > MAX_ATTACHMENTS {
        return Err(ManifestError::TooMany { given, limit: MAX_ATTACHMENTS });
    }
    Ok(())
}
