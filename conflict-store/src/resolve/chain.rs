//! One rule after another.

use alloc::boxed::Box;
use alloc::format;
use core::fmt;
use core::marker::PhantomData;

use super::{Conflict, Resolution, Resolver};

/// A rule, and another for what the first keeps or suspends. Made by [`Resolver::or_else`].
///
/// If both leave a conflict open, it is suspended where either wanted that, for the reason the
/// first of them gave, and kept otherwise. So chains of three or more need no brackets.
///
/// A chain [orders by time](Resolver::orders_by_time) if either rule does, since versions then need
/// stamps. The other rule is still asked only about what it would be asked alone: about the live
/// versions, and not at all where fewer than two are live. What it makes of these supersedes the
/// deletions as well; where it makes nothing, or is not asked, the rule that does order by time
/// decides among them all.
///
/// ```
/// use conflict_store::{CrdtMerge, Document, LastWriterWins, Resolver};
/// use crdt_core::GSet;
///
/// // Sets merge; of whatever is no set, the last one counts.
/// let rule = CrdtMerge::<GSet<String>>::new().or_else(LastWriterWins);
/// assert_eq!(rule.rule(), "crdt-merge, else last-writer-wins");
/// assert!(rule.orders_by_time());
///
/// let neither = Document::<Vec<u8>>::default().read(b"basket", &rule)?;
/// assert_eq!(neither.value, None);
/// # Ok::<(), conflict_store::ResolveError>(())
/// ```
pub struct Chain<V, A, B> {
    first: A,
    next: B,
    rule: Box<str>,
    bodies: PhantomData<fn(V)>,
}

impl<V, A: Resolver<V>, B: Resolver<V>> Chain<V, A, B> {
    /// `first`, and for what it keeps or suspends `next`.
    pub fn new(first: A, next: B) -> Self {
        let rule = format!("{}, else {}", first.rule(), next.rule()).into();
        Self { first, next, rule, bodies: PhantomData }
    }
}

impl<V, A: Resolver<V>, B: Resolver<V>> Resolver<V> for Chain<V, A, B> {
    fn rule(&self) -> &str {
        &self.rule
    }

    fn resolve(&self, conflict: &Conflict<'_, V>) -> Resolution<V> {
        let first = ask(&self.first, conflict, self.orders_by_time());
        if matches!(first, Resolution::Choose(_) | Resolution::Merge(_)) {
            return first;
        }
        match (first, ask(&self.next, conflict, self.orders_by_time())) {
            (_, decided @ (Resolution::Choose(_) | Resolution::Merge(_))) => decided,
            (suspended @ Resolution::Suspend(_), _) => suspended,
            (_, open) => open,
        }
    }

    fn orders_by_time(&self) -> bool {
        self.first.orders_by_time() || self.next.orders_by_time()
    }
}

/// What one rule of a chain says to what it would be asked alone.
fn ask<V>(rule: &impl Resolver<V>, conflict: &Conflict<'_, V>, with_deletions: bool) -> Resolution<V> {
    if rule.orders_by_time() || !with_deletions {
        return rule.resolve(conflict);
    }
    let live = conflict.without_deletions();
    if live.versions().len() < 2 { Resolution::Keep } else { rule.resolve(&live) }
}

impl<V, A: Clone, B: Clone> Clone for Chain<V, A, B> {
    fn clone(&self) -> Self {
        Self {
            first: self.first.clone(),
            next: self.next.clone(),
            rule: self.rule.clone(),
            bodies: PhantomData,
        }
    }
}

impl<V, A: fmt::Debug, B: fmt::Debug> fmt::Debug for Chain<V, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Chain").field(&self.first).field(&self.next).finish()
    }
}
