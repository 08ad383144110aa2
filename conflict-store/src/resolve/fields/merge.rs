//! The rule that merges field by field.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::bases::bases;
use super::contest::{FieldBase, standing};
use super::rule::{FieldConflict, FieldResolution, FieldRule, FieldValue};
use super::{FieldMap, Fields};
use crate::limits::MAX_FIELD_MERGE_VERSIONS;
use crate::resolve::{Conflict, Resolution, Resolver, SuspendReason};
use crate::revision::{Version, VersionId};

/// Merges bodies made of named [`Fields`], field by field, against what they have in common.
///
/// For each field, among versions that were written on a common one:
///
/// - one side changed it: its value is taken; removing is changing;
/// - both changed it alike: that value is taken;
/// - both changed it differently: the field's [`FieldRule`] decides. Unless you say otherwise that
///   is [`FieldRule::Suspend`], and the whole conflict is suspended
///   [with the names](SuspendReason::Fields) of the fields in question.
///
/// Among more than two versions, a value stands unless it gives way to another by the first rule,
/// each two versions compared with what these two have in common. So the result depends on no
/// order.
///
/// Versions with nothing in common (two first versions) are merged as if written on one without
/// fields. Where history that is needed is not known any more, or not yet, that would be a guess: a
/// field that one side removed would come back, because it looks like one the other side added. So
/// the conflict is suspended as [`SuspendReason::HistoryIncomplete`], unless [told to
/// guess](Self::guessing_over_lost_history).
///
/// Deletions give way to live versions, also where fields are ordered by time.
///
/// ```
/// use conflict_store::{Document, FieldMerge, FieldRule, Lines};
///
/// let mut card = Document::<Vec<u8>>::default();
/// let (first, _) = card.put(b"ann", None, Some(b"city=Bonn\nphone=1\ntags=a\n".to_vec()), None)?;
/// card.put_branch(b"ann", Some(&first), Some(b"city=Kiel\nphone=1\ntags=a,b\n".to_vec()), None);
/// card.put_branch(b"ann", Some(&first), Some(b"city=Bonn\nphone=2\ntags=a,c\n".to_vec()), None);
///
/// let rule = FieldMerge::new("card", Lines).field("tags", FieldRule::Union(b','));
/// let merged = card.read(b"ann", &rule)?.value;
/// assert_eq!(merged, Some(b"city=Kiel\nphone=2\ntags=a,b,c\n".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
///
/// For each reading of a conflict of `n` versions: O(size of the bodies · n) and one walk over the
/// versions above the common ones for each two. More than [`MAX_FIELD_MERGE_VERSIONS`] versions are
/// suspended; [`settle`](crate::RevisionTree::settle) as they come.
#[derive(Clone, Debug)]
pub struct FieldMerge<F> {
    rule: Box<str>,
    fields: F,
    rules: BTreeMap<Box<str>, FieldRule>,
    otherwise: FieldRule,
    guesses: bool,
}

impl<F> FieldMerge<F> {
    /// The rule of this name for bodies made of such fields.
    ///
    /// The [name](Resolver::rule) stands for everything the rule is made of: fields, rules per
    /// field, and whether it guesses. Rename it when any of them changes.
    pub fn new(rule: &str, fields: F) -> Self {
        Self {
            rule: rule.into(),
            fields,
            rules: BTreeMap::new(),
            otherwise: FieldRule::Suspend,
            guesses: false,
        }
    }

    /// Decides about the field `name` by this rule when it was changed differently.
    pub fn field(mut self, name: &str, rule: FieldRule) -> Self {
        self.rules.insert(name.into(), rule);
        self
    }

    /// Decides about all fields without a rule of their own by this one.
    pub fn otherwise(self, rule: FieldRule) -> Self {
        Self { otherwise: rule, ..self }
    }

    /// Merges with the newest *known* common versions, or none, where the history of the versions
    /// is not known far enough. Removed fields may come back.
    pub fn guessing_over_lost_history(self) -> Self {
        Self { guesses: true, ..self }
    }

    fn rule_of(&self, field: &str) -> &FieldRule {
        self.rules.get(field).unwrap_or(&self.otherwise)
    }

    fn merge<V>(&self, conflict: &Conflict<'_, V>) -> Result<FieldMap, SuspendReason>
    where
        F: Fields<V>,
    {
        check_number(conflict.versions().len())?;
        let sides = Sides::decode(&self.fields, conflict)?;
        if !sides.is_history_complete && !self.guesses {
            return Err(SuspendReason::HistoryIncomplete);
        }
        let mut merged = FieldMap::new();
        let mut suspended = Vec::new();
        for name in sides.names() {
            match sides.contest(name) {
                Contest::Agreed(value) => {
                    merged.extend(value.map(|value| (name.into(), value.to_vec())));
                }
                Contest::Open(conflict) => match self.rule_of(name).resolve(&conflict) {
                    FieldResolution::Set(value) => drop(merged.insert(name.into(), value)),
                    FieldResolution::Remove => {}
                    FieldResolution::Suspend => suspended.push(String::from(name)),
                },
            }
        }
        if suspended.is_empty() { Ok(merged) } else { Err(SuspendReason::Fields { fields: suspended }) }
    }
}

impl<V, F> Resolver<V> for FieldMerge<F>
where
    V: AsRef<[u8]>,
    F: Fields<V>,
{
    fn rule(&self) -> &str {
        &self.rule
    }

    fn resolve(&self, conflict: &Conflict<'_, V>) -> Resolution<V> {
        let live = conflict.without_deletions();
        if let [only] = live.versions() {
            return Resolution::Choose(*only.id());
        }
        let encode = |fields: FieldMap| {
            let refused = |error: F::Error| SuspendReason::Unencodable { reason: error.to_string() };
            self.fields.encode(&fields).map_err(refused)
        };
        match self.merge(&live).and_then(encode) {
            Ok(body) => live.choose_or_merge(body),
            Err(reason) => Resolution::Suspend(reason),
        }
    }

    fn orders_by_time(&self) -> bool {
        self.otherwise.orders_by_time() || self.rules.values().any(FieldRule::orders_by_time)
    }
}

/// What one field comes to.
enum Contest<'a> {
    Agreed(Option<&'a [u8]>),
    Open(FieldConflict<'a>),
}

/// The competing versions taken apart, and what each two of them have in common.
struct Sides<'a, V> {
    versions: &'a [&'a Version<V>],
    fields: Vec<FieldMap>,
    /// The ids of the bases of each two sides, by their [place](pair).
    bases: Vec<SmallVec<[VersionId; 1]>>,
    base_fields: BTreeMap<VersionId, FieldMap>,
    is_history_complete: bool,
}

impl<'a, V> Sides<'a, V> {
    fn decode<F: Fields<V>>(fields: &F, conflict: &'a Conflict<'_, V>) -> Result<Self, SuspendReason> {
        let decode = |version: &Version<V>| match version.body() {
            Some(body) => fields.decode(body).map_err(|error| SuspendReason::Undecodable {
                version: *version.id(),
                reason: error.to_string(),
            }),
            None => Ok(FieldMap::new()),
        };
        let versions = conflict.versions();
        let mut sides = Self {
            versions,
            fields: versions.iter().map(|version| decode(version)).collect::<Result<_, _>>()?,
            bases: Vec::new(),
            base_fields: BTreeMap::new(),
            is_history_complete: true,
        };
        for (place, right) in versions.iter().enumerate() {
            for left in &versions[..place] {
                let common = bases(conflict.tree(), left.id(), right.id());
                check_number(common.versions.len())?;
                sides.is_history_complete &= common.is_history_complete;
                sides.bases.push(common.versions.iter().map(|base| *base.id()).collect());
                for base in common.versions {
                    if !sides.base_fields.contains_key(base.id()) {
                        sides.base_fields.insert(*base.id(), decode(base)?);
                    }
                }
            }
        }
        Ok(sides)
    }

    /// Every field that any side has. What no side has any more is gone.
    fn names(&self) -> BTreeSet<&str> {
        self.fields.iter().flat_map(FieldMap::keys).map(String::as_str).collect()
    }

    fn contest<'s>(&'s self, name: &'s str) -> Contest<'s> {
        let values: SmallVec<[_; 4]> =
            self.fields.iter().map(|fields| fields.get(name).map(Vec::as_slice)).collect();
        if values.iter().all(|value| *value == values[0]) {
            return Contest::Agreed(values[0]);
        }
        let standing = standing(&values, |left, right| self.base(name, left, right));
        let first = values[standing[0]];
        if standing.iter().all(|side| values[*side] == first) {
            return Contest::Agreed(first);
        }
        let differing = standing.iter().enumerate().flat_map(|(place, right)| {
            let left = standing[..place].iter().filter(|left| values[**left] != values[*right]);
            left.map(|left| self.base(name, *left, *right)).collect::<SmallVec<[_; 4]>>()
        });
        let base = FieldBase::common(differing);
        let side = |side: &usize| FieldValue {
            value: values[*side],
            version: *self.versions[*side].id(),
            stamp: self.versions[*side].stamp(),
        };
        Contest::Open(FieldConflict { name, base, values: standing.iter().map(side).collect() })
    }

    /// What a field was in all that two sides have in common; not there, if that is nothing.
    fn base(&self, name: &str, left: usize, right: usize) -> FieldBase<'_> {
        let value = |id| {
            let fields = self.base_fields.get(id);
            FieldBase::Known(fields.and_then(|fields| fields.get(name)).map(Vec::as_slice))
        };
        FieldBase::common(self.bases[pair(left, right)].iter().map(value))
    }
}

fn check_number(given: usize) -> Result<(), SuspendReason> {
    if given > MAX_FIELD_MERGE_VERSIONS {
        return Err(SuspendReason::TooManyVersions { given, limit: MAX_FIELD_MERGE_VERSIONS });
    }
    Ok(())
}

/// The place of two sides, `left` before `right`, among all such pairs.
const fn pair(left: usize, right: usize) -> usize {
    right * right.saturating_sub(1) / 2 + left
}
