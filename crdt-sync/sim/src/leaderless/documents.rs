//! What a view of a document must show.

use conflict_store::{Document, Version, VersionId};
use crdt_sync::{Action, Bytes, Cell, ItemKey};

use super::checks::{Broken, View, missing};
use super::model::{Known, Model};

/// Whether a document holds a version, or one that may have come after it: how much of its past it keeps is its affair.
fn knows(document: &Document<Bytes>, version: &VersionId) -> bool {
    let may_follow = |leaf: &Version<Bytes>| leaf.id().generation() > version.generation();
    document.get(version).is_some() || document.leaves().iter().any(may_follow)
}

fn document_in(cell: Option<&Cell>) -> Option<&Document<Bytes>> {
    match cell {
        Some(Cell::Document(document)) => Some(document),
        _ => None,
    }
}

fn deletes(known: &Known) -> bool {
    matches!(known.action, Action::Delete)
}

impl View<'_> {
    pub(super) fn check_document(&self, cell: Option<&Cell>) -> Result<(), Broken> {
        let document = document_in(cell);
        let shown = || document.into_iter().flat_map(Document::live_leaves);
        let puts = || self.writes().filter(|known| known.puts().is_some());
        for body in shown().filter_map(|leaf| leaf.body()) {
            if !puts().any(|known| known.may_be() && known.puts() == Some(body)) {
                return Err(Broken::Impossible(format!("nobody wrote {body:?}")));
            }
        }
        let mut deletions = self.writes().filter(|known| deletes(known));
        if let Some(leaf) = shown().next()
            && let Some(last) = deletions.find(|known| self.ends_all(known, puts()))
        {
            let detail = format!("version {}, which request {} deleted after all", leaf.id(), last.request.0);
            return Err(Broken::Resurrected(detail));
        }
        for known in self.writes().filter(|known| self.must_show(known)) {
            // A deletion may be forgotten when all have it, and with it all that it deleted.
            let may_be_gone = document.is_none() && self.may_be_deleted(known);
            let lacks = |version: &&VersionId| document.is_none_or(|document| !knows(document, version));
            if let Some(version) = known.versions.iter().find(lacks).filter(|_| !may_be_gone) {
                return Err(missing(
                    known,
                    format!("version {version} is not there, nor any that followed it"),
                ));
            }
            if known.puts().is_some() && shown().next().is_none() && !self.may_be_deleted(known) {
                return Err(missing(known, "it passes for deleted, and nobody deleted it".into()));
            }
        }
        Ok(())
    }

    /// A deletion that was over before the write began cannot have seen it.
    fn may_be_deleted(&self, known: &Known) -> bool {
        deletes(known)
            || self.writes().any(|other| {
                deletes(other) && other.may_be() && other.ended.is_none_or(|at| at >= known.begun)
            })
    }
}

/// Whether what a read showed of a document is there in a later one.
pub(super) fn is_document_kept(
    shown: &Document<Bytes>,
    later: Option<&Cell>,
    model: &Model,
    item: &ItemKey,
) -> Result<(), String> {
    let may_be_forgotten = || model.writes_to(item).any(|known| deletes(known) && known.may_be());
    match document_in(later) {
        None if may_be_forgotten() => Ok(()),
        None => Err("the document was shown and is gone".into()),
        Some(later) => match shown.leaves().iter().find(|leaf| !knows(later, leaf.id())) {
            Some(leaf) => Err(format!("version {} was shown and is gone", leaf.id())),
            None => Ok(()),
        },
    }
}
