//! Loading a catalogue into a replica, in a way that can be interrupted.
//!
//! A batch that was acknowledged is durable. After a crash the next run compares the file with what the log brought
//! back and writes only what is missing, so half a load is never taken for a whole one and nothing is written twice.

use std::collections::BTreeMap;

use conflict_store::Document;
use crdt_sync::Bytes;
use crdt_sync_driver::{Documents, NodeError};

use crate::tsv::Entry;

/// A batch is one atomic command; both bounds are well below what a command may hold.
const BATCH_ENTRIES: usize = 4_096;
const BATCH_BYTES: usize = 2 << 20;

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Entries that are durable in the replica.
    pub(crate) durable: usize,
    /// Those of them that an earlier run had written.
    pub(crate) resumed: usize,
    /// All entries of the catalogue.
    pub(crate) of: usize,
}

impl Loaded {
    /// Entries that this run wrote.
    pub(crate) fn written(self) -> usize {
        self.durable - self.resumed
    }
}

/// Writes every entry the replica does not have as a first version of its package, and says after each batch, and at
/// the start, how far it is.
pub(crate) async fn load(
    packages: &Documents,
    entries: &[Entry],
    mut progress: impl FnMut(Loaded),
) -> Result<Loaded, NodeError> {
    let missing = missing(packages, entries).await?;
    let resumed = entries.len() - missing.len();
    let mut loaded = Loaded { durable: resumed, resumed, of: entries.len() };
    progress(loaded);
    for batch in batches(&missing) {
        packages.insert_all(batch.iter().cloned()).await?;
        loaded.durable += batch.len();
        progress(loaded);
    }
    Ok(loaded)
}

/// The entries of which the replica has no version, not even one that was overwritten since.
async fn missing(packages: &Documents, entries: &[Entry]) -> Result<Vec<Entry>, NodeError> {
    let held: BTreeMap<Bytes, Document<Bytes>> = packages.scan().await?.into_iter().collect();
    let is_held = |(key, version): &&Entry| {
        held.get(key).is_some_and(|document| document.versions().any(|known| known.body() == Some(version)))
    };
    Ok(entries.iter().filter(|entry| !is_held(entry)).cloned().collect())
}

fn batches(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |(key, version): &&Entry| {
            bytes += key.len() + version.len();
            bytes <= BATCH_BYTES
        };
        // A batch holds one entry at least, whatever its size.
        let count = rest.iter().take(BATCH_ENTRIES).take_while(fits).count().max(1).min(rest.len());
        let (batch, others) = rest.split_at(count);
        rest = others;
        (!batch.is_empty()).then_some(batch)
    })
}
