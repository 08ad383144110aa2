//! One version of a document, and how its id follows from what it says.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crdt_core::Stamp;
use smallvec::SmallVec;

use super::content::{Attribution, Content, whole_digest};
use super::digest::{Digest, Digester};
use super::id::VersionId;

/// One version of a document: what was written, and on top of which versions.
///
/// Versions are immutable. Their [`id`](Self::id) is a digest of the rest, see [`VersionId`].
///
/// Of a version that others were written on, only the place may be known: which id it has and where
/// it hangs. It is a [stub](Self::is_stub) then.
///
/// Cloning one is cheap: what it says is shared. Ids are held in place, so that searching among
/// versions reads nothing else.
#[derive(PartialEq, Eq)]
pub struct Version<V> {
    id: VersionId,
    told: Arc<Told<V>>,
}

#[derive(PartialEq, Eq)]
struct Told<V> {
    said: Said<V>,
    /// Where there is any.
    circumstances: Option<Box<Circumstances>>,
}

#[derive(PartialEq, Eq)]
enum Said<V> {
    /// What was written; `None` deletes the document.
    Whole(Option<V>),
    /// Only the digest of the content is known.
    Digest(Digest),
}

/// What most first versions have nothing of: they pay one word for it.
#[derive(PartialEq, Eq)]
struct Circumstances {
    /// Ascending; almost always one.
    parents: SmallVec<[VersionId; 1]>,
    attribution: Option<Attribution>,
}

impl<V> Told<V> {
    fn new(parents: &[VersionId], content: Content<V>) -> Self {
        let (said, attribution) = match content {
            Content::Whole { body, attribution } => (Said::Whole(body), attribution),
            Content::Digest(digest) => (Said::Digest(digest), None),
        };
        let has_any = !parents.is_empty() || attribution.is_some();
        let circumstances = has_any.then(|| Box::new(Circumstances { parents: parents.into(), attribution }));
        Self { said, circumstances }
    }

    fn parents(&self) -> &[VersionId] {
        self.circumstances.as_ref().map_or(&[], |circumstances| &circumstances.parents)
    }

    fn attribution(&self) -> Option<&Attribution> {
        self.circumstances.as_ref()?.attribution.as_ref()
    }
}

impl<V: AsRef<[u8]>> Told<V> {
    fn content_digest(&self) -> Digest {
        match &self.said {
            Said::Whole(body) => whole_digest(body.as_ref().map(AsRef::as_ref), self.attribution()),
            Said::Digest(digest) => *digest,
        }
    }
}

impl<V> Clone for Version<V> {
    fn clone(&self) -> Self {
        Self { id: self.id, told: Arc::clone(&self.told) }
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
        self.told.parents().last()
    }

    /// All versions this one supersedes, ascending. None for a first version, several for a merge.
    pub fn parents(&self) -> &[VersionId] {
        #[cfg(test)]
        visits::count();
        self.told.parents()
    }

    /// What was written; `None` when the version deletes the document or is a
    /// [stub](Self::is_stub).
    pub fn body(&self) -> Option<&V> {
        match &self.told.said {
            Said::Whole(body) => body.as_ref(),
            Said::Digest(_) => None,
        }
    }

    /// Whether the version deletes the document. Of a [stub](Self::is_stub) nobody knows.
    pub fn is_deleted(&self) -> bool {
        matches!(self.told.said, Said::Whole(None))
    }

    /// Whether only the place of the version is known, not what it says. Leaves never are stubs.
    pub fn is_stub(&self) -> bool {
        matches!(self.told.said, Said::Digest(_))
    }

    /// When and by whom it was written. Only collections that order versions by time keep stamps.
    pub fn stamp(&self) -> Option<Stamp> {
        self.told.attribution().and_then(Attribution::stamp)
    }

    /// The rule that wrote the version, if a rule and not a writer did. See
    /// [`RevisionTree::settle`].
    ///
    /// [`RevisionTree::settle`]: crate::RevisionTree::settle
    pub fn rule(&self) -> Option<&str> {
        self.told.attribution().and_then(Attribution::rule)
    }

    /// What the version says, with a copy of its body.
    pub fn content(&self) -> Content<V>
    where
        V: Clone,
    {
        match &self.told.said {
            Said::Whole(body) => {
                Content::Whole { body: body.clone(), attribution: self.told.attribution().cloned() }
            }
            Said::Digest(digest) => Content::Digest(*digest),
        }
    }

    /// The digest of what the version says, where only that is known.
    pub(crate) fn stub_digest(&self) -> Option<&Digest> {
        match &self.told.said {
            Said::Whole(_) => None,
            Said::Digest(digest) => Some(digest),
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
        parents: Vec<VersionId>,
        body: Option<V>,
        stamp: Option<Stamp>,
        rule: Option<Box<str>>,
    ) -> Self {
        Self::with_content(key, parents, Content::attributed(body, stamp, rule))
    }

    /// The version of the document `key` that says this, of which the content may be known only by
    /// its digest.
    pub(crate) fn with_content(key: &[u8], mut parents: Vec<VersionId>, content: Content<V>) -> Self {
        parents.sort_unstable();
        parents.dedup();
        let id = VersionId::below(&parents, id_digest(key, &parents, &content.digest()));
        Self { id, told: Arc::new(Told::new(&parents, content)) }
    }

    /// The place of this version without what it says.
    pub(crate) fn to_stub(&self) -> Self {
        let content = Content::Digest(self.told.content_digest());
        Self { id: self.id, told: Arc::new(Told::new(self.told.parents(), content)) }
    }

    /// Whether the id is the one this version has as a version of `key`.
    pub(crate) fn belongs_to(&self, key: &[u8]) -> bool {
        let parents = self.told.parents();
        self.id == VersionId::below(parents, id_digest(key, parents, &self.told.content_digest()))
    }
}

impl<V: AsRef<[u8]>> fmt::Debug for Version<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.id)?;
        if let parents @ [_, ..] = self.told.parents() {
            write!(f, " on {parents:?}")?;
        }
        match &self.told.said {
            Said::Whole(Some(body)) => write!(f, " \"{}\"", body.as_ref().escape_ascii()),
            Said::Whole(None) => f.write_str(" deleted"),
            Said::Digest(_) => f.write_str(" stub"),
        }
    }
}

fn id_digest(key: &[u8], parents: &[VersionId], content: &Digest) -> Digest {
    let mut digester = Digester::new(b"conflict-store version identity1");
    digester.write_length(key.len());
    digester.write(key);
    digester.write_length(parents.len());
    for parent in parents {
        digester.write(&parent.generation().to_le_bytes());
        digester.write(parent.digest());
    }
    digester.write(content);
    digester.finish()
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
