//! What clients were shown, and must go on being shown.
//!
//! One client sits at each node and never leaves it. It is promised *read your writes* and *monotonic reads* (Terry
//! et al., "Session guarantees for weakly consistent replicated data", 1994): what it was shown once it is shown ever
//! after, or what took its place. Reads that overlap promise each other nothing.
//!
//! A client that moves to another node keeps the promise only if it takes something along that tells the other node
//! what it has seen. [`Clients::forget`] is the seam: whoever moves a client without such a token calls it, and whoever
//! brings one does not.

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::VersionId;
use crdt_core::{Dot, ReplicaId, Stamp};
use crdt_sync::{Bytes, Cell, ItemKey};

use crate::lineage::Lineage;
use crate::model::Model;
use crate::shown::{Shown, counted, live_dots};

/// Who asks: for now the number of the node it sits at.
pub(crate) type Client = usize;

/// What the clients were shown, key by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    shown: BTreeMap<(Client, ItemKey), Sight>,
}

/// What a client was shown of a key, over all its reads that were answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    live: BTreeSet<(Bytes, Dot)>,
    /// Dots that were shown, and in a later read no longer.
    gone: BTreeSet<(Bytes, Dot)>,
    counted: BTreeMap<ReplicaId, (u64, u64)>,
    stamp: Option<Stamp>,
    leaves: Vec<VersionId>,
}

impl Clients {
    /// What a client has been shown of a key when it begins to read it.
    pub(crate) fn sight(&self, client: Client, item: &ItemKey) -> Sight {
        self.shown.get(&(client, item.clone())).cloned().unwrap_or_default()
    }

    /// A read was answered.
    pub(crate) fn see(&mut self, client: Client, item: &ItemKey, cell: Option<&Cell>, lineage: &Lineage) {
        self.shown.entry((client, item.clone())).or_default().add(cell, lineage);
    }

    /// Nobody can say what a client must be shown of a key after what it was shown now.
    pub(crate) fn forget_key(&mut self, client: Client, item: &ItemKey) {
        self.shown.remove(&(client, item.clone()));
    }

    /// The client is where nobody knows what it was shown.
    pub(crate) fn forget(&mut self, client: Client) {
        self.shown.retain(|(known, _), _| *known != client);
    }
}

impl Sight {
    /// Whether a state that a later read shows keeps everything seen; else what is missing.
    pub(crate) fn is_kept(
        &self,
        model: &Model,
        item: &ItemKey,
        cell: Option<&Cell>,
        lineage: &Lineage,
    ) -> Result<(), String> {
        if model.is_unsure_of(item) {
            return Ok(());
        }
        let now = Self::of(cell, lineage);
        let removed = model.removed(item);
        if let Some(dot) = self.live.iter().find(|dot| !now.live.contains(dot) && !removed.contains(dot)) {
            return Err(format!("{dot:?} was shown, nobody removed it, and it is not there"));
        }
        if let Some(dot) = self.gone.iter().find(|dot| now.live.contains(dot)) {
            return Err(format!("{dot:?} was shown, then no longer, and is back"));
        }
        // What was counted for a branch is now counted for the identity under which it was written.
        for (origin, seen) in &self.counted {
            let counted = now.counted.get(&lineage.root_of(*origin)).copied().unwrap_or_default();
            if counted.0 < seen.0 || counted.1 < seen.1 {
                return Err(format!("{seen:?} of {origin} was shown, and now {counted:?}"));
            }
        }
        if now.stamp < self.stamp {
            return Err(format!("{:?} was shown, and now {:?}", self.stamp, now.stamp));
        }
        let shown = Shown::of(model, item, cell, lineage);
        self.leaves.iter().try_for_each(|leaf| shown.has_version(*leaf))
    }

    fn of(cell: Option<&Cell>, lineage: &Lineage) -> Self {
        let mut sight = Self::default();
        sight.add(cell, lineage);
        sight
    }

    fn add(&mut self, cell: Option<&Cell>, lineage: &Lineage) {
        let live: BTreeSet<_> = live_dots(cell, lineage).into_iter().collect();
        self.gone.extend(self.live.difference(&live).cloned());
        self.live = live;
        self.counted.extend(counted(cell, lineage));
        match cell {
            Some(Cell::Register(register)) => self.stamp = self.stamp.max(register.stamp()),
            Some(Cell::Document(document)) => {
                self.leaves = document.leaves().iter().map(|leaf| *leaf.id()).collect();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crdt_core::{GCounter, PnCounter};
    use crdt_sync::Collection;

    use super::*;

    fn count(amount: u64) -> Cell {
        let counted = GCounter::from_entries([(ReplicaId::from_u128(1), amount)]);
        Cell::Counter(PnCounter::from_parts(counted, GCounter::default()))
    }

    #[test]
    fn a_client_is_never_shown_less_than_before() {
        let item = ItemKey { collection: Collection::counters("counts").id(), key: "key".into() };
        let (model, mut clients) = (Model::default(), Clients::default());
        let lineage = Lineage::default();
        clients.see(1, &item, Some(&count(7)), &lineage);
        let sight = clients.sight(1, &item);
        assert_eq!(sight.is_kept(&model, &item, Some(&count(8)), &lineage), Ok(()));
        assert!(sight.is_kept(&model, &item, Some(&count(6)), &lineage).is_err());
        assert_eq!(clients.sight(2, &item).is_kept(&model, &item, None, &lineage), Ok(()), "another client");
        clients.forget(1);
        assert_eq!(
            clients.sight(1, &item).is_kept(&model, &item, None, &lineage),
            Ok(()),
            "it moved, with nothing in hand"
        );
    }
}
