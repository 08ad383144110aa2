//! A document as people and other programs are shown it.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::id::VersionId;
use super::tree::RevisionTree;

/// A document as a reader sees it who asks for one version and is told of the others: what `CouchDB`
/// answers to a read with `conflicts=true`.
///
/// Replicas that know the same leaves show the same, byte for byte. In formats people read, `id`
/// and `value` are text where they are UTF-8 and a sequence of numbers where not; in all others
/// they are byte strings.
///
/// ```
/// use conflict_store::Document;
/// use crdt_core::Crdt;
///
/// let mut title = Document::<Vec<u8>>::default();
/// title.put_branch(b"title", None, Some("Hello".into()), None);
/// title.put_branch(b"title", None, Some("Bonjour".into()), None);
///
/// let view = title.view(b"title").expect("it was written");
/// let [conflict] = view.conflicts[..] else { panic!("one loses") };
/// assert_eq!(
///     view.to_string(),
///     format!("{{id: \"title\", rev: \"{}\", value: \"Hello\", conflicts: [\"{conflict}\"]}}", view.rev),
/// );
/// // The value that lost can be read by its id.
/// assert_eq!(title.get(&conflict).and_then(|version| version.body()), Some(&b"Bonjour".to_vec()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "V: AsRef<[u8]>", deserialize = "V: From<Vec<u8>>"))]
pub struct DocumentView<V> {
    /// The key of the document.
    #[serde(with = "text_or_bytes")]
    pub id: Vec<u8>,
    /// The version shown. Of a deleted document, its highest deletion.
    pub rev: VersionId,
    /// What that version says; `None` when the document is deleted.
    #[serde(with = "text_or_bytes::option")]
    pub value: Option<V>,
    /// The live versions that lost, ascending.
    pub conflicts: Vec<VersionId>,
    /// Whether the document is deleted.
    pub deleted: bool,
}

impl<V: Clone> RevisionTree<V> {
    /// This document of `key` as a reader sees it, `None` when nothing is known of it. O(leaves).
    pub fn view(&self, key: &[u8]) -> Option<DocumentView<V>> {
        let winner = self.winner()?;
        Some(DocumentView {
            id: key.to_vec(),
            rev: *winner.id(),
            value: winner.body().cloned(),
            conflicts: self.conflicts().map(|version| *version.id()).collect(),
            deleted: winner.is_deleted(),
        })
    }
}

/// One line. Bytes that are not printable ASCII are escaped.
impl<V: AsRef<[u8]>> fmt::Display for DocumentView<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{id: \"{}\", rev: \"{}\", ", self.id.escape_ascii(), self.rev)?;
        match &self.value {
            Some(value) => write!(f, "value: \"{}\", ", value.as_ref().escape_ascii())?,
            None => f.write_str("deleted: true, ")?,
        }
        f.write_str("conflicts: [")?;
        for (place, conflict) in self.conflicts.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}\"{conflict}\"")?;
        }
        f.write_str("]}")
    }
}

/// Text in formats people read where the bytes are text, else bytes.
mod text_or_bytes {
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::fmt;

    use crdt_core::codec::bytes;
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match str::from_utf8(value.as_ref()) {
            Ok(text) if serializer.is_human_readable() => serializer.serialize_str(text),
            _ => bytes::serialize(value.as_ref(), serializer),
        }
    }

    pub(super) fn deserialize<'de, T: From<Vec<u8>>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TextOrBytes).map(T::from)
        } else {
            bytes::deserialize(deserializer)
        }
    }

    struct TextOrBytes;

    impl<'de> Visitor<'de> for TextOrBytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a byte string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
            Ok(text.as_bytes().to_vec())
        }

        fn visit_string<E: Error>(self, text: String) -> Result<Vec<u8>, E> {
            Ok(text.into_bytes())
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = seq.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }

    pub(super) mod option {
        use alloc::vec::Vec;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[expect(clippy::ref_option, reason = "this is how serde calls it")]
        pub(crate) fn serialize<V: AsRef<[u8]>, S: Serializer>(
            value: &Option<V>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            value.as_ref().map(|value| Wrapped(value.as_ref())).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, V: From<Vec<u8>>, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<V>, D::Error> {
            let value = Option::<Wrapped<Vec<u8>>>::deserialize(deserializer)?;
            Ok(value.map(|Wrapped(value)| value.into()))
        }

        struct Wrapped<B>(B);

        impl Serialize for Wrapped<&[u8]> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                super::serialize(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for Wrapped<Vec<u8>> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                super::deserialize(deserializer).map(Self)
            }
        }
    }
}
