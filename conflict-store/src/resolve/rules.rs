//! The rules that come with the crate.

use alloc::boxed::Box;
use core::fmt;

use super::{Conflict, Resolution, Resolver, SuspendReason};

/// Shows the winner and reports the others: nothing is decided for the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepAll;

impl<V> Resolver<V> for KeepAll {
    fn rule(&self) -> &'static str {
        "keep-all"
    }

    fn resolve(&self, _: &Conflict<'_, V>) -> Resolution<V> {
        Resolution::Keep
    }
}

/// Leaves every conflict to people: shows the winner, and marks the document as
/// [suspended](crate::RevisionTree::suspended).
///
/// Behind another rule it makes what that one keeps wait for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskUser;

impl<V> Resolver<V> for AskUser {
    fn rule(&self) -> &'static str {
        "ask-user"
    }

    fn resolve(&self, _: &Conflict<'_, V>) -> Resolution<V> {
        Resolution::Suspend(SuspendReason::LeftToPeople)
    }
}

/// Shows the version with the highest stamp, be it a deletion, and drops the others from sight.
///
/// Stamps are ordered by time, then replica. Versions without a stamp are older than all with one.
/// Where stamps are equal, or missing on both, the winner order of
/// [`RevisionTree::winner`](crate::RevisionTree::winner) decides, so the order is total and the
/// same everywhere: of two versions with one stamp a live one comes after a deletion, and of two
/// live ones the deeper, then the one with the higher digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastWriterWins;

impl<V> Resolver<V> for LastWriterWins {
    fn rule(&self) -> &'static str {
        "last-writer-wins"
    }

    fn resolve(&self, conflict: &Conflict<'_, V>) -> Resolution<V> {
        let last = conflict.versions().iter().max_by_key(|version| (version.stamp(), version.rank()));
        last.map_or(Resolution::Keep, |last| Resolution::Choose(*last.id()))
    }

    fn orders_by_time(&self) -> bool {
        true
    }
}

/// A rule made of a function.
///
/// ```
/// use conflict_store::{Conflict, Custom, Document, Resolution};
///
/// // A business rule: the higher price is right.
/// let rule = Custom::new("highest price", |conflict: &Conflict<'_, Vec<u8>>| {
///     let price = |body: &&Vec<u8>| str::from_utf8(body).ok()?.parse::<u32>().ok();
///     let highest = conflict.bodies().max_by_key(price);
///     highest.map_or(Resolution::Keep, |body| Resolution::Merge(body.clone()))
/// });
///
/// let mut price = Document::default();
/// price.put_branch(b"sku-1", None, Some(b"95".to_vec()), None);
/// price.put_branch(b"sku-1", None, Some(b"105".to_vec()), None);
/// assert_eq!(price.read(b"sku-1", &rule)?.value, Some(b"105".to_vec()));
/// # Ok::<(), conflict_store::ResolveError>(())
/// ```
#[derive(Clone)]
pub struct Custom<F> {
    rule: Box<str>,
    resolve: F,
}

impl<F> Custom<F> {
    /// The rule of this name that resolves by this function. See [`Resolver`] for what the function
    /// must not do.
    pub fn new<V>(rule: &str, resolve: F) -> Self
    where
        F: Fn(&Conflict<'_, V>) -> Resolution<V>,
    {
        Self { rule: rule.into(), resolve }
    }
}

impl<V, F: Fn(&Conflict<'_, V>) -> Resolution<V>> Resolver<V> for Custom<F> {
    fn rule(&self) -> &str {
        &self.rule
    }

    fn resolve(&self, conflict: &Conflict<'_, V>) -> Resolution<V> {
        (self.resolve)(conflict)
    }
}

impl<F> fmt::Debug for Custom<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("rule", &self.rule).finish_non_exhaustive()
    }
}
