//! One version of a document, and how its id follows from what it says.

use alloc::boxed::Box;
use core::fmt;

use crdt_core::Stamp;
use smallvec::SmallVec;

use super::id::{DIGEST_BYTES, VersionId};

/// The parents of a version, ascending. Almost every version has at most one.
pub(crate) type Parents = SmallVec<[VersionId; 1]>;

/// One version of a document: what was written, and on top of which versions.
///
/// Versions are immutable. Their [`id`](Self::id) is a digest of the rest, see [`VersionId`].
///
/// Of a version that others were written on, only the place may be known: which id it has and where
/// it hangs. It is a [stub](Self::is_stub) then.
#[derive(Clone, PartialEq, Eq)]
pub struct Version<V> {
    id: VersionId,
    parents: Parents,
    content: Content<V>,
}

/// What a version says, apart from where it hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<V> {
    /// All of it.
    Whole {
        /// What was written; `None` deletes the document.
        body: Option<V>,
        /// When and by whom, where stamps are kept.
        stamp: Option<Stamp>,
        /// The rule that wrote it, if a rule did.
        rule: Option<Box<str>>,
    },
    /// Only its digest. It proves the id, and with it where the version hangs.
    Digest([u8; DIGEST_BYTES]),
}

impl<V> Content<V> {
    /// Something written, without stamp or rule; `None` deletes the document.
    pub const fn of(body: Option<V>) -> Self {
        Self::Whole { body, stamp: None, rule: None }
    }
}

impl<V: AsRef<[u8]>> Content<V> {
    /// The digest that enters the id of the version. O(length of the body).
    ///
    /// The body enters the id through this digest and not directly, so that a history stays
    /// verifiable where bodies are kept elsewhere or not at all.
    pub fn digest(&self) -> [u8; DIGEST_BYTES] {
        match self {
            Self::Whole { body, stamp, rule } => {
                content_digest(body.as_ref().map(AsRef::as_ref), *stamp, rule.as_deref())
            }
            Self::Digest(digest) => *digest,
        }
    }
}

impl<V> Version<V> {
    /// The version's identity.
    pub fn id(&self) -> &VersionId {
        #[cfg(test)]
        visits::count();
        &self.id
    }

    /// The version this one was written on, the highest of them when it merges several; `None` for
    /// a first version.
    pub fn parent(&self) -> Option<&VersionId> {
        self.parents.last()
    }

    /// All versions this one supersedes, ascending. None for a first version, several for a merge.
    pub fn parents(&self) -> &[VersionId] {
        #[cfg(test)]
        visits::count();
        &self.parents
    }

    /// What was written; `None` when the version deletes the document or is a
    /// [stub](Self::is_stub).
    pub fn body(&self) -> Option<&V> {
        match &self.content {
            Content::Whole { body, .. } => body.as_ref(),
            Content::Digest(_) => None,
        }
    }

    /// Whether the version deletes the document. Of a [stub](Self::is_stub) nobody knows.
    pub fn is_deleted(&self) -> bool {
        matches!(self.content, Content::Whole { body: None, .. })
    }

    /// Whether only the place of the version is known, not what it says. Leaves never are stubs.
    pub fn is_stub(&self) -> bool {
        matches!(self.content, Content::Digest(_))
    }

    /// What the version says.
    pub fn content(&self) -> &Content<V> {
        &self.content
    }

    /// When and by whom it was written. Only collections that order versions by time keep stamps.
    pub fn stamp(&self) -> Option<Stamp> {
        match &self.content {
            Content::Whole { stamp, .. } => *stamp,
            Content::Digest(_) => None,
        }
    }

    /// The rule that wrote the version, if a rule and not a writer did. See
    /// [`RevisionTree::settle`].
    ///
    /// [`RevisionTree::settle`]: crate::RevisionTree::settle
    pub fn rule(&self) -> Option<&str> {
        match &self.content {
            Content::Whole { rule, .. } => rule.as_deref(),
            Content::Digest(_) => None,
        }
    }

    /// The order in which versions win: not deleted first, then the generation as a number, then
    /// the digest.
    pub(crate) fn rank(&self) -> (bool, VersionId) {
        (!self.is_deleted(), self.id)
    }
}

impl<V: AsRef<[u8]>> Version<V> {
    /// The version of the document `key` that says this. O(length of key and body).
    ///
    /// `parents` may come in any order and repeat.
    pub(crate) fn new(
        key: &[u8],
        parents: Parents,
        body: Option<V>,
        stamp: Option<Stamp>,
        rule: Option<Box<str>>,
    ) -> Self {
        Self::with_content(key, parents, Content::Whole { body, stamp, rule })
    }

    /// The version of the document `key` that says this, of which the content may be known only by
    /// its digest.
    pub(crate) fn with_content(key: &[u8], mut parents: Parents, content: Content<V>) -> Self {
        parents.sort_unstable();
        parents.dedup();
        let id = VersionId::below(&parents, id_digest(key, &parents, &content.digest()));
        Self { id, parents, content }
    }

    /// The place of this version without what it says.
    pub(crate) fn to_stub(&self) -> Self {
        let content = Content::Digest(self.content.digest());
        Self { id: self.id, parents: self.parents.clone(), content }
    }

    /// Whether the id is the one this version has as a version of `key`.
    pub(crate) fn belongs_to(&self, key: &[u8]) -> bool {
        self.id == VersionId::below(&self.parents, id_digest(key, &self.parents, &self.content.digest()))
    }
}

impl<V: AsRef<[u8]>> fmt::Debug for Version<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.id)?;
        if !self.parents.is_empty() {
            write!(f, " on {:?}", self.parents.as_slice())?;
        }
        match &self.content {
            Content::Whole { body: Some(body), .. } => {
                write!(f, " \"{}\"", body.as_ref().escape_ascii())
            }
            Content::Whole { body: None, .. } => f.write_str(" deleted"),
            Content::Digest(_) => f.write_str(" stub"),
        }
    }
}

const LIVE: u8 = 1 << 0;
const STAMPED: u8 = 1 << 1;
const RULED: u8 = 1 << 2;

fn content_digest(body: Option<&[u8]>, stamp: Option<Stamp>, rule: Option<&str>) -> [u8; DIGEST_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(b"conflict-store version content 1");
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    hasher
        .update(&[flag(body.is_some(), LIVE) | flag(stamp.is_some(), STAMPED) | flag(rule.is_some(), RULED)]);
    if let Some(Stamp { time, replica }) = stamp {
        hasher.update(&time.millis().to_le_bytes());
        hasher.update(&time.counter().to_le_bytes());
        hasher.update(replica.as_bytes());
    }
    if let Some(rule) = rule {
        hasher.update(&length(rule.len()));
        hasher.update(rule.as_bytes());
    }
    hasher.update(body.unwrap_or_default());
    truncated(&hasher)
}

fn id_digest(key: &[u8], parents: &[VersionId], content: &[u8; DIGEST_BYTES]) -> [u8; DIGEST_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(b"conflict-store version identity1");
    hasher.update(&length(key.len()));
    hasher.update(key);
    hasher.update(&length(parents.len()));
    for parent in parents {
        hasher.update(&parent.generation().to_le_bytes());
        hasher.update(parent.digest());
    }
    hasher.update(content);
    truncated(&hasher)
}

fn length(bytes: usize) -> [u8; 8] {
    (bytes as u64).to_le_bytes()
}

fn truncated(hasher: &blake3::Hasher) -> [u8; DIGEST_BYTES] {
    let mut digest = [0; DIGEST_BYTES];
    hasher.finalize_xof().fill(&mut digest);
    digest
}

/// How often versions are looked at, by the current thread: the cost of an operation, without a
/// clock.
#[cfg(test)]
pub(crate) mod visits {
    use core::cell::Cell;

    std::thread_local! {
        static VISITS: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        VISITS.set(VISITS.get() + 1);
    }

    /// The visits that `work` makes.
    pub(crate) fn of(work: impl FnOnce()) -> u64 {
        let before = VISITS.get();
        work();
        VISITS.get() - before
    }
}
