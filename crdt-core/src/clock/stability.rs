//! What everybody has seen.

use super::CausalContext;

/// The changes that every member has seen: the intersection of what each of them tells. Of no members, nothing.
///
/// Members tell at different times, and that does no harm: what a member has seen it goes on having seen, so the cut of
/// old contexts is a part of the cut of newer ones. Whoever is left out of `members` is not waited for, and then must
/// not come back with changes of its own.
///
/// The cut says that each of its changes *was delivered* everywhere. It says nothing of removals that leave no dot of
/// their own, such as those of an [`OrSet`](crate::OrSet): a member that has seen an add and one that has dropped it
/// since have the same context. Nor does it say what was concurrent to a change, or that nothing concurrent to it is
/// still under way. So by itself it is
///
/// - enough to say who is ready to be [retired](crate::Retirement), as far as adds go (its precondition 2);
/// - the first of three rounds to [forget removals](crate::RwSet::forget_stable) of a remove-wins set, whose removals
///   do have dots.
///
/// O(members · ranges).
///
/// ```
/// use crdt_core::clock::stable_cut;
/// use crdt_core::{Crdt, OrSet, ReplicaId, Writer};
///
/// let [ann, bob] = [1, 2].map(ReplicaId::from_u128);
/// let (mut a, mut b) = (OrSet::default(), OrSet::default());
/// let milk = a.add(Writer::unchecked(ann), "milk")?;
/// a.add(Writer::unchecked(ann), "rice")?;
/// b.add(Writer::unchecked(bob), "plums")?;
/// let _ = b.merge(&milk);
///
/// let stable = stable_cut([a.context(), b.context()]);
/// assert_eq!((stable.highest(ann), stable.highest(bob)), (1, 0), "of the milk both have heard");
///
/// b.remove("milk");
/// assert_eq!(stable_cut([a.context(), b.context()]), stable, "the removal has not reached Ann, and nothing shows it");
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
pub fn stable_cut<'a>(members: impl IntoIterator<Item = &'a CausalContext>) -> CausalContext {
    let mut members = members.into_iter();
    let Some(first) = members.next() else { return CausalContext::new() };
    members.fold(first.clone(), |seen_by_all, member| seen_by_all.intersection(member))
}
