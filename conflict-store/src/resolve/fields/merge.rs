//! The rule that merges field by field.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::bases::bases;
use super::contest::{FieldBase, standing};
use super::rule::{FieldConflict, FieldResolution, FieldRule, FieldValue};
use super::{FieldMap, Fields};
use crate::limits::{MAX_FIELD_MERGE_PAIRS, MAX_FIELD_MERGE_VERSIONS};
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
/// order. Where two versions have several in common, because earlier conflicts were resolved in more
/// than one place, that is what those merge to by the same rules, as in the recursive merge of git.
/// As long as history is known, a field that only one replica ever changes is never in question, and
/// is what that replica last wrote.
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
/// For each reading of a conflict of `n` versions: O(fields · n² · log n), and one walk over the
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

/// Two versions, the higher id first.
type Pair = (VersionId, VersionId);

fn pair(a: VersionId, b: VersionId) -> Pair {
    (a.max(b), a.min(b))
}

/// Each two of these.
fn pairs(ids: &[VersionId]) -> impl Iterator<Item = Pair> {
    ids.iter().enumerate().flat_map(|(place, right)| ids[..place].iter().map(|left| pair(*left, *right)))
}

/// The competing versions taken apart, and what each two of them have in common.
struct Sides<'a, V> {
    versions: &'a [&'a Version<V>],
    /// The fields of the competing versions and of all bases.
    fields: BTreeMap<VersionId, FieldMap>,
    /// The bases of each two competing versions, and of each two versions that are a base together;
    /// ascending, so that what a base rests on comes before it.
    bases: Vec<(Pair, SmallVec<[VersionId; 1]>)>,
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
        let mut fields = BTreeMap::new();
        for version in conflict.versions() {
            fields.insert(*version.id(), decode(version)?);
        }
        let mut ahead: VecDeque<Pair> = pairs(&conflict.ids()).collect();
        let sides = ahead.len();
        let mut bases_of = BTreeMap::new();
        let mut is_history_complete = true;
        for walk in 0..MAX_FIELD_MERGE_PAIRS {
            let Some(pair) = ahead.pop_front() else { break };
            if bases_of.contains_key(&pair) {
                continue;
            }
            let common = bases(conflict.tree(), &pair.0, &pair.1);
            if walk < sides {
                check_number(common.versions.len())?;
                is_history_complete &= common.is_history_complete;
            } else if check_number(common.versions.len()).is_err() || !common.is_history_complete {
                // Between bases, not knowing makes a field ambiguous, no more.
                continue;
            }
            for base in &common.versions {
                if !fields.contains_key(base.id()) {
                    fields.insert(*base.id(), decode(base)?);
                }
            }
            let ids: SmallVec<[_; 1]> = common.versions.iter().map(|base| *base.id()).collect();
            if ahead.len() < MAX_FIELD_MERGE_PAIRS {
                ahead.extend(pairs(&ids));
            }
            bases_of.insert(pair, ids);
        }
        let bases = bases_of.into_iter().collect();
        Ok(Self { versions: conflict.versions(), fields, bases, is_history_complete })
    }

    /// Every field that any side has. What no side has any more is gone.
    fn names(&self) -> BTreeSet<&str> {
        let fields = self.versions.iter().filter_map(|version| self.fields.get(version.id()));
        fields.flat_map(FieldMap::keys).map(String::as_str).collect()
    }

    fn contest<'s>(&'s self, name: &'s str) -> Contest<'s> {
        let value = |version: &&Version<V>| self.value(name, version.id());
        let values: SmallVec<[_; 4]> = self.versions.iter().map(value).collect();
        if let FieldBase::Known(agreed) = agreed(values.iter().copied()) {
            return Contest::Agreed(agreed);
        }
        let known = self.bases(name);
        let base = |left: usize, right: usize| {
            self.base(&known, self.versions[left].id(), self.versions[right].id())
        };
        let standing = standing(&values, base);
        if let FieldBase::Known(agreed) = agreed(standing.iter().map(|side| values[*side])) {
            return Contest::Agreed(agreed);
        }
        let differing = standing.iter().enumerate().flat_map(|(place, right)| {
            let left = standing[..place].iter().filter(|left| values[**left] != values[*right]);
            left.map(|left| base(*left, *right)).collect::<SmallVec<[_; 4]>>()
        });
        let side = |side: &usize| FieldValue {
            value: values[*side],
            version: *self.versions[*side].id(),
            stamp: self.versions[*side].stamp(),
        };
        let base = FieldBase::common(differing);
        Contest::Open(FieldConflict { name, base, values: standing.iter().map(side).collect() })
    }

    /// What a field was in the bases of each pair, in their order.
    ///
    /// Where a pair has several bases, that is what these merge to, by the same rules: the base of
    /// git's recursive merge, for each field.
    fn bases<'s>(&'s self, name: &str) -> Vec<FieldBase<'s>> {
        let mut known = Vec::with_capacity(self.bases.len());
        for (_, ids) in &self.bases {
            let values: SmallVec<[_; 1]> = ids.iter().map(|id| self.value(name, id)).collect();
            let standing = standing(&values, |left, right| self.base(&known, &ids[left], &ids[right]));
            known.push(agreed(standing.iter().map(|base| values[*base])));
        }
        known
    }

    fn base<'s>(&self, known: &[FieldBase<'s>], a: &VersionId, b: &VersionId) -> FieldBase<'s> {
        let place = self.bases.binary_search_by_key(&pair(*a, *b), |(pair, _)| *pair);
        place.ok().and_then(|place| known.get(place)).copied().unwrap_or(FieldBase::Ambiguous)
    }

    fn value(&self, name: &str, id: &VersionId) -> Option<&[u8]> {
        self.fields.get(id)?.get(name).map(Vec::as_slice)
    }
}

/// The one value that all of these are.
fn agreed<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> FieldBase<'a> {
    FieldBase::common(values.map(FieldBase::Known))
}

fn check_number(given: usize) -> Result<(), SuspendReason> {
    if given > MAX_FIELD_MERGE_VERSIONS {
        return Err(SuspendReason::TooManyVersions { given, limit: MAX_FIELD_MERGE_VERSIONS });
    }
    Ok(())
}
