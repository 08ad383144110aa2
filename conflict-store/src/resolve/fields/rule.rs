//! What decides when a field was changed differently.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crdt_core::Stamp;

use super::contest::FieldBase;
use crate::revision::VersionId;

/// One field that was changed differently.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict<'a> {
    /// The name of the field.
    pub name: &'a str,
    /// What the changes started from.
    pub base: FieldBase<'a>,
    /// The values that stand against each other, those of the winner of the document first. At least
    /// two of them differ.
    pub values: Vec<FieldValue<'a>>,
}

/// One side of a [`FieldConflict`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldValue<'a> {
    /// The value; `None` when the field was removed.
    pub value: Option<&'a [u8]>,
    /// The version that has it.
    pub version: VersionId,
    /// The stamp of that version, where stamps are kept.
    pub stamp: Option<Stamp>,
}

/// What becomes of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldResolution {
    /// It has this value.
    Set(Vec<u8>),
    /// It is gone.
    Remove,
    /// Somebody has to decide.
    Suspend,
}

impl FieldResolution {
    fn of(value: Option<&[u8]>) -> Self {
        value.map_or(Self::Remove, |value| Self::Set(value.to_vec()))
    }
}

/// What decides when a field was changed differently. A value beats a removal, except where it says
/// otherwise.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum FieldRule {
    /// Somebody has to decide.
    #[default]
    Suspend,
    /// The value, or the removal, of the version with the highest stamp, as
    /// [`LastWriterWins`](crate::LastWriterWins) orders them. The stamp is the one of the *version*:
    /// whoever wrote another field later counts as the later writer of this one too.
    LastWriterWins,
    /// The value that is highest by its bytes. That suits texts that sort like what they mean, such
    /// as dates `2024-05-17`, and not numbers of different length.
    Max,
    /// The value that is lowest by its bytes.
    Min,
    /// The value is a set of items with this byte between them. What either side added is in, and
    /// what either removed is out. Where it is not known what was added and what removed (the
    /// [base](FieldConflict::base) is ambiguous), everything is in. The result is ascending.
    Union(u8),
    /// What this function says. It must be pure, see [`Resolver`](crate::Resolver).
    Custom(Arc<dyn Fn(&FieldConflict<'_>) -> FieldResolution + Send + Sync>),
}

impl FieldRule {
    /// The rule that is this function.
    pub fn custom(resolve: impl Fn(&FieldConflict<'_>) -> FieldResolution + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(resolve))
    }

    pub(super) const fn orders_by_time(&self) -> bool {
        matches!(self, Self::LastWriterWins)
    }

    pub(super) fn resolve(&self, conflict: &FieldConflict<'_>) -> FieldResolution {
        let present = || conflict.values.iter().filter_map(|side| side.value);
        match self {
            Self::Suspend => FieldResolution::Suspend,
            Self::LastWriterWins => {
                let last = conflict.values.iter().max_by_key(|side| (side.stamp, side.version));
                FieldResolution::of(last.and_then(|side| side.value))
            }
            Self::Max => FieldResolution::of(present().max()),
            Self::Min => FieldResolution::of(present().min()),
            Self::Union(separator) => union(*separator, conflict),
            Self::Custom(resolve) => resolve(conflict),
        }
    }
}

impl fmt::Debug for FieldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspend => f.write_str("Suspend"),
            Self::LastWriterWins => f.write_str("LastWriterWins"),
            Self::Max => f.write_str("Max"),
            Self::Min => f.write_str("Min"),
            Self::Union(separator) => f.debug_tuple("Union").field(&separator.escape_ascii()).finish(),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

fn union(separator: u8, conflict: &FieldConflict<'_>) -> FieldResolution {
    let items = |value: Option<&'_ [u8]>| items(separator, value.unwrap_or_default());
    let sides: Vec<BTreeSet<Vec<u8>>> = conflict.values.iter().map(|side| items(side.value)).collect();
    let before = match conflict.base {
        FieldBase::Known(value) => items(value),
        FieldBase::Ambiguous => BTreeSet::new(),
    };
    let stays = |item: &&Vec<u8>| !before.contains(*item) || sides.iter().all(|side| side.contains(*item));
    let together: BTreeSet<&Vec<u8>> = sides.iter().flatten().filter(stays).collect();
    if together.is_empty() && conflict.values.iter().any(|side| side.value.is_none()) {
        return FieldResolution::Remove;
    }
    let together: Vec<&[u8]> = together.into_iter().map(Vec::as_slice).collect();
    FieldResolution::Set(together.join(&separator))
}

fn items(separator: u8, value: &[u8]) -> BTreeSet<Vec<u8>> {
    let items = value.split(|byte| *byte == separator).filter(|item| !item.is_empty());
    items.map(<[u8]>::to_vec).collect()
}
