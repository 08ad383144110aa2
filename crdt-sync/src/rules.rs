//! The rules by which conflicting versions of documents are read.
//!
//! A collection names its rule in its [`Strategy`]; the name is part of the collection's identity. What the name means
//! for [`Strategy::Custom`] is code, which each node registers.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use conflict_store::{KeepAll, LastWriterWins, ResolveError, Resolver};
use thiserror::Error;

use crate::bytes::Bytes;
use crate::collection::{Collection, CollectionId, Kind, Strategy};

/// A rule that threads can share.
pub type Rule = dyn Resolver<Bytes> + Send + Sync;

/// The custom rules of a node, by name.
///
/// A rule is a [`Resolver`]: a pure function of the versions it is shown. Nodes that register different functions
/// under one name show different things, and if conflicts are settled automatically they write different versions;
/// rename a rule when its results change.
///
/// ```
/// use conflict_store::{Conflict, Custom, Resolution};
/// use crdt_sync::{Bytes, Rules};
///
/// let longest = Custom::new("longest", |conflict: &Conflict<'_, Bytes>| {
///     let longest = conflict.bodies().max_by_key(|body| body.len());
///     longest.map_or(Resolution::Keep, |body| Resolution::Merge(body.clone()))
/// });
/// assert_eq!(Rules::default().with(longest).names().collect::<Vec<_>>(), ["longest"]);
/// ```
#[derive(Clone, Default)]
pub struct Rules {
    by_name: BTreeMap<String, Arc<Rule>>,
}

impl Rules {
    /// The same with this rule, which takes the place of one that has the same name.
    pub fn with(mut self, rule: impl Resolver<Bytes> + Send + Sync + 'static) -> Self {
        self.by_name.insert(rule.rule().into(), Arc::new(rule));
        self
    }

    /// The names, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The rule of a strategy, to be kept; `None` for the name of one that is not registered.
    pub fn resolver(&self, strategy: &Strategy) -> Option<Arc<Rule>> {
        match strategy {
            Strategy::Keep => Some(Arc::new(KeepAll)),
            Strategy::LastWriterWins => Some(Arc::new(LastWriterWins)),
            Strategy::Custom(name) => self.by_name.get(name).cloned(),
        }
    }

    /// The rule of a strategy, if there is one.
    pub(crate) fn of(&self, strategy: &Strategy) -> Option<&Rule> {
        match strategy {
            Strategy::Keep => Some(&KeepAll),
            Strategy::LastWriterWins => Some(&LastWriterWins),
            Strategy::Custom(name) => self.by_name.get(name).map(|rule| &**rule),
        }
    }

    /// Every custom collection needs its rule, and one that needs no stamps: versions of custom collections carry
    /// none, so that the same write on two nodes is one version.
    pub(crate) fn check(&self, collections: &[Collection]) -> Result<(), RuleError> {
        for declared in collections.iter().filter(|declared| declared.kind == Kind::Document) {
            let (collection, rule) = (declared.name.clone(), declared.strategy.rule().into());
            match self.of(&declared.strategy) {
                None => return Err(RuleError::Missing { collection, rule }),
                Some(found) if found.orders_by_time() && declared.strategy != Strategy::LastWriterWins => {
                    return Err(RuleError::NeedsStamps { collection, rule });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_name.keys()).finish()
    }
}

/// Why the rules of a node do not fit its collections. The configuration is at fault; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A custom collection whose rule is not registered.
    #[error("the collection \"{collection}\" is read by the rule \"{rule}\", which is not registered")]
    Missing {
        /// The collection's name.
        collection: String,
        /// The rule's name.
        rule: String,
    },
    /// A custom rule that compares stamps.
    #[error(
        "the rule \"{rule}\" of the collection \"{collection}\" orders by time, and versions there carry no stamp"
    )]
    NeedsStamps {
        /// The collection's name.
        collection: String,
        /// The rule's name.
        rule: String,
    },
}

/// Why a document could not be shown by its rule. Nothing was changed, and the versions can still be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShowError {
    /// The collection is not declared on this node.
    #[error("{collection:?} is not declared")]
    UnknownCollection {
        /// The id that was asked for.
        collection: CollectionId,
    },
    /// Only documents have versions that a rule can choose from.
    #[error("a {kind:?} is read as it is, not by a rule")]
    WrongKind {
        /// What the collection holds.
        kind: Kind,
    },
    /// The rule broke its contract.
    #[error(transparent)]
    Rule(#[from] ResolveError),
}
