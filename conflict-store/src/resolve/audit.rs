//! What was resolved, by whom, and what became of the versions.

use alloc::vec::Vec;
use core::fmt;

use crdt_core::Stamp;

use crate::revision::{RevisionTree, Version, VersionId};

/// One resolution that was written: by a rule that [settled](crate::RevisionTree::settle) a
/// conflict, or by somebody who wrote on top of several versions.
///
/// [`Display`](fmt::Display) says it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry<'a> {
    /// The version that resolved the conflict.
    pub result: VersionId,
    /// Whether the result deletes the document.
    pub is_deleted: bool,
    /// The rule that wrote it; `None` when a writer did.
    pub rule: Option<&'a str>,
    /// When and by whom it was written, in collections that keep stamps. Of a rule's version it is
    /// the highest stamp superseded.
    pub stamp: Option<Stamp>,
    /// All versions it superseded, ascending.
    pub superseded: &'a [VersionId],
    /// Those of them that say what the result says. None when the result is a new value, made of
    /// them or in their place.
    pub kept: Vec<VersionId>,
    /// Those of them that say something else: what to look up to see what readers no longer see.
    pub dropped: Vec<VersionId>,
    /// Those of them that are not known here, or no longer.
    pub unknown: Vec<VersionId>,
}

impl<V: Eq> RevisionTree<V> {
    /// The resolutions among the known versions, ascending by the id of the result, so that a
    /// resolution comes after those it rests on.
    ///
    /// It is derived from the versions: replicas that know the same versions have the same trail,
    /// whoever did the resolving. What has been [forgotten](Self::stem) is not in it. A rule that is
    /// only read by, and never settles, leaves no trail, as it changes nothing. O(versions · log n).
    ///
    /// ```
    /// use conflict_store::{Document, LastWriterWins};
    ///
    /// let mut title = Document::<Vec<u8>>::default();
    /// title.put_branch(b"title", None, Some(b"Hello".to_vec()), None);
    /// title.put_branch(b"title", None, Some(b"Bonjour".to_vec()), None);
    /// title.settle(b"title", &LastWriterWins)?;
    ///
    /// let trail: Vec<_> = title.audit().map(|entry| entry.to_string()).collect();
    /// assert_eq!(
    ///     trail,
    ///     ["2-dd3d81f: the rule \"last-writer-wins\" kept 1-cfbcc93 and dropped 1-a46036e"]
    /// );
    /// # Ok::<(), conflict_store::SettleError>(())
    /// ```
    pub fn audit(&self) -> impl Iterator<Item = AuditEntry<'_>> {
        let resolves = |version: &&Version<V>| version.parents().len() > 1 || version.rule().is_some();
        self.versions().filter(resolves).map(|version| self.audit_entry(version))
    }

    fn audit_entry<'a>(&'a self, result: &'a Version<V>) -> AuditEntry<'a> {
        let mut entry = AuditEntry {
            result: *result.id(),
            is_deleted: result.is_deleted(),
            rule: result.rule(),
            stamp: result.stamp(),
            superseded: result.parents(),
            kept: Vec::new(),
            dropped: Vec::new(),
            unknown: Vec::new(),
        };
        for id in result.parents() {
            match self.get(id) {
                Some(version) if version.body() == result.body() => entry.kept.push(*id),
                Some(_) => entry.dropped.push(*id),
                None => entry.unknown.push(*id),
            }
        }
        entry
    }
}

/// One sentence, ids in their short form.
impl fmt::Display for AuditEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.result.short())?;
        match (self.rule, self.stamp) {
            (Some(rule), _) => write!(f, "the rule {rule:?} ")?,
            (None, Some(stamp)) => write!(f, "{} ", stamp.replica)?,
            (None, None) => f.write_str("a writer ")?,
        }
        match (self.kept.as_slice(), self.is_deleted) {
            ([], false) => f.write_str("wrote a new value")?,
            ([], true) => f.write_str("deleted the document")?,
            (kept, false) => write!(f, "kept {}", Short(kept))?,
            (kept, true) => write!(f, "kept the deletion {}", Short(kept))?,
        }
        match self.dropped.as_slice() {
            [] => {}
            dropped if self.kept.is_empty() && !self.is_deleted => {
                write!(f, " in place of {}", Short(dropped))?;
            }
            dropped => write!(f, " and dropped {}", Short(dropped))?,
        }
        match self.unknown.as_slice() {
            [] => Ok(()),
            unknown => write!(f, "; no longer known: {}", Short(unknown)),
        }
    }
}

struct Short<'a>(&'a [VersionId]);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, id) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}{}", id.short())?;
        }
        Ok(())
    }
}
